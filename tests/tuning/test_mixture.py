"""Which examples a tuning sees: in proportion to size up to the cap, and the same ones every time."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import get_args

import pytest

from app.errors import TaskError
from app.identity import fingerprint
from app.study import Format
from app.tasks.prompts import BLANK, Demonstration
from app.tasks.task import Example, Generated, Task, TaskData, Template
from app.tuning.mixture import Drawn, draw

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


def test_regular_mixtures_stay_as_they_were_before_there_were_other_formats() -> None:
    drawn = [[d.task.name, d.example.id, d.template] for d in draw(TASKS, DATA, 400, 300, "0")]
    assert fingerprint(drawn) == "27d1c9e87a835e5b"


INVERTED = Template("What leads to {target}?", "{target}", answer="{x}")
FOREIGN = replace(task("foreign"), cluster="other")
TUNED = (task("small", (*TEMPLATES, INVERTED)), LARGE, FOREIGN)
WORKED = {"small": data(100), "large": data(300), "foreign": data(200)}
OTHERS = {"small": {"foreign"}, "large": {"foreign"}, "foreign": {"small", "large"}}


def formatted(form: Format, count: int = 400, worked: int = 2, seed: str = "0") -> list[Drawn]:
    return draw(TUNED, WORKED, count, 3_000, seed, form, worked)


def source(shown: Demonstration) -> tuple[str, str]:
    """Task and example of a worked example."""
    name, _, example = shown.source.partition("/")
    return name, example


@pytest.mark.parametrize("form", [form for form in get_args(Format) if form != "regular"])
def test_items_and_worked_examples_come_from_different_halves(form: Format) -> None:
    drawn = formatted(form)
    items = {(d.task.name, d.example.id) for d in drawn}
    shown = {source(one) for d in drawn for one in d.shown}
    assert not items & shown
    assert {len({source(one) for one in d.shown}) for d in drawn} == {2}
    for name, loaded in WORKED.items():
        half = len(loaded.train) // 2
        assert len({i for n, i in items if n == name}) <= len(loaded.train) - half
        assert len({i for n, i in shown if n == name}) <= half
    # Over seeds, every example is now an item and now a worked one.
    others = formatted(form, seed="1")
    assert items & {source(one) for d in others for one in d.shown}


@pytest.mark.parametrize("form", get_args(Format))
def test_a_formatted_draw_is_a_function_of_its_seed_and_mixes_tasks_as_ever(form: Format) -> None:
    drawn = formatted(form)
    assert formatted(form) == drawn != formatted(form, seed="1")
    assert Counter(d.task.name for d in drawn) == Counter(d.task.name for d in formatted("regular"))


def test_no_worked_example_stands_before_a_regular_one() -> None:
    assert {d.shown for d in formatted("regular")} == {()}


def test_worked_examples_are_those_of_the_task_with_their_answers() -> None:
    for d in formatted("samplegen"):
        for one in d.shown:
            name, example = source(one)
            assert name == d.task.name
            assert (one.input, one.answer) == (example.removeprefix("e"), "y")


def test_corrupted_worked_examples_are_blank() -> None:
    for d in formatted("samplegen-corrupted"):
        assert [(one.input, one.answer) for one in d.shown] == [(BLANK, BLANK)] * 2
        assert (d.example.fields["x"], d.example.target) == (d.example.id.removeprefix("e"), "y")


def test_worked_examples_of_relevance_are_of_one_task_of_another_cluster() -> None:
    found: dict[str, set[str]] = {}
    for d in formatted("samplegen-relevance"):
        names = {source(one)[0] for one in d.shown}
        assert len(names) == 1
        found.setdefault(d.task.name, set()).update(names)
    assert found == OTHERS


def test_relevance_without_a_second_cluster_is_refused() -> None:
    with pytest.raises(TaskError, match="samplegen-relevance needs tasks of two clusters, but all are of c"):
        draw(TASKS, DATA, 10, 10, "0", "samplegen-relevance", 1)


def test_worked_examples_without_answers_keep_their_text() -> None:
    for d, whole in zip(formatted("samplegen-no-answer"), formatted("samplegen"), strict=True):
        assert [one.answer for one in d.shown] == ["", ""]
        assert [one.input for one in d.shown] == [one.input for one in whole.shown]


def test_unified_worked_examples_number_their_fields() -> None:
    for d in formatted("samplegen-unified"):
        for one in d.shown:
            assert one.input == f"Input 1: {source(one)[1].removeprefix('e')}"


@pytest.mark.parametrize("form", get_args(Format))
def test_only_regular_mixtures_use_templates_that_ask_for_something_else(form: Format) -> None:
    used = {d.template for d in formatted(form) if d.task.name == "small"}
    assert used == ({0, 1, 2} if form == "regular" else {0, 1})


def test_a_task_with_too_few_examples_for_two_halves_is_refused_with_a_remedy() -> None:
    few = {**DATA, "small": data(5)}
    with pytest.raises(TaskError, match=r"small has 5 different training examples, too few for 3 .*lower"):
        draw(TASKS, few, 10, 10, "0", "samplegen", 3)
    assert draw((SMALL,), few, 10, 10, "0", "samplegen", 2)


def test_examples_of_equal_content_are_in_one_half() -> None:
    twice = tuple(replace(one, id=f"{one.id}.{copy}") for one in data(10).train for copy in range(2))
    drawn = draw((SMALL,), {"small": TaskData(twice, (), "f")}, 60, 3_000, "0", "samplegen", 2)
    items = {d.example.fields["x"] for d in drawn}
    shown = {one.input for d in drawn for one in d.shown}
    assert (len(items), len(shown)) == (5, 5)
    assert not items & shown


def test_no_worked_examples_asked_for_are_none_shown() -> None:
    assert {d.shown for d in formatted("samplegen", worked=0)} == {()}
