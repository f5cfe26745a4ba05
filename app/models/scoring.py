"""Log-likelihood of answer options after a context, computed once for each distinct row of tokens.

A row is a context followed by all but the last token of an option. Rows that begin another row ride along in it:
causal attention makes their predictions the same, so one-token options of an item cost one forward of the context.
The output head runs only where an option token is predicted, never over whole sequences. Tokens are split as
lm-evaluation-harness does it (`_encode_pair`, lm_eval/api/model.py).
"""

import inspect
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, cast

import torch
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from app.errors import CellError
from app.models.adapters import check_named
from app.models.loading import LoadedModel, causal, context_length
from app.models.tokens import Padded, Tokens, batches, cut, encode, leading, padded, start_token

_LOGITS_AT_ONCE = 2**25
"""Logits held at once: 128 MiB in float32."""

_plain_heads: weakref.WeakKeyDictionary[nn.Module, bool] = weakref.WeakKeyDictionary()


class ScoreRequest(NamedTuple):
    """Options to be scored after one context; an option brings its own leading blank."""

    context: str
    options: tuple[str, ...]


class OptionScores(NamedTuple):
    """One value for each option of a request, and what became of its context."""

    logprobs: tuple[float, ...]
    """Sum over the option's tokens, in nats."""
    tokens: tuple[int, ...]
    """Tokens of the option."""
    greedy: tuple[bool, ...]
    """Whether every token of the option is the likeliest one."""
    prompt_tokens: int
    """Tokens of the context before any cut, BOS included."""
    cut_tokens: int
    """Tokens dropped from the left of the context; the same for all options of a request."""


class _Query(NamedTuple):
    """Context tokens, of which there is at least one, and option tokens."""

    context: Tokens
    option: Tokens

    @property
    def row(self) -> Tokens:
        """What goes through the model: the last token predicts nothing that is asked."""
        return self.context + self.option[:-1]


class _Answer(NamedTuple):
    logprob: float
    greedy: bool


_Predict = Callable[[Padded, torch.Tensor, torch.Tensor], Iterator[torch.Tensor]]
"""Batch, rows, positions -> logits of shape (len(rows), vocabulary), a part at a time."""


def score(loaded: LoadedModel, requests: Sequence[ScoreRequest], batch_tokens: int) -> list[OptionScores]:
    """Log-probability of every option of every request, in the order of `requests`.

    `batch_tokens` bounds the padded tokens of one forward. A context too long for the model is cut on its left, for
    all options of the request alike; the option is never cut. The same requests give the same numbers, bit for bit.
    Raises CellError for an option without tokens or longer than the model's context, and for an adapter in the
    model's layers that `loaded` does not name.
    """
    check_named(loaded)
    pairs = _encode_pairs(loaded.tokenizer, requests)
    limit, prefix = context_length(loaded), leading(loaded.tokenizer)
    queries: list[list[_Query]] = []
    cuts: list[int] = []
    for request, encoded in zip(requests, pairs, strict=True):
        longest = max((len(option) for _, option in encoded), default=1)
        if longest > limit:
            raise CellError(f"an option of {longest} tokens does not fit a context of {limit}: {request.options}")
        shortened = [cut(context, limit + 1 - longest, prefix) for context, _ in encoded]
        queries.append([_Query(left, pair[1]) for (left, _), pair in zip(shortened, encoded, strict=True)])
        cuts.append(max((dropped for _, dropped in shortened), default=0))
    answers = _answer(loaded, sorted({query for group in queries for query in group}), batch_tokens)
    return [
        OptionScores(
            logprobs=tuple(answers[query].logprob for query in group),
            tokens=tuple(len(query.option) for query in group),
            greedy=tuple(answers[query].greedy for query in group),
            prompt_tokens=max((len(context) for context, _ in encoded), default=0),
            cut_tokens=dropped,
        )
        for group, encoded, dropped in zip(queries, pairs, cuts, strict=True)
    ]


def _encode_pairs(tokenizer: PreTrainedTokenizerBase, requests: Sequence[ScoreRequest]) -> list[list[_Query]]:
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
                texts[context] = texts[context + option] = ()
            else:
                bare[option] = ()
    texts = dict(zip(texts, encode(tokenizer, list(texts)), strict=True))
    bare = dict(zip(bare, encode(tokenizer, list(bare), special=False), strict=True))
    return [[_pair(tokenizer, context, option, texts, bare) for context, option in row] for row in split]


def _pair(
    tokenizer: PreTrainedTokenizerBase, context: str, option: str, texts: dict[str, Tokens], bare: dict[str, Tokens]
) -> _Query:
    if not context:
        before, after = leading(tokenizer) or (start_token(tokenizer),), bare[option]
    else:
        before = texts[context]
        # The tail of the joint encoding; where the option melts into the context's last token, the option alone.
        after = texts[context + option][len(before) :] or encode(tokenizer, [option], special=False)[0]
    if not after:
        raise CellError(f"the option {option!r} has no tokens, so it has no likelihood; drop it from the item")
    return _Query(before, after)


