"""Log-likelihood of answer options after a context: everything that requests share is computed once.

What all contexts begin with goes through the model once and stays in a cache; an item's own context once for all of its
options; equal requests once. Logits are made only where an option token is predicted, never over whole sequences. See
forwards.py for the ways, of which the model's architecture allows some.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch

from app.models import budget, decoding, forwards, prefix
from app.models.adapters import check_named
from app.models.branches import Found, Item, hosts
from app.models.encoder_decoder import through_decoder
from app.models.loading import LoadedModel, causal
from app.models.logits import bounded, head, rows_at_once
from app.models.prefix import Prefix
from app.models.queries import Encoded, ScoreRequest, encode_requests
from app.models.tokens import Tokens

_WORTH = 8
"""Tokens that all contexts must share before they are computed apart."""
_BRANCHES = 1024
"""Columns of a row that its options may fill: the mask of a row grows with their square."""


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


class _Answer(NamedTuple):
    logprob: float
    greedy: bool


class _Answered(NamedTuple):
    item: Item
    answers: list[_Answer]
    """One for each option."""


class Scorer:
    """Scores requests with one model; what the contexts of one call began with serves the next.

    `batch_tokens` bounds the padded tokens of one forward; left out: what fits into the memory that is free now.
    """

    def __init__(self, loaded: LoadedModel, batch_tokens: int | None = None) -> None:
        self._loaded, self._model = loaded, causal(loaded)
        self.path, self.reason = forwards.way(self._model)
        self.head = head(self._model)
        self._room = bounded(self._model, budget.room(loaded, batch_tokens))
        # A plain head makes logits a part at a time; another one all that a batch asks for.
        self._most = None if self.head == "plain" else rows_at_once(self._model)
        self._before: Prefix | None = None
        self.beyond_window = 0
        """Contexts with their options that were longer than a layer looks back, so not scored as trees."""

    def score(self, requests: Sequence[ScoreRequest]) -> list[OptionScores]:
        """Log-probability of every option of every request, in the order of `requests`.

        A context too long for the model is cut on its left, for all options of the request alike; the option is never
        cut. The same requests, in the same calls, give the same numbers, bit for bit. Raises CellError for an option
        without tokens or longer than the model's context, for an adapter in the model's layers that the model does not
        name, and where a single row does not fit into memory.
        """
        check_named(self._loaded)
        encoded = encode_requests(self._loaded, requests)
        answers: dict[Tokens, dict[Tokens, _Answer]] = {one.context: {} for one in encoded}
        # A context that was cut no longer begins as the others do.
        for dropped in (False, True):
            alike = [one for one in encoded if one.options and (one.cut_tokens > 0) is dropped]
            items = _items(alike, min(_BRANCHES, self._most or _BRANCHES))
            for item, found in self._answers(items, dropped) if items else ():
                answers[item.context].update(zip(item.options, found, strict=True))
        return [_scores(one, answers[one.context]) for one in encoded]

    def _answers(self, items: Sequence[Item], dropped: bool) -> list[_Answered]:
        if self._model.config.is_encoder_decoder:
            return self._through_decoder(items)
        if self.path == "rows":
            return self._through_rows(items)
        before = None if dropped else self._begun([item.context for item in items])
        if self.path == "cache":
            return self._through_cache(items, before)
        sees = forwards.window(self._model)
        near = [item for item in items if sees is None or item.columns <= sees]
        far = [item for item in items if sees is not None and item.columns > sees]
        self.beyond_window += len(far)
        if not far or decoding.decodes(self._model, prefixed=True):
            return self._through_trees(near, before) + self._through_cache(far, before)
        return self._through_trees(near, before) + self._through_rows(far)

    def _begun(self, contexts: Sequence[Tokens]) -> Prefix | None:
        """The prefix of some contexts, the last call's where it serves nearly as well."""
        tokens = prefix.shared(contexts) if len(contexts) > 1 else ()
        kept = self._before.tokens if self._before else ()
        serves = all(len(context) > len(kept) and context[: len(kept)] == kept for context in contexts)
        if not serves or len(tokens) >= len(kept) + _WORTH:
            self._before = None

            def work(_: list[int]) -> None:
                self._before = prefix.compute(self._model, tokens)

            budget.each([len(tokens)] if len(tokens) >= _WORTH else [], self._room.tokens, work)
        return self._before

    def _through_trees(self, items: Sequence[Item], before: Prefix | None) -> list[_Answered]:
        """An item a row, its options as branches."""
        weights = self._weights(items, before, budget.Room(self._room.tokens, self._room.tokens * budget.READ))
        work = forwards.through_tree
        return self._each(_alone(items), weights, self._most, lambda part: work(self._model, before, _flat(part)))

    def _through_cache(self, items: Sequence[Item], before: Prefix | None) -> list[_Answered]:
        """Contexts side by side, then their options."""
        weights, most = self._weights(items, before, self._room), rows_at_once(self._model)
        work = forwards.through_cache
        return self._each(_alone(items), weights, most, lambda part: work(self._model, before, _flat(part), self._room))

    def _through_decoder(self, items: Sequence[Item]) -> list[_Answered]:
        """Contexts through the encoder, then their options on the decoder."""
        weights, most = self._weights(items, None, self._room), rows_at_once(self._model)
        work, kept = through_decoder, self.path == "cache"
        return self._each(
            _alone(items), weights, most, lambda part: work(self._model, _flat(part), self._room, kept=kept)
        )

    def _through_rows(self, items: Sequence[Item]) -> list[_Answered]:
        """Each distinct row once, whole; a row that begins another one rides along in it."""
        asked = [Item(item.context, (option,)) for item in items for option in item.options]
        host = hosts([one.row for one in asked])
        riders: dict[Tokens, list[Item]] = {}
        for one in asked:
            riders.setdefault(host[one.row], []).append(one)
        rows = sorted(riders)
        work = forwards.through_rows
        return self._each(
            [riders[row] for row in rows], [len(row) for row in rows], self._most, lambda part: work(self._model, part)
        )

    def _weights(self, items: Sequence[Item], before: Prefix | None, room: budget.Room) -> list[int]:
        behind = len(before.tokens) if before else 0
        return [room.weight(item.columns - behind, item.columns) for item in items]

    def _each(
        self,
        groups: Sequence[list[Item]],
        weights: Sequence[int],
        most: int | None,
        forward: Callable[[list[list[Item]]], Found],
    ) -> list[_Answered]:
        """Answers of all groups, in batches under the budget that ask for at most `most` rows of logits each."""
        found: list[_Answered] = []

        def work(batch: list[int]) -> None:
            chosen = [groups[place] for place in batch]
            for part in [chosen] if most is None else _bounded(chosen, most):
                with torch.inference_mode():
                    found.extend(_read(_flat(part), forward(part)))

        budget.each(weights, self._room.tokens, work)
        return found


