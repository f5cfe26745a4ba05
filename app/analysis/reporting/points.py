"""What the page's plots draw, as compact JSON: every pair once, by columns, names by number.

A score has four decimals: 2,700 pairs take some 200 kB. Doubly centred scores are computed here, not in the page, so
that the plot shows exactly the cells of the reported correlation; a pair outside its grid has null.
"""

import json
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from app.analysis.estimation import coefficients as co
from app.analysis.estimation import grid as grids
from app.analysis.pairing.pairs import Missing, Pairs


def as_json(found: Pairs) -> str:
    """The JSON text, safe inside a script element.

    `intact` marks pairs of base models that lack no task; `floor` and `ceiling` are sums of 1 for x, 2 for y, 4 for z.
    """
    pairs = found.table
    table = {name: pairs[name].to_pylist() for name in pairs.column_names}
    runs = grids.run_names(pairs)
    names = {key: sorted({str(v) for v in values if v is not None}) for key, values in table.items() if key in _NAMES}
    names["unit"] = sorted(set(runs))
    table["unit"] = runs
    columns: dict[str, object] = {
        key: [None if v is None else place[str(v)] for v in table[key]]
        for key, place in ((key, {name: i for i, name in enumerate(known)}) for key, known in names.items())
    }
    for key in ("x", "y", "z", "x_raw", "y_raw", "z_raw", "x_stderr", "y_stderr", "z_stderr", "chance"):
        columns[key] = [_short(value) for value in table[key]]
    columns["n"] = table["n"]
    for key in ("floor", "ceiling"):
        columns[key] = [sum(1 << "xyz".index(side) for side in sides) for sides in table[key]]
    columns["exposure"] = [_exposure(p, t) for p, t in zip(table["pretrained_on"], table["tuned_on"], strict=True)]
    intact = grids.intact(pairs)
    columns["intact"] = [int(part) for part in intact]
    columns |= _centred(pairs.filter(pa.array(intact)) if intact.any() else pairs, pairs, runs)
    whole = {"names": names, "columns": columns, "missing": _missing(found.missing)}
    return safe(json.dumps(whole, separators=(",", ":"), sort_keys=True, allow_nan=False))


def safe(text: str) -> str:
    """JSON that may stand inside a script element."""
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


_NAMES = ("base", "family", "recipe", "task", "cluster", "role", "metric")


def _missing(found: Sequence[Missing]) -> dict[str, object]:
    """Pairs that could not be made, by columns, names by number."""
    bases, runs = [m.base for m in found], pa.array([m.run for m in found], pa.string())
    columns = {
        "base": bases,
        "unit": grids.run_names(pa.table({"base": bases, "run": runs})),
        "task": [m.task for m in found],
        "reason": [m.reason for m in found],
    }
    names = {key: sorted(set(values)) for key, values in columns.items()}
    numbers = {key: {name: i for i, name in enumerate(known)} for key, known in names.items()}
    return {
        "names": names,
        "columns": {key: [numbers[key][value] for value in values] for key, values in columns.items()},
    }


def _exposure(pretrained_on: bool | None, tuned_on: bool | None) -> int:
    """0 held out from tuning, 1 tuned on, 2 unknown, 3 absent from pretraining."""
    if pretrained_on is False:
        return 3
    return 2 if tuned_on is None else int(tuned_on)


def _short(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else round(value, 4)


def _centred(answering: pa.Table, pairs: pa.Table, runs: Sequence[str]) -> dict[str, object]:
    """Doubly centred x, y and z of each pair that belongs to the grid of those that the answer rests on.

    z stands in a grid of its own, of the pairs that have it: where it is missing, x and y do not go with it.
    """
    found = grids.cells(answering, "base")
    plain, rival = (grids.gridded(found, rival=known) for known in (False, True))
    places = list(zip(runs, pairs["task"].to_pylist(), strict=True))
    x, y, _ = plain.sides
    sides = {"x": (plain, x), "y": (plain, y), "z": (rival, rival.sides.z)}
    return {f"{key}_centred": _placed(grid, side, places) for key, (grid, side) in sides.items()}


def _placed(grid: grids.Grid, side: co.Floats | None, places: Sequence[tuple[str, str]]) -> list[float | None]:
    if side is None or not side.size:
        return [None] * len(places)
    row, column = ({name: at for at, name in enumerate(names)} for names in (grid.runs, grid.tasks))
    flat = co.centred(side, "doubly_centred")
    cells = ((row.get(run), column.get(task)) for run, task in places)
    return [None if i is None or j is None else _short(float(flat[i, j])) for i, j in cells]
