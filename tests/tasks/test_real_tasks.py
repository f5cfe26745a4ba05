"""Real tasks on their real data: whole, labelled as their publishers count, and giving nothing away."""

from collections import Counter
from dataclasses import replace

import pytest

from app.tasks import catalog, extraction
from app.tasks.catalog import bigbench, translation
from app.tasks.task import Hub, Task

# Class counts of the labelled test splits, as their publishers give them, in the order of the options.
COUNTS = {
    "rte": (146, 131),
    "cb": (23, 28, 5),
    "wnli": (40, 31),
    "sst2": (428, 444),
    "mrpc": (129, 279),
    "trec": (9, 94, 138, 65, 81, 113),
}


@pytest.mark.parametrize("name", COUNTS)
def test_the_real_test_split_has_the_published_class_counts(name: str, real_data) -> None:
    test = real_data(catalog.by_name(name)).test
    counted = Counter(e.target for e in test)
    assert tuple(counted[option] for option in test[0].options) == COUNTS[name]


SIZES = {"copa": 100, "openbookqa": 500, "gsm8k": 1319, "e2e_nlg": 4693, "qnli": 5463}
SIZES |= {"logical_deduction": 300, "figure_of_speech_detection": 43}
SIZES |= {f"tracking_shuffled_objects_{n}": size for n, size in (("three", 150), ("five", 250), ("seven", 350))}


@pytest.mark.parametrize("name", SIZES)
def test_the_real_test_split_is_whole(name: str, real_data) -> None:
    assert len(real_data(catalog.by_name(name)).test) == SIZES[name]


@pytest.mark.parametrize("task", catalog.REAL, ids=lambda task: task.name)
def test_every_real_answer_can_be_extracted_and_stands_on_one_line(task: Task, real_data) -> None:
    data = real_data(task)
    for example in (*data.train, *data.test):
        assert extraction.extract(f" {example.target}\n", example.options).answer == example.target
        assert "\n" not in "".join((*example.fields.values(), *example.options, *example.references))


def test_neither_place_nor_rank_of_the_right_number_gives_a_word_problem_away(real_data) -> None:
    test = real_data(catalog.by_name("gsm8k")).test
    assert {len(e.options) for e in test} == {4}
    for order in (list, lambda options: sorted(options, key=int)):
        places = Counter(order(e.options).index(e.target) for e in test)
        assert all(0.2 < count / len(test) < 0.3 for count in places.values())


@pytest.mark.parametrize("task", bigbench.TASKS, ids=lambda task: task.name)
def test_an_item_of_bigbench_shows_none_of_upstreams_marks(task: Task, real_data) -> None:
    for example in real_data(task).test:
        (item,) = example.fields.values()
        assert not item.startswith(("Q:", "Context:", "Sentence:", "The following paragraphs", "Please identify"))
        assert not item.endswith(("A:", "speech:"))
        assert " choice:" not in item


@pytest.mark.parametrize("task", translation.TASKS, ids=lambda task: task.name)
def test_translated_sentences_of_another_source_load_with_the_same_reader(task: Task, real_data) -> None:
    language = task.name.removeprefix("para_crawl_en_").removeprefix("wmt16_").removesuffix("_en")
    data = real_data(replace(task, source=Hub(f"flores200/{language}-en", train="dev", test="devtest")))
    assert (len(data.train) + data.dropped, len(data.test)) == (997, 1012)
    assert data.train[0].target.startswith("On Monday, scientists from the Stanford")
