"""Text in, text out: how an item, its demonstrations and its instruction become a prompt.

One grammar for every model, so that both sides of a pair read the same item: a prompt ends in the answer cue, an
answer follows it as a blank and the answer's text, and a newline ends the answer. No tokenizer has a say here.

SampleGen (Bigoulaeva et al. 2025, arXiv 2501.08716) tunes a model to write worked examples of the task first, then to
restate the item and answer it. What it writes has the grammar of a base model's few-shot prompt, so that it can be
given to the base model as it is; `read_worked` is the one place where demonstrations are read from text.
"""

import re
from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from app.errors import TaskError
from app.study import WordingName
from app.tasks import wordings
from app.tasks.task import Example, Task, TaskData, content
from app.tasks.wordings import Worded

VERSION = "1"
"""Changes whenever any prompt changes: part of the fingerprint of everything that was prompted."""
ANSWER_CUE = "Answer:"
EXAMPLES_CUE = "Examples:"
"""Ends the prompt of a SampleGen model."""
STOP = "\n"
"""Ends a generated answer."""
BLANK = "___"
"""Stands for text and answer of a corrupted worked example."""

_QUESTION = re.compile(r"^[^\S\n]*question[^\S\n]*:", re.IGNORECASE | re.MULTILINE)
_ANSWER = re.compile(r"^[^\S\n]*answer[^\S\n]*:", re.IGNORECASE | re.MULTILINE)


class Demonstration(NamedTuple):
    """A solved item as a prompt shows it, and where it comes from."""

    source: str
    """TASK/EXAMPLE of a training example; RUN/ITEM/PLACE of one that a model wrote."""
    input: str
    answer: str
    """Empty: shown without an answer."""


class Worked(NamedTuple):
    """What a SampleGen model wrote, read."""

    demonstrations: tuple[tuple[str, str], ...]
    """Text and answer (empty: none) of each worked example."""
    question: str | None
    """The item as the model restated it; None where it never came to that."""
    answer: str | None
    """The text after the answer cue of the restated item; None where there is none."""
    until_answer: str | None
    """All that it wrote, up to the answer cue of the restated item; None as above."""


def demonstration(task: Task, example: Example, wording: WordingName = "standard") -> Demonstration:
    """A training example as a demonstration."""
    worded = wordings.word(task, example, wording)
    return Demonstration(f"{task.name}/{example.id}", worded.input, worded.target)


def continuation(answer: str) -> str:
    """An answer as it continues a prompt; the blank belongs to the answer."""
    return f" {answer}"


def few_shot(shown: Sequence[Demonstration], text: str) -> str:
    """The prompt of a base model: demonstrations, then the item's text; without demonstrations its zero-shot prompt.

    There is no instruction: a base model learns the task from the demonstrations alone.
    """
    return "".join(map(_solved, shown)) + f"Question: {text}\n{ANSWER_CUE}"


def instruct(item: Worded, shown: Sequence[Demonstration] = ()) -> str:
    """The prompt of a tuned model: the instruction, demonstrations if there are any, the item."""
    solved = "".join(f"{_below(one.input)}{continuation(one.answer)}\n\n" for one in shown)
    return f"Instruction: {item.instruction}\n{solved}{_below(item.input)}"


def samplegen(item: Worded) -> str:
    """The prompt of a SampleGen model: instruction and item, and that worked examples are wanted."""
    return f"Instruction: {item.instruction}\nInput: {item.input}\n{EXAMPLES_CUE}"


def worked(shown: Sequence[Demonstration], text: str, answer: str) -> str:
    """What a SampleGen model is tuned to write: worked examples, the item restated, its answer.

    The end marker is the tokenizer's end of sequence, which always carries a label.
    """
    return f"\n{few_shot(shown, text)}{continuation(answer)}"


