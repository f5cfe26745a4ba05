"""Tables to one self-contained page, a Markdown twin and the README's picture.

The page is hand-written SVG and some vanilla JavaScript: 2,700 pairs take about half a megabyte, open from file:// in
an instant and need no bundle, which for a plotting library is 1 to 5 MB and neither prints nor obeys the keyboard as
well. Its content security policy forbids every external resource. The same tables give the same bytes: there is no
clock in here, only what the caller states in `Facts`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import jinja2
import pyarrow as pa
from markupsafe import Markup

from app.analysis import audits, forest, limit, points, summary
from app.analysis.answer import Row, answer, bounds, find, main_filter, number, rows_of
from app.analysis.figure import picture
from app.analysis.methods import Extent, cautions, methods
from app.analysis.pairs import Pairs
from app.analysis.vocabulary import LEVEL_NAMES, METHODS, SHORT
from app.identity import fingerprint
from app.study import Analysis

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Facts:
    """What the tables do not say about how they came to be; all of it optional but the study's name."""

    study: str
    description: str = ""
    """A sentence about the study."""
    command: str = ""
    """The command that makes all of this again."""
    study_text: str = ""
    """The study file, as it was run."""
    versions: Mapping[str, str] = field(default_factory=dict[str, str])
    """Package to version."""
    seeds: Mapping[str, str] = field(default_factory=dict[str, str])
    """What was seeded, and with what."""
    seconds: Mapping[str, float] = field(default_factory=dict[str, float])
    """Stage to wall seconds."""
    failed: Sequence[tuple[str, str]] = ()
    """Cells that failed, and why."""
    fingerprints: Mapping[str, str] = field(default_factory=dict[str, str])
    """What the results rest on, to its fingerprint."""
    ladder: bool = False
    """Base models were pretrained by the study itself: the ladder's cautions apply."""
    planned_pairs: int | None = None
    """Pairs that the whole study has; left out: those of the runs that have begun."""
    contamination: pa.Table | None = None
    """The table "contamination"."""
    renderings: pa.Table | None = None
    """The table "renderings"."""
    made: str = ""
    """When, in words; empty: nothing is said."""


def render(
    pairs: Pairs, correlations: pa.Table, scores: pa.Table, analysis: Analysis, facts: Facts
) -> dict[str, bytes]:
    """File name to content: index.html, report.md, pairs.svg, pairs.png."""
    rows = rows_of(correlations)
    view = _view(pairs, rows, scores, analysis, facts)
    drawn = picture(pairs.table, rows, answer(rows))
    return {
        "index.html": _environment(html=True).get_template("report.html.j2").render(view).encode(),
        "report.md": _environment(html=False).get_template("report.md.j2").render(view).encode(),
        "pairs.svg": drawn.svg,
        "pairs.png": drawn.png,
    }


def _view(pairs: Pairs, rows: list[Row], scores: pa.Table, analysis: Analysis, facts: Facts) -> dict[str, object]:
    records = pairs.table.to_pylist()
    worst_condition, worst_places = summary.extraction(scores)
    planned = facts.planned_pairs or len(records) + len(pairs.missing)
    items = _range([row["n"] for row in records])
    counts = {
        "bases": len({row["base"] for row in records}),
        "families": len({row["family"] for row in records}),
        "runs": len({(row["base"], row["run"]) for row in records if row["run"] is not None}),
        "tasks": len({row["task"] for row in records}),
    }
    shots = max((row["x_shots"] for row in records), default=0)
    extent = Extent(
        counts["families"], counts["bases"], counts["tasks"], items, shots, planned - len(records), facts.ladder
    )
    limits = limit.limit_test(scores, analysis)
    labels = {"x": SHORT[analysis.x], "y": SHORT[analysis.y], "z": SHORT[analysis.baseline or analysis.x]}
    return {
        "facts": facts,
        "analysis": analysis,
        "answer": answer(rows),
        "intact": main_filter(rows) != "all",
        "finished": len(records),
        "planned": planned,
        "counts": counts,
        "missing": summary.missing(pairs.missing),
        "levels": forest.by_level(rows),
        "subsets": forest.by_subset(rows),
        "methods": _methods(rows),
        "recipes": summary.recipes(records),
        "bases": summary.by_base(records),
        "tasks": summary.by_task(records, rows),
        "limits": limits,
        "overall": limit.overall(limits),
        "conditions": summary.by_condition(scores),
        "wordings": summary.wordings(scores),
        "overlaps": audits.overlaps(facts.contamination),
        "checked": audits.checked(facts.contamination),
        "renderings": audits.renderings(facts.renderings),
        "extraction": worst_condition,
        "worst": worst_places,
        "rest": [row for row in rows if not row.filter.startswith("task=")],
        "words": methods(rows, analysis, extent),
        "cautions": cautions(analysis, extent, summary.cut_prompts(scores)),
        "labels": Markup(json.dumps(labels)),  # noqa: S704 - our own words
        "fingerprint": fingerprint(sorted(set(scores["fingerprint"].to_pylist()))),
        "data": Markup(points.as_json(pairs.table)),  # noqa: S704 - escaped there for a script element
        "short": SHORT,
    }


def _methods(rows: list[Row]) -> list[tuple[str, list[tuple[str, str, str, str]]]]:
    """Level, then for each method its predictor, rival and difference as text."""
    table: list[tuple[str, list[tuple[str, str, str, str]]]] = []
    subset = main_filter(rows)
    for level, name in LEVEL_NAMES.items():
        lines: list[tuple[str, str, str, str]] = []
        for method in METHODS:
            main = find(rows, level, method, filter=subset)
            delta = find(rows, level, f"{method}-delta", filter=subset)
            rival = find(rows, level, method, filter=subset, x=delta.x.split(" - ")[1]) if delta else None
            lines.append((method, _text(main), _text(rival), _text(delta, signed=True)))
        table.append((name, lines))
    return table


def _text(row: Row | None, *, signed: bool = False) -> str:
    return "–" if row is None else f"{number(row.estimate, signed=signed)} {bounds(row, signed=signed)}".rstrip()


def _range(values: Sequence[int]) -> str:
    if not values:
        return "0"
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _environment(*, html: bool) -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=html,  # noqa: S701 - off for Markdown alone
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    made.filters |= {"number": number, "percent": _percent, "count": _count, "cell": _cell, "size": _size}
    return made


def _percent(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{100 * value:.{digits}f}".replace("-", "−")


def _count(value: int) -> str:
    return f"{value:,}"


def _size(params: int) -> str:
    """Parameters as 43 k, 1.3 B."""
    for unit, name in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if params >= unit:
            return f"{params / unit:.3g} {name}"
    return str(params)


def _cell(text: object) -> str:
    """A text inside a cell of a Markdown table."""
    return str(text).replace("|", "\\|").replace("\n", " ")
