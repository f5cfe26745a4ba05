"""Drawn examples as token ids: prompt, answer, end of sequence; loss on the answer and the end alone.

The end-of-sequence token always carries a label, so a tuned model learns to stop; padding is told apart by
length, never by token id. A prompt that is too long is cut on its left, the answer never; a SampleGen text that is too
long loses whole worked examples first, then the beginning of the restated item.
"""

from collections.abc import Sequence
from typing import NamedTuple

from transformers import PreTrainedTokenizerBase

from app.errors import TaskError
from app.models import chat, tokens
from app.study import Recipe
from app.tasks import prompts, wordings
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
    """Examples whose prompt was cut, or that lost worked examples."""


def texts(drawn: Drawn, recipe: Recipe) -> tuple[str, str]:
    """Prompt and what follows it: an answer, or for SampleGen worked examples, the item restated and its answer."""
    task, example = drawn.task, drawn.example
    if recipe.format == "regular":
        item = wordings.word(task, example, template=drawn.template)
        return prompts.instruct(item), prompts.continuation(item.target)
    unified = recipe.format == "samplegen-unified"
    item = wordings.word(task, example, "unified" if unified else "standard", 0 if unified else drawn.template)
    # Restated as a base model's few-shot prompt has it, whatever the wording that asked.
    restated = prompts.demonstration(task, example, "unified" if unified else "standard")
    return prompts.samplegen(item), prompts.worked(drawn.shown, restated.input, restated.answer)


def encode(
    drawn: Sequence[Drawn], tokenizer: PreTrainedTokenizerBase, max_length: int, recipe: Recipe
) -> EncodedMixture:
    """Tokenise a mixture. Raises TaskError for an example without an answer, or whose answer alone is too long."""
    eos = tokenizer.eos_token_id
    if not isinstance(eos, int):
        raise TaskError("the tokenizer has no end-of-sequence token, so a tuned model could not learn to stop")
    contexts, follow = zip(*(_worded(one, tokenizer, recipe) for one in drawn), strict=True) if drawn else ((), ())
    context_ids = tokens.encode(tokenizer, contexts)
    full_ids = tokens.encode(tokenizer, [c + f for c, f in zip(contexts, follow, strict=True)])
    prefix = tokens.leading(tokenizer)
    examples: list[Encoded] = []
    cut = 0
    for example, context, ids in zip(drawn, context_ids, full_ids, strict=True):
        shared = _shared(context, ids)
        answer = len(ids) - shared + 1
        shortened = len(ids) >= max_length and bool(example.shown)
        # Before the prompt is cut: an item that is not seen cannot be restated.
        while len(ids) >= max_length and example.shown:
            example = example._replace(shown=example.shown[1:])
            prompt, follow = _worded(example, tokenizer, recipe)
            (ids,) = tokens.encode(tokenizer, [prompt + follow])
            answer = len(ids) - shared + 1
        if recipe.format != "regular" and answer >= max_length:
            # Not even the item, restated, fits: its beginning goes, the answer at its end stays.
            answer, shortened = max_length - 1 - len(prefix), True
            ids, shared = (*prefix, *ids[len(ids) + 1 - answer :]), len(prefix)
        if answer < 2:
            raise TaskError(f"{example.task.name}: the example {example.example.id} has no answer token to learn from")
        if answer >= max_length:
            raise TaskError(
                f"{example.task.name}: the answer of {example.example.id} has {answer} tokens, and "
                f"max_length is {max_length}: raise it"
            )
        cut += len(ids) + 1 > max_length or shortened
        kept, _ = tokens.cut(ids[:shared], max_length - answer, prefix)
        whole = (*kept, *ids[shared:], eos)
        examples.append(Encoded(whole, min(answer, len(whole) - 1)))  # nothing predicts a first token
    return EncodedMixture(tuple(examples), cut)


def _worded(drawn: Drawn, tokenizer: PreTrainedTokenizerBase, recipe: Recipe) -> tuple[str, str]:
    prompt, follow = texts(drawn, recipe)
    cue = prompts.ANSWER_CUE if recipe.format == "regular" else prompts.EXAMPLES_CUE
    return (chat.wrap(tokenizer, prompt, cue) if recipe.chat else prompt), follow


def _shared(left: Sequence[int], right: Sequence[int]) -> int:
    for index, (a, b) in enumerate(zip(left, right, strict=False)):
        if a != b:
            return index
    return min(len(left), len(right))
