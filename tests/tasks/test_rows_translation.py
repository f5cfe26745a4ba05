"""Translation: into English where it is scored, out of English in inverted templates alone."""

from collections.abc import Mapping

import pytest

from app.errors import TaskError
from app.tasks import wordings
from app.tasks.catalog import translation
from app.tasks.task import Example, Parsed, Row, Task

TASKS = {task.name: task for task in translation.TASKS}
CODES = {name: name.removeprefix("para_crawl_en_").removeprefix("wmt16_").removesuffix("_en") for name in TASKS}


def read(name: str, row: Row) -> Parsed | None:
    reader = TASKS[name].to_example
    assert reader is not None
    return reader(row)


@pytest.mark.parametrize("name", TASKS)
def test_the_answer_is_the_english_side_whatever_the_order_of_the_pair(name: str) -> None:
    sides = {"en": "The {dog}\n barks.", CODES[name]: "«Xx»  {x}."}
    wanted = Parsed({"foreign": "«Xx» {x}."}, (), "The {dog} barks.")
    for pair in (sides, dict(reversed(sides.items()))):
        assert read(name, {"translation": pair}) == wanted


@pytest.mark.parametrize("pair", [{"de": "", "en": "x"}, {"de": "x", "en": " "}])
def test_a_pair_with_an_empty_side_is_left_out(pair: Mapping[str, str]) -> None:
    assert read("wmt16_de_en", {"translation": pair}) is None


def test_a_row_of_another_shape_is_refused() -> None:
    with pytest.raises(TaskError, match="not named parts"):
        read("wmt16_de_en", {"translation": "x"})
    with pytest.raises(KeyError):
        read("wmt16_de_en", {"translation": {"fr": "x", "en": "y"}})


@pytest.mark.parametrize("task", translation.TASKS, ids=lambda task: task.name)
def test_only_inverted_templates_ask_for_the_other_language(task: Task) -> None:
    example = Example("1", {"foreign": "FOREIGN"}, (), "ENGLISH")
    for number, template in enumerate(task.templates):
        worded = wordings.word(task, example, template=number)
        assert worded.target == ("FOREIGN" if template.inverted else "ENGLISH")
        assert worded.target not in worded.input
    assert sum(template.inverted for template in task.templates) == 3


def test_the_held_out_language_is_romanian() -> None:
    assert {name for name, task in TASKS.items() if task.role == "evaluate"} == {"wmt16_ro_en"}
