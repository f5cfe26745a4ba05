"""Reading an answer out of generated text."""

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.tasks import extraction
from app.tasks.extraction import Extracted, extract, normalise

YES_NO = ("yes", "no")
THREE = ("yes", "no", "maybe")
PLACES = ("York", "New York", "Yorkshire")
NUMBERS = ("12", "-12", "120", "1200")
SENTENCES = ("The owl is the leftmost", "The owl is the second from the left", "A crow")

FIRST_LINE = [
    # the line is the option
    (" yes", YES_NO, "yes", "first_line"),
    ("  No.  ", YES_NO, "no", "first_line"),
    ('"Yes".', YES_NO, "yes", "first_line"),
    ("“maybe”", THREE, "maybe", "first_line"),
    ("the owl is  the leftmost .", SENTENCES, "The owl is the leftmost", "first_line"),
    # only the first line counts
    ("yes\nno", YES_NO, "yes", "first_line"),
    ("what?\nyes", YES_NO, None, ""),
    # it starts with an option
    ("yes, because no boat is red", YES_NO, "yes", "lead"),
    ("No - it is not", YES_NO, "no", "lead"),
    ("new york city", PLACES, "New York", "lead"),
    # it contains one option
    ("The answer is yes.", YES_NO, "yes", "only_mention"),
    ("- maybe", THREE, "maybe", "only_mention"),
    ("I moved to Yorkshire", PLACES, "Yorkshire", "only_mention"),
    ("it is new york!", PLACES, "New York", "only_mention"),
    # whole words only
    ("nobody knows", YES_NO, None, ""),
    ("yesterday", YES_NO, None, ""),
    ("eyes", YES_NO, None, ""),
    # no single answer
    ("it could be yes or no", YES_NO, None, ""),
    ("from york to new york", PLACES, None, ""),
    ("well, yes and yes again", YES_NO, "yes", "only_mention"),
    ("perhaps", THREE, None, ""),
    ("", YES_NO, None, ""),
    (" . ", YES_NO, None, ""),
    # numbers
    ("12", NUMBERS, "12", "first_line"),
    ("-12", NUMBERS, "-12", "first_line"),
    ("$12 in all", NUMBERS, "12", "only_mention"),
    ("it is -12 degrees", NUMBERS, "-12", "only_mention"),
    ("1,200 nuts", NUMBERS, "1200", "lead"),
    ("12.5", NUMBERS, None, ""),
    ("3.12", NUMBERS, None, ""),
    ("the sum is 120.", NUMBERS, "120", "only_mention"),
    ("1212", NUMBERS, None, ""),
    # an option with signs of its own
    ("c++ of course", ("C", "C++"), "C++", "lead"),
    ("(a)", ("(a)", "(b)"), "(a)", "first_line"),
    ("it has [x]", ("[x]", "[y]"), "[x]", "only_mention"),
    # options that differ in nothing that counts
    ("Polish", ("polish", "Polish"), "Polish", "first_line"),
    ("POLISH", ("polish", "Polish"), None, ""),
]

