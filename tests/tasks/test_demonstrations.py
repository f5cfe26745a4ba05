"""Demonstrations: from train, reproducible, and never an item that is tested.

The second half keeps the project's promise for every task and condition: what a prompt shows is never what it asks, and
both sides of a pair are asked the same.
"""

import random
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app import stages
from app.errors import TaskError
from app.evaluation import requests
from app.plan import EvaluateCell
from app.study import ConditionName, Format, WordingName, parse
from app.tasks import catalog, prompts, wordings
from app.tasks.loading import load
from app.tasks.task import Example, Generated, Hub, Task, TaskData, Template, content
from app.tasks.wordings import WORDINGS
from app.tuning.mixture import draw

TASK = Task(
    name="made_up",
    cluster="made_up",
    role="tune",
    source=Generated(lambda _split: [], "1"),
    templates=(Template("Do.", "{text}"),),
    metric="accuracy",
    licence="our own",
)


def items(split: str, count: int) -> tuple[Example, ...]:
    return tuple(Example(f"{split}-{n}", {"text": f"{split} {n}"}, ("a", "b"), "ab"[n % 2]) for n in range(count))


DATA = TaskData(items("train", 40), items("test", 10), "none")
seeds = st.integers(min_value=0, max_value=2**32)


@given(seeds, st.integers(0, 40))
def test_they_are_different_train_examples_of_the_count_asked_for(seed: int, count: int) -> None:
    drawn = prompts.demonstrations(TASK, DATA, count, seed)
    assert len({example.id for example in drawn}) == count
    assert {example.id for example in drawn} <= {example.id for example in DATA.train}


@given(seeds, st.integers(0, 20), st.integers(0, 20))
def test_a_larger_count_adds_to_a_smaller_one(seed: int, count: int, more: int) -> None:
    few = prompts.demonstrations(TASK, DATA, count, seed)
    assert prompts.demonstrations(TASK, DATA, count + more, seed)[:count] == few


@given(seeds)
def test_a_frozen_draw_is_a_function_of_task_name_and_seed_only(seed: int) -> None:
    fewer_items = DATA._replace(test=DATA.test[:2])
    random.seed(seed)
    assert prompts.demonstrations(TASK, DATA, 4, 7) == prompts.demonstrations(TASK, fewer_items, 4, 7)


def test_seeds_tasks_and_items_give_different_draws() -> None:
    other = Task("other", "made_up", "tune", TASK.source, TASK.templates, "accuracy", "our own")
    draws = [
        prompts.demonstrations(TASK, DATA, 4, 0),
        prompts.demonstrations(TASK, DATA, 4, 1),
        prompts.demonstrations(other, DATA, 4, 0),
        prompts.demonstrations(TASK, DATA, 4, 0, "test-0"),
        prompts.demonstrations(TASK, DATA, 4, 0, "test-1"),
    ]
    assert len({tuple(example.id for example in draw) for draw in draws}) == len(draws)
    assert prompts.demonstrations(TASK, DATA, 4, 0, "test-1") == draws[-1]


def test_another_process_draws_the_same() -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from app.tasks import catalog, prompts\n"
        "from app.tasks.loading import load\n"
        "task = catalog.select(['set:evaluate'])[0]\n"
        "print([e.id for e in prompts.demonstrations(task, load(task, None), 4, 3)])"
    )
    root = str(Path(__file__).resolve().parents[2])
    told = {
        subprocess.run(
            [sys.executable, "-c", program, root], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": h}
        ).stdout
        for h in ("1", "2")
    }
    assert len(told) == 1


def test_classes_are_drawn_plainly_and_not_balanced() -> None:
    counts = [sum(e.target == "a" for e in prompts.demonstrations(TASK, DATA, 4, seed)) for seed in range(200)]
    assert {0, 1, 2, 3, 4} == set(counts)
    assert 1.8 < sum(counts) / len(counts) < 2.2


def test_too_few_train_examples_are_refused() -> None:
    with pytest.raises(TaskError, match="has 40 train examples, too few for 41"):
        prompts.demonstrations(TASK, DATA, 41, 0)
    with pytest.raises(TaskError, match="too few for 1"):
        prompts.demonstrations(TASK, DATA._replace(train=()), 1, 0)
    assert prompts.demonstrations(TASK, DATA._replace(train=()), 0, 0) == ()


def test_a_negative_count_and_an_unknown_item_are_refused() -> None:
    with pytest.raises(TaskError, match="0 or more"):
        prompts.demonstrations(TASK, DATA, -1, 0)
    with pytest.raises(TaskError, match="no test item train-1"):
        prompts.demonstrations(TASK, DATA, 1, 0, "train-1")


