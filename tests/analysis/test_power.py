"""Designs and their simulation: the report's own figures, coverage, errors and power in small, and what is advised."""

import math
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_tables import World as Made
from made_tables import scores
from rich.console import Console

from app import stages
from app.analysis.design import outlook
from app.analysis.design.designs import Design, balanced, grown, planned
from app.analysis.design.power import away_from_floor, claimed, error, excludes_zero, floor_check, judge, simulate
from app.analysis.design.prospects import advice
from app.analysis.design.prospects import warnings as warnings_of
from app.analysis.design.worlds import Shared, World, draw, truth
from app.analysis.estimation import grid as grids
from app.analysis.estimation import permutation
from app.analysis.estimation.coefficients import Sides
from app.analysis.estimation.correlation import correlations
from app.analysis.estimation.jackknife import Interval
from app.analysis.pairing.pairs import pairs
from app.analysis.vocabulary import FLOOR_FILTER, LEVELS
from app.cli.power import power_shown
from app.errors import StudyError
from app.study import Analysis, load
from jobs.simulate.case import Case
from jobs.simulate.experiment import experiment

DEMO = Path(__file__).parents[2] / "jobs" / "studies" / "demo.yaml"
B = balanced(10, 3, 3, 30, 200)
EQUAL = World(
    means=(-0.6, -0.6, -0.6),
    of_tasks=Shared(0.9, 0.85, 0.85),
    of_models=Shared(0.9, 0.8, 0.8),
    of_interactions=Shared(0.6, 0.5, 0.5),
)
AT_FLOOR = replace(EQUAL, means=(-0.6, -2.5, -0.6))


def drawn(design: Design, number: int = 0, world: World | None = None) -> Sides:
    return draw(design, world or World(), np.random.default_rng([5, number]))


def test_a_design_counts_runs_and_clusters() -> None:
    design = balanced(2, 3, 2, 4, 50)
    assert design.runs.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert design.clusters.tolist() == [0] * 6 + [1] * 6
    assert replace(design, cluster_by="base").clusters.tolist() == design.runs.tolist()
    assert design.pairs == 48


def test_checkpoints_of_one_run_are_one_cluster_and_independent_only_where_asked_for() -> None:
    series = balanced(1, 2, 1, 4, 50, checkpoints=3, cluster_by="base")
    assert series.clusters.tolist() == [0, 0, 0, 1, 1, 1]
    assert replace(series, cluster_by="checkpoint").clusters.tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("what", "shape"),
    [
        ("families", (9, 18, 36, 30, 200)),
        ("bases", (6, 18, 36, 30, 200)),
        ("tunings", (6, 12, 36, 30, 200)),
        ("tasks", (6, 12, 24, 45, 200)),
        ("items", (6, 12, 24, 30, 300)),
    ],
)
def test_a_design_grows_by_half_in_one_way(what: str, shape: tuple[int, ...]) -> None:
    more = grown(balanced(6, 2, 2, 30, 200), what)
    families = len({base.family for base in more.bases})
    assert (families, len(more.bases), len(more.runs), more.tasks, more.items) == shape


def test_the_plan_of_the_demo_is_twelve_models_on_six_intact_bases() -> None:
    design = planned(stages.plan(load(DEMO)))
    assert (len(design.bases), len(design.runs), design.items, design.cluster_by) == (6, 12, 60, "base")
    assert int(design.clusters.max()) + 1 == 6


def test_a_plan_without_pairs_is_refused(write_study: Callable[..., Path]) -> None:
    plan = stages.plan(load(write_study()))
    analysis = plan.study.analysis.model_copy(update={"y": "samplegen-direct"})
    nothing = plan._replace(study=plan.study.model_copy(update={"analysis": analysis}))
    with pytest.raises(StudyError, match=r"asks, so nothing is paired with one: name a condition of tuned models"):
        planned(nothing)
    turned = plan.study.analysis.model_copy(update={"x": "tuned-direct", "y": "base-few-shot"})
    design = planned(plan._replace(study=plan.study.model_copy(update={"analysis": turned})))
    assert len(design.runs) == len(plan.tunings)


def test_draws_are_the_seeds_and_tunings_share_their_bases_scores() -> None:
    one, again, other = drawn(B), drawn(B), drawn(B, 1)
    assert all(np.array_equal(a, b) for a, b in zip(one, again, strict=True))
    assert not np.array_equal(one.x, other.x)
    for side, shared in zip(one, (True, False, True), strict=True):
        assert side is not None
        assert side.shape == (90, 30)
        assert np.isfinite(side).all()
        assert np.array_equal(side[::3], side[1::3]) == shared


