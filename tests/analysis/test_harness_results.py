"""Results of lm-evaluation-harness to pairs: which model belongs to which, what guessing scores, the same items."""

import json
import math
import shutil
from pathlib import Path

import pytest
from made_harness import OPTIONS, REAL, right, write

from app.analysis.own import harness_files, harness_samples, own_report
from app.analysis.own.harness_results import read
from app.analysis.pairing.pairs import pairs
from app.errors import InputError

MATCH = "tuned,base,family,params,recipe\nlab/odd,org/one-1b,ones,1000,sft\nlab/other,org/two-1b,twos,2000,dpo\n"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "base"
    for model in ("org/one-1b", "org/two-1b"):
        for shots in (0, 5):
            write(folder, model, shots, date=shots + 1.0)
    return folder


@pytest.fixture
def tuned(tmp_path: Path) -> Path:
    folder = tmp_path / "tuned"
    write(folder, "org/one-1b-instruct", 0)
    write(folder, "lab/two-1b-chat", 0)
    return folder


def refused(*folders: Path, match: Path | None = None, tasks: Path | None = None) -> str:
    with pytest.raises(InputError) as fault:
        read(folders[0], folders[1], match, tasks)
    assert "\n" not in str(fault.value)
    return str(fault.value)


def test_files_that_the_harness_wrote_become_pairs() -> None:
    own = read(REAL / "base", REAL / "tuned")
    found = pairs(own.scores, own.analysis)
    assert found.missing == []
    rows = found.table.to_pylist()
    assert [(r["base"], r["run"], r["task"], r["n"], r["x_shots"], r["metric"]) for r in rows] == [
        ("org/tiny-1b", "org/tiny-1b-instruct", task, 6, 2, "acc") for task in ("colour", "yesno")
    ]
    (tuned,) = (REAL / "tuned").rglob("results_*.json")
    said = json.loads(tuned.read_text())["results"]
    for row in rows:
        assert row["y_raw"] == said[row["task"]]["acc,none"]
        assert row["y_stderr"] == said[row["task"]]["acc_stderr,none"]
        assert math.isclose(row["chance"], 1 / OPTIONS[row["task"]])
    items = own.items
    assert items is not None
    assert items.num_rows == 12
    for row in rows:
        mine = [item for item in items.to_pylist() if item["task"] == row["task"]]
        for side in "xyz":
            assert math.isclose(sum(item[side] for item in mine) / 6, row[f"{side}_raw"])
        # Without normalisation by length, an item is right where its right option's margin is positive.
        assert all((item["x_margin"] > 0) == (item["x"] == 1) for item in mine)
        assert {item["options"] for item in mine} == {OPTIONS[row["task"]]}


def test_made_files_have_the_form_of_real_ones(tmp_path: Path) -> None:
    def form(path: Path) -> dict[str, object]:
        data = json.loads(path.read_text())
        task = data["results"]["colour"]
        return {key: sorted(task) if key == "results" else type(data[key]) for key in json.loads(made.read_text())}

    made = write(tmp_path, "org/tiny-1b", 2)
    (real,) = (p for p in REAL.rglob("results_*.json") if '"colour": 2' in p.read_text())
    assert form(made) == form(real)
    first, second = (next(p.parent.glob("samples_colour_*.jsonl")) for p in (made, real))
    keys = [sorted(json.loads(path.read_text().splitlines()[0])) for path in (first, second)]
    assert keys[0] == keys[1]
    one, other = (harness_files.load(path.parent)[0].tasks["colour"] for path in (made, real))
    assert (one.multiple_choice, list(one.metrics)) == (other.multiple_choice, list(other.metrics))
    assert harness_samples.chance(harness_samples.read(first)) == harness_samples.chance(harness_samples.read(second))


