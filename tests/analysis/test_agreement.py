"""Agreement of two sides item by item."""

import math

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.inter_rater import cohens_kappa
from statsmodels.stats.multitest import multipletests

from app import tables
from app.analysis.estimation import agreement as ag
from app.analysis.estimation.agreement import Counts, agreement
from app.analysis.estimation.gains import gained
from app.errors import StoreError


def counted(*cells: tuple[int, int, int, int]) -> Counts:
    return Counts(*np.array(cells, np.int64).T)


def table(rows: list[dict[str, object]]) -> pa.Table:
    plain: dict[str, object] = {
        "study": "made", "base": "b", "family": "f", "params": 1, "run": "r", "recipe": "full", "format": "regular",
        "seed": 0, "task": "t", "cluster": "c", "role": "evaluate", "metric": "accuracy", "x": 0.0, "y": 0.0, "z": None,
        "x_margin": None, "prompt_tokens": 10, "options": 2,
    }  # fmt: skip
    return tables.build("items", [plain | {"item": str(at)} | row for at, row in enumerate(rows)])


def answers(cells: tuple[int, int, int, int], **other: object) -> list[dict[str, object]]:
    """Rows with so many items right on both sides, only in x, only in y, on neither."""
    right = ((1.0, 1.0), (1.0, 0.0), (0.0, 1.0), (0.0, 0.0))
    return [{"x": x, "y": y, **other} for count, (x, y) in zip(cells, right, strict=True) for _ in range(count)]


def test_the_four_cells_of_each_pair_are_counted_and_the_coefficients_follow() -> None:
    cells = {("b", "r", "t"): (40, 10, 20, 30), ("b", "r", "u"): (5, 6, 7, 8), ("b", "s", "t"): (9, 1, 0, 2)}
    rows = [row for (b, r, t), c in cells.items() for row in answers(c, base=b, run=r, task=t)]
    found = agreement(table(rows)).to_pylist()
    assert [(r["base"], r["run"], r["task"]) for r in found] == list(cells)
    for row, (a, b, c, d) in zip(found, cells.values(), strict=True):
        assert (row["both"], row["only_x"], row["only_y"], row["neither"], row["n"]) == (a, b, c, d, a + b + c + d)
        x, y = [1] * (a + b) + [0] * (c + d), [1] * a + [0] * b + [1] * c + [0] * d
        assert row["phi"] == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-12)
        assert row["kappa"] == pytest.approx(cohens_kappa([[a, b], [c, d]]).kappa, abs=1e-12)
        assert row["mcnemar_p"] == pytest.approx(mcnemar([[a, b], [c, d]], exact=True).pvalue, abs=1e-12)
    p = [row["mcnemar_p"] for row in found]
    assert [row["p_holm"] for row in found] == pytest.approx(multipletests(p, method="holm")[1])
    assert [row["q_value"] for row in found] == pytest.approx(multipletests(p, method="fdr_bh")[1])


def test_rows_of_a_pair_need_not_stand_together() -> None:
    rows = answers((2, 3, 4, 5)) + answers((1, 1, 1, 1), task="u")
    mixed = [rows[at] for at in np.random.default_rng(0).permutation(len(rows))]
    counts = {
        r["task"]: (r["both"], r["only_x"], r["only_y"], r["neither"]) for r in agreement(table(mixed)).to_pylist()
    }
    assert counts == {"t": (2, 3, 4, 5), "u": (1, 1, 1, 1)}


def test_kappa_is_that_of_a_published_example() -> None:
    # Two raters of 50 grant proposals: 20 yes-yes, 5, 10, 15 no-no; the usual textbook example, kappa = .4.
    assert ag.kappa(counted((20, 5, 10, 15)))[0] == pytest.approx(0.4, abs=1e-12)


@pytest.mark.parametrize(
    ("cells", "rho", "tolerance"),
    [
        # Kirk (1973), Psychometrika 38, 259-268: joint probabilities of 1/3, .1150267 and .397584 at medians.
        ((2, 1, 1, 2), 0.5, 1e-9),
        ((1150267, 3849733, 3849733, 1150267), -0.75, 1e-6),
        ((397584, 102416, 102416, 397584), 0.8, 1e-5),
        # The same, both margins at one standard deviation: .145003 of .158655.
        ((145003, 13652, 13652, 827693), 0.99, 1e-4),
        # Mplus, as the documentation of R's psych::tetrachoric reports it.
        ((61661, 1610, 85, 20), 0.35, 0.005),
    ],
)
def test_the_tetrachoric_correlation_is_the_published_one(
    cells: tuple[int, int, int, int], rho: float, tolerance: float
) -> None:
    assert ag.tetrachoric(counted(cells))[0] == pytest.approx(rho, abs=tolerance)


def test_the_bivariate_normal_is_scipys_wherever_the_thresholds_lie() -> None:
    rng = np.random.default_rng(0)
    h, k, rho = 1.5 * rng.normal(size=60), 1.5 * rng.normal(size=60), rng.uniform(-0.99, 0.99, 60)
    h[:20], k[10:30] = 0, 0
    wanted = [stats.multivariate_normal.cdf([a, b], cov=[[1, r], [r, 1]]) for a, b, r in zip(h, k, rho, strict=True)]
    np.testing.assert_allclose(ag.bivariate_normal(h, k, rho), wanted, atol=1e-9)


