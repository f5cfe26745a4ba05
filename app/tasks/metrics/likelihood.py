"""Which option the log-probabilities of a model choose."""

import math
from collections.abc import Sequence
from typing import Literal

from app.errors import CellError

Normalisation = Literal["sum", "token", "character", "pmi"]
"""How an option's log-probability is made comparable with another's of other length."""


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
