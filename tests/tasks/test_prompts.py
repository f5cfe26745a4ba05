"""Prompts: one grammar for both sides of a pair, filled in without touching the data."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import TaskError
from app.tasks import prompts
from app.tasks.task import Example, Generated, Task, Template

TASK = Task(
    name="opposites",
    cluster="made_up",
    role="tune",
    source=Generated(lambda _split: [], "1"),
    templates=(
        Template("Give the opposite.", "{word}"),
        Template("Which of these is the opposite of {word}?", "{word}\n{options}"),
    ),
    metric="accuracy",
    licence="our own",
)
HOT = Example("1", {"word": "hot"}, ("cold", "wet"), "cold")
UP = Example("2", {"word": "up"}, ("left", "down"), "down")
BIG = Example("3", {"word": "big"}, ("small", "near"), "small")

words = st.text(st.characters(blacklist_categories=("Cs",)), min_size=1, max_size=20)


def test_a_base_model_without_demonstrations_sees_the_item_and_no_instruction() -> None:
    assert prompts.few_shot(TASK, (), HOT) == "Question: hot\nAnswer:"


def test_demonstrations_stand_before_the_item_with_their_answers() -> None:
    assert prompts.few_shot(TASK, (UP, BIG), HOT) == (
        "Question: up\nAnswer: down\n\nQuestion: big\nAnswer: small\n\nQuestion: hot\nAnswer:"
    )


def test_a_tuned_model_sees_instruction_and_item() -> None:
    assert prompts.instruct(TASK, HOT) == "Instruction: Give the opposite.\nInput: hot\nAnswer:"


def test_a_tuned_model_sees_demonstrations_below_the_instruction() -> None:
    assert prompts.instruct_few_shot(TASK, (UP,), HOT) == (
        "Instruction: Give the opposite.\nInput: up\nAnswer: down\n\nInput: hot\nAnswer:"
    )
    assert prompts.instruct_few_shot(TASK, (), HOT) == prompts.instruct(TASK, HOT)


def test_options_are_listed_in_their_order_and_fields_may_stand_in_the_instruction() -> None:
    assert prompts.instruct(TASK, HOT, 1) == (
        "Instruction: Which of these is the opposite of hot?\nInput: hot\n- cold\n- wet\nAnswer:"
    )


def test_the_answer_brings_its_own_blank() -> None:
    shown = prompts.few_shot(TASK, (UP,), HOT)
    assert f"{prompts.ANSWER_CUE}{prompts.continuation('down')}\n" in shown
    assert shown.endswith(prompts.ANSWER_CUE)


@given(words, words)
def test_both_sides_of_a_pair_see_the_same_text_of_an_item(word: str, other: str) -> None:
    item = Example("x", {"word": word}, ("a", "b"), "a")
    shown = Example("y", {"word": other}, ("a", "b"), "b")
    base, tuned = prompts.few_shot(TASK, (shown,), item), prompts.instruct(TASK, item)
    assert base.endswith(f" {word}\n{prompts.ANSWER_CUE}")
    assert tuned.endswith(f" {word}\n{prompts.ANSWER_CUE}")


@pytest.mark.parametrize("text", ["{}", "{word}", "{options}", "{0}", "{{word}}", "}{", "{!r:>9}", "%s {", "a\\1b"])
def test_braces_in_the_data_stay_as_they_are(text: str) -> None:
    item = Example("x", {"word": text}, (text, "b"), text)
    assert prompts.few_shot(TASK, (item,), item) == f"Question: {text}\nAnswer: {text}\n\nQuestion: {text}\nAnswer:"
    assert f"- {text}\n" in prompts.instruct(TASK, item, 1)


def test_braces_around_no_name_are_plain_text_in_a_template() -> None:
    task = replace(TASK, templates=(Template("Fill {} in.", "{ } {word} {a b}"),))
    assert prompts.instruct(task, HOT) == "Instruction: Fill {} in.\nInput: { } hot {a b}\nAnswer:"


def test_an_unknown_field_is_refused_with_task_and_known_fields() -> None:
    task = replace(TASK, templates=(Template("Do.", "{wrod}"),))
    with pytest.raises(TaskError, match="task opposites: a template names the field wrod; available are word, options"):
        prompts.few_shot(task, (), HOT)


def test_options_are_no_field_of_an_item_without_any() -> None:
    with pytest.raises(TaskError, match=r"available are word$"):
        prompts.instruct(TASK, replace(HOT, options=()), 1)


@pytest.mark.parametrize("number", [-1, 2])
def test_a_wording_that_does_not_exist_is_refused(number: int) -> None:
    with pytest.raises(TaskError, match="has 2 templates"):
        prompts.instruct(TASK, HOT, number)


def test_the_wording_fingerprint_changes_with_any_template() -> None:
    first, second = TASK.templates
    told = {
        prompts.wording(TASK),
        prompts.wording(replace(TASK, templates=(first,))),
        prompts.wording(replace(TASK, templates=(second, first))),
        prompts.wording(replace(TASK, templates=(first, Template(second.instruction, "{word}")))),
    }
    assert len(told) == 4
    assert prompts.wording(TASK) == prompts.wording(replace(TASK, name="renamed"))