def test_items_make_noise_and_the_tasks_of_a_floor_world_lie_near_zero() -> None:
    known = [truth(World(), items, rounds=1)[0, LEVELS.index("doubly_centred")] for items in (20, 200)]
    assert known[0] < known[1] - 0.1
    many = balanced(10, 3, 1, 200, 200)
    assert float(np.mean(away_from_floor(drawn(many, 0, AT_FLOOR)))) < 0.4
    assert float(np.mean(away_from_floor(drawn(many, 0, EQUAL)))) > 0.6


def test_predictors_that_are_equally_good_differ_nowhere() -> None:
    r, rival = truth(EQUAL, 200, rounds=2)
    assert np.abs(r - rival).max() < 0.02
    r, rival = truth(World(), 200, rounds=2)
    assert abs((r - rival)[LEVELS.index("doubly_centred")] - 0.11) < 0.02


def test_a_drawn_study_is_judged_as_the_report_judges_it() -> None:
    made = pairs(scores(Made(families=6, bases=2, recipes=2, tasks=24)), Analysis()).table
    table = correlations(made, Analysis(), "made").to_pylist()
    rows = {(row["filter"], row["level"], row["method"], row["x"]): row for row in table}
    cells = grids.complete(grids.cells(made, "family"), rival=True)
    judged = judge(cells.sides, cells.clusters)
    few, zero, difference = "base-few-shot", "base-zero-shot", "base-few-shot - base-zero-shot"
    for level in LEVELS:
        found = judged[level]
        same(rows["all", level, "pearson", few], found.r, found.interval)
        same(rows["all", level, "pearson", zero], found.rival, found.rival_interval)
        same(rows["all", level, "pearson-delta", difference], found.r - found.rival, found.delta)
    check = rows[FLOOR_FILTER, "doubly_centred", "normal-scores-delta", difference]
    assert check["n_tasks"] == int(away_from_floor(cells.sides).sum())
    same(check, check["estimate"], floor_check(cells.sides, cells.clusters))


def same(row: dict[str, object], estimate: float, interval: Interval | None) -> None:
    assert interval is not None
    expected = [row[name] for name in ("estimate", "ci_low", "ci_high", "p_value", "df")]
    assert np.allclose([estimate, *interval], expected, rtol=0, atol=1e-9)


def test_jack2_covers_at_design_b_where_cells_taken_for_independent_do_not() -> None:
    count, level = 150, "doubly_centred"
    known = float(truth(World(), B.items, rounds=12)[0, LEVELS.index(level)])
    held, cellwise = list[bool](), list[bool]()
    for number in range(count):
        found = judge(drawn(B, number), B.clusters)[level]
        assert found.interval is not None
        held.append(found.interval.low <= known <= found.interval.high)
        cellwise.append(abs(np.arctanh(found.r) - np.arctanh(known)) < 1.96 / (B.pairs - 3) ** 0.5)
    assert 0.90 <= np.mean(held) <= 0.99
    assert np.mean(cellwise) < 0.85


def test_the_floor_check_keeps_a_difference_from_being_claimed_that_is_none() -> None:
    count, level = 120, "doubly_centred"
    unchecked, checked = list[bool](), list[bool]()
    for number in range(count):
        sides = drawn(B, number, AT_FLOOR)
        found = judge(sides, B.clusters)[level]
        unchecked.append(excludes_zero(found.delta) != 0)
        checked.append(claimed(sides, B.clusters, found) != 0)
    assert np.mean(checked) <= 0.06 + 2 * error(0.06, count)
    assert np.mean(unchecked) > 0.3


def test_intervals_narrow_and_power_grows_with_bases() -> None:
    found = [simulate(balanced(6, bases, 2, 30, 200), experiments=60, check=False) for bases in (1, 5)]
    few, many = (one.at("doubly_centred") for one in found)
    assert many.half_width < few.half_width
    assert many.power > few.power + 0.2
    assert many.spread < few.spread


def test_the_same_seed_gives_the_same_figures_and_another_does_not() -> None:
    design = balanced(6, 1, 2, 12, 60)
    one, again, other = (simulate(design, experiments=10, seed=seed) for seed in (0, 0, 1))
    assert one.levels == again.levels
    assert one.levels != other.levels


def test_the_error_of_a_share_is_the_binomials_and_never_nought() -> None:
    assert abs(error(0.5, 100) - 0.05) < 1e-12
    assert 0 < error(0, 100) < 0.01
    assert abs(error(0, 100) - error(1, 100)) < 1e-12


@pytest.mark.parametrize(
    ("design", "first", "cautions"),
    [
        (
            balanced(2, 3, 2, 31, 60),
            "add families first: intervals need 5 of them, and there are 2",
            ["descriptive only: 2 families", "60 items a task are fewer than 100", "cannot reach p < .05"],
        ),
        (balanced(6, 2, 1, 8, 200), "add 2 tasks first: without 10", ["no interval: 8 tasks"]),
        (
            balanced(6, 1, 1, 12, 200, checkpoints=2, cluster_by="checkpoint"),
            " first: that brings the interval of the difference from",
            ["12 base models are checkpoints of 6 runs"],
        ),
    ],
)
def test_what_a_design_cannot_carry_is_told_with_what_mends_it(design: Design, first: str, cautions: list[str]) -> None:
    advised = advice(simulate(design, experiments=12))
    assert first in advised.first
    for caution in [*cautions, "zero-shot near its floor makes a difference by itself"]:
        assert any(caution in warning for warning in advised.warnings), advised.warnings
    assert sorted(option.what for option in advised.options) == ["bases", "families", "items", "tasks", "tunings"]


