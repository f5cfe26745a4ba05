"""The picture for a README: pairs as they are, and the same pairs without task difficulty and model strength.

Side by side, because the left panel alone says too much: easy tasks are easy for everyone.
"""

import io
import textwrap
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import pyarrow as pa
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from app.analysis.answer import Answer, Row, bounds, find, main_filter, number
from app.analysis.estimation import coefficients as co
from app.analysis.estimation import grid as grids
from app.analysis.vocabulary import INTACT_FILTER, SHORT

COLOURS = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b",
    "#4aa5dc", "#7e5bc2", "#7a7a00", "#b04060", "#5f6b7a",
)  # fmt: skip
"""Told apart with the common colour-vision deficiencies, the first six by Okabe and Ito."""


class Picture(NamedTuple):
    """The same figure twice."""

    svg: bytes
    png: bytes


def picture(pairs: pa.Table, rows: list[Row], said: Answer, dpi: int = 110) -> Picture:
    """Two panels with the answer as their title; the same pairs give the same bytes."""
    with mpl.rc_context({"svg.hashsalt": "fewtune", "svg.fonttype": "path", "font.size": 10}):
        figure = _draw(pairs, rows, said)
        figure.draw_without_rendering()  # the layout settles in a first drawing
        svg, png = io.BytesIO(), io.BytesIO()
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
        figure.savefig(png, format="png", dpi=dpi, metadata={"Software": None})
    return Picture(svg.getvalue(), png.getvalue())


def _draw(pairs: pa.Table, rows: list[Row], said: Answer) -> Figure:
    subset = main_filter(rows)
    if subset == INTACT_FILTER:
        pairs = pairs.filter(pa.array(grids.intact(pairs)))
    figure = Figure(figsize=(10, 5.6), facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    figure.suptitle("\n".join(textwrap.wrap(said.picture, 88)), fontsize=13, fontweight="bold")
    table = {name: pairs[name].to_pylist() for name in ("family", "x", "y")}
    families = sorted(set(table["family"]))
    x_name, y_name = _axis_names(rows)
    x, y = np.array(table["x"], np.float64), np.array(table["y"], np.float64)
    panel(left, x, y, np.array(table["family"], np.str_), families)
    left.set_title(f"Pairs as they are: {_r(find(rows, 'pooled', filter=subset))}", fontsize=10.5)
    left.set(xlabel=f"{x_name}\n(score, 0 = chance)", ylabel=f"{y_name} (score, 0 = chance)")
    found = grids.cells(pairs, "family")
    grid = grids.gridded(found, rival=False)
    if grid.sides.x.size:
        x, y = co.values(grid.sides.x, "doubly_centred"), co.values(grid.sides.y, "doubly_centred")
        names = np.array(grid.cluster_names, np.str_)[grid.clusters]
        there = np.isfinite(grid.sides.x).ravel()
        panel(right, x, y, np.repeat(names, len(grid.tasks))[there], families)
    right.set_title(f"Task and model means removed: {_r(find(rows, 'doubly_centred', filter=subset))}", fontsize=10.5)
    right.set(xlabel=f"{x_name}\n(rest after task and model means)", ylabel=f"{y_name} (rest)")
    if families:
        handles, labels = left.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=min(len(families), 6), frameon=False)
    return figure


def panel(axes: Any, x: co.Floats, y: co.Floats, family: np.ndarray[Any, Any], families: list[str]) -> None:
    """Points by family and the diagonal, on equal axes."""
    for number_, name in enumerate(families):
        mine = family == name
        colour = COLOURS[number_ % len(COLOURS)]
        axes.scatter(x[mine], y[mine], s=9, color=colour, alpha=0.5, linewidths=0, label=name)
    if x.size:
        low, high = float(min(x.min(), y.min())), float(max(x.max(), y.max()))
        pad = 0.03 * (high - low or 1)
        axes.plot([low, high], [low, high], color="#555555", linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
        axes.set(xlim=(low - pad, high + pad), ylim=(low - pad, high + pad))
    axes.set_aspect("equal")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e4e4e4", linewidth=0.6)
    axes.set_axisbelow(True)


def _axis_names(rows: list[Row]) -> tuple[str, str]:
    main = find(rows, "pooled")
    return (SHORT.get(main.x, main.x), SHORT.get(main.y, main.y)) if main else ("x", "y")


def _r(row: Row | None) -> str:
    if row is None or row.estimate is None:
        return "no estimate"
    return f"r = {number(row.estimate)} {bounds(row)}".rstrip()
