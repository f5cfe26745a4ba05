"""The lines of the report's sections, from their tables."""

import math
from typing import NamedTuple
from xml.etree import ElementTree

import made_tables
import numpy as np
import pyarrow as pa
import pytest
from made_tables import World, scores

from app import tables
from app.analysis.answer import find, rows_of
from app.analysis.estimation.correlation import correlations
from app.analysis.pairing.pairs import Pairs, pairs
from app.analysis.reporting import item_summary
from app.analysis.reporting.effects import effects
from app.analysis.reporting.facts import Facts
from app.analysis.reporting.figures import figures
from app.analysis.reporting.forest import by_task, corrected, scale
from app.analysis.reporting.plain import plain
from app.analysis.reporting.report import render
from app.analysis.reporting.variances import splits
from app.analysis.vocabulary import INTACT_FILTER
from app.study import Analysis

NAMES = {"x": "base, few-shot", "y": "tuned, zero-shot"}


@pytest.fixture(scope="module")
def made() -> tuple[Pairs, pa.Table, pa.Table]:
    table = scores(World(bases=2, recipes=1, tasks=12))
    found = pairs(table, Analysis())
    return found, made_tables.with_more(correlations(found.table, Analysis(), "made")), table


def test_agreement_sums_items_and_takes_medians_over_pairs(made: tuple[Pairs, pa.Table, pa.Table]) -> None:
    table = made_tables.agreement(made[0].table)
    rows = table.to_pylist()
    everything, *tasks = item_summary.by_task(table)
    assert everything.task == "all tasks"
    assert len(tasks) == 12
    assert sum(task.pairs for task in tasks) == everything.pairs == len(rows) == 144
    assert math.isclose(everything.both + everything.only_x + everything.only_y + everything.neither, 1)
    assert everything.both == sum(row["both"] for row in rows) / sum(row["n"] for row in rows)
    assert everything.phi.median == np.median([row["phi"] for row in rows if row["phi"] is not None])
    clear = [row["only_y"] > row["only_x"] for row in rows if row["p_holm"] < 0.05]
    assert (everything.improved, everything.worsened) == (sum(clear), len(clear) - sum(clear))
    assert [task.phi.median for task in tasks] == sorted((task.phi.median for task in tasks), reverse=True)


def test_agreement_without_any_variance_has_no_coefficient(made: tuple[Pairs, pa.Table, pa.Table]) -> None:
    table = made_tables.agreement(made[0].table).slice(0, 1)  # the made table leaves out the first phi
    for line in item_summary.by_task(table):
        assert line.phi == item_summary.Spread(None, None, None, ())
    assert item_summary.by_task(table.slice(0, 0)) == item_summary.by_task(None) == []


def test_margins_split_the_items_in_tenths(made: tuple[Pairs, pa.Table, pa.Table]) -> None:
    table = made_tables.items(made[0].table, 10)
    found = item_summary.margins(table)
    assert [line.items for line in found] == 10 * [144]
    assert [line.middle for line in found] == sorted(line.middle for line in found)
    assert math.isclose(np.mean([line.y for line in found]), np.mean(table["y"].to_pylist()))
    assert item_summary.margins(table.slice(0, 9)) == item_summary.margins(None) == []
    flat = table.set_column(table.column_names.index("x_margin"), "x_margin", pa.nulls(len(table), pa.float64()))
    assert item_summary.margins(flat) == []


def test_components_share_the_variance_and_a_refusal_keeps_its_reason() -> None:
    found = splits(made_tables.components())
    assert [(split.x, split.noise) for split in found] == [
        ("base-few-shot", "inside"), ("base-zero-shot", "inside"), ("base-few-shot", "removed"),
    ]  # fmt: skip
    for split in found:
        assert [line.component for line in split.lines] == ["task", "model", "interaction"]
        assert math.isclose(sum(line.x_share or 0 for line in split.lines), 1)
    refused = found[2].lines[2]
    assert (refused.correlation, refused.interval, refused.note) == ("–", "", "not estimable: reliability below .4")


