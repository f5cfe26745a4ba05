"""The contamination table: do the mixtures of a study hold items that it tests?"""

from collections.abc import Callable, Sequence

from app.identity import fingerprint
from app.plan import Plan
from app.tasks import contamination
from app.tasks.planned import task_of
from app.tasks.task import Example, Task, TaskData

Load = Callable[[Task], TaskData]
Items = Callable[[Task, TaskData], Sequence[Example]]


def identity(plan: Plan) -> str:
    """Hash of all that decides the rows: mixtures, tested tasks and items, and whether recipes leave overlaps out."""
    runs = {cell.run.recipe_name: cell.run for cell in plan.tunings}
    mixtures = {name: [run.recipe.decontaminate, [task.inputs for task in run.mixture]] for name, run in runs.items()}
    tested = {cell.task.name: cell.task.inputs for cell in plan.evaluations}
    return fingerprint([contamination.VERSION, mixtures, tested, plan.study.test_items, plan.study.seed])


def rows(plan: Plan, load: Load, items: Items) -> list[dict[str, object]]:
    """One row for each recipe and pair of tasks that overlap, one for each tested task that overlaps with none.

    `items` gives the test items that the study evaluates. Mixtures that several recipes share are searched once.
    """
    tested = {cell.task.name: cell.task for cell in plan.evaluations}
    evaluated = [(task, items(task, load(task))) for task in map(task_of, tested.values())]
    runs = {cell.run.recipe_name: cell.run for cell in plan.tunings}
    found: dict[tuple[str, ...], list[contamination.Overlap]] = {}
    made: list[dict[str, object]] = []
    for name, run in runs.items():
        key = tuple(task.name for task in run.mixture)
        if key not in found:
            mixture = [(task, load(task)) for task in map(task_of, run.mixture)]
            found[key] = contamination.find(mixture, evaluated)
        made += [_row(plan.study.name, name, run.recipe.decontaminate, overlap) for overlap in found[key]]
    return made


def _row(study: str, recipe: str, left_out: bool, overlap: contamination.Overlap) -> dict[str, object]:
    return {
        "study": study,
        "recipe": recipe,
        "tuned_task": overlap.tuned_task,
        "tested_task": overlap.tested_task,
        "test_items": overlap.test_items,
        "by_text": overlap.by_text,
        "by_13_gram": overlap.by_13_gram,
        "train_examples": overlap.train_examples,
        "left_out": left_out and bool(overlap.tuned_task),
        "examples": [f"{train} ~ {test}" for train, test in overlap.examples],
    }