LATER = [
    # the first line that is not empty
    ("\nyes", YES_NO, "yes", "first_line"),
    (" \n\n no, never\nyes", YES_NO, "no", "lead"),
    # behind the last marker
    ("Is it so?\nAnswer: no", YES_NO, "no", "after_marker/first_line"),
    ("It is yes or no. The answer is no", YES_NO, "no", "after_marker/first_line"),
    ("Either yes or no. Answer: maybe\nor yes", THREE, "maybe", "after_marker/first_line"),
    ("It may be yes or no.\nANSWER = yes, I think", YES_NO, "yes", "after_marker/lead"),
    ("Answer: yes? or no? My answer is: surely yes", YES_NO, "yes", "after_marker/only_mention"),
    ("Is it so?\nAnswer:\n no", YES_NO, "no", "after_marker/first_line"),
    ("What?\nThe answer isn't yes", YES_NO, None, ""),
    ("What?\nAnswer: perhaps", YES_NO, None, ""),
    # not in the next item of the prompt's frame
    ("perhaps\n\nQuestion: Is it so?\nAnswer: yes", YES_NO, None, ""),
    ("perhaps\nanswer: no\n\nInput: Is it so?\nAnswer: yes", YES_NO, "no", "after_marker/first_line"),
    # letters
    ("(b)", THREE, "no", "letter"),
    ("b)", THREE, "no", "letter"),
    (" B.", THREE, "no", "letter"),
    ("C", THREE, "maybe", "letter"),
    ("Option A", THREE, "yes", "letter"),
    ("(C), because it rains", THREE, "maybe", "letter"),
    ("I wonder.\nThe answer is (B).", THREE, "no", "after_marker/letter"),
    ("(d)", THREE, None, ""),
    ("a", THREE, None, ""),
    ("A boat", THREE, None, ""),
    ("a) Evaporation", THREE, None, ""),
    ("(é)", THREE, None, ""),
    # a letter that is an option's own text
    ("B.", ("B", "A"), "B", "first_line"),
    ("b)", ("(a)", "(b)"), "(b)", "letter"),
    ("A", ("(b)", "(a)"), "(a)", "letter"),
    ("(a)", ("B", "C", "D"), None, ""),
    ("C.", ("A", "boat"), None, ""),
    # quotes
    ('not no, I say "yes"', YES_NO, "yes", "quoted"),
    ("neither “no” nor yes", YES_NO, "no", "quoted"),
    ("it's 'Maybe', not yes", THREE, "maybe", "quoted"),
    ('either "yes" or "no"', YES_NO, None, ""),
    ('either yes or no: "perhaps"', YES_NO, None, ""),
    # numbers
    ("12.0 nuts", NUMBERS, "12", "number"),
    ("120km", NUMBERS, "120", "number"),
    ("about 1,200kg\nin all", NUMBERS, "1200", "number"),
    ("12.0 = 12.00", NUMBERS, "12", "number"),
    ("10.0 and 12.0", NUMBERS, None, ""),
    ("it fell to −12", ("-12", "120"), "-12", "number"),
    ("30.00", ("$20", "$30"), "$30", "number"),
    ("7.0", ("7 boats", "9 boats"), "7 boats", "number"),
    ("7.0", ("7 m", "7 km"), None, ""),
    ("12.0", ("12", "a dozen"), None, ""),
]

FREE = [
    (" a red boat \nmore", "a red boat", "first_line"),
    ("...", None, ""),
    ("\nboat", "boat", "first_line"),
    ("", None, ""),
    ("\n \n", None, ""),
    ("Answer: 42", "42", "after_marker"),
    ("Let me see: 40 and 2.\nThe answer is: 42\nor so", "42", "after_marker"),
    ("Answer:\n\n a boat", "a boat", "after_marker"),
    ("a boat\nAnswer:", "a boat", "first_line"),
    # a translation may say so
    ("The answer is no.", "The answer is no.", "first_line"),
    ("a boat\n\nQuestion: And?\nAnswer: a car", "a boat", "first_line"),
    ("\n\nQuestion: And?\nAnswer: a car", None, ""),
]


@pytest.mark.parametrize(("text", "options", "wanted", "rule"), FIRST_LINE + LATER)
def test_an_answer_is_read_as_the_table_says(
    text: str, options: tuple[str, ...], wanted: str | None, rule: str
) -> None:
    assert extract(text, options) == Extracted(wanted, rule)


@pytest.mark.parametrize(("text", "wanted", "rule"), FREE)
def test_a_free_answer_is_read_as_the_table_says(text: str, wanted: str | None, rule: str) -> None:
    assert extract(text, ()) == Extracted(wanted, rule)


def test_a_letter_stands_for_nothing_where_no_options_were_listed() -> None:
    assert extract("(b)", THREE, listed=False) == Extracted(None, "")
    assert extract("no", THREE, listed=False) == Extracted("no", "first_line")