def test_a_negative_component_takes_no_share_and_a_missing_one_leaves_none() -> None:
    table = made_tables.components().slice(0, 3)
    rows = table.to_pylist()
    rows[1]["x_variance"], rows[2]["y_variance"] = -0.01, None
    task, model, interaction = splits(pa.Table.from_pylist(rows, schema=table.schema))[0].lines
    assert (model.x_variance, model.x_share) == (-0.01, 0)
    assert math.isclose((task.x_share or 0) + (interaction.x_share or 0), 1)
    assert task.y_share is None


def test_effects_come_in_points_with_overall_lines_apart() -> None:
    found = effects(made_tables.limits(), NAMES)
    assert found is not None
    assert [(line.group, line.side, line.effect, line.interval) for line in found.overall] == [
        ("held out from tuning", "base, few-shot", "−42.0", "[−50.0, −34.0]"),
        ("held out from tuning", "tuned, zero-shot", "−44.0", "[−52.0, −36.0]"),
        ("tuned on", "base, few-shot", "−42.0", "[−50.0, −34.0]"),
        ("tuned on", "tuned, zero-shot", "−5.0", "[−13.0, +3.0]"),
    ]
    lone = [line for line in found.single if line.label.startswith("opt")]
    assert {(line.interval, line.bar.low, line.note) for line in lone} == {("", None, "no interval: one base model")}
    assert effects(None, NAMES) is effects(made_tables.limits().slice(0, 0), NAMES) is None


def test_corrected_coefficients_stand_below_the_raw_ones(made: tuple[Pairs, pa.Table, pa.Table]) -> None:
    rows = rows_of(made[1])
    lines = corrected(rows).lines
    assert [line.label for line in lines if line.group == "task and model means removed"] == [
        "base, few-shot", "base, few-shot, corrected", "base, zero-shot", "base, zero-shot, corrected", "difference",
        "difference, corrected",
    ]  # fmt: skip
    refused = next(line for line in lines if line.label == "base, zero-shot, corrected")
    assert (refused.estimate, refused.bar.at) == ("–", None)
    assert "not estimable" in refused.note
    assert corrected([row for row in rows if not row.method.startswith("pearson-corrected")]).lines == []
    both = [*rows, *(row._replace(filter=INTACT_FILTER) for row in rows if row.filter == "all")]
    assert corrected(both).lines == lines  # a second set of equal names would say nothing of what it rests on


def test_tasks_stand_in_the_order_of_their_correlation(made: tuple[Pairs, pa.Table, pa.Table]) -> None:
    rows = rows_of(made[1])
    lines = by_task(rows).lines
    assert len(lines) == 12
    found = [find(rows, "pooled", filter=f"task={line.label}") for line in lines]
    estimates = [row.estimate for row in found if row]
    assert estimates == sorted(estimates, reverse=True)


@pytest.mark.parametrize(("ends", "expected"), [((0.2, 0.7), (-1, 10)), ((-0.45, 1.31), (-5, 14)), ((None,), (-1, 10))])
def test_the_scale_of_a_forest_holds_every_end(ends: tuple[float | None, ...], expected: tuple[int, int]) -> None:
    found = scale(ends)
    assert tuple(found) == expected
    assert (found.place(found.low / 10), found.place(found.high / 10)) == (0.0, 1000.0)


class Line(NamedTuple):
    task_name: str
    items: int
    share: float | None
    tasks: tuple[str, ...]
    kept: bool


def test_named_tuples_become_cells_with_numbers_to_the_right() -> None:
    found = plain([Line("<a>", 1200, -0.5, ("b", "c"), True), Line("d", 3, None, (), False)])
    assert found is not None
    assert [(cell.text, cell.right) for cell in found.headings] == [
        ("task name", False), ("items", True), ("share", True), ("tasks", False), ("kept", False),
    ]  # fmt: skip
    assert [[cell.text for cell in row] for row in found.rows] == [
        ["<a>", "1,200", "−0.5", "b, c", "yes"], ["d", "3", "–", "", "no"],
    ]  # fmt: skip
    assert plain([]) is None


