"""Pairs to correlations: levels, intervals, and what is refused instead of computed."""

import math

import numpy as np
import pyarrow as pa
import pytest
from made_tables import World, scores
from scipy import stats

from app import tables
from app.analysis.estimation import grid as grids
from app.analysis.estimation.correlation import correlations, of_wordings
from app.analysis.pairing.pairs import pairs
from app.analysis.vocabulary import FLOOR_FILTER
from app.errors import StoreError
from app.study import Analysis

MEDIUM = World(families=6, bases=2, recipes=2, tasks=12)


def made(world: World, analysis: Analysis | None = None) -> pa.Table:
    return pairs(scores(world), analysis or Analysis()).table


def found(table: pa.Table, analysis: Analysis | None = None, **wanted: str) -> list[dict[str, object]]:
    rows = correlations(table, analysis or Analysis(), "made").to_pylist()
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def only(table: pa.Table, analysis: Analysis | None = None, **wanted: str) -> dict[str, object]:
    rows = found(table, analysis, **{"filter": "all", "method": "pearson", "x": "base-few-shot"} | wanted)
    assert len(rows) == 1
    return rows[0]


def edited(table: pa.Table, change: object) -> pa.Table:
    return tables.build("pairs", [change(row) for row in table.to_pylist()])


@pytest.fixture(scope="module")
def medium() -> pa.Table:
    return made(MEDIUM)


def test_pooled_estimates_are_scipys(medium: pa.Table) -> None:
    # Rounded: scores that are equal on paper, such as (.4 - .25) / .75 and .2, count as ties.
    x, y, z = (medium[name].to_numpy().round(12) for name in "xyz")
    rows = {(row["method"], row["x"]): row["estimate"] for row in found(medium, filter="all", level="pooled")}
    for method, function in (("pearson", stats.pearsonr), ("spearman", stats.spearmanr), ("kendall", stats.kendalltau)):
        few, zero = rows[method, "base-few-shot"], rows[method, "base-zero-shot"]
        assert abs(few - function(x, y)[0]) < 1e-9
        assert abs(zero - function(z, y)[0]) < 1e-9
        delta = rows[f"{method}-delta", "base-few-shot - base-zero-shot"]
        assert abs(delta - (few - zero)) < 1e-12


def test_model_and_task_levels_correlate_means(medium: pa.Table) -> None:
    frame = medium.to_pandas()
    for level, key in (("model", "run"), ("task", "task")):
        means = frame.groupby(key)[["x", "y"]].mean()
        assert abs(only(medium, level=level)["estimate"] - stats.pearsonr(means["x"], means["y"])[0]) < 1e-9


def test_doubly_centred_estimates_ignore_easy_tasks_and_strong_models(medium: pa.Table) -> None:
    task, base = ({name: i for i, name in enumerate(sorted(set(medium[key].to_pylist())))} for key in ("task", "base"))
    shifted = edited(medium, lambda row: row | {"x": row["x"] + 5 * task[row["task"]] - 2 * base[row["base"]]})
    before, after = (only(table, level="doubly_centred")["estimate"] for table in (medium, shifted))
    assert abs(before - after) < 1e-9
    assert abs(only(medium, level="pooled")["estimate"] - only(shifted, level="pooled")["estimate"]) > 0.05


def test_every_estimate_lies_in_its_interval_and_names_its_method(medium: pa.Table) -> None:
    rows = found(medium, filter="all")
    assert {row["level"] for row in rows} == {"pooled", "within_task", "doubly_centred", "model", "task"}
    for row in rows:
        assert row["ci_low"] < row["estimate"] < row["ci_high"], row
        assert row["interval"].startswith("jack2 by family")
        assert (row["p_value"] < 0.05) == (row["ci_low"] > 0 or row["ci_high"] < 0)
        assert (row["n"], row["n_clusters"], row["n_tasks"]) == (24 * 12, 6, 12)


def test_subsets_are_roles_exposure_families_left_out_families_and_tasks(medium: pa.Table) -> None:
    filters = {row["filter"] for row in found(medium)}
    assert {"all", "role=evaluate", "role=tune", "tuned_on=false", "tuned_on=true", FLOOR_FILTER} <= filters
    assert {"family=llama", "family!=llama", "task=task-00"} <= filters
    assert only(medium, filter="role=tune", level="pooled")["n"] == 24 * 6
    assert only(medium, filter="task=task-00", level="pooled")["n"] == 24