def test_scores_are_means_of_their_items_and_models_are_matched_by_name(base: Path, tuned: Path) -> None:
    own = read(base, tuned)
    rows = pairs(own.scores, own.analysis).table.to_pylist()
    assert {(r["base"], r["run"]) for r in rows} == {
        ("org/one-1b", "org/one-1b-instruct"), ("org/two-1b", "lab/two-1b-chat"),
    }  # fmt: skip
    for row in rows:
        for side, model, shots in (("x", row["base"], 5), ("y", row["run"], 0), ("z", row["base"], 0)):
            hits = right(model, row["task"], shots, 12)
            assert math.isclose(row[f"{side}_raw"], sum(hits) / 12)
    assert "lab/two-1b-chat was tuned from org/two-1b (by its name)." in own.warnings
    items = own.items
    assert items is not None
    keys = [(r["base"], r["run"], r["task"], int(str(r["item"]).partition("-")[0])) for r in items.to_pylist()]
    assert keys == sorted(keys)
    assert own.analysis.cluster_by == "base"


@pytest.mark.parametrize("name", ["org/one-3b-chat", "lab/alpaca", "lab/one-1b-xl-it", "lab/one-two-1b"])
def test_a_name_that_does_not_tell_is_refused_with_the_form_of_a_mapping_file(
    base: Path, tmp_path: Path, name: str
) -> None:
    write(tmp_path / "tuned", name, 0)
    said = refused(base, tmp_path / "tuned")
    assert f"which of org/one-1b, org/two-1b was {name} tuned from?" in said
    assert "--match FILE, a CSV, JSON or Parquet file with the columns tuned and base" in said


def test_the_longest_name_counts(tmp_path: Path) -> None:
    for model in ("org/pythia-1b", "org/pythia-1b-v0"):
        write(tmp_path / "base", model, 5)
    write(tmp_path / "tuned", "org/pythia-1b-v0-sft", 0)
    own = read(tmp_path / "base", tmp_path / "tuned")
    assert own.scores.filter(own.scores["run"].is_valid())["base"].unique().to_pylist() == ["org/pythia-1b-v0"]


def test_an_adapter_belongs_to_the_model_that_it_was_loaded_onto(base: Path, tmp_path: Path) -> None:
    folder = tmp_path / "tuned"
    write(folder, "lab/adapter", 0, arguments="pretrained=org/two-1b,peft=lab/adapter")
    assert "lab/adapter was tuned from org/two-1b (its adapter was loaded onto it)." in read(base, folder).warnings
    write(folder, "lab/alien", 0, arguments="pretrained=org/nine-1b,peft=lab/alien")
    assert "lab/alien is an adapter of org/nine-1b, which has no results" in refused(base, folder)


def test_the_only_base_model_needs_no_name(tmp_path: Path) -> None:
    write(tmp_path / "base", "org/one-1b", 5)
    write(tmp_path / "tuned", "lab/alpaca", 0)
    own = read(tmp_path / "base", tmp_path / "tuned")
    assert "lab/alpaca was tuned from org/one-1b (the only base model)." in own.warnings
    assert own.analysis.baseline is None


def test_a_mapping_file_says_what_was_tuned_from_what(base: Path, tmp_path: Path) -> None:
    for model in ("lab/odd", "lab/other"):
        write(tmp_path / "tuned", model, 0)
    match = tmp_path / "match.csv"
    match.write_text(MATCH)
    own = read(base, tmp_path / "tuned", match)
    rows = pairs(own.scores, own.analysis).table.to_pylist()
    assert {(r["base"], r["run"], r["family"], r["params"], r["recipe"]) for r in rows} == {
        ("org/one-1b", "lab/odd", "ones", 1000, "sft"), ("org/two-1b", "lab/other", "twos", 2000, "dpo"),
    }  # fmt: skip
    assert own.analysis.cluster_by == "family"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("tuned,bse\nlab/odd,org/one-1b\n", "unknown column bse; did you mean base?"),
        ("tuned\nlab/odd\n", "no column base"),
        ("tuned,base\nlab/odd,org/one\n", "row 1: the base model org/one has no results; those with some: org/one-1b"),
        ("tuned,base\nlab/od,org/one-1b\n", "row 1: the tuned model lab/od has no results; those with some: lab/odd"),
        ("tuned,base\nlab/odd,org/one-1b\n", "does not say what lab/other was tuned from: add a row"),
        ("tuned,base\nlab/odd,org/one-1b\nlab/odd,org/two-1b\n", "row 2: lab/odd stands twice"),
        (MATCH.replace("org/two-1b", "org/one-1b"), "row 2: the base model org/one-1b has two families or sizes"),
    ],
)
def test_a_mapping_file_that_does_not_fit_is_told(base: Path, tmp_path: Path, text: str, part: str) -> None:
    for model in ("lab/odd", "lab/other"):
        write(tmp_path / "tuned", model, 0)
    match = tmp_path / "match.csv"
    match.write_text(text)
    assert part in refused(base, tmp_path / "tuned", match=match)


