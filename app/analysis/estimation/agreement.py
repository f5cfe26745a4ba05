"""Do both sides of a pair solve the same items? Agreement beyond chance, and a test of change, for each pair.

A 2 x 2 table of right and wrong for x (base, few-shot) and y (tuned) gives phi, Cohen's kappa, the tetrachoric
correlation and McNemar's exact test. Where one side is right or wrong on every item there is no variation to agree on:
all three coefficients are null. Items that one side did not judge are left out of `n`.
"""

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy import special
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from app import tables
from app.analysis.estimation.coefficients import Floats
from app.errors import StoreError

_OF_PAIR = ("study", "base", "family", "params", "run", "recipe", "format", "seed", "task", "cluster", "role")
_STEPS = 60  # halvings of [-1, 1]: to rounding


class Counts(NamedTuple):
    """Cells of 2 x 2 tables, one entry a pair; items."""

    both: NDArray[np.int64]
    only_x: NDArray[np.int64]
    only_y: NDArray[np.int64]
    neither: NDArray[np.int64]

    @property
    def n(self) -> NDArray[np.int64]:
        """All items."""
        return self.both + self.only_x + self.only_y + self.neither

    @property
    def x(self) -> NDArray[np.int64]:
        """Items that x has right."""
        return self.both + self.only_x

    @property
    def y(self) -> NDArray[np.int64]:
        """Items that y has right."""
        return self.both + self.only_y

    @property
    def varied(self) -> NDArray[np.bool_]:
        """Whether each side has some items right and some wrong."""
        return (self.x > 0) & (self.x < self.n) & (self.y > 0) & (self.y < self.n)


def agreement(items: pa.Table, first: pa.Table | None = None) -> pa.Table:
    """The table "agreement" of a table "items": one row for each pair, in the order of the items.

    `first` has the answers of the first seed of demonstrations, row by row (`items.Items.first`): an average over
    seeds is no answer. It may be left out where every x and y is 0, 1 or null; else StoreError is raised. Holm's and
    Benjamini and Hochberg's corrections are over all pairs of the table with at least one judged item.
    """
    tables.checked("items", items)
    pair, heads = pairs_of(items)
    sides = _answers(items) if first is None else _bools(first)
    counts = _counts(pair, len(heads), *sides)
    p = mcnemar_p(counts)
    tested = counts.n > 0
    holm, q = (_corrected(p, tested, method) for method in ("holm", "fdr_bh"))
    numbers = {"phi": phi(counts), "kappa": kappa(counts), "tetrachoric": tetrachoric(counts), "mcnemar_p": p}
    numbers |= {"p_holm": holm, "q_value": q}
    made: dict[str, pa.ChunkedArray | pa.Array] = {name: items[name].take(pa.array(heads)) for name in _OF_PAIR}
    made |= {"n": pa.array(counts.n)} | {name: pa.array(part) for name, part in counts._asdict().items()}
    made |= {name: pa.array(value, mask=np.isnan(value)) for name, value in numbers.items()}
    wanted = tables.schema("agreement")
    return tables.checked("agreement", pa.table([made[name] for name in wanted.names], schema=wanted))


def phi(counts: Counts) -> Floats:
    """Pearson's r of two binary variables: (ad - bc) / sqrt of the product of the four margins.

    Yule 1912, J. R. Stat. Soc. 75, 579-652.
    """
    a, b, c, d = (np.asarray(part, np.float64) for part in counts)
    return _where(counts.varied, a * d - b * c, np.sqrt((a + b) * (c + d) * (a + c) * (b + d)))


def kappa(counts: Counts) -> Floats:
    """Cohen's kappa, (observed - expected) / (1 - expected) agreement (Cohen 1960, Educ. Psychol. Meas. 20, 37-46)."""
    a, b, c, d = (np.asarray(part, np.float64) for part in counts)
    expected = (a + b) * (a + c) + (c + d) * (b + d)
    n = a + b + c + d
    return _where(counts.varied, (a + d) * n - expected, n * n - expected)


def tetrachoric(counts: Counts) -> Floats:
    """Pearson's tetrachoric correlation: that of two normal variables cut where the margins say (Pearson 1900).

    The model has as many parameters as the table has free cells, so the maximum of the likelihood reproduces the table:
    the thresholds are normal quantiles of the margins, and rho solves Phi2(h, k, rho) = both / n. Null also where a
    cell is empty: the likelihood then grows up to rho = -1 or 1, which no finite sample supports.
    """
    found = np.full(len(counts.n), np.nan)
    cells = np.stack(counts)
    fit = np.flatnonzero(cells.min(0) > 0)
    if not len(fit):
        return found
    tables_, back = np.unique(cells[:, fit], axis=1, return_inverse=True)
    a, b, c, d = tables_.astype(np.float64)
    n = a + b + c + d
    h, k = special.ndtri((a + b) / n), special.ndtri((a + c) / n)
    low, high = np.full(len(a), -1.0), np.full(len(a), 1.0)
    for _ in range(_STEPS):
        rho = (low + high) / 2
        above = bivariate_normal(h, k, rho) > a / n
        low, high = np.where(above, low, rho), np.where(above, rho, high)
    found[fit] = ((low + high) / 2)[np.ravel(back)]
    return found


