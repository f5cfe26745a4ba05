"""Responses to items: both sides of a pair, joined by item."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pytest
from made_tables import World, scores

from app.analysis.pairing import items as of_items
from app.analysis.pairing.items import Asked, Items, items, margin
from app.analysis.pairing.pairs import Missing, pairs, without, without_baselines
from app.analysis.statistics import statistics
from app.study import Analysis

SMALL = World(families=2, bases=2, recipes=2, tasks=4)
COUNT = 6  # items of a task
OPTIONS = ("a", "b", "c")


def response(asked: Asked, seed: int = 0, count: int = COUNT) -> pa.Table:
    """Answers that depend on who is asked what under which seed, and nothing else."""
    rng = np.random.default_rng([seed, *(f"{asked.base} {asked.run} {asked.task} {asked.condition}".encode())])
    logprobs = rng.normal(size=(count, len(OPTIONS))) - 2
    return pa.table(
        {
            "item": [f"{asked.task} {at}" for at in range(count)],
            "options": [list(OPTIONS)] * count,
            "target": ["b"] * count,
            "logprobs": logprobs.tolist(),
            "choice_correct": (logprobs.argmax(1) == 1).tolist(),
            "prediction_correct": [True] * count,
            "prompt_tokens": [10 + at for at in range(count)],
        }
    )


def given(asked: Asked) -> Sequence[pa.Table]:
    return [response(asked)]


def made(responses: Callable[[Asked], Sequence[pa.Table]], analysis: Analysis = Analysis()) -> Items:  # noqa: B008
    return items(pairs(scores(SMALL), analysis).table, analysis, responses)


def changed(table: pa.Table, name: str, values: list[object]) -> pa.Table:
    field = table.schema.field(name)
    return table.set_column(table.schema.get_field_index(name), field, pa.array(values, field.type))


def test_every_item_of_every_pair_has_a_row_with_the_answers_of_all_three_sides() -> None:
    found = made(given)
    assert found.mismatched == []
    assert found.left_out == []
    assert found.table.num_rows == 2 * 2 * 2 * 4 * COUNT
    for row in found.table.to_pylist():
        at = int(row["item"].split()[-1])
        for side, run, condition in (
            ("x", None, "base-few-shot"),
            ("y", row["run"], "tuned-direct"),
            ("z", None, "base-zero-shot"),
        ):
            wanted = response(Asked(row["base"], run, row["task"], condition, "standard", None, ()))
            assert row[side] == float(wanted["choice_correct"][at].as_py())
        assert row["prompt_tokens"] == 10 + at
        assert row["options"] == 3
        assert (row["x_margin"] > 0) == (row["x"] == 1)  # choices are by summed log-probability


def test_a_base_is_asked_once_for_all_of_its_runs_and_only_for_what_is_needed() -> None:
    calls: list[Asked] = []

    def noted(asked: Asked) -> Sequence[pa.Table]:
        calls.append(asked)
        return [response(asked).select(list(asked.columns))]

    found = made(noted)
    assert found.table.num_rows == 2 * 2 * 2 * 4 * COUNT
    assert len(calls) == len(set(calls)) == 2 * 2 * 4 * (2 + 2)
    few_shot = next(asked for asked in calls if asked.condition == "base-few-shot")
    assert few_shot.columns == ("item", "choice_correct", "options", "logprobs", "target")
    assert few_shot.shots == 4
    assert {asked.shots for asked in calls if asked.condition != "base-few-shot"} == {None}


def test_the_order_does_not_depend_on_threads_nor_on_the_order_of_answers() -> None:
    def backwards(asked: Asked) -> Sequence[pa.Table]:
        whole = response(asked)
        return [whole.take(pa.array(range(COUNT - 1, -1, -1))) if asked.run else whole]

    alone = made(given)
    assert made(backwards).table.equals(alone.table)
    analysis = Analysis()
    with ThreadPoolExecutor(4) as pool:
        assert items(pairs(scores(SMALL), analysis).table, analysis, given, pool).table.equals(alone.table)


def test_x_is_a_share_over_seeds_and_the_first_seed_is_kept_apart() -> None:
    def seeds(asked: Asked) -> Sequence[pa.Table]:
        return [response(asked, seed) for seed in range(3)] if asked.condition == "base-few-shot" else given(asked)

    found = made(seeds)
    one = [row["x"] for row in made(given).table.to_pylist()]
    assert found.first["x"].to_pylist() == [value == 1 for value in one]
    shares = found.table["x"].to_numpy()
    assert set(np.round(3 * shares, 9)) == {0, 1, 2, 3}
    row = found.table.to_pylist()[0]
    asked = Asked(row["base"], None, row["task"], "base-few-shot", "standard", 4, ())
    margins = [margin(response(asked, seed))[0] for seed in range(3)]
    assert row["x_margin"] == pytest.approx(np.mean(margins), abs=1e-12)


def test_a_pair_whose_sides_hold_other_items_is_named_and_no_pair_any_more() -> None:
    run = "llama-32x2.full.s0"

    def other(asked: Asked) -> Sequence[pa.Table]:
        whole = response(asked)
        if (asked.run, asked.task) == (run, "task-01"):
            whole = changed(whole, "item", [*whole["item"].to_pylist()[:-1], "another"])
        return [whole]

    made_ = pairs(scores(SMALL), Analysis())
    found = items(made_.table, Analysis(), other)
    assert found.mismatched == [Missing("llama-32x2", run, "task-01", "x and y share 5 of 6 and 6 items")]
    assert found.table.num_rows == (2 * 2 * 2 * 4 - 1) * COUNT
    (told,) = of_items.mismatched(found)
    assert told.startswith(f"{run} on the task task-01: x and y share 5 of 6")
    kept = without(made_, found.mismatched)
    assert kept.table.num_rows == made_.table.num_rows - 1
    assert kept.missing == found.mismatched
    assert without(made_, []).table.equals(made_.table)


def test_a_baseline_that_holds_other_items_is_named_and_left_out_of_its_pairs_alone() -> None:
    base = "llama-32x2"

    def other(asked: Asked) -> Sequence[pa.Table]:
        whole = response(asked)
        if (asked.base, asked.task, asked.condition) == (base, "task-01", "base-zero-shot"):
            whole = changed(whole, "item", [*whole["item"].to_pylist()[:-1], "another"])
        return [whole]

    made_ = pairs(scores(SMALL), Analysis())
    found = items(made_.table, Analysis(), other)
    assert found.mismatched == []
    named = {(one.base, one.task) for one in found.other_baselines}
    assert named == {(base, "task-01")}
    assert {one.reason for one in found.other_baselines} == {"z holds 5 of the 6 items of x"}
    assert "evaluate the baseline on the same items" in of_items.mismatched(found)[0]
    kept = without_baselines(made_, found.other_baselines)
    for before, after in zip(made_.table.to_pylist(), kept.table.to_pylist(), strict=True):
        if (before["base"], before["task"]) in named:
            assert after["z"] is after["z_raw"] is after["z_stderr"] is None
            assert "z" not in after["floor"] + after["ceiling"]
        else:
            assert after == before
    assert kept.table.schema.equals(made_.table.schema, check_metadata=True)
    assert without_baselines(made_, []).table.equals(made_.table)
    assert statistics(scores(SMALL), made_, found, Analysis(), "made").tables["pairs"].equals(kept.table)


@pytest.mark.parametrize(
    ("condition", "table", "reason"),
    [
        ("base-few-shot", lambda a: [pa.concat_tables([response(a), response(a)])], "x answered an item twice"),
        ("base-few-shot", lambda a: [response(a), response(a, 1, 5)], "x has other items for some seed"),
        ("tuned-direct", lambda a: [response(a, 0, 5)], "x and y share 5 of 6 and 5 items"),
    ],
)
def test_items_that_cannot_be_joined_are_a_mismatch(
    condition: str, table: Callable[[Asked], Sequence[pa.Table]], reason: str
) -> None:
    found = made(lambda asked: table(asked) if asked.condition == condition else given(asked))
    assert found.table.num_rows == 0
    assert len(found.mismatched) == 2 * 2 * 2 * 4
    assert all(one.reason.startswith(reason) for one in found.mismatched)


def test_pairs_without_responses_stay_pairs_and_are_told_by_task() -> None:
    found = made(lambda asked: [] if asked.task == "task-02" and asked.run else given(asked))
    assert found.mismatched == []
    assert [(one.task, one.pairs, one.reason) for one in found.left_out] == [("task-02", 8, "y has no responses")]
    assert "task-02" not in found.table["task"].to_pylist()


def test_a_metric_that_is_not_right_or_wrong_per_item_is_left_out_but_its_items_are_compared() -> None:
    table = pairs(scores(SMALL), Analysis()).table
    f1 = changed(table, "metric", ["f1"] * table.num_rows)
    asked: list[Asked] = []

    def noted(one: Asked) -> Sequence[pa.Table]:
        asked.append(one)
        return given(one)

    found = items(f1, Analysis(), noted)
    assert found.table.num_rows == 0
    assert {(one.task, one.pairs) for one in found.left_out} == {(f"task-0{at}", 8) for at in range(4)}
    assert {one.reason for one in found.left_out} == {"f1 is not right or wrong for each item"}
    assert {one.columns for one in asked} == {("item",)}
    short = items(f1, Analysis(), lambda one: [response(one, 0, 5 if one.run else 6)])
    assert len(short.mismatched) == f1.num_rows


def test_exact_match_reads_the_extracted_answers() -> None:
    found = made(given, Analysis(metric="exact_match"))
    assert set(found.table["x"].to_pylist()) == {1.0}
    assert set(found.table["metric"].to_pylist()) == {"exact_match"}


def test_a_zero_shot_side_that_is_absent_or_of_other_items_is_null() -> None:
    for analysis, responses in (
        (Analysis(baseline=None), given),
        (Analysis(), lambda a: [] if a.condition == "base-zero-shot" else given(a)),
        (Analysis(), lambda a: [response(a, 0, 5 if a.condition == "base-zero-shot" else 6)]),
    ):
        found = made(responses, analysis)
        assert found.table["z"].null_count == found.table.num_rows == 2 * 2 * 2 * 4 * COUNT


def test_items_without_options_have_neither_margin_nor_judgement() -> None:
    def open_ended(asked: Asked) -> Sequence[pa.Table]:
        whole = response(asked)
        for name, nothing in (("options", []), ("logprobs", []), ("choice_correct", None)):
            whole = changed(whole, name, [nothing, *whole[name].to_pylist()[1:]])
        return [whole]

    first = made(open_ended).table.to_pylist()[0]
    assert [first[name] for name in ("x", "y", "z", "x_margin", "options")] == [None] * 5


def test_the_margin_is_the_right_option_less_the_best_wrong_one() -> None:
    table = pa.table(
        {
            "options": [["a", "b", "c"], ["a"], ["a", "b"], [], ["a", "b"]],
            "target": ["b", "a", "z", "a", "a"],
            "logprobs": [[-3.0, -1.5, -2.0], [-1.0], [-1.0, -2.0], [], [-4.0, -1.0]],
            "choice_correct": [True, True, False, None, False],
        }
    )
    np.testing.assert_allclose(margin(table), [0.5, np.nan, np.nan, np.nan, -3.0])
    assert margin(table.slice(4)).tolist() == [-3.0]
    assert margin(table.slice(0, 0)).size == 0


def test_another_right_option_that_was_chosen_is_no_wrong_one() -> None:
    table = pa.table(
        {
            "options": [["a", "b", "c"]] * 2 + [["a", "b"]],
            "target": ["a"] * 3,
            "logprobs": [[-2.0, -1.0, -4.0]] * 2 + [[-1.0, -1.0]],
            "choice_correct": [True, False, True],
        }
    )
    np.testing.assert_allclose(margin(table), [3.0, -1.0, 0.0])


def test_no_pairs_make_no_items() -> None:
    found = items(pairs(scores(SMALL), Analysis()).table.slice(0, 0), Analysis(), given)
    assert found.table.num_rows == found.first.num_rows == 0