def test_the_tetrachoric_correlation_maximises_the_likelihood() -> None:
    a, b, c, d = 40, 10, 20, 30
    h, k = stats.norm.ppf([0.5, 0.6])

    def likelihood(rho: float) -> float:
        p = float(ag.bivariate_normal(np.array([h]), np.array([k]), np.array([rho]))[0])
        return a * math.log(p) + b * math.log(0.5 - p) + c * math.log(0.6 - p) + d * math.log(p - 0.1)

    (rho,) = ag.tetrachoric(counted((a, b, c, d)))
    assert all(likelihood(rho) > likelihood(rho + step) for step in (-0.01, -0.001, 0.001, 0.01))


@pytest.mark.parametrize("cells", [(0, 0, 5, 5), (5, 5, 0, 0), (0, 4, 0, 6), (10, 0, 0, 0), (0, 0, 0, 1)])
def test_a_side_without_variation_has_no_coefficient(cells: tuple[int, int, int, int]) -> None:
    (row,) = agreement(table(answers(cells))).to_pylist()
    assert row["phi"] is row["kappa"] is row["tetrachoric"] is None
    assert row["mcnemar_p"] is not None


def test_an_empty_cell_has_a_phi_but_no_tetrachoric_correlation() -> None:
    (row,) = agreement(table(answers((5, 0, 0, 5)))).to_pylist()
    assert row["phi"] == row["kappa"] == 1
    assert row["tetrachoric"] is None
    assert row["mcnemar_p"] == 1


def test_a_mean_over_seeds_is_refused_unless_the_first_seed_is_handed_in() -> None:
    items = table([{"x": 0.5, "y": 1.0}, {"x": 1.0, "y": 0.0}])
    with pytest.raises(StoreError, match="averaged over seeds"):
        agreement(items)
    first = pa.table({"x": [True, True], "y": [True, False]})
    (row,) = agreement(items, first).to_pylist()
    assert (row["both"], row["only_x"], row["only_y"], row["neither"]) == (1, 1, 0, 0)


def test_items_that_were_not_judged_count_nowhere() -> None:
    (row, other) = agreement(table([*answers((1, 1, 1, 1)), {"x": None}, {"x": None, "task": "u"}])).to_pylist()
    assert row["n"] == 4
    assert other["n"] == 0
    assert other["mcnemar_p"] is other["p_holm"] is other["q_value"] is other["phi"] is None
    assert row["p_holm"] == row["mcnemar_p"]


def test_no_items_make_no_rows() -> None:
    assert agreement(table([])).num_rows == 0
    assert gained(table([])) == []


def test_what_only_tuned_models_solve_is_told_by_task_length_and_margin() -> None:
    rows: list[dict[str, object]] = []
    for at in range(90):  # one pair: the base solves nothing of task t, the tuned model its short items
        rows.append({"item": f"t{at}", "prompt_tokens": 10 + at, "y": float(at < 30), "x_margin": -1.0})
    for at in range(30):  # and half of task u, whose prompts are of one length
        rows.append({"item": f"u{at}", "task": "u", "y": float(at % 2), "x": float(at < 10), "x_margin": at / 10})
    found = {(one.by, one.group): one for one in gained(table(rows))}
    whole = found["all", "all items"]
    assert (whole.wrong_before, whole.gained) == (110, 40)
    assert whole.of_base_rate == 1
    assert whole.only_tuned == 40
    t, u = found["task", "t"], found["task", "u"]
    assert (t.wrong_before, t.gained, u.wrong_before, u.gained) == (90, 30, 20, 10)
    assert t.share == pytest.approx(1 / 3)
    assert u.of_base_rate == pytest.approx(0.5 / (40 / 110))
    short, middle, long_ = (found["prompt length", f"{third} third"] for third in ("shortest", "middle", "longest"))
    assert (short.gained, middle.gained, long_.gained) == (30, 0, 0)  # task u takes no part
    assert short.wrong_before == 30
    margins = [found["margin of the base model", f"{third} third"] for third in ("lowest", "middle", "highest")]
    assert sum(one.wrong_before for one in margins) == 20  # task t has one margin


def test_thirds_are_of_each_pair_so_that_a_fine_tokenizer_is_not_told_as_length() -> None:
    rows: list[dict[str, object]] = []
    for base, times in (("b", 1), ("c", 10)):
        rows += [{"base": base, "item": f"t{at}", "prompt_tokens": times * (10 + at), "y": 1.0} for at in range(30)]
    found = {(one.by, one.group): one for one in gained(table(rows))}
    assert [found["prompt length", f"{third} third"].gained for third in ("shortest", "middle", "longest")] == [20] * 3


def test_an_item_that_any_base_model_solves_is_not_solved_by_tuning_alone() -> None:
    rows = [
        {"item": "i", "x": 0.0, "y": 1.0},
        {"item": "i", "base": "c", "x": 1.0, "y": 1.0},
        {"item": "j", "x": 0.0, "y": 1.0},
    ]
    whole = gained(table(rows))[0]
    assert (whole.wrong_before, whole.gained, whole.only_tuned) == (2, 2, 1)


def test_a_base_model_that_is_never_wrong_leaves_nothing_to_gain() -> None:
    whole = gained(table([{"x": 1.0, "y": 1.0}, {"x": 1.0, "y": 0.0}]))[0]
    assert (whole.wrong_before, whole.gained, whole.share, whole.of_base_rate) == (0, 0, None, None)
