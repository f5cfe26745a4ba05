"""Word problems: four different numbers, the right one once, the wrong ones tempting."""

import pytest

from app.errors import TaskError
from app.tasks.catalog import arithmetic
from app.tasks.task import Parsed, Row


def read(row: Row) -> Parsed:
    reader = arithmetic.GSM8K.to_example
    assert reader is not None
    parsed = reader(row)
    assert parsed is not None
    return parsed


def problem(final: str, steps: str = "4*5=<<4*5=20>>20 and 20-2=<<20-2=18>>18", question: str = "How many?") -> Row:
    return {"question": question, "answer": f"{steps}\n#### {final}"}


@pytest.mark.parametrize("final", ["0", "1", "2", "17", "18", "1,250,000", "-3", "-20"])
def test_a_word_problem_has_four_different_options_with_the_answer_once(final: str) -> None:
    for number in range(50):
        parsed = read(problem(final, question=f"Question {number}?"))
        assert len(set(parsed.options)) == 4
        assert parsed.options.count(final.replace(",", "")) == 1
        assert parsed.target == final.replace(",", "")
        assert all(int(option) <= 0 for option in parsed.options) or all(int(option) >= 0 for option in parsed.options)


def test_the_options_of_a_word_problem_depend_on_its_question_only_through_the_draw() -> None:
    assert read(problem("18")) == read(problem("18"))
    drawn = {read(problem("18", question=f"Question {number}?")).options for number in range(20)}
    assert len(drawn) > 10


def test_wrong_options_of_a_word_problem_come_from_its_own_solution_where_it_has_steps() -> None:
    taken = [
        len({"4", "5", "20", "2"} & set(read(problem("18", question=f"Question {number}?")).options))
        for number in range(50)
    ]
    assert max(taken) <= 3
    assert sum(taken) >= 50


def test_a_solution_without_the_mark_has_no_gold_answer_and_one_without_a_number_is_refused() -> None:
    reader = arithmetic.GSM8K.to_example
    assert reader is not None
    assert reader({"question": "How many?", "answer": "Seven."}) is None
    with pytest.raises(TaskError, match="not in a whole number"):
        reader(problem("seven"))