def test_runs_and_mixtures_are_subsets_where_there_are_several(medium: pa.Table) -> None:
    rows = found(medium, level="pooled", x="base-few-shot")
    runs = {row["filter"]: row for row in rows if row["filter"].startswith("run=") and row["method"] == "spearman"}
    assert len(runs) == 24
    run, row = next(iter(runs.items()))
    mine = medium.to_pandas().query("run == @run", local_dict={"run": run.removeprefix("run=")})
    assert row["estimate"] == pytest.approx(stats.spearmanr(mine["x"].round(12), mine["y"].round(12))[0], abs=1e-12)
    assert (row["n"], row["n_tasks"]) == (12, 12)
    assert not any(row["filter"].startswith("mixture=") for row in rows)
    narrow = edited(medium, lambda r: r | {"mixture": "cluster:list"} if r["recipe"] == "lora" else r)
    assert {
        r["filter"]: r["n"]
        for r in found(narrow, level="doubly_centred", x="base-few-shot")
        if "mixture" in r["filter"]
    } == {"mixture=cluster:list": 144, "mixture=set:tune": 144}
    lora = only(narrow, filter="recipe=lora", level="doubly_centred")
    assert only(narrow, filter="mixture=cluster:list", level="doubly_centred")["ci_low"] == lora["ci_low"]


def test_each_wording_is_paired_with_itself_and_has_rows_of_its_own() -> None:
    small = MEDIUM._replace(bases=1, recipes=1)
    standard = scores(small)
    assert of_wordings(standard, Analysis(), "made") == []
    closed = [row | {"wording": "closed", "value": row["value"] ** 2} for row in standard.to_pylist()]
    both = tables.build("scores", standard.to_pylist() + closed)
    rows = tables.build("correlations", of_wordings(both, Analysis(), "made")).to_pylist()
    assert {row["filter"] for row in rows} == {"wording=standard", "wording=closed"}
    by = {(row["filter"], row["level"], row["x"]): row for row in rows}
    own = pairs(tables.build("scores", closed), Analysis()).table
    for level in ("pooled", "within_task", "doubly_centred"):
        for wording, table in (("standard", made(small)), ("closed", own)):
            row, alone = by[f"wording={wording}", level, "base-few-shot"], only(table, level=level)
            assert [row[name] for name in ("estimate", "ci_low", "n")] == [
                alone[n] for n in ("estimate", "ci_low", "n")
            ]
    table = correlations(made(small), Analysis(), "made", of_wordings(both, Analysis(), "made"))
    tests = {row["tests"] for row in table.to_pylist() if row["filter"].startswith("wording=")}
    assert tests == {
        f"{m} of {x}, wording"
        for m, x in (
            ("pearson", "base-few-shot"),
            ("pearson", "base-zero-shot"),
            ("pearson-delta", "base-few-shot - base-zero-shot"),
        )
    }


def test_fewer_than_ten_tasks_give_no_interval() -> None:
    row = only(made(MEDIUM._replace(tasks=9)), level="pooled")
    assert row["estimate"] is not None
    assert row["ci_low"] is row["p_value"] is None
    assert row["interval"] == "none"
    assert "9 tasks" in row["note"]


def test_fewer_than_five_families_are_descriptive_only_unless_bases_are_the_clusters() -> None:
    table = made(MEDIUM._replace(families=3))
    by_family = only(table, level="pooled")
    assert by_family["ci_low"] is None
    assert "descriptive only" in by_family["note"]
    by_base = only(table, Analysis(cluster_by="base"), level="pooled")
    assert by_base["ci_low"] < by_base["estimate"]
    assert by_base["n_clusters"] == 6
    assert "treats bases as independent" in by_base["note"]


def test_one_model_has_no_within_task_or_doubly_centred_estimate() -> None:
    table = made(World(families=1, bases=1, recipes=1, tasks=12))
    for level in ("within_task", "doubly_centred", "model"):
        row = only(table, level=level)
        assert row["estimate"] is None
        assert row["note"].startswith("not estimable")
    assert only(table, level="pooled")["ci_low"] is None


@pytest.mark.parametrize(
    ("world", "why"),
    [
        (World(families=1, bases=1, recipes=1, tasks=3), "one base model, so nothing can be said of base models"),
        (World(families=1, bases=1, recipes=3, tasks=12), "one base model, so nothing can be said of base models"),
        (MEDIUM._replace(tasks=1), "one task, so nothing can be said of tasks"),
    ],
)
def test_one_model_or_one_task_is_a_sentence_and_never_a_number(world: World, why: str) -> None:
    rows = [row for row in found(made(world)) if not row["filter"].startswith("run=")]
    assert rows
    for row in rows:
        assert [row[name] for name in ("estimate", "ci_low", "p_value", "p_permutation")] == [None] * 4
        assert row["note"].startswith("not estimable: ")
    assert only(made(world), level="pooled")["note"].startswith(f"not estimable: {why}")


