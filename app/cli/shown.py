"""One item of a task as it is prompted, for `fewtune tasks show`."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple, cast, get_args

from app.errors import TaskError
from app.evaluation import requests
from app.models.loading import ModelSource
from app.models.loading import tokenizer as load_tokenizer
from app.models.tokens import encode
from app.plan import FEW_SHOT_CONDITIONS, GOLD_CONDITIONS
from app.pretraining import tokenizer as ladder
from app.study import ConditionName, Format, Recipe, WordingName
from app.tasks import catalog, loading, prompts, wordings
from app.tasks.task import Example, Task, TaskData
from app.tuning.encoding import texts
from app.tuning.mixture import Drawn, draw

Count = Callable[[str], int]


class Asked(NamedTuple):
    """What to show."""

    condition: str | None
    form: str
    wording: str
    shots: int
    seed: int
    item: int


class View(NamedTuple):
    """What is shown."""

    facts: list[tuple[str, str]]
    prompts: list[tuple[str, str, int]]
    """Title, text, tokens."""


def counter(tokenizer: str | None) -> Count:
    """Counts the tokens of a prompt, start token included. Raises ModelError for a tokenizer that cannot be loaded."""
    if tokenizer is None:
        words = ladder.build()
        return lambda text: len(encode(words, [text])[0])
    kind: Literal["hub", "checkpoint"] = "checkpoint" if Path(tokenizer).is_dir() else "hub"
    loaded = load_tokenizer(ModelSource(kind, tokenizer, None, "float32"))
    return lambda text: len(encode(loaded, [text])[0])


def view(task: Task, mirror: str | None, asked: Asked, count: Count) -> View:
    """Facts and prompts of one test item. Raises TaskError for an unknown condition, format, wording or item."""
    condition = None if asked.condition is None else _one_of("condition", asked.condition, get_args(ConditionName))
    form = _one_of("format", asked.form, get_args(Format))
    wording = cast(WordingName, _one_of("wording", asked.wording, get_args(WordingName)))
    data = loading.load(task, mirror)
    if asked.item >= len(data.test):
        raise TaskError(f"{task.name} has {len(data.test)} test items, so there is no item {asked.item}")
    example = data.test[asked.item]
    worded = wordings.word(task, example, wording)
    facts = [
        ("task", task.name), ("cluster", task.cluster), ("role", task.role),
        ("metrics", ", ".join((task.metric, *task.also))), ("licence", task.licence), ("citation", task.citation),
        ("data", data.fingerprint), ("examples", f"{len(data.train)} train, {len(data.test)} test"),
        ("item", example.id), ("options", " | ".join(worded.options) or "free answer"), ("target", worded.target),
        ("other right answers", " | ".join(worded.references) or "none"),
    ]  # fmt: skip
    usual = ["samplegen-direct"] if form != "regular" else ["base-zero-shot", "base-few-shot", "tuned-direct"]
    made: list[tuple[str, str, int]] = []
    for name in [condition] if condition else usual:
        shown = _demonstrations(cast(ConditionName, name), task, data, example, wording, asked, mirror)
        text = requests.prompt(cast(ConditionName, name), worded, worded.input, shown)
        title = name + (f", {len(shown)} demonstrations ({', '.join(d.source for d in shown)})" if shown else "")
        made.append((title, text, count(text)))
    if form != "regular":
        text = _tuned_on(task, data, cast(Format, form), asked)
        made.append((f"what {form} is tuned on, a training example", text, count(text)))
    return View(facts, made)


def _demonstrations(
    condition: ConditionName,
    task: Task,
    data: TaskData,
    example: Example,
    wording: WordingName,
    asked: Asked,
    mirror: str | None,
) -> tuple[prompts.Demonstration, ...]:
    if condition in ("samplegen-pipeline", "samplegen-restated"):
        raise TaskError(f"{condition} shows what a tuned model wrote: look into requests/{condition}-... of a store")
    if condition == "gold-pipeline-cross-task":
        pool = [(other, loading.load(other, mirror)) for other in catalog.select(["set:tune"])]
        return prompts.from_other_tasks(task, example.id, pool, asked.shots, asked.seed, wording)
    if condition not in FEW_SHOT_CONDITIONS + GOLD_CONDITIONS or not asked.shots:
        return ()
    own = example.id if condition in GOLD_CONDITIONS else None
    drawn = prompts.demonstrations(task, data, asked.shots, asked.seed, own)
    return tuple(prompts.demonstration(task, one, wording) for one in drawn)


def _tuned_on(task: Task, data: TaskData, form: Format, asked: Asked) -> str:
    """Prompt and continuation of one training example."""
    others = [other for other in catalog.select(["set:tune"]) if other.name != task.name]
    tasks = [task, *others] if form == "samplegen-relevance" else [task]
    loaded = {other.name: data if other is task else loading.load(other, None) for other in tasks}
    # Drawn as if all were of one size, and so often that the task is among them.
    drawn = draw(tasks, loaded, 64 * len(tasks), 1, str(asked.seed), form, asked.shots)
    one: Drawn = next(each for each in drawn if each.task is task)
    prompt, follow = texts(one, Recipe(method="lora", format=form))
    return prompt + follow


def _one_of(what: str, given: str, known: tuple[str, ...]) -> str:
    if given not in known:
        raise TaskError(f"unknown {what} {given!r}; known are {', '.join(known)}")
    return given