@pytest.mark.parametrize(
    ("rule", "text", "options", "wanted"),
    [
        (extraction.first_line, "no.", YES_NO, "no"),
        (extraction.first_line, "no never", YES_NO, None),
        (extraction.lead, "no never", YES_NO, "no"),
        (extraction.lead, "never no", YES_NO, None),
        (extraction.lead, "yes", ("yes", "Yes."), None),
        (extraction.only_mention, "never no", YES_NO, "no"),
        (extraction.only_mention, "no or yes", YES_NO, None),
        (extraction.letter, "B", YES_NO, "no"),
        (extraction.letter, "", YES_NO, None),
        (extraction.quoted, "say `no`", YES_NO, "no"),
        (extraction.quoted, "say no", YES_NO, None),
        (extraction.number, "12.00", NUMBERS, "12"),
        (extraction.number, "none", NUMBERS, None),
        (extraction.number, "12.00", YES_NO, None),
    ],
)
def test_a_rule_alone_does_what_it_says(
    rule: Callable[[str, tuple[str, ...]], str | None], text: str, options: tuple[str, ...], wanted: str | None
) -> None:
    assert rule(text, options) == wanted


def test_the_text_behind_the_last_marker_is_what_counts() -> None:
    assert extraction.after_marker("Answer: a\nthe answer is b") == "b"
    assert extraction.after_marker("Answer: a\nthe answer is b", colon=True) == "a\nthe answer is b"
    assert extraction.after_marker("no marker") is None
    assert extraction.after_marker("Answer: ") is None


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
    decoration = data.draw(st.sampled_from([" {}", " {}.", ' "{}"', "  {}\nand so on", "\n{}"]))
    assert extract(decoration.replace("{}", chosen), options) == Extracted(chosen, "first_line")


PIECES = ("yes", "no", "Answer:", "the answer is", "\n", "(a)", "b)", "B.", "A", "12", "1,200", "12.0", "-12", '"', "'")
PIECES += (".", ",", "new york", "York", "boat", "Question:", "C++", "polish", "Polish", "❄", " ")
SETS = (YES_NO, THREE, PLACES, NUMBERS, ("A", "B"), ("(a)", "(b)"), ("C", "C++"), ("polish", "Polish"), ("yes", "Yes."))


@given(st.lists(st.sampled_from(PIECES), max_size=8), st.sampled_from(["", " "]), st.sampled_from(SETS))
def test_the_later_rules_never_change_what_the_first_line_says(
    pieces: list[str], blank: str, options: tuple[str, ...]
) -> None:
    text = blank.join(pieces)
    earlier = _first_line_alone(text, options)
    assert extract(text, options).answer == earlier or earlier is None


@given(st.one_of(st.text(), st.lists(st.sampled_from(PIECES)).map(" ".join)), options)
def test_whatever_is_read_is_an_option_by_a_named_rule_or_a_failure(text: str, options: tuple[str, ...]) -> None:
    found = extract(text, options)
    assert found.answer in {*options, None}
    assert (found.answer is None) == (found.rule == "")
    assert not found.rule or hasattr(extraction, found.rule.split("/")[-1])


@given(st.text())
def test_a_free_answer_is_one_line_that_is_not_empty(text: str) -> None:
    found = extract(text, ()).answer
    assert found is None or (normalise(found) and "\n" not in found)


def _first_line_alone(text: str, options: tuple[str, ...]) -> str | None:
    """The first version of the project's extraction, which read the first line alone, in one piece."""

    def plain(part: str) -> str:
        return re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", normalise(part))

    line = text.split("\n", 1)[0].strip()
    sought = plain(line)
    forms = {option: plain(option) for option in options}
    same = [option for option, form in forms.items() if form == sought]
    if same:
        return same[0] if len(same) == 1 else next((option for option in same if option == line), None)
    spans: list[tuple[int, int, str]] = []
    for option, form in forms.items():
        minus = r"(?<!-)" if form[0].isdigit() else ""
        pattern = rf"(?<!\w)(?<!\d[.,]){minus}{re.escape(form)}(?!\w)(?![.,]\d)"
        spans += [(match.start(), match.end(), option) for match in re.finditer(pattern, sought)]
    widest = [
        (option, start)
        for start, end, option in spans
        if not any(a <= start and end <= b and b - a > end - start for a, b, _ in spans)
    ]
    named = [option for option, start in widest if start == 0] or list(dict.fromkeys(option for option, _ in widest))
    return named[0] if len(named) == 1 else None
