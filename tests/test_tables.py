"""A table is what its schema says, when it is written and when it is read."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app import tables
from app.errors import StoreError

CORRELATION: dict[str, object] = {
    "study": "s", "level": "task", "method": "pearson", "x": "base-few-shot", "y": "tuned-direct", "filter": "all",
    "estimate": 0.5, "ci_low": None, "ci_high": None, "p_value": 0.01, "boot_low": None,
    "boot_high": None, "p_permutation": None, "p_holm": None, "q_value": None, "tests": "",
    "n": 12, "n_clusters": 4, "n_tasks": 3,
    "df": None, "interval": "none", "note": "",
}  # fmt: skip


@pytest.mark.parametrize("table", list(tables.TABLES))
def test_every_table_survives_parquet_with_units_nullability_and_version(table: str, tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(tables.schema(table).empty_table(), path)
    found = tables.read(table, path).schema
    assert found.equals(tables.schema(table))
    assert [f.metadata for f in found] == [f.metadata for f in tables.schema(table)]
    assert found.metadata == {b"fewtune.table": table.encode(), b"fewtune.schema_version": b"4"}


@pytest.mark.parametrize("table", list(tables.TABLES))
def test_no_table_names_a_column_twice_and_each_float_score_has_a_unit(table: str) -> None:
    names = tables.schema(table).names
    assert len(names) == len(set(names))
    for column in tables.TABLES[table]:
        if pa.types.is_integer(column.type) and column.name.endswith("tokens"):
            assert column.unit == "tokens"


def test_rows_become_a_table_and_read_back_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(tables.build("correlations", [CORRELATION], {"more": "yes"}), path)
    found = tables.read("correlations", path)
    assert found.to_pylist() == [CORRELATION]
    assert found.schema.metadata[b"more"] == b"yes"
    assert found.schema.field("n").metadata == {b"unit": b"pairs"}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"n": None}, "nulls in n"),
        ({"note": None}, "nulls in note"),
        ({"n": "twelve"}, "does not fit the table correlations"),
        ({"estimate": "high"}, "does not fit the table correlations"),
        ({"surplus": 1}, "surplus"),
    ],
)
def test_a_row_that_does_not_fit_is_refused(change: dict[str, object], sentence: str) -> None:
    with pytest.raises(StoreError, match=sentence):
        tables.build("correlations", [CORRELATION | change])


def test_a_row_that_lacks_a_column_is_refused() -> None:
    with pytest.raises(StoreError, match="columns"):
        tables.build("correlations", [{k: v for k, v in CORRELATION.items() if k != "note"}])


def test_another_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(tables.schema("pairs").empty_table(), path)
    with pytest.raises(StoreError, match="schema"):
        tables.read("scores", path)


def test_another_schema_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    made = tables.build("correlations", [CORRELATION])
    pq.write_table(made.replace_schema_metadata({b"fewtune.schema_version": b"99"}), path)
    with pytest.raises(StoreError, match="99"):
        tables.read("correlations", path)


def test_a_table_that_fewtune_did_not_write_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(StoreError, match="version none"):
        tables.read("correlations", path)


def test_a_damaged_file_is_refused_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    path.write_bytes(b"PAR1 and then nothing")
    with pytest.raises(StoreError, match=r"t\.parquet"):
        tables.read("correlations", path)
