"""Greedy continuations of many contexts at once, each ended by EOS, by a stop string or by a length.

The tokens that all contexts begin with go through the model once, the rest side by side (see decoding.py). Where an
architecture would give other numbers that way, a slower one is taken: without the shared beginning, without padding,
or one context at a time. Each is tried on a few tokens of the model at hand; `path` says which it is.
"""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from app.errors import CellError
from app.models import budget, decoding, prefix, stock_decoding
from app.models.adapters import check_named
from app.models.budget import Room
from app.models.decoding import Row
from app.models.loading import LoadedModel, causal, context_length
from app.models.stopping import Ending, end_tokens
from app.models.tokens import cut, encode, leading, start_token

Decode = Callable[[Sequence[Row], int, Ending], None]
"""Writes the greedy continuation of each row: at most so many tokens, up to where the ending says."""
Path = Literal["batched with prefix", "batched", "equal lengths", "one by one"]


class Generation(NamedTuple):
    """One continuation."""

    text: str
    """Without the stop string, without special tokens."""
    prompt_tokens: int
    """Tokens of the context before any cut, BOS included."""
    cut_tokens: int
    """Tokens dropped from the left of the context."""
    finished: bool
    """Whether EOS or the stop string ended it; False: the length did."""


def generate(
    loaded: LoadedModel,
    contexts: Sequence[str],
    max_new_tokens: int,
    stop: str = "\n",
    batch_tokens: int | None = None,
    decode: Decode | None = None,
) -> list[Generation]:
    """The greedy continuation of every context, in the order of `contexts`; equal contexts are generated once.

    `batch_tokens` bounds the padded tokens that are read at once; left out: what fits into the memory that is free now.
    An empty `stop` stops at EOS alone. `decode` writes in the place of our own loop. A context that leaves no room for
    `max_new_tokens` is cut on its left. Raises CellError where `max_new_tokens` fills the model's whole context, for an
    encoder-decoder model, for an adapter in the model's layers that `loaded` does not name, and where not even one
    context fits into memory; else a batch that does not fit is tried with fewer rows.
    """
    check_named(loaded)
    room = context_length(loaded) - max_new_tokens
    if room < 1:
        raise CellError(
            f"{max_new_tokens} new tokens leave no room for a prompt in a context of {context_length(loaded)}: "
            f"lower max_new_tokens"
        )
    beginning = leading(loaded.tokenizer)
    encoded = [ids or (start_token(loaded.tokenizer),) for ids in encode(loaded.tokenizer, contexts)]
    shortened = [cut(ids, room, beginning) for ids in encoded]
    ending = Ending(loaded.tokenizer, end_tokens(causal(loaded), loaded.tokenizer), stop)
    rows = {ids: Row(ids) for ids, _ in shortened}
    if decode is not None:
        decode([rows[ids] for ids in sorted(rows)], max_new_tokens, ending)
    # A context that was cut no longer begins as the others do.
    for dropped in (False, True):
        alike = {ids for ids, count in shortened if (count > 0) is dropped and not rows[ids].done}
        _decode(loaded, [rows[ids] for ids in sorted(alike)], max_new_tokens, ending, budget.room(loaded, batch_tokens))
    written = {ids: ending.read(row.text) for ids, row in rows.items()}
    return [
        Generation(written[ids].text, len(full), count, written[ids].finished)
        for full, (ids, count) in zip(encoded, shortened, strict=True)
    ]


def path(loaded: LoadedModel) -> Path:
    """The fastest way that gives the model's own numbers.

    Raises CellError for an encoder-decoder model.
    """
    model = causal(loaded)
    if model.config.is_encoder_decoder:
        raise CellError(
            f"{loaded.source.location} is an encoder-decoder model, which generation does not know: "
            f"let the study score options only"
        )
    if decoding.decodes(model, prefixed=True):
        return "batched with prefix"
    if decoding.decodes(model, prefixed=False):
        return "batched"
    return "equal lengths" if stock_decoding.pairs(model) else "one by one"


def _decode(loaded: LoadedModel, rows: Sequence[Row], new: int, ending: Ending, room: Room) -> None:
    if not rows:
        return
    model, way = causal(loaded), path(loaded)
    if way in ("equal lengths", "one by one"):
        stock_decoding.decode(model, rows, new, ending, room.tokens)
        return
    tokens = prefix.shared([row.tokens for row in rows]) if way == "batched with prefix" and len(rows) > 1 else ()
    begun: list[prefix.Prefix] = []
    budget.each([len(tokens)] if tokens else [], room.tokens, lambda _: begun.append(prefix.compute(model, tokens)))
    before = begun[0] if begun else None
    while left := [row for row in rows if not row.done]:
        try:
            decoding.decode(model, left, new, ending, before, room)
        except (MemoryError, RuntimeError) as fault:
            if not budget.is_out_of_memory(fault):
                raise
            room = _halved(loaded, left, new, room)


def _halved(loaded: LoadedModel, rows: Sequence[Row], new: int, room: Room) -> Room:
    """Half of what was tried on `rows`. Raises CellError where that was one row at a time."""
    longest = max(len(row.tokens) for row in rows) + new
    tried = min(room.columns, decoding.CACHES * longest * len(rows))
    if tried < 2 * decoding.CACHES * longest:
        raise CellError(
            f"{loaded.source.location}: one prompt of {longest - new} tokens with {new} new ones does not fit into "
            f"memory: lower max_new_tokens, take fewer shots, or give the cell more memory"
        )
    return Room(max(1, room.tokens // 2), tried // 2)
