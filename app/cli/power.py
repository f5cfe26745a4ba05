"""What a planned study could tell, as tables for the terminal."""

import math
from collections.abc import Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from app.analysis.design.designs import planned as planned_design
from app.analysis.design.power import Power, error, simulate
from app.analysis.design.prospects import Option, advice
from app.analysis.vocabulary import LEVEL_NAMES
from app.grammar import counted
from app.plan import Plan


def power_shown(planned: Plan) -> list[RenderableType]:
    """What the planned study could tell, by simulation: widths, coverage and power, what to add first, cautions."""
    found = simulate(planned_design(planned))
    advised = advice(found)
    design = found.design
    shown: list[RenderableType] = [] if found.refusal else [_power_table(found)]
    if not all(option.power.refusal for option in advised.options):
        shown.append(_growth_table(advised.options))
    counts = (
        (len(design.runs), "tuned model"),
        (int(design.clusters.max()) + 1, f"cluster by {design.cluster_by}"),
        (design.tasks, "task"),
        (design.items, "item"),
    )
    told = (
        f"{found.experiments} simulated studies of {', '.join(_counted(*pair) for pair in counts)}; "
        f"{advised.options[0].power.experiments} of each larger one; in brackets the Monte-Carlo standard error in "
        "points. The simulated world is a guess: it compares designs, and promises no width."
    )
    lines = [told, f"{advised.first}.", *(f"caution: {line}." for line in advised.warnings)]
    return [*shown, Text("\n".join(lines))]


def _growth_table(options: Sequence[Option]) -> Table:
    """One row a way to make the study larger, the best first."""
    title = "With half as many again, rounded up; task and model means removed"
    table = Table(box=None, padding=(0, 1, 0, 0), title=title)
    rival = options[0].power.design.rival
    for header in ("of", "r", *(("difference", "power") if rival else ())):
        table.add_column(header, justify="left" if header == "of" else "right", no_wrap=True)
    for option in options:
        row = option.power.at("doubly_centred")
        cells = (option.said, _width(row.half_width))
        more = (_width(row.delta_half_width), _power(row.power, option.power.experiments)) if rival else ()
        table.add_row(*cells, *more)
    return table


def _counted(count: int, what: str) -> str:
    """A number with its noun, which stands first in `what` where that has several words."""
    noun, by, rest = what.partition(" by ")
    return f"{counted(count, noun)}{by}{rest}"


def _power_table(found: Power) -> Table:
    """One row a level; the difference is few-shot less zero-shot."""
    rival = found.design.rival
    title = "Expected 95 % intervals" + (", and power for the difference" if rival else "")
    table = Table(box=None, padding=(0, 1, 0, 0), title=title)
    of_difference = ("difference", "interval", "power") if rival else ()
    for header in ("Pearson's r", "r", "interval", "coverage", *of_difference):
        table.add_column(header, justify="left" if header == "Pearson's r" else "right", no_wrap=True)
    for level, name in LEVEL_NAMES.items():
        row = found.at(level)
        coverage = _power(row.coverage, found.experiments)
        cells = (name, f"{row.true_r:.2f}", _width(row.half_width), coverage)
        power = _power(row.power, found.experiments)
        more = (f"{row.true_delta:+.2f}", _width(row.delta_half_width), power) if rival else ()
        table.add_row(*cells, *more)
    return table


def _width(half: float) -> str:
    return "none" if math.isnan(half) else f"±{half:.3f}"


def _power(share: float, experiments: int) -> str:
    """A share in per cent, with its Monte-Carlo error."""
    return "-" if math.isnan(share) else f"{share:.0%} ({100 * error(share, experiments):.0f})"
