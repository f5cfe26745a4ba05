"""Loading: the same examples from mirror and hub, and one clear sentence where data is not usable."""

import gzip
import importlib
import json
import os
import pkgutil
import subprocess
import sys
import textwrap
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import mirror
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.errors import TaskError
from app.tasks import catalog
from app.tasks.loading import ROWS, load
from app.tasks.rows import labelled
from app.tasks.task import Example, Generated, Hub, Manual, Parsed, Row, Split, Task, Template, content

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
FINGERPRINT = "a7f6a21d359e66e6"
"""Of the two; scores are recorded with it, so it may never change."""


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


ONE_SPLIT: list[dict[str, object]] = [{"words": f"word {n}", "label": n % 2} for n in range(50)]


def test_a_data_set_with_one_split_is_cut_in_two_by_content(write) -> None:
    task = replace(TONE, source=Hub("someone/tone", "small", train="all", test="all"))
    data = load(task, write("someone/tone/small/all", ONE_SPLIT))
    assert (len(data.train), len(data.test), data.dropped) == (10, 40, 0)
    assert {e.id for e in data.train} | {e.id for e in data.test} == {f"all-{n}" for n in range(50)}


def test_the_cut_follows_the_content_and_not_the_order_of_rows(write, tmp_path: Path) -> None:
    task = replace(TONE, source=Hub("someone/tone", "small", train="all", test="all"))
    before = tmp_path / "before"
    write("someone/tone/small/all", ONE_SPLIT).rename(before)
    demonstrated = {e.fields["text"] for e in load(task, before).train}
    twice = [*reversed(ONE_SPLIT), *({**row, "words": f" {str(row['words']).upper()} "} for row in ONE_SPLIT)]
    data = load(task, write("someone/tone/small/all", twice))
    assert {e.fields["text"].lower() for e in data.train} == demonstrated
    assert (len(data.train), len(data.test)) == (20, 80)
    assert not {content(task, e) for e in data.train} & {content(task, e) for e in data.test}


def test_one_item_cannot_be_cut_in_two(write) -> None:
    task = replace(TONE, source=Hub("someone/tone", "small", train="all", test="all"))
    assert "cannot be cut" in refusal(task, write("someone/tone/small/all", [TRAIN[0], TRAIN[0]]))


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


