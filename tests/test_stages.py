"""A study end to end, through the command line: run in a process of its own, then again and changed in this one."""

from pathlib import Path

import pyarrow.parquet as pq
from in_process import fewtune
from small_study import STUDY, tables

from app.models.source import device_name
from app.store import Store


def test_a_run_leaves_one_score_row_for_each_metric_of_each_evaluation(undisturbed: Path) -> None:
    scores = pq.read_table(undisturbed / "tables" / "scores.parquet").to_pandas()
    # 2 base models under 2 conditions and 4 tuned models under 1, on 4 tasks; 4 metrics each.
    assert len(scores) == (2 * 2 + 4) * 4 * 4
    assert scores.value.between(0, 1).all()
    assert (scores.n == 12).all()
    assert set(scores.condition) == {"base-zero-shot", "base-few-shot", "tuned-direct"}
    assert all((mixture is None) == (run is None) for mixture, run in zip(scores.mixture, scores.run, strict=True))
    assert set(scores.mixture.dropna()) == {"set:tune"}


def test_both_sides_of_a_pair_saw_the_same_items_in_the_same_order(undisturbed: Path) -> None:
    responses = undisturbed / "tables" / "responses"
    for task in ("first", "last", "plural", "antonym"):
        seen = {tuple(pq.read_table(f)["item"].to_pylist()) for f in responses.rglob(f"{task}.parquet")}
        assert len(seen) == 1


def test_every_record_names_the_processor_since_another_rounds_otherwise(undisturbed: Path) -> None:
    records = Store(undisturbed).records()
    assert {record.kind for record in records.values()} == {"pretrain", "tune", "evaluate"}
    assert {record.environment["device"] for record in records.values()} == {device_name("cpu")}


def test_the_second_run_computes_nothing_and_leaves_identical_tables(
    small_study: Path, undisturbed: Path, ray_session: None
) -> None:
    before = tables(undisturbed)
    answer = fewtune("run", small_study, "--store", undisturbed)
    assert answer.returncode == 0, answer
    assert "0 cells computed, 38 reused, 0 failed" in answer.stdout
    assert tables(undisturbed) == before


def test_a_changed_study_stops_and_says_what_changed(undisturbed: Path, tmp_path: Path, ray_session: None) -> None:
    changed = tmp_path / "small.yaml"
    changed.write_text(STUDY.replace("examples: 320", "examples: 352"))
    before = tables(undisturbed)
    answer = fewtune("run", changed, "--store", undisturbed)
    assert answer.returncode == 2
    assert "recipe.examples: 320 -> 352" in answer.stderr
    assert "--replace" in answer.stderr
    assert tables(undisturbed) == before