def test_one_family_is_described_and_nothing_is_inferred_from_it() -> None:
    table = made(World(families=1, bases=4, recipes=1, tasks=12))
    rows = [row for row in found(table) if row["estimate"] is not None]
    assert rows
    for row in rows:
        assert [row[name] for name in ("ci_low", "p_value", "boot_low", "p_permutation", "p_holm")] == [None] * 5
        assert row["note"].startswith("descriptive only: 1 family, an interval needs 5")


def test_constant_scores_are_never_a_number(medium: pa.Table) -> None:
    for side in "xy":
        rows = found(edited(medium, lambda row, side=side: row | {side: 0.25}), x="base-few-shot")
        assert rows
        assert all(row["estimate"] is None and "not estimable" in row["note"] for row in rows)


def test_a_task_on_which_all_score_alike_is_left_out_and_named(medium: pa.Table) -> None:
    row = only(edited(medium, lambda r: r | {"y": 0.0} if r["task"] == "task-03" else r), level="doubly_centred")
    assert row["n_tasks"] == 11
    assert "1 task without variance left out: task-03" in row["note"]


def test_a_missing_cell_is_told_and_takes_no_other_with_it(medium: pa.Table) -> None:
    for level in ("pooled", "within_task", "doubly_centred", "model", "task"):
        whole, holed = only(medium, level=level), only(medium.slice(1), level=level)
        assert (holed["n"], holed["n_tasks"], holed["n_clusters"]) == (287, 12, whole["n_clusters"])
        assert holed["note"] == "no pair in 1 of 288 cells"
        for name in ("estimate", "ci_low", "ci_high", "boot_low", "boot_high"):
            assert holed[name] == pytest.approx(whole[name], abs=0.05)


def test_recipes_with_no_task_in_common_have_no_correlation_of_means(medium: pa.Table) -> None:
    recipes = sorted(set(medium["recipe"].to_pylist()))
    keep = [row for row in medium.to_pylist() if (row["task"] < "task-06") == (row["recipe"] == recipes[0])]
    found = correlations(tables.build("pairs", keep), Analysis(), "made").to_pylist()
    for level in ("model", "task"):
        row = next(row for row in found if (row["level"], row["method"], row["filter"]) == (level, "pearson", "all"))
        assert (row["estimate"], row["ci_low"], row["boot_low"]) == (None, None, None)
        assert row["note"].startswith("not estimable: groups of runs and tasks have no cell in common")
    wanted = ("doubly_centred", "pearson", "all", "base-few-shot")
    (row,) = (row for row in found if (row["level"], row["method"], row["filter"], row["x"]) == wanted)
    assert row["estimate"] is not None


def test_a_model_without_the_baseline_is_named_where_the_baseline_is_needed(medium: pa.Table) -> None:
    first = medium["run"][0].as_py()
    holed = edited(medium, lambda row: row | {"z": None} if row["run"] == first else row)
    without, rival = only(holed, level="pooled"), only(holed, level="pooled", x="base-zero-shot")
    assert (without["n"], without["note"]) == (288, "")
    assert (rival["n"], rival["note"]) == (276, f"no pair in 12 of 288 cells; 1 run without a pair left out: {first}")


def test_a_task_that_few_runs_have_is_left_out_instead_of_the_runs(medium: pa.Table) -> None:
    keep = [row for i, row in enumerate(medium.to_pylist()) if row["task"] != "task-05" or i < 20]
    row = only(tables.build("pairs", keep), level="doubly_centred")
    assert (row["n"], row["n_tasks"]) == (24 * 11, 11)


def greedy(present: np.ndarray) -> int:
    """Cells of the complete part that leaving out the fullest of holes comes to."""
    while not present.all():
        rows, columns = 1 - present.mean(1), 1 - present.mean(0)
        row = rows.max() >= columns.max()
        present = np.delete(present, int((rows if row else columns).argmax()), 0 if row else 1)
    return present.size


