"""Every model is asked the same items, in the same words, and no demonstration is a test item."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from app import stages
from app.errors import TaskError
from app.evaluation import requests
from app.identity import text_hash
from app.plan import EvaluateCell, Plan
from app.store import Store
from app.study import parse
from app.tasks import catalog, loading, prompts
from app.tasks.task import TaskData, content

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
        shown = {name for row in rows for name in row["demonstrations"]}
        told = {content(task, example) for example in examples.train if example.id in shown}
        assert not shown & {example.id for example in examples.test}
        assert not told & {content(task, example) for example in examples.test}
        assert {len(row["demonstrations"]) for row in rows} == {cell.condition.shots}


def test_frozen_demonstrations_are_the_same_for_every_item_and_differ_between_seeds(rendered: Rendered) -> None:
    draws: dict[int, set[tuple[str, ...]]] = {}
    for cell, rows in rendered:
        if cell.condition.shots == 4 and cell.task.name == "nli":
            draws.setdefault(cell.condition.shot_seed, set()).update(tuple(row["demonstrations"]) for row in rows)
    assert [len(found) for found in draws.values()] == [1, 1]
    assert draws[0] != draws[1]


def test_a_draw_for_each_item_differs_between_items_and_not_between_models() -> None:
    cells = planned(STUDY.replace("seeds: [0, 1]}\ntest", "draw: per_item}\ntest")).evaluations
    few = [cell for cell in cells if cell.condition.name == "base-few-shot" and cell.condition.shots == 4]
    found = [
        tuple(tuple(row["demonstrations"]) for row in rows) for cell, rows in render(few) if cell.task.name == "nli"
    ]
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
        {key: tuple(value) if key == "options" else value for key, value in row.items() if key != "demonstrations"}
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
