"""Coreference: whom or what does a pronoun mean?

The pronoun in question stands between asterisks in the sentence, because a sentence may hold it more than once.
"""

import re

from app.errors import TaskError
from app.tasks.rows import label, text, texts
from app.tasks.task import Hub, Parsed, Row, Task, Template

_CONNECTIVE = "because|since|so|but|and|that|if"


def _marked(sentence: str, start: int, pronoun: str) -> str:
    """The sentence with asterisks around the pronoun that begins at `start`."""
    end = start + len(pronoun)
    return " ".join(f"{sentence[:start]}*{pronoun}*{sentence[end:]}".split())


def _place(sentence: str, pronoun: str, candidates: tuple[str, ...]) -> int:
    """Where the pronoun in question begins in a sentence of the Definite Pronoun Resolution set, which does not say it.

    Its sentences join a clause that names the candidates to one about one of them: the pronoun is the first behind the
    candidates, and follows the connective where another stands before that.
    """
    behind = max(sentence.lower().find(candidate.lower()) for candidate in candidates)
    word = rf"(?<!\w){re.escape(pronoun)}(?!\w)"
    found = [match.start() for match in re.finditer(word, sentence)]
    if not found:
        raise TaskError(f"column sentence holds {sentence!r}, without the pronoun {pronoun!r}")
    joined = re.compile(rf"\b(?:{_CONNECTIVE}) (?={word})", re.IGNORECASE)
    opening = [match.end() for match in joined.finditer(sentence)]
    return next((place for place in (*opening, *found) if place > behind), found[0])


def _dpr(row: Row) -> Parsed | None:
    sentence, pronoun, candidates = text(row, "sentence"), text(row, "pronoun"), texts(row, "candidates")
    gold = label(row, "label", len(candidates))
    if gold is None:
        return None
    shown = _marked(sentence, _place(sentence, pronoun, candidates), pronoun)
    return Parsed({"sentence": shown, "pronoun": pronoun}, candidates, candidates[gold])


def _winograd(row: Row) -> Parsed | None:
    sentence, pronoun, start = row["text"], row["pronoun"], row["pronoun_loc"]
    options = texts(row, "options")
    gold = label(row, "label", len(options))
    # The place counts in the text as it is published, blanks and all.
    if not isinstance(sentence, str) or not isinstance(pronoun, str) or not isinstance(start, int):
        raise TaskError(f"columns text, pronoun and pronoun_loc hold {sentence!r}, {pronoun!r} and {start!r}")
    if not pronoun or not sentence.startswith(pronoun, start):
        raise TaskError(f"column text has no {pronoun!r} at place {start}, where pronoun_loc puts it: {sentence!r}")
    if gold is None:
        return None
    return Parsed({"sentence": _marked(sentence, start, pronoun), "pronoun": pronoun}, options, options[gold])


def _winogrande(row: Row) -> Parsed | None:
    """A sentence with a blank (_) and its two fillings; the answer's number is empty in the hub's test split."""
    options, number = (text(row, "option1"), text(row, "option2")), text(row, "answer")
    if number not in ("", "1", "2"):
        raise TaskError(f"column answer holds {number!r}, neither 1 nor 2")
    # Two equal fillings leave nothing to choose.
    if not number or options[0] == options[1]:
        return None
    return Parsed({"sentence": text(row, "sentence")}, options, options[int(number) - 1])


