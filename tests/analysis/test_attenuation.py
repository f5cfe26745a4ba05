"""Correlations corrected for the noise of items: recovered from known ones, refused where they cannot be told."""

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from app import tables
from app.analysis.estimation import attenuation as at
from app.analysis.estimation import coefficients as co
from app.analysis.estimation.correlation import correlations
from app.analysis.estimation.refusals import MIN_CLUSTERS, MIN_TASKS
from app.errors import StoreError
from app.study import Analysis

TRUE = 0.42


def world(
    models: int = 60, tasks: int = 40, items: int = 40, spread: float = 0.09, seed: int = 0, r: float = TRUE
) -> tuple[np.ndarray, np.ndarray]:
    """Right answers of x and y, models x tasks x items, whose expected scores doubly centred correlate by exactly `r`.

    Items are of the same difficulty for every model on both sides, and some suit one model on both sides.
    """
    rng = np.random.default_rng(seed)
    a, b = (rng.normal(size=(models, tasks)) for _ in range(2))
    a, b = (co.values(side, "doubly_centred").reshape(side.shape) for side in (a, b))
    b -= a * (a * b).sum() / (a * a).sum()
    a, b = a / a.std(), b / b.std()
    latent = (spread * a, spread * (r * a + math.sqrt(1 - r * r) * b))
    task = rng.uniform(0.4, 0.6, (1, tasks, 1))
    item = rng.uniform(-0.1, 0.1, (1, tasks, items))
    suits = rng.uniform(-0.05, 0.05, (models, tasks, items))
    chances = [np.clip(task + side[:, :, None] + item + suits, 0, 1) for side in latent]
    x, y = ((rng.random(p.shape) < p).astype(float) for p in chances)
    return x, y


def as_tables(
    x: np.ndarray, y: np.ndarray, z: np.ndarray | None = None, families: int = 10, chance: float = 0.0
) -> tuple[pa.Table, pa.Table]:
    """Tables "items" and "pairs" of right answers, models x tasks x items; NaN is null."""
    models, task_count, count = x.shape
    items, pairs = [], []
    for i in range(models):
        for j in range(task_count):
            own = {
                "study": "made", "base": f"b{i:02d}", "family": f"f{i % families}", "params": 1000,
                "run": f"b{i:02d}.full", "recipe": "full", "format": "regular", "seed": 0, "task": f"t{j:02d}",
                "cluster": "c", "role": "evaluate" if j % 2 else "tune", "metric": "accuracy",
            }  # fmt: skip
            scores = {name: None if side is None else (np.nanmean(side[i, j]) - chance) / (1 - chance)
                      for name, side in (("x", x), ("y", y), ("z", z))}  # fmt: skip
            raw = {f"{name}_raw": value for name, value in scores.items()}
            errors = {f"{name}_stderr": None if value is None else 0.1 for name, value in scores.items()}
            pairs.append(
                own | scores | raw | errors | {
                    "mixture": None, "pretrained_on": True, "tuned_on": False, "chance": chance, "n": count,
                    "x_condition": "base-few-shot", "y_condition": "tuned-direct", "wording": "standard", "x_shots": 4,
                    "floor": "", "ceiling": "", "x_cut": 0, "y_cut": 0,
                }
            )  # fmt: skip
            for k in range(count):
                values = {
                    name: None if side is None or math.isnan(side[i, j, k]) else float(side[i, j, k])
                    for name, side in (("x", x), ("y", y), ("z", z))
                }
                items.append(own | values | {"item": f"i{k}", "x_margin": None, "prompt_tokens": 9, "options": None})
    return tables.build("items", items), tables.build("pairs", pairs)


def rows(given: tuple[pa.Table, pa.Table], analysis: Analysis | None = None) -> dict[tuple[str, str, str], Any]:
    """Rows by filter, level and method, checked as a table."""
    found = at.corrected(*given, analysis or Analysis(), "made")
    made = tables.build("correlations", found).to_pylist()
    return {(row["filter"], row["level"], row["method"]): row for row in made}


def test_a_known_correlation_is_recovered_where_the_raw_one_is_too_low() -> None:
    found, raw = [], []
    for seed in range(4):
        x, y = world(seed=seed)
        halves = [[at.halve(side[:, j], np.zeros(60), j) for j in range(40)] for side in (x, y)]
        grids = [np.stack([task[half] for task in side], 1) for side in halves for half in (0, 1)]
        found.append(at.corrected_r(grids, "doubly_centred"))
        raw.append(co.at_level(x.mean(2), y.mean(2), "doubly_centred", "pearson"))
    assert np.mean(found) == pytest.approx(TRUE, abs=0.03)
    assert np.abs(np.array(found) - TRUE).max() < 0.08
    assert np.mean(raw) < TRUE - 0.12


