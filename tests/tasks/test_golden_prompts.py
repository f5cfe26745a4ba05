"""Every prompt as a person can read it: golden/TASK.txt, and what formats, wordings and conditions make of some tasks.

A change of any prompt shows here as a text difference. Where it is meant, raise `prompts.VERSION` (or
`wordings.VERSION`, where only another wording than the standard one changed) and write the files anew with
FEWTUNE_GOLDEN=write.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast, get_args

import pytest

from app import stages
from app.evaluation import requests
from app.plan import EvaluateCell
from app.study import ConditionName, Format, Recipe, WordingName, parse
from app.tasks import catalog, prompts, wordings
from app.tasks.loading import load
from app.tasks.prompts import Demonstration
from app.tasks.task import Generated, Task
from app.tuning import encoding, mixture

GOLDEN = Path(__file__).parent / "golden"
FORMATS: tuple[Format, ...] = get_args(Format)
CONDITIONS: tuple[ConditionName, ...] = get_args(ConditionName)

WORDED = (
    "antonym", "capital", "reverse", "bigger", "track", "nli", "sentiment", "rte", "cb", "copa", "hellaswag",
    "sst2", "mrpc", "stsb", "arc_easy", "trivia_qa_full", "bool_q", "drop", "multirc", "squad", "cosmos_qa",
    "record", "dpr_raw", "wsc273", "trec", "cola", "coqa", "math_dataset", "fix_punct", "common_gen", "web_nlg",
    "wmt16_de_en", "xsum", "ag_news", "logical_deduction", "tracking_shuffled_objects_three", "gsm8k",
    "social_iqa_translated",
)  # fmt: skip
"""Tasks shown in every wording: some of each cluster of real tasks, with options and without, and generated ones."""
MIXED = ("color", "rte", "sst2", "arc_easy", "bool_q", "web_nlg", "wmt16_de_en")
"""The mixture shown in every format."""
ASKED = ("antonym", "rte", "trivia_qa_full", "wmt16_de_en")
"""Tasks shown under every condition."""
STUDY = f"""\
schema_version: 1
name: golden
bases: [{{source: ladder, family: llama, sizes: [32x2]}}]
recipes: [{{method: lora}}, {{method: lora, name: writer, format: samplegen}}]
tasks: [{", ".join(ASKED)}]
conditions: [{", ".join(CONDITIONS)}]
pipelines: {{cross_task: [{", ".join(MIXED)}]}}
shots: 2
test_items: 2
"""
Parts = Sequence[tuple[str, str]]


def check(path: Path, parts: Parts) -> None:
    """The parts, each below its title, are what the file holds."""
    text = "".join(f"=== {title}\n{part}\n" for title, part in parts)
    if os.environ.get("FEWTUNE_GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def of_task(task: Task, mirror: Path) -> Parts:
    data = load(task, mirror)
    item = wordings.word(task, data.test[0])
    shown = [prompts.demonstration(task, example) for example in prompts.demonstrations(task, data, 2, 0)]
    parts = [
        ("base, 2 demonstrations", prompts.few_shot(shown, item.input)),
        ("tuned, 2 demonstrations", prompts.instruct(item, shown)),
    ]
    for number, template in enumerate(task.templates):
        worded = wordings.word(task, data.test[0], template=number)
        if template.inverted:
            solved = prompts.instruct(worded) + prompts.continuation(worded.target)
            parts.append((f"tuned, template {number}, inverted, with its answer", solved))
        else:
            parts.append((f"tuned, template {number}", prompts.instruct(worded)))
    parts += [("options", "\n".join(item.options)), ("target", item.target)]
    return [*parts, *([("other right answers", "\n".join(item.references))] if item.references else [])]


@pytest.mark.parametrize("task", catalog.TASKS, ids=lambda task: task.name)
def test_prompts_are_the_golden_ones(task: Task, tiny_mirror: Path) -> None:
    check(GOLDEN / f"{task.name}.txt", of_task(task, tiny_mirror))


@pytest.mark.parametrize("wording", wordings.WORDINGS)
def test_wordings_are_the_golden_ones(wording: WordingName, tiny_mirror: Path) -> None:
    parts: list[tuple[str, str]] = []
    for name in WORDED:
        task = catalog.by_name(name)
        data = load(task, tiny_mirror)
        item = wordings.word(task, data.test[0], wording)
        shown = prompts.demonstration(task, prompts.demonstrations(task, data, 1, 0)[0], wording)
        answers = [f"{other}{' (right)' if other == item.target else ''}" for other in item.options or (item.target,)]
        parts += [
            (f"{name}: base", prompts.few_shot([shown], item.input)),
            (f"{name}: tuned", prompts.instruct(item)),
            (f"{name}: answers", "\n".join(answers)),
        ]
    check(GOLDEN / "wordings" / f"{wording}.txt", parts)


@pytest.mark.parametrize("form", FORMATS)
def test_formats_are_the_golden_ones(form: Format, tiny_mirror: Path) -> None:
    tasks = [catalog.by_name(name) for name in MIXED]
    data = {task.name: load(task, tiny_mirror) for task in tasks}
    drawn = mixture.draw(tasks, data, 28, rate_cap=4, seed="golden", form=form, worked=2)
    assert {one.task.name for one in drawn} == set(MIXED)
    recipe = Recipe(method="lora", format=form)
    parts: list[tuple[str, str]] = []
    for one in sorted(drawn, key=lambda one: (MIXED.index(one.task.name), one.template, one.example.id)):
        prompt, follows = encoding.texts(one, recipe)
        # The mark stands where the prompt ends, and what a model learns to write begins.
        parts.append((f"{one.task.name}, {one.example.id}, template {one.template}", f"{prompt}<<<{follows}>>>"))
    check(GOLDEN / "formats" / f"{form}.txt", parts)


@pytest.fixture(scope="module")
def cells() -> Mapping[tuple[str, str], EvaluateCell]:
    plan = stages.plan(parse(STUDY, Path("golden.yaml")))
    return {(cell.condition.name, cell.task.name): cell for cell in plan.evaluations}


def written(cell: EvaluateCell, mirror: Path) -> dict[str, dict[str, object]]:
    """What a SampleGen model might have written for the items of a cell: the second one it never restated."""
    found: dict[str, dict[str, object]] = {}
    for place, row in enumerate(requests.render(cell, load(catalog.by_name(cell.task.name), mirror))[0]):
        shown = [Demonstration("", f"made-up item {n}", f"answer {n}") for n in (1, 2)]
        text = prompts.worked(shown, f"{row['question']} (restated)", "a guess")
        read = prompts.read_worked(text if place == 0 else text[: text.rindex("Question:")], 2, finished=place == 0)
        examples = [{"input": text, "answer": answer} for text, answer in read.demonstrations]
        found[str(row["item"])] = {"item": row["item"], "worked": examples, "restated": read.question}
    return found


@pytest.mark.parametrize("condition", CONDITIONS)
def test_conditions_are_the_golden_ones(
    condition: ConditionName, cells: Mapping[tuple[str, str], EvaluateCell], tiny_mirror: Path
) -> None:
    parts: list[tuple[str, str]] = []
    for name in ASKED:
        cell = cells[condition, name]
        pool = [(task, load(task, tiny_mirror)) for task in (catalog.by_name(one.name) for one in cell.cross_task)]
        told = written(cell.writer, tiny_mirror) if cell.writer else None
        rows, _ = requests.render(cell, load(catalog.by_name(name), tiny_mirror), told, pool)
        for row in rows:
            parts.append((f"{name}, {row['item']}", str(row["context"])))
            shown = cast(list[dict[str, str]], row["demonstrations"])
            if shown:
                parts.append(("where its demonstrations come from", "\n".join(one["source"] for one in shown)))
    check(GOLDEN / "conditions" / f"{condition}.txt", parts)


def test_every_golden_file_is_used() -> None:
    used = {f"{task.name}.txt" for task in catalog.TASKS}
    used |= {f"wordings/{name}.txt" for name in wordings.WORDINGS}
    used |= {f"formats/{name}.txt" for name in FORMATS}
    used |= {f"conditions/{name}.txt" for name in CONDITIONS}
    assert {path.relative_to(GOLDEN).as_posix() for path in GOLDEN.rglob("*") if path.is_file()} == used


def test_every_cluster_of_real_tasks_is_shown_in_every_wording() -> None:
    shown = {task.cluster for task in catalog.REAL if task.name in WORDED}
    assert shown == {task.cluster for task in catalog.REAL}
    assert any(isinstance(catalog.by_name(name).source, Generated) for name in WORDED)
