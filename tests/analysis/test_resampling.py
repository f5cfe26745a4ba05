"""The bootstrap against one made by resampling rows; permutations against all of them; adjustments against a table."""

import itertools

import numpy as np
import pytest
from made_tables import World, scores, sides
from statsmodels.stats.multitest import multipletests

from app.analysis.answer import find, rows_of
from app.analysis.estimation import bootstrap, multiplicity, permutation
from app.analysis.estimation import coefficients as co
from app.analysis.estimation.correlation import correlations
from app.analysis.pairing.pairs import pairs
from app.analysis.vocabulary import INTACT_FILTER, LEVELS, Level
from app.study import Analysis


def test_weights_stand_for_drawing_clusters_and_tasks_anew() -> None:
    x, _, y, family = sides(World(families=5, bases=2, recipes=2, tasks=12), np.random.default_rng(3))
    found = bootstrap.pigeonhole(x, y, family, draws=50)
    rng = np.random.default_rng(bootstrap.SEED)
    clusters = rng.multinomial(5, np.full(5, 0.2), 50)
    tasks = rng.multinomial(12, np.full(12, 1 / 12), 50)
    for number in range(50):
        rows = np.concatenate([np.repeat(np.flatnonzero(family == f), c) for f, c in enumerate(clusters[number])])
        columns = np.repeat(np.arange(12), tasks[number])
        rows = np.array(sorted(rows))
        for place, level in enumerate(LEVELS):
            a, b = (side[np.ix_(rows, columns)] for side in (x, y))
            if np.isfinite(found[place, number]):
                assert found[place, number] == pytest.approx(
                    co.pearson(co.values(a, level), co.values(b, level)), abs=1e-9
                )


def test_limits_are_quantiles_and_refuse_where_draws_are_undefined() -> None:
    draws = np.arange(1001.0)
    assert bootstrap.limits(draws) == pytest.approx((25.0, 975.0))
    draws[:11] = np.nan
    assert bootstrap.limits(draws) is None


def naive(x: np.ndarray, y: np.ndarray, family: np.ndarray) -> float:
    """All orders of bases that keep families whole, one by one."""
    f = lambda a: co.values(a, "doubly_centred")  # noqa: E731
    observed, extreme, count = abs((f(x) * f(y)).sum()), 0, 0
    blocks = [np.flatnonzero(family == one) for one in range(family.max() + 1)]
    for order in itertools.permutations(blocks):
        for inside in itertools.product(*(itertools.permutations(block) for block in order)):
            rows = np.concatenate([np.array(part) for part in inside])
            count += 1
            extreme += abs((f(x[rows]) * f(y)).sum()) >= observed - 1e-12
    return extreme / count


def test_all_arrangements_of_bases_within_families_are_tried() -> None:
    x, _, y, family = sides(World(families=3, bases=2, recipes=1, tasks=12), np.random.default_rng(4))
    found = permutation.correlation(x, y, "doubly_centred", np.arange(6), family)
    assert found == (pytest.approx(naive(x, y, family)), "")
    runs = np.repeat(np.arange(6), 3)  # a base counts once, however many runs it has
    again = permutation.correlation(x[runs], y[runs], "doubly_centred", runs, family[runs])
    assert again.p == pytest.approx(found.p)


@pytest.mark.parametrize("level", permutation.LEVELS)
def test_which_runs_lack_a_task_says_nothing_of_their_base(level: Level) -> None:
    rng = np.random.default_rng(8)
    x, _, y, family = sides(World(families=3, bases=2, recipes=3, tasks=20), rng)
    base = np.repeat(np.arange(6), 3)
    missing = rng.random(x.shape) < 0.3
    x[missing], y[missing] = np.nan, np.nan
    found = permutation.correlation(x, y, level, base, family)
    stronger = y + np.tile([-0.3, 0.0, 0.3], 6)[:, None]  # each base as strong as before on average
    assert permutation.correlation(x, stronger, level, base, family).p == pytest.approx(found.p)


def test_few_families_or_bases_allow_no_test() -> None:
    x, z, y, family = sides(World(families=2, bases=2, recipes=2, tasks=12), np.random.default_rng(5))
    found = permutation.correlation(x, y, "within_task", np.repeat(np.arange(4), 2), family)
    assert found == (None, "no permutation test: 8 arrangements of bases cannot reach p < .05")
    swapped = permutation.difference(x, z, y, "doubly_centred", family)
    assert swapped == (None, "no permutation test: 4 ways to swap predictors cannot reach p < .05")


