"""Reading comprehension with common sense: what its publishers meant, told from made-up rows."""

import pytest

from app.tasks.catalog.reading_comp_with_cs import COSMOS_QA, RECORD
from app.tasks.task import Parsed, Row, Task

ANSWERS = ("a", "b", "c", "None of the above choices .")


def cosmos(label: int, answers: tuple[str, ...] = ANSWERS) -> Row:
    options = {f"answer{place}": answer for place, answer in enumerate(answers)}
    return {"id": "1", "context": "It  rained .", "question": "Why ?", **options, "label": label}


def record(entities: list[str], answers: list[str]) -> Row:
    passage = "Ann met Bo.\n@highlight\nThey spoke\n@highlight\nNobody else came"
    return {"passage": passage, "query": "@placeholder is back", "entities": entities, "answers": answers}


RAIN = {"context": "It rained .", "question": "Why ?"}
MET = {"passage": "Ann met Bo. - They spoke - Nobody else came", "query": "_____ is back"}


@pytest.mark.parametrize(
    ("task", "row", "wanted"),
    [
        *((COSMOS_QA, cosmos(place), Parsed(RAIN, ANSWERS, answer)) for place, answer in enumerate(ANSWERS)),
        (COSMOS_QA, cosmos(3, ("a", "b", "b", "c")), Parsed(RAIN, ("a", "b", "c"), "c")),
        (COSMOS_QA, cosmos(-1), None),
        (RECORD, record(["Ann", "Bo"], ["Bo"]), Parsed(MET, ("Ann", "Bo"), "Bo")),
        (RECORD, record(["Ann", "Bo", "B."], ["B.", "Bo"]), Parsed(MET, ("Ann", "Bo", "B."), "B.", ("Bo",))),
        (RECORD, record(["Ann", "Ann", "Bo"], ["Cy", "Cy"]), Parsed(MET, ("Ann", "Bo", "Cy"), "Cy")),
        (RECORD, record(["Ann", "Bo"], []), None),
    ],
)
def test_a_row_is_read_as_its_publishers_meant_it(task: Task, row: Row, wanted: Parsed | None) -> None:
    assert task.to_example is not None
    assert task.to_example(row) == wanted


@pytest.mark.parametrize("task", [COSMOS_QA, RECORD], ids=lambda task: task.name)
def test_the_cluster_goes_with_both_of_its_neighbours(task: Task) -> None:
    assert task.kin == ("reading_comprehension", "commonsense")
