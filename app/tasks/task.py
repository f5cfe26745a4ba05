"""What a task is: where its examples come from, how they are worded, how an answer is judged.

A task is one constant in `catalog/` (real data) or in `generated/` (procedural); nothing is registered by name
or class path. Examples leave this room as `Example`, whatever their source.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, NamedTuple

Role = Literal["tune", "develop", "evaluate"]
"""The disjoint set a task belongs to: tuned on, held out to choose hyper-parameters, or held out to evaluate."""
MetricName = Literal[
    "accuracy",
    "f1",
    "macro_f1",
    "matthews",
    "pearson",
    "spearman",
    "multirc_f1a",
    "multirc_em",
    "exact_match",
    "bertscore_accuracy",
    "squad_em",
    "squad_f1",
    "trivia_em",
    "trivia_f1",
    "rouge1",
    "rouge2",
    "rougeLsum",
    "bleu",
    "chrf",
    "word_edit_distance",
    "word_edit_similarity",
]
"""The metrics of `app.tasks.metrics`."""
Split = Literal["train", "test"]

Row = Mapping[str, object]
FIELD = re.compile(r"\{(\w+)\}")
"""A field in a wording; braces around anything else are plain text."""


@dataclass(frozen=True)
class Example:
    """One item of a task."""

    id: str
    """Stable within the task: the hub split and row number, or the generated input."""
    fields: Mapping[str, str]
    """What the templates may name."""
    options: tuple[str, ...]
    """The answers to choose among, in the order shown; empty for a free answer."""
    target: str
    """The right answer as text; one of `options` where there are options."""
    references: tuple[str, ...] = ()
    """Other right answers, as right as `target`: aliases, further summaries or translations."""
    group: str = ""
    """Items that are judged together (the answers to one question of MultiRC) share it; empty: judged alone."""


TARGET = "{target}"


@dataclass(frozen=True)
class Template:
    """One wording of a task, in `str.format` fields of `Example.fields`, plus `{options}` for the list of options.

    An inverted one asks for something else than the target, for example for the question to an answer; it may name
    `{target}`, serves tuning alone and shows no options.
    """

    instruction: str
    """What to do, in the imperative; shown to a tuned model, never inside a few-shot prompt."""
    input: str
    """The item itself; the same text inside a few-shot prompt and below an instruction."""
    answer: str = TARGET
    """What is answered, in the same fields."""

    @property
    def inverted(self) -> bool:
        """Whether it asks for something else than the target."""
        return self.answer != TARGET


@dataclass(frozen=True)
class Hub:
    """A data set on the Hugging Face hub, or below a local mirror in the same shape."""

    id: str
    config: str = "default"
    train: str = "train"
    """The split that demonstrations and mixtures draw from."""
    test: str = "validation"
    """The labelled split that is evaluated; where it is `train` too, the split is cut in two by content."""
    revision: str | None = None


@dataclass(frozen=True)
class Manual:
    """Data that no hub may pass on: a file that the user fetches and puts below the data mirror."""

    file: str
    """Path below the data mirror; .csv, .tsv, .json (a list of objects), .jsonl or .jsonl.gz."""
    how: str
    """One sentence: where it comes from, and what to ask for there."""
    test: str = ""
    """The file of the test split; empty: `file` holds all, and is cut in two by content."""


@dataclass(frozen=True)
class Generated:
    """Examples made by a seeded function of this project; `make(split)` gives all of them, in a fixed order."""

    make: Callable[[Split], list[Example]]
    version: str
    """Changes whenever the examples change: part of the task's identity."""


@dataclass(frozen=True)
class Task:
    """A benchmark."""

    name: str
    cluster: str
    """FLAN's term: tasks of one kind, held out together."""
    role: Role
    source: Hub | Manual | Generated
    templates: tuple[Template, ...]
    """The first is the evaluation's; tuning mixes all of them."""
    metric: MetricName
    """The primary metric: what pairs compare unless the study says otherwise."""
    licence: str
    to_example: Callable[[Row], "Parsed | None"] | None = None
    """Hub rows only: fields, options and target of a row; None leaves the row out (no gold label)."""
    citation: str = ""
    requires: tuple[str, ...] = field(default=())
    """Facts of the embedded world it rests on; `pretraining.without` a task also hides the tasks that share them."""
    also: tuple[MetricName, ...] = ()
    """Metrics reported beside the primary one."""
    positive: str = ""
    """The answer that F1 counts as found; only for tasks with that metric."""
    kin: tuple[str, ...] = ()
    """Other clusters whose tasks it resembles so much that it is held out with them."""
    tokens: int = 30
    """About how many tokens an item has in English-trained vocabularies, for cost estimates alone."""
    answer_tokens: int = 3
    """About how many tokens an answer has, for cost estimates alone."""


class Parsed(NamedTuple):
    """A hub row, read: see `Example`."""

    fields: Mapping[str, str]
    options: tuple[str, ...]
    target: str
    references: tuple[str, ...] = ()
    group: str = ""


class TaskData(NamedTuple):
    """A task's examples, loaded: `train` and `test` share no example (by id and by content)."""

    train: tuple[Example, ...]
    test: tuple[Example, ...]
    fingerprint: str
    """Hash of the content of all examples, recorded beside every score."""
    dropped: int = 0
    """Train examples left out because their content is also in test."""


def content(task: Task, example: Example) -> str:
    """What makes two examples one item: the fields that the first template shows, in lower case, blanks collapsed.

    Options do not count, so two questions about one puzzle are one item: a demonstration must not give its solution
    away. Only where a template shows no field at all do the options identify the item.
    """
    shown = _shown(task.templates[0].input)
    parts = [example.fields[name] for name in shown if name in example.fields] or sorted(example.options)
    return "\x1f".join(" ".join(part.lower().split()) for part in parts)


@lru_cache(maxsize=256)
def _shown(wording: str) -> tuple[str, ...]:
    return tuple(FIELD.findall(wording))
