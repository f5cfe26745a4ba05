"""Scores to pairs."""

import math

import pyarrow as pa
import pytest
from made_tables import World, scores

from app import tables
from app.analysis.pairs import chance_corrected, pairs
from app.errors import StoreError
from app.study import Analysis

SMALL = World(families=2, bases=2, recipes=2, tasks=4)


def changed(table: pa.Table, change: object) -> pa.Table:
    rows = []
    for row in table.to_pylist():
        rows += change(row)
    return tables.build("scores", rows)


def test_every_run_and_task_becomes_one_pair_of_chance_corrected_scores() -> None:
    found = pairs(scores(SMALL), Analysis())
    assert found.missing == []
    assert found.table.num_rows == 2 * 2 * 2 * 4
    for row in found.table.to_pylist():
        assert math.isclose(row["x"], (row["x_raw"] - row["chance"]) / (1 - row["chance"]), abs_tol=1e-12)
        assert math.isclose(row["y"], (row["y_raw"] - row["chance"]) / (1 - row["chance"]), abs_tol=1e-12)
        assert row["metric"] == "accuracy"
        assert (row["x_condition"], row["y_condition"], row["x_shots"]) == ("base-few-shot", "tuned-direct", 4)


def test_scores_below_chance_stay_negative() -> None:
    assert chance_corrected(0.25, 0.5) == -0.5
    table = changed(scores(SMALL), lambda row: [row | {"value": 0.2, "chance": 0.25}])
    assert max(pairs(table, Analysis()).table["z"].to_pylist()) < 0


def test_a_named_metric_replaces_the_primary_one() -> None:
    table = pairs(scores(SMALL), Analysis(metric="exact_match")).table
    assert set(table["metric"].to_pylist()) == {"exact_match"}
    assert table["x"].to_pylist() == table["x_raw"].to_pylist()


def test_an_unknown_metric_is_refused_with_the_known_ones() -> None:
    with pytest.raises(StoreError, match="accuracy, exact_match"):
        pairs(scores(SMALL), Analysis(metric="bleu"))


def test_few_shot_scores_are_averaged_over_the_seeds_of_their_demonstrations() -> None:
    def twice(row: dict[str, object]) -> list[dict[str, object]]:
        if row["condition"] != "base-few-shot":
            return [row]
        return [row | {"value": 0.5, "shot_seed": 0}, row | {"value": 0.7, "shot_seed": 1}]

    found = pairs(changed(scores(SMALL), twice), Analysis())
    assert {round(value, 12) for value in found.table["x_raw"].to_pylist()} == {0.6}
    assert found.missing == []


def test_the_largest_count_of_demonstrations_is_taken_unless_another_is_asked_for() -> None:
    def more(row: dict[str, object]) -> list[dict[str, object]]:
        return [row, row | {"shots": 1, "value": 0.125}] if row["condition"] == "base-few-shot" else [row]

    table = changed(scores(SMALL), more)
    assert set(pairs(table, Analysis()).table["x_shots"].to_pylist()) == {4}
    assert set(pairs(table, Analysis(shots=1)).table["x_raw"].to_pylist()) == {0.125}


def test_a_pair_that_lacks_a_side_is_left_out_and_listed_with_the_reason() -> None:
    lost = ("llama-32x2", "task-01")
    table = changed(
        scores(SMALL),
        lambda row: [] if (row["base"], row["task"], row["condition"]) == (*lost, "base-few-shot") else [row],
    )
    found = pairs(table, Analysis())
    assert [(m.base, m.task, m.reason) for m in found.missing] == [(*lost, "x not scored")] * 2
    assert found.table.num_rows == 2 * 2 * 2 * 4 - 2


def test_a_base_without_any_tuned_model_is_listed_too() -> None:
    table = changed(scores(SMALL), lambda row: [] if row["base"] == "llama-32x2" and row["run"] else [row])
    found = pairs(table, Analysis())
    assert {(m.base, m.run, m.reason) for m in found.missing} == {("llama-32x2", None, "y not scored")}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"value": math.nan}, "y is not a number"),
        ({"n": 7}, "x was scored on 100 items, y on 7"),
        ({"chance": 0.9}, "chance level"),
    ],
)
def test_sides_that_cannot_be_compared_are_no_pair(change: dict[str, object], reason: str) -> None:
    table = changed(scores(SMALL), lambda row: [row | change] if row["run"] else [row])
    found = pairs(table, Analysis())
    assert found.table.num_rows == 0
    assert all(reason in m.reason for m in found.missing)


def test_without_a_baseline_z_is_null() -> None:
    assert pairs(scores(SMALL), Analysis(baseline=None)).table["z"].null_count == 32


def test_a_score_given_twice_is_refused_and_named() -> None:
    table = scores(SMALL)
    with pytest.raises(StoreError, match="two rows for base llama-32x2"):
        pairs(pa.concat_tables([table, table.slice(0, 1)]), Analysis())


def test_no_scores_make_no_pairs() -> None:
    found = pairs(scores(SMALL).slice(0, 0), Analysis())
    assert found.table.num_rows == 0
    assert found.missing == []


def test_two_conditions_of_the_base_itself_make_pairs_without_a_run() -> None:
    found = pairs(scores(SMALL), Analysis(x="base-zero-shot", y="base-few-shot", baseline=None))
    assert found.table.num_rows == 2 * 2 * 4
    assert found.table["run"].null_count == 16
