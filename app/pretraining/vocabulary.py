"""The ladder's vocabulary: one word or punctuation mark, one token; the same for every base model.

Word level, because then an answer is one token or a few, and a model of 50,000 parameters spends none of them on
spelling.
"""

from functools import cache
from random import Random

from app.pretraining.corpus import ENDS, LEADS, LINKS, TITLE_ENDS
from app.tasks.generated import PROCEDURES, lexicon
from app.tasks.generated.procedure import VERSION as TASKS_VERSION

VERSION = f"1, {TASKS_VERSION}"
PAD, EOS, UNKNOWN = "<pad>", "<eos>", "<unk>"
NEWLINE = "\n"
CONTEXT = 128
"""Tokens of a ladder model's context, and of a training sequence."""
_PROMPT_WORDS = ("instruction", "input", "question", "answer", "options", "examples", "solution", "-", "(", ")")
_DRAWS = 200  # enough to meet every frame word of a story; the words that fill the frames come from the lexicon


@cache
def vocabulary() -> dict[str, int]:
    """Every word of the world with its token id; special tokens first, then in alphabetical order."""
    words: set[str] = set(_PROMPT_WORDS)
    for pool in lexicon.POOLS.values():
        words.update(pool)
    for text in (*LEADS, *LINKS, *ENDS, *TITLE_ENDS):
        words.update(_words(text))
    for procedure in PROCEDURES:
        wording = procedure.wording
        for text in (wording.evaluation, wording.seen, *wording.titles):
            words.update(_words(text))
        for text in wording.sentences:
            words.update(_words(text.format(x="", y="")))
        rng = Random(0)
        for _ in range(_DRAWS):
            pair = procedure.draw(rng)
            words.update(_words(f"{pair.input} {pair.target}"))
    words.discard(NEWLINE)
    ordered = [PAD, EOS, UNKNOWN, NEWLINE, *sorted(words)]
    return {word: number for number, word in enumerate(ordered)}


def _words(text: str) -> list[str]:
    return [word for word in text.split(" ") if word]