def score(loaded: LoadedModel, requests: Sequence[ScoreRequest], batch_tokens: int | None = None) -> list[OptionScores]:
    """Score some requests once; see `Scorer.score`."""
    return Scorer(loaded, batch_tokens).score(requests)


def _items(encoded: Sequence[Encoded], most: int) -> list[Item]:
    """Each context once, with all of its options, as far as one row has room for them."""
    options: dict[Tokens, set[Tokens]] = {}
    for one in encoded:
        options.setdefault(one.context, set()).update(one.options)
    return [Item(context, part) for context in sorted(options) for part in _split(sorted(options[context]), most)]


def _split(options: Sequence[Tokens], most: int) -> Iterator[tuple[Tokens, ...]]:
    """Options of one context in groups that one row has room for."""
    group: list[Tokens] = []
    for option in options:
        if group and sum(map(len, group)) + len(option) > most:
            yield tuple(group)
            group = []
        group.append(option)
    yield tuple(group)


def _alone(items: Sequence[Item]) -> list[list[Item]]:
    return [[item] for item in items]


def _flat(groups: Sequence[Sequence[Item]]) -> list[Item]:
    return [item for group in groups for item in group]


def _bounded(groups: Sequence[list[Item]], rows: int) -> Iterator[list[list[Item]]]:
    """Groups side by side that ask for no more than `rows` rows of logits; one group at least."""
    part: list[list[Item]] = []
    asked = 0
    for group in groups:
        own = sum(len(option) for item in group for option in item.options)
        if part and asked + own > rows:
            yield part
            part, asked = [], 0
        part.append(group)
        asked += own
    yield part


def _read(items: Sequence[Item], found: Found) -> Iterator[_Answered]:
    """The answers of some items."""
    rows = [asked for options in found.rows for asked in options]
    answers = _pick(found.parts, rows, [option for item in items for option in item.options])
    return (_Answered(item, list(islice(answers, len(item.options)))) for item in items)


def _pick(parts: Iterable[torch.Tensor], rows: Sequence[Sequence[int]], options: Sequence[Tokens]) -> Iterator[_Answer]:
    """Log-probability of each option from the logit rows that predict its tokens, and whether all are the likeliest."""
    places = torch.tensor([row for asked in rows for row in asked])
    tokens = torch.tensor([token for option in options for token in option])
    logprobs = torch.empty(len(places), dtype=torch.float64)
    likeliest = torch.empty(len(places), dtype=torch.bool)
    first = 0
    for part in parts:
        logits = part.float()
        (here,) = torch.where((places >= first) & (places < first + len(logits)))
        row, token = (places[here] - first).to(logits.device), tokens[here].to(logits.device)
        logprobs[here] = logits.log_softmax(-1)[row, token].double().cpu()
        likeliest[here] = _likeliest(logits, row, token).cpu()
        first += len(logits)
    starts = np.cumsum([0, *map(len, options[:-1])])
    sums = np.add.reduceat(logprobs.numpy(), starts).tolist()
    return map(_Answer, sums, np.logical_and.reduceat(likeliest.numpy(), starts).tolist())


def _likeliest(logits: torch.Tensor, row: torch.Tensor, token: torch.Tensor) -> torch.Tensor:
    """Whether each token is the likeliest of its row; argmax, which says it of equal ones, is slow: for those alone."""
    found = logits[row, token] == logits.amax(-1)[row]
    found[found.clone()] = logits[row[found]].argmax(-1) == token[found]
    return found


def _scores(one: Encoded, answers: Mapping[Tokens, _Answer]) -> OptionScores:
    return OptionScores(
        logprobs=tuple(answers[option].logprob for option in one.options),
        tokens=tuple(map(len, one.options)),
        greedy=tuple(answers[option].greedy for option in one.options),
        prompt_tokens=one.prompt_tokens,
        cut_tokens=one.cut_tokens,
    )
