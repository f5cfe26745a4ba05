"""Two studies side by side: what changed beyond its error, and whether correlations moved with it."""

import io
import math
from collections.abc import Callable
from functools import cache

import numpy as np
import pyarrow as pa
import pytest
from made_tables import World, scores
from rich.console import Console
from scipy import stats

from app import tables
from app.analysis.changed_cells import changes, holm
from app.analysis.compare import Comparison, Moved, Side, compare
from app.analysis.estimation.correlation import correlations
from app.analysis.pairing.pairs import pairs
from app.cli.compared import render
from app.errors import StoreError
from app.study import Analysis

MEDIUM = World(families=6, bases=2, recipes=2, tasks=12)
Change = Callable[[dict[str, object]], list[dict[str, object]]]


@cache
def table(world: World = MEDIUM) -> pa.Table:
    return pairs(scores(world), Analysis()).table


def changed(made: pa.Table, change: Change) -> pa.Table:
    return tables.build("pairs", [new for row in made.to_pylist() for new in change(row)])


@cache
def first() -> Side:
    return side("a", table())


def side(name: str, made: pa.Table, analysis: Analysis | None = None) -> Side:
    return Side(name, made, correlations(made, analysis or Analysis(), "made"))


def moved(found: Comparison, level: str = "doubly_centred", statistic: str = "r") -> Moved:
    (one,) = (one for one in found.moved if (one.level, one.statistic) == (level, statistic))
    return one


def raw(row: dict[str, object], side: str, value: float) -> dict[str, object]:
    """A score, and the same corrected for chance."""
    chance = row["chance"]
    return {f"{side}_raw": value, side: (value - chance) / (1 - chance)}  # type: ignore[operator]


def noisy(made: pa.Table, size: float, seed: int = 0) -> pa.Table:
    """Other few-shot scores: the same for all runs of a base model."""
    rng = np.random.default_rng(seed)
    known: dict[tuple[object, object], float] = {}

    def change(row: dict[str, object]) -> list[dict[str, object]]:
        shift = known.setdefault((row["base"], row["task"]), float(size * rng.normal()))
        return [row | raw(row, "x", row["x_raw"] + shift)]  # type: ignore[operator]

    return changed(made, change)


def grids(made: pa.Table) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """x, y and z as runs x tasks, and the family of each run."""
    rows = sorted(made.to_pylist(), key=lambda r: (r["run"], r["task"]))
    tasks = len({r["task"] for r in rows})
    x, y, z = (np.array([r[name] for r in rows]).reshape(-1, tasks) for name in "xyz")
    return x, y, z, np.array([r["family"] for r in rows]).reshape(-1, tasks)[:, 0]


def centred_r(a: np.ndarray, b: np.ndarray) -> float:
    def rest(side: np.ndarray) -> np.ndarray:
        return (side - side.mean(0) - side.mean(1, keepdims=True) + side.mean()).ravel()

    return float(stats.pearsonr(rest(a), rest(b)).statistic)


def test_a_study_is_the_same_as_itself() -> None:
    one = first()
    found = compare(one, one._replace(name="b"))
    assert (found.a, found.b, found.settings, found.only_a, found.only_b) == ("a", "b", {}, [], [])
    assert found.matched == 288
    assert found.shape == (24, 12, 6)
    assert found.sentences[0] == "Every score that both have is the same."
    for each in found.moved:
        assert each.difference == 0
        assert (each.ci_low, each.p_value) == (None, None)
        assert each.note == "the paired scores are the same in both"
    assert [(c.side, c.scores, c.largest, c.beyond) for c in found.changes] == [
        ("x", 144, 0, []), ("z", 144, 0, []), ("y", 288, 0, []),
    ]  # fmt: skip


