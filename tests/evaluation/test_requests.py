"""Every model is asked the same items, in the same words, and no demonstration is a test item."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app import stages, tables
from app.errors import CellError, TaskError
from app.evaluation import requests
from app.identity import text_hash
from app.plan import EvaluateCell, Plan
from app.store import Store
from app.study import parse
from app.tasks import catalog, loading, prompts, wordings
from app.tasks.planned import task_of
from app.tasks.task import Task, TaskData, content

STUDY = """\
schema_version: 1
name: small
bases:
  - {source: ladder, family: llama, sizes: [32x2]}
  - {source: ladder, family: gpt2, sizes: [32x1]}
recipes:
  - {method: lora, seeds: [0, 1]}
  - {method: full}
tasks: [antonym, nli]
conditions: [base-zero-shot, base-few-shot, base-direct, tuned-direct, tuned-few-shot]
shots: {counts: [2, 4], seeds: [0, 1]}
test_items: 15
"""


def planned(text: str = STUDY) -> Plan:
    return stages.plan(parse(text, Path("s.yaml")))


def data(cell: EvaluateCell) -> TaskData:
    return loading.load(catalog.by_name(cell.task.name), None)


Rows = list[dict[str, Any]]
Rendered = list[tuple[EvaluateCell, Rows]]


def render(cells: Sequence[EvaluateCell]) -> Rendered:
    return [(cell, requests.render(cell, data(cell))[0]) for cell in cells]


@pytest.fixture(scope="module")
def rendered() -> Rendered:
    return render(planned().evaluations)


def source(one: dict[str, str]) -> str:
    """The id of a demonstration's example."""
    return one["source"].partition("/")[2]


def sources(row: dict[str, Any]) -> tuple[str, ...]:
    return tuple(one["source"] for one in row["demonstrations"])


def items(rows: Rows) -> list[str]:
    return [row["item"] for row in rows]


def test_all_models_and_both_sides_of_a_pair_see_the_same_items(rendered: Rendered) -> None:
    seen = {
        task: {tuple(items(rows)) for cell, rows in rendered if cell.task.name == task} for task in ("antonym", "nli")
    }
    assert [len(found) for found in seen.values()] == [1, 1]
    assert all(len(rows) == 15 == len(set(items(rows))) for _, rows in rendered)


def test_all_models_are_asked_in_the_same_words(rendered: Rendered) -> None:
    found: dict[tuple[str, str], set[tuple[str, ...]]] = {}
    for cell, rows in rendered:
        asked = tuple(row["context"] for row in rows)
        found.setdefault((cell.condition.slug, cell.task.name), set()).add(asked)
    assert {len(texts) for texts in found.values()} == {1}


def test_no_demonstration_is_a_test_item(rendered: Rendered) -> None:
    for cell, rows in rendered:
        task, examples = catalog.by_name(cell.task.name), data(cell)
        shown = {source(one) for row in rows for one in row["demonstrations"]}
        told = {content(task, example) for example in examples.train if example.id in shown}
        assert len(told) == len(shown)
        assert not shown & {example.id for example in examples.test}
        assert not told & {content(task, example) for example in examples.test}
        assert {len(row["demonstrations"]) for row in rows} == {cell.condition.shots}


def test_frozen_demonstrations_are_the_same_for_every_item_and_differ_between_seeds(rendered: Rendered) -> None:
    draws: dict[int, set[tuple[str, ...]]] = {}
    for cell, rows in rendered:
        if cell.condition.shots == 4 and cell.task.name == "nli":
            draws.setdefault(cell.condition.shot_seed, set()).update(map(sources, rows))
    assert [len(found) for found in draws.values()] == [1, 1]
    assert draws[0] != draws[1]


def test_a_draw_for_each_item_differs_between_items_and_not_between_models() -> None:
    cells = planned(STUDY.replace("seeds: [0, 1]}\ntest", "draw: per_item}\ntest")).evaluations
    few = [cell for cell in cells if cell.condition.name == "base-few-shot" and cell.condition.shots == 4]
    found = [tuple(map(sources, rows)) for cell, rows in render(few) if cell.task.name == "nli"]
    assert len(set(found)) == 1
    assert len(set(found[0])) > 10


def test_more_items_continue_those_of_fewer() -> None:
    task = catalog.by_name("nli")
    examples = loading.load(task, None)
    many = requests.items(task, examples, 100, 0)
    assert requests.items(task, examples, 7, 0) == many[:7]
    assert requests.items(task, examples, 100, 1) != many
    shuffled = examples._replace(test=examples.test[::-1])
    assert requests.items(task, shuffled, 100, 0) == many


