"""Tables to a page, its Markdown twin and the README's picture."""

import io
import re
from dataclasses import replace
from typing import get_args

import pyarrow as pa
import pytest
from made_tables import World, agreement, scores, views
from rich.console import Console

from app import tables
from app.analysis.answer import answer, find, main_filter, rows_of, units
from app.analysis.estimation.correlation import correlations
from app.analysis.pairing import audits
from app.analysis.pairing.pairs import Pairs, pairs
from app.analysis.reporting.report import Facts, render
from app.analysis.reporting.summary import extraction
from app.analysis.reporting.terminal import correlation_lines
from app.analysis.vocabulary import CONDITIONS, LEVEL_NAMES, SHORT
from app.study import Analysis, ConditionName

ANALYSIS = Analysis()
FACTS = Facts("made", description="Made & <b>seeded</b>.", command="fewtune run made.yaml", versions={"scipy": "1"})


def all_of(world: World, analysis: Analysis = ANALYSIS) -> tuple[Pairs, pa.Table, pa.Table]:
    table = scores(world)
    found = pairs(table, analysis)
    return found, correlations(found.table, analysis, "made"), table


@pytest.fixture(scope="module")
def removed() -> tuple[Pairs, pa.Table, pa.Table]:
    return all_of(World(bases=1, recipes=2, tasks=18, removed=True))


def test_a_report_of_2700_pairs_is_one_small_file_that_names_its_answer() -> None:
    found, table, made = all_of(World())
    facts = replace(FACTS, agreement=agreement(found.table), views=views(15))
    files = render(found, table, made, ANALYSIS, facts)
    text = files["index.html"].decode()
    assert found.table.num_rows == 2700
    assert len(files["index.html"]) < 1_500_000
    assert sorted(files) == [
        "data/agreement.csv", "data/correlations.csv", "data/pairs.csv", "data/scores.csv", "figures/forest.svg",
        "figures/grid.svg", "figures/scatter.svg", "figures/slopes.svg", "figures/trap.svg", "index.html", "pairs.png",
        "pairs.svg", "report.md", "tables/correlations.tex",
    ]  # fmt: skip
    assert answer(rows_of(table)).sentence in text
    assert "fewtune run made.yaml" in text


def test_the_page_refers_to_nothing_outside_itself(removed: tuple[Pairs, pa.Table, pa.Table]) -> None:
    text = render(*removed, ANALYSIS, FACTS)["index.html"].decode()
    outside = re.findall(r"""(?:src|href|action)\s*=\s*["'](?!#|data:)([^"']*)|url\((?!#)([^)]*)\)|@import""", text)
    assert outside == []
    assert "default-src 'none'" in text


def test_what_the_tables_say_is_escaped(removed: tuple[Pairs, pa.Table, pa.Table]) -> None:
    def bad(table: pa.Table, name: str) -> pa.Table:
        rows = [row | {"cluster": "</script><script>alert(1)</script>"} for row in table.to_pylist()]
        return tables.build(name, rows)

    found, table, made = removed
    text = render(found._replace(table=bad(found.table, "pairs")), table, bad(made, "scores"), ANALYSIS, FACTS)
    page = text["index.html"].decode()
    assert "<script>alert" not in page
    assert "Made &amp; &lt;b&gt;seeded&lt;/b&gt;." in page


def test_the_same_tables_give_the_same_bytes(removed: tuple[Pairs, pa.Table, pa.Table]) -> None:
    assert render(*removed, ANALYSIS, FACTS) == render(*removed, ANALYSIS, FACTS)


def test_missing_pairs_make_the_report_provisional_and_are_listed_by_reason() -> None:
    made = scores(World(bases=1, recipes=2, tasks=12))
    lost = made.filter(pa.array([not (r["run"] and r["task"] == "task-02") for r in made.to_pylist()]))
    found = pairs(lost, ANALYSIS)
    facts = Facts("made", failed=[("tune/x", "CellError: the loss is not a number")])
    made_report = render(found, correlations(found.table, ANALYSIS, "made"), lost, ANALYSIS, facts)
    for name in ("index.html", "report.md"):
        text = made_report[name].decode()
        assert "132 of 144 pairs" in text
        assert "y not scored" in text
    assert "the loss is not a number" in made_report["index.html"].decode()


@pytest.mark.parametrize(
    "world",
    [World(families=1, bases=1, recipes=1, tasks=1), World(families=2, bases=1, recipes=1, tasks=3)],
)
def test_a_tiny_study_gets_a_report_without_invented_numbers(world: World) -> None:
    found, table, made = all_of(world)
    said = answer(rows_of(table))
    assert "no answer yet" in said.sentence or "descriptive only" in said.sentence
    page = render(found, table, made, ANALYSIS, FACTS)["index.html"].decode()
    assert "nan" not in re.sub(r"<script.*?</script>", "", page, flags=re.S).lower().replace("finance", "").split()


