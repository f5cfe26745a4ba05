"""Demonstrations: from train, reproducible, and never an item that is tested."""

import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import TaskError
from app.tasks import catalog, prompts
from app.tasks.loading import load
from app.tasks.task import Example, Generated, Hub, Task, TaskData, Template, content

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


def _never_tested(task: Task, data: TaskData, count: int, seed: int, item: str | None) -> None:
    drawn = prompts.demonstrations(task, data, min(count, len(data.train)), seed, item)
    assert not {content(task, e) for e in drawn} & {content(task, e) for e in data.test}
    assert not {e.id for e in drawn} & {e.id for e in data.test}


@pytest.mark.parametrize("task", catalog.TASKS, ids=lambda task: task.name)
@settings(max_examples=10, deadline=None)
@given(seed=seeds, count=st.integers(0, 12), place=st.integers(min_value=0), per_item=st.booleans())
def test_no_demonstration_of_any_task_is_a_test_item(
    task: Task, tiny_mirror: Path, seed: int, count: int, place: int, per_item: bool
) -> None:
    data = load(task, tiny_mirror)
    item = data.test[place % len(data.test)].id if per_item else None
    _never_tested(task, data, count, seed, item)


@pytest.mark.parametrize("task", catalog.REAL, ids=lambda task: task.name)
def test_no_demonstration_from_the_real_data_is_a_test_item(task: Task, real_mirror: Path) -> None:
    data = load(task, real_mirror)
    for seed in range(3):
        _never_tested(task, data, 32, seed, None)
        _never_tested(task, data, 8, seed, data.test[seed].id)


def test_a_puzzle_that_is_tested_is_never_demonstrated_by_another_question_about_it(real_mirror: Path) -> None:
    task = catalog.by_name("logical_deduction_five")
    assert isinstance(task.source, Hub)
    data = load(task, real_mirror)
    assert data.dropped > 0
    assert not {e.fields["story"] for e in data.train} & {e.fields["story"] for e in data.test}