def bivariate_normal(h: Floats, k: Floats, rho: Floats) -> Floats:
    """P(X < h, Y < k) of two standard normal variables that correlate by rho, |rho| < 1.

    By Owen's function T: (Phi(h) + Phi(k)) / 2 - T(h, (k / h - rho) / s) - T(k, (h / k - rho) / s) - (1/2 where h and k
    lie on different sides of 0), with s = sqrt(1 - rho^2) (Owen 1956, Ann. Math. Stat. 27, 1075-1090, eq. 2.1).
    """
    s = np.sqrt((1 - rho) * (1 + rho))
    tiny = 1e-300  # in the place of 0, so that each quotient keeps a sign; T(0, a) = arctan(a) / 2 pi
    h, k = np.where(h == 0, tiny, h), np.where(k == 0, tiny, k)
    split = np.where(h * k < 0, 0.5, 0.0) + np.where((h * k == 0) & ((h < 0) | (k < 0)), 0.5, 0.0)
    with np.errstate(over="ignore"):
        parts = special.owens_t(h, (k / h - rho) / s) + special.owens_t(k, (h / k - rho) / s)
    return np.asarray((special.ndtr(h) + special.ndtr(k)) / 2 - parts - split)


def mcnemar_p(counts: Counts) -> Floats:
    """McNemar's exact two-sided p for as many gains as losses, by the binomial; NaN for a pair without items.

    McNemar 1947, doi:10.1007/BF02295996.
    """
    changed = np.stack([counts.only_x, counts.only_y])
    cases, back = np.unique(changed, axis=1, return_inverse=True)
    p = np.array([_exact(int(b), int(c)) for b, c in cases.T], np.float64)
    return np.where(counts.n > 0, p[np.ravel(back)], np.nan)


def pairs_of(items: pa.Table) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The number of each row's pair (base, run, task), from 0 in order of appearance, and each pair's first row."""
    code = np.zeros(items.num_rows, np.int64)
    for name in ("base", "run", "task"):
        part = codes(items[name])
        code = code * (int(part.max(initial=0)) + 1) + part
    _, heads, numbers = np.unique(code, return_index=True, return_inverse=True)
    order = np.argsort(heads)
    place = np.empty(len(heads), np.int64)
    place[order] = np.arange(len(heads))
    return place[numbers], heads[order]


def codes(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """A number for each distinct value, null included, in order of appearance."""
    return np.asarray(column.combine_chunks().dictionary_encode(null_encoding="encode").indices, np.int64)


def _answers(items: pa.Table) -> tuple[Floats, Floats]:
    x, y = (np.asarray(pc.fill_null(items[name], np.nan), np.float64) for name in "xy")
    for name, side in (("x", x), ("y", y)):
        if np.any((side != 0) & (side != 1) & np.isfinite(side)):
            raise StoreError(
                f"{name} of the items is averaged over seeds of demonstrations, which is no answer: "
                "hand in the answers of the first seed"
            )
    return x, y


def _bools(first: pa.Table) -> tuple[Floats, Floats]:
    x, y = (np.asarray(pc.fill_null(pc.cast(first[name], pa.float64()), np.nan)) for name in "xy")
    return x, y


def _counts(pair: NDArray[np.int64], pairs: int, x: Floats, y: Floats) -> Counts:
    judged = np.isfinite(x) & np.isfinite(y)
    state = 2 * (1 - x[judged]) + (1 - y[judged])  # 0 both, 1 only x, 2 only y, 3 neither
    found = np.bincount(pair[judged] * 4 + state.astype(np.int64), minlength=4 * pairs).reshape(pairs, 4)
    return Counts(*found.T)


def _exact(only_x: int, only_y: int) -> float:
    found: Any = mcnemar([[0, only_x], [only_y, 0]], exact=True)
    return float(found.pvalue) if only_x + only_y else 1.0


def _corrected(p: Floats, tested: NDArray[np.bool_], method: str) -> Floats:
    found = np.full(len(p), np.nan)
    if tested.any():
        found[tested] = multipletests(p[tested], method=method)[1]
    return found


def _where(mask: NDArray[np.bool_], over: Floats, under: Floats) -> Floats:
    return np.where(mask, over / np.where(mask, under, 1.0), np.nan)
