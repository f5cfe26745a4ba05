"""The translated benchmark: read from the user's file."""

from typing import Any

import pytest

from app.errors import TaskError
from app.tasks.catalog.translated import SOCIAL_IQA_TRANSLATED
from app.tasks.task import Parsed


def read(**row: Any) -> Parsed | None:
    assert SOCIAL_IQA_TRANSLATED.to_example is not None
    return SOCIAL_IQA_TRANSLATED.to_example(row)


def test_the_first_line_is_the_question_and_an_answer_ends_in_no_dot() -> None:
    parsed = read(text=" Bha Iain  {sgìth}. Carson? \nRoghainnean: “a”", options=["Oir.", "Chan eil"], answer="Oir.")
    assert parsed == Parsed({"question": "Bha Iain {sgìth}. Carson?"}, ("Oir", "Chan eil"), "Oir")


def test_options_that_became_one_are_shown_once() -> None:
    assert read(text="C?", options=["a", "a.", "b"], answer="b") == Parsed({"question": "C?"}, ("a", "b"), "b")


@pytest.mark.parametrize(("options", "answer"), [(["a", "a."], "a"), (["a", "b"], "")])
def test_a_row_with_nothing_to_choose_or_no_answer_is_left_out(options: list[str], answer: str) -> None:
    assert read(text="C?", options=options, answer=answer) is None


def test_a_text_of_another_kind_is_refused() -> None:
    with pytest.raises(TaskError, match="column text holds 3, not text"):
        read(text=3, options=["a", "b"], answer="a")
