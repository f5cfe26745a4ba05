"""BIG-bench puzzles with 3, 5 or 7 objects: one task for each number, because the number of options is chance.

Several rows ask about one puzzle, and upstream's split is by row: puzzles of the test split are dropped from train
when the task is loaded (see `task.content`).
"""

from dataclasses import dataclass

from app.errors import TaskError
from app.tasks.rows import text, texts
from app.tasks.task import Hub, Parsed, Row, Task, Template

_SIZES = {"three": 3, "five": 5, "seven": 7}
_PREAMBLE = "The statements are logically consistent within each paragraph. "
"""Ends the sentences that upstream puts before every logical deduction; they describe the file, not the item."""


@dataclass(frozen=True)
class _Puzzle:
    """A reader that keeps the rows with so many options."""

    size: int

    def __call__(self, row: Row) -> Parsed | None:
        # Upstream's options of some subtasks end in a dot and of others not; here an answer never does.
        options = tuple(option.removesuffix(".") for option in texts(row, "multiple_choice_targets"))
        if len(options) != self.size:
            return None
        scores = row["multiple_choice_scores"]
        if not isinstance(scores, list) or scores.count(1) != 1 or len(scores) != self.size:
            raise TaskError(f"column multiple_choice_scores holds {scores!r}, not one 1 among {self.size} options")
        story = text(row, "inputs")
        return Parsed({"story": story.partition(_PREAMBLE)[2] or story}, options, options[scores.index(1)])


def _task(name: str, subset: str, number: str, templates: tuple[Template, ...]) -> Task:
    return Task(
        name=f"{name}_{number}",
        cluster="bigbench",
        role="evaluate",
        source=Hub("tasksource/bigbench", subset),
        to_example=_Puzzle(_SIZES[number]),
        templates=templates,
        metric="accuracy",
        licence="Apache-2.0",
        citation="https://arxiv.org/abs/2206.04615",
    )


LOGICAL_DEDUCTION = tuple(
    _task(
        "logical_deduction",
        "logical_deduction",
        number,
        (
            Template(
                "The statements describe one fixed order. Choose the option that must hold.",
                "{story}\nOptions:\n{options}",
            ),
            Template(
                "Work out the order of the objects and copy the conclusion that is right.",
                "{story}\nConclusions:\n{options}",
            ),
        ),
    )
    for number in _SIZES
)

TRACKING_SHUFFLED_OBJECTS = tuple(
    _task(
        "tracking_shuffled_objects",
        "tracking_shuffled_objects",
        number,
        (
            Template(
                "Follow the swaps and complete the last sentence with one of the options.",
                "{story} ...\nOptions:\n{options}",
            ),
            Template(
                "Keep track of who has what, and give the missing end of the story.",
                "{story} ...\nPossible ends:\n{options}",
            ),
        ),
    )
    for number in _SIZES
)

TASKS = LOGICAL_DEDUCTION + TRACKING_SHUFFLED_OBJECTS
