"""The report's figures as SVG files, for papers and slides: one drawing each, the same tables give the same bytes."""

import io
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import matplotlib as mpl
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from app.analysis.answer import Row, bounds, find, main_filter, number
from app.analysis.estimation import grid as grids
from app.analysis.estimation.refusals import MIN_TASKS
from app.analysis.reporting.effects import effects
from app.analysis.reporting.figure import COLOURS, panel
from app.analysis.reporting.forest import two_way
from app.analysis.reporting.of_runs import OfRun, of_runs, tally
from app.analysis.vocabulary import INTACT_FILTER, LEVEL_NAMES, SHORT

_SIZES = {
    "grid": (7.6, 5.0),
    "scatter": (5.6, 5.8),
    "slopes": (5.2, 6.0),
    "forest": (7.6, 5.0),
    "trap": (10.0, 5.6),
    "limit": (7.6, 3.6),
}
_SHADES = ("#eef2f6", "#6aa7d4", "#0a3763")
_KINDS = {"x": COLOURS[0], "y": COLOURS[2], "z": COLOURS[1], "delta": COLOURS[9]}


def figures(pairs: pa.Table, rows: list[Row], limits: pa.Table | None = None) -> dict[str, bytes]:
    """Name to SVG: scatter, slopes, forest, grid; trap where the study has a baseline, limit where it has the test.

    The trap has a third panel where there are tuned models enough; in it the group "run=NAME" is the dot of that one.
    """
    main = find(rows, "pooled")
    if main is None or not pairs.num_rows:
        return {}
    whole = pairs
    if main_filter(rows) == INTACT_FILTER:
        pairs = pairs.filter(pa.array(grids.intact(pairs)))
    drawings: dict[str, Callable[[Figure], None]] = {
        "scatter": partial(_scatters, pairs, rows, ("x",)),
        "slopes": partial(_slopes, pairs, main),
        "forest": partial(_forest, rows),
        "grid": partial(_grid, whole, main),
    }
    if pairs["z"].null_count < pairs.num_rows:
        drawings["trap"] = partial(_scatters, pairs, rows, ("x", "z"))
        if each := of_runs(pairs, rows):
            drawings["trap"] = partial(_scatters, pairs, rows, ("x", "z"), each=each)
    if limits is not None and limits.num_rows:
        drawings["limit"] = partial(_limit, limits, main)
    return {name: _svg(draw, _SIZES[name]) for name, draw in drawings.items()}


def _svg(draw: Callable[[Figure], None], size: tuple[float, float]) -> bytes:
    with mpl.rc_context({"svg.hashsalt": "fewtune", "svg.fonttype": "path", "font.size": 10}):
        figure = Figure(figsize=size, facecolor="white", layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure)
        figure.draw_without_rendering()  # the layout settles in a first drawing
        out = io.BytesIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return out.getvalue()


def _scatters(
    pairs: pa.Table, rows: list[Row], sides: tuple[str, ...], figure: Figure, each: Sequence[OfRun] = ()
) -> None:
    """One panel for each predictor, its r as it is and doubly centred above it; then one of `each` tuned model."""
    subset = main_filter(rows)
    both = pairs.filter(pc.field("z").is_valid()) if len(sides) > 1 else pairs
    table = {name: np.array(both[name].to_pylist(), np.float64) for name in "xyz"}
    family = np.array(both["family"].to_pylist(), np.str_)
    known = sorted(set(family.tolist()))
    if each:
        figure.set_size_inches(15.0, 5.6)
    axes: list[Any] = list(np.atleast_1d(figure.subplots(1, len(sides) + bool(each))))
    if each:
        _each(axes.pop(), each, known)
    for one, side in zip(axes, sides, strict=True):
        panel(one, table[side], table["y"], family, known)
        found = [_by_side(rows, level, subset, side) for level in ("pooled", "doubly_centred")]
        texts = [f"{number(row.estimate)} {bounds(row)}".rstrip() if row else "none" for row in found]
        one.set_title(f"r = {texts[0]}; task and model\nmeans removed: {texts[1]}", fontsize=10)
        row = found[0]
        one.set(xlabel=f"{SHORT.get(row.x, row.x) if row else side} (score, 0 = chance)")
    main = find(rows, "pooled", filter=subset)
    axes[0].set(ylabel=f"{SHORT.get(main.y, main.y) if main else 'y'} (score, 0 = chance)")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(known), 3 * len(sides)), frameon=False)


