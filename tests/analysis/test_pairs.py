"""Scores to pairs."""

import math

import pyarrow as pa
import pytest
from made_tables import World, scores

from app import tables
from app.analysis.pairing.pairs import Missing, answered_by, chance_corrected, pairs, without
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


def test_pairs_that_turn_out_to_be_none_are_taken_out_and_listed() -> None:
    found = pairs(scores(SMALL), Analysis())
    row = found.table.to_pylist()[5]
    gone = Missing(row["base"], row["run"], row["task"], "x and y share 99 of 100 and 100 items")
    kept = without(found, [gone, Missing("another", None, "task-01", "no pair at all")])
    assert kept.missing == [gone]
    assert kept.table.to_pylist() == [r for r in found.table.to_pylist() if r != row]


def test_a_pair_takes_the_base_models_own_scores_under_its_own_conditions() -> None:
    assert answered_by("run", "base-few-shot") is answered_by("run", "gold-pipeline") is None
    assert answered_by("run", "tuned-direct") == answered_by("run", "samplegen-pipeline") == "run"


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


def test_a_baseline_with_demonstrations_is_found() -> None:
    found = pairs(scores(SMALL), Analysis(x="base-zero-shot", baseline="base-few-shot"))
    usual = pairs(scores(SMALL), Analysis())
    assert found.table["z"].to_pylist() == usual.table["x"].to_pylist()


def test_a_baseline_of_fewer_seeds_or_another_chance_level_is_none() -> None:
    first = pairs(scores(SMALL), Analysis()).table.to_pylist()[0]
    mine = {name: first[name] for name in ("base", "task")} | {"condition": "base-zero-shot"}

    def several(row: Row) -> list[Row]:
        alone = all(row[name] == value for name, value in mine.items())
        return [row] if alone or row["condition"] != "base-zero-shot" else [row, row | {"shot_seed": 1}]

    def guessed(row: Row) -> list[Row]:
        return [row | {"chance": row["chance"] + 0.01} if all(row[n] == v for n, v in mine.items()) else row]  # type: ignore[operator]

    for change in (several, guessed):
        made = pairs(changed(scores(SMALL), change), Analysis()).table.to_pylist()
        lost = {(row["base"], row["task"]) for row in made if row["z"] is None}
        assert lost == {(mine["base"], mine["task"])}


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


Row = dict[str, object]


def reworded(row: Row) -> list[Row]:
    """The row as it is, and in another wording with another value."""
    return [row, row | {"wording": "closed", "value": 0.75}]


def test_pairs_are_of_one_wording_the_first_unless_another_is_asked_for() -> None:
    table = changed(scores(SMALL), reworded)
    first = pairs(table, Analysis())
    assert first.missing == []
    assert first.table.equals(pairs(scores(SMALL), Analysis()).table)
    assert set(first.table["wording"].to_pylist()) == {"standard"}
    closed = pairs(table, Analysis(wording="closed")).table
    assert set(closed["wording"].to_pylist()) == {"closed"}
    assert {*closed["x_raw"].to_pylist(), *closed["y_raw"].to_pylist()} == {0.75}
    assert closed.num_rows == first.table.num_rows


def written(row: Row) -> list[Row]:
    """The recipe lora writes worked examples; what it writes is also passed on to its base model."""
    if row["recipe"] != "lora":
        return [row]
    own = row | {"format": "samplegen", "condition": "samplegen-direct", "shots": 2}
    return [own, own | {"condition": "samplegen-pipeline", "value": 0.875}]


def test_each_recipe_is_paired_in_the_format_that_it_was_tuned_on() -> None:
    table = changed(scores(SMALL), written)
    found = pairs(table, Analysis(y="direct"))
    assert found.missing == []
    assert {(row["recipe"], row["y_condition"], row["format"]) for row in found.table.to_pylist()} == {
        ("full", "tuned-direct", "regular"),
        ("lora", "samplegen-direct", "samplegen"),
    }
    before = {(row["run"], row["task"]): row["y"] for row in pairs(scores(SMALL), Analysis()).table.to_pylist()}
    assert {(row["run"], row["task"]): row["y"] for row in found.table.to_pylist()} == before


def test_a_pipeline_is_paired_by_the_run_that_wrote_for_it() -> None:
    table = changed(scores(SMALL), written)
    found = pairs(table, Analysis(y="samplegen-pipeline"))
    assert set(found.table["recipe"].to_pylist()) == {"lora"}
    assert set(found.table["y_raw"].to_pylist()) == {0.875}
    both = pairs(table, Analysis(x="samplegen-pipeline", y="samplegen-direct", baseline=None))
    assert set(both.table["x_raw"].to_pylist()) == {0.875}
    assert both.table.num_rows == found.table.num_rows == 2 * 2 * 4
    assert both.missing == []


def test_worked_examples_of_a_gold_pipeline_count_as_demonstrations() -> None:
    def gold(row: Row) -> list[Row]:
        return [row | {"condition": "gold-pipeline", "shots": 2}] if row["condition"] == "base-few-shot" else [row]

    found = pairs(changed(scores(SMALL), gold), Analysis(x="gold-pipeline"))
    assert found.missing == []
    assert set(found.table["x_shots"].to_pylist()) == {2}


def test_scores_are_corrected_towards_the_best_value_of_the_metric() -> None:
    assert chance_corrected(0.5, 0.0, 2.0) == 0.25
    table = changed(scores(SMALL), lambda row: [row | {"high": 2.0}])
    for row in pairs(table, Analysis()).table.to_pylist():
        assert math.isclose(row["x"], (row["x_raw"] - row["chance"]) / (2 - row["chance"]), abs_tol=1e-12)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"high": math.inf, "metric": "word_edit_distance"}, "word_edit_distance has no best value"),
        ({"chance": 1.0, "value": 1.0}, "chance is the best value: every answer is right"),
    ],
)
def test_scores_that_cannot_be_corrected_for_chance_are_no_pair(change: Row, reason: str) -> None:
    table = changed(scores(SMALL), lambda row: [row | change] if row["primary"] else [])
    found = pairs(table, Analysis())
    assert found.table.num_rows == 0
    assert all(m.reason.startswith(reason) for m in found.missing)
