"""Coefficients and their two-way jackknife, against scipy, a plain loop and a simulation."""

import numpy as np
import pytest
from made_tables import World, sides
from scipy import stats

from app.analysis.estimation import coefficients as co
from app.analysis.estimation import jackknife as jk
from app.analysis.vocabulary import LEVELS, Level


def grids(seed: int = 0, runs: int = 12, tasks: int = 9) -> co.Sides:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(runs, tasks))
    return co.Sides(x, x + rng.normal(size=x.shape), x + 2 * rng.normal(size=x.shape))


def test_coefficients_agree_with_scipy() -> None:
    x, y, _ = grids()
    a, b = x.ravel(), y.ravel().round(1)
    assert abs(co.coefficient(a, b, "pearson") - stats.pearsonr(a, b)[0]) < 1e-9
    assert abs(co.coefficient(a, b, "spearman") - stats.spearmanr(a, b)[0]) < 1e-9
    assert abs(co.coefficient(a, b, "kendall") - stats.kendalltau(a, b)[0]) < 1e-9


def test_doubly_centred_scores_have_no_task_or_run_means_left() -> None:
    left = co.values(grids().x, "doubly_centred").reshape(12, 9)
    assert np.abs(left.mean(0)).max() < 1e-12
    assert np.abs(left.mean(1)).max() < 1e-12


def test_the_partial_correlation_is_that_of_the_residuals() -> None:
    x, y, z = (side.ravel() for side in grids())
    rest = [a - np.polyval(np.polyfit(z, a, 1), z) for a in (x, y)]
    assert abs(co.partial(grids(), "pooled") - stats.pearsonr(*rest)[0]) < 1e-9


def test_normal_scores_ignore_any_rising_change_of_the_scale() -> None:
    x = grids().x
    assert np.array_equal(co.normal_scores(x), co.normal_scores(np.exp(3 * x)))


@pytest.mark.parametrize("level", LEVELS)
def test_the_vectorised_jackknife_equals_a_loop_that_leaves_one_out(level: Level) -> None:
    found = grids()
    clusters = np.repeat(np.arange(4), 3)
    loop = jk.leave_out(lambda part: co.at_level(part.x, part.y, level, "pearson"), found, clusters)
    runs = np.vstack([np.ones(12), clusters != np.arange(4)[:, None], np.ones((9, 12))])
    tasks = np.vstack([np.ones((5, 9)), 1 - np.eye(9)])
    r = co.pearson_of_weights(found.x, found.y, runs, tasks)[LEVELS.index(level)]
    assert np.allclose(r, [loop.estimate, *loop.by_cluster, *loop.by_task], atol=1e-12)


def test_the_influence_function_predicts_what_a_small_weight_on_one_run_does() -> None:
    x, y, _ = grids()
    for level in ("pooled", "within_task", "doubly_centred"):
        psi = co.influence(x, y, level)
        assert abs(psi.mean()) < 1e-12
        weights = np.ones((2, 12))
        weights[1, 3] += 1e-5
        before, after = co.pearson_of_weights(x, y, weights, np.ones((2, 9)))[LEVELS.index(level)]
        expected = psi[3].mean() / 12 * 1e-5
        assert abs((after - before) - expected) < 2e-3 * 1e-5


def test_undefined_coefficients_are_not_numbers() -> None:
    flat = np.full((12, 9), 0.3)
    assert np.isnan(co.coefficient(flat.ravel(), grids().y.ravel(), "spearman"))
    for level in LEVELS:
        assert np.isnan(co.at_level(flat, grids().y, level, "pearson"))
        assert np.isnan(co.at_level(grids().x[:1, :1], grids().y[:1, :1], level, "pearson"))
    assert np.isnan(co.pearson_of_weights(flat, grids().y, np.ones((1, 12)), np.ones((1, 9)))).all()


def test_an_exact_correlation_has_no_interval() -> None:
    found = jk.Replicates(1.0, np.ones(6), np.ones(12), 0.0)
    assert jk.interval(found, fisher=True) is None


def test_a_replicate_that_is_undefined_leaves_no_interval() -> None:
    found = jk.Replicates(0.5, np.array([0.4, np.nan, 0.6, 0.5, 0.5]), np.linspace(0.4, 0.6, 12), 0.0)
    assert jk.interval(found, fisher=True) is None


def interval_of(x: np.ndarray, y: np.ndarray, clusters: np.ndarray, level: Level) -> jk.Interval:
    runs, tasks = x.shape
    groups = clusters.max() + 1
    keep = np.vstack([np.ones(runs), clusters != np.arange(groups)[:, None], np.ones((tasks, runs))])
    r = co.pearson_of_weights(x, y, keep, np.vstack([np.ones((1 + groups, tasks)), 1 - np.eye(tasks)]))
    r = r[LEVELS.index(level)]
    blocks = jk.block_variance_r(x, y, level, clusters)
    found = jk.interval(jk.Replicates(float(r[0]), r[1 : 1 + groups], r[1 + groups :], blocks), fisher=True)
    assert found is not None
    return found


def test_intervals_cover_the_truth_about_as_often_as_they_promise() -> None:
    world = World(families=10, bases=3, recipes=3, tasks=30)
    large = World(families=120, bases=3, recipes=1, tasks=600)
    truth = {level: [] for level in ("pooled", "doubly_centred")}
    for seed in range(4):
        x, _, y, _ = sides(large, np.random.default_rng(10_000 + seed))
        for level in truth:
            truth[level].append(co.at_level(x, y, level, "pearson"))
    hits = dict.fromkeys(truth, 0)
    for seed in range(150):
        x, _, y, family = sides(world, np.random.default_rng(seed))
        for level in truth:
            found = interval_of(x, y, family, level)
            hits[level] += found.low <= np.mean(truth[level]) <= found.high
    for level, count in hits.items():
        assert 0.88 <= count / 150 <= 0.99, f"{level}: {count / 150:.3f}"
