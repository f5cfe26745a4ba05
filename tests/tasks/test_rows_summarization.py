"""Summarization: what its publishers meant, told from made-up rows."""

import pytest

from app.errors import TaskError
from app.tasks.catalog.summarization import (
    AESLC,
    AG_NEWS,
    CNN_DAILYMAIL,
    GIGAWORD,
    NEWSROOM,
    OPIN_IDEBATE,
    OPIN_MOVIE,
    SAMSUM,
    XSUM,
)
from app.tasks.task import Parsed, Row, Task

SECTIONS = ("World", "Sports", "Business", "Sci/Tech")


def news(label: int) -> Row:
    return {"title": "A title", "description": "A  text.", "label": label}


def idebate(arguments: object, claim: str | None = "Ban zoos .") -> Row:
    return {"_debate_name": "On zoos", "_argument_sentences": arguments, "_claim": claim}


def movie(critics: object, consensus: str | None = "Too long.") -> Row:
    return {"_movie_name": "Salt", "_critics": critics, "_critic_consensus": consensus}


NEWS = {"title": "A title", "text": "A text."}
UNTITLED = {"text": "A text.", "title": "unknown"}
ZOOS = {"debate": "On zoos", "arguments": "(1) They cost. (2) They harm."}
SALT = {"movie": "Salt", "reviews": "(1) Slow. (2) Fine.", "first_review": "Slow."}


@pytest.mark.parametrize(
    ("task", "row", "wanted"),
    [
        (AESLC, {"email_body": "Hi,\n\nsee you.", "subject_line": "Bye"}, Parsed({"email": "Hi, see you."}, (), "Bye")),
        (AESLC, {"email_body": " ", "subject_line": "Bye"}, None),
        *((AG_NEWS, news(place), Parsed(NEWS, SECTIONS, name)) for place, name in enumerate(SECTIONS, 1)),
        (AG_NEWS, news(-1), None),
        (CNN_DAILYMAIL, {"article": "Long.", "highlights": "A .\nB ."}, Parsed({"article": "Long."}, (), "A . B .")),
        (GIGAWORD, {"document": "a b c", "summary": "a b"}, Parsed({"sentence": "a b c"}, (), "a b")),
        (GIGAWORD, {"document": "a b c", "summary": ""}, None),
        (NEWSROOM, {"title": "A title", "text": "A\ntext.", "summary": "Text."}, Parsed(NEWS, (), "Text.")),
        (NEWSROOM, {"title": None, "text": "A text.", "summary": "Text."}, Parsed(UNTITLED, (), "Text.")),
        (NEWSROOM, {"title": "A title", "text": "A text.", "summary": None}, None),
        (SAMSUM, {"dialogue": "A: hi\r\nB: ho", "summary": "Hi."}, Parsed({"dialogue": "A: hi B: ho"}, (), "Hi.")),
        (SAMSUM, {"dialogue": None, "summary": "They greet."}, None),
        (XSUM, {"dialogue": "A text.", "summary": "Text."}, Parsed({"text": "A text."}, (), "Text.")),
        (OPIN_IDEBATE, idebate({"9": "They cost.", "4": "They  harm."}), Parsed(ZOOS, (), "Ban zoos .")),
        (OPIN_IDEBATE, idebate({}), None),
        (OPIN_IDEBATE, idebate({"1": "They cost."}, None), None),
        (OPIN_MOVIE, movie({"0": "Slow.", "7": "Fine.", "8": ""}), Parsed(SALT, (), "Too long.")),
        (OPIN_MOVIE, movie({}), None),
        (OPIN_MOVIE, movie({"1": "Slow."}, ""), None),
    ],
)  # fmt: skip
def test_a_row_is_read_as_its_publishers_meant_it(task: Task, row: Row, wanted: Parsed | None) -> None:
    assert task.to_example is not None
    assert task.to_example(row) == wanted


def test_classes_that_are_counted_from_one_have_no_zero() -> None:
    assert AG_NEWS.to_example is not None
    with pytest.raises(TaskError, match="column label holds 0, not a label from 1 to 4"):
        AG_NEWS.to_example(news(0))


def test_reviews_that_are_not_kept_by_number_are_refused() -> None:
    assert OPIN_MOVIE.to_example is not None
    with pytest.raises(TaskError, match=r"column _critics holds 'Slow\.', not named parts"):
        OPIN_MOVIE.to_example(movie("Slow."))