def _answer(loaded: LoadedModel, queries: Sequence[_Query], batch_tokens: int) -> dict[_Query, _Answer]:
    rows = sorted({query.row for query in queries})
    # Whatever begins any row begins its successor in sorted order, so one pass from the end finds the longest.
    host = list(range(len(rows)))
    for place in range(len(rows) - 2, -1, -1):
        if rows[place + 1][: len(rows[place])] == rows[place]:
            host[place] = host[place + 1]
    place_of = {row: place for place, row in enumerate(rows)}
    riders: dict[int, list[_Query]] = {}
    for query in queries:
        riders.setdefault(host[place_of[query.row]], []).append(query)
    hosts = sorted(riders)
    predict = _predictor(causal(loaded))
    answers: dict[_Query, _Answer] = {}
    for batch in batches([len(rows[place]) for place in hosts], batch_tokens):
        members = [hosts[index] for index in batch]
        forward = padded([rows[place] for place in members], "right", loaded.device)
        with torch.inference_mode():
            answers.update(_answer_batch(predict, forward, [riders[place] for place in members]))
    return answers


def _answer_batch(predict: _Predict, forward: Padded, riders: Sequence[Sequence[_Query]]) -> dict[_Query, _Answer]:
    """Answers to the queries of each row of one batch, with one logit row for each place that any of them asks."""
    wanted: dict[tuple[int, int], int] = {}
    places: list[int] = []
    tokens: list[int] = []
    for row, group in enumerate(riders):
        for query in group:
            for offset, token in enumerate(query.option):
                places.append(wanted.setdefault((row, len(query.context) - 1 + offset), len(wanted)))
                tokens.append(token)
    device = forward.ids.device
    row_index, position = torch.tensor(list(wanted), device=device).T
    parts = predict(forward, row_index, position)
    logprobs, best = _pick(parts, torch.tensor(places, device=device), torch.tensor(tokens, device=device))
    answers: dict[_Query, _Answer] = {}
    start = 0
    for group in riders:
        for query in group:
            end = start + len(query.option)
            answers[query] = _Answer(float(logprobs[start:end].sum()), bool(best[start:end].all()))
            start = end
    return answers


def _pick(
    parts: Iterator[torch.Tensor], places: torch.Tensor, tokens: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probability (float64, on the CPU) of each token at its logit row, and whether it is the likeliest."""
    logprobs = torch.empty(len(places), dtype=torch.float64, device=places.device)
    likeliest = torch.empty(len(places), dtype=torch.bool, device=places.device)
    first = 0
    for part in parts:
        logits = part.float()
        (asked,) = torch.where((places >= first) & (places < first + len(logits)))
        row, token = places[asked] - first, tokens[asked]
        logprobs[asked] = logits[row, token].double() - logits.logsumexp(-1)[row].double()
        likeliest[asked] = logits.argmax(-1)[row] == token
        first += len(logits)
    return logprobs.cpu(), likeliest.cpu()


def _at_once(vocabulary: int) -> int:
    """Logit rows held at once."""
    return max(1, _LOGITS_AT_ONCE // vocabulary)


def _predictor(model: PreTrainedModel) -> _Predict:
    """The cheapest correct way to the logits: backbone and head where that is all the model does, else the model."""
    if model not in _plain_heads:
        _plain_heads[model] = _has_plain_head(model)
    return _needed(model) if _plain_heads[model] else _whole(model)


def _needed(model: PreTrainedModel) -> _Predict:
    head = cast(nn.Module, model.get_output_embeddings())

    def predict(batch: Padded, rows: torch.Tensor, positions: torch.Tensor) -> Iterator[torch.Tensor]:
        hidden = _hidden(model, batch)[rows, positions]
        return (head(part) for part in hidden.split(_at_once(model.config.get_text_config().vocab_size)))

    return predict


def _whole(model: PreTrainedModel) -> _Predict:
    keeps = "logits_to_keep" in inspect.signature(model.forward).parameters

    def predict(batch: Padded, rows: torch.Tensor, positions: torch.Tensor) -> Iterator[torch.Tensor]:
        width = batch.ids.shape[1]
        first = int(positions.min()) if keeps else 0
        extra = {"logits_to_keep": width - first} if keeps else {}
        output = model(input_ids=batch.ids, attention_mask=batch.mask, use_cache=False, **extra)
        logits = output.logits[rows, positions - first]
        return iter(logits.split(_at_once(logits.shape[-1])))

    return predict


def _hidden(model: PreTrainedModel, batch: Padded) -> torch.Tensor:
    return model.base_model(input_ids=batch.ids, attention_mask=batch.mask, use_cache=False)[0]


def _has_plain_head(model: PreTrainedModel) -> bool:
    """Whether logits are the output embeddings of the last hidden state and nothing else, tried on three tokens.

    Equality is asked to the last bit: a soft cap or a scale changes small logits only by a little.
    """
    head = model.get_output_embeddings()
    if head is None or model.base_model is model:
        return False
    ids = torch.arange(1, 4, device=model.device)[None]
    batch = Padded(ids, torch.ones_like(ids))
    with torch.inference_mode():
        try:
            parts = head(_hidden(model, batch))
        except (AttributeError, TypeError, RuntimeError):
            return False  # a backbone of another shape or with other arguments: the model itself knows how
        return torch.equal(parts, model(input_ids=ids, attention_mask=batch.mask, use_cache=False).logits)
