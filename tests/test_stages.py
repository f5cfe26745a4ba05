"""A study end to end, through the command line: run, run again, changed."""

from pathlib import Path

import pyarrow.parquet as pq
from small_study import STUDY, finish, start, tables


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


def test_the_second_run_computes_nothing_and_leaves_identical_tables(small_study: Path, undisturbed: Path) -> None:
    before = tables(undisturbed)
    process = start(small_study, undisturbed)
    output = finish(process)
    assert process.returncode == 0
    assert "0 cells computed, 38 reused, 0 failed" in output
    assert tables(undisturbed) == before


def test_a_changed_study_stops_and_says_what_changed(small_study: Path, undisturbed: Path, tmp_path: Path) -> None:
    changed = tmp_path / "small.yaml"
    changed.write_text(STUDY.replace("examples: 320", "examples: 352"))
    before = tables(undisturbed)
    process = start(changed, undisturbed)
    output = finish(process)
    assert process.returncode == 2
    assert "recipe.examples: 320 -> 352" in output
    assert "--replace" in output
    assert tables(undisturbed) == before
