"""Loading: the same examples from mirror and hub, and one clear sentence where data is not usable."""

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.errors import TaskError
from app.tasks import catalog
from app.tasks.loading import load
from app.tasks.rows import labelled
from app.tasks.task import Example, Generated, Hub, Parsed, Row, Split, Task, Template, content

CHECKOUT = Path(__file__).resolve().parents[2]

TONE = Task(
    name="tone",
    cluster="made_up",
    role="tune",
    source=Hub("someone/tone", "small"),
    to_example=labelled("label", ("bad", "good"), {"text": "words"}),
    templates=(Template("Say how it sounds.", "{text}"),),
    metric="accuracy",
    licence="our own",
)
TRAIN: list[dict[str, object]] = [{"words": "grim", "label": 0}, {"words": "bright", "label": 1}]
TEST: list[dict[str, object]] = [{"words": "dark", "label": 0}, {"words": "glad", "label": 1}]


def refusal(task: Task, mirror: object) -> str:
    with pytest.raises(TaskError) as caught:
        load(task, mirror)  # pyright: ignore[reportArgumentType]
    assert "\n" not in str(caught.value), "one sentence"
    return str(caught.value)


def test_examples_keep_the_order_of_the_rows_and_name_split_and_row(write) -> None:
    write("someone/tone/small/train", TRAIN)
    data = load(TONE, write("someone/tone/small/validation", TEST))
    assert [(e.id, e.fields["text"], e.target) for e in data.test] == [
        ("validation-0", "dark", "bad"),
        ("validation-1", "glad", "good"),
    ]
    assert [e.id for e in data.train] == ["train-0", "train-1"]
    assert data.test[0].options == ("bad", "good")
    assert data.dropped == 0


def test_the_fingerprint_follows_the_content_and_nothing_else(write, tmp_path: Path) -> None:
    write("someone/tone/small/train", TRAIN)
    mirror = write("someone/tone/small/validation", TEST)
    elsewhere = tmp_path / "elsewhere"
    mirror.rename(elsewhere)
    moved = load(TONE, elsewhere).fingerprint
    write("someone/tone/small/train", TRAIN)
    assert load(TONE, write("someone/tone/small/validation", TEST)).fingerprint == moved
    changed = tmp_path / "changed"
    mirror.rename(changed)
    pq.write_table(
        pa.Table.from_pylist([TEST[0], {**TEST[1], "words": "merry"}]),
        changed / "someone/tone/small/validation.parquet",
    )
    assert load(TONE, changed).fingerprint != moved


def test_train_examples_that_say_the_same_as_a_test_item_are_dropped_and_counted(write) -> None:
    write("someone/tone/small/train", [*TRAIN, {"words": "  Dark ", "label": 0}, {"words": "glad", "label": 0}])
    data = load(TONE, write("someone/tone/small/validation", TEST))
    assert [e.id for e in data.train] == ["train-0", "train-1"]
    assert data.dropped == 2


def test_a_data_set_with_one_split_for_both_gives_no_demonstrations(write) -> None:
    task = replace(TONE, source=Hub("someone/tone", "small", train="validation"))
    data = load(task, write("someone/tone/small/validation", TEST))
    assert data.train == ()
    assert data.dropped == 2


def test_rows_without_gold_label_are_left_out_and_ids_still_name_the_row(write) -> None:
    write("someone/tone/small/train", TRAIN)
    rows = [{"words": "odd", "label": -1}, *TEST, {"words": "none", "label": None}]
    data = load(TONE, write("someone/tone/small/validation", rows))
    assert [e.id for e in data.test] == ["validation-1", "validation-2"]


def test_a_missing_file_is_named_with_the_splits_that_are_there(write) -> None:
    write("someone/tone/small/train", TRAIN)
    mirror = write("someone/tone/small/extra", TEST)
    message = refusal(TONE, mirror)
    assert str(mirror / "someone/tone/small/validation.parquet") in message
    assert "extra, train" in message
    assert "no split" in refusal(replace(TONE, source=Hub("someone/other")), mirror)


def test_a_broken_file_is_refused_by_name(write) -> None:
    write("someone/tone/small/train", TRAIN)
    mirror = write("someone/tone/small/validation", TEST)
    (mirror / "someone/tone/small/validation.parquet").write_text("no parquet")
    assert "validation.parquet cannot be read as Parquet" in refusal(TONE, mirror)


def test_a_missing_column_is_named_with_the_columns_that_are_there(write) -> None:
    write("someone/tone/small/train", TRAIN)
    mirror = write("someone/tone/small/validation", [{"text": "dark", "label": 0}])
    message = refusal(TONE, mirror)
    assert "no column words; its columns are text, label" in message


def test_a_fault_inside_a_reader_is_not_mistaken_for_a_missing_column(write) -> None:
    def broken(row: Row) -> Parsed | None:
        return Parsed({"text": str({}["words"])}, (), str(row["label"]))

    write("someone/tone/small/train", TRAIN)
    with pytest.raises(KeyError):
        load(replace(TONE, to_example=broken), write("someone/tone/small/validation", TEST))


def test_an_unlabelled_test_split_is_refused(write) -> None:
    write("someone/tone/small/train", TRAIN)
    mirror = write("someone/tone/small/validation", [{**row, "label": -1} for row in TEST])
    assert "no row with a gold label" in refusal(TONE, mirror)


