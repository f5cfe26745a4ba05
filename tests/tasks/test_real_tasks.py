"""Real tasks: each label means what its publishers meant, and multiple choice gives nothing away."""

from collections import Counter
from pathlib import Path

import pytest

from app.tasks import catalog, extraction, metrics
from app.tasks.loading import load
from app.tasks.task import Parsed, Row, Task


def read(name: str, row: Row) -> Parsed:
    reader = catalog.by_name(name).to_example
    assert reader is not None
    parsed = reader(row)
    assert parsed is not None
    return parsed


@pytest.mark.parametrize(
    ("name", "row", "target"),
    [
        ("rte", {"sentence1": "A dog ran.", "sentence2": "A dog moved.", "label": 0}, "yes"),
        ("rte", {"sentence1": "A dog ran.", "sentence2": "A cat ran.", "label": 1}, "no"),
        ("cb", {"premise": "She knew it.", "hypothesis": "it is so", "label": 0}, "yes"),
        ("cb", {"premise": "It never was.", "hypothesis": "it was", "label": 1}, "no"),
        ("cb", {"premise": "Was it?", "hypothesis": "it was", "label": 2}, "maybe"),
        ("wnli", {"sentence1": "x", "sentence2": "y", "label": 0}, "no"),
        ("wnli", {"sentence1": "x", "sentence2": "y", "label": 1}, "yes"),
        ("sst2", {"sentence": "awful ", "label": 0}, "negative"),
        ("sst2", {"sentence": "lovely ", "label": 1}, "positive"),
        ("mrpc", {"sentence1": "x", "sentence2": "y", "label": 0}, "no"),
        ("mrpc", {"sentence1": "x", "sentence2": "y", "label": 1}, "yes"),
        *(
            ("trec", {"text": "x ?", "coarse_label": number}, name)
            for number, name in enumerate(("abbreviation", "entity", "description", "person", "location", "number"))
        ),
    ],
)
def test_a_label_is_worded_as_it_was_meant(name: str, row: Row, target: str) -> None:
    assert read(name, row).target == target


@pytest.mark.parametrize(("label", "target"), [(0, "It froze."), (1, "It fell.")])
def test_a_cause_and_an_effect_are_asked_for_differently(label: int, target: str) -> None:
    row = {"premise": "The jar broke.", "choice1": "It froze.", "choice2": "It fell.", "label": label}
    cause, effect = read("copa", {**row, "question": "cause"}), read("copa", {**row, "question": "effect"})
    assert cause.options == effect.options == ("It froze.", "It fell.")
    assert cause.target == effect.target == target
    assert cause.fields["asked"] != effect.fields["asked"]


def test_a_lettered_answer_becomes_its_text_and_a_repeated_option_one() -> None:
    row = {
        "question_stem": "Snow is",
        "choices": {"text": ["hot", "cold", "hot", "blue"], "label": ["A", "B", "C", "D"]},
        "answerKey": "C",
    }
    assert read("openbookqa", row) == Parsed({"question": "Snow is"}, ("hot", "cold", "blue"), "hot")


def problem(final: str, steps: str = "4*5=<<4*5=20>>20 and 20-2=<<20-2=18>>18", question: str = "How many?") -> Row:
    return {"question": question, "answer": f"{steps}\n#### {final}"}


@pytest.mark.parametrize("final", ["0", "1", "2", "17", "18", "1,250,000", "-3", "-20"])
def test_a_word_problem_has_four_different_options_with_the_answer_once(final: str) -> None:
    for number in range(50):
        parsed = read("gsm8k", problem(final, question=f"Question {number}?"))
        assert len(set(parsed.options)) == 4
        assert parsed.options.count(final.replace(",", "")) == 1
        assert parsed.target == final.replace(",", "")
        assert all(int(option) <= 0 for option in parsed.options) or all(int(option) >= 0 for option in parsed.options)


def test_the_options_of_a_word_problem_depend_on_its_question_only_through_the_draw() -> None:
    assert read("gsm8k", problem("18")) == read("gsm8k", problem("18"))
    drawn = {read("gsm8k", problem("18", question=f"Question {number}?")).options for number in range(20)}
    assert len(drawn) > 10


def test_wrong_options_of_a_word_problem_come_from_its_own_solution_where_it_has_steps() -> None:
    taken = [
        len({"4", "5", "20", "2"} & set(read("gsm8k", problem("18", question=f"Question {number}?")).options))
        for number in range(50)
    ]
    assert max(taken) <= 3
    assert sum(taken) >= 50


def test_a_puzzle_goes_to_the_task_of_its_number_of_objects_without_the_preamble() -> None:
    row = {
        "inputs": "Above all. The statements are logically consistent within each paragraph.\n\nA is  first.",
        "multiple_choice_targets": ["A is first.", "B is first.", "C is first."],
        "multiple_choice_scores": [1, 0, 0],
    }
    assert read("logical_deduction_three", row) == Parsed(
        {"story": "A is first."}, ("A is first", "B is first", "C is first"), "A is first"
    )
    five = catalog.by_name("logical_deduction_five").to_example
    assert five is not None
    assert five(row) is None


# Class counts of the labelled test splits, as their publishers give them.
COUNTS = {
    "rte": {"yes": 146, "no": 131},
    "cb": {"yes": 23, "no": 28, "maybe": 5},
    "wnli": {"no": 40, "yes": 31},
    "sst2": {"negative": 428, "positive": 444},
    "mrpc": {"no": 129, "yes": 279},
    "trec": {"abbreviation": 9, "entity": 94, "description": 138, "person": 65, "location": 81, "number": 113},
}


@pytest.mark.parametrize("name", COUNTS)
def test_the_real_test_split_has_the_published_class_counts(name: str, real_mirror: Path) -> None:
    assert Counter(e.target for e in load(catalog.by_name(name), real_mirror).test) == COUNTS[name]


SIZES = {"copa": 100, "openbookqa": 500, "gsm8k": 1319}
SIZES |= {f"logical_deduction_{n}": size for n, size in (("three", 60), ("five", 100), ("seven", 140))}
SIZES |= {f"tracking_shuffled_objects_{n}": size for n, size in (("three", 150), ("five", 250), ("seven", 350))}


@pytest.mark.parametrize("name", SIZES)
def test_the_real_test_split_is_whole(name: str, real_mirror: Path) -> None:
    assert len(load(catalog.by_name(name), real_mirror).test) == SIZES[name]


@pytest.mark.parametrize("task", catalog.REAL, ids=lambda task: task.name)
def test_every_real_answer_can_be_extracted_and_stands_on_one_line(task: Task, real_mirror: Path) -> None:
    data = load(task, real_mirror)
    for example in (*data.train, *data.test):
        assert extraction.extract(f" {example.target}\n", example.options) == example.target
        assert "\n" not in "".join((*example.fields.values(), *example.options))


def test_neither_place_nor_rank_of_the_right_number_gives_a_word_problem_away(real_mirror: Path) -> None:
    test = load(catalog.by_name("gsm8k"), real_mirror).test
    assert metrics.chance(test, "accuracy") == 0.25
    for order in (list, lambda options: sorted(options, key=int)):
        places = Counter(order(e.options).index(e.target) for e in test)
        assert all(0.2 < count / len(test) < 0.3 for count in places.values())
