"""The figures that docs/limit states are those of its tables."""

from pathlib import Path

import pyarrow.parquet as pq

KEPT = Path(__file__).parents[1] / "docs" / "limit"


def test_the_readme_states_the_effects_of_the_table() -> None:
    text = (KEPT / "README.md").read_text().replace("−", "-").replace("*", "")
    rows = [row for row in pq.read_table(KEPT / "tables" / "limits.parquet").to_pylist() if row["family"] == "all"]
    told = [row for row in rows if row["side"] != "z"]
    assert len(told) == 4
    for row in told:
        without, intact, effect, low, high = (
            f"{100 * row[name]:.1f}" for name in ("without", "intact", "effect", "ci_low", "ci_high")
        )
        assert f"| {without} | {intact} | {effect} [{low}, {high}] |" in text
