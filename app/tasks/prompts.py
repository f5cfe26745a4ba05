"""Text in, text out: how an item, its demonstrations and its instruction become a prompt.

One grammar for every model, so that both sides of a pair read the same item: a prompt ends in the answer cue, an
answer follows it as a blank and the answer's text, and a newline ends the answer. No tokenizer has a say here.
"""

import re
from collections.abc import Sequence
from random import Random

from app.errors import TaskError
from app.identity import fingerprint
from app.tasks.task import FIELD, Example, Task, TaskData, content

VERSION = "1"
"""Changes whenever any prompt changes: part of the fingerprint of everything that was prompted."""
ANSWER_CUE = "Answer:"
STOP = "\n"
"""Ends a generated answer."""
_OPTIONS = "options"


def fill(task: Task, wording: str, example: Example) -> str:
    """`wording` with its fields filled in; braces around anything but a field name, and in the data, stay as they are.

    `{options}` becomes one line for each option, after a dash. Raises TaskError for an unknown field.
    """

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name in example.fields:
            return example.fields[name]
        if name == _OPTIONS and example.options:
            return "\n".join(f"- {option}" for option in example.options)
        known = [*example.fields, *([_OPTIONS] if example.options else [])]
        raise TaskError(f"task {task.name}: a template names the field {name}; available are {', '.join(known)}")

    return FIELD.sub(value, wording)


def continuation(answer: str) -> str:
    """An answer as it continues a prompt; the blank belongs to the answer."""
    return f" {answer}"


def few_shot(task: Task, demonstrations: Sequence[Example], example: Example) -> str:
    """The prompt of a base model: demonstrations, then the item; without demonstrations its zero-shot prompt.

    There is no instruction: a base model learns the task from the demonstrations alone.
    """
    return "".join(
        f"Question: {_input(task, shown)}\n{ANSWER_CUE}{continuation(shown.target)}\n\n" for shown in demonstrations
    ) + (f"Question: {_input(task, example)}\n{ANSWER_CUE}")


def instruct(task: Task, example: Example, template: int = 0) -> str:
    """The prompt of a tuned model, in the wording of that number. Raises TaskError where there is no such wording."""
    if not 0 <= template < len(task.templates):
        raise TaskError(f"task {task.name} has {len(task.templates)} templates, none of number {template}")
    instruction = fill(task, task.templates[template].instruction, example)
    return f"Instruction: {instruction}\n{_item(task, example, template)}"


def instruct_few_shot(task: Task, demonstrations: Sequence[Example], example: Example) -> str:
    """The prompt of a tuned model with demonstrations below the instruction; without any it is `instruct`'s."""
    instruction = fill(task, task.templates[0].instruction, example)
    shown = "".join(f"{_item(task, shown)}{continuation(shown.target)}\n\n" for shown in demonstrations)
    return f"Instruction: {instruction}\n{shown}{_item(task, example)}"


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


def _seed_text(name: str, seed: int, item: str | None) -> str:
    """The text that seeds a draw of demonstrations."""
    return "\x1f".join(["demonstrations", name, str(seed), *([] if item is None else [item])])


def wording(task: Task) -> str:
    """Fingerprint of all that words a task's prompts: its templates and the version of this module."""
    return fingerprint([VERSION, [[template.instruction, template.input] for template in task.templates]])


def _input(task: Task, example: Example, template: int = 0) -> str:
    return fill(task, task.templates[template].input, example)


def _item(task: Task, example: Example, template: int = 0) -> str:
    return f"Input: {_input(task, example, template)}\n{ANSWER_CUE}"


def _refuse_overlap(task: Task, data: TaskData, drawn: Sequence[Example], item: str | None) -> None:
    """Raise TaskError where a drawn example is a test item: the item itself, or any of them for a frozen draw."""
    shown = data.test if item is None else [example for example in data.test if example.id == item]
    if item is not None and not shown:
        raise TaskError(f"task {task.name} has no test item {item}, for which demonstrations were asked")
    ids, contents = {example.id for example in drawn}, {content(task, example) for example in drawn}
    for example in shown if drawn else ():
        if example.id in ids or content(task, example) in contents:
            raise TaskError(f"task {task.name}: test item {example.id} is among its own demonstrations")