@pytest.mark.parametrize("item", [None, "test-0"])
@pytest.mark.parametrize(
    "leak",
    [Example("train-x", {"text": "TEST  0"}, ("a", "b"), "b"), Example("test-0", {"text": "other"}, ("a", "b"), "b")],
    ids=["same content", "same id"],
)
def test_a_test_item_among_the_demonstrations_is_refused(leak: Example, item: str | None) -> None:
    with pytest.raises(TaskError, match="test item test-0 is among its own demonstrations"):
        prompts.demonstrations(TASK, DATA._replace(train=(leak,)), 1, 0, item)


def _never_tested(task: Task, data: TaskData, drawn: Sequence[Example]) -> None:
    assert not {content(task, e) for e in drawn} & {content(task, e) for e in data.test}
    assert not {e.id for e in drawn} & {e.id for e in data.test}
    assert {e.id for e in drawn} <= {e.id for e in data.train}


CONDITIONS: tuple[ConditionName, ...] = get_args(ConditionName)
DRAWN = ("base-few-shot", "tuned-few-shot", "gold-pipeline")
"""Conditions that show training examples of the task itself."""
STUDY = f"""\
schema_version: 1
name: promise
bases: [{{source: ladder, family: llama, sizes: [32x2]}}]
recipes:
  - {{method: lora}}
  - {{method: lora, name: writer, format: samplegen}}
  - {{method: lora, name: unified, format: samplegen-unified}}
tasks: [set:tune, set:develop, set:evaluate, paper:tune, paper:evaluate]
conditions: [{", ".join(CONDITIONS)}]
pipelines: {{cross_task: [set:tune, wnli, social_iqa]}}
"""
Cells = Mapping[str, list[EvaluateCell]]


@pytest.fixture(scope="module")
def planned() -> Cells:
    """Task -> its cells in a study of all tasks and conditions."""
    cells: dict[str, list[EvaluateCell]] = {}
    for cell in stages.plan(parse(STUDY, Path("promise.yaml"))).evaluations:
        cells.setdefault(cell.task.name, []).append(cell)
    return cells


def _asked(
    cell: EvaluateCell, wording: WordingName, shots: int, seed: int, per_item: bool, study_seed: int
) -> EvaluateCell:
    """The cell of another study: with this wording, these demonstrations and this order of items."""
    condition = replace(
        cell.condition,
        wording=wording,
        shots=shots if cell.condition.shots else 0,
        shot_seed=seed,
        draw="per_item" if per_item or "gold" in cell.condition.name else cell.condition.draw,
    )
    inputs = {**cell.inputs, "items": 4, "study_seed": study_seed}
    writer = cell.writer and _asked(cell.writer, wording, shots, seed, per_item, study_seed)
    return replace(cell, condition=condition, inputs=inputs, writer=writer)


def _written(cell: EvaluateCell, data: TaskData) -> dict[str, Mapping[str, object]]:
    """What a SampleGen model wrote: one example of its own, and the item as it was."""
    found: dict[str, Mapping[str, object]] = {}
    for row in requests.render(cell, data)[0]:
        worked = [{"input": "of its own", "answer": "x"}]
        found[str(row["item"])] = {"item": row["item"], "worked": worked, "restated": row["question"]}
    return found


def _rows(cell: EvaluateCell, data: TaskData, mirror: Path) -> list[dict[str, object]]:
    pool = [(task, load(task, mirror)) for task in (catalog.by_name(facts.name) for facts in cell.cross_task)]
    return requests.render(cell, data, _written(cell.writer, data) if cell.writer else None, pool)[0]


def test_a_study_of_all_tasks_asks_each_under_every_condition(planned: Cells) -> None:
    assert planned.keys() == {task.name for task in catalog.TASKS}
    assert all({cell.condition.name for cell in cells} == set(CONDITIONS) for cells in planned.values())


