"""The line that a status shows while a study runs is the estimate that the report would give of the same pairs."""

import pytest
from made_tables import World, scores

from app.analysis.answer import find, main_filter, rows_of
from app.analysis.estimation.correlation import correlations
from app.analysis.estimation.provisional import provisional, sentence
from app.analysis.pairing.pairs import pairs
from app.study import Analysis


@pytest.mark.parametrize("world", [World(bases=3), World(families=3), World(bases=3, removed=True)])
def test_it_is_the_primary_row_of_the_same_pairs(world: World) -> None:
    table = scores(world)
    made = pairs(table, Analysis()).table
    found = provisional(table.to_pylist(), Analysis())
    rows = rows_of(correlations(made, Analysis(), "made"))
    row = find(rows, "doubly_centred", filter=main_filter(rows))
    assert found
    assert row
    assert found.estimate == pytest.approx(row.estimate, abs=1e-12)
    assert (found.low, found.high) == (pytest.approx(row.ci_low), pytest.approx(row.ci_high))
    assert found.pairs == made.num_rows
    assert sentence(found, made.num_rows + 10).startswith(f"provisional, {made.num_rows:,} of {made.num_rows + 10:,} ")
    assert sentence(found, made.num_rows).startswith("r = ")
    assert ("no interval yet" in sentence(found, 10**6)) is (world.families == 3)


def test_nothing_is_said_before_there_are_pairs() -> None:
    rows = scores(World(bases=1)).to_pylist()
    assert provisional([row for row in rows if row["run"] is None], Analysis()) is None
    assert provisional([row for row in rows if row["task"] == rows[0]["task"]], Analysis()) is None