def test_a_study_without_any_pair_still_gets_a_report() -> None:
    found, _, made = all_of(World(families=1, bases=1, recipes=1, tasks=2))
    empty = Pairs(found.table.slice(0, 0), [])
    files = render(empty, correlations(empty.table, ANALYSIS, "made"), made.slice(0, 0), ANALYSIS, FACTS)
    page = files["index.html"].decode()
    assert "There is no answer yet" in page
    assert not any(name.startswith("figures/") for name in files)
    assert "<code>figures/</code>" not in page
    assert "figures/" not in files["report.md"].decode()


def test_a_study_without_a_baseline_has_no_rival_anywhere() -> None:
    analysis = Analysis(baseline=None)
    made = render(*all_of(World(bases=1, recipes=1, tasks=12), analysis), analysis, FACTS)
    for name, section in (
        ("index.html", r'<section id="conditions">.*?</section>'),
        ("report.md", r"## Conditions and wordings.*?(?=\n## )"),
    ):
        # The tables of conditions and extraction name conditions as they are in the study.
        text, found = re.subn(section, "", made[name].decode(), flags=re.DOTALL)
        assert found == 1
        assert "base, zero-shot" not in text


def test_the_answer_leaves_out_bases_that_lack_tasks_by_design(removed: tuple[Pairs, pa.Table, pa.Table]) -> None:
    rows = rows_of(removed[1])
    assert main_filter(rows) == "bases=intact"
    intact, everything = (find(rows, "doubly_centred", filter=name) for name in ("bases=intact", "all"))
    assert intact is not None
    assert everything is not None
    assert everything.estimate > intact.estimate + 0.1
    assert "pretrained without some of the tasks" in answer(rows).rival


def test_a_difference_is_claimed_only_where_the_check_away_from_the_floor_agrees() -> None:
    _, table, _ = all_of(World())
    rows = rows_of(table)
    delta = find(rows, "doubly_centred", "pearson-delta")
    check = find(rows, "doubly_centred", "normal-scores-delta", filter="median>0.15")
    assert delta is not None
    assert check is not None
    assert delta.ci_low > 0
    for low, said in ((-0.01, "no claim is made"), (0.01, "few-shot predicts better")):
        checked = [row._replace(ci_low=low) if row == check else row for row in rows]
        assert said in answer(checked).rival


def test_extraction_failures_are_counted_once_for_each_answer(removed: tuple[Pairs, pa.Table, pa.Table]) -> None:
    lines, worst = extraction(removed[2])
    rows = [row for row in removed[2].to_pylist() if row["extraction_failures"] is not None]
    assert sum(line.failures for line in lines) == sum(row["extraction_failures"] for row in rows)
    assert sum(line.items for line in lines) == sum(row["n"] for row in rows)
    assert len(worst) == 8


def test_the_terminal_shows_every_level_with_its_interval(removed: tuple[Pairs, pa.Table, pa.Table]) -> None:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(correlation_lines(removed[1]))
    lines = console.export_text().splitlines()
    for name in LEVEL_NAMES.values():
        (line,) = (line for line in lines if line.strip().startswith(name))
        assert "[" in line
    assert "families x tasks" in lines[1]


@pytest.mark.parametrize(
    ("intervals", "unit"),
    [
        (["none", "jack2 by family, no block term"], "families"),
        (["jack2 by base"], "base models"),
        (["none"], "clusters"),
        ([], "clusters"),
    ],
)
def test_what_intervals_treat_as_independent_is_called_by_its_name(intervals: list[str], unit: str) -> None:
    assert units(intervals)[1] == unit


Rows = list[dict[str, object]]


def formatted() -> pa.Table:
    """Scores in two wordings; the recipe lora writes worked examples, and what it writes is passed on."""
    rows: Rows = []
    for row in scores(World(families=2, bases=2, recipes=2, tasks=12)).to_pylist():
        if row["recipe"] == "lora":
            row |= {"format": "samplegen", "condition": "samplegen-direct", "shots": 2, "format_failures": 7}
            rows.append(row | {"condition": "samplegen-pipeline", "value": row["chance"], "format_failures": None})
        rows.append(row)
    closed = [row | {"wording": "closed", "value": 0.5 + row["chance"] / 2} for row in rows]  # type: ignore[operator]
    return tables.build("scores", rows + closed)


OVERLAP: dict[str, object] = {
    "study": "made", "recipe": "full", "tuned_task": "task-01", "tested_task": "task-07", "test_items": 100,
    "by_text": 3, "by_13_gram": 5, "train_examples": 11, "left_out": False, "examples": ["train-1 ~ test-2"],
}  # fmt: skip
CONTAMINATION = [
    OVERLAP,
    OVERLAP | {"recipe": "lora", "left_out": True},
    OVERLAP | {"tuned_task": "", "tested_task": "task-08", "by_text": 0, "by_13_gram": 0, "train_examples": 0},
]
RENDERING: dict[str, object] = {
    "study": "made", "base": "llama-32x2", "recipe": "full", "task": "task-01", "item": "i",
    "x_condition": "base-few-shot", "y_condition": "tuned-direct", "same_answer_tokens": True, "x_bos": 1, "y_bos": 1,
    "only_x": "Question", "only_y": "<user> Input",
}  # fmt: skip
RENDERINGS = [
    RENDERING,
    RENDERING | {"task": "task-02", "only_y": "<user>", "y_bos": 2},
    RENDERING | {"recipe": "lora", "y_condition": "samplegen-direct", "same_answer_tokens": False, "only_x": ""},
]