@pytest.mark.parametrize("task", catalog.TASKS, ids=lambda task: task.name)
@settings(max_examples=8, deadline=None)
@given(
    seed=seeds,
    study_seed=seeds,
    count=st.integers(0, 5),
    per_item=st.booleans(),
    wording=st.sampled_from(WORDINGS),
)
def test_no_prompt_shows_what_is_asked_and_both_sides_of_a_pair_are_asked_the_same(
    task: Task,
    tiny_mirror: Path,
    planned: Cells,
    seed: int,
    study_seed: int,
    count: int,
    per_item: bool,
    wording: WordingName,
) -> None:
    data = load(task, tiny_mirror)
    shots = min(count, len(data.train))
    train = {f"{task.name}/{example.id}": example for example in data.train}
    asked: set[str] = set()
    for cell in planned[task.name]:
        if cell.run and cell.run.recipe.format == "samplegen-unified" and wording == "standard":
            continue  # asks in its own wording
        cell = _asked(cell, wording, shots, seed, per_item, study_seed)
        rows = _rows(cell, data, tiny_mirror)
        asked.add(repr([[row[key] for key in ("item", "question", "options", "target", "references")] for row in rows]))
        for row in rows:
            sources = [shown["source"] for shown in cast(list[dict[str, str]], row["demonstrations"])]
            if cell.condition.name in DRAWN:
                assert len(set(sources)) == len(sources) == shots
                _never_tested(task, data, [train[source] for source in sources])
            elif cell.condition.name == "gold-pipeline-cross-task":
                others = [catalog.by_name(source.split("/")[0]) for source in sources]
                assert len(others) == shots
                assert all(task.cluster not in (other.cluster, *other.kin) for other in others)
                assert all(other.cluster not in task.kin for other in others)
    assert len(asked) == 1


@pytest.mark.parametrize("task", catalog.TASKS, ids=lambda task: task.name)
@settings(max_examples=10, deadline=None)
@given(seed=seeds, count=st.integers(0, 60), place=st.integers(min_value=0), per_item=st.booleans())
def test_no_demonstration_of_any_task_is_a_test_item(
    task: Task, tiny_mirror: Path, seed: int, count: int, place: int, per_item: bool
) -> None:
    data = load(task, tiny_mirror)
    item = data.test[place % len(data.test)].id if per_item else None
    drawn = prompts.demonstrations(task, data, min(count, len(data.train)), seed, item)
    _never_tested(task, data, drawn)


@pytest.mark.parametrize("task", catalog.REAL, ids=lambda task: task.name)
def test_no_demonstration_from_the_real_data_is_a_test_item(task: Task, real_data: Callable[[Task], TaskData]) -> None:
    data = real_data(task)
    for seed in range(3):
        shown = prompts.demonstrations(task, data, min(32, len(data.train)), seed)
        _never_tested(task, data, shown)
        _never_tested(task, data, prompts.demonstrations(task, data, 8, seed, data.test[seed].id))


def test_a_puzzle_that_is_tested_is_never_demonstrated_by_another_question_about_it(
    real_data: Callable[[Task], TaskData],
) -> None:
    task = catalog.by_name("logical_deduction")
    assert isinstance(task.source, Hub)
    data = real_data(task)
    assert data.dropped > 0
    assert not {e.fields["story"] for e in data.train} & {e.fields["story"] for e in data.test}


SAMPLEGEN: tuple[Format, ...] = tuple(form for form in get_args(Format) if form != "regular")


@settings(max_examples=60, deadline=None)
@given(
    chosen=st.lists(st.sampled_from(catalog.TASKS), min_size=2, max_size=6, unique_by=lambda task: task.cluster),
    seed=seeds,
    worked=st.integers(1, 2),
    form=st.sampled_from(SAMPLEGEN),
)
def test_no_worked_example_of_a_mixture_is_the_item_or_a_test_item(
    chosen: list[Task], seed: int, worked: int, form: Format, tiny_mirror: Path
) -> None:
    data = {task.name: load(task, tiny_mirror) for task in chosen}
    items = {task.name: {content(task, example) for example in data[task.name].train} for task in chosen}
    tasks = [task for task in chosen if len(items[task.name]) >= 2 * worked]
    if len(tasks) < 2:
        return
    examples = {f"{task.name}/{e.id}": (task, e) for task in tasks for e in data[task.name].train}
    for one in draw(tasks, data, 30, rate_cap=10, seed=str(seed), form=form, worked=worked):
        assert len({shown.source for shown in one.shown}) == len(one.shown) == worked
        assert one.example in data[one.task.name].train
        for shown in one.shown:
            task, example = examples[shown.source]
            assert (task.name == one.task.name) == (form != "samplegen-relevance")
            _never_tested(task, data[task.name], [example])
            if task.name == one.task.name:
                assert example.id != one.example.id
                assert content(task, example) != content(task, one.example)


def test_an_item_that_is_twice_in_the_training_split_is_not_its_own_worked_example() -> None:
    twins = tuple(Example(f"train-{n}", {"text": f"item {n // 2}"}, ("a", "b"), "ab"[n // 2 % 2]) for n in range(40))
    data = {TASK.name: DATA._replace(train=twins)}
    for seed in range(5):
        for one in draw([TASK], data, 40, rate_cap=40, seed=str(seed), form="samplegen", worked=4):
            assert wordings.word(TASK, one.example).input not in {shown.input for shown in one.shown}