def test_a_task_with_fewer_items_gives_all_it_has() -> None:
    task = catalog.by_name("antonym")
    examples = loading.load(task, None)
    assert len(requests.items(task, examples, 10_000, 0)) == len(examples.test)


def test_a_task_without_test_items_is_refused_by_name() -> None:
    with pytest.raises(TaskError, match="the task nli has no test items"):
        requests.items(catalog.by_name("nli"), TaskData((), (), ""), 5, 0)


@pytest.mark.parametrize(
    ("condition", "starts", "count"),
    [
        ("base-zero-shot", "Question: ", 1),
        ("base-few-shot-k4-s0", "Question: ", 5),
        ("base-direct", "Instruction: ", 1),
        ("tuned-direct", "Instruction: ", 1),
        ("tuned-few-shot-k2-s1", "Instruction: ", 3),
    ],
)
def test_each_condition_has_its_own_prompt(condition: str, starts: str, count: int, rendered: Rendered) -> None:
    texts = [row["context"] for cell, rows in rendered if cell.condition.slug == condition for row in rows]
    assert texts
    for text in texts:
        assert text.startswith(starts)
        assert text.count(prompts.ANSWER_CUE) == count
        assert text.endswith(prompts.ANSWER_CUE)


def test_the_direct_condition_of_the_base_is_the_prompt_of_the_tuned_side(rendered: Rendered) -> None:
    texts = {
        name: {row["context"] for cell, rows in rendered if cell.condition.name == name for row in rows}
        for name in ("base-direct", "tuned-direct")
    }
    assert texts["base-direct"] == texts["tuned-direct"]


def test_requests_lie_in_the_store_once_and_read_back(tmp_path: Path) -> None:
    store, (cell, *others) = Store(tmp_path), planned().evaluations
    requests.write(cell, data(cell), store)
    path = tmp_path / requests.location(cell)
    written = path.stat().st_mtime_ns
    same = next(c for c in others if requests.location(c) == requests.location(cell))
    assert same.base != cell.base
    requests.write(same, data(same), store)
    assert path.stat().st_mtime_ns == written
    (rows, facts), read = requests.render(cell, data(cell)), [r for batch in requests.read(cell, store) for r in batch]
    assert [r._asdict() for r in read] == [
        {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in row.items()
            if key != "demonstrations"
        }
        for row in rows
    ]
    assert all(r.prompt_hash == text_hash(r.context) for r in read)
    assert requests.facts(cell, store) == facts
    assert facts.chance["exact_match"] == 0
    assert facts.chance["accuracy"] == pytest.approx(0.25)
    assert pq.read_schema(path).names == requests.SCHEMA.names


CHANGES: list[Callable[[str], str]] = [
    lambda text: text.replace("test_items: 15", "test_items: 14"),
    lambda text: text + "seed: 1\n",
]


@pytest.mark.parametrize("change", CHANGES)
def test_requests_are_written_anew_where_the_items_change(change: Callable[[str], str], tmp_path: Path) -> None:
    store = Store(tmp_path)
    found = []
    for text in (STUDY, change(STUDY)):
        cell = planned(text).evaluations[0]
        requests.write(cell, data(cell), store)
        found.append(requests.facts(cell, store).content)
    assert found[0] != found[1]


def test_requests_stay_where_only_the_models_or_the_way_of_answering_change(tmp_path: Path) -> None:
    first = planned().evaluations[0]
    for change in ("answers: {max_new_tokens: 3}\n", "description: another\n"):
        assert requests.identity(planned(STUDY + change).evaluations[0]) == requests.identity(first)


FORMATS = """\
schema_version: 1
name: formats
bases:
  - {source: ladder, family: llama, sizes: [32x2]}
recipes:
  - {method: lora, name: regular}
  - {method: lora, name: writer, format: samplegen}
  - {method: lora, name: unified, format: samplegen-unified}
tasks: [antonym, nli]
conditions: [base-few-shot, gold-pipeline, gold-pipeline-cross-task, tuned-direct, samplegen-direct, samplegen-pipeline,
  samplegen-restated]
wordings: [standard, closed]
shots: 2
pipelines: {examples: 2, cross_task: [nli, plural, first]}
test_items: 5
"""


@pytest.fixture(scope="module")
def formats() -> Plan:
    return planned(FORMATS)


def pick(plan: Plan, slug: str) -> EvaluateCell:
    (cell,) = (cell for cell in plan.evaluations if cell.slug == f"evaluate/llama-32x2-s0{slug}")
    return cell


