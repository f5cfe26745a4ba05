"""Requests in tokens: where a context ends and an option begins, and what a context too long for the model loses.

Tokens are split as lm-evaluation-harness does it (`_encode_pair`, lm_eval/api/model.py): of context and option encoded
together for a decoder, each by itself where an encoder reads the context.
"""

from collections.abc import Sequence
from typing import NamedTuple

from transformers import PreTrainedTokenizerBase

from app.errors import CellError
from app.models.loading import LoadedModel, causal, context_length
from app.models.tokens import Tokens, cut, encode, leading, start_token


class ScoreRequest(NamedTuple):
    """Options to be scored after one context; an option brings its own leading blank."""

    context: str
    options: tuple[str, ...]


class Query(NamedTuple):
    """Context tokens, of which there is at least one, and option tokens."""

    context: Tokens
    option: Tokens

    @property
    def row(self) -> Tokens:
        """What goes through a decoder: the last token predicts nothing that is asked."""
        return self.context + self.option[:-1]


class Encoded(NamedTuple):
    """A request in tokens."""

    queries: tuple[Query, ...]
    """One for each option."""
    prompt_tokens: int
    """Tokens of the context before any cut, special ones included."""
    cut_tokens: int


def encode_requests(loaded: LoadedModel, requests: Sequence[ScoreRequest]) -> list[Encoded]:
    """Requests in tokens, their contexts cut on the left where they are too long, for all options of a request alike.

    Raises CellError for an option without tokens or longer than the model's context.
    """
    limit, first = context_length(loaded), leading(loaded.tokenizer)
    apart = bool(causal(loaded).config.is_encoder_decoder)
    behind = trailing(loaded.tokenizer) if apart else ()
    found: list[Encoded] = []
    for request, pairs in zip(requests, _encode_pairs(loaded.tokenizer, requests, apart), strict=True):
        if not all(option for _, option in pairs):
            raise CellError(f"an option of {request.options} has no tokens, so it has no likelihood; drop it")
        longest = max((len(option) for _, option in pairs), default=1)
        if longest > limit:
            raise CellError(f"an option of {longest} tokens does not fit a context of {limit}: {request.options}")
        room = limit - len(behind) if apart else limit + 1 - longest
        shortened = [cut(context, room, first) for context, _ in pairs]
        queries = tuple(Query(left + behind, pair.option) for (left, _), pair in zip(shortened, pairs, strict=True))
        prompt_tokens = max((len(context) + len(behind) for context, _ in pairs), default=0)
        found.append(Encoded(queries, prompt_tokens, max((dropped for _, dropped in shortened), default=0)))
    return found


def trailing(tokenizer: PreTrainedTokenizerBase) -> Tokens:
    """The special tokens that the tokenizer puts behind a plain text: EOS of T5, or nothing."""
    text = len(tokenizer("a", add_special_tokens=False).input_ids)
    return tuple(tokenizer("a").input_ids[len(leading(tokenizer)) + text :])


def _encode_pairs(
    tokenizer: PreTrainedTokenizerBase, requests: Sequence[ScoreRequest], apart: bool
) -> list[list[Query]]:
    """Context and option tokens of each option. Trailing blanks of a context move to the option."""
    texts: dict[str, Tokens] = {}
    bare: dict[str, Tokens] = {}
    split: list[list[tuple[str, str]]] = []
    for request in requests:
        context = request.context.rstrip()
        blanks = request.context[len(context) :] if context else ""
        split.append([(context, blanks + option) for option in request.options])
        for context, option in split[-1]:
            if context:
                texts[context] = ()
            if context and not apart:
                texts[context + option] = ()
            else:
                bare[option] = ()
    texts = dict(zip(texts, encode(tokenizer, list(texts)), strict=True))
    bare = dict(zip(bare, encode(tokenizer, list(bare), special=False), strict=True))
    return [
        [
            Query(
                texts[context] if context else leading(tokenizer) or (start_token(tokenizer),),
                bare[option] if apart or not context else _tail(tokenizer, context, option, texts),
            )
            for context, option in row
        ]
        for row in split
    ]


def _tail(tokenizer: PreTrainedTokenizerBase, context: str, option: str, texts: dict[str, Tokens]) -> Tokens:
    """The end of the joint encoding; where the option melts into the context's last token, the option alone."""
    return texts[context + option][len(texts[context]) :] or encode(tokenizer, [option], special=False)[0]
