"""Grids with missing cells: effects are those of least squares, and weights do what leaving out and doubling would."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from numpy.typing import NDArray

from app.analysis.design import power
from app.analysis.design.designs import balanced
from app.analysis.design.worlds import World, draw, truth
from app.analysis.estimation import attenuation, permutation, unbalanced
from app.analysis.estimation import coefficients as co
from app.analysis.vocabulary import LEVELS, METHODS, Level

SHAPE = (11, 7)


def sides(seed: int, missing: float = 0.2, shape: tuple[int, int] = SHAPE) -> tuple[co.Floats, co.Floats]:
    rng = np.random.default_rng(seed)
    x, noise = rng.random((2, *shape))
    x = x + rng.random(shape[1]) + rng.random((shape[0], 1))
    y = x + 0.7 * noise + rng.random(shape[1])
    hole = rng.random(shape) < missing
    return np.where(hole, np.nan, x), np.where(hole, np.nan, y)


def residuals(scores: co.Floats) -> co.Floats:
    """Of statsmodels' least squares."""
    run, task = np.nonzero(np.isfinite(scores))
    frame = pd.DataFrame({"score": scores[run, task], "run": run, "task": task})
    return np.asarray(smf.ols("score ~ C(run) + C(task)", frame).fit().resid)


@pytest.mark.parametrize("seed", range(4))
def test_doubly_centred_scores_are_the_residuals_that_statsmodels_leaves(seed: int) -> None:
    x, y = sides(seed)
    for side in (x, y):
        assert co.values(side, "doubly_centred") == pytest.approx(residuals(side), abs=1e-9)
    expected = np.corrcoef(residuals(x), residuals(y))[0, 1]
    assert co.at_level(x, y, "doubly_centred", "pearson") == pytest.approx(expected, abs=1e-9)


def test_a_model_that_lacks_the_easy_tasks_is_not_taken_for_a_weak_one() -> None:
    strength, ease = np.array([0.1, 0.2, 0.3]), np.array([0.0, 0.1, 0.6])
    scores = strength[:, None] + ease
    scores[2, 2] = np.nan
    assert scores[2, :2].mean() < np.nanmean(scores[1])
    assert co.values(scores, "model") == pytest.approx(strength + ease.mean())
    assert co.values(scores, "task") == pytest.approx(ease + strength.mean())


