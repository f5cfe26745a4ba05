"""Log-likelihood of answer options after a context: everything that requests share is computed once.

What all contexts begin with goes through the model once and stays in a cache; an item's own context once for all of its
options; equal requests once. Logits are made only where an option token is predicted, never over whole sequences. See
forwards.py for the ways, of which the model's architecture allows some.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import torch

from app.models import budget, decoding, forwards, heads, prefix
from app.models.adapters import check_named
from app.models.branches import Found, Item, hosts
from app.models.encoder_decoder import through_decoder
from app.models.loading import LoadedModel, causal
from app.models.logits import rows_at_once
from app.models.prefix import Prefix
from app.models.queries import Query, ScoreRequest, encode_requests
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


class Scorer:
    """Scores requests with one model; what the contexts of one call began with serves the next.

    `batch_tokens` bounds the padded tokens of one forward; left out: what fits into the memory that is free now.
    """

    def __init__(self, loaded: LoadedModel, batch_tokens: int | None = None) -> None:
        self._loaded, self._model = loaded, causal(loaded)
        self._room = budget.room(loaded, batch_tokens)
        self._before: Prefix | None = None
        self.path, self.reason = forwards.way(self._model)
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
        answers: dict[Query, _Answer] = {}
        # A context that was cut no longer begins as the others do.
        for dropped in (False, True):
            alike = (one for one in encoded if (one.cut_tokens > 0) is dropped)
            queries = sorted({query for one in alike for query in one.queries})
            if queries:
                answers.update(self._answers(queries, dropped))
        return [
            OptionScores(
                logprobs=tuple(answers[query].logprob for query in one.queries),
                tokens=tuple(len(query.option) for query in one.queries),
                greedy=tuple(answers[query].greedy for query in one.queries),
                prompt_tokens=one.prompt_tokens,
                cut_tokens=one.cut_tokens,
            )
            for one in encoded
        ]

    def _answers(self, queries: Sequence[Query], dropped: bool) -> dict[Query, _Answer]:
        apart = self._model.config.is_encoder_decoder
        if self.path == "rows" and not apart:
            return self._rows(queries)
        items = _items(queries)
        if apart:
            return self._through_decoder(items)
        before = None if dropped else self._begun([item.context for item in items])
        if self.path == "cache":
            return self._through_cache(items, before)
        sees = forwards.window(self._model)
        near = [item for item in items if sees is None or item.columns <= sees]
        answers = self._through_trees(near, before)
        if len(near) < len(items):
            far = [item for item in items if sees is not None and item.columns > sees]
            self.beyond_window += len(far)
            if decoding.decodes(self._model, prefixed=True):
                answers |= self._through_cache(far, before)
            else:
                answers |= self._rows([Query(item.context, option) for item in far for option in item.options])
        return answers

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

    def _through_trees(self, items: Sequence[Item], before: Prefix | None) -> dict[Query, _Answer]:
        """An item a row, its options as branches."""
        # A plain head makes logits a part at a time; another one all that a batch asks for.
        most = None if heads.plain(self._model) else rows_at_once(self._model)
        weights = self._weights(items, before, budget.Room(self._room.tokens, self._room.tokens * budget.READ))
        return self._each(items, weights, most, lambda part: forwards.through_tree(self._model, before, part))

    def _through_cache(self, items: Sequence[Item], before: Prefix | None) -> dict[Query, _Answer]:
        """Contexts side by side, then their options."""
        weights, most = self._weights(items, before, self._room), rows_at_once(self._model)
        work = forwards.through_cache
        return self._each(items, weights, most, lambda part: work(self._model, before, part, self._room))

    def _through_decoder(self, items: Sequence[Item]) -> dict[Query, _Answer]:
        """Contexts through the encoder, then their options on the decoder."""
        weights, most = self._weights(items, None, self._room), rows_at_once(self._model)
        kept = self.path == "cache"
        return self._each(items, weights, most, lambda part: through_decoder(self._model, part, self._room, kept=kept))

    def _weights(self, items: Sequence[Item], before: Prefix | None, room: budget.Room) -> list[int]:
        behind = len(before.tokens) if before else 0
        return [room.weight(item.columns - behind, item.columns) for item in items]

    def _each(
        self, items: Sequence[Item], weights: Sequence[int], most: int | None, forward: Callable[[list[Item]], Found]
    ) -> dict[Query, _Answer]:
        """Answers of all items, in batches under the budget that ask for at most `most` rows of logits each."""
        answers: dict[Query, _Answer] = {}

        def work(batch: list[int]) -> None:
            chosen = [items[place] for place in batch]
            for part in [chosen] if most is None else _bounded(chosen, most):
                with torch.inference_mode():
                    answers.update(_read(part, forward(part)))

        budget.each(weights, self._room.tokens, work)
        return answers

    def _rows(self, queries: Sequence[Query]) -> dict[Query, _Answer]:
        """Each distinct row once, whole; a row that begins another one rides along in it."""
        host = hosts([query.row for query in queries])
        riders: dict[Tokens, list[Query]] = {}
        for query in queries:
            riders.setdefault(host[query.row], []).append(query)
        rows = sorted(riders)
        answers: dict[Query, _Answer] = {}

        def work(batch: list[int]) -> None:
            wanted: dict[tuple[int, int], int] = {}
            asked: list[tuple[Query, tuple[int, ...]]] = []
            for row, place in enumerate(batch):
                for query in riders[rows[place]]:
                    first = len(query.context) - 1
                    columns = range(first, first + len(query.option))
                    asked.append((query, tuple(wanted.setdefault((row, c), len(wanted)) for c in columns)))
            with torch.inference_mode():
                found = forwards.through_rows(self._model, [rows[place] for place in batch], list(wanted))
                answers.update(_pick(found, asked))

        budget.each([len(row) for row in rows], self._room.tokens, work)
        return answers


def score(loaded: LoadedModel, requests: Sequence[ScoreRequest], batch_tokens: int | None = None) -> list[OptionScores]:
    """Score some requests once; see `Scorer.score`."""
    return Scorer(loaded, batch_tokens).score(requests)


def _items(queries: Sequence[Query]) -> list[Item]:
    """Each context once, with all of its options, as far as one row has room for them."""
    options: dict[Tokens, list[Tokens]] = {}
    for query in queries:
        options.setdefault(query.context, []).append(query.option)
    return [Item(context, part) for context, group in options.items() for part in _split(group)]


def _split(options: Sequence[Tokens]) -> Iterator[tuple[Tokens, ...]]:
    """Options of one context in groups that one row has room for."""
    group: list[Tokens] = []
    for option in options:
        if group and sum(map(len, group)) + len(option) > _BRANCHES:
            yield tuple(group)
            group = []
        group.append(option)
    yield tuple(group)


def _bounded(items: Sequence[Item], rows: int) -> Iterator[list[Item]]:
    """Items in groups that ask for no more than `rows` rows of logits; one item at least."""
    group: list[Item] = []
    asked = 0
    for item in items:
        own = sum(map(len, item.options))
        if group and asked + own > rows:
            yield group
            group, asked = [], 0
        group.append(item)
        asked += own
    yield group


def _read(items: Sequence[Item], found: Found) -> dict[Query, _Answer]:
    """The answers of some items."""
    asked = [
        (Query(item.context, option), rows)
        for item, options in zip(items, found.rows, strict=True)
        for option, rows in zip(item.options, options, strict=True)
    ]
    return _pick(found.parts, asked)


def _pick(parts: Iterable[torch.Tensor], asked: Sequence[tuple[Query, tuple[int, ...]]]) -> dict[Query, _Answer]:
    """Log-probability of each option from the logit rows that predict its tokens, and whether all are the likeliest."""
    places = torch.tensor([row for _, rows in asked for row in rows])
    tokens = torch.tensor([token for query, _ in asked for token in query.option])
    logprobs = torch.empty(len(places), dtype=torch.float64)
    likeliest = torch.empty(len(places), dtype=torch.bool)
    first = 0
    for part in parts:
        logits = part.float()
        (here,) = torch.where((places >= first) & (places < first + len(logits)))
        row, token = (places[here] - first).to(logits.device), tokens[here].to(logits.device)
        logprobs[here] = (logits[row, token].double() - logits.logsumexp(-1)[row].double()).cpu()
        likeliest[here] = (logits.argmax(-1)[row] == token).cpu()
        first += len(logits)
    answers: dict[Query, _Answer] = {}
    start = 0
    for query, rows in asked:
        end = start + len(rows)
        answers[query] = _Answer(float(logprobs[start:end].sum()), bool(likeliest[start:end].all()))
        start = end
    return answers