def test_the_rows_of_a_whole_study_hold_the_truth_within_their_intervals() -> None:
    made = rows(as_tables(*world(40, 30, 40, seed=1), chance=0.25))
    row = made["all", "doubly_centred", "pearson-corrected"]
    assert row["estimate"] == pytest.approx(TRUE, abs=0.1)  # 1,200 noisy cells: a standard error of .04
    assert row["ci_low"] < TRUE < row["ci_high"]
    assert row["interval"] == "jack2 by family"
    assert (row["n"], row["n_clusters"], row["n_tasks"]) == (1200, 10, 30)
    reliable = made["all", "doubly_centred", "reliability-x"]
    assert reliable["estimate"] == pytest.approx(0.09**2 / (0.09**2 + 0.24 / 40), abs=0.06)
    assert (reliable["interval"], reliable["ci_low"]) == ("none", None)
    assert {filter_ for filter_, _, _ in made} == {"all", "role=evaluate", "role=tune"}


def test_chance_and_the_order_of_rows_change_nothing_that_is_centred() -> None:
    x, y = world(12, 12, 20)
    plain, shuffled = as_tables(x, y), as_tables(x, y)
    order = pa.array(np.random.default_rng(1).permutation(shuffled[0].num_rows))
    first, again = rows(plain), rows((shuffled[0].take(order), shuffled[1]))
    assert first == again


def test_the_formula_of_one_split_by_hand() -> None:
    rng = np.random.default_rng(3)
    xa, xb, ya, yb = (rng.normal(size=(6, 5, 1)) + np.arange(6)[:, None, None] for _ in range(4))
    for level in at.LEVELS:
        p, q, s, t = (co.values(side[..., 0], level) for side in (xa, xb, ya, yb))
        cov = [np.cov(one, other)[0, 1] for one, other in ((p, t), (q, s), (p, q), (s, t))]
        if min(cov[2:]) <= 0:
            assert math.isnan(at.corrected_r((xa, xb, ya, yb), level))
        else:
            expected = (cov[0] + cov[1]) / 2 / math.sqrt(cov[2] * cov[3])
            assert at.corrected_r((xa, xb, ya, yb), level) == pytest.approx(expected, abs=1e-12)
    assert at.corrected_r((xa, xa, ya, ya), "pooled") == pytest.approx(
        np.corrcoef(xa.ravel(), ya.ravel())[0, 1], abs=1e-12
    )


@pytest.mark.parametrize("level", at.LEVELS)
def test_the_influence_is_what_another_run_of_the_same_scores_adds(level: co.Level) -> None:
    rng = np.random.default_rng(5)
    runs, tasks = 400, 3
    shared = rng.normal(size=(runs, tasks, 1))
    halves = [shared + rng.normal(size=(runs, tasks, 2)) for _ in range(4)]
    psi = at.influence(halves, level)
    assert psi.mean() == pytest.approx(0, abs=1e-12)
    before = at.corrected_r(halves, level)
    again = [[np.concatenate([half, half[run : run + 1]]) for half in halves] for run in range(0, runs, 50)]
    added = np.array([at.corrected_r(one, level) - before for one in again])
    expected = psi.mean(1)[::50] / (runs + 1)
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(added, expected, atol=3e-5)


def test_halves_are_whole_and_disjoint() -> None:
    right = np.random.default_rng(0).random((3, 7))
    a, b = at.halve(right, np.zeros(3), 0)
    assert a.shape == b.shape == (3, at.SPLITS)
    assert a * 3 / 7 + b * 4 / 7 == pytest.approx(np.repeat(right.mean(1)[:, None], at.SPLITS, 1))
    assert len({round(value, 12) for value in a[0]}) > 5
    chance = np.full(3, 0.25)
    assert at.halve(right, chance, 0)[0] == pytest.approx((a - 0.25) / 0.75)


def test_pure_noise_is_refused_and_its_reliability_told() -> None:
    x, y = world(20, 12, 12, spread=0.0 + 1e-9)
    row = rows(as_tables(x, y))["all", "doubly_centred", "pearson-corrected"]
    assert (row["estimate"], row["ci_low"], row["interval"]) == (None, None, "none")
    assert row["note"].startswith("not estimable: ")


def test_low_reliability_is_refused_by_its_number() -> None:
    x, y = world(40, 30, 12, spread=0.07)
    row = rows(as_tables(x, y))["all", "doubly_centred", "pearson-corrected"]
    assert row["estimate"] is None
    assert row["note"].startswith("not estimable: reliability below 0.4 (x 0.")


def test_a_wide_interval_is_refused() -> None:
    x, y = world(6, 12, 30, spread=0.12, r=0.0)
    row = rows(as_tables(x, y, families=6))["all", "doubly_centred", "pearson-corrected"]
    assert row["estimate"] is None
    assert "wide, more than 0.6" in row["note"]


def test_few_clusters_or_tasks_leave_the_estimate_alone() -> None:
    x, y = world(20, MIN_TASKS - 1, 60, spread=0.12)
    row = rows(as_tables(x, y))["all", "doubly_centred", "pearson-corrected"]
    assert row["estimate"] is not None
    assert (row["ci_low"], row["interval"]) == (None, "none")
    assert "an interval needs 10" in row["note"]
    x, y = world(20, MIN_TASKS, 60, spread=0.12)
    row = rows(as_tables(x, y, families=MIN_CLUSTERS - 1))["all", "doubly_centred", "pearson-corrected"]
    assert row["note"].startswith("descriptive only: 4 families")


