"""BIG-bench: the item alone, its options in an order that gives nothing away, and the right one among them."""

import pytest

from app.errors import TaskError
from app.tasks.catalog import bigbench
from app.tasks.task import Parsed, Row

TASKS = {task.name: task for task in bigbench.TASKS}


def read(name: str, row: Row) -> Parsed | None:
    reader = TASKS[name].to_example
    assert reader is not None
    return reader(row)


def row(prompt: str, options: list[str], gold: int) -> Row:
    scores = [int(place == gold) for place in range(len(options))]
    return {"inputs": prompt, "multiple_choice_targets": options, "multiple_choice_scores": scores}


YES_NO = ["Yes", "No"]


@pytest.mark.parametrize(
    ("name", "prompt", "field", "item"),
    [
        (
            "figure_of_speech_detection",
            "Please identify the figure of speech embodied by the following English sentences.\n"
            "Sentence: Her smile was  like the sun.\nFigure of speech:",
            "sentence",
            "Her smile was like the sun.",
        ),
        (
            "figure_of_speech_detection",
            "Please identify the figure of speech embodied by the following English sentences.\n"
            "Sentence: Q: What do bakers need? A: Dough.\nFigure of speech:",
            "sentence",
            "Q: What do bakers need? A: Dough.",
        ),
        (
            "logical_deduction",
            "Above all. The statements are logically consistent within each paragraph.\n\nA is  first.",
            "story",
            "A is first.",
        ),
        (
            "social_iqa",
            "Q: Kai lost {his} keys. How did Kai feel? \n  choice: Sad\n  choice: Like a “king”\nA:",
            "question",
            "Kai lost {his} keys. How did Kai feel?",
        ),
        (
            "strange_stories",
            "Context: Al said, \"Lovely!\"\nQ: Is it true?\n  choice: Yes\n  choice: No\nA:",
            "story",
            'Al said, "Lovely!" Is it true?',
        ),
        ("strange_stories", "Context: Al lied.\nQ:Why?\n  choice: Yes\nA:", "story", "Al lied. Why?"),
        ("strange_stories", "Context: Al lied.\nDid he know?\n  choice: Yes\nA:", "story", "Al lied. Did he know?"),
        (
            "causal_judgment",
            "How would a typical person answer each of the following questions about causation?\n\n\nQ: It fell. "
            "Did Bo do it?\nA:",
            "story",
            "It fell. Did Bo do it?",
        ),
        (
            "causal_judgment",
            "How would a typical person answer each of the following questions about causation?\nIt fell. Did Bo?\n"
            "Options:\n- Yes\n- No\nA: ",
            "story",
            "It fell. Did Bo?",
        ),
    ],
)  # fmt: skip
def test_the_item_is_freed_of_all_that_upstream_writes_around_it(name: str, prompt: str, field: str, item: str) -> None:
    parsed = read(name, row(prompt, YES_NO, 1))
    assert parsed == Parsed({field: item}, ("Yes", "No"), "No")


@pytest.mark.parametrize("gold", [0, 1])
@pytest.mark.parametrize("options", [["yes", "no"], ["no", "yes"]])
def test_yes_stands_before_no_whichever_is_right(options: list[str], gold: int) -> None:
    parsed = read("strange_stories", row("Context: x", options, gold))
    assert parsed == Parsed({"story": "x"}, ("yes", "no"), options[gold])


def test_other_options_keep_their_order_and_lose_the_dot_at_their_end() -> None:
    parsed = read("strange_stories", row("Context: x", ["to be late.", "to be kind.", "a joke"], 1))
    assert parsed == Parsed({"story": "x"}, ("to be late", "to be kind", "a joke"), "to be kind")


@pytest.mark.parametrize("size", [3, 5, 7])
def test_logical_deduction_holds_all_sizes_and_each_tracking_task_its_own(size: int) -> None:
    asked = row("A has the", [f"{number}." for number in range(size)], 1)
    assert read("logical_deduction", asked) is not None
    kept = [name for name in TASKS if name.startswith("tracking") and read(name, asked) is not None]
    assert kept == [f"tracking_shuffled_objects_{ {3: 'three', 5: 'five', 7: 'seven'}[size] }"]


@pytest.mark.parametrize("scores", [[0, 0], [1, 1], [1], None])
def test_a_row_without_one_right_option_is_refused(scores: object) -> None:
    with pytest.raises(TaskError, match="not one 1 among 2 options"):
        read("social_iqa", {**row("Q: x", YES_NO, 0), "multiple_choice_scores": scores})


def test_the_published_study_holds_out_all_eight_and_tests_the_larger_split_of_the_small_ones() -> None:
    assert len(TASKS) == 8
    assert {task.role for task in TASKS.values()} == {"evaluate"}
    small = {name for name, task in TASKS.items() if task.source.test == "train"}  # pyright: ignore
    assert small == {"figure_of_speech_detection", "social_iqa", "strange_stories", "causal_judgment"}
