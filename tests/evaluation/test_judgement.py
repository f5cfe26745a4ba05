"""A response is judged once, a failed extraction is an outcome of its own, and a metric spans the whole set."""

import math

import pytest

from app import tables
from app.errors import CellError
from app.evaluation.judgement import Response, Tally
from app.evaluation.requests import Request, RequestFacts
from app.models.generation import Generation
from app.models.scoring import OptionScores

FACTS = RequestFacts(4, {"accuracy": 0.5, "exact_match": 0.0}, "data", "content")
OPTIONS = ("no", "certainly")


def response(
    target: str, logprobs: tuple[float, ...] | None = None, text: str | None = None, bare: tuple[float, ...] = ()
) -> Response:
    """One response to an item with the options no (1 token) and certainly (2 tokens)."""
    scores = OptionScores(logprobs, (1, 2), (True, False), 30, 2) if logprobs else None
    generation = Generation(text, 31, 3, True) if text is not None else None
    return Response(Request("i", "c", OPTIONS, target, "h"), scores, bare, generation)


def test_every_normalisation_is_a_metric_over_the_whole_set_by_hand() -> None:
    # Per token, no: -2, -2, -1, -9; certainly: -1.5, -2.5, -2, -4. Per character, no: -1, -1, -.5, -4.5 and
    # certainly: -1/3, -.56, -.44, -.89. Minus the bare -1 and -8, no: -1, -1, 0, -8; certainly: 5, 3, 4, 0.
    tally = Tally()
    for target, logprobs in [
        ("no", (-2.0, -3.0)),
        ("no", (-2.0, -5.0)),
        ("certainly", (-1.0, -4.0)),
        ("no", (-9.0, -8.0)),
    ]:
        tally.judge(response(target, logprobs, bare=(-1.0, -8.0)))
    found = {row["metric"]: row for row in tally.scores(FACTS, "accuracy")}
    values = {name: row["value"] for name, row in found.items()}
    # Chosen: sum no, no, no, certainly; token certainly, no, no, certainly; character and pmi always certainly.
    assert values == {"accuracy": 0.5, "accuracy_token": 0.25, "accuracy_character": 0.25, "accuracy_pmi": 0.25}
    assert {row["n"] for row in found.values()} == {4}
    assert found["accuracy"]["stderr"] == pytest.approx(math.sqrt(0.25 / 4))
    assert {row["chance"] for row in found.values()} == {0.5}
    assert [name for name, row in found.items() if row["primary"]] == ["accuracy"]
    assert {row["extraction_failures"] for row in found.values()} == {None}


def test_a_failed_extraction_is_counted_apart_and_is_wrong() -> None:
    tally = Tally()
    rows = [
        tally.judge(response("no", text=text)) for text in ("No.", " certainly", "perhaps", "", "no or certainly", "NO")
    ]
    assert [row["prediction"] for row in rows] == ["no", "certainly", None, None, "no", "no"]
    assert [row["prediction_correct"] for row in rows] == [True, False, False, False, True, True]
    (score,) = tally.scores(FACTS, "exact_match")
    assert (score["value"], score["n"], score["extraction_failures"], score["chance"]) == (0.5, 6, 2, 0.0)
    assert score["primary"]


def test_without_pmi_there_is_no_such_metric() -> None:
    tally = Tally()
    tally.judge(response("no", (-1.0, -2.0)))
    assert "accuracy_pmi" not in {row["metric"] for row in tally.scores(FACTS, "accuracy")}


def test_both_modes_judge_the_same_item_side_by_side() -> None:
    tally = Tally()
    row = tally.judge(response("no", (-1.0, -2.0), "certainly"))
    assert (row["choice"], row["choice_correct"]) == ("no", True)
    assert (row["prediction"], row["prediction_correct"]) == ("certainly", False)
    assert (row["prompt_tokens"], row["cut_tokens"]) == (30, 2)


def test_the_row_holds_exactly_the_columns_of_a_response() -> None:
    for made in (response("no", (-1.0, -2.0), "no", (-1.0, -1.0)), response("no")):
        assert set(Tally().judge(made)) == {column.name for column in tables.RESPONSE}


def test_a_tie_goes_to_the_first_option() -> None:
    assert Tally().judge(response("no", (-2.0, -2.0)))["choice"] == "no"


def test_a_score_that_is_no_number_ends_the_cell() -> None:
    with pytest.raises(CellError, match="no number"):
        Tally().judge(response("no", (math.nan, -1.0)))
