"""The statistics that `make simulate` draws beside Pearson's r are those of the report."""

import numpy as np
import pytest
from made_tables import World as Made
from made_tables import scores

from app.analysis.design.designs import balanced
from app.analysis.design.worlds import draw_items, truth
from app.analysis.estimation import grid as grids
from app.analysis.estimation.components import components
from app.analysis.estimation.correlation import correlations
from app.analysis.pairing.pairs import pairs
from app.analysis.vocabulary import LEVELS
from app.study import Analysis
from jobs.simulate import further
from jobs.simulate.case import BETTER


def test_the_other_statistics_have_the_reports_own_intervals() -> None:
    design = balanced(6, 2, 2, 24, 100)
    made = pairs(scores(Made(families=6, bases=2, recipes=2, tasks=24)), Analysis()).table
    grid = grids.complete(grids.cells(made, "family"), rival=True)
    few, zero = "base-few-shot", "base-zero-shot"
    table = [row for row in correlations(made, Analysis(), "made").to_pylist() if row["filter"] == "all"]
    rows = {
        (row["method"], row["level"]): row for row in table if row["x"] in (few, f"{few} - {zero}", f"{few} | {zero}")
    }
    found = {(one.statistic, one.level): one.interval for one in further.of_scores(grid.sides, design)}
    assert len(found) == 17
    for key, interval in found.items():
        if not key[0].startswith("component"):
            assert interval[:2] == pytest.approx((rows[key]["ci_low"], rows[key]["ci_high"]), abs=1e-12), key
    split = components(made, Analysis(), "made").to_pylist()
    parts = {row["component"]: row for row in split if row["x"] == few}
    for (name, _), interval in found.items():
        if name.startswith("component"):
            row = parts[name.removeprefix("component ")]
            assert interval[:2] == pytest.approx((row["ci_low"], row["ci_high"]), abs=1e-12), name


def test_what_is_true_of_corrected_coefficients_is_what_many_items_come_to() -> None:
    known = further.corrected_truths(BETTER, 60, 2)
    r, rival = truth(BETTER, 10**9, 2)
    for level in ("pooled", "within_task", "doubly_centred"):
        place = LEVELS.index(level)
        assert known["pearson-corrected", level] == pytest.approx(r[place], abs=0.03)
        assert known["pearson-corrected-delta", level] == pytest.approx(r[place] - rival[place], abs=0.03)
    large = balanced(10, 3, 3, 30, 100)
    answers = further.of_items(draw_items(large, BETTER, np.random.default_rng(1)), large)
    assert {(one.statistic, one.level) for one in answers} == set(known)