_PRONOUNS = (
    Template(
        "Say whom or what the pronoun between asterisks means. Give one of the options.",
        "Sentence: {sentence}\nPronoun: {pronoun}\nOptions:\n{options}",
    ),
    Template(
        "Find out who or what is meant.",
        '{sentence}\nHere "{pronoun}" stands for one of:\n{options}',
    ),
    Template(
        "Replace the pronoun: copy from the list what belongs in its place.",
        "In place of {pronoun}: {sentence}\nList:\n{options}",
    ),
    Template(
        "To which of the two does the marked word refer?",
        "The two:\n{options}\nThe marked word: {sentence}",
    ),
    Template(
        "A reader stumbles over a pronoun. Help with the right reading.",
        '"{sentence}"\nWhat does the word "{pronoun}" mean?\n{options}',
    ),
    Template(
        "Use what you know of the world to resolve the pronoun.",
        "{sentence}\nTo resolve: {pronoun}\nChoose from:\n{options}",
    ),
    Template(
        "Name the person or thing behind the word between asterisks.",
        "{sentence}\n{options}",
    ),
    Template(
        "Translate the pronoun back into a name or a thing.",
        "Pronoun: {pronoun}\nWhere it stands: {sentence}\nIt is one of:\n{options}",
    ),
    Template(
        "Which one is spoken of?",
        'Spoken of as "{pronoun}": {sentence}\nOptions:\n{options}',
    ),
    Template(
        "Write a sentence with a pronoun between asterisks that means what is given.",
        "Pronoun: {pronoun}\nIt means: {target}",
        "{sentence}",
    ),
    Template(
        "Give an example of a sentence in which one word stands for another.",
        "Use *{pronoun}* for this: {target}",
        "{sentence}",
    ),
)

DPR_RAW = Task(
    name="dpr_raw",
    cluster="coreference_resolution",
    role="tune",
    source=Hub("coref-data/dpr_raw", "plain_text", test="test"),
    to_example=_dpr,
    templates=_PRONOUNS,
    metric="accuracy",
    licence="not stated (Definite Pronoun Resolution)",
    citation="https://aclanthology.org/D12-1071/",
    tokens=45,
    answer_tokens=3,
)

WINOGRANDE = Task(
    name="winogrande",
    cluster="coreference_resolution",
    role="evaluate",
    source=Hub("allenai/winogrande", "winogrande_xl"),
    to_example=_winogrande,
    templates=(
        Template(
            "Fill in the blank (_) of the sentence with one of the options.",
            "Sentence: {sentence}\nOptions:\n{options}",
        ),
        Template("What belongs in the gap?", "{sentence}\nIn the gap belongs:\n{options}"),
        Template("Complete the sentence so that it makes sense.", "To complete: {sentence}\n{options}"),
        Template(
            "A word is missing where the underscore stands. Copy it from the list.",
            "List:\n{options}\nMissing from: {sentence}",
        ),
        Template("Which of the two makes the sentence true to life?", "{sentence}\nThe two:\n{options}"),
        Template(
            "Decide whom or what the last part of the sentence is about.",
            "It has an underscore in place of the name: {sentence}\nChoose from:\n{options}",
        ),
        Template("Solve this puzzle of words.", "Puzzle: {sentence}\nSolutions:\n{options}"),
        Template("Put the right thing for _.", "For _ put one of these:\n{options}\n{sentence}"),
        Template(
            "Somebody spilled ink on a sentence. Restore what was there.",
            "With a blot: {sentence}\nWhat was there:\n{options}",
        ),
        Template(
            "Write a sentence with a blank (_) that is to be filled with the given words.",
            "Filling: {target}",
            "{sentence}",
        ),
        Template("Invent a riddle with a gap.", "What goes into the gap: {target}", "{sentence}"),
    ),
    metric="accuracy",
    licence="CC BY 4.0",
    citation="https://arxiv.org/abs/1907.10641",
    tokens=45,
    answer_tokens=2,
)

WSC273 = Task(
    name="wsc273",
    cluster="coreference_resolution",
    role="evaluate",
    source=Hub("coref-data/davis_wsc_raw", "wsc273", train="test", test="test"),
    to_example=_winograd,
    templates=_PRONOUNS,
    metric="accuracy",
    licence="CC BY 4.0",
    citation="https://cs.nyu.edu/~davise/papers/WinogradSchemas/WS.html",
    tokens=50,
    answer_tokens=3,
)

TASKS = (DPR_RAW, WINOGRANDE, WSC273)