def test_scattered_holes_leave_a_complete_part_no_smaller_than_one_order_does() -> None:
    kept, plain = [], []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        present = rng.random((90, 30)) >= 0.1
        row, column = np.nonzero(present)
        x, y = rng.random((2, len(row)))
        names = [np.char.zfill(numbers.astype(np.str_), 2) for numbers in (row, column, row // 15)]
        found = grids.complete(grids.Cells(*names, x, y, np.full(len(row), np.nan)), rival=False)
        runs, tasks = (np.array(one, np.int64) for one in (found.runs, found.tasks))
        assert present[np.ix_(runs, tasks)].all()
        kept.append(runs.size * tasks.size)
        plain.append(greedy(present))
    assert all(one >= other for one, other in zip(kept, plain, strict=True))
    assert sum(kept) > 1.05 * sum(plain)


def test_a_score_that_is_not_a_number_counts_as_missing(medium: pa.Table) -> None:
    rows = medium.to_pylist()
    rows[5]["x"] = math.nan
    row = only(tables.build("pairs", rows), level="pooled")
    assert row["n"] == 287
    assert np.isfinite(row["estimate"])


def test_a_pair_given_twice_is_refused(medium: pa.Table) -> None:
    with pytest.raises(StoreError, match="two rows"):
        correlations(pa.concat_tables([medium, medium.slice(3, 1)]), Analysis(), "made")


def test_no_pairs_make_estimates_of_nothing(medium: pa.Table) -> None:
    rows = found(medium.slice(0, 0))
    assert all(row["estimate"] is None and row["n"] == 0 for row in rows)


def test_without_a_baseline_no_rival_and_no_difference_appear() -> None:
    analysis = Analysis(baseline=None)
    rows = found(made(MEDIUM, analysis), analysis)
    assert {row["x"] for row in rows} == {"base-few-shot"}


def test_an_exact_copy_has_an_estimate_of_one_and_no_interval(medium: pa.Table) -> None:
    row = only(edited(medium, lambda r: r | {"y": r["x"]}), level="pooled")
    assert abs(row["estimate"] - 1) < 1e-12
    assert row["interval"] == "none"


def test_bases_of_one_family_are_described_only_at_the_levels_on_which_they_are_alike() -> None:
    table = made(MEDIUM._replace(families=3))
    for level, told in (("within_task", True), ("model", True), ("doubly_centred", False), ("pooled", False)):
        row = only(table, Analysis(cluster_by="base"), level=level)
        assert row["estimate"] is not None
        assert (row["ci_low"] is None) == (row["p_value"] is None) == told
        assert row["note"].startswith("descriptive only: 6 base models of 3 families are not independent") == told
    alone = made(World(families=6, bases=1, recipes=2, tasks=12))
    assert only(alone, Analysis(cluster_by="base"), level="within_task")["ci_low"] is not None


def test_what_cannot_be_held_fixed_is_told(medium: pa.Table) -> None:
    name = "base-few-shot | base-zero-shot, log params, chance"
    rows = {row["level"]: row for row in found(medium, filter="all", x=name)}
    assert set(rows) == {"pooled", "within_task"}
    assert rows["pooled"]["note"] == ""
    assert rows["within_task"]["note"] == "without variance at this level, so not held fixed: chance"
    unsized = edited(medium, lambda row: row | {"params": 0} if row["family"] == "llama" else row)
    rows = found(unsized, filter="all", x=name)
    assert [row["estimate"] for row in rows] == [None, None]
    assert all(row["note"] == "not estimable: the size of some model is not known" for row in rows)


def test_families_swap_predictors_also_where_bases_are_the_clusters(medium: pa.Table) -> None:
    wanted = {"level": "doubly_centred", "method": "pearson-delta", "x": "base-few-shot - base-zero-shot"}
    by_family, by_base = (only(medium, Analysis(cluster_by=by), **wanted) for by in ("family", "base"))
    assert by_family["p_permutation"] == by_base["p_permutation"]
    assert by_family["boot_low"] != by_base["boot_low"]


def test_the_bootstrap_is_refused_where_many_draws_are_undefined() -> None:
    table = made(World(families=5, bases=1, recipes=1, tasks=12))
    row = only(table, level="model")  # a tenth of the draws of five models holds only one or two different ones
    assert row["ci_low"] < row["ci_high"]
    assert row["boot_low"] is row["boot_high"] is None
    assert "more than 1 % of its draws are undefined" in row["note"]
    assert only(table, level="pooled")["boot_low"] is not None


def test_the_same_pairs_in_another_order_give_the_same_table(medium: pa.Table) -> None:
    order = np.random.default_rng(1).permutation(medium.num_rows)
    assert correlations(medium.take(order), Analysis(), "made").equals(correlations(medium, Analysis(), "made"))