def test_scores_that_are_the_same_but_for_a_missing_cell_are_called_the_same() -> None:
    holed = side("a", table().slice(1))
    assert moved(compare(holed, holed._replace(name="b"))).note.startswith("the paired scores are the same in both")
    other = side("b", changed(table(), lambda row: [row | {"z": row["z"] / 2}]))  # type: ignore[operator]
    found = compare(first(), other)
    assert moved(found).note.startswith("the paired scores are the same in both")  # z has no part in r
    assert "the same" not in moved(found, statistic="delta").note


def test_the_difference_is_that_of_the_studies_own_estimates_where_they_share_all_cells() -> None:
    before, after = table(), noisy(table(), 0.15)
    found = compare(first(), side("b", after))
    for one in found.moved:
        assert one.difference is not None
        assert one.a.estimate is not None
        assert one.b.estimate is not None
        assert math.isclose(one.difference, one.b.estimate - one.a.estimate, abs_tol=1e-12)
    (x, y, _, _), (w, v, _, _) = grids(before), grids(after)
    assert math.isclose(moved(found).difference or 0, centred_r(w, v) - centred_r(x, y), abs_tol=1e-9)


def test_the_interval_is_the_two_way_jackknife_of_the_difference() -> None:
    before, after = table(), noisy(table(), 0.15)
    found = moved(compare(first(), side("b", after)), "model", "delta")
    (x, y, z, family), (w, v, u, _) = grids(before), grids(after)

    def change(runs: np.ndarray, tasks: np.ndarray) -> float:
        def r(a: np.ndarray, b: np.ndarray) -> float:
            return float(stats.pearsonr(a[runs][:, tasks].mean(1), b[runs][:, tasks].mean(1)).statistic)

        return (r(w, v) - r(u, v)) - (r(x, y) - r(z, y))

    every_run, every_task = np.full(24, True), np.full(12, True)
    by_family = np.array([change(family != name, every_task) for name in sorted(set(family))])
    by_task = np.array([change(every_run, np.arange(12) != task) for task in range(12)])
    v_f, v_t = (((part - part.mean()) ** 2).sum() * (len(part) - 1) / len(part) for part in (by_family, by_task))
    df = (v_f + v_t) ** 2 / (v_f**2 / 5 + v_t**2 / 11)
    half = stats.t.ppf(0.975, df) * math.sqrt(v_f + v_t)
    whole = change(every_run, every_task)
    for given, wanted in ((found.difference, whole), (found.ci_low, whole - half), (found.ci_high, whole + half)):
        assert given is not None
        assert math.isclose(given, wanted, abs_tol=1e-9)


def test_a_spoilt_predictor_moves_the_correlation_and_single_scores() -> None:
    world = World(families=8, bases=2, recipes=1, tasks=24, seed=4)
    found = compare(side("a", table(world)), side("b", noisy(table(world), 0.3)))
    primary = moved(found)
    assert primary.ci_high is not None
    assert primary.ci_high < 0
    assert "a change to be expected with other models and tasks" in found.sentences[1]
    x, z, y = found.changes
    assert len(x.beyond) > 100
    assert z.beyond == y.beyond == []
    assert f" scores that both have, {len(x.beyond)} differ" in found.sentences[0]
    assert "(about 17 would" in found.sentences[0]  # of the 384 that were measured anew


def test_scores_drawn_anew_from_the_same_models_change_no_more_than_chance_does() -> None:
    def drawn(seed: int) -> pa.Table:
        rng = np.random.default_rng(seed)
        known: dict[tuple[object, ...], float] = {}

        def change(row: dict[str, object]) -> list[dict[str, object]]:
            new: dict[str, object] = {}
            for name in "xyz":
                key = (name, row["base"], row["run"] if name == "y" else None, row["task"])
                p = known.setdefault(key, float(rng.binomial(200, np.clip(row[f"{name}_raw"], 0.1, 0.9)) / 200))
                new |= raw(row, name, p) | {f"{name}_stderr": math.sqrt(p * (1 - p) / 199)}
            return [row | new | {"n": 200}]

        return changed(table(), change)

    found = changes(drawn(1), drawn(2))
    tested, beyond = sum(c.tested for c in found), sum(len(c.beyond) for c in found)
    assert tested == 576
    assert 0.02 < beyond / tested < 0.08  # 4.6 % expected
    assert sum(cell.p_holm < 0.05 for c in found for cell in c.beyond) == 0


