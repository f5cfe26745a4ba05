"""What leaving tasks out of pretraining changes, on made scores and by hand."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from made_tables import World, scores
from scipy import stats

from app import tables
from app.analysis.estimation.limit import Cell, between, limits
from app.study import Analysis

FAMILIES = {"llama", "neox", "opt", "mistral", "falcon", "qwen"}


@pytest.fixture(scope="module")
def removed() -> pa.Table:
    """Six families, each with one or two base models that were pretrained without the last six tasks."""
    return scores(World(bases=2, recipes=2, tasks=16, removed=True))


def with_values(table: pa.Table, column: str, value: object, mask: pa.ChunkedArray) -> pa.Table:
    """The table with one value wherever the mask is true."""
    place = table.schema.get_field_index(column)
    changed = pc.if_else(mask, pa.scalar(value, table.schema.field(place).type), table[column])
    return tables.checked("scores", table.set_column(place, table.schema.field(place), changed))


def test_bases_are_set_against_their_own_family_and_size(removed: pa.Table) -> None:
    rows = limits(removed, Analysis(), "made").to_pylist()
    single = [row for row in rows if row["family"] != "all"]
    assert {row["family"] for row in single} == FAMILIES
    assert {row["side"] for row in rows} == {"x", "y", "z"}
    for row in single:
        assert row["metric"] == "exact_match"
        assert len(row["tasks"]) == 6
        assert row["without"] < 0.1 < row["intact"]
        assert (row["bases_without"], row["bases_intact"], row["pairs"]) == (1, 1, 24)
        assert row["ci_low"] is None
        assert row["note"].startswith("descriptive only")
        assert row["effect"] == pytest.approx(row["without"] - row["intact"])


def test_the_line_over_all_is_the_mean_of_its_cells_with_an_interval(removed: pa.Table) -> None:
    rows = limits(removed, Analysis(), "made").to_pylist()
    overall = [row for row in rows if row["family"] == "all"]
    assert [(row["side"], row["params"], row["tuned_on"]) for row in overall] == [(s, 0, False) for s in "xyz"]
    for row in overall:
        mine = [r["effect"] for r in rows if r["family"] != "all" and r["side"] == row["side"]]
        assert row["effect"] == pytest.approx(np.mean(mine))
        assert row["ci_low"] < row["effect"] < row["ci_high"] < 0
        assert row["note"] == "jack2 by family"


def test_the_interval_by_hand() -> None:
    table = scores(World(bases=1, recipes=1, tasks=12, removed=True))
    exact = table.filter(pc.field("metric") == "exact_match")
    rows = {(row["base"], row["task"], row["condition"]): row["value"] for row in exact.to_pylist()}
    bases, last = sorted({base for base, _, _ in rows if "without" not in base}), range(6, 12)
    effects = np.array(
        [
            [
                rows[f"{base}-without", f"task-{task:02d}", "base-few-shot"]
                - rows[base, f"task-{task:02d}", "base-few-shot"]
                for task in last
            ]
            for base in bases
        ]
    )
    v = [5 / 6 * ((part - part.mean()) ** 2).sum() for part in
         ((effects.sum() - effects.sum(axis)) / 30 for axis in (1, 0))]  # fmt: skip
    total = max(sum(v) - ((effects - effects.mean()) ** 2).sum() / 36**2, *v)
    half = stats.t.ppf(0.975, sum(v) ** 2 / (v[0] ** 2 / 5 + v[1] ** 2 / 5)) * total**0.5
    row = next(r for r in limits(table, Analysis(), "made").to_pylist() if r["family"] == "all" and r["side"] == "x")
    assert row["effect"] == pytest.approx(effects.mean(), abs=1e-12)
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((effects.mean() - half, effects.mean() + half), abs=1e-9)


def test_the_interval_holds_a_known_effect_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        # Six families of two sizes, six tasks: effects of families, of tasks, and of each cell.
        effect = -0.4 + 0.1 * rng.normal(size=(6, 1, 1)) + 0.1 * rng.normal(size=6) + 0.1 * rng.normal(size=(6, 2, 6))
        cells = [
            Cell(f"f{f}", size, f"t{t}", [{"x_raw": float(effect[f, size, t])}], [{"x_raw": 0.0}])
            for f in range(6)
            for size in range(2)
            for t in range(6)
        ]
        found = between(cells, "x", Analysis())
        hits += found["ci_low"] < -0.4 < found["ci_high"]
    assert 0.91 * 400 < hits < 0.98 * 400


def test_few_families_or_tasks_leave_the_effect_alone(removed: pa.Table) -> None:
    few = removed.filter(pc.field("family").isin(["llama", "opt"]))
    row = limits(few, Analysis(), "made").to_pylist()[0]
    assert (row["family"], row["ci_low"], row["effect"] < 0) == ("all", None, True)
    assert row["note"].startswith("descriptive only: 2 families")
    four = removed.filter(~pc.field("task").isin(["task-14", "task-15"]))
    row = limits(four, Analysis(), "made").to_pylist()[0]
    assert row["note"] == "no interval: 4 tasks, an interval needs 5"


def test_by_base_each_family_and_size_is_a_cluster(removed: pa.Table) -> None:
    few = removed.filter(pc.field("family").isin(["llama", "opt", "neox"]))
    row = limits(few, Analysis(cluster_by="base"), "made").to_pylist()[0]
    assert row["ci_low"] < row["effect"] < row["ci_high"]
    assert row["note"] == "jack2 by base"


def test_tasks_tuned_on_and_held_out_are_kept_apart(removed: pa.Table) -> None:
    tuned = pc.and_(pc.is_valid(removed["run"]), pc.is_in(removed["task"], pa.array(["task-10", "task-11"])))
    rows = limits(with_values(removed, "tuned_on", True, tuned), Analysis(), "made").to_pylist()
    tasks = {(row["tuned_on"], row["family"]): row["tasks"] for row in rows}
    assert tasks[True, "all"] == ["task-10", "task-11"]
    assert tasks[False, "all"] == ["task-12", "task-13", "task-14", "task-15"]


def test_constant_effects_have_no_interval(removed: pa.Table) -> None:
    flat = with_values(removed, "value", 0.5, pc.is_valid(removed["value"]))
    row = limits(flat, Analysis(), "made").to_pylist()[0]
    assert (row["effect"], row["ci_low"]) == (0, None)
    assert row["note"].startswith("no interval: the effect does not vary")


def test_nothing_to_compare_is_an_empty_table_and_no_baseline_no_z(removed: pa.Table) -> None:
    assert limits(scores(World(families=1, bases=2, recipes=1, tasks=4)), Analysis(), "made").num_rows == 0
    lone = removed.filter(pc.match_substring(removed["base"], "-without"))
    assert limits(lone, Analysis(), "made").num_rows == 0
    rows = limits(removed, Analysis(baseline=None), "made").to_pylist()
    assert {row["side"] for row in rows} == {"x", "y"}