@pytest.fixture(scope="module")
def formats() -> dict[str, str]:
    """The page and its twin of a study with all that may be added."""
    made, analysis = formatted(), Analysis(y="direct")
    found = pairs(made, analysis)
    facts = Facts(
        "made",
        contamination=tables.build("contamination", CONTAMINATION),
        renderings=tables.build("renderings", RENDERINGS),
    )
    files = render(found, correlations(found.table, analysis, "made"), made, analysis, facts)
    return {name: files[name].decode() for name in ("index.html", "report.md")}


def section(text: str, title: str) -> list[str]:
    """The table rows of a section of the Markdown twin."""
    (found,) = re.findall(rf"## {title}\n(.*?)(?=\n## |\Z)", text, re.DOTALL)
    return [line for line in found.splitlines() if line.startswith("| ")]


def test_conditions_are_set_against_wordings(formats: dict[str, str]) -> None:
    header, *lines = section(formats["report.md"], "Conditions and wordings")
    assert (
        header == "| condition | demonstrations | recipe | models | score | texts without an answer in all wordings |"
    )
    worded = next(place for place, line in enumerate(lines) if line.startswith("| wording |"))
    lines, (names, *against) = lines[:worded], lines[worded:]
    rows = {tuple(line.split(" | ")[0:3]): line.strip("| ").split(" | ") for line in lines}
    assert [name for name, *_ in rows] == [
        "| base, zero-shot",
        "| base, few-shot",
        "| tuned, zero-shot",
        "| base, SampleGen pipeline",
        "| tuned, SampleGen",
    ]
    writes = rows["| tuned, SampleGen", "2", "lora"]
    assert writes[3] == "4"  # models; counted are their texts on 12 tasks in 2 wordings, once though scored twice
    assert writes[-1] == f"{7 * 4 * 12 * 2} of {100 * 4 * 12 * 2:,}"
    assert rows["| base, SampleGen pipeline", "2", "lora"][4:] == ["0.00", "–"]
    assert names.strip("| ").split(" | ")[1:] == [
        "base, zero-shot",
        "base, few-shot, 4",
        "tuned, zero-shot: full",
        "base, SampleGen pipeline, 2: lora",
        "tuned, SampleGen, 2: lora",
    ]
    standard, closed = (line.strip("| ").split(" | ") for line in against)
    assert standard == ["standard", *(row[4] for row in rows.values())]
    assert closed == ["closed"] + 5 * ["0.50"]
    page = formats["index.html"]
    assert '<section id="conditions">' in page
    assert "base, SampleGen pipeline" in page


def test_overlaps_are_listed_and_those_left_out_are_said_to_be(formats: dict[str, str]) -> None:
    text = formats["report.md"]
    assert "searched for 200 test items of 2 tasks" in text
    assert "At least 5 of them remain in one mixture." in text
    assert section(text, "Test items in mixtures")[1:] == [
        "| full | task-01 | task-07 | 100 | 3 | 5 | 11 | no |",
        "| lora | task-01 | task-07 | 100 | 3 | 5 | 11 | yes |",
    ]
    assert "task-07" in formats["index.html"]


def test_clean_mixtures_are_called_clean() -> None:
    clean = tables.build("contamination", CONTAMINATION[1:])
    assert audits.checked(clean) == audits.Checked(2, 2, 200, 0)
    assert len(audits.overlaps(clean)) == 1
    assert audits.checked(clean.slice(0, 0)) is None
    assert (audits.checked(None), audits.overlaps(None), audits.renderings(None)) == (None, [], [])


def test_what_the_two_prompts_of_a_pair_do_not_share_is_told_by_recipe(formats: dict[str, str]) -> None:
    assert section(formats["report.md"], "What differs between the two prompts of a pair")[1:] == [
        "| full | tuned, zero-shot | 2 | 2 | 1 | Question | <user> Input |",
        "| lora | tuned, SampleGen | 1 | 0 | 0 | none | <user> Input |",
    ]
    assert "&lt;user&gt; Input" in formats["index.html"]
    assert "<user>" not in formats["index.html"]


def test_without_the_checks_the_report_has_no_such_sections(removed: tuple[Pairs, pa.Table, pa.Table]) -> None:
    made = render(*removed, ANALYSIS, FACTS)
    for name in ("index.html", "report.md"):
        text = made[name].decode()
        assert "Test items in mixtures" not in text
        assert "What differs between the two prompts" not in text


def test_the_answer_of_recipes_in_their_own_formats_says_so(formats: dict[str, str]) -> None:
    assert "scores of the tuned models, each prompted in the format that it was tuned on" in formats["report.md"]
    assert "tuned, own format" in formats["index.html"]


@pytest.mark.parametrize("y", [*get_args(ConditionName), "direct"])
def test_every_condition_has_a_name_in_the_report(y: str) -> None:
    assert SHORT[y].count(", ") == 1  # the page shows what follows it
    assert CONDITIONS[y]