def test_every_figure_is_drawn_twice_alike(made: tuple[Pairs, pa.Table, pa.Table]) -> None:
    rows = rows_of(made[1])
    found = figures(made[0].table, rows, made_tables.limits())
    assert sorted(found) == ["forest", "grid", "limit", "scatter", "slopes", "trap"]
    assert found == figures(made[0].table, rows, made_tables.limits())
    for content in found.values():
        assert ElementTree.fromstring(content).tag.endswith("svg")  # noqa: S314 - our own drawing


def test_figures_need_what_they_show(made: tuple[Pairs, pa.Table, pa.Table]) -> None:
    analysis = Analysis(baseline=None)
    found = pairs(made[2], analysis)
    drawn = figures(found.table, rows_of(correlations(found.table, analysis, "made")))
    assert sorted(drawn) == ["forest", "grid", "scatter", "slopes"]
    assert figures(found.table.slice(0, 0), []) == {}


SECTIONS = {
    "noise": "Noise of the items",
    "items": "Agreement item by item",
    "explorer": None,
    "limit": "Limit test: can tuning supply what pretraining lacked?",
    "power": "What a study of this size can tell",
    "confounds": "Confounds between the two sides",
}


def test_a_section_stands_only_where_its_table_is_given(made: tuple[Pairs, pa.Table, pa.Table]) -> None:
    found, rows, table = made
    whole = Facts(
        "made",
        agreement=made_tables.agreement(found.table),
        components=made_tables.components(),
        limits=made_tables.limits(),
        confounds=made_tables.CONFOUNDS,
        gained=made_tables.GAINED,
        views=made_tables.views(),
        power=made_tables.OUTLOOK,
    )
    plain_rows = correlations(found.table, Analysis(), "made")
    for facts, table_of, there in ((whole, rows, True), (Facts("made"), plain_rows, False)):
        files = render(found, table_of, table, Analysis(), facts)
        page, twin = files["index.html"].decode(), files["report.md"].decode()
        for name, title in SECTIONS.items():
            assert (f'<section id="{name}">' in page) == (f'href="#{name}"' in page) == there
            assert title is None or (f"## {title}\n" in twin) == there
        for name in ("figures/limit.svg", "tables/components.tex", "data/agreement.csv", "data/gained.csv"):
            assert (name in files) == there
        footer = page[page.index("<footer>") :]
        for folder in ("figures", "data", "tables"):
            assert (f"<code>{folder}/</code>" in footer) == any(name.startswith(f"{folder}/") for name in files)


def test_the_methods_say_only_what_the_table_holds(made: tuple[Pairs, pa.Table, pa.Table]) -> None:
    found, rows, table = made
    more = render(found, rows, table, Analysis(), Facts("made"))["report.md"].decode()
    for words in ("Holm", "bootstrap", "Noise-corrected", "only those named as corrected", "| concordance |"):
        assert words in more
    bare = [
        row | dict.fromkeys(("boot_low", "boot_high", "p_permutation", "p_holm", "q_value"))
        for row in rows.to_pylist()
        if "corrected" not in row["method"]
    ]
    less = render(found, tables.build("correlations", bare), table, Analysis(), Facts("made"))["report.md"].decode()
    for words in ("Holm", "bootstrap", "Noise-corrected", "only those named as corrected"):
        assert words not in less
    assert "They are not adjusted for their number." in less
    assert "none could be corrected for it" in less


def test_what_tables_and_items_say_is_escaped(made: tuple[Pairs, pa.Table, pa.Table]) -> None:
    found, rows, table = made
    facts = Facts("made", confounds=made_tables.CONFOUNDS, views=made_tables.views(1))
    page = render(found, rows, table, Analysis(), facts)["index.html"].decode()
    assert "task-03 &lt;few-shot&gt;" in page
    assert "&lt;b&gt;water&lt;/b&gt;" in page
    assert "<b>water" not in page
    assert "<user>" not in page