@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_split_of_one_class_is_refused(write, split: str) -> None:
    write("someone/tone/small/train", TRAIN)
    write("someone/tone/small/validation", TEST)
    mirror = write(f"someone/tone/small/{split}", [{"words": "x", "label": 1}, {"words": "y", "label": 1}])
    assert "more than one class" in refusal(TONE, mirror)


def test_a_label_that_has_no_name_is_refused_with_its_row(write) -> None:
    write("someone/tone/small/train", TRAIN)
    mirror = write("someone/tone/small/validation", [TEST[0], {"words": "so so", "label": 2}])
    message = refusal(TONE, mirror)
    assert "row 1" in message
    assert "not a label from 0 to 1" in message


@pytest.mark.parametrize(
    ("options", "target", "fault"),
    [
        (("a", "b"), "c", "none of its options"),
        (("a", "a"), "a", "twice"),
        (("a",), "a", "needs two or more"),
        (("a\nb", "c"), "a\nb", "one line"),
        (("a", " "), " ", "one line"),
    ],
)
def test_an_example_that_cannot_be_scored_is_refused(options: tuple[str, ...], target: str, fault: str) -> None:
    def make(split: Split) -> list[Example]:
        return [Example(split, {"text": split}, options, target)]

    assert fault in refusal(replace(TONE, source=Generated(make, "1"), to_example=None), None)


def test_ids_shared_within_or_between_splits_are_refused() -> None:
    def twice(split: Split) -> list[Example]:
        return [Example("1", {"text": split + word}, ("x", "y"), word) for word in "xy"]

    def across(split: Split) -> list[Example]:
        return [Example(word, {"text": split + word}, ("x", "y"), word) for word in "xy"]

    assert "two test examples have the id 1" in refusal(replace(TONE, source=Generated(twice, "1")), None)
    assert "share the id x" in refusal(replace(TONE, source=Generated(across, "1")), None)


def test_a_hundred_thousand_rows_load_in_order(write) -> None:
    write("someone/tone/small/train", [{"words": f"word {n}", "label": n % 2} for n in range(100_000)])
    data = load(TONE, write("someone/tone/small/validation", [*TEST, {"words": "word 70000", "label": 0}]))
    assert len(data.train) == 99_999
    assert data.train[70_000].id == "train-70001"


@pytest.mark.parametrize("task", catalog.TASKS, ids=lambda task: task.name)
def test_train_and_test_of_every_task_share_nothing(task: Task, tiny_mirror: Path) -> None:
    data = load(task, tiny_mirror)
    assert data.train
    assert data.test
    assert not {e.id for e in data.train} & {e.id for e in data.test}
    assert not {content(task, e) for e in data.train} & {content(task, e) for e in data.test}


@pytest.mark.parametrize("task", catalog.REAL, ids=lambda task: task.name)
def test_the_real_data_sets_load_whole_and_share_nothing(task: Task, real_mirror: Path) -> None:
    data = load(task, real_mirror)
    assert len(data.train) >= 100
    assert len(data.test) >= 50
    assert not {content(task, e) for e in data.train} & {content(task, e) for e in data.test}


HUB = """
    import json
    from dataclasses import replace
    from app.errors import TaskError
    from app.tasks import catalog
    from app.tasks.loading import load
    from app.tasks.task import Hub

    sst2 = catalog.by_name("sst2")
    cases = {
        "plain": replace(sst2, source=Hub("someone/tone", "small")),
        "split": replace(sst2, source=Hub("someone/tone", "small", test="holdout")),
        "config": replace(sst2, source=Hub("someone/tone", "large")),
        "program": replace(sst2, source=Hub("someone/script")),
        "offline": sst2,
        "converted": catalog.by_name("trec"),
    }
    told = {}
    for name, task in cases.items():
        try:
            told[name] = [example.target for example in load(task, None).test]
        except TaskError as fault:
            told[name] = str(fault)
    print(json.dumps(told))
"""


def test_the_hub_library_is_asked_without_a_mirror_and_its_refusals_are_told(tmp_path: Path) -> None:
    """The library takes a folder OWNER/NAME in the current folder for a data set of that id: no network is needed."""
    folder = tmp_path / "someone/tone"
    (folder / "small").mkdir(parents=True)
    (folder / "README.md").write_text(
        textwrap.dedent(
            """\
            ---
            configs:
            - config_name: small
              data_files:
              - {split: train, path: small/train.parquet}
              - {split: validation, path: small/validation.parquet}
            ---
            """
        )
    )
    for split, rows in (("train", TRAIN), ("validation", TEST)):
        table = pa.Table.from_pylist([{"sentence": row["words"], "label": row["label"]} for row in rows])
        pq.write_table(table, folder / "small" / f"{split}.parquet")
    (tmp_path / "someone/script").mkdir()
    (tmp_path / "someone/script/script.py").write_text("raise SystemExit('a data set ran its code')")
    environment = {
        **os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf"), "PYTHONPATH": str(CHECKOUT),
    }  # fmt: skip
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(HUB)],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout.splitlines()[-1])
    assert told["plain"] == ["negative", "positive"]
    assert "split holdout of someone/tone (small) on the hub cannot be loaded" in told["split"]
    assert "large" in told["config"]
    assert "scripts are no longer supported" in told["program"]
    for name in ("offline", "converted"):
        assert "cannot be reached" in told[name]
        assert "--data-mirror" in told[name]
        assert "FEWTUNE_DATA_MIRROR" in told[name]
