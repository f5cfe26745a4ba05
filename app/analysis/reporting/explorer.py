"""Items as both sides of a pair saw them, with the tokens in which prompts and answers differ.

Tokens of the base model are compared; words where its tokenizer is not at hand, never characters. The comparison is
Python's difflib, made here, so that the page only shows it. Very long prompts keep their beginning and end.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

import pyarrow as pa

from app.analysis.reporting.facts import ItemView, Piece, Pieces

LONGEST = 8_000  # characters of a prompt shown
MOST = 120
"""Items of the explorer: some kilobytes each."""
_PAIRS = 3  # of a task that are looked into
_WORD = re.compile(r"\S+\s*|\s+")

Row = Mapping[str, object]

OUTCOMES = {
    (True, True): "both right",
    (False, True): "only tuned right",
    (True, False): "only base right",
    (False, False): "neither right",
}


class Part(NamedTuple):
    """A stretch of text; `differs`: the other side has not the same there."""

    text: str
    differs: bool


class Compared(NamedTuple):
    """One item of the explorer."""

    view: ItemView
    outcome: str
    x_prompt: list[Part]
    y_prompt: list[Part]
    x_answer: list[Part]
    y_answer: list[Part]


def in_turn(turns: Iterable[Iterator[ItemView]]) -> list[ItemView]:
    """Items of each task in turn, as many as there is room for; sorted by task, model and outcome."""
    left, made = list(turns), list[ItemView]()
    while left and len(made) < MOST:
        for turn in list(left):
            view = next(turn, None)
            if view is None:
                left.remove(turn)
            elif len(made) < MOST:
                made.append(view)
    order = list(OUTCOMES)
    return sorted(made, key=lambda view: (view.task, view.run, order.index((view.x_right, view.y_right))))


def examples(items: pa.Table) -> dict[tuple[bool, bool], str]:
    """An item of each outcome, from rows of the table "items" of one pair; right under every seed, or under none."""
    chosen: dict[tuple[bool, bool], str] = {}
    for one in items.select(["item", "x", "y"]).to_pylist():
        if one["x"] in (0, 1) and one["y"] in (0, 1):
            chosen.setdefault((bool(one["x"]), bool(one["y"])), one["item"])
    return chosen


def outcomes(number: int) -> list[tuple[bool, bool]]:
    """The outcomes in the order in which the `number`-th task shows them: each task begins with another."""
    order, first = list(OUTCOMES), number % len(OUTCOMES)
    return order[first:] + order[:first]


def spread(rows: Sequence[Row], number: int) -> list[Row]:
    """Some of a task's pairs, far apart; other ones for the next task."""
    count = min(_PAIRS, len(rows))
    return [rows[(7 * number + turn * len(rows) // count) % len(rows)] for turn in range(count)]


def compared(views: Sequence[ItemView]) -> list[Compared]:
    """The items in their order, prompts and answers split where they differ."""
    made: list[Compared] = []
    for view in views:
        own = view.tokens or Pieces(
            words(shortened(view.x_prompt)), words(shortened(view.y_prompt)), words(view.x_answer), words(view.y_answer)
        )
        prompts, answers = differences(own.x_prompt, own.y_prompt), differences(own.x_answer, own.y_answer)
        made.append(Compared(view, OUTCOMES[view.x_right, view.y_right], *prompts, *answers))
    return made


def compared_by(views: Sequence[ItemView]) -> str:
    """What is compared: tokens, words, or both."""
    with_tokens = sum(view.tokens is not None for view in views)
    some = "tokens, or words where a tokenizer is not at hand,"
    return "tokens" if with_tokens == len(views) else some if with_tokens else "words"


def words(text: str) -> tuple[Piece, ...]:
    """The words of a text, each with the blanks behind it."""
    return tuple(Piece(word, word.strip()) for word in _WORD.findall(text))


def differences(left: Sequence[Piece], right: Sequence[Piece]) -> tuple[list[Part], list[Part]]:
    """Both texts as parts that are shared or differ, piece by piece; joined parts give the texts back."""
    names = ([piece.name for piece in side] for side in (left, right))
    made: tuple[list[Part], list[Part]] = ([], [])
    for tag, i, i_end, j, j_end in SequenceMatcher(None, *names, autojunk=False).get_opcodes():
        for parts, pieces in zip(made, (left[i:i_end], right[j:j_end]), strict=True):
            if pieces:
                parts.append(Part("".join(piece.text for piece in pieces), tag != "equal"))
    return made


def shortened(text: str) -> str:
    """At most `LONGEST` characters: the beginning, how much is left out, and the end, where the item stands."""
    if len(text) <= LONGEST:
        return text
    half = LONGEST // 2
    return f"{text[:half]}\n[… {len(text) - 2 * half:,} characters left out …]\n{text[-half:]}"
