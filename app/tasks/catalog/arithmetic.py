"""Word problems in arithmetic, turned into four-way multiple choice.

A wrong option is a number of the item's own worked solution where there is one, because a step on the way is the
tempting mistake; the rest are the right number slightly off. How many of them are larger is drawn too: else the
right answer would mostly be the second largest. Everything is drawn from a generator seeded with the question, so
options and their order are the same for every model, run and machine.
"""

import re
from collections.abc import Iterator
from itertools import chain, count
from random import Random

from app.errors import TaskError
from app.tasks.rows import text
from app.tasks.task import Hub, Parsed, Row, Task, Template

_WRONG = 3
_STEPS = 2
"""Wrong options taken from the worked solution at most: were it all three, the odd one out would be the answer."""
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
"""Without a sign: in a worked solution a minus is mostly an operator."""
_MARK = "####"


def _whole(written: str) -> int | None:
    plain = written.replace(",", "")
    return int(plain) if re.fullmatch(r"-?\d+", plain) else None


def _near(size: int, rng: Random) -> Iterator[int]:
    """Numbers around `size`, without end: slightly off or off by a factor, in random order, then all others."""
    step = max(1, size // 10)
    changes = [size - step, size - 1, size - 2, size - 2 * step, size // 2]
    changes += [size + step, size + 1, size + 2, size + 2 * step, size * 2]
    rng.shuffle(changes)
    return chain(changes, (number for distance in count(1) for number in (size + distance, size - distance)))


def _wrong(size: int, steps: list[int], rng: Random) -> list[int]:
    """`_WRONG` different numbers of 0 or more, none of them `size`; a random number of them is larger than it."""
    smaller = min(rng.randint(0, _WRONG), size)
    room = {False: smaller, True: _WRONG - smaller}
    chosen: list[int] = []
    for number in chain(rng.sample(steps, min(_STEPS, len(steps))), _near(size, rng)):
        if number != size and number >= 0 and number not in chosen and room[number > size]:
            room[number > size] -= 1
            chosen.append(number)
        if len(chosen) == _WRONG:
            break
    return chosen


def _gsm8k(row: Row) -> Parsed | None:
    question, solution = text(row, "question"), text(row, "answer")
    steps, mark, final = solution.rpartition(_MARK)
    if not mark:
        return None
    gold = _whole(final.strip())
    if gold is None:
        raise TaskError(f"column answer ends in {final.strip()!r}, not in a whole number after {_MARK}")
    rng = Random(question)
    written = {_whole(number) for number in _NUMBER.findall(steps)}
    # A negative answer gets negative wrong options: else its sign would give it away.
    sign = -1 if gold < 0 else 1
    wrong = _wrong(abs(gold), sorted(number for number in written if number is not None), rng)
    options = [str(gold), *(str(sign * number) for number in wrong)]
    rng.shuffle(options)
    return Parsed({"question": question}, tuple(options), str(gold))


GSM8K = Task(
    name="gsm8k",
    cluster="word_problems",
    role="evaluate",
    source=Hub("openai/gsm8k", "main", test="test"),
    to_example=_gsm8k,
    templates=(
        Template(
            "Solve the problem. Give the number alone, which is one of the options.",
            "{question}\nOptions:\n{options}",
        ),
        Template(
            "One of the numbers below the problem is its solution. Write that number.",
            "Problem: {question}\n{options}",
        ),
        Template("Work it out and choose the result.", "{question}\nResults:\n{options}"),
        Template("What is the number asked for?", "{question}\nOne of:\n{options}"),
        Template("Calculate step by step in your head; write only the final number.", "To calculate: {question}"),
        Template("A pupil asks for the answer to this. Give it.", "A pupil asks: {question}\nPossible:\n{options}"),
        Template("Do the arithmetic.", "{question}\n{options}"),
        Template("Which of the numbers solves the problem?", "Numbers:\n{options}\nThe problem: {question}"),
        Template("Check each candidate against the text and keep the right one.", "{question}\nCandidates:\n{options}"),
        Template("Write a word problem that has this number as its solution.", "Solution: {target}", "{question}"),
    ),
    metric="accuracy",
    licence="MIT",
    citation="https://arxiv.org/abs/2110.14168",
    tokens=90,
)

TASKS = (GSM8K,)