def pool(cell: EvaluateCell) -> list[tuple[Task, TaskData]]:
    return [(task, loading.load(task, None)) for task in map(task_of, cell.cross_task)]


def written(cell: EvaluateCell) -> dict[str, dict[str, Any]]:
    """What a model might have written for the items of a cell; it never restated the second."""
    tested = requests.items(catalog.by_name(cell.task.name), data(cell), 5, 0)
    return {
        example.id: {
            "item": example.id,
            "worked": [{"input": f"made up {place}.{n}", "answer": f"so {n}"} for n in range(2)],
            "restated": None if place == 1 else f"in other words {place}",
        }
        for place, example in enumerate(tested)
    }


def test_a_pipeline_shows_what_was_written_for_the_item_and_asks_it_as_restated(formats: Plan) -> None:
    cell = pick(formats, ".writer-s0/samplegen-pipeline-k2/antonym")
    rows, facts = requests.render(cell, data(cell), written(cell))
    for place, row in enumerate(rows):
        asked = row["question"] if place == 1 else f"in other words {place}"
        assert row["context"] == (
            f"Question: made up {place}.0\nAnswer: so 0\n\nQuestion: made up {place}.1\nAnswer: so 1\n\n"
            f"Question: {asked}\nAnswer:"
        )
    assert (facts.n, facts.unrestated) == (5, 1)


def test_a_restated_pipeline_asks_the_item_in_the_words_of_the_study(formats: Plan) -> None:
    cell = pick(formats, ".writer-s0/samplegen-restated-k2/antonym")
    rows, facts = requests.render(cell, data(cell), written(cell))
    for place, row in enumerate(rows):
        assert row["context"].startswith(f"Question: made up {place}.0\n")
        assert row["context"].endswith(f"\n\nQuestion: {row['question']}\nAnswer:")
        assert "other words" not in row["context"]
    assert facts.unrestated == 0


def test_a_worked_example_that_was_left_without_an_answer_is_shown_so(formats: Plan) -> None:
    cell = pick(formats, ".writer-s0/samplegen-restated-k2/antonym")
    rows = {item: row | {"worked": [{"input": "made up", "answer": ""}]} for item, row in written(cell).items()}
    for row in requests.render(cell, data(cell), rows)[0]:
        assert row["context"] == f"Question: made up\n\nQuestion: {row['question']}\nAnswer:"


def test_demonstrations_say_where_they_come_from(formats: Plan) -> None:
    cell = pick(formats, ".writer-s0/samplegen-pipeline-k2/antonym")
    for row in requests.render(cell, data(cell), written(cell))[0]:
        assert sources(row) == tuple(f"llama-32x2-s0.writer-s0/{row['item']}/{place}" for place in range(2))
    for slug in ("/base-few-shot-k2-s0/nli", "/gold-pipeline-k2-s0/nli"):
        gold = pick(formats, slug)
        known = {f"nli/{example.id}": example for example in data(gold).train}
        for row in requests.render(gold, data(gold))[0]:
            assert [one["answer"] for one in row["demonstrations"]] == [known[name].target for name in sources(row)]


def test_a_pipeline_whose_writer_skipped_an_item_ends_in_a_sentence(formats: Plan) -> None:
    cell = pick(formats, ".writer-s0/samplegen-pipeline-k2/antonym")
    rows = written(cell)
    rows.popitem()
    with pytest.raises(CellError, match=r"writer-s0/samplegen-direct-k2/antonym wrote nothing for the item"):
        requests.render(cell, data(cell), rows)


def test_gold_demonstrations_are_drawn_for_each_item(formats: Plan) -> None:
    gold = pick(formats, "/gold-pipeline-k2-s0/nli")
    rows, _ = requests.render(gold, data(gold))
    assert len({sources(row) for row in rows}) == 5
    assert {len(row["demonstrations"]) for row in rows} == {2}
    assert {name.partition("/")[0] for row in rows for name in sources(row)} == {"nli"}


def test_cross_task_demonstrations_are_of_different_tasks_and_never_of_the_own_cluster(formats: Plan) -> None:
    gold = pick(formats, "/gold-pipeline-cross-task-k2-s0/nli")
    rows, _ = requests.render(gold, data(gold), pool=pool(gold))
    shown = [tuple(name.partition("/")[0] for name in sources(row)) for row in rows]
    assert all(set(names) == {"plural", "first"} for names in shown)
    again, _ = requests.render(gold, data(gold), pool=pool(gold))
    assert rows == again


def test_without_a_task_of_another_cluster_cross_task_demonstrations_are_refused(formats: Plan) -> None:
    gold = pick(formats, "/gold-pipeline-cross-task-k2-s0/nli")
    with pytest.raises(TaskError, match=r"widen pipelines\.cross_task"):
        requests.render(gold, data(gold), pool=pool(gold)[:0])


