"""A gate of the bench that let a wrong number pass would print a ratio of two different things."""

import json
import math
from pathlib import Path

import pytest

from app.cli.bench import differences
from app.models import pieces
from app.models.scoring import OptionScores
from jobs.bench import document
from jobs.bench.document import Section, Table, Target
from jobs.bench.material import pieces as pieces_tokenizer
from jobs.bench.measure import Answered, Gate, Pace, alternate, digest, refusal, same_answers, same_number, spread

OURS = Answered(digest([["context", " a"]]), ((-1.0, -2.0, -3.0), (-4.0, -0.5, -4.2)), (0, 2))


def test_equal_answers_pass() -> None:
    theirs = OURS._replace(logprobs=((-1.0005, -2.0, -3.0), (-4.0, -0.5, -4.2)))
    assert refusal(same_answers(OURS, theirs)) == ""
    assert OURS.accuracy == 0.5


@pytest.mark.parametrize(
    ("changed", "gate"),
    [
        ({"prompts": digest([["context", " b"]])}, "same prompts"),
        ({"logprobs": ((-1.002, -2.0, -3.0), (-4.0, -0.5, -4.2))}, "same log-probabilities"),
        ({"logprobs": ((-1.0, -2.0, math.nan), (-4.0, -0.5, -4.2))}, "same log-probabilities"),
        ({"logprobs": ((-2.0, -1.0, -3.0), (-4.0, -0.5, -4.2))}, "same likeliest option"),
        ({"targets": (0, 1)}, "same accuracy"),
        ({"logprobs": ((-1.0, -2.0), (-4.0, -0.5, -4.2))}, "same items"),
    ],
)
def test_a_wrong_number_is_refused_and_named(changed: dict[str, object], gate: str) -> None:
    told = refusal(same_answers(OURS, OURS._replace(**changed)))
    assert gate in told


def test_numbers_apart_are_refused() -> None:
    assert same_number("loss", 1.2345, 1.2346).passed
    assert not same_number("loss", 1.2345, 1.2365).passed
    assert not same_number("loss", 1.2345, math.nan).passed


def test_a_ratio_below_its_target_says_so() -> None:
    assert document.verdict(2.996, 3) == "3.00 x (not reached)"
    assert document.verdict(3.0, 3) == "**3.00 x**"


def test_sides_take_turns_and_every_round_counts() -> None:
    order: list[str] = []
    paces = alternate([lambda: order.append("a"), lambda: order.append("b")], 5, 3)
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert [len(pace.seconds) for pace in paces] == [3, 3]
    ours, theirs = Pace((1.0, 2.0, 1.0), 10, None), Pace((4.0, 4.0, 6.0), 10, None)
    assert (ours.rate, theirs.rate, spread(ours, theirs)) == (10.0, 2.5, "2.0 to 6.0")


def test_the_command_line_sees_every_difference() -> None:
    good = OptionScores((-1.0, -2.0), (1, 1), (True, False), 5, 0)
    assert differences([good], [good._replace(logprobs=(-1.00001, -2.0))]).same
    assert not differences([good], [good._replace(logprobs=(-1.001, -2.0))]).same
    assert not differences([good], [good._replace(logprobs=(-1.0, math.nan))]).same
    assert not differences([good], [good._replace(greedy=(True, True))]).same
    assert differences([good], [good._replace(logprobs=(-2.0, -1.0))]).chosen == 1


def test_a_part_replaces_its_own_section(tmp_path: Path) -> None:
    first = Section("One", "About one.", tables=[Table(("a", "b"), [("1", "2")])], figures={"ratio": 2.0})
    document.keep("one", first, tmp_path)
    failed = Section("Two", "About two.", gates=[("here", Gate("same prompts", False, "x and y"))])
    failed.machine = {"date": "2030-01-31"}
    document.keep("two", failed, tmp_path)
    document.keep("one", Section("One", "Again."), tmp_path)
    text = (tmp_path / "bench.md").read_text()
    assert "Again." in text
    assert "About one." not in text
    assert "| here | same prompts | **no** | x and y |" in text
    assert text.index("## One") < text.index("## Two")
    assert json.loads((tmp_path / "bench.json").read_text())["two"]["machine"]["date"] == "2030-01-31"


def test_the_summary_tells_every_target_first_and_in_the_order_of_parts(tmp_path: Path) -> None:
    slow = Section("Slow", "", targets=[Target("seconds", 21.0, 20.0, "s", at_most=True)])
    fast = Section("Fast one", "", targets=[Target("ratio", 16.6, 15.0), Target("on a GPU", None, 5.0)])
    document.keep("slow", slow, tmp_path, ("fast", "slow"))
    document.keep("fast", fast, tmp_path, ("fast", "slow"))
    text = (tmp_path / "bench.md").read_text()
    assert text.index("## Summary") < text.index("## Fast one") < text.index("## Slow")
    assert "1 of 2 targets reached; 1 not measured on this machine." in text
    assert "| [Fast one](#fast-one) | ratio | 16.60 x | at least 15 x | yes |" in text
    assert "| [Fast one](#fast-one) | on a GPU | not measured | at least 5 x | - |" in text
    assert "| [Slow](#slow) | seconds | 21.00 s | at most 20 s | **no** |" in text


def test_each_round_reads_its_texts_anew() -> None:
    tokenizer = pieces_tokenizer()
    known: list[bool] = []
    work = lambda: known.append(tokenizer in pieces._known) or pieces.encode(tokenizer, ["a\nb"])  # noqa: E731
    alternate([work, work], 1, 2)
    assert known == [False] * 4
