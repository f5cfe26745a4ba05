"""Tables to a page, its Markdown twin and the README's picture."""

import io
import re

import pyarrow as pa
import pytest
from made_tables import World, scores
from rich.console import Console

from app import tables
from app.analysis.answer import answer, find, main_filter, rows_of
from app.analysis.correlation import correlations
from app.analysis.limit import limit_test, overall
from app.analysis.pairs import Pairs, pairs
from app.analysis.report import Facts, render
from app.analysis.summary import extraction
from app.analysis.terminal import correlation_lines
from app.analysis.vocabulary import LEVEL_NAMES
from app.study import Analysis

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
    files = render(found, table, made, ANALYSIS, FACTS)
    text = files["index.html"].decode()
    assert found.table.num_rows == 2700
    assert len(files["index.html"]) < 1_000_000
    assert sorted(files) == ["index.html", "pairs.png", "pairs.svg", "report.md"]
    assert answer(rows_of(table)).sentence in text
    assert "fewtune run made.yaml" in text


def test_the_page_refers_to_nothing_outside_itself(removed: tuple[Pairs, pa.Table, pa.Table]) -> None:
    text = render(*removed, ANALYSIS, FACTS)["index.html"].decode()
    outside = re.findall(r"""(?:src|href|action)\s*=\s*["'](?!#|data:)([^"']*)|url\(([^)]*)\)|@import""", text)
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
    page = render(empty, correlations(empty.table, ANALYSIS, "made"), made.slice(0, 0), ANALYSIS, FACTS)["index.html"]
    assert "There is no answer yet" in page.decode()


def test_a_study_without_a_baseline_has_no_rival_anywhere() -> None:
    analysis = Analysis(baseline=None)
    made = render(*all_of(World(bases=1, recipes=1, tasks=12), analysis), analysis, FACTS)
    for name in ("index.html", "report.md"):
        # The tables of scores and extraction name conditions as they are in the study.
        assert "base, zero-shot" not in made[name].decode()


def test_the_limit_test_sets_bases_against_their_own_family_and_size(removed: tuple[Pairs, pa.Table, pa.Table]) -> None:
    found = limit_test(removed[2], ANALYSIS)
    assert {line.family for line in found} == {"llama", "neox", "opt", "mistral", "falcon", "qwen"}
    for line in found:
        assert line.metric == "exact_match"
        assert len(line.tasks) == 6
        assert max(line.without.few_shot, line.without.tuned) < 0.1 < line.intact.tuned
    lines = overall(found)
    assert [line.tuned_on for line in lines] == [False]
    assert lines[0].without.pairs == sum(line.without.pairs for line in found)


def test_without_removed_tasks_there_is_no_limit_test() -> None:
    assert limit_test(scores(World(families=1, bases=2, recipes=1, tasks=4)), ANALYSIS) == []


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
    assert delta.ci_low > 0 > check.ci_low
    assert "no claim is made" in answer(rows).rival
    agreeing = [row._replace(ci_low=0.01) if row == check else row for row in rows]
    assert "few-shot predicts better" in answer(agreeing).rival


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
