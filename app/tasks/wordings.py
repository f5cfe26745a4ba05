"""One item, worded in many ways: how much of a score is the task, and how much is its wording?

A wording changes how the item and its options read, alike in a demonstration, in a base model's prompt and below a
tuned model's instruction; what is asked and which answer is right never change. `standard` is the task's own first
template; the others are made from its parts.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple, get_args

from app.errors import TaskError
from app.study import WordingName
from app.tasks.task import FIELD, Example, Task, Template

VERSION = "1"
"""Changes whenever a wording but the standard one changes: part of the fingerprint of what was prompted in it."""
WORDINGS: tuple[WordingName, ...] = get_args(WordingName)

_OPTIONS, _TARGET = "options", "target"
_MISLEADING = "Many people choose wrongly here, because one of the others looks better."
_ORNATE = (
    "Here is an item.",
    "Here is an item, which you are kindly asked to consider.",
    "Before you lies an item, gathered with some care, which you are kindly asked to consider.",
    "Before you, patient reader, lies an item, gathered with no little care, which we would humbly ask you to weigh.",
    "Before you, patient and learned reader, there lies, as upon a table of polished oak, an item gathered with no "
    "little care, which we would most humbly ask you to weigh in the quiet of your thoughts.",
    "Before you, patient, learned and (dare we say it) illustrious reader, there lies, as upon a table of polished oak "
    "beneath the last gold of an autumn evening, an item gathered over many a long hour with no little care, which we, "
    "not without a tremor of hope, would most humbly ask you to weigh in the quiet of your thoughts.",
)
"""The same request, each time more ornate; none says anything about the answer."""
_GAELIC = "Leugh an teacsa agus freagair a' cheist."
"""Scottish Gaelic: read the text and answer the question."""


class Worded(NamedTuple):
    """An item in one wording."""

    instruction: str
    input: str
    options: tuple[str, ...]
    """The answers as this wording has them, in the order of the example's."""
    target: str
    references: tuple[str, ...] = ()
    """Other right answers."""


def word(task: Task, example: Example, wording: WordingName = "standard", template: int = 0) -> Worded:
    """`example` in a wording; `template` picks the task's own for the standard one.

    closed: options in quotes, in one sentence. closed-adversarial: lettered options, which are the answers, below a
    misleading remark. plain: no options shown. ornate-1 to ornate-6: the standard one below a request that grows ever
    more ornate. unified: fields called Input 1, Input 2 and so on. translated: instruction and labels in Scottish
    Gaelic; the item's own text and the answer cue stay, so that the same answer tokens are scored.
    Raises TaskError for a template that is not there or names an unknown field.
    """
    if wording == "standard":
        return _standard(task, example, template)
    own = _standard(task, example, 0)
    if wording.startswith("ornate"):
        return own._replace(input=f"{_ORNATE[int(wording[-1]) - 1]}\n{own.input}")
    if wording in ("unified", "translated"):
        return _relabelled(task, example, own, gaelic=wording == "translated")
    bare = _plain(task, example)
    if wording == "plain" or not example.options:
        return bare
    if wording == "closed":
        return bare._replace(input=f"{bare.input}\nThe answer is {_alternatives(example.options)}.")
    letters = tuple(f"({_letter(place)})" for place in range(len(example.options)))
    listed = "\n".join(f"{letter} {option}" for letter, option in zip(letters, example.options, strict=True))
    target = letters[example.options.index(example.target)]
    also = tuple(letters[example.options.index(other)] for other in example.references if other in example.options)
    return Worded(bare.instruction, f"{bare.input}\n{listed}\n{_MISLEADING}", letters, target, also)


def fill(task: Task, wording: str, example: Example, *, answered: bool = False) -> str:
    """`wording` with its fields filled in; braces around anything but a field name, and in the data, stay as they are.

    `{options}` becomes one line for each option, after a dash; `{target}` is known only where `answered`, because it
    would give the answer away. Raises TaskError for an unknown field.
    """

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name in example.fields:
            return example.fields[name]
        if name == _OPTIONS and example.options:
            return _dashed(example.options)
        if name == _TARGET and answered:
            return example.target
        known = [*example.fields, *([_OPTIONS] if example.options else []), *([_TARGET] if answered else [])]
        raise TaskError(f"task {task.name}: a template names the field {name}; available are {', '.join(known)}")

    return FIELD.sub(value, wording)


def _standard(task: Task, example: Example, number: int) -> Worded:
    if not 0 <= number < len(task.templates):
        raise TaskError(f"task {task.name} has {len(task.templates)} templates, none of number {number}")
    template = task.templates[number]
    return _of_template(task, example, template, template.input)


def _of_template(task: Task, example: Example, template: Template, text: str) -> Worded:
    answered = template.inverted
    instruction = fill(task, template.instruction, example, answered=answered)
    shown = fill(task, text, example, answered=answered)
    if answered:
        return Worded(instruction, shown, (), fill(task, template.answer, example, answered=True))
    return Worded(instruction, shown, example.options, example.target, example.references)


def _plain(task: Task, example: Example) -> Worded:
    """The first template that shows no options; where all do, the first one without the lines that show them.

    The latter takes the first instruction that does not speak of options.
    """
    mark = f"{{{_OPTIONS}}}"
    asking = [template for template in task.templates if not template.inverted]
    for template in asking:
        if mark not in template.input + template.instruction:
            return _of_template(task, example, template, template.input)
    lines = task.templates[0].input.split("\n")
    kept = [
        line
        for place, line in enumerate(lines)
        if mark not in line and not (mark in "".join(lines[place + 1 : place + 2]) and not FIELD.search(line))
    ]
    silent = [template for template in asking if "option" not in template.instruction.lower()]
    return _of_template(task, example, (silent or asking)[0], "\n".join(kept))


def _relabelled(task: Task, example: Example, own: Worded, *, gaelic: bool) -> Worded:
    text = task.templates[0].input
    names = [name for name in dict.fromkeys(FIELD.findall(text)) if name in example.fields]
    label, header = ("Teacsa", "Roghainnean") if gaelic else ("Input", "Options")
    lines = [f"{label} {place}: {example.fields[name]}" for place, name in enumerate(names, 1)]
    if example.options and (f"{{{_OPTIONS}}}" in text or not names):
        lines += [f"{header}:", _dashed(example.options)]
    return own._replace(instruction=_GAELIC if gaelic else own.instruction, input="\n".join(lines))


def _dashed(options: Sequence[str]) -> str:
    return "\n".join(f"- {option}" for option in options)


def _alternatives(options: Sequence[str]) -> str:
    quoted = [f'"{option}"' for option in options]
    return " or ".join(filter(None, [", ".join(quoted[:-1]), quoted[-1]]))


def _letter(place: int) -> str:
    """a to z, then aa, ab and so on."""
    return (_letter(place // 26 - 1) if place >= 26 else "") + chr(ord("a") + place % 26)
