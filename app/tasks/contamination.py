"""Does a mixture hold test items, and what must leave it so that it holds none?

A training example holds a test item in one of two ways. By text: both show the same item, whatever the case, the
punctuation and the blanks. By 13-gram: a field or the answer of either share a run of 13 words, as when two tasks were
made from one passage; a run found in many texts of a training task is its wording, not an item, and does not count.
Puzzles that a program wrote from few phrases (tracking_shuffled_objects) share runs without being one item.

The test side is held as an index of hashes; the training side streams past it, in time linear in its words.
"""

import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from app.identity import text_hash
from app.tasks.task import Example, Task, TaskData, content

VERSION = "1"
"""Changes whenever the same texts would overlap otherwise."""
GRAM = 13
"""Words of a run that two texts do not share by chance; shorter texts have none."""
SHORT = 8
"""Items of fewer words are told apart by their answer as well: the plural of "cat" is no reversal of it."""
BOILERPLATE = 10
"""A run in more different texts than this of one training task is boilerplate. A passage that many questions share
is one text, so it stays an item."""
SHOWN = 3
"""Pairs of ids that a row shows."""
_CHUNK = 4_096
"""Texts that are looked up at a time."""
_UNKNOWN = 0
"""The number of a word that no test item holds, and of the gap between two texts."""

_Numbers = npt.NDArray[np.int64]
_Hashes = npt.NDArray[np.uint64]


class Overlap(NamedTuple):
    """What a task that is tuned on shares with a task that is tested; a row of the report."""

    tuned_task: str
    """Empty: the tested task was compared with the whole mixture, and shares nothing with it."""
    tested_task: str
    test_items: int
    """Test items compared."""
    by_text: int
    """Test items that a training example shows."""
    by_13_gram: int
    """Test items that share a run of 13 words with a training example; one may count under `by_text` too."""
    train_examples: int
    """Training examples concerned, in either way."""
    examples: tuple[tuple[str, str], ...]
    """Up to three pairs: id of the training example, id of the test item."""


def find(
    mixture: Sequence[tuple[Task, TaskData]], evaluated: Sequence[tuple[Task, Sequence[Example]]]
) -> list[Overlap]:
    """A row for each pair of tasks that share something, then one with zeros for each tested task that shares nothing.

    Rows come in the order of `mixture`, then of `evaluated`; either names a task once at most.
    """
    index = _Index(evaluated)
    rows: list[Overlap] = []
    for task, data in mixture:
        held = _search(index, task, data.train)
        for place, pairs in sorted(_by_task(index, held).items()):
            tested, items = evaluated[place]
            both = sorted(pairs.by_text | pairs.by_gram)
            rows.append(
                Overlap(
                    tuned_task=task.name,
                    tested_task=tested.name,
                    test_items=len(items),
                    by_text=len({item for _, item in pairs.by_text}),
                    by_13_gram=len({item for _, item in pairs.by_gram}),
                    train_examples=len({number for number, _ in both}),
                    examples=tuple((data.train[number].id, index.ids[item]) for number, item in both[:SHOWN]),
                )
            )
    shared = {row.tested_task for row in rows}
    return rows + [
        Overlap("", tested.name, len(items), 0, 0, 0, ()) for tested, items in evaluated if tested.name not in shared
    ]


def clean(
    mixture: Sequence[tuple[Task, TaskData]], evaluated: Sequence[tuple[Task, Sequence[Example]]]
) -> dict[str, frozenset[str]]:
    """For each task of the mixture, ids of the training examples to leave out so that `find` finds nothing.

    Where examples leave, a run of words may become rare enough to count: the search goes on until none has to leave.
    """
    index = _Index(evaluated)
    leaving: dict[str, frozenset[str]] = {}
    for task, data in mixture:
        left: Sequence[Example] = data.train
        gone: set[str] = set()
        while True:
            held = _search(index, task, left)
            found = {number for number, _ in held.by_text | held.by_gram}
            if not found:
                break
            gone |= {left[number].id for number in found}
            # Only what shares some run, boilerplate included, can be concerned next time.
            left = [left[number] for number in held.touched if number not in found]
        leaving[task.name] = frozenset(gone)
    return leaving


class _Held(NamedTuple):
    """What training examples hold, as pairs: number of the training example, number of the test item."""

    by_text: set[tuple[int, int]]
    by_gram: set[tuple[int, int]]
    touched: Sequence[int] = ()
    """Training examples that share any run with a test item, in their order."""


