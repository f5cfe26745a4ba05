"""Training examples that hold test items are found, by text and by 13-gram, and cleaning leaves none."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.tasks import catalog, contamination
from app.tasks.contamination import BOILERPLATE, Overlap, clean, find
from app.tasks.loading import load
from app.tasks.task import Example, Generated, Task, TaskData, Template

LONG = "the old mill by the river burned down in the dry summer of that bad year"
"""16 words."""


def task(name: str, wording: str = "{text}") -> Task:
    return Task(name, "any", "tune", Generated(lambda split: [], "1"), (Template("Say.", wording),), "accuracy", "none")


def item(number: int, text: str, target: str = "yes", **fields: str) -> Example:
    return Example(f"e{number}", {"text": text, **fields}, (), target)


def items(*texts: str) -> list[Example]:
    return [item(number, text) for number, text in enumerate(texts)]


def data(train: Sequence[Example]) -> TaskData:
    return TaskData(tuple(train), (), "")


def one(train: Sequence[Example], test: Sequence[Example]) -> Overlap:
    """The only row, which is about the tuned task a and the tested task b or about b alone."""
    (row,) = find([(task("a"), data(train))], [(task("b"), test)])
    assert row.tested_task == "b"
    assert row.test_items == len(test)
    return row


def found(train: Sequence[Example], test: Sequence[Example]) -> tuple[int, int, int]:
    """Test items by text, by 13-gram, and training examples."""
    row = one(train, test)
    assert (row.tuned_task == "") == (row.train_examples == 0)
    return row.by_text, row.by_13_gram, row.train_examples


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("Where is the lake?", "where is the  lake"),
        ("STRASSE — and “quotes”", "straße and 'quotes'"),
        ("ﬁve ① ways", "five 1 ways"),
        ("caf\u00e9", "cafe\u0301"),
        ("soft\u00adhyphen", "softhyphen"),
        ("नमस्ते दुनिया", "नमस्ते, दुनिया!"),
        ("?!", "?!"),
        (LONG, LONG.upper() + "."),
    ],
)
def test_case_punctuation_blanks_and_encoding_make_no_difference(train: str, test: str) -> None:
    assert found(items(train), items(test))[0] == 1


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("where is the lake", "where is the lane"),
        ("2 + 3", "2 3"),
        ("?!", "..."),
        ("एक दो", "एक दा"),
        ("where is", "where is the lake"),
        ("", "lake"),
    ],
)
def test_another_item_is_another_item(train: str, test: str) -> None:
    assert found(items(train), items(test)) == (0, 0, 0)


def test_a_short_item_counts_with_its_answer_and_a_long_one_without() -> None:
    assert found([item(0, "cat", "cats")], [item(0, "cat", "tac")]) == (0, 0, 0)
    assert found([item(0, "cat", "tac")], [item(0, "cat", "Tac.")]) == (1, 0, 1)
    eight = "one two three four five six seven eight"
    assert found([item(0, eight, "cats")], [item(0, eight, "tac")]) == (1, 0, 1)


def test_an_item_is_what_the_first_template_shows() -> None:
    pair = task("pair", "{first} / {text}")
    test = [item(0, "b c", first="a", title="unseen")]
    same, swapped = [item(0, "b c", first="A", title="other")], [item(0, "a", first="b c")]
    assert find([(pair, data(same))], [(pair, test)])[0].by_text == 1
    assert find([(pair, data(swapped))], [(pair, test)])[0].by_text == 0


def test_a_shared_run_of_13_words_is_found_in_any_field_and_in_the_answer() -> None:
    run = " ".join(LONG.split()[:13])
    test = items(f"They say that {run.upper()}, and more.")
    assert found(items(f"unlike this {run} there"), test) == (0, 1, 1)
    assert found([item(0, "other", passage=f"{run}")], test) == (0, 1, 1)
    assert found([item(0, "other", f"It was {run}")], test) == (0, 1, 1)
    assert found(items("other"), [item(0, "what", LONG)]) == (0, 0, 0)
    assert found(items(LONG), [item(0, "what", LONG)]) == (0, 1, 1)


def test_a_run_of_12_words_is_not_enough_nor_one_across_two_fields() -> None:
    words = LONG.split()
    test = items(LONG)
    assert found(items(" ".join(["so", *words[:12], "then"])), test) == (0, 0, 0)
    assert found([item(0, " ".join(words[:8]), more=" ".join(words[8:]))], test) == (0, 0, 0)
    assert found(items(" ".join([*words[:7], "never", *words[7:]])), test) == (0, 0, 0)


def test_a_run_in_many_texts_of_a_task_is_boilerplate() -> None:
    train = items(*(f"{LONG} number {number}" for number in range(BOILERPLATE + 1)))
    test = items(f"{LONG} and so on")
    assert found(train[:-1], test) == (0, 1, BOILERPLATE)
    assert found(train, test) == (0, 0, 0)


def test_a_passage_that_many_questions_share_is_no_boilerplate() -> None:
    train = [item(number, f"Why {number}?", passage=LONG) for number in range(3 * BOILERPLATE)]
    assert found(train, items(f"See: {LONG}")) == (0, 1, 3 * BOILERPLATE)


def test_boilerplate_is_that_of_one_task() -> None:
    train = items(*(f"{LONG} number {number}" for number in range(BOILERPLATE + 1)))
    rows = find([(task("a"), data(train)), (task("c"), data(train[:1]))], [(task("b"), items(LONG + " x"))])
    assert [(row.tuned_task, row.train_examples) for row in rows] == [("c", 1)]


def test_rows_come_for_every_pair_that_shares_something_and_for_every_task_that_shares_nothing() -> None:
    first, second = items("red", "blue", "green", LONG), items("grey", LONG + " too")
    rows = find(
        [(task("a"), data(first)), (task("c"), data(second))],
        [(task("d"), items("Blue", "red", "pink")), (task("e"), items("white")), (task("f"), items(f"so {LONG}"))],
    )
    assert rows == [
        Overlap("a", "d", 3, 2, 0, 2, (("e0", "e1"), ("e1", "e0"))),
        Overlap("a", "f", 1, 0, 1, 1, (("e3", "e0"),)),
        Overlap("c", "f", 1, 0, 1, 1, (("e1", "e0"),)),
        Overlap("", "e", 1, 0, 0, 0, ()),
    ]


def test_three_pairs_are_shown_of_many() -> None:
    colours = items("red", "blue", "green", "grey", "pink")
    assert one(colours, colours).examples == (("e0", "e0"), ("e1", "e1"), ("e2", "e2"))


def test_nothing_to_compare_is_no_fault() -> None:
    assert find([], []) == []
    assert find([], [(task("b"), items("red"))]) == [Overlap("", "b", 1, 0, 0, 0, ())]
    assert find([(task("a"), data(items(LONG)))], []) == []
    assert clean([(task("a"), data(items(LONG)))], []) == {"a": frozenset()}
    assert clean([], [(task("b"), items("red"))]) == {}


def test_texts_are_looked_up_in_parts_without_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    train = items(*(f"{number} {LONG}" if number % 3 else "short" for number in range(9)))
    test = items(f"about 7 {LONG}")
    whole = one(train, test)
    monkeypatch.setattr(contamination, "_CHUNK", 2)
    assert one(train, test) == whole
    assert whole.train_examples == 6


def test_cleaning_names_the_examples_to_leave_out_task_by_task() -> None:
    mixture = [(task("a"), data(items("red", "blue"))), (task("c"), data(items("white", f"{LONG} then")))]
    evaluated = [(task("d"), items("Blue!", LONG))]
    assert clean(mixture, evaluated) == {"a": frozenset({"e1"}), "c": frozenset({"e1"})}


def test_cleaning_goes_on_where_boilerplate_becomes_rare() -> None:
    train = items(*(f"{LONG} number {number}" for number in range(BOILERPLATE + 1)), "far away from all that")
    test = items(f"{LONG} number 3", f"{LONG} at last")
    assert found(train, test)[0] == 1
    gone = clean([(task("a"), data(train))], [(task("b"), test)])["a"]
    assert gone == {f"e{number}" for number in range(BOILERPLATE + 1)}


WORDS = st.lists(st.sampled_from(["a", "B", "c,", "d", "e-", "f", "g"]), max_size=18).map(" ".join)
FRAGMENTS = st.sampled_from([LONG, " ".join(LONG.split()[:13]), " ".join(LONG.split()[2:15]), "the mill", "mill"])
TEXTS = st.lists(st.one_of(WORDS, FRAGMENTS), min_size=1, max_size=3).map(" ".join)
EXAMPLES = st.lists(st.tuples(TEXTS, TEXTS, st.sampled_from(["yes", "no", LONG])), max_size=3 * BOILERPLATE).map(
    lambda drawn: [item(number, text, target, more=more) for number, (text, more, target) in enumerate(drawn)]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(EXAMPLES, max_size=2), st.lists(EXAMPLES, max_size=2))
def test_after_cleaning_nothing_is_found(trains: list[list[Example]], tests: list[list[Example]]) -> None:
    mixture = [(task(f"a{place}"), data(train)) for place, train in enumerate(trains)]
    evaluated = [(task(f"b{place}"), test) for place, test in enumerate(tests)]
    leaving = clean(mixture, evaluated)
    assert list(leaving) == [tuned.name for tuned, _ in mixture]
    left = [(tuned, data([e for e in given.train if e.id not in leaving[tuned.name]])) for tuned, given in mixture]
    assert find(left, evaluated) == [Overlap("", t.name, len(test), 0, 0, 0, ()) for t, test in evaluated]


@settings(max_examples=100, deadline=None)
@given(EXAMPLES, EXAMPLES)
def test_the_index_finds_what_a_plain_comparison_finds(train: list[Example], test: list[Example]) -> None:
    plain = _plainly(train, test)
    row = one(train, test)
    assert row.by_13_gram == len({b for _, b in plain})
    assert row.train_examples >= len({a for a, _ in plain})


def _plainly(train: list[Example], test: list[Example]) -> set[tuple[str, str]]:
    """Pairs of ids that share a run of 13 words in at most BOILERPLATE texts, compared one with another."""

    def runs(example: Example) -> dict[str, set[str]]:
        texts = {_plain(text) for text in (*example.fields.values(), example.target)}
        return {text: {" ".join(part) for part in _windows(text.split())} for text in texts}

    texts_with: dict[str, set[str]] = {}
    for example in train:
        for text, there in runs(example).items():
            for run in there:
                texts_with.setdefault(run, set()).add(text)
    rare = {run for run, texts in texts_with.items() if len(texts) <= BOILERPLATE}
    held = {e.id: set().union(*runs(e).values()) & rare for e in train}
    asked = {e.id: set().union(*runs(e).values()) for e in test}
    return {(a, b) for a, first in held.items() for b, second in asked.items() if first & second}


def _plain(text: str) -> str:
    return " ".join(text.lower().replace(",", " ").replace("-", " ").split())


def _windows(words: list[str]) -> list[list[str]]:
    return [words[start : start + 13] for start in range(len(words) - 12)]


def test_the_ladder_tunes_on_no_test_item() -> None:
    mixture = [(task, load(task, None)) for task in catalog.select(["set:tune"])]
    evaluated = [(task, load(task, None).test) for task in catalog.TASKS if isinstance(task.source, Generated)]
    assert not any(clean(mixture, evaluated).values())
    assert all(row.tuned_task == "" for row in find(mixture, evaluated))
