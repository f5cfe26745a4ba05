"""Scores of a whole test set at once, never averaged over batches; and which option log-probabilities choose."""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from app.errors import CellError
from app.tasks.extraction import normalise
from app.tasks.task import Example, MetricName

Normalisation = Literal["sum", "token", "character", "pmi"]
"""How an option's log-probability is made comparable with another's of other length."""


class Metric(NamedTuple):
    """An aggregate over a test set."""

    value: float
    """Fraction, 0 to 1."""
    stderr: float
    """Binomial standard error of `value`, a fraction: of drawing the items, given the model and the prompts."""
    n: int
    """Items."""


def mean_score(correct: Sequence[bool]) -> Metric:
    """The share p of correct items, with the standard error sqrt(p (1 - p) / n) of a binomial proportion.

    Raises ValueError for no items.
    """
    n = len(correct)
    if n == 0:
        raise ValueError("a score over no items does not exist")
    p = sum(correct) / n
    return Metric(p, math.sqrt(p * (1 - p) / n), n)


def matches(prediction: str | None, target: str) -> bool:
    """Exact match of one answer: equal after `normalise`; None (no answer found) is wrong."""
    return prediction is not None and normalise(prediction) == normalise(target)


def chance(examples: Sequence[Example], metric: MetricName) -> float:
    """What guessing scores: the mean of 1 / options for accuracy; 0 for exact match, where anything could be said.

    An item without options cannot be guessed either: it counts 0. Raises ValueError for no items.
    """
    if not examples:
        raise ValueError("chance over no items does not exist")
    if metric == "exact_match":
        return 0.0
    return math.fsum(1 / len(example.options) for example in examples if example.options) / len(examples)


def choose(
    logprobs: Sequence[float],
    tokens: Sequence[int],
    options: Sequence[str],
    normalisation: Normalisation,
    unconditional: Sequence[float] | None = None,
) -> int:
    """The index of the likeliest option; of equal ones the lowest, so that a tie never depends on rounding or order.

    `logprobs` (nats) are sums over each option's `tokens` (counts). sum: as they are. token: divided by tokens.
    character: divided by the length of the option's text, as acc_norm of lm-evaluation-harness. pmi: minus
    `unconditional`, the log-probabilities after the bare answer cue (Holtzman et al. 2021, arXiv 2104.08315).
    Raises ValueError for unequal lengths, no options, an empty option or pmi without `unconditional`; CellError for a
    score that is not a number.
    """
    if not options or len(logprobs) != len(options) or len(tokens) != len(options):
        raise ValueError(f"{len(options)} options, {len(logprobs)} log-probabilities and {len(tokens)} token counts")
    if normalisation == "pmi":
        if unconditional is None or len(unconditional) != len(options):
            raise ValueError("pmi needs the unconditional log-probability of each option")
        scores = [given - bare for given, bare in zip(logprobs, unconditional, strict=True)]
    else:
        sizes = {"sum": [1] * len(options), "token": list(tokens), "character": [len(text) for text in options]}
        if min(sizes[normalisation]) < 1:
            raise ValueError(f"an option without a {normalisation} has no normalised score: {list(options)}")
        scores = [logprob / size for logprob, size in zip(logprobs, sizes[normalisation], strict=True)]
    if any(math.isnan(score) for score in scores):
        raise CellError(
            f"the log-probabilities {list(logprobs)} of the options {list(options)} give no number under "
            f"{normalisation}: the model's weights or its precision are at fault"
        )
    return max(range(len(scores)), key=lambda place: scores[place])