def test_a_difference_swaps_predictors_cluster_by_cluster() -> None:
    x, z, y, family = sides(World(families=6, bases=2, recipes=1, tasks=12), np.random.default_rng(6))
    p, q, r = (co.values(side, "doubly_centred") for side in (x, z, y))
    p, q, r = (side / side.std() for side in (p, q, r))
    cell = np.repeat(family, 12)
    observed = ((p - q) * r).sum()
    assert observed / r.size == pytest.approx(co.pearson(p, r) - co.pearson(q, r))
    extreme = [
        abs((np.array(signs)[cell] * (p - q) * r).sum()) >= abs(observed) - 1e-9
        for signs in itertools.product((1, -1), repeat=6)
    ]
    assert permutation.difference(x, z, y, "doubly_centred", family).p == pytest.approx(np.mean(extreme))


@pytest.mark.parametrize("linked", [False, True])
def test_p_is_small_where_bases_carry_over_and_even_where_they_do_not(linked: bool) -> None:
    rng, found = np.random.default_rng(7), []
    family = np.repeat(np.arange(5), 4)
    for _ in range(60):
        common = rng.normal(size=(5, 15))[family]  # sister models are alike on both sides, which is no link of bases
        other = rng.normal(size=(5, 15))[family]
        own = rng.normal(size=(20, 15))
        x = common + own
        y = other + (own if linked else rng.normal(size=(20, 15)))
        found.append(permutation.correlation(x, y, "doubly_centred", np.arange(20), family).p or 1.0)
    rejected = np.mean(np.array(found) < 0.05)
    assert rejected > 0.9 if linked else rejected < 0.15


def test_adjusted_values_are_those_of_a_worked_example() -> None:
    given = [0.01, 0.04, 0.03, 0.005]
    rows = [
        {"level": f"l{i}", "method": "pearson", "x": "x", "filter": "all", "p_value": p} for i, p in enumerate(given)
    ]
    rows.append({"level": "doubly_centred", "method": "pearson", "x": "x", "filter": "all", "p_value": 0.02})
    rows.append({"level": "model", "method": "pearson", "x": "x", "filter": "all", "p_value": None})
    rows = [row | {"p_holm": None, "q_value": None} for row in rows]
    found = multiplicity.adjusted(rows, "all", "x")
    # Holm: 4 x .005, 3 x .01, 2 x .03, then the largest so far; Benjamini-Hochberg: 4/1, 4/2, 4/3, 4/4 from above.
    assert [row["p_holm"] for row in found[:4]] == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert [row["q_value"] for row in found[:4]] == pytest.approx([0.02, 0.04, 0.04, 0.02])
    assert (found[4]["tests"], found[4]["p_holm"]) == ("primary: pearson of x", pytest.approx(0.02))
    assert (found[5]["tests"], found[5]["p_holm"]) == ("", None)


def test_a_comma_in_a_name_makes_no_family_of_tests_of_its_own() -> None:
    filters = ["recipe=LoRA, r=8", "recipe=LoRA, r=16", f"{INTACT_FILTER},recipe=full"]
    rows = [{"level": "pooled", "method": "pearson", "x": "x", "filter": name, "p_value": 0.02} for name in filters]
    found = multiplicity.adjusted(rows, "all", "x")
    assert {row["tests"] for row in found} == {"pearson of x, recipe"}
    assert [row["p_holm"] for row in found] == pytest.approx([0.06] * 3)


def test_adjusted_values_are_statsmodels() -> None:
    p = np.concatenate([np.random.default_rng(8).random(40) ** 4, [0.01, 0.01, 1.0]])
    rows = [{"level": "pooled", "method": "pearson", "x": "x", "filter": f"task={i}"} for i in range(len(p))]
    found = multiplicity.adjusted([row | {"p_value": v} for row, v in zip(rows, p, strict=True)], "all", "x")
    assert {row["tests"] for row in found} == {"pearson of x, task"}
    for key, method in (("p_holm", "holm"), ("q_value", "fdr_bh")):
        assert [row[key] for row in found] == pytest.approx(multipletests(p, method=method)[1], abs=1e-12)


def test_the_table_holds_them_beside_the_intervals() -> None:
    made = pairs(scores(World(bases=3, recipes=2)), Analysis()).table
    rows = rows_of(correlations(made, Analysis(), "made"))
    main = find(rows, "doubly_centred")
    assert main
    assert main.boot_low is not None
    assert main.boot_high is not None
    assert main.estimate is not None
    assert main.boot_low < main.estimate < main.boot_high
    assert main.p_permutation is not None
    assert main.tests.startswith("primary")
    task = find(rows, "pooled", filter="task=task-00")
    assert task is None or (task.boot_low, task.p_permutation) == (None, None)
    assert {row.filter.split("=")[0] for row in rows} >= {"cluster", "recipe", "family", "family!", "role"}
    few = rows_of(correlations(pairs(scores(World(families=3)), Analysis()).table, Analysis(), "made"))
    assert all(row.boot_low is None and row.p_permutation is None and row.tests == "" for row in few)