def test_the_error_of_a_change_is_that_of_both_scores() -> None:
    def at(p: float, stderr: float) -> pa.Table:
        return changed(table().slice(0, 1), lambda r: [r | raw(r, "y", p) | {"y_stderr": stderr}])

    (cell,) = changes(at(0.4, 0.03), at(0.6, 0.04))[2].beyond
    assert math.isclose(cell.errors, 4.0)
    assert math.isclose(cell.p_value, 2 * stats.norm.sf(4))
    assert math.isclose(cell.p_holm, 3 * cell.p_value)  # of three scores
    none = changes(at(0.4, math.nan), at(0.6, 0.04))[2]
    assert (none.tested, none.beyond, none.largest) == (0, [], pytest.approx(0.2))


def test_all_right_and_all_wrong_have_an_error_too() -> None:
    def at(p: float, n: int) -> pa.Table:
        return changed(table().slice(0, 1), lambda r: [r | raw(r, "y", p) | {"y_stderr": 0.0, "n": n}])

    few = changes(at(0.0, 2), at(1.0, 2))[2]
    assert (few.tested, few.beyond) == (1, [])  # two items tell nothing
    (cell,) = changes(at(0.0, 48), at(1.0, 48))[2].beyond
    p, q = 1 / 50, 49 / 50
    assert math.isclose(cell.errors, (q - p) / math.sqrt((p * (1 - p) + q * (1 - q)) / 50))
    assert changes(at(0.0, 0), at(1.0, 0))[2].tested == 0


def test_holms_p_steps_down_in_the_given_order() -> None:
    assert holm([]) == []
    assert np.allclose(holm([0.04, 0.01, 0.03, 0.9]), [0.09, 0.04, 0.09, 0.9], atol=1e-12)


def test_pairs_of_one_study_alone_are_named_and_left_out_of_the_difference() -> None:
    made = table()
    less = changed(made, lambda r: [] if r["task"] == "task-03" or r["run"] == "llama-32x2.lora.s0" else [r])
    found = compare(side("a", made), side("b", noisy(less, 0.1)))
    assert len(found.only_a) == 24 + 11
    assert "llama-32x2.lora.s0, task-00" in found.only_a
    assert found.only_b == []
    assert found.shape == (23, 11, 6)
    x, y, _, _ = grids(less)
    w, v, _, _ = grids(noisy(less, 0.1))
    assert math.isclose(moved(found).difference or 0, centred_r(w, v) - centred_r(x, y), abs_tol=1e-9)
    back = compare(side("a", noisy(less, 0.1)), side("b", made))
    assert math.isclose(moved(back).difference or 0, -(moved(found).difference or 0), abs_tol=1e-12)
    assert back.only_b == found.only_a


def test_studies_without_a_common_pair_are_only_set_side_by_side() -> None:
    other = changed(table(), lambda r: [r | {"task": f"other-{r['task']}"}])
    found = compare(first(), side("b", other))
    assert found.matched == 0
    assert found.shape == (0, 0, 0)
    assert found.changes == []
    assert "no pair in common" in found.sentences[0]
    for one in found.moved:
        assert one.difference is None
        assert one.note == "not estimable: no cells in common"
        assert one.a.estimate is not None


