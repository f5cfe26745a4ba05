"""Do both sides of a pair read the same item, token by token, and are they asked for the same answer tokens?

A pair is fair where the two renderings of an item differ in nothing but what the study declares: the instruction on
one side, the demonstrations on the other, the words of the frame. What differs besides is shown, not judged; only
answers of other tokens and a doubled BOS are faults.
"""

import difflib
import re
from collections.abc import Sequence
from itertools import takewhile
from typing import NamedTuple

from transformers import PreTrainedTokenizerBase

from app.errors import CellError
from app.models.tokens import Tokens, encode


class Audit(NamedTuple):
    """One item on both sides of a pair; a row of a table."""

    fair: bool
    """Whether the answers have the same tokens on both sides, and neither side begins with two BOS."""
    same_answers: bool
    """Whether each answer has the same token ids on both sides, and melts into the tokens before it on neither."""
    base_answers: str
    """Token ids of the answers after the base side: blanks between tokens, a bar between answers."""
    tuned_answers: str
    """The same after the tuned side."""
    base_bos: int
    """BOS tokens that begin the base side; more than one is a fault."""
    tuned_bos: int
    """The same for the tuned side."""
    base_tokens: int
    """Tokens of the base side, without an answer."""
    tuned_tokens: int
    """Tokens of the tuned side, without an answer."""
    only_base: str
    """Tokens of the base side that the tuned side lacks, declared parts aside; blanks between tokens."""
    only_tuned: str
    """Tokens of the tuned side that the base side lacks, declared parts aside."""


def audit(
    tokenizer: PreTrainedTokenizerBase, base: str, tuned: str, answers: Sequence[str], declared: Sequence[str]
) -> Audit:
    """Compare the two renderings of one item, each of which ends in the answer cue; an answer follows it as " x".

    `declared` are the texts that may stand on one side only; a token that lies within one is not compared. Raises
    CellError for a tokenizer that cannot say where in a text its tokens stand.
    """
    _placed(tokenizer)
    sides = encode(tokenizer, [base, tuned])
    base_answers, tuned_answers = (
        _answers(tokenizer, text, ids, answers) for text, ids in zip((base, tuned), sides, strict=True)
    )
    base_bos, tuned_bos = (_leading_bos(tokenizer, ids) for ids in sides)
    same = None not in base_answers and base_answers == tuned_answers
    only_base, only_tuned = _differing(*(_undeclared(tokenizer, text, declared) for text in (base, tuned)))
    return Audit(
        fair=same and max(base_bos, tuned_bos) <= 1,
        same_answers=same,
        base_answers=_listed(base_answers),
        tuned_answers=_listed(tuned_answers),
        base_bos=base_bos,
        tuned_bos=tuned_bos,
        base_tokens=len(sides[0]),
        tuned_tokens=len(sides[1]),
        only_base=" ".join(only_base),
        only_tuned=" ".join(only_tuned),
    )


def parts(tokenizer: PreTrainedTokenizerBase, text: str) -> list[tuple[str, str]]:
    """A text cut where its tokens begin: each stretch with its tokens' names, which a blank joins.

    Several tokens may share a letter; they are one stretch. Raises CellError as `audit`.
    """
    _placed(tokenizer)
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, truncation=False, verbose=False)
    names = _names(tokenizer, list(encoded["input_ids"]))
    starts: dict[int, list[str]] = {}
    for name, (start, _) in zip(names, encoded["offset_mapping"], strict=True):
        starts.setdefault(start if starts else 0, []).append(name)
    starts = starts or {0: [""]}  # nothing but blanks, which some tokenizers drop
    places = [*starts, len(text)]
    return [
        (text[start:end], " ".join(told))
        for start, end, told in zip(places, places[1:], starts.values(), strict=False)
        if end > start
    ]


def _placed(tokenizer: PreTrainedTokenizerBase) -> None:
    if not tokenizer.is_fast:
        raise CellError(
            f"the tokenizer {tokenizer.name_or_path or 'given'} gives no places of tokens: it cannot be audited"
        )


def _answers(tokenizer: PreTrainedTokenizerBase, text: str, ids: Tokens, answers: Sequence[str]) -> list[Tokens | None]:
    """The tokens of each answer after a side; None where the side's own tokens change, so that no border is left."""
    joint = encode(tokenizer, [f"{text} {answer}" for answer in answers])
    return [row[len(ids) :] if row[: len(ids)] == ids else None for row in joint]


def _listed(answers: Sequence[Tokens | None]) -> str:
    return " | ".join("melted" if answer is None else " ".join(map(str, answer)) for answer in answers)


def _leading_bos(tokenizer: PreTrainedTokenizerBase, ids: Tokens) -> int:
    return len(list(takewhile(lambda token: token == tokenizer.bos_token_id, ids)))


def _undeclared(tokenizer: PreTrainedTokenizerBase, text: str, declared: Sequence[str]) -> list[str]:
    """The token texts of a side, its first special tokens included, without those within a declared part."""
    spans = [found.span() for part in declared if part for found in re.finditer(re.escape(part), text)]
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, truncation=False, verbose=False)
    ids, places = list(encoded["input_ids"]), list(encoded["offset_mapping"])
    whole = encode(tokenizer, [text])[0]
    names = _names(tokenizer, whole[: len(whole) - len(ids)])
    for name, (start, end) in zip(_names(tokenizer, ids), places, strict=True):
        # A token's first blank may stand before the part that the token belongs to.
        word = text[start:end].lstrip()
        start = end - len(word) if word else start
        if not any(first <= start and end <= last for first, last in spans):
            names.append(name)
    return names


def _names(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> list[str]:
    return [str(name).replace("\n", "\\n") for name in tokenizer.convert_ids_to_tokens(list(ids))]


def _differing(base: Sequence[str], tuned: Sequence[str]) -> tuple[list[str], list[str]]:
    """What either sequence has beside the longest common parts."""
    only_base: list[str] = []
    only_tuned: list[str] = []
    # No junk heuristics: every token counts, the frequent ones too.
    for kind, i, j, k, m in difflib.SequenceMatcher(None, base, tuned, autojunk=False).get_opcodes():
        if kind != "equal":
            only_base += base[i:j]
            only_tuned += tuned[k:m]
    return only_base, only_tuned
