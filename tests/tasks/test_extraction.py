"""Reading an answer out of generated text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.tasks.extraction import extract, normalise

YES_NO = ("yes", "no")
THREE = ("yes", "no", "maybe")
PLACES = ("York", "New York", "Yorkshire")
NUMBERS = ("12", "-12", "120", "1200")
SENTENCES = ("The owl is the leftmost", "The owl is the second from the left", "A crow")

CASES = [
    # the line is the option
    (" yes", YES_NO, "yes"),
    ("  No.  ", YES_NO, "no"),
    ('"Yes".', YES_NO, "yes"),
    ("“maybe”", THREE, "maybe"),
    ("the owl is  the leftmost .", SENTENCES, "The owl is the leftmost"),
    # only the first line counts
    ("yes\nno", YES_NO, "yes"),
    ("\nyes", YES_NO, None),
    ("what?\nyes", YES_NO, None),
    # it starts with an option
    ("yes, because no boat is red", YES_NO, "yes"),
    ("No - it is not", YES_NO, "no"),
    ("new york city", PLACES, "New York"),
    # it contains one option
    ("The answer is yes.", YES_NO, "yes"),
    ("- maybe", THREE, "maybe"),
    ("I moved to Yorkshire", PLACES, "Yorkshire"),
    ("it is new york!", PLACES, "New York"),
    # whole words only
    ("nobody knows", YES_NO, None),
    ("yesterday", YES_NO, None),
    ("eyes", YES_NO, None),
    # no single answer
    ("it could be yes or no", YES_NO, None),
    ("from york to new york", PLACES, None),
    ("well, yes and yes again", YES_NO, "yes"),
    ("perhaps", THREE, None),
    ("", YES_NO, None),
    (" . ", YES_NO, None),
    # numbers
    ("12", NUMBERS, "12"),
    ("-12", NUMBERS, "-12"),
    ("$12 in all", NUMBERS, "12"),
    ("it is -12 degrees", NUMBERS, "-12"),
    ("1,200 nuts", NUMBERS, "1200"),
    ("12.5", NUMBERS, None),
    ("3.12", NUMBERS, None),
    ("the sum is 120.", NUMBERS, "120"),
    ("1212", NUMBERS, None),
    # an option with signs of its own
    ("c++ of course", ("C", "C++"), "C++"),
    ("(a)", ("(a)", "(b)"), "(a)"),
    ("it has [x]", ("[x]", "[y]"), "[x]"),
    # options that differ in nothing that counts
    ("Polish", ("polish", "Polish"), "Polish"),
    ("POLISH", ("polish", "Polish"), None),
    # without options
    (" a red boat \nmore", (), "a red boat"),
    ("...", (), None),
    ("\nboat", (), None),
    ("", (), None),
]


@pytest.mark.parametrize(("text", "options", "wanted"), CASES)
def test_an_answer_is_read_as_the_table_says(text: str, options: tuple[str, ...], wanted: str | None) -> None:
    assert extract(text, options) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("  Two   Words ", "two words"),
        ("'quoted.'", "quoted"),
        ('"quoted".', "quoted"),
        ("the end .", "the end"),
        ("3.5", "3.5"),
        ("it's", "it's"),
        ("ÉTÉ", "été"),
        (".", ""),
    ],
)
def test_normalising_keeps_what_counts(text: str, wanted: str) -> None:
    assert normalise(text) == wanted


@given(st.text())
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


options = st.lists(
    st.text(st.characters(categories=("Ll", "Nd")), min_size=1, max_size=8), min_size=2, max_size=6, unique=True
).map(tuple)


@given(options, st.data())
def test_every_option_is_read_back_from_its_own_text(options: tuple[str, ...], data: st.DataObject) -> None:
    chosen = data.draw(st.sampled_from(options))
    decoration = data.draw(st.sampled_from([" {}", " {}.", ' "{}"', "  {}\nand so on"]))
    assert extract(decoration.replace("{}", chosen), options) == chosen


@given(st.text(), options)
def test_whatever_is_read_is_an_option_or_a_failure(text: str, options: tuple[str, ...]) -> None:
    assert extract(text, options) in {*options, None}


@given(st.text())
def test_a_free_answer_is_one_line_that_is_not_empty(text: str) -> None:
    found = extract(text, ())
    assert found is None or (normalise(found) and "\n" not in found)