def test_another_chance_level_or_best_value_leaves_nothing_to_compare_and_it_is_said() -> None:
    percent = {f"{name}_raw": 100.0 for name in "xyz"}
    hundredfold = changed(table(), lambda r: [r | {name: r[name] * times for name, times in percent.items()}])  # type: ignore[operator]
    other = changed(table(), lambda r: [r | {"chance": r["chance"] + 0.01}])  # type: ignore[operator]
    for second in (hundredfold, other):
        found = compare(first(), side("b", second))
        assert found.sentences[0] == "No score can be compared: metric, chance level or best value are others."
    names = {row["base"]: f"{row['base']}[/x]" for row in table().to_pylist()}
    marked = [changed(t, lambda r: [r | {"base": names[r["base"]]}]) for t in (table(), noisy(table(), 0.3))]
    console = Console(width=300, file=io.StringIO())
    console.print(render(compare(side("a", marked[0]), side("b", marked[1]))))
    assert "[/x]" in console.file.getvalue()  # a name is no markup


def test_another_metric_is_told_and_its_scores_are_not_compared() -> None:
    other = changed(table(), lambda r: [r | {"metric": "f1", "wording": "closed", "x_shots": 8}])
    found = compare(first(), side("b", other))
    assert found.settings == {
        "wording": ("standard", "closed"), "x_shots": ("4", "8"), "metric": ("accuracy", "f1"),
    }  # fmt: skip
    assert [(c.scores, c.other_metric) for c in found.changes] == [(0, 144), (0, 144), (0, 288)]


def test_few_families_or_tasks_give_a_difference_without_an_interval() -> None:
    for world in (World(families=2, bases=2, recipes=2, tasks=12), World(families=6, bases=1, recipes=1, tasks=5)):
        found = moved(compare(side("a", table(world)), side("b", noisy(table(world), 0.1))))
        assert found.difference is not None
        assert found.ci_low is None
        assert found.note.startswith("descriptive only: ")


@pytest.mark.parametrize("world", [World(1, 1, 1, 12), World(6, 1, 1, 1), World(1, 1, 1, 1)])
def test_one_model_or_one_task_is_not_estimable(world: World) -> None:
    found = compare(side("a", table(world)), side("b", noisy(table(world), 0.1)))
    assert moved(found).difference is None
    assert "not estimable" in moved(found).note
    assert moved(found).note in found.sentences[1]


def test_constant_scores_are_not_estimable() -> None:
    flat = changed(table(), lambda r: [r | {"x": 0.5, "x_raw": 0.5}])
    found = compare(first(), side("b", flat))
    assert moved(found).difference is None


def test_intervals_by_base_models_are_kept() -> None:
    analysis = Analysis(cluster_by="base")
    one, other = side("a", table(), analysis), side("b", noisy(table(), 0.1), analysis)
    found = compare(one, other)
    assert found.shape == (24, 12, 12)


def test_without_a_rival_there_is_no_delta() -> None:
    bare = changed(table(), lambda r: [r | {"z": None, "z_raw": None, "z_stderr": None}])
    found = compare(first(), side("b", noisy(bare, 0.1)))
    assert moved(found, statistic="delta").difference is None
    assert moved(found).difference is not None
    assert [c.side for c in found.changes] == ["x", "y"]


def test_base_models_that_lack_tasks_by_design_do_not_move_the_answer() -> None:
    world = World(families=6, bases=1, recipes=1, tasks=14, removed=True)
    found = compare(side("a", table(world)), side("b", noisy(table(world), 0.1)))
    one = moved(found)
    assert found.shape == (6, 14, 6)
    assert math.isclose(one.difference or 0, (one.b.estimate or 0) - (one.a.estimate or 0), abs_tol=1e-12)


def test_a_repeated_pair_is_refused() -> None:
    good = first()
    twice = pa.concat_tables([good.pairs, good.pairs.slice(0, 1)])
    with pytest.raises(StoreError, match="two rows for"):
        compare(good, good._replace(pairs=twice))


def test_the_same_tables_give_the_same_comparison() -> None:
    one, other = first(), side("b", noisy(table(), 0.1))
    assert compare(one, other) == compare(one, other)
