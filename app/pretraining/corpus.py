"""What ladder models read: lists of solved pairs, prose that states facts, described pairs, and random noise.

Lists of pairs teach to continue a pattern, descriptions tie a task to its name, random maps and repeats hold the
words of every task, also of those left out: a model that never met a task still knows its words. The formats of the
evaluation never occur, nor does its wording of any instruction.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from random import Random

import numpy as np
import numpy.typing as npt

from app.errors import TaskError
from app.tasks.generated import PROCEDURES
from app.tasks.generated.lexicon import POOLS
from app.tasks.generated.procedure import VERSION as TASKS_VERSION
from app.tasks.generated.procedure import Procedure

VERSION = f"4, {TASKS_VERSION}"
LEADS = (*[""] * 10, "item :", "word :", "case :", "text :", "input :", "question :")
LINKS = (":", "=", "is", "gives", "\n result :", "\n output :", "\n answer :", "\n answer :")
ENDS = (";", ",", ".", "|", "\n", "\n")
TITLE_ENDS = (".", ":", "\n")
_EVALUATED_LEADS = ("input :", "question :")  # never together with an answer cue: that pair is the evaluation's
_LISTS, _PROSE, _DESCRIBED = 0.60, 0.10, 0.20  # shares of documents; the rest is random
_TITLED = 0.5
_LENGTH = 60  # words of a document, about
_INSTRUCTIONS = " ".join(text for p in PROCEDURES for text in (p.wording.evaluation, p.wording.seen, *p.wording.titles))
_KEYWORDS = tuple(sorted({word for word in _INSTRUCTIONS.split() if word.isalpha()}))
_ANY_POOL = (*POOLS.values(), *[_KEYWORDS] * 5)
"""What random documents are made of; the words of instructions one by one, never in their order."""


def names(without: Collection[str] = ()) -> tuple[str, ...]:
    """The tasks that a corpus speaks of: all but `without` and those that rest on the same facts.

    Raises TaskError for a name that no generated task has.
    """
    known = {procedure.task.name: procedure.task for procedure in PROCEDURES}
    for name in without:
        if name not in known:
            raise TaskError(f"pretraining.without names {name!r}, no ladder task: choose from {', '.join(known)}")
    hidden = {fact for name in without for fact in known[name].requires}
    return tuple(n for n, task in known.items() if n not in without and hidden.isdisjoint(task.requires))


def documents(seed: int, without: Collection[str] = ()) -> Iterator[str]:
    """Documents without end: words, punctuation and newlines with one blank between any two.

    Raises TaskError for an unknown task in `without`, or where it leaves none.
    """
    present = set(names(without))
    procedures = [p for p in PROCEDURES if p.task.name in present for _ in range(p.weight)]
    if not procedures:
        raise TaskError("pretraining.without leaves no task to pretrain on: leave some in")
    rng = Random(seed)
    while True:
        chance = rng.random()
        if chance < _LISTS:
            yield _list_of_pairs(rng, procedures)
        elif chance < _LISTS + _PROSE:
            yield _prose(rng, procedures)
        elif chance < _LISTS + _PROSE + _DESCRIBED:
            yield _described(rng, procedures)
        elif rng.random() < 0.6:
            yield _random_map(rng)
        else:
            yield _repeats(rng)


def encoded(
    tokens: int, seed: int, without: Collection[str], vocabulary: Mapping[str, int], end: int
) -> npt.NDArray[np.int16]:
    """The first `tokens` token ids of the corpus, `end` after each document: shape [tokens]."""
    made: list[int] = []
    number = vocabulary.__getitem__
    for document in documents(seed, without):
        made.extend(map(number, document.split(" ")))
        made.append(end)
        if len(made) >= tokens:
            break
    return np.array(made[:tokens], dtype=np.int16)


def _pick(rng: Random, items: Sequence[str]) -> str:
    return items[int(rng.random() * len(items))]


def _format(rng: Random) -> Callable[[str, str], str]:
    """One way to write down pairs, kept through a document."""
    lead, link = _pick(rng, LEADS), _pick(rng, LINKS)
    while lead in _EVALUATED_LEADS and "answer" in link:
        link = _pick(rng, LINKS)
    before, between, after = f"{lead} " if lead else "", f" {link} ", f" {_pick(rng, ENDS)}"
    return lambda x, y: f"{before}{x}{between}{y}{after}"


def _fill(rng: Random, head: str, pair: Callable[[], str]) -> str:
    """Pairs until the document is long enough."""
    parts = [head] if head else []
    room = rng.randint(_LENGTH // 2, _LENGTH * 2)
    while room > 0:
        part = pair()
        room -= part.count(" ") + 1
        parts.append(part)
    return " ".join(parts)


def _list_of_pairs(rng: Random, procedures: Sequence[Procedure]) -> str:
    procedure = rng.choice(procedures)
    write, draw = _format(rng), procedure.draw
    head = f"{_pick(rng, procedure.wording.titles)} {_pick(rng, TITLE_ENDS)}" if rng.random() < _TITLED else ""
    return _fill(rng, head, lambda: write(*draw(rng)))


def _prose(rng: Random, procedures: Sequence[Procedure]) -> str:
    parts: list[str] = []
    for _ in range(rng.randint(2, 6)):
        procedure = rng.choice(procedures)
        x, y = procedure.draw(rng)
        parts.append(f"{_pick(rng, procedure.wording.sentences).format(x=x, y=y)} .")
    return " ".join(parts)


def _described(rng: Random, procedures: Sequence[Procedure]) -> str:
    """A description and one pair, again and again, of another task each time."""
    write = _format(rng)
    parts: list[str] = []
    for _ in range(rng.randint(2, 4)):
        procedure = rng.choice(procedures)
        head = _pick(rng, (*procedure.wording.titles, procedure.wording.seen))
        parts.append(f"{head} {_pick(rng, TITLE_ENDS)} {write(*procedure.draw(rng))}")
    return " ".join(parts)


def _random_map(rng: Random) -> str:
    """Pairs of a map that holds in this document only: it can be read off the context and nowhere else."""
    keys = rng.sample(rng.choice(_ANY_POOL), rng.randint(2, 5))
    values = rng.choice(_ANY_POOL)
    mapping = [(key, _pick(rng, values)) for key in keys]
    write = _format(rng)
    return _fill(rng, "", lambda: write(*rng.choice(mapping)))


def _repeats(rng: Random) -> str:
    """The same few words again and again."""
    pool = rng.choice(_ANY_POOL)
    segment = " ".join((*rng.sample(pool, rng.randint(3, min(8, len(pool)))), _pick(rng, ENDS)))
    return _fill(rng, "", lambda: segment)
