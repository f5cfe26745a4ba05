"""What may begin, in which order, and what fails or is left with what; how well that order does on many nodes."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.plan import EVALUATIONS, TRIALS, Base, Cell, Ended, Kind, Needs, Plan, Purse, Schedule, expand, schedule, spent
from app.plan.simulation import Nodes, bound, run, simulate
from app.resolve import resolve
from app.study import Limits, Resources, load

BASE = Base("tiny", "llama", "ladder", "", None, "float32", 1_000, Resources(), False, None, {})
KINDS = (*TRIALS, *EVALUATIONS)
STUDIES = Path(__file__).parents[1] / "jobs" / "studies"


def cell(name: str, cost: float = 1.0, kind: Kind = "tune", **needs: float) -> Cell:
    return Cell(kind, f"{kind}/{name}", {"name": name}, replace(Needs(1, 0, 2**30), **needs), cost, BASE)


@pytest.fixture(scope="module")
def demo() -> Plan:
    file = load(STUDIES / "demo.yaml")
    return expand(file.study, resolve(file))


def test_the_longest_path_begins_first_and_equals_keep_their_order() -> None:
    cells = [cell("a", 2), cell("b", 1), cell("c", 1), cell("after-b", 5)]
    ordered = Schedule(cells, {"tune/after-b": ["tune/b"]})
    assert [one.slug for one in ordered.take(KINDS, 9)] == ["tune/b", "tune/a", "tune/c"]
    assert ordered.critical_path == 6
    assert ordered.take(KINDS) == []
    ordered.end("tune/b")
    assert [one.slug for one in ordered.take(KINDS)] == ["tune/after-b"]
    assert ordered.over(KINDS)


def test_what_needs_a_failed_cell_fails_with_it_and_nothing_else() -> None:
    cells = [cell("a"), cell("b"), cell("after-a"), cell("after-both"), cell("last")]
    needs = {"tune/after-a": ["tune/a"], "tune/after-both": ["tune/a", "tune/b"], "tune/last": ["tune/after-both"]}
    ordered = Schedule(cells, needs)
    ordered.take(KINDS, 9)
    ordered.end("tune/a", "out of luck")
    ordered.end("tune/a", "told twice")
    ordered.end("tune/b")
    assert ordered.failed[0] == Ended("tune/a", "out of luck")
    assert {one.slug for one in ordered.failed[1:]} == {"tune/after-a", "tune/after-both", "tune/last"}
    assert {one.reason for one in ordered.failed[1:]} == {"what it needs failed"}
    assert ordered.over(KINDS)


def test_it_says_why_each_cell_waits() -> None:
    cells = [cell("base", kind="pretrain"), cell("run"), cell("other", gpus=1), cell("score", kind="evaluate")]
    ordered = Schedule(cells, {"tune/run": ["pretrain/base"], "evaluate/score": ["tune/run"]})
    assert ordered.waiting()["tune/run"] == "its base model is not ready"
    assert ordered.waiting()["evaluate/score"] == "its tuning is not done"
    assert ordered.waiting()["tune/other"] == "waits for room"
    ordered.take(KINDS, 9)
    assert ordered.waiting()["tune/other"] == "no room yet for 1 GPU"
    ordered.started("tune/other")
    assert "tune/other" not in ordered.waiting()
    ordered.close()
    assert ordered.over(KINDS)


def test_a_plan_is_scheduled_base_models_before_runs_before_scores(demo: Plan) -> None:
    slugs = {one.slug for one in demo.cells}
    ordered = schedule(demo, slugs)
    begun: list[str] = []
    ended: set[str] = set()
    while taken := ordered.take(KINDS, 3):
        for one in taken:
            base, run_slug = one.base.slug, getattr(getattr(one, "run", None), "slug", None)
            assert one.kind == "pretrain" or f"pretrain/{base}" in ended
            assert one.kind != "evaluate" or run_slug is None or f"tune/{run_slug}" in ended
            begun.append(one.slug)
            ordered.end(one.slug)
            ended.add(one.slug)
    assert sorted(begun) == sorted(slugs)
    done = {one.slug for one in demo.made}  # a second run finds base models done and waits for none of them
    rest = schedule(demo, slugs - done)
    assert len(rest.ready(["tune"])) == len(demo.tunings)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 40), st.integers(1, 6))
def test_a_simulated_cluster_computes_every_cell_within_the_bound_of_list_schedules(
    seed: int, count: int, nodes: int
) -> None:
    rng = random.Random(seed)
    cells = [cell(str(number), rng.uniform(0.1, 10)) for number in range(count)]
    slugs = [one.slug for one in cells]
    needs = {slug: rng.sample(slugs[:place], min(place, rng.randint(0, 2))) for place, slug in enumerate(slugs)}
    cluster = [Nodes(nodes, {"CPU": 1, "memory": 2**30})]
    found = run(Schedule(cells, needs), cluster)
    assert found.bound <= found.makespan * (1 + 1e-9)
    assert found.makespan <= (2 - 1 / nodes) * found.bound * (1 + 1e-9)  # Graham 1969, theorem 1
    mortal = run(Schedule(cells, needs), [replace(cluster[0], lifetime=20.0, absence=1.0, checkpoint=0.5)], seed)
    assert mortal.makespan >= found.bound * (1 - 1e-9)


def test_a_simulated_node_that_dies_costs_time_and_loses_no_cell() -> None:
    cells = [cell(str(number), 10) for number in range(40)]
    still = run(Schedule(cells), [Nodes(4, {"CPU": 1, "memory": 2**30})])
    assert still.makespan == still.bound == 100
    mortal = run(Schedule(cells), [Nodes(4, {"CPU": 1, "memory": 2**30}, lifetime=50, absence=5, checkpoint=2)], seed=1)
    assert mortal.deaths > 0
    assert 100 < mortal.makespan < 300


def test_workers_of_one_cell_begin_together_and_a_cell_without_a_node_is_named() -> None:
    cells = [cell("wide", 10, workers=3), cell("small", 1)]
    found = run(Schedule(cells), [Nodes(3, {"CPU": 1, "memory": 2**30})])
    assert found.makespan == 11
    with pytest.raises(ValueError, match="tune/huge fits on no node"):
        run(Schedule([cell("huge", gpus=2)]), [Nodes(3, {"CPU": 1, "GPU": 1, "memory": 2**30})])


@pytest.mark.parametrize("nodes", [1, 30, 1000])
def test_the_demo_is_scheduled_near_its_bound(demo: Plan, nodes: int) -> None:
    found = simulate(demo, [one.slug for one in demo.cells], [Nodes(nodes, {"CPU": 1, "memory": 2**34})])
    assert found.makespan <= 1.05 * found.bound
    assert found.bound == bound(schedule(demo, [one.slug for one in demo.cells]), [Nodes(nodes, {"CPU": 1})])


@pytest.fixture(scope="module")
def large() -> Plan:
    """Some 11,000 cells."""
    file = load(STUDIES / "ninety.yaml")
    shots = file.study.shots.model_copy(update={"counts": (1, 2, 4, 8), "seeds": (0, 1)})
    return expand(file.study.model_copy(update={"shots": shots}), resolve(file))


@pytest.mark.parametrize("nodes", [1, 30, 1000])
def test_ten_thousand_cells_are_scheduled_near_their_bound_and_deaths_lose_none(large: Plan, nodes: int) -> None:
    slugs = [one.slug for one in large.cells][:10_000]
    shape = Nodes(nodes, {"CPU": 1, "memory": 2**34})
    still = simulate(large, slugs, [shape])
    assert still.makespan <= 1.05 * still.bound
    mortal = simulate(large, slugs, [replace(shape, lifetime=600, absence=30)])
    assert mortal.deaths > 0
    assert mortal.makespan >= still.bound


def limited(planned: Plan, **limits: object) -> Plan:
    return planned._replace(study=planned.study.model_copy(update={"limits": Limits(**limits)}))  # type: ignore[arg-type]


def exhaust(planned: Plan, purse: Purse, took: dict[str, float], slower: float) -> tuple[Schedule, list[Cell]]:
    """Run everything that the purse admits; cells take `slower` times their estimate."""
    ordered, ended = schedule(planned, [one.slug for one in planned.cells], purse), []
    while taken := ordered.take(KINDS):
        took[taken[0].slug] = taken[0].cost * slower
        ordered.end(taken[0].slug)
        ended += taken
    return ordered, ended


@pytest.mark.parametrize("slower", [0.5, 1.0, 2.0])
def test_a_budget_finishes_the_pairs_that_it_began_and_leaves_whole_ones(demo: Plan, slower: float) -> None:
    total = sum(one.cost for one in demo.cells) / 3600
    planned = limited(demo, core_hours=total / 3)
    took: dict[str, float] = {}
    ordered, ended = exhaust(planned, Purse(planned, [one.slug for one in planned.cells], took.get), took, slower)
    begun = {one.run.slug for one in planned.tunings if one in ended}
    assert 0 < len(begun) < len(planned.tunings)
    done = {one.slug for one in ended}
    for one in planned.evaluations:
        pair_begun = one.run.slug in begun if one.run else any(slug.startswith(f"{one.base.slug}.") for slug in begun)
        assert (one.slug in done) == pair_begun
    assert {ending.reason for ending in ordered.left} == {
        f"the budget of {total / 3:g} core-hours is taken: raise limits.core_hours"
    }
    assert len(ordered.left) + len(ended) == len(planned.cells)
    hours = spent(planned, took)[0]
    bases = {one.base.slug for one in planned.cells}
    largest = max(sum(one.cost for one in planned.cells if one.base.slug == base) for base in bases)
    assert hours <= total / 3 * max(1, slower) + largest * slower / 3600


def test_no_pair_begins_that_would_end_after_the_deadline(demo: Plan) -> None:
    now = datetime(2030, 1, 1, tzinfo=UTC)
    for seconds, some in ((1.0, False), (10.0**9, True)):
        planned = limited(demo, deadline=now + timedelta(seconds=seconds))
        purse = Purse(planned, [one.slug for one in planned.cells], lambda slug: None, lambda: now)
        ordered, ended = exhaust(planned, purse, {}, 1.0)
        assert bool(ended) == some
        assert bool(ordered.left) != some
        assert all("deadline" in ending.reason for ending in ordered.left)


def test_a_later_run_goes_on_with_what_an_earlier_one_began(demo: Plan) -> None:
    planned = limited(demo, core_hours=1e-9)
    run_slug = demo.tunings[0].run.slug
    base = demo.tunings[0].base.slug
    done = {f"pretrain/{base}", f"tune/{run_slug}"}
    to_do = [one.slug for one in planned.cells if one.slug not in done]
    ordered = schedule(planned, to_do, Purse(planned, to_do, lambda slug: 1.0 if slug in done else None))
    taken = ordered.take(KINDS, 10_000)
    assert taken
    assert all(one.base.slug == base and getattr(one, "run", None) in (None, demo.tunings[0].run) for one in taken)