def test_a_writer_is_asked_for_worked_examples_and_shown_none(formats: Plan) -> None:
    cell = pick(formats, ".writer-s0/samplegen-direct-k2/nli")
    for row in requests.render(cell, data(cell))[0]:
        assert row["context"].startswith("Instruction: ")
        assert row["context"].endswith(f"\nInput: {row['question']}\nExamples:")
        assert row["demonstrations"] == []


def test_a_unified_model_is_asked_in_unified_words_and_so_is_its_pipeline(formats: Plan) -> None:
    direct = pick(formats, ".unified-s0/samplegen-direct-k2/nli")
    rows, _ = requests.render(direct, data(direct))
    task = catalog.by_name("nli")
    tested = requests.items(task, data(direct), 5, 0)
    assert [row["question"] for row in rows] == [wordings.word(task, one, "unified").input for one in tested]
    assert all("Input 1: " in row["question"] for row in rows)
    restated = pick(formats, ".unified-s0/samplegen-restated-k2/nli")
    piped, _ = requests.render(restated, data(restated), written(restated))
    assert [row["question"] for row in piped] == [row["question"] for row in rows]
    # In any other wording of the study it is asked as all models are.
    closed = [pick(formats, f".{run}-s0/samplegen-direct-k2.closed/nli") for run in ("unified", "writer")]
    assert [requests.wording(cell) for cell in closed] == ["closed", "closed"]
    assert len({requests.location(cell) for cell in closed}) == 1


def test_models_share_requests_but_for_what_was_written_for_them(formats: Plan) -> None:
    by_place: dict[str, set[str]] = {}
    for cell in formats.evaluations:
        by_place.setdefault(requests.location(cell), set()).add(cell.run.slug if cell.run else "")
    for place, runs in by_place.items():
        if "samplegen-pipeline" in place or "samplegen-restated" in place:
            assert len(runs) == 1
            assert runs.pop() in place
    assert "requests/samplegen-direct-k2.unified/nli.parquet" in by_place
    assert by_place["requests/samplegen-direct-k2/nli.parquet"] == {"llama-32x2-s0.writer-s0"}


@pytest.mark.parametrize("condition", ["base-few-shot-k2-s0", "gold-pipeline-k2-s0", "gold-pipeline-cross-task-k2-s0"])
def test_a_wording_holds_for_the_item_and_for_its_demonstrations(condition: str, formats: Plan) -> None:
    cell = pick(formats, f"/{condition}.closed/nli")
    plain = pick(formats, f"/{condition}/nli")
    rows, _ = requests.render(cell, data(cell), pool=pool(cell))
    others, _ = requests.render(plain, data(plain), pool=pool(plain))
    assert items(rows) == items(others)
    for row, other in zip(rows, others, strict=True):
        assert sources(row) == sources(other)
        assert row["target"] == other["target"]
        assert "The answer is " in row["question"]
        if "cross-task" not in condition:
            assert row["context"].count("The answer is ") == 1 + len(row["demonstrations"])
        assert "The answer is " not in other["context"]


def test_pipeline_requests_are_written_from_the_responses_in_the_store(formats: Plan, tmp_path: Path) -> None:
    store = Store(tmp_path)
    cell = pick(formats, ".writer-s0/samplegen-pipeline-k2/antonym")
    assert cell.writer
    kept = pa.Table.from_pylist(
        list(written(cell).values()),
        schema=pa.schema([tables.schema("responses").field(name) for name in ("item", "worked", "restated")]),
    )
    store.write_parquet(requests.responses_path(cell.writer), kept)
    requests.write(cell, data(cell), store)
    found = [request for batch in requests.read(cell, store) for request in batch]
    expected, facts = requests.render(cell, data(cell), written(cell))
    assert [request.context for request in found] == [row["context"] for row in expected]
    assert requests.facts(cell, store) == facts
    assert facts.unrestated == 1


def test_pipeline_requests_are_written_anew_where_their_writer_changes() -> None:
    slug = ".writer-s0/samplegen-pipeline-k2/antonym"
    first = requests.identity(pick(planned(FORMATS), slug))
    longer = planned(FORMATS.replace("examples: 2,", "examples: 2, max_new_tokens: 99,"))
    assert requests.identity(pick(longer, slug)) != first
    direct = "/base-few-shot-k2-s0/antonym"
    assert requests.identity(pick(longer, direct)) == requests.identity(pick(planned(FORMATS), direct))
