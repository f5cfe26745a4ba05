"""A mirror of the hub in the right shape, with a few rows of our own."""

import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

Row = dict[str, object]
Write = Callable[[str, list[Row]], Path]

PREAMBLE = "Each text gives an order. The statements are logically consistent within each paragraph.\n\n"


def _deduction(place: str, things: list[str], gold: int) -> Row:
    options = [f"The {thing} is the first." for thing in things]
    return {
        "inputs": f"{PREAMBLE}{place} stand {', '.join(things)}. The {things[gold]} is before all others.",
        "targets": [options[gold]],
        "multiple_choice_targets": options,
        "multiple_choice_scores": [int(number == gold) for number in range(len(things))],
        "idx": 0,
    }


def _tracking(place: str, things: list[str], gold: int) -> Row:
    return {
        "inputs": f"In {place}, Ann has the {things[0]}. \n\nShe swaps it for the {things[gold]}. Ann has the",
        "targets": [f"{things[gold]}."],
        "multiple_choice_targets": [f"{thing}." for thing in things],
        "multiple_choice_scores": [int(number == gold) for number in range(len(things))],
        "idx": 0,
    }


THINGS = ["lamp", "pen", "cup", "jar", "key", "map", "fan"]


def _puzzles(make: Callable[[str, list[str], int], Row], places: list[str]) -> list[Row]:
    return [make(place, THINGS[:size], gold) for size in (3, 5, 7) for gold, place in enumerate(places)]


def _choices(question: str, options: list[str], key: str) -> Row:
    return {
        "id": question[:4],
        "question_stem": question,
        "choices": {"text": options, "label": ["A", "B", "C", "D"]},
        "answerKey": key,
    }