def test_the_difference_from_a_baseline_is_that_of_the_two_rows() -> None:
    x, y = world(40, 20, 80, spread=0.12)
    z = np.where(np.random.default_rng(5).random(x.shape) < 0.7, x, 1 - x)
    made = rows(as_tables(x, y, z))
    by_x = {(r["level"], r["x"]): r for (f, _, m), r in made.items() if f == "all" and m == "pearson-corrected"}
    assert ("doubly_centred", "base-zero-shot") in by_x
    found = at.corrected(*as_tables(x, y, z), Analysis(), "made")
    pick = [r for r in found if r["filter"] == "all" and r["level"] == "doubly_centred"]
    named = {(r["method"], r["x"]): r["estimate"] for r in pick}
    assert named["pearson-corrected-delta", "base-few-shot - base-zero-shot"] == pytest.approx(
        named["pearson-corrected", "base-few-shot"] - named["pearson-corrected", "base-zero-shot"], abs=1e-12
    )
    assert ("reliability-z", "base-zero-shot") in named


def test_items_that_some_run_did_not_answer_are_left_out_and_said() -> None:
    x, y = world(20, 12, 40, spread=0.12)
    y[0, 0, :5] = np.nan
    y[1, 1, :38] = np.nan
    made = rows(as_tables(x, y))["all", "pooled", "pearson-corrected"]
    assert "5 items left out" in made["note"]
    assert "left out: t01" in made["note"]
    assert made["n_tasks"] == 11


@pytest.mark.parametrize(("models", "tasks"), [(1, 12), (12, 1), (2, 2)])
def test_degenerate_designs_say_so(models: int, tasks: int) -> None:
    x, y = world(12, 12, 8)
    made = rows(as_tables(x[:models, :tasks], y[:models, :tasks]))
    row = made["all", "doubly_centred", "pearson-corrected"]
    assert row["estimate"] is None
    assert row["note"].startswith("not estimable: ")


def test_pairs_without_results_of_single_items_are_counted_by_task() -> None:
    items, pairs = as_tables(*world(12, 12, 20))
    assert not any("without results of single items" in row["note"] for row in rows((items, pairs)).values())
    task = pairs["task"][0].as_py()
    fewer = items.filter(pa.array([name != task for name in items["task"].to_pylist()]))
    for row in rows((fewer, pairs)).values():
        assert f"12 pairs without results of single items left out: {task}" in row["note"]
        assert row["n_tasks"] < 12


def test_a_missing_pair_takes_no_other_with_it() -> None:
    items, pairs = as_tables(*world(12, 12, 20))
    base, task = (pairs[name][0].as_py() for name in ("base", "task"))
    kept = [(row["base"], row["task"]) != (base, task) for row in items.select(["base", "task"]).to_pylist()]
    whole, holed = rows((items, pairs)), rows((items.filter(pa.array(kept)), pairs.slice(1)))
    assert whole.keys() == holed.keys()
    of_all = {key: row for key, row in holed.items() if row["filter"] == "all"}
    assert len(of_all) > 5
    for key, row in of_all.items():
        assert row["n"] == whole[key]["n"] - 1
        assert row["estimate"] == pytest.approx(whole[key]["estimate"], abs=0.05)
        assert "no pair in 1 of 144 cells" in row["note"]


def test_no_items_no_rows_and_constant_scores_no_number() -> None:
    given = as_tables(*world(4, 3, 5))
    assert at.corrected(given[0].slice(0, 0), given[1], Analysis(), "made") == []
    ones = np.ones((6, 6, 6))
    assert all(row["estimate"] is None for row in rows(as_tables(ones, ones)).values())


def test_items_of_another_study_are_refused() -> None:
    items, pairs = as_tables(*world(4, 3, 5))
    with pytest.raises(StoreError, match="belong to no pair"):
        at.corrected(items, pairs.slice(1), Analysis(), "made")
    with pytest.raises(StoreError, match="keep one"):
        at.corrected(items, pa.concat_tables([pairs, pairs]), Analysis(), "made")


def test_corrected_coefficients_count_among_the_tests_of_a_study() -> None:
    x, y = world(20, 14, 60, spread=0.12)
    items, pairs = as_tables(x, y)
    made = correlations(pairs, Analysis(), "made", at.corrected(items, pairs, Analysis(), "made")).to_pylist()
    assert all((row["p_holm"] is None) == (row["p_value"] is None) == (row["tests"] == "") for row in made)
    mine = [row for row in made if row["method"] == "pearson-corrected" and row["filter"] == "all"]
    assert {row["tests"] for row in mine} == {"pearson-corrected of base-few-shot, all pairs"}
    (smallest,) = sorted(mine, key=lambda row: row["p_value"])[:1]
    assert smallest["p_holm"] == pytest.approx(len(mine) * smallest["p_value"])
