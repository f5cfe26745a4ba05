"""What the report's templates are given: every section's lines, made from the tables.

A section whose table is not there is None or empty, and its template then says nothing.
"""

import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from markupsafe import Markup

from app.analysis.answer import Row, answer, bounds, find, main_filter, marked, number, units
from app.analysis.estimation import grid as grids
from app.analysis.estimation.refusals import MIN_TASKS
from app.analysis.pairing import audits
from app.analysis.pairing.pairs import Pairs
from app.analysis.reporting import effects, explorer, forest, item_summary, of_runs, points, summary, variances
from app.analysis.reporting.change import changes
from app.analysis.reporting.facts import Facts
from app.analysis.reporting.methods import Extent, cautions, methods
from app.analysis.reporting.plain import plain
from app.analysis.vocabulary import INTACT_FILTER, LEVEL_NAMES, METHODS, SHORT
from app.identity import fingerprint
from app.study import Analysis

Shown = dict[str, object]
Records = list[dict[str, Any]]


def view(pairs: Pairs, rows: list[Row], scores: pa.Table, analysis: Analysis, facts: Facts) -> Shown:
    """Name to what the templates show."""
    records: Records = pairs.table.to_pylist()
    labels = {"x": SHORT[analysis.x], "y": SHORT[analysis.y], "z": SHORT[analysis.baseline or analysis.x]}
    return {
        "facts": facts,
        "analysis": analysis,
        "short": SHORT,
        "labels_of": labels,
        "labels": Markup(json.dumps(labels)),  # noqa: S704 - our own words
        "data": Markup(points.as_json(pairs)),  # noqa: S704 - escaped there for a script element
        "fingerprint": fingerprint(sorted(set(scores["fingerprint"].to_pylist()))),
        **_extent(pairs, records, rows, scores, analysis, facts),
        **_estimates(rows),
        **_each(pairs.table, rows),
        **_means(records, rows, scores),
        **_optional(facts, labels),
    }


def _extent(
    pairs: Pairs, records: Records, rows: list[Row], scores: pa.Table, analysis: Analysis, facts: Facts
) -> Shown:
    """How much of the study is there, and the words that depend on it."""
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
    return {
        "answer": marked(answer(rows), len(records), planned),
        "finished": len(records),
        "planned": planned,
        "counts": counts,
        "missing": summary.missing(pairs.missing),
        "lost": max(planned - len(records), len(pairs.missing)),
        "changes": changes(rows, len(records), planned, facts.power.short if facts.power else "", facts.limits),
        "words": methods(rows, analysis, extent),
        "cautions": cautions(rows, analysis, extent, summary.cut_prompts(scores)),
    }


def _estimates(rows: list[Row]) -> Shown:
    """What comes from the correlations alone."""
    return {
        "intact": main_filter(rows) != "all",
        "levels": forest.by_level(rows),
        "subsets": forest.by_subset(rows),
        "single_tasks": forest.by_task(rows),
        "corrected": forest.corrected(rows),
        "unit": units(row.interval for row in rows)[1],
        "methods": _methods(rows),
        "trap": _trap(rows) if find(rows, "pooled", "pearson-delta") else None,
        "rest": [row for row in rows if not row.filter.startswith(("task=", "run="))],
    }


def _each(pairs: pa.Table, rows: list[Row]) -> Shown:
    """Both predictors of one tuned model at a time, of those that the answer rests on."""
    if main_filter(rows) == INTACT_FILTER:
        pairs = pairs.filter(pa.array(grids.intact(pairs)))
    each = of_runs.of_runs(pairs, rows)
    return {
        "each": each,
        "tally": of_runs.tally(each),
        "min_tasks": MIN_TASKS,
        "each_data": Markup(points.safe(json.dumps([{**one._asdict(), "few": one.few} for one in each]))),  # noqa: S704 - escaped
    }


def _means(records: Records, rows: list[Row], scores: pa.Table) -> Shown:
    """Means of scores by base model, task, condition and wording; answers that could not be read."""
    by_condition, places = summary.extraction(scores)
    return {
        "recipes": summary.recipes(records),
        "tuned_on": any(row["tuned_on"] for row in records),
        "held_out": "held out" if all(row["tuned_on"] is not None for row in records) else "not known to be tuned on",
        "bases": summary.by_base(records),
        "tasks": summary.by_task(records, rows),
        "conditions": summary.by_condition(scores),
        "wordings": summary.wordings(scores),
        "extraction": by_condition,
        "worst": places,
    }


def _optional(facts: Facts, labels: dict[str, str]) -> Shown:
    """What is shown only where its table is given."""
    return {
        "limits": effects.effects(facts.limits, labels),
        "agreement": item_summary.by_task(facts.agreement),
        "margins": item_summary.margins(facts.items),
        "splits": variances.splits(facts.components),
        "confounds": plain(facts.confounds),
        "gained": facts.gained,
        "explored": explorer.compared(facts.views),
        "explored_by": explorer.compared_by(facts.views),
        "outcomes": list(explorer.OUTCOMES.values()),
        "overlaps": audits.overlaps(facts.contamination),
        "checked": audits.checked(facts.contamination),
        "renderings": audits.renderings(facts.renderings),
    }


def _trap(rows: list[Row]) -> list[tuple[str, str, str, str]]:
    """Level, predictor, rival and difference as text, as the pairs are and doubly centred."""
    return [(name, *lines[0][1:]) for name, lines in _methods(rows) if name in _TRAP_LEVELS]


_TRAP_LEVELS = (LEVEL_NAMES["pooled"], LEVEL_NAMES["doubly_centred"])


def _methods(rows: list[Row]) -> list[tuple[str, list[tuple[str, str, str, str]]]]:
    """Level, then for each method its predictor, rival and difference as text."""
    table: list[tuple[str, list[tuple[str, str, str, str]]]] = []
    subset = main_filter(rows)
    for level, name in LEVEL_NAMES.items():
        lines: list[tuple[str, str, str, str]] = []
        for method in (*METHODS, "concordance"):
            main = find(rows, level, method, filter=subset)
            delta = find(rows, level, f"{method}-delta", filter=subset)
            names = delta.x.split(" - ") if delta else []
            rival = find(rows, level, method, filter=subset, x=names[1]) if names else _rival(rows, main)
            if main is not None or method in METHODS:
                lines.append((method, _text(main), _text(rival), _text(delta, signed=True)))
        table.append((name, lines))
    return table


def _rival(rows: list[Row], main: Row | None) -> Row | None:
    """The row like `main` with another predictor; None where there is none."""
    if main is None:
        return None
    like = (main.level, main.method, main.filter, main.y)
    return next((r for r in rows if (r.level, r.method, r.filter, r.y) == like and r.x != main.x), None)


def _text(row: Row | None, *, signed: bool = False) -> str:
    return "–" if row is None else f"{number(row.estimate, signed=signed)} {bounds(row, signed=signed)}".rstrip()


def _range(values: Sequence[int]) -> str:
    if not any(values):
        return "an unknown number of"
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