def test_chance_comes_from_items_then_known_tasks_then_nowhere_with_a_warning(base: Path, tmp_path: Path) -> None:
    tasks = {"piqa": 2, "mmlu_virology": 4, "homemade": 2}
    write(tmp_path / "b", "org/one", 5, tasks, logged=False)
    write(tmp_path / "t", "org/one-it", 0, tasks, logged=False)
    own = read(tmp_path / "b", tmp_path / "t")
    rows = pairs(own.scores, own.analysis).table.to_pylist()
    assert {r["task"]: r["chance"] for r in rows} == {"piqa": 0.5, "mmlu_virology": 0.25, "homemade": 0.0}
    assert own.items is None
    (warning,) = (line for line in own.warnings if "chance level" in line)
    assert "homemade is not known and counts as 0: give --tasks FILE" in warning
    said = tmp_path / "tasks.json"
    said.write_text(json.dumps([{"task": "homemade", "chance": 0.125, "cluster": "own", "role": "develop"}]))
    own = read(tmp_path / "b", tmp_path / "t", None, said)
    (row,) = (r for r in pairs(own.scores, own.analysis).table.to_pylist() if r["task"] == "homemade")
    assert (row["chance"], row["cluster"], row["role"]) == (0.125, "own", "develop")
    assert not any("chance level" in line for line in own.warnings)


def test_the_largest_number_of_demonstrations_and_the_newest_file_count(base: Path, tuned: Path) -> None:
    write(base, "org/one-1b", 2, date=8.0)
    later = write(base, "org/one-1b", 5, date=9.0, logged=False)
    data = json.loads(later.read_text())
    data["results"]["colour"]["acc,none"] = 0.125
    later.write_text(json.dumps(data))
    own = read(base, tuned)
    rows = pairs(own.scores, own.analysis).table.to_pylist()
    assert {r["x_shots"] for r in rows} == {5}
    (row,) = (r for r in rows if (r["base"], r["task"]) == ("org/one-1b", "colour"))
    assert row["x_raw"] == 0.125
    assert "2 results were measured again later: the newest counts." in own.warnings


def test_different_numbers_of_demonstrations_are_told_and_all_pairs_are_kept(tmp_path: Path, tuned: Path) -> None:
    for model, shots in (("org/one-1b", 5), ("org/two-1b", 3)):
        write(tmp_path / "base", model, shots)
    own = read(tmp_path / "base", tuned)
    assert "Base models saw different numbers of demonstrations on colour, yesno." in own.warnings
    table = pairs(own.scores, own.analysis).table
    assert table.num_rows == 4
    assert table["x_shots"].unique().to_pylist() == [0]


def test_a_model_that_was_asked_other_items_makes_no_pair(base: Path, tuned: Path) -> None:
    write(tuned, "lab/one-1b-odd", 0, wording=" really")
    own = read(base, tuned)
    assert "lab/one-1b-odd" not in own.scores["run"].to_pylist()
    assert "lab/one-1b-odd was asked other items of colour than its base model: left out." in own.warnings


def test_a_base_model_that_was_asked_other_items_without_examples_is_no_baseline_there(base: Path, tuned: Path) -> None:
    write(base, "org/one-1b", 0, wording=" really")
    own = read(base, tuned)
    told = "org/one-1b was asked other items of colour without examples than with them: no baseline there."
    assert told in own.warnings
    found = pairs(own.scores, own.analysis).table.to_pylist()
    assert {(row["base"], row["z"] is None, row["z_raw"] is None) for row in found} == {
        ("org/one-1b", True, True),
        ("org/two-1b", False, False),
    }


