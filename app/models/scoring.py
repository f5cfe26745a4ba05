"""Log-likelihood of answer options after a context: everything that requests share is computed once.

What all contexts begin with goes through the model once and stays in a cache; an item's own context once for all of its
options; equal requests once. Logits are made only where an option token is predicted, never over whole sequences. See
forwards.py for the ways, of which the model's architecture allows some. Tokens are split as lm-evaluation-harness
does it (`_encode_pair`, lm_eval/api/model.py).
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from transformers import PreTrainedTokenizerBase

from app.errors import CellError
from app.models import budget, forwards, prefix
from app.models.adapters import check_named
from app.models.forwards import Found, Item, Path
from app.models.loading import LoadedModel, causal, context_length
from app.models.logits import rows_at_once
from app.models.prefix import Prefix
from app.models.tokens import Tokens, cut, encode, leading, start_token

_WORTH = 8
"""Tokens that all contexts must share before they are computed apart."""
_BRANCHES = 1024
"""Columns of a row that its options may fill: the mask of a row grows with their square."""
_READ = 16
"""Cached columns that weigh as much as one computed: copied for a while, not computed."""


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


class Query(NamedTuple):
    """Context tokens, of which there is at least one, and option tokens."""

    context: Tokens
    option: Tokens

    @property
    def row(self) -> Tokens:
        """What goes through the model: the last token predicts nothing that is asked."""
        return self.context + self.option[:-1]


class Encoded(NamedTuple):
    """A request in tokens."""

    queries: tuple[Query, ...]
    """One for each option."""
    prompt_tokens: int
    cut_tokens: int


class _Answer(NamedTuple):
    logprob: float
    greedy: bool


class Scorer:
    """Scores requests with one model; what the contexts of one call began with serves the next.

    `batch_tokens` bounds the padded tokens of one forward; left out: what fits into the memory that is free now.
    """

    def __init__(self, loaded: LoadedModel, batch_tokens: int | None = None) -> None:
        self._loaded, self._model = loaded, causal(loaded)
        self._batch_tokens = budget.found(loaded) if batch_tokens is None else batch_tokens
        self._before: Prefix | None = None
        self.path: Path = forwards.path(self._model)

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
                answers.update(self._rows(queries) if self.path == "rows" else self._items(queries))
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

    def _items(self, queries: Sequence[Query]) -> dict[Query, _Answer]:
        """Each context once, with all of its options."""
        options: dict[Tokens, list[Tokens]] = {}
        for query in queries:
            options.setdefault(query.context, []).append(query.option)
        self._begin(list(options))
        behind = len(self._before.tokens) if self._before else 0
        items = [Item(context, part) for context, group in options.items() for part in _split(group)]
        lengths = [max(item.columns - behind, item.columns // _READ) for item in items]
        most, sees = rows_at_once(self._model), forwards.window(self._model)
        answers: dict[Query, _Answer] = {}

        def work(batch: list[int]) -> None:
            for part in _bounded([items[place] for place in batch], most):
                straight = self.path == "tree" and (sees is None or max(item.columns for item in part) <= sees)
                with torch.inference_mode():
                    found = (
                        forwards.through_tree(self._model, self._before, part)
                        if straight
                        else forwards.through_cache(self._model, self._before, part, self._batch_tokens)
                    )
                    answers.update(_read(part, found))

        budget.each(lengths, self._batch_tokens, work)
        return answers

    def _begin(self, contexts: Sequence[Tokens]) -> None:
        """Have the prefix of some contexts, the last call's where it serves nearly as well."""
        tokens = prefix.shared(contexts) if len(contexts) > 1 else ()
        kept = self._before.tokens if self._before else ()
        serves = all(len(context) > len(kept) and context[: len(kept)] == kept for context in contexts)
        if serves and len(tokens) < len(kept) + _WORTH:
            return
        self._before = prefix.compute(self._model, tokens) if len(tokens) >= _WORTH else None

    def _rows(self, queries: Sequence[Query]) -> dict[Query, _Answer]:
        """Each distinct row once, whole; a row that begins another one rides along in it."""
        rows = sorted({query.row for query in queries})
        # Whatever begins any row begins its successor in sorted order, so one pass from the end finds the longest.
        host = list(range(len(rows)))
        for place in range(len(rows) - 2, -1, -1):
            if rows[place + 1][: len(rows[place])] == rows[place]:
                host[place] = host[place + 1]
        place_of = {row: place for place, row in enumerate(rows)}
        riders: dict[int, list[Query]] = {}
        for query in queries:
            riders.setdefault(host[place_of[query.row]], []).append(query)
        hosts = sorted(riders)
        answers: dict[Query, _Answer] = {}

        def work(batch: list[int]) -> None:
            groups = [riders[hosts[place]] for place in batch]
            wanted: dict[tuple[int, int], int] = {}
            asked: list[tuple[Query, tuple[int, ...]]] = []
            for row, group in enumerate(groups):
                for query in group:
                    first = len(query.context) - 1
                    columns = range(first, first + len(query.option))
                    asked.append((query, tuple(wanted.setdefault((row, c), len(wanted)) for c in columns)))
            with torch.inference_mode():
                found = forwards.through_rows(self._model, [rows[hosts[place]] for place in batch], list(wanted))
                answers.update(_pick(found.parts, asked))

        budget.each([len(rows[place]) for place in hosts], self._batch_tokens, work)
        return answers


def score(loaded: LoadedModel, requests: Sequence[ScoreRequest], batch_tokens: int | None = None) -> list[OptionScores]:
    """Score some requests once; see `Scorer.score`."""
    return Scorer(loaded, batch_tokens).score(requests)


def encode_requests(loaded: LoadedModel, requests: Sequence[ScoreRequest]) -> list[Encoded]:
    """Requests in tokens, their contexts cut where they are too long. Raises CellError as `Scorer.score` does."""
    limit, first = context_length(loaded), leading(loaded.tokenizer)
    found: list[Encoded] = []
    for request, pairs in zip(requests, _encode_pairs(loaded.tokenizer, requests), strict=True):
        longest = max((len(option) for _, option in pairs), default=1)
        if longest > limit:
            raise CellError(f"an option of {longest} tokens does not fit a context of {limit}: {request.options}")
        shortened = [cut(context, limit + 1 - longest, first) for context, _ in pairs]
        queries = tuple(Query(left, pair.option) for (left, _), pair in zip(shortened, pairs, strict=True))
        prompt_tokens = max((len(context) for context, _ in pairs), default=0)
        found.append(Encoded(queries, prompt_tokens, max((dropped for _, dropped in shortened), default=0)))
    return found


def _encode_pairs(tokenizer: PreTrainedTokenizerBase, requests: Sequence[ScoreRequest]) -> list[list[Query]]:
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
) -> Query:
    if not context:
        before, after = leading(tokenizer) or (start_token(tokenizer),), bare[option]
    else:
        before = texts[context]
        # The tail of the joint encoding; where the option melts into the context's last token, the option alone.
        after = texts[context + option][len(before) :] or encode(tokenizer, [option], special=False)[0]
    if not after:
        raise CellError(f"the option {option!r} has no tokens, so it has no likelihood; drop it from the item")
    return Query(before, after)


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
