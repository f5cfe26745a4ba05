"""Components of variance without the noise of items."""

import numpy as np
import pyarrow as pa
import pytest
from made_tables import World, scores
from made_tables import items as made_items

from app import tables
from app.analysis.estimation.components import components as with_noise
from app.analysis.estimation.noise_free import components
from app.analysis.pairing.pairs import pairs
from app.study import Analysis

_SHARED = ("study", "base", "family", "params", "run", "recipe", "format", "seed", "task", "cluster", "role", "metric")


def made(world: World) -> pa.Table:
    return pairs(scores(world), Analysis()).table


def noiseless(found: pa.Table, each: int = 6) -> pa.Table:
    """Items that are all right to the degree of their pair's score."""
    rows = [
        {name: pair[name] for name in _SHARED}
        | {name: pair[f"{name}_raw"] for name in "xyz"}
        | {"item": f"{pair['task']} {at}", "x_margin": None, "prompt_tokens": 9, "options": 4}
        for pair in found.to_pylist()
        for at in range(each)
    ]
    return tables.build("items", rows)


def test_items_without_noise_give_the_components_of_the_scores() -> None:
    found = made(World(families=6, bases=2, recipes=2, tasks=12))
    rows = components(noiseless(found), found, Analysis(), "made").to_pylist()
    wanted = with_noise(found, Analysis(), "made").to_pylist()
    assert [(r["x"], r["component"]) for r in rows] == [(r["x"], r["component"]) for r in wanted]
    assert {row["noise"] for row in rows} == {"removed"}
    for row, expected in zip(rows, wanted, strict=True):
        for name in ("x_variance", "y_variance", "covariance"):
            assert row[name] == pytest.approx(expected[name], abs=1e-12)
        if row["correlation"] is not None:
            assert row["correlation"] == pytest.approx(expected["correlation"], abs=1e-12)
            assert (row["ci_low"], row["ci_high"]) == pytest.approx((expected["ci_low"], expected["ci_high"]), abs=1e-9)
    assert sum(row["correlation"] is not None for row in rows) >= 2


def test_noise_inflates_the_interaction_and_is_taken_out_of_it() -> None:
    found = made(World(families=6, bases=3, recipes=2, tasks=20, items=4000))
    items = made_items(found, each=40)
    (removed,) = [r for r in components(items, found, Analysis(baseline=None), "made").to_pylist() if
                  r["component"] == "interaction"]  # fmt: skip
    (truth,) = [r for r in with_noise(found, Analysis(baseline=None), "made").to_pylist() if
                r["component"] == "interaction"]  # fmt: skip
    # The items of `made_items` are drawn anew for each run: x has no noise that its runs share.
    assert removed["y_variance"] == pytest.approx(truth["y_variance"], rel=0.2)
    assert removed["covariance"] == pytest.approx(truth["covariance"], rel=0.3)


def test_answers_by_chance_have_no_correlation_of_their_interaction() -> None:
    found = made(World(families=5, bases=2, recipes=1, tasks=10))
    items = noiseless(found, 10)
    rng = np.random.default_rng(0)
    for name in "xyz":
        place = items.schema.get_field_index(name)
        drawn = pa.array(rng.integers(0, 2, items.num_rows).astype(float))
        items = items.set_column(place, items.schema.field(place), drawn)
    rows = components(items, found, Analysis(), "made").to_pylist()
    refused = [row for row in rows if row["component"] == "interaction"]
    assert len(refused) == 2
    assert all(row["correlation"] is None and row["note"].startswith("not estimable") for row in refused)


@pytest.mark.parametrize("world", [World(families=1, bases=1, recipes=1, tasks=4), World(2, 1, 1, 1)])
def test_one_model_or_one_task_is_no_design(world: World) -> None:
    found = made(world)
    rows = components(noiseless(found), found, Analysis(), "made").to_pylist()
    assert len(rows) == 6
    assert all(row["correlation"] is None and row["note"].startswith("not estimable") for row in rows)


def test_few_families_are_descriptive_and_no_items_make_no_rows() -> None:
    found = made(World(families=3, bases=2, recipes=1, tasks=12))
    rows = components(noiseless(found), found, Analysis(), "made").to_pylist()
    told = [row for row in rows if row["correlation"] is not None]
    assert told
    assert all(row["note"].startswith("descriptive only: 3 families") and row["ci_low"] is None for row in told)
    assert components(noiseless(found).slice(0, 0), found, Analysis(), "made").num_rows == 0
