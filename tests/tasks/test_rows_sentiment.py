"""Rows of sentiment analysis: which label is praise, and what of a review is text."""

import pytest

from app.errors import TaskError
from app.tasks.catalog import sentiment
from app.tasks.task import Parsed, Row

TASKS = {task.name: task for task in sentiment.TASKS}
POLES = ("negative", "positive")


def read(name: str, row: Row) -> Parsed | None:
    reader = TASKS[name].to_example
    assert reader is not None
    return reader(row)


@pytest.mark.parametrize(
    ("name", "row", "fields", "target"),
    [
        ("sst2", {"sentence": "awful ", "label": 0}, {"sentence": "awful"}, "negative"),
        ("sst2", {"sentence": "lovely ", "label": 1}, {"sentence": "lovely"}, "positive"),
        ("imdb_reviews", {"text": "Bad.<br /><br />Very.", "label": 0}, {"review": "Bad. Very."}, "negative"),
        ("imdb_reviews", {"text": "Good {film}.", "label": 1}, {"review": "Good {film}."}, "positive"),
        (
            "yelp_polarity_reviews",
            {"text": 'Cold.\\n\\nAnd \\""late\\"".', "label": 0},
            {"review": 'Cold. And "late".'},
            "negative",
        ),
        ("yelp_polarity_reviews", {"text": 'A \\"gem\\".', "label": 1}, {"review": 'A "gem".'}, "positive"),
        ("sentiment140", {"text": "late  again", "sentiment": 0}, {"tweet": "late again"}, "negative"),
        ("sentiment140", {"text": "so good", "sentiment": 4}, {"tweet": "so good"}, "positive"),
    ],
)
def test_a_label_is_worded_as_it_was_meant(name: str, row: Row, fields: dict[str, str], target: str) -> None:
    assert read(name, row) == Parsed(fields, POLES, target)


@pytest.mark.parametrize("name", ["imdb_reviews", "yelp_polarity_reviews"])
def test_a_review_without_label_is_left_out(name: str) -> None:
    assert read(name, {"text": "x", "label": -1}) is None


def test_a_neutral_tweet_is_neither_and_left_out() -> None:
    assert read("sentiment140", {"text": "it opens at nine", "sentiment": 2}) is None


@pytest.mark.parametrize("score", [1, 3, None, "4"])
def test_any_other_mark_of_a_tweet_is_refused(score: object) -> None:
    with pytest.raises(TaskError, match="column sentiment holds"):
        read("sentiment140", {"text": "x", "sentiment": score})