def test_of_a_larger_split_every_second_row_is_kept_and_ids_still_name_the_row(write) -> None:
    write("someone/tone/small/train", [{"words": f"word {n}", "label": n // 2 % 2} for n in range(ROWS + 1)])
    data = load(TONE, write("someone/tone/small/validation", TEST))
    assert len(data.train) == ROWS // 2 + 1
    assert [e.id for e in data.train[:3]] == ["train-0", "train-2", "train-4"]
    assert data.train[1].fields["text"] == "word 2"


def test_references_and_group_are_carried_and_count_in_the_fingerprint(write) -> None:
    write("someone/tone/small/train", TRAIN)
    mirror = write("someone/tone/small/validation", TEST)

    def more(row: Row) -> Parsed | None:
        plain = TONE.to_example(row) if TONE.to_example else None
        return plain and plain._replace(references=("fine",), group="g")

    plain, data = load(TONE, mirror), load(replace(TONE, to_example=more), mirror)
    assert (data.test[0].references, data.test[0].group) == (("fine",), "g")
    assert (plain.test[0].references, plain.test[0].group) == ((), "")
    assert data.fingerprint != plain.fingerprint == FINGERPRINT


def test_a_reference_that_is_no_line_of_text_is_refused(write) -> None:
    def empty(row: Row) -> Parsed | None:
        return Parsed({"text": str(row["words"])}, (), "fine", (" ",))

    write("someone/tone/small/train", TRAIN)
    task = replace(TONE, metric="exact_match", to_example=empty)
    assert "one line of text" in refusal(task, write("someone/tone/small/validation", TEST))


@pytest.mark.parametrize(
    ("template", "name"),
    [
        (Template("Say how it sounds.", "{txt}"), "txt"),
        (Template("Say how {this} sounds.", "{text}"), "this"),
        (Template("Say how it sounds.", "{text} {target}"), "target"),
        (Template("Write a text.", "{target}", "{txt}"), "txt"),
        (Template("Write a text.", "{target}\n{option}", "{text}"), "option"),
    ],
)
def test_a_template_that_names_an_unknown_field_is_refused_with_the_task(write, template: Template, name: str) -> None:
    write("someone/tone/small/train", TRAIN)
    mirror = write("someone/tone/small/validation", TEST)
    message = refusal(replace(TONE, templates=(*TONE.templates, template)), mirror)
    assert f"task tone: a template names the field {name};" in message


def test_an_inverted_template_may_name_the_target(write) -> None:
    write("someone/tone/small/train", TRAIN)
    inverted = Template("Write a text that sounds like this.", "{target}", "{text}")
    mirror = write("someone/tone/small/validation", TEST)
    assert load(replace(TONE, templates=(*TONE.templates, inverted)), mirror).test


CSV = 'words,label\n"grim, ""very"" grim",bad\nbright,good\n'
FILES = {
    "tone.csv": CSV,
    "tone.tsv": 'words\tlabel\n"grim, ""very"" grim\tbad\nbright\tgood\n',
    "tone.json": json.dumps([{"words": "grim", "label": "bad"}, {"words": "bright", "label": "good"}]),
    "tone.jsonl": '{"words": "grim", "label": "bad"}\n\n{"words": "bright", "label": "good"}\n',
}


def worded(row: Row) -> Parsed | None:
    return Parsed({"text": str(row["words"])}, ("bad", "good"), str(row["label"]))


def manual(file: str, test: str = "") -> Task:
    return replace(TONE, source=Manual(file, "Ask someone for tone 1.0.", test), to_example=worded)


@pytest.mark.parametrize("name", [*FILES, "tone.csv.gz", "tone.jsonl.gz"])
def test_a_file_of_the_user_is_read_as_its_name_says(tmp_path: Path, name: str) -> None:
    text = FILES[name.removesuffix(".gz")].encode()
    for folder in ("train", "test"):
        (tmp_path / folder).mkdir()
        changed = text.replace(b"grim", b"dark").replace(b"bright", b"glad") if folder == "test" else text
        (tmp_path / folder / name).write_bytes(gzip.compress(changed) if name.endswith(".gz") else changed)
    data = load(manual(f"train/{name}", f"test/{name}"), tmp_path)
    assert [(e.id, e.target) for e in data.train] == [("train-0", "bad"), ("train-1", "good")]
    assert [e.id for e in data.test] == ["test-0", "test-1"]
    text_of = {"csv": 'grim, "very" grim', "tsv": '"grim, ""very"" grim'}
    assert data.train[0].fields["text"] == text_of.get(name.split(".")[1], "grim")


def test_a_file_that_holds_all_is_cut_in_two(tmp_path: Path) -> None:
    rows = [{"words": f"word {n}", "label": ["bad", "good"][n % 2]} for n in range(50)]
    (tmp_path / "all.jsonl").write_text("\n".join(map(json.dumps, rows)))
    data = load(manual("all.jsonl"), tmp_path)
    assert (len(data.train), len(data.test)) == (10, 40)
    assert {e.id for e in data.train} | {e.id for e in data.test} == {f"row-{n}" for n in range(50)}


def test_of_a_larger_file_every_second_row_is_kept(tmp_path: Path) -> None:
    lines = (json.dumps({"words": f"word {n}", "label": ["bad", "good"][n // 2 % 2]}) for n in range(ROWS + 1))
    (tmp_path / "train.jsonl").write_text("\n".join(lines))
    (tmp_path / "test.jsonl").write_text(FILES["tone.jsonl"])
    data = load(manual("train.jsonl", "test.jsonl"), tmp_path)
    assert len(data.train) == ROWS // 2 + 1
    assert [e.id for e in data.train[:2]] == ["train-0", "train-2"]


def test_a_missing_file_is_asked_for_with_its_origin_and_place(tmp_path: Path) -> None:
    message = refusal(manual("tone/all.csv"), tmp_path / "absent")
    assert str(tmp_path / "absent/tone/all.csv") in message
    assert "task tone" in message
    assert "(Ask someone for tone 1.0)" in message
    without = refusal(manual("tone/all.csv"), None)
    assert "FOLDER/tone/all.csv" in without
    assert "--data-mirror" in without
    assert "(Ask someone for tone 1.0)" in without


@pytest.mark.parametrize(
    ("name", "held", "fault"),
    [
        ("tone.json", b"{", "cannot be read"),
        ("tone.json", b"{}", "not a list of objects"),
        ("tone.jsonl", b'{"words": "x"}\nno json\n', "cannot be read"),
        ("tone.jsonl", b"[1]\n", "row 0"),
        ("tone.jsonl.gz", b"not compressed", "cannot be read"),
        ("tone.csv", b"words,label\n\xff,bad\n", "cannot be read"),
        ("tone.xml", b"<a/>", "files that end in .xml are not known"),
        ("tone.csv", b"words\ngrim\n", "no column label; its columns are words"),
        ("tone.csv", b"", "no row with a gold label"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_by_name(tmp_path: Path, name: str, held: bytes, fault: str) -> None:
    (tmp_path / name).write_bytes(held)
    message = refusal(manual(name), tmp_path)
    assert fault in message
    assert str(tmp_path / name) in message


def test_no_two_modules_of_the_tests_write_one_file_of_the_mirror() -> None:
    names: list[str] = []
    for found in pkgutil.iter_modules(mirror.__path__):
        rows = importlib.import_module(f"mirror.{found.name}")
        names += [*rows.ROWS, *getattr(rows, "MANUAL", {})]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("task", catalog.TASKS, ids=lambda task: task.name)
def test_train_and_test_of_every_task_share_nothing(task: Task, tiny_mirror: Path) -> None:
    data = load(task, tiny_mirror)
    assert data.train
    assert data.test
    assert not {e.id for e in data.train} & {e.id for e in data.test}
    assert not {content(task, e) for e in data.train} & {content(task, e) for e in data.test}


@pytest.mark.parametrize("task", catalog.REAL, ids=lambda task: task.name)
def test_the_real_data_sets_load_whole_and_share_nothing(task: Task, real_data) -> None:
    data = real_data(task)
    assert len(data.train) >= 16
    assert len(data.test) >= 40
    assert not {content(task, e) for e in data.train} & {content(task, e) for e in data.test}


HUB = """
    import json
    from dataclasses import replace
    from app.errors import TaskError
    from app.tasks import catalog
    from app.tasks.loading import ROWS, load
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
    assert "give another source for sst2 in the study's `sources`" in told["split"]
    assert "large" in told["config"]
    assert "scripts are no longer supported" in told["program"]
    for name in ("offline", "converted"):
        assert "cannot be reached" in told[name]
        assert "--data-mirror" in told[name]
        assert "FEWTUNE_DATA_MIRROR" in told[name]


class _Gone(BaseHTTPRequestHandler):
    """A hub that holds nothing."""

    def do_HEAD(self) -> None:
        self.send_response(404)
        self.send_header("X-Error-Code", "RepoNotFound")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_HEAD  # noqa: N815

    def log_message(self, *args: object) -> None:
        """Say nothing."""


LOAD = """
    import sys
    from app.tasks import catalog
    from app.tasks.loading import load

    load(catalog.by_name(sys.argv[1]), None)
"""


@pytest.mark.parametrize(("name", "hub"), [("sst2", "stanfordnlp/sst2"), ("trec", "CogComp/trec")])
def test_a_data_set_that_is_gone_from_the_hub_is_named_with_what_to_do(tmp_path: Path, name: str, hub: str) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Gone) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        environment = {
            **{name: value for name, value in os.environ.items() if "proxy" not in name.lower()},
            "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
            "HF_HUB_OFFLINE": "0",
            "HF_HOME": str(tmp_path / "hf"),
            "PYTHONPATH": str(CHECKOUT),
        }
        ran = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(LOAD), name],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        server.shutdown()
    told = ran.stderr.splitlines()[-1]
    assert f"task {name}: " in told
    assert hub in told
    assert f"give another source for {name} in the study's `sources`" in told
