"""The procedural tasks: roles, splits, options, and the words they share with the tables of facts."""

from collections import Counter
from itertools import combinations
from random import Random

import pytest

from app.tasks import prompts
from app.tasks.generated import PROCEDURES, TASKS, lexicon
from app.tasks.loading import load
from app.tasks.task import Generated, Task, TaskData


def data(task: Task) -> TaskData:
    return load(task, None)


every_task = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)


def test_there_are_tasks_to_tune_on_to_develop_with_and_to_evaluate() -> None:
    roles = Counter(task.role for task in TASKS)
    assert roles["tune"] >= 16
    assert roles["develop"] == 5
    assert roles["evaluate"] >= 13
    assert roles["tune"] + roles["evaluate"] >= 30
    assert len({task.name for task in TASKS}) == len(TASKS)


@every_task
def test_train_and_test_share_no_item_and_both_are_large_enough(task: Task) -> None:
    train, test = data(task).train, data(task).test
    assert {e.id for e in train}.isdisjoint(e.id for e in test)
    assert len({e.id for e in train}) == len(train) >= 8
    assert len({e.id for e in test}) == len(test) >= 25


@every_task
def test_no_train_item_is_a_test_item_turned_round(task: Task) -> None:
    def words(example_input: str, target: str) -> frozenset[str]:
        return frozenset(f"{example_input} {target}".split())

    test = {words(e.id, e.target) for e in data(task).test}
    assert all(words(e.id, e.target) not in test for e in data(task).train)


@every_task
def test_items_are_the_same_at_every_call(task: Task) -> None:
    assert isinstance(task.source, Generated)
    assert task.source.make("test") == task.source.make("test")
    assert task.source.make("train") == task.source.make("train")


@every_task
def test_options_are_different_and_hold_the_answer_at_no_fixed_place(task: Task) -> None:
    examples = data(task).test
    for example in examples:
        assert example.target in example.options
        assert len(set(example.options)) == len(example.options) >= 2
    assert len({example.options.index(example.target) for example in examples}) > 1


@every_task
def test_every_option_is_an_answer_of_the_same_task(task: Task) -> None:
    """Or a word of the item itself: nothing else about an option says that it is wrong."""
    answers = {e.target for split in data(task)[:2] for e in split}
    pools = [set(pool) for pool in lexicon.POOLS.values()]
    for example in data(task).test:
        for option in example.options:
            same_type = any({option, example.target} <= pool for pool in pools)
            assert option in answers or same_type or set(option.split()) <= set(example.id.split())


@every_task
def test_the_two_wordings_of_a_task_differ_and_show_the_same_input(task: Task) -> None:
    evaluation, seen = task.templates
    assert evaluation.instruction != seen.instruction
    assert evaluation.input == seen.input == "{input}"


def test_wordings_belong_to_one_task_only() -> None:
    wordings = [template.instruction for task in TASKS for template in task.templates]
    assert len(set(wordings)) == len(wordings)


def test_most_tasks_share_their_type_of_input_with_another_task() -> None:
    """Else the input alone would say what is asked, and demonstrations would add nothing."""
    seen = {task.name: {e.id for split in data(task)[:2] for e in split} for task in TASKS}
    sharing = {name for a, b in combinations(seen, 2) if seen[a] & seen[b] for name in (a, b)}
    assert len(sharing) > len(TASKS) // 2


def test_tasks_that_rest_on_the_same_table_name_the_same_fact() -> None:
    requires = {task.name: set(task.requires) for task in TASKS}
    assert requires["capital"] == requires["country"]
    assert requires["translate"] == requires["untranslate"]
    assert requires["category"] & requires["outlier"]
    assert requires["capital"].isdisjoint(requires["currency"])


def test_frequent_entities_are_drawn_more_often_than_rare_ones() -> None:
    capital = next(procedure for procedure in PROCEDURES if procedure.task.name == "capital")
    rng = Random(0)
    drawn = Counter(capital.draw(rng).input for _ in range(6_000))
    assert drawn[lexicon.COUNTRIES[0]] > 5 * max(1, drawn[lexicon.COUNTRIES[-1]])
    assert len(drawn) == len(lexicon.COUNTRIES)


def test_every_invented_word_is_new() -> None:
    invented = ("countries", "capitals", "currencies", "languages", "people", "foreign", "symbols")
    for name in invented:
        others = {word for other, pool in lexicon.POOLS.items() if other != name for word in pool}
        assert others.isdisjoint(lexicon.POOLS[name])
        assert len(set(lexicon.POOLS[name])) == len(lexicon.POOLS[name])


@every_task
def test_four_demonstrations_and_the_item_fit_into_the_context_of_the_ladder(task: Task) -> None:
    examples = data(task)
    longest = sorted(examples.train, key=lambda e: len(e.id.split()))[-4:]
    item = max(examples.test, key=lambda e: len(e.id.split()))
    shown = [prompts.demonstration(task, example) for example in longest]
    asked = prompts.demonstration(task, item)
    prompt = prompts.few_shot(shown, asked.input) + prompts.continuation(asked.answer)
    marks = prompt.count(":") + prompt.count("\n\n") + prompt.count("\nAnswer")
    assert len(prompt.split()) + marks <= 128
