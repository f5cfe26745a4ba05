"""Metrics against values worked out by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from app.errors import CellError
from app.tasks.metrics import Metric, chance, choose, matches, mean_score
from app.tasks.task import Example


def item(*options: str) -> Example:
    return Example("x", {}, options, options[0] if options else "free")


def test_a_score_has_the_binomial_standard_error() -> None:
    assert mean_score([True, True, True, False]) == Metric(0.75, math.sqrt(0.75 * 0.25 / 4), 4)
    assert mean_score([True, True, True, False]).stderr == pytest.approx(0.2165064)
    assert mean_score([False] * 5) == Metric(0.0, 0.0, 5)


@given(st.lists(st.booleans(), min_size=1, max_size=200))
def test_the_standard_error_is_that_of_a_mean_of_bernoulli_draws(flags: list[bool]) -> None:
    score = mean_score(flags)
    assert score.stderr == pytest.approx(stats.bernoulli.std(score.value) / math.sqrt(score.n), abs=1e-12)


def test_no_items_have_no_score() -> None:
    with pytest.raises(ValueError, match="no items"):
        mean_score([])
    with pytest.raises(ValueError, match="no items"):
        chance([], "accuracy")


def test_exact_match_compares_normalised_text_and_counts_a_failed_extraction_as_wrong() -> None:
    answers, targets = ["A cat.", "dog", None, "a  cat"], ["a cat", "cat", "cat", '"A cat"']
    assert [matches(a, b) for a, b in zip(answers, targets, strict=True)] == [True, False, False, True]


def test_chance_is_the_mean_over_items_of_one_in_so_many_options() -> None:
    assert chance([item("a", "b"), item("a", "b", "c", "d")], "accuracy") == 0.375
    assert chance([item("a", "b"), item()], "accuracy") == 0.25
    assert chance([item("a", "b"), item()], "exact_match") == 0.0


OPTIONS = ("no", "perhaps so")
LOGPROBS = (-4.0, -6.0)
TOKENS = (1, 2)


def test_the_sum_prefers_the_short_option_and_the_means_the_long_one() -> None:
    assert choose(LOGPROBS, TOKENS, OPTIONS, "sum") == 0
    assert choose(LOGPROBS, TOKENS, OPTIONS, "token") == 1  # -4 against -3 a token
    assert choose(LOGPROBS, TOKENS, OPTIONS, "character") == 1  # -2 against -0.6 a character


def test_pointwise_mutual_information_takes_away_what_the_option_is_worth_alone() -> None:
    assert choose(LOGPROBS, TOKENS, OPTIONS, "pmi", (-1.0, -9.0)) == 1  # -3 against 3
    assert choose(LOGPROBS, TOKENS, OPTIONS, "pmi", (-5.0, -6.0)) == 0  # 1 against 0


def test_of_equal_options_the_first_is_chosen() -> None:
    assert choose((-2.0, -1.0, -1.0), (1, 1, 1), ("a", "b", "c"), "sum") == 1
    assert choose((-math.inf, -math.inf), (1, 1), ("a", "b"), "sum") == 0


@given(st.lists(st.floats(-100, 0), min_size=1, max_size=6), st.sampled_from(["sum", "token", "character"]))
def test_no_other_option_scores_higher_than_the_chosen_one(logprobs: list[float], how: str) -> None:
    options = ["x" * (place + 1) for place in range(len(logprobs))]
    tokens = [place + 1 for place in range(len(logprobs))]
    chosen = choose(logprobs, tokens, options, how)  # pyright: ignore[reportArgumentType]
    size = [1] * len(tokens) if how == "sum" else tokens
    assert all(logprobs[chosen] / size[chosen] >= logprobs[k] / size[k] for k in range(len(logprobs)))


@pytest.mark.parametrize(
    ("logprobs", "how", "bare"),
    [((math.nan, -1.0), "sum", None), ((-1.0, math.nan), "token", None), ((-math.inf, -1.0), "pmi", (-math.inf, -1.0))],
)
def test_a_score_that_is_not_a_number_fails_the_cell(logprobs: tuple[float, ...], how: str, bare: object) -> None:
    with pytest.raises(CellError, match="give no number"):
        choose(logprobs, (1, 1), ("a", "b"), how, bare)  # pyright: ignore[reportArgumentType]


def test_what_cannot_be_normalised_is_refused() -> None:
    with pytest.raises(ValueError, match="unconditional"):
        choose((-1.0, -2.0), (1, 1), ("a", "b"), "pmi")
    with pytest.raises(ValueError, match="token"):
        choose((-1.0, -2.0), (1, 0), ("a", "b"), "token")
    with pytest.raises(ValueError, match="character"):
        choose((-1.0, -2.0), (1, 1), ("a", ""), "character")
    with pytest.raises(ValueError, match="2 options, 1 log-probabilities"):
        choose((-1.0,), (1, 1), ("a", "b"), "sum")
    with pytest.raises(ValueError, match="0 options"):
        choose((), (), (), "sum")
