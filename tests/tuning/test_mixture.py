"""Which examples a tuning sees: in proportion to size up to the cap, and the same ones every time."""

from collections import Counter
from itertools import pairwise

import pytest

from app.errors import TaskError
from app.tasks.task import Example, Generated, Task, TaskData, Template
from app.tuning.mixture import draw

TEMPLATES = (Template("First.", "{x}"), Template("Second.", "{x}"))


def task(name: str, templates: tuple[Template, ...] = TEMPLATES) -> Task:
    return Task(name, "c", "tune", Generated(lambda split: [], "1"), templates, "exact_match", "own")


def data(count: int) -> TaskData:
    return TaskData(tuple(Example(f"e{i}", {"x": str(i)}, (), "y") for i in range(count)), (), "f")


SMALL, LARGE, HUGE = task("small"), task("large"), task("huge")
TASKS = (SMALL, LARGE, HUGE)
DATA = {"small": data(100), "large": data(300), "huge": data(5_000)}


def shares(count: int, cap: int, seed: str = "0") -> dict[str, float]:
    found = Counter(d.task.name for d in draw(TASKS, DATA, count, cap, seed))
    return {name: times / count for name, times in found.items()}


def test_tasks_are_drawn_in_proportion_to_their_examples_up_to_the_cap() -> None:
    found = shares(20_000, 600)
    # Weights 100, 300 and min(5000, 600); the standard error of a share is below 0.004.
    assert found == pytest.approx({"small": 0.1, "large": 0.3, "huge": 0.6}, abs=0.02)


def test_a_low_cap_makes_tasks_equal() -> None:
    assert shares(9_000, 50) == pytest.approx(dict.fromkeys(DATA, 1 / 3), abs=0.03)


def test_the_draw_has_the_asked_length_and_is_a_function_of_its_seed() -> None:
    first = draw(TASKS, DATA, 500, 600, "0")
    assert len(first) == 500
    assert draw(TASKS, DATA, 500, 600, "0") == first
    assert draw(TASKS, DATA, 500, 600, "1") != first


def test_no_example_comes_twice_before_every_other_came_once() -> None:
    drawn = draw((SMALL,), DATA, 250, 3_000, "0")
    counts = Counter(d.example.id for d in drawn)
    assert len(counts) == 100
    assert set(counts.values()) == {2, 3}


def test_all_wordings_are_mixed() -> None:
    counts = Counter(d.template for d in draw((LARGE,), DATA, 1_000, 3_000, "0"))
    assert set(counts) == {0, 1}
    assert min(counts.values()) > 400


def test_tasks_are_mixed_and_not_in_blocks() -> None:
    names = [d.task.name for d in draw(TASKS, DATA, 300, 300, "0")]
    changes = sum(a != b for a, b in pairwise(names))
    assert changes > 100


def test_a_task_keeps_its_examples_where_another_leaves_the_mixture() -> None:
    def of_large(tasks: tuple[Task, ...]) -> set[str]:
        drawn = [d.example.id for d in draw(tasks, DATA, 200, 3_000, "0") if d.task is LARGE]
        return set(drawn)

    alone, beside = of_large((LARGE,)), of_large((LARGE, SMALL))
    assert beside < alone


def test_a_task_without_training_examples_is_refused_by_name() -> None:
    with pytest.raises(TaskError, match="the task small has no training examples left"):
        draw(TASKS, {**DATA, "small": data(0)}, 10, 10, "0")