def test_a_model_that_was_asked_fewer_items_makes_no_pair_even_without_logs(base: Path, tuned: Path) -> None:
    write(tuned, "lab/one-1b-few", 0, items=6, logged=False)
    own = read(base, tuned)
    found = pairs(own.scores, own.analysis)
    assert {m.reason for m in found.missing} == {"x was scored on 12 items, y on 6"}


def test_results_of_a_rarer_version_are_left_out(base: Path, tuned: Path) -> None:
    write(tuned, "lab/one-1b-old", 0, version=0.0, logged=False)
    own = read(base, tuned)
    assert "lab/one-1b-old" not in own.scores["run"].to_pylist()
    assert any("results of the rarer of several versions are left out" in line for line in own.warnings)


def test_a_side_that_loses_its_results_for_their_version_is_told_why(base: Path, tmp_path: Path) -> None:
    write(tmp_path / "later", "org/one-1b-it", 0, version=2.0)
    said = refused(base, tmp_path / "later")
    assert "has no results with n-shot 0" in said
    assert said.endswith("colour, yesno: results of the rarer of several versions are left out.")


def test_a_metric_known_to_be_better_the_lower_is_left_out_of_files_that_do_not_say(tmp_path: Path) -> None:
    for side, shots in (("base", 5), ("tuned", 0)):
        path = write(tmp_path / side, "org/one-1b", shots, logged=False)
        data = json.loads(path.read_text())
        del data["higher_is_better"]
        for entry in data["results"].values():
            entry |= {"bits_per_byte,none": 0.9}
        path.write_text(json.dumps(data).replace("org/one-1b", f"org/one-1b{'-it' if side == 'tuned' else ''}"))
    own = read(tmp_path / "base", tmp_path / "tuned")
    assert set(own.scores["metric"].to_pylist()) == {"acc", "acc_norm"}


def test_a_tasks_file_that_does_not_fit_is_told(base: Path, tuned: Path, tmp_path: Path) -> None:
    (tmp_path / "tasks.csv").write_text("task,chance,role\ncolour,0.3,evaluate\ncolor,0.3,tune\n")
    warnings = read(base, tuned, None, tmp_path / "tasks.csv").warnings
    assert "color of the tasks file has no results: is the name as the harness spells it?" in warnings
    (tmp_path / "tasks.csv").write_text("task,role\ncolour,test\n")
    assert "row 1: unknown role 'test'" in refused(base, tuned, tasks=tmp_path / "tasks.csv")


def test_groups_lower_is_better_and_unbounded_metrics_are_left_out(tmp_path: Path) -> None:
    results = {
        "colour": {"alias": "colour", "acc,none": 0.5, "acc_stderr,none": "N/A", "ppl,none": 7.5, "brier,none": 0.1},
        "group": {"alias": "group", "acc,none": 0.5},
        "story": {"alias": "story", "bleu,none": 23.0, "length,none": 140.0},
        "odd": {"alias": "odd", "length,none": 140.0},
    }
    tasks = {"colour": 3, "story": 1, "odd": 1}
    better = {"colour": {"brier": False}}
    for folder, model, shots in (("b", "org/one", 5), ("t", "org/one-it", 0)):
        write(tmp_path / folder, model, shots, tasks, logged=False, results=results, higher_is_better=better)
    own = read(tmp_path / "b", tmp_path / "t")
    rows = pairs(own.scores, own.analysis).table.to_pylist()
    assert [(r["task"], r["metric"], r["x"]) for r in rows] == [("colour", "acc", 0.5), ("story", "bleu", 0.23)]
    assert any("odd has no metric with a known best value" in line for line in own.warnings)


def test_a_second_filter_is_another_metric(tmp_path: Path) -> None:
    results = {"colour": {"exact_match,strict-match": 0.25, "exact_match,flexible-extract": 0.5}}
    for folder, model, shots in (("b", "org/one", 5), ("t", "org/one-it", 0)):
        write(tmp_path / folder, model, shots, {"colour": 3}, logged=False, results=results)
    own = read(tmp_path / "b", tmp_path / "t")
    (row,) = pairs(own.scores, own.analysis).table.to_pylist()
    assert (row["metric"], row["x_raw"], row["chance"]) == ("exact_match,strict-match", 0.25, 0.0)