def _each(axes: Any, found: Sequence[OfRun], families: list[str]) -> None:
    """Few-shot against zero-shot: below the diagonal zero-shot scores are the closer."""
    for one in found:
        colour = COLOURS[families.index(one.family) % len(COLOURS)]
        fill = "none" if one.few else colour
        axes.plot([one.z], [one.x], "o", color=colour, markerfacecolor=fill, alpha=0.85, gid=f"run={one.run}")
    count = tally(found)
    low = min(end for one in found for end in (one.x, one.z)) - 0.1
    axes.plot([low, 1.04], [low, 1.04], color="#555555", linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
    axes.set(xlim=(low, 1.04), ylim=(low, 1.04), xlabel="rho of zero-shot scores", ylabel="rho of few-shot scores")
    few = f"; hollow: fewer than {MIN_TASKS} tasks" if any(one.few for one in found) else ""
    said = f"Each tuned model: zero-shot is closer for {count.rival} of {count.of}"
    axes.set_title(f"{said},\nfew-shot for {count.predictor}{few}", fontsize=10)
    axes.set_aspect("equal")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e4e4e4", linewidth=0.6)
    axes.set_axisbelow(True)


def _by_side(rows: list[Row], level: str, subset: str, side: str) -> Row | None:
    main = find(rows, level, filter=subset)
    delta = find(rows, level, "pearson-delta", filter=subset)
    if side == "x" or main is None:
        return main
    return find(rows, level, filter=subset, x=delta.x.split(" - ")[1]) if delta else None


def _slopes(pairs: pa.Table, main: Row, figure: Figure) -> None:
    """Means over tasks, a line from each base model to each of its tuned models."""
    axes = figure.subplots()
    runs = np.array(grids.run_names(pairs), np.str_)
    x, y = (np.array(pairs[name].to_pylist(), np.float64) for name in "xy")
    family = np.array(pairs["family"].to_pylist(), np.str_)
    for number_, name in enumerate(sorted(set(family.tolist()))):
        colour = COLOURS[number_ % len(COLOURS)]
        mine = sorted(set(runs[family == name].tolist()))
        ends = np.array([(x[runs == run].mean(), y[runs == run].mean()) for run in mine])
        axes.plot([0, 1], ends.T, color=colour, linewidth=0.8, alpha=0.45)
        axes.plot([0, 1], ends.mean(0), color=colour, linewidth=2.6, label=name, marker="o", markersize=4)
    axes.set_xticks([0, 1], [SHORT.get(main.x, main.x), SHORT.get(main.y, main.y)])
    axes.set(xlim=(-0.08, 1.08), ylabel="mean score over tasks (0 = chance)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e4e4e4", linewidth=0.6)
    figure.legend(loc="outside lower center", ncols=4, frameon=False)


def _grid(pairs: pa.Table, main: Row, figure: Figure) -> None:
    """Base models x tasks, the strongest and the easiest first: the predictor above, means after tuning below."""
    bases, tasks = (np.array(pairs[name].to_pylist(), np.str_) for name in ("base", "task"))
    rows, row = np.unique(bases, return_inverse=True)
    columns, column = np.unique(tasks, return_inverse=True)
    place, count = row * len(columns) + column, len(rows) * len(columns)
    sums = [np.bincount(place, np.array(pairs[side].to_pylist(), np.float64), count) for side in "xy"]
    with np.errstate(invalid="ignore"):
        cells = np.array(sums) / np.bincount(place, minlength=count)  # NaN where there is no pair
    cells = cells.reshape(2, len(rows), len(columns)).swapaxes(0, 1)
    down, across = (np.argsort(-np.nanmean(cells, axis=axes), kind="stable") for axes in ((1, 2), (0, 1)))
    figure.set_size_inches(max(6.4, 2.4 + 0.24 * len(columns)), 1.9 + 0.26 * len(rows))
    axes = figure.subplots()
    axes.patch.set(hatch="/////", edgecolor="#d99a1c", facecolor="white")
    colours = LinearSegmentedColormap.from_list("score", _SHADES)
    drawn = axes.imshow(cells[down][..., across].reshape(-1, len(columns)), colours, vmin=0, vmax=1, aspect="auto")
    axes.set_yticks(np.arange(len(rows)) * 2 + 0.5, rows[down], fontsize=8)
    slanted: dict[str, Any] = {"rotation": 60, "ha": "left", "rotation_mode": "anchor"}
    axes.set_xticks(np.arange(len(columns)), columns[across], fontsize=8, **slanted)
    axes.tick_params(length=0, labeltop=True, labelbottom=False)
    for edge in range(1, len(rows)):
        axes.axhline(2 * edge - 0.5, color="white", linewidth=2.5)
    for edge in range(1, len(columns)):
        axes.axvline(edge - 0.5, color="white", linewidth=1.2)
    axes.spines[:].set_visible(False)
    sides = f"above: {SHORT.get(main.x, main.x)}; below: {SHORT.get(main.y, main.y)}; hatched: no pair"
    figure.colorbar(
        drawn, ax=axes, orientation="horizontal", shrink=0.6, aspect=40, label=f"score, 0 = chance\n{sides}"
    )


def _forest(rows: list[Row], figure: Figure) -> None:
    """Every level: predictor, rival and difference with their intervals."""
    axes = figure.subplots()
    labels: list[str] = []
    for level, name in LEVEL_NAMES.items():
        for at, (label, kind, row) in enumerate(two_way(rows, level)):
            if row.estimate is not None:
                _bar(axes, len(labels), row.estimate, row.ci_low, row.ci_high, kind)
            labels.append(label if at else f"{name}:  {label}")
    _finish(axes, labels, "Pearson's r, 95 % interval")


def _limit(limits: pa.Table, main: Row, figure: Figure) -> None:
    """Effects of leaving tasks out of pretraining, over families and sizes."""
    names = {"x": SHORT.get(main.x, main.x), "y": SHORT.get(main.y, main.y), "z": "base, zero-shot"}
    rows = [row for row in limits.to_pylist() if row["family"] == "all"]
    rows.sort(key=lambda r: (r["tuned_on"], "xyz".index(r["side"])))
    axes = figure.subplots()
    labels: list[str] = []
    for at, row in enumerate(rows):
        where = "tuned on" if row["tuned_on"] else "held out from tuning"
        labels.append(f"{where}:  {names[row['side']]}")
        if row["effect"] is not None:
            _bar(axes, at, row["effect"], row["ci_low"], row["ci_high"], row["side"])
    found = effects(limits, names)
    metric = found.metric.replace("_", " ") if found else "score"
    _finish(axes, labels, f"{metric}: pretrained without less with, 95 % interval")


def _bar(axes: Any, at: int, value: float, low: float | None, high: float | None, kind: str) -> None:
    if low is not None and high is not None:
        axes.plot([low, high], [at, at], color=_KINDS[kind], linewidth=2)
    axes.plot([value], [at], color=_KINDS[kind], marker="s" if kind == "delta" else "o", markersize=6)


def _finish(axes: Any, labels: list[str], name: str) -> None:
    axes.axvline(0, color="#555555", linewidth=0.9, zorder=0)
    axes.set_yticks(range(len(labels)), labels)
    axes.set(xlabel=name, ylim=(len(labels) - 0.4, -0.6))
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#e4e4e4", linewidth=0.6)
    axes.set_axisbelow(True)
