"""Tables that are called unchanged must be unchanged."""

import math

import pyarrow as pa

from jobs.bench.before import Difference, compared

ROWS = {"base": ["a", "a", "b"], "task": ["t", "u", "t"], "value": [0.5, math.nan, 0.25], "n": [10, 10, 10]}


def test_equal_tables_do_not_differ_and_new_columns_are_named() -> None:
    found = compared(pa.table(ROWS), pa.table(ROWS | {"more": [1, 2, 3]}))
    assert (found.rows, found.apart, found.columns) == (3, 0, 4)
    assert found.added == ["more"]
    assert found.differences == []


def test_every_column_that_differs_is_named_with_its_largest_gap() -> None:
    now = pa.table(ROWS | {"value": [0.5, 0.75, 0.375], "n": [10, 10, 11]})
    value, n = compared(pa.table(ROWS), now).differences
    assert (value.column, value.rows) == ("value", 2)
    assert math.isnan(value.largest or 0.0)
    assert n == Difference("n", 1, 1)


def test_the_order_of_rows_says_nothing_and_rows_of_one_side_are_counted() -> None:
    table = pa.table(ROWS)
    found = compared(table, table.take([2, 0]))
    assert (found.rows, found.apart, found.differences) == (2, 1, [])
    doubled = compared(table, pa.concat_tables([table, table.slice(0, 1)]))
    assert (doubled.rows, doubled.apart) == (2, 1)
