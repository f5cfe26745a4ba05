"""What makes two examples one item, and which templates are inverted."""

from dataclasses import replace

from app.tasks.task import Example, Generated, Task, Template, content

TASK = Task(
    name="made_up",
    cluster="made_up",
    role="tune",
    source=Generated(lambda _split: [], "1"),
    templates=(Template("Do.", "{first} and {second}\n{options}"), Template("Do it.", "{second}")),
    metric="accuracy",
    licence="our own",
)
ITEM = Example("1", {"first": "A red boat", "second": "b", "unseen": "x"}, ("p", "q"), "p")


def test_case_blanks_hidden_fields_options_and_answers_make_no_other_item() -> None:
    same = Example("2", {"first": " a RED\nboat", "second": "B", "unseen": "y"}, ("r", "s"), "s")
    assert content(TASK, same) == content(TASK, ITEM)


def test_neither_other_right_answers_nor_the_group_make_another_item() -> None:
    assert content(TASK, replace(ITEM, references=("q",), group="7")) == content(TASK, ITEM)


def test_any_shown_field_makes_another_item_and_fields_do_not_run_together() -> None:
    assert content(TASK, replace(ITEM, fields={"first": "A red", "second": "boat b"})) != content(TASK, ITEM)


def test_where_no_field_is_shown_the_options_make_the_item_in_any_order() -> None:
    task = replace(TASK, templates=(Template("Pick the odd one.", "{options}"),))
    assert content(task, ITEM) == content(task, replace(ITEM, options=("q", "p")))
    assert content(task, ITEM) != content(task, replace(ITEM, options=("q", "r")))


def test_a_field_that_only_another_template_or_the_instruction_shows_makes_no_other_item() -> None:
    task = replace(TASK, templates=(Template("Think of {second}.", "{first}"), Template("Do.", "{second}")))
    assert content(task, replace(ITEM, fields={**ITEM.fields, "second": "c"})) == content(task, ITEM)


def test_a_template_is_inverted_that_asks_for_anything_but_the_target() -> None:
    assert not Template("Do.", "{first}").inverted
    assert not Template("Do.", "{first}", "{target}").inverted
    assert Template("Do.", "{target}", "{first}").inverted
    assert Template("Do.", "{first}", "It is {target}.").inverted