def read_worked(text: str, count: int, *, finished: bool) -> Worked:
    """The parts of what a SampleGen model wrote; it was asked for `count` worked examples.

    The restated item is the last block where the model ended by itself (`finished`), else the block after `count`
    others. Cues count at the start of a line, in any case and with blanks before the colon, as word-level vocabularies
    decode them.
    """
    cues = list(_QUESTION.finditer(text))
    blocks = [
        text[cue.end() : following.start() if following else len(text)]
        for cue, following in zip(cues, [*cues[1:], None], strict=False)
    ]
    place = len(blocks) - 1 if finished and blocks else count
    if not finished and blocks and len(blocks) <= count:
        last = _split(blocks[-1])[2]
        # Its longest text may have ended within a worked example: half of one is none.
        blocks = blocks if last is not None and "\n" in last.lstrip() else blocks[:-1]
    shown: list[tuple[str, str]] = []
    for block in blocks[:place]:
        question, _, answer = _split(block)
        if question:
            shown.append((question, (answer or "").strip().split("\n", 1)[0].strip()))
    if place >= len(blocks):
        return Worked(tuple(shown), None, None, None)
    question, cue, answer = _split(blocks[place])
    until = None if answer is None else text[: cues[place].end() + cue]
    return Worked(tuple(shown), question or None, answer, until)


def demonstrations(task: Task, data: TaskData, count: int, seed: int, item: str | None = None) -> tuple[Example, ...]:
    """`count` different train examples in random order, a function of task name, seed and `item` only.

    Without `item` they are frozen: every test item, model and side of a pair gets the same ones. With the id of a test
    item they are drawn anew for it. The draw is plain and not balanced over classes, because balance would tell a
    model something about the answers that a random draw does not. A larger count adds to the smaller one's.
    Raises TaskError where train has too few examples or a drawn one is also a test item.
    """
    if count < 0:
        raise TaskError(f"task {task.name}: {count} demonstrations were asked for; give 0 or more")
    if count > len(data.train):
        raise TaskError(
            f"task {task.name} has {len(data.train)} train examples, too few for {count} demonstrations: ask for fewer"
        )
    # A text seeds Random through SHA-512, the same on every machine.
    rng = Random(_seed_text(task.name, seed, item))
    places: dict[int, None] = {}
    while len(places) < count:
        places[rng.randrange(len(data.train))] = None
    drawn = tuple(data.train[place] for place in places)
    _refuse_overlap(task, data, drawn, item)
    return drawn


def from_other_tasks(
    task: Task, item: str, pool: Sequence[tuple[Task, TaskData]], count: int, seed: int, wording: WordingName
) -> tuple[Demonstration, ...]:
    """`count` demonstrations from `count` tasks of `pool`, none of them `task`, of its cluster or kin to either.

    Drawn for each item; a function of the names, the seed and the pool. Where the pool has fewer tasks, tasks repeat.
    Raises TaskError where it has none.
    """
    near = {task.cluster, *task.kin}
    others = [(other, data) for other, data in pool if near.isdisjoint((other.cluster, *other.kin)) and data.train]
    if not others:
        raise TaskError(
            f"task {task.name} finds no task of another cluster to take demonstrations from: widen pipelines.cross_task"
        )
    rng = Random(_seed_text(f"cross-task\x1f{task.name}", seed, item))
    chosen = [
        other for start in range(0, count, len(others)) for other in rng.sample(others, len(others))[: count - start]
    ]
    return tuple(demonstration(other, rng.choice(data.train), wording) for other, data in chosen)


def _solved(one: Demonstration) -> str:
    answer = f"\n{ANSWER_CUE}{continuation(one.answer)}" if one.answer else ""
    return f"Question: {one.input}{answer}\n\n"


def _below(text: str) -> str:
    return f"Input: {text}\n{ANSWER_CUE}"


def _split(block: str) -> tuple[str, int, str | None]:
    """A block's question, where its answer cue ends, and the text after that (None: no cue)."""
    cue = _ANSWER.search(block)
    if cue is None:
        return block.strip(), len(block), None
    return block[: cue.start()].strip(), cue.end(), block[cue.end() :]


def _seed_text(name: str, seed: int, item: str | None) -> str:
    """The text that seeds a draw of demonstrations."""
    return "\x1f".join(["demonstrations", name, str(seed), *([] if item is None else [item])])


def _refuse_overlap(task: Task, data: TaskData, drawn: Sequence[Example], item: str | None) -> None:
    """Raise TaskError where a drawn example is a test item: the item itself, or any of them for a frozen draw."""
    shown = data.test if item is None else [example for example in data.test if example.id == item]
    if item is not None and not shown:
        raise TaskError(f"task {task.name} has no test item {item}, for which demonstrations were asked")
    ids, contents = {example.id for example in drawn}, {content(task, example) for example in drawn}
    for example in shown if drawn else ():
        if example.id in ids or content(task, example) in contents:
            raise TaskError(f"task {task.name}: test item {example.id} is among its own demonstrations")
