"""Requests in tokens: where a context ends and an option begins, and what a context too long for the model loses.

Tokens are split as lm-evaluation-harness does it (`_encode_pair`, lm_eval/api/model.py): of context and option encoded
together for a decoder, each by itself where an encoder reads the context.
"""

from collections.abc import Sequence
from typing import NamedTuple

from transformers import PreTrainedTokenizerBase

from app.errors import CellError
from app.models.loading import LoadedModel, causal, context_length
from app.models.pieces import last_cut
from app.models.tokens import Tokens, begun, cut, encode, leading, start_token


class ScoreRequest(NamedTuple):
    """Options to be scored after one context; an option brings its own leading blank."""

    context: str
    options: tuple[str, ...]


class Encoded(NamedTuple):
    """A request in tokens."""

    context: Tokens
    """At least one token; what the model has no room for is cut off."""
    options: tuple[Tokens, ...]
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
    for request, (context, options) in zip(requests, _encode(loaded.tokenizer, requests, apart), strict=True):
        if not all(options):
            raise CellError(f"an option of {request.options} has no tokens, so it has no likelihood; drop it")
        longest = max(map(len, options), default=1)
        if longest > limit:
            raise CellError(f"an option of {longest} tokens does not fit a context of {limit}: {request.options}")
        shortened, dropped = cut(context, limit - len(behind) if apart else limit + 1 - longest, first)
        found.append(Encoded(shortened + behind, options, len(context) + len(behind), dropped))
    return found


def trailing(tokenizer: PreTrainedTokenizerBase) -> Tokens:
    """The special tokens that the tokenizer puts behind a plain text: EOS of T5, or nothing."""
    text = len(tokenizer("a", add_special_tokens=False).input_ids)
    return tuple(tokenizer("a").input_ids[len(leading(tokenizer)) + text :])


def _encode(
    tokenizer: PreTrainedTokenizerBase, requests: Sequence[ScoreRequest], apart: bool
) -> list[tuple[Tokens, tuple[Tokens, ...]]]:
    """Context and option tokens of each request. Trailing blanks of a context move to its options.

    Where a context has a place behind which nothing changes what stands before it, only its end is read anew with each
    option.
    """
    split: list[tuple[str, str, str, list[str]]] = []
    for request in requests:
        context = request.context.rstrip()
        blanks = request.context[len(context) :] if context else ""
        place = last_cut(tokenizer, context)
        head, tail = context[:place], context[place:]
        # What an option is read with, and what is then taken away from it again.
        split.append((head, tail, "" if apart else tail, [blanks + option for option in request.options]))
    texts = {text: None for head, tail, stem, options in split for text in (head, tail, *(stem + o for o in options))}
    read = dict(zip(texts, encode(tokenizer, list(texts), special=False), strict=True)) | {"": ()}
    first = leading(tokenizer)
    found: list[tuple[Tokens, tuple[Tokens, ...]]] = []
    for head, tail, stem, options in split:
        context = begun(read[head] + read[tail], first) if head or tail else first or (start_token(tokenizer),)
        joint = [(read[stem + option][len(read[stem]) :], option) for option in options]
        # An option that melts into the context's last token is read alone.
        found.append((context, tuple(own or encode(tokenizer, [o], special=False)[0] for own, o in joint)))
    return found