def test_without_a_missing_cell_it_is_what_means_give() -> None:
    x, y = sides(5, missing=0)
    runs, tasks = unbalanced.effects(x)
    assert runs == pytest.approx(x.mean(1))
    assert tasks == pytest.approx(x.mean(0) - x.mean())
    rng = np.random.default_rng(0)
    weights = rng.integers(0, 3, (40, SHAPE[0])).astype(float), rng.integers(0, 3, (40, SHAPE[1])).astype(float)
    ab, aa, bb, free = unbalanced.moments(x, y, *weights)
    r = np.where(free < 2, np.nan, ab / np.sqrt(aa * bb))
    assert r == pytest.approx(co.pearson_of_weights(x, y, *weights), abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("seed", range(4))
def test_a_weight_of_two_is_a_run_or_a_task_that_stands_there_twice(seed: int) -> None:
    x, y = sides(seed)
    rng = np.random.default_rng(seed)
    runs, tasks = rng.integers(0, 3, (60, SHAPE[0])), rng.integers(0, 3, (60, SHAPE[1]))
    found = co.pearson_of_weights(x, y, runs.astype(float), tasks.astype(float))
    several = np.flatnonzero(((runs > 0).sum(1) > 4) & ((tasks > 0).sum(1) > 4))
    assert several.size > 10
    for each in several:
        take = np.ix_(np.repeat(np.arange(SHAPE[0]), runs[each]), np.repeat(np.arange(SHAPE[1]), tasks[each]))
        for place, level in enumerate(LEVELS):
            assert found[place, each] == pytest.approx(co.at_level(x[take], y[take], level, "pearson"), abs=1e-9)


def test_groups_without_a_common_cell_are_each_centred_by_themselves() -> None:
    x, y = sides(1, missing=0, shape=(8, 8))
    apart = np.kron(np.eye(2), np.ones((4, 4))) == 0
    x[apart] = y[apart] = np.nan
    p, q = (np.concatenate([residuals(side[:4, :4]), residuals(side[4:, 4:])]) for side in (x, y))
    r = np.corrcoef(p, q)[0, 1]
    assert co.at_level(x, y, "doubly_centred", "pearson") == pytest.approx(r, abs=1e-9)
    found = co.pearson_of_weights(x, y, np.ones((1, 8)), np.ones((1, 8)))
    assert found[LEVELS.index("doubly_centred"), 0] == pytest.approx(r, abs=1e-9)


def test_nothing_compares_means_of_groups_without_a_common_cell() -> None:
    x, y = sides(1, missing=0, shape=(8, 8))
    apart = np.kron(np.eye(2), np.ones((4, 4))) == 0
    joined = apart.copy()
    joined[0, 7] = False  # one cell makes the groups comparable
    for missing, defined in ((apart, False), (joined, True)):
        a, b = (np.where(missing, np.nan, side) for side in (x, y))
        assert co.apart(a) is not defined
        weights = np.vstack([np.ones((2, 8)), 1 - np.eye(8)]), np.ones((10, 8))
        found = co.pearson_of_weights(a, b, *weights)
        for level in ("model", "task"):
            for method in METHODS:
                assert np.isfinite(co.at_level(a, b, level, method)) == defined
            assert np.isfinite(co.concordance(a, b, level)) == defined
            assert np.isfinite(found[LEVELS.index(level)]).tolist() == [defined] * 2 + [False] + [defined] * 7
    assert not co.apart(x)


def test_too_few_cells_give_no_coefficient() -> None:
    x, y = sides(2, missing=0, shape=(4, 4))
    x[~np.eye(4, dtype=bool)] = y[~np.eye(4, dtype=bool)] = np.nan
    assert co.free_cells(x, "doubly_centred") < 0
    for method in METHODS:
        assert np.isnan(co.at_level(x, y, "doubly_centred", method))
    assert np.isnan(co.pearson_of_weights(x, y, np.ones((1, 4)), np.ones((1, 4)))[LEVELS.index("doubly_centred")]).all()


def test_normal_scores_rank_the_models_that_a_task_has() -> None:
    x, _ = sides(3)
    found = co.normal_scores(x)
    for task in range(SHAPE[1]):
        there = np.isfinite(x[:, task])
        assert np.array_equal(np.isfinite(found[:, task]), there)
        assert found[there, task] == pytest.approx(co.normal_scores(x[there, task][:, None])[:, 0])


@pytest.mark.parametrize("level", attenuation.LEVELS)
def test_scores_without_noise_have_a_corrected_coefficient_that_is_the_plain_one(level: Level) -> None:
    x, y = sides(4)
    halves = [np.stack([side, side], 2) for side in (x, x, y, y)]
    assert attenuation.corrected_r(halves, level) == pytest.approx(co.at_level(x, y, level, "pearson"), abs=1e-9)
    psi = attenuation.influence(halves, level)
    assert psi == pytest.approx(co.influence(x, y, level), abs=1e-9, nan_ok=True)
    assert np.nanmean(psi) == pytest.approx(0, abs=1e-12)


def rejections(missing: float, level: Level, count: int = 120) -> float:
    """How often permutations reject at 5 % where x says nothing of y."""
    bases = np.arange(12)
    families: NDArray[np.int64] = bases // 4
    found = []
    for seed in range(count):
        (x, _), (y, _) = sides(seed, 0, (12, 10)), sides(10_000 + seed, 0, (12, 10))
        hole = np.random.default_rng(seed).random(x.shape) < missing
        x[hole] = y[hole] = np.nan
        made = permutation.correlation(x, y, level, bases, families)
        assert made.p is not None
        found.append(made.p < 0.05)
    return float(np.mean(found))


@pytest.mark.parametrize("level", permutation.LEVELS)
def test_permutations_of_grids_with_missing_cells_reject_no_more_than_asked(level: Level) -> None:
    assert rejections(0.15, level) <= 0.05 + 2 * (0.05 * 0.95 / 120) ** 0.5


def test_families_that_were_hardly_measured_widen_the_interval_which_still_covers() -> None:
    design, world = balanced(6, 2, 1, 21, 100), World()
    true = float(truth(world, 100, 4)[0][LEVELS.index("doubly_centred")])
    widths, covered = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        x, y, z = draw(design, world, rng)
        whole = power.judge(co.Sides(x, y, z), design.clusters)["doubly_centred"].interval
        for run in np.flatnonzero(design.clusters >= 3):  # half of the families have 4 of 21 tasks
            lacking = rng.permutation(21)[4:]
            for side in (x, y, z):
                if side is not None:
                    side[run, lacking] = np.nan
        holed = power.judge(co.Sides(x, y, z), design.clusters)["doubly_centred"].interval
        assert whole
        assert holed
        widths.append((holed.high - holed.low) / (whole.high - whole.low))
        covered.append(holed.low <= true <= holed.high)
    assert np.mean(covered) >= 0.92 - 2 * (0.92 * 0.08 / 60) ** 0.5
    assert np.mean(widths) > 1.2