MIRROR: dict[str, list[Row]] = {
    "nyu-mll/glue/rte/train": [
        {"sentence1": "Ida sold her red boat in May.", "sentence2": "Ida had a boat.", "label": 0, "idx": 0},
        {"sentence1": "The mill burned down.", "sentence2": "The mill was rebuilt.", "label": 1, "idx": 1},
    ],
    "nyu-mll/glue/rte/validation": [
        {"sentence1": "Oslo lies by a fjord.", "sentence2": "Oslo lies by water.", "label": 0, "idx": 0},
        {"sentence1": "Tom wrote {two} books.", "sentence2": "Tom wrote {} plays.", "label": 1, "idx": 1},
    ],
    "aps/super_glue/cb/train": [
        {"premise": "He knew the shop was shut.", "hypothesis": "the shop was shut", "idx": 0, "label": 0},
        {"premise": "It never rained there.", "hypothesis": "it rained there", "idx": 1, "label": 1},
    ],
    "aps/super_glue/cb/validation": [
        {"premise": "Did she think the train was late?", "hypothesis": "the train was late", "idx": 0, "label": 2},
        {"premise": "We saw that the lake was frozen.", "hypothesis": "the lake was frozen", "idx": 1, "label": 0},
    ],
    "nyu-mll/glue/wnli/train": [
        {"sentence1": "The jug hit the shelf and it broke.", "sentence2": "The shelf ate.", "label": 0, "idx": 0},
        {"sentence1": "Max thanked Eva because she paid.", "sentence2": "Eva paid.", "label": 1, "idx": 1},
    ],
    "nyu-mll/glue/wnli/validation": [
        {"sentence1": "The box is in the cart; it is full.", "sentence2": "The cart is full.", "label": 1, "idx": 0},
        {"sentence1": "Lea called Ben, but he slept.", "sentence2": "Lea slept.", "label": 0, "idx": 1},
    ],
    "stanfordnlp/sst2/default/train": [
        {"idx": 0, "sentence": "a dull two hours ", "label": 0},
        {"idx": 1, "sentence": "warm and very funny ", "label": 1},
    ],
    "stanfordnlp/sst2/default/validation": [
        {"idx": 0, "sentence": "the plot leaks like a sieve .", "label": 0},
        {"idx": 1, "sentence": "a small , bright wonder .", "label": 1},
    ],
    "nyu-mll/glue/mrpc/train": [
        {"sentence1": "Sales rose .", "sentence2": "Sales went up .", "label": 1, "idx": 0},
        {"sentence1": "Rain fell .", "sentence2": "Snow fell .", "label": 0, "idx": 1},
    ],
    "nyu-mll/glue/mrpc/validation": [
        {"sentence1": "The bank closed early .", "sentence2": "The bank shut early .", "label": 1, "idx": 4},
        {"sentence1": "Two ships left .", "sentence2": "Two ships sank .", "label": 0, "idx": 7},
    ],
    "aps/super_glue/copa/train": [
        {"premise": "The ice melted.", "choice1": "It was warm.", "choice2": "It was night.", "question": "cause",
         "idx": 0, "label": 0},
        {"premise": "I dropped the egg.", "choice1": "It flew.", "choice2": "It broke.", "question": "effect",
         "idx": 1, "label": 1},
    ],
    "aps/super_glue/copa/validation": [
        {"premise": "The dog barked.", "choice1": "The cat ran.", "choice2": "The moon rose.", "question": "effect",
         "idx": 0, "label": 0},
        {"premise": "He wore boots.", "choice1": "He was late.", "choice2": "It was muddy.", "question": "cause",
         "idx": 1, "label": 1},
    ],
    "allenai/openbookqa/main/train": [
        _choices("Ice is made of", ["sand", "water", "glass", "salt"], "B"),
        _choices("Bees collect", ["nectar", "stones", "rain", "rain"], "A"),
    ],
    "allenai/openbookqa/main/test": [
        _choices("A magnet pulls", ["iron nails", "wood", "paper", "milk"], "A"),
        _choices("Which one burns?", ["a brick", "a spoon", "dry straw", "a pond"], "C"),
    ],
    "CogComp/trec/default/train": [
        {"text": "What does the name BBC stand for ?", "coarse_label": 0, "fine_label": 1},
        {"text": "How many legs has a crab ?", "coarse_label": 5, "fine_label": 38},
    ],
    "CogComp/trec/default/test": [
        {"text": "Who built the first kite ?", "coarse_label": 3, "fine_label": 29},
        {"text": "Where is Lake Mead ?", "coarse_label": 4, "fine_label": 35},
    ],
    "openai/gsm8k/main/train": [
        {"question": "Nia has 3 bags of 12 nuts.  How many nuts has she?",
         "answer": "She has 3 * 12 = <<3*12=36>>36 nuts.\n#### 36"},
        {"question": "A farm had 1,500 hens and sold 300. How many are left?",
         "answer": "There are 1,500 - 300 = <<1500-300=1200>>1,200 hens left.\n#### 1,200"},
    ],
    "openai/gsm8k/main/test": [
        {"question": "Leo reads 7 pages a day for 2 weeks. How many pages is that?",
         "answer": "2 weeks are 2*7=<<2*7=14>>14 days.\nThat is 14*7=<<14*7=98>>98 pages.\n#### 98"},
        {"question": "It was 2 degrees and fell by 5. What is it now?", "answer": "2 - 5 = <<2-5=-3>>-3\n#### -3"},
    ],
    "tasksource/bigbench/logical_deduction/train": _puzzles(_deduction, ["On a desk", "In a box"]),
    "tasksource/bigbench/logical_deduction/validation": _puzzles(_deduction, ["On a wall", "In a shop"]),
    "tasksource/bigbench/tracking_shuffled_objects/train": _puzzles(_tracking, ["May", "June"]),
    "tasksource/bigbench/tracking_shuffled_objects/validation": _puzzles(_tracking, ["July", "August"]),
}  # fmt: skip


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes rows as one file of a mirror; returns the mirror."""

    def write_file(name: str, rows: list[Row]) -> Path:
        path = tmp_path / "mirror" / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows), path)
        return tmp_path / "mirror"

    return write_file


@pytest.fixture(scope="session")
def tiny_mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of MIRROR on disk."""
    folder = tmp_path_factory.mktemp("mirror")
    for name, rows in MIRROR.items():
        path = folder / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows), path)
    return folder


@pytest.fixture(scope="session")
def real_mirror() -> Path:
    """The real data sets; the test is skipped where they are absent."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    folder = Path(os.environ.get("FEWTUNE_DATA_MIRROR") or beside)
    if not folder.is_dir():
        pytest.skip("no mirror of the real data sets: set FEWTUNE_DATA_MIRROR")
    return folder
