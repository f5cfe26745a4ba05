"""Reading hub rows."""

import pytest

from app.errors import TaskError
from app.tasks.rows import label, labelled, text, texts
from app.tasks.task import Parsed


def test_text_comes_on_one_line() -> None:
    assert text({"a": " two\n lines \t here "}, "a") == "two lines here"
    assert texts({"a": ["x\ny", " z"]}, "a") == ("x y", "z")


def test_a_column_of_another_kind_is_refused_by_name() -> None:
    with pytest.raises(TaskError, match="column a holds 3, not text"):
        text({"a": 3}, "a")
    with pytest.raises(TaskError, match="column a holds 'x', not a list"):
        texts({"a": "x"}, "a")


@pytest.mark.parametrize(("value", "wanted"), [(0, 0), (1, 1), (-1, None), (None, None)])
def test_minus_one_and_null_mean_no_gold_label(value: object, wanted: int | None) -> None:
    assert label({"a": value}, "a", 2) == wanted


@pytest.mark.parametrize("value", [2, -2, "1", 0.5])
def test_any_other_label_is_refused(value: object) -> None:
    with pytest.raises(TaskError, match="not a label from 0 to 1"):
        label({"a": value}, "a", 2)


def test_a_missing_column_is_left_to_the_loader_which_knows_them_all() -> None:
    with pytest.raises(KeyError):
        text({}, "a")
    with pytest.raises(KeyError):
        label({}, "a", 2)


def test_a_labelled_row_gives_its_fields_all_names_and_the_right_one() -> None:
    reader = labelled("gold", ["bad", "good"], {"shown": "words"})
    assert reader({"words": "fine ", "gold": 1}) == Parsed({"shown": "fine"}, ("bad", "good"), "good")
    assert reader({"words": "fine", "gold": -1}) is None