def test_the_swap_test_that_is_foretold_goes_by_families_as_the_reports_own_does() -> None:
    design = balanced(2, 3, 2, 12, 200, cluster_by="base")
    told = [one for one in warnings_of(simulate(design, experiments=2)) if "swap" in one]
    assert told == ["4 ways to swap predictors by family: that test cannot reach p < .05"]
    sides = drawn(design)
    assert sides.z is not None
    family = design.families[design.models[design.runs]]
    made = permutation.difference(sides.x, sides.z, sides.y, "doubly_centred", family)
    assert made.note == "no permutation test: 4 ways to swap predictors cannot reach p < .05"
    assert "swap" not in experiment(Case("two families", "difference", design, EQUAL), 0).rejected
    six = replace(design, bases=balanced(6, 1, 2, 12, 200).bases)
    assert "swap" in experiment(Case("six families", "difference", six, EQUAL), 0).rejected


def test_checkpoints_taken_for_clusters_have_no_interval_where_the_report_gives_none() -> None:
    found = simulate(balanced(6, 1, 1, 12, 50, checkpoints=2, cluster_by="checkpoint"), experiments=4, check=False)
    assert {level: np.isfinite(found.at(level).half_width) for level in LEVELS} == {
        "pooled": True, "within_task": False, "doubly_centred": True, "model": False, "task": True,
    }  # fmt: skip


def test_without_a_baseline_nothing_is_promised_of_a_difference() -> None:
    design = replace(balanced(6, 2, 1, 12, 50), rival=False)
    found = simulate(design, experiments=6)
    row = found.at("doubly_centred")
    assert np.isfinite(row.half_width)
    assert np.isnan([row.true_delta, row.delta, row.delta_half_width, row.power, found.claims]).all()
    told = outlook.outlook(design, 6)
    assert told.short.startswith("Studies of this design find r with an interval of ±")
    assert "brings the interval of r from" in told.short
    assert {line.difference for line in (*told.levels, *told.growths)} == {None}
    assert len(told.growths) == 5
    assert "the baseline is not measured" in told.warnings[-1]
    assert not any("claim" in warning or "swap" in warning for warning in told.warnings)


def test_growths_say_from_how_many_to_how_many() -> None:
    advised = advice(simulate(balanced(6, 1, 1, 12, 50), experiments=4))
    assert {option.said for option in advised.options} == {
        "families (6 to 9)", "bases (6 to 9)", "tunings (6 to 12)", "tasks (12 to 18)", "items (50 to 75)",
    }  # fmt: skip


def test_a_world_at_its_floor_supports_no_claim() -> None:
    advised = advice(simulate(balanced(6, 1, 2, 15, 200), AT_FLOOR, experiments=12), AT_FLOOR)
    assert any("no claim that few-shot is the better predictor" in warning for warning in advised.warnings)


def test_a_design_of_one_model_and_one_task_has_no_interval_and_no_fault() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = simulate(balanced(1, 1, 1, 1, 50), experiments=4)
        advised = advice(found)
    assert found.refusal == "descriptive only: 1 family, an interval needs 5; no interval: 1 task, an interval needs 10"
    assert advised.first == "add 9 tasks first: without 10 there is no interval"
    for row in found.levels:
        assert all(math.isnan(share) for share in (row.half_width, row.coverage, row.power))


def shown(text: Path) -> str:
    console = Console(width=200, no_color=True)
    with console.capture() as told:
        for part in power_shown(stages.plan(load(text))):
            console.print(part, soft_wrap=True)
    return told.get()


def test_the_terminal_shows_widths_power_their_error_and_what_to_add() -> None:
    told = shown(DEMO)
    row = next(line for line in told.splitlines() if line.startswith("task and model means removed")).split()
    assert row[5].startswith("0.")
    assert row[6].startswith("±0.")
    assert row[7].endswith("%")
    assert row[8].startswith("(")
    for part in (
        "power",
        "200 simulated studies of 12 tuned models, 6 clusters by base, 31 tasks, 60 items",
        "first: ",
    ):
        assert part in told
    assert told.count("caution: ") >= 3


def test_the_terminal_shows_no_widths_where_the_report_would_give_none(write_study: Callable[..., Path]) -> None:
    told = shown(write_study())
    assert "±" not in told
    assert "nan" not in told
    assert "caution: descriptive only: 1 " in told
    assert "1 tuned model," in told