def test_a_chat_template_on_one_side_is_told(base: Path, tuned: Path) -> None:
    write(tuned, "org/one-1b-instruct", 0, chat_template="{{messages}}")
    assert any("in a chat template and base models without one" in line for line in read(base, tuned).warnings)


def test_folders_without_what_is_needed_are_told(base: Path, tuned: Path, tmp_path: Path) -> None:
    assert "is no folder" in refused(tmp_path / "absent", tuned)
    (tmp_path / "empty").mkdir()
    assert "has no results_*.json of lm-evaluation-harness" in refused(tmp_path / "empty", tuned)
    assert "has results on both sides" in refused(base, base)
    write(tmp_path / "zero", "org/one-1b", 0)
    assert "has no results with demonstrations (n-shot above 0)" in refused(tmp_path / "zero", tuned)
    write(tmp_path / "few", "lab/one-1b-it", 5)
    assert "has no results with n-shot 0" in refused(base, tmp_path / "few")


def test_a_log_of_items_in_other_bytes_is_told_with_its_line(base: Path, tuned: Path) -> None:
    path = next(tuned.rglob("samples_colour_*.jsonl"))
    path.write_bytes(path.read_bytes() + b'{"doc_id": "\xff"}\n')
    assert f"{path}:13 is no per-item result" in refused(base, tuned)


def test_damaged_files_are_told_with_their_place(base: Path, tuned: Path) -> None:
    sample = next(tuned.rglob("samples_colour_*.jsonl"))
    kept = sample.read_text()
    sample.write_text(kept + "{\n")
    assert f"{sample}:13 is no per-item result" in refused(base, tuned)
    sample.write_text(kept)
    result = next(tuned.rglob("results_*.json"))
    whole = result.read_text()
    result.write_text(whole[:100])
    assert f"{result} is damaged" in refused(base, tuned)
    result.write_text(json.dumps({"results": {"colour": {"acc": 0.5}}}))
    assert "lacks results, configs or n-shot" in refused(base, tuned)
    result.write_text(json.dumps(json.loads(whole) | {"n-shot": {}}))
    assert "in a form that is not known" in refused(base, tuned)


@pytest.mark.parametrize(
    "change", [{"config": "hf"}, {"config": {"model_args": ["a"]}}, {"n-samples": {"colour": {"effective": 10**25}}}]
)
def test_results_in_another_form_are_told(base: Path, tuned: Path, change: dict[str, object]) -> None:
    write(tuned, "org/one-1b-instruct", 0, **change)
    assert "has results in a form that is not known" in refused(base, tuned)


def test_other_json_beside_the_results_does_no_harm(base: Path, tuned: Path) -> None:
    before = read(base, tuned).scores
    (base / "notes.json").write_text("[1, 2")
    (tuned / "settings.json").write_text("{}")
    assert read(base, tuned).scores.equals(before)


def test_the_order_of_files_does_not_matter(base: Path, tuned: Path, tmp_path: Path) -> None:
    for name in sorted((p.name for p in base.iterdir()), reverse=True):
        shutil.copytree(base / name, tmp_path / "again" / "deep" / name)
    first, second = read(base, tuned), read(tmp_path / "again", tuned)
    assert pairs(first.scores, first.analysis).table.equals(pairs(second.scores, second.analysis).table)


def test_logged_items_give_the_same_report_as_a_study(tmp_path: Path) -> None:
    for shots in (0, 5):
        write(tmp_path / "base", "org/tiny-1b", shots)
    write(tmp_path / "tuned", "org/tiny-1b-chat", 0, chat_template="{{ it }}", chat_template_sha="f00d" * 10)
    own = read(tmp_path / "base", tmp_path / "tuned")
    assert {view.task for view in own.views} == {"colour", "yesno"}
    for view in own.views:
        item = int(view.item.partition("-")[0])
        assert view.x_prompt == f"{view.task} {item}?"
        assert (view.x_answer == view.target, view.y_answer == view.target) == (view.x_right, view.y_right)
    files = own_report.files(own, own_report.analyse(own), ["fewtune"], "two folders")
    page = files["index.html"].decode()
    for section in ("explorer", "confounds", "items", "power"):
        assert f'<section id="{section}">' in page
    assert "none | f00df00df00d" in page
    assert "What only tuned models solve" in page