class _Index:
    """The test side: what each item shows, and every run of words in it, as hashes that lead to the items."""

    def __init__(self, evaluated: Sequence[tuple[Task, Sequence[Example]]]) -> None:
        """Items are numbered over all tasks, and words from 1 on, in the order in which they come."""
        self.ids: list[str] = []
        self.task_of: list[int] = []
        self._words: dict[str, int] = {}
        self._shown: defaultdict[str, list[int]] = defaultdict(list)
        texts: list[list[int]] = []
        owners: list[int] = []
        for place, (task, items) in enumerate(evaluated):
            for item in items:
                number = len(self.ids)
                self.ids.append(item.id)
                self.task_of.append(place)
                self._shown[_shown(task, item)].append(number)
                for text in _texts(item):
                    texts.append([self._words.setdefault(word, len(self._words) + 1) for word in text.split()])
                    owners.append(number)
        self._values = _mixed(len(self._words) + 1)
        hashes, places = self._hashes(texts)
        items_of = np.array(owners, np.int64)[places]
        order = np.lexsort((items_of, hashes))
        self._items = items_of[order]
        self.grams, first = np.unique(hashes[order], return_index=True)
        """Hashes of the different runs, in order."""
        self._bounds = np.append(first, len(self._items))

    def showing(self, key: str) -> Sequence[int]:
        """The test items of that key; see `_shown`."""
        return self._shown.get(key, ())

    def runs(self, texts: Sequence[str]) -> Iterator[tuple[int, _Numbers]]:
        """For each text that shares runs with test items: its place, and the numbers of these runs, each once."""
        known = self._words
        hashes, places = self._hashes([[known.get(word, _UNKNOWN) for word in text.split()] for text in texts])
        if not len(hashes) or not len(self.grams):
            return
        numbers = np.searchsorted(self.grams, hashes)
        there = self.grams[np.minimum(numbers, len(self.grams) - 1)] == hashes
        numbers, places = numbers[there], places[there]
        found, first = np.unique(places, return_index=True)
        for place, part in zip(found.tolist(), np.split(numbers, first[1:]), strict=False):
            yield place, np.unique(part)

    def items(self, runs: _Numbers) -> set[int]:
        """The test items that hold any of these runs."""
        return {
            item for run in runs.tolist() for item in self._items[self._bounds[run] : self._bounds[run + 1]].tolist()
        }

    def _hashes(self, texts: Sequence[Sequence[int]]) -> tuple[_Hashes, _Numbers]:
        """The hash of each run of known words within a text, and the place of its text in `texts`; both of one shape.

        Over 10^16 comparisons of 64-bit hashes, a thousandth of a false match is to be expected.
        """
        flat = np.array([word for words in texts for word in (*words, _UNKNOWN)], np.int64)
        if len(flat) < GRAM:
            return np.empty(0, np.uint64), np.empty(0, np.int64)
        gaps = np.concatenate(([0], np.cumsum(flat == _UNKNOWN)))
        starts = np.flatnonzero(gaps[GRAM:] == gaps[:-GRAM])
        values = self._values[flat]
        hashes = np.zeros(len(starts), np.uint64)
        for offset in range(GRAM):
            hashes = hashes * np.uint64(0x2545F4914F6CDD1D) + values[starts + offset]
        owner = np.repeat(np.arange(len(texts)), [len(words) + 1 for words in texts])
        return hashes, owner[starts]


def _search(index: _Index, task: Task, train: Sequence[Example]) -> _Held:
    """What the training examples of one task share with the test items."""
    by_text = {(number, item) for number, example in enumerate(train) for item in index.showing(_shown(task, example))}
    # How many different texts hold a run; once it is boilerplate it is no longer recorded, which bounds the memory.
    texts_with = np.zeros(len(index.grams), np.int16)
    runs_of: dict[str, _Numbers] = {}
    examples_with: defaultdict[str, list[int]] = defaultdict(list)
    touched: dict[int, None] = {}
    for chunk in _chunks(train):
        for place, runs in index.runs([text for _, text in chunk]):
            number, text = chunk[place]
            touched[number] = None
            if text not in runs_of:
                rare = runs[texts_with[runs] <= BOILERPLATE]
                if not len(rare):
                    continue
                texts_with[rare] += 1
                runs_of[text] = rare
            examples_with[text].append(number)
    by_gram = {
        (number, item)
        for text, runs in runs_of.items()
        for item in index.items(runs[texts_with[runs] <= BOILERPLATE])
        for number in examples_with[text]
    }
    return _Held(by_text, by_gram, tuple(touched))


def _chunks(train: Sequence[Example]) -> Iterator[list[tuple[int, str]]]:
    """Number of the example and text, for every text long enough to hold a run, some at a time."""
    chunk: list[tuple[int, str]] = []
    for number, example in enumerate(train):
        chunk += [(number, text) for text in _texts(example)]
        if len(chunk) >= _CHUNK:
            yield chunk
            chunk = []
    yield chunk


def _by_task(index: _Index, held: _Held) -> dict[int, _Held]:
    """What is held, by the place of the tested task."""
    parts: defaultdict[int, _Held] = defaultdict(lambda: _Held(set(), set()))
    for pair in held.by_text:
        parts[index.task_of[pair[1]]].by_text.add(pair)
    for pair in held.by_gram:
        parts[index.task_of[pair[1]]].by_gram.add(pair)
    return parts


def _shown(task: Task, example: Example) -> str:
    """Hash of the item that an example shows: equal for two examples that show the same, in whatever tasks.

    It is `content`, normalised; a short one goes with its answer. One of punctuation alone stays as it is.
    """
    shown = content(task, example)
    text = _normal(shown) or shown
    return text_hash(text if len(text.split()) >= SHORT else f"{text}\x1f{_normal(example.target) or example.target}")


def _texts(example: Example) -> list[str]:
    """The different texts of an example that are long enough to hold a run of words, normalised."""
    texts = dict.fromkeys(_normal(text) for text in (*example.fields.values(), example.target))
    return [text for text in texts if text.count(" ") >= GRAM - 1]


class _Characters(dict[int, str]):
    """What becomes of a character, found out once: punctuation and blanks part words, signs such as + are words'."""

    def __missing__(self, code: int) -> str:
        category = unicodedata.category(chr(code))
        kept = "" if category == "Cf" else " " if category[0] in "PZC" else chr(code)
        self[code] = kept
        return kept


_CHARACTERS = _Characters()


def _normal(text: str) -> str:
    """`text` without case, punctuation and differences of encoding; one blank between two words.

    A script that leaves no blanks between words gives words of a whole clause, and so few runs.
    """
    return " ".join(unicodedata.normalize("NFKC", text).casefold().translate(_CHARACTERS).split())


def _mixed(count: int) -> _Hashes:
    """`count` well-spread 64-bit values, the same ones everywhere (splitmix64)."""
    values = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
