"""Drawn examples as token ids: prompt, answer, end of sequence; loss on the answer and the end alone.

The end-of-sequence token always carries a label, so a tuned model learns to stop; padding is told apart by
length, never by token id. A prompt that is too long is cut on its left, the answer never.
"""

from collections.abc import Sequence
from typing import NamedTuple

from transformers import PreTrainedTokenizerBase

from app.errors import TaskError
from app.models import tokens
from app.tasks import prompts
from app.tuning.mixture import Drawn


class Encoded(NamedTuple):
    """One training example."""

    ids: tuple[int, ...]
    answer: int
    """How many of the last ids are labels: the answer and the end of sequence."""


class EncodedMixture(NamedTuple):
    """All training examples in drawn order."""

    examples: tuple[Encoded, ...]
    cut: int
    """Examples whose prompt was cut."""


def encode(drawn: Sequence[Drawn], tokenizer: PreTrainedTokenizerBase, max_length: int) -> EncodedMixture:
    """Tokenise a mixture. Raises TaskError for an example without an answer, or whose answer alone is too long."""
    eos = tokenizer.eos_token_id
    if not isinstance(eos, int):
        raise TaskError("the tokenizer has no end-of-sequence token, so a tuned model could not learn to stop")
    contexts = [prompts.instruct(d.task, d.example, d.template) for d in drawn]
    full = [c + prompts.continuation(d.example.target) for c, d in zip(contexts, drawn, strict=True)]
    context_ids = tokens.encode(tokenizer, contexts)
    full_ids = tokens.encode(tokenizer, full)
    prefix = tokens.leading(tokenizer)
    examples: list[Encoded] = []
    cut = 0
    for example, context, ids in zip(drawn, context_ids, full_ids, strict=True):
        shared = _shared(context, ids)
        answer = len(ids) - shared + 1
        if answer < 2:
            raise TaskError(f"{example.task.name}: the example {example.example.id} has no answer token to learn from")
        if answer >= max_length:
            raise TaskError(
                f"{example.task.name}: the answer of {example.example.id} has {answer} tokens, and "
                f"max_length is {max_length}: raise it"
            )
        cut += len(ids) + 1 > max_length
        kept, _ = tokens.cut(ids[:shared], max_length - answer, prefix)
        examples.append(Encoded((*kept, *ids[shared:], eos), answer))
    return EncodedMixture(tuple(examples), cut)


def _shared(left: Sequence[int], right: Sequence[int]) -> int:
    for index, (a, b) in enumerate(zip(left, right, strict=False)):
        if a != b:
            return index
    return min(len(left), len(right))
