"""Items as both sides of a pair saw them, with the words in which prompts and answers differ.

Words are compared, not characters: a mark inside a word says nothing. The comparison is Python's difflib, made here,
so that the page only shows it. Very long prompts keep their beginning and end.
"""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

from app.analysis.facts import ItemView

LONGEST = 8_000  # characters of a prompt shown
_WORD = re.compile(r"\S+\s*|\s+")

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


def compared(views: Sequence[ItemView]) -> list[Compared]:
    """The items in their order, prompts and answers split where they differ."""
    made: list[Compared] = []
    for view in views:
        prompts = differences(shortened(view.x_prompt), shortened(view.y_prompt))
        answers = differences(view.x_answer, view.y_answer)
        made.append(Compared(view, OUTCOMES[view.x_right, view.y_right], *prompts, *answers))
    return made


def differences(left: str, right: str) -> tuple[list[Part], list[Part]]:
    """Both texts as parts that are shared or differ, word by word; joined parts give the texts back."""
    a, b = _WORD.findall(left), _WORD.findall(right)
    matcher = SequenceMatcher(None, [word.strip() for word in a], [word.strip() for word in b], autojunk=False)
    made: tuple[list[Part], list[Part]] = ([], [])
    for tag, i, i_end, j, j_end in matcher.get_opcodes():
        for parts, words in zip(made, (a[i:i_end], b[j:j_end]), strict=True):
            if words:
                parts.append(Part("".join(words), tag != "equal"))
    return made


def shortened(text: str) -> str:
    """At most `LONGEST` characters: the beginning, how much is left out, and the end, where the item stands."""
    if len(text) <= LONGEST:
        return text
    half = LONGEST // 2
    return f"{text[:half]}\n[… {len(text) - 2 * half:,} characters left out …]\n{text[-half:]}"
