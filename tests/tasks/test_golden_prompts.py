"""Every prompt of every task as a person can read it, in golden/TASK.txt.

A change of any prompt shows here as a text difference. Where it is meant, raise `prompts.VERSION` and write the
files anew with FEWTUNE_GOLDEN=write.
"""

import os
from pathlib import Path

import pytest

from app.tasks import catalog, prompts
from app.tasks.loading import load
from app.tasks.task import Task

GOLDEN = Path(__file__).parent / "golden"


def rendered(task: Task, mirror: Path) -> str:
    data = load(task, mirror)
    shown, item = prompts.demonstrations(task, data, 2, 0), data.test[0]
    parts = {
        "base, 2 demonstrations": prompts.few_shot(task, shown, item),
        "tuned, 2 demonstrations": prompts.instruct_few_shot(task, shown, item),
        **{f"tuned, wording {n}": prompts.instruct(task, item, n) for n in range(len(task.templates))},
        "options": "\n".join(item.options),
        "target": item.target,
    }
    return "".join(f"=== {title}\n{text}\n" for title, text in parts.items())


@pytest.mark.parametrize("task", catalog.TASKS, ids=lambda task: task.name)
def test_prompts_are_the_golden_ones(task: Task, tiny_mirror: Path) -> None:
    path, text = GOLDEN / f"{task.name}.txt", rendered(task, tiny_mirror)
    if os.environ.get("FEWTUNE_GOLDEN") == "write":
        path.write_text(text)
    assert text == path.read_text()


def test_every_golden_file_belongs_to_a_task() -> None:
    assert {path.stem for path in GOLDEN.glob("*.txt")} == {task.name for task in catalog.TASKS}
