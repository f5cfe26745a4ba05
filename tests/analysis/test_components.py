"""Components of variance against hand-made ones and against statsmodels' mixed model; concordance and partial r."""

import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from made_tables import World, scores
from scipy import stats

from app.analysis.estimation import coefficients as co
from app.analysis.estimation.components import COMPONENTS, components, moments
from app.analysis.pairing.pairs import pairs
from app.study import Analysis


def grids(models: int = 12, tasks: int = 15, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    made = []
    common = [rng.normal(size=(models, 1)), rng.normal(size=(1, tasks)), rng.normal(size=(models, tasks))]
    for _ in range(2):
        own = [rng.normal(size=part.shape) for part in common]
        made.append(sum(c + 0.5 * o for c, o in zip(common, own, strict=True)))
    return made[0], made[1]


def mixed(values: np.ndarray) -> np.ndarray:
    """Model, task and residual variance by restricted maximum likelihood."""
    models, tasks = values.shape
    frame = pd.DataFrame(
        {"v": values.ravel(), "m": np.repeat(np.arange(models), tasks), "t": np.tile(np.arange(tasks), models), "g": 1}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = sm.MixedLM.from_formula(
            "v ~ 1", groups="g", vc_formula={"m": "0 + C(m)", "t": "0 + C(t)"}, data=frame
        ).fit(reml=True)
    return np.array([*fitted.vcomp, fitted.scale])


def test_components_agree_with_a_mixed_model_of_sum_and_difference() -> None:
    a, b = grids()
    found = np.array(moments(a, b))
    expected = (mixed(a + b) - mixed(a - b)) / 4  # cov(a, b) = (var(a + b) - var(a - b)) / 4
    assert found == pytest.approx(expected, abs=2e-3)
    assert np.array(moments(a, a)) == pytest.approx(mixed(a), abs=2e-3)


def test_components_of_a_table_by_hand() -> None:
    # Effects of models (-1, 1), of tasks (-2, 0, 2), and nothing else: mean squares 6 and 8, no interaction.
    a = np.array([[-3.0, -1, 1], [-1, 1, 3]])
    assert moments(a, a) == pytest.approx((2.0, 4.0, 0.0))


def test_the_table_has_each_component_of_both_predictors() -> None:
    made = pairs(scores(World(families=6, bases=3, recipes=2)), Analysis()).table
    rows = components(made, Analysis(), "made").to_pylist()
    assert [(row["x"], row["component"]) for row in rows] == [
        (x, name) for x in ("base-few-shot", "base-zero-shot") for name in COMPONENTS
    ]
    task = rows[1]
    assert task["ci_low"] < task["correlation"] < task["ci_high"]
    few = components(pairs(scores(World(families=2)), Analysis()).table, Analysis(), "made").to_pylist()
    assert all(
        row["ci_low"] is None and "descriptive only: 2 families" in row["note"] for row in few if row["correlation"]
    )
    one = components(pairs(scores(World(families=1, bases=1)), Analysis()).table, Analysis(), "made").to_pylist()
    assert all(row["correlation"] is None and row["note"].startswith("not estimable: fewer than two") for row in one)


def test_scores_that_only_add_up_have_no_interaction_to_correlate() -> None:
    table = pairs(scores(World(families=6, bases=2, recipes=1, tasks=12)), Analysis()).table
    place = {
        name: {key: at for at, key in enumerate(sorted(set(table[name].to_pylist())))} for name in ("base", "task")
    }
    sums = [
        0.1 * place["base"][b] + 0.03 * place["task"][t]
        for b, t in zip(table["base"].to_pylist(), table["task"].to_pylist(), strict=True)
    ]
    table = table.set_column(table.schema.get_field_index("x"), table.schema.field("x"), [sums])
    model, task, interaction = components(table, Analysis(baseline=None), "made").to_pylist()
    assert min(model["x_variance"], task["x_variance"]) > 0.01
    assert interaction["correlation"] is None
    assert interaction["note"].startswith("not estimable: a variance is not positive")


def test_nothing_is_told_where_a_component_has_no_variance() -> None:
    rng = np.random.default_rng(1)
    table = pairs(scores(World(families=6, bases=2, recipes=1, tasks=12)), Analysis()).table
    flat = rng.permuted(np.linspace(0.2, 0.8, table.num_rows)).tolist()  # no effect of models on either side
    table = table.set_column(table.schema.get_field_index("x"), table.schema.field("x"), [flat])
    rows = [row for row in components(table, Analysis(), "made").to_pylist() if row["x"] == "base-few-shot"]
    assert any(row["correlation"] is None and row["note"].startswith("not estimable: ") for row in rows)


def test_concordance_is_that_of_its_definition() -> None:
    rng = np.random.default_rng(2)
    a = rng.normal(size=(6, 10))
    b = 0.7 * a + 0.3 * rng.normal(size=(6, 10)) + 0.4
    x, y = a.ravel(), b.ravel()
    expected = 1 - ((x - y) ** 2).mean() / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)
    assert co.concordance(a, b, "pooled") == pytest.approx(expected, abs=1e-12)
    assert co.concordance(a, a, "model") == pytest.approx(1)
    assert np.isnan(co.concordance(a, np.ones_like(a), "pooled"))


def test_partial_correlation_is_that_of_residuals_and_of_the_formula() -> None:
    rng = np.random.default_rng(3)
    z, size = rng.normal(size=(8, 9)), np.repeat(rng.normal(size=(8, 1)), 9, 1)
    x, y = (z + size + rng.normal(size=(8, 9)) for _ in range(2))
    one = co.partial(co.Sides(x, y, z), "pooled")
    assert co.partial_given(x, y, [z], "pooled") == pytest.approx(one, abs=1e-9)
    design = np.column_stack([np.ones(72), z.ravel(), size.ravel()])
    rest = [side.ravel() - design @ np.linalg.lstsq(design, side.ravel(), rcond=None)[0] for side in (x, y)]
    assert co.partial_given(x, y, [z, size], "pooled") == pytest.approx(stats.pearsonr(*rest).statistic, abs=1e-9)
    chance = np.repeat(rng.normal(size=(1, 9)), 8, 0)  # flat within a task
    assert co.partial_given(x, y, [z, chance], "within_task") == pytest.approx(
        co.partial_given(x, y, [z], "within_task"), abs=1e-12
    )
    assert np.isnan(co.partial_given(x, z, [z], "pooled"))
