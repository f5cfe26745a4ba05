"""Equal inputs have equal fingerprints, anywhere; unequal ones differ, and the difference is told."""

import json
import math
import subprocess
import sys
from collections import OrderedDict, deque
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.identity import canonical_json, differences, fingerprint, slug, text_hash, versions

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(
    SCALARS, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(), v, max_size=3), max_leaves=8
)
TREES = st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3)

# Written down once: fingerprints of yesterday's records must be those of today.
EXAMPLE = {"b": [1, 2.5, None, True], "a": {"text": "Größe", "empty": {}}}
GOLDEN = "f12e64cece6de223"


def test_the_fingerprint_of_an_example_is_that_of_earlier_versions() -> None:
    assert fingerprint(EXAMPLE) == GOLDEN


def test_another_process_gives_the_same_fingerprint() -> None:
    code = f"from app.identity import fingerprint; print(fingerprint({EXAMPLE!r}))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == GOLDEN


def test_tuples_and_lists_and_any_mapping_are_one_value() -> None:
    assert canonical_json({"a": (1, 2)}) == canonical_json(OrderedDict(a=[1, 2])) == '{"a":[1,2]}'


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"a": {"b": math.nan}}, "value.a.b"),
        ({"a": [0, math.inf]}, "value.a[1]"),
        ({"a": {1, 2}}, "value.a"),
        ([{"x": object()}], "value[0].x"),
        ({"a": {3: "x"}}, "value.a key 3"),
        ({"a": b"bytes"}, "value.a"),
        ({"a": deque([1])}, "value.a"),
        ({"a": MappingProxyType({"b": {1}})}, "value.a.b"),
    ],
)
def test_a_value_without_a_stable_form_is_refused_with_its_place(value: object, place: str) -> None:
    with pytest.raises((TypeError, ValueError)) as fault:
        canonical_json(value)
    assert place in str(fault.value)


@given(TREES)
def test_canonical_json_reads_back_as_the_value(value: dict[str, object]) -> None:
    assert json.loads(canonical_json(value)) == value


@given(TREES)
def test_the_order_of_keys_does_not_matter(value: dict[str, object]) -> None:
    assert fingerprint(dict(reversed(value.items()))) == fingerprint(value)


@given(TREES, TREES)
def test_differences_are_empty_exactly_where_fingerprints_are_equal(a: dict[str, object], b: dict[str, object]) -> None:
    assert (differences(a, b) == []) == (fingerprint(a) == fingerprint(b))


def test_differences_name_each_changed_leaf_with_both_values() -> None:
    old = {"recipe": {"rate": 0.1, "epochs": 1}, "seed": 0}
    new = {"recipe": {"rate": 0.2, "epochs": 1}, "seed": 0, "extra": [1]}
    assert differences(old, new) == ["extra: nothing -> [1]", "recipe.rate: 0.1 -> 0.2"]


def test_a_long_changed_value_is_shortened() -> None:
    (line,) = differences({"a": "x" * 500}, {"a": 1})
    assert len(line) < 90


def test_equal_numbers_of_different_types_are_different_values() -> None:
    assert len({fingerprint(v) for v in (1, 1.0, True, "1")}) == 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [("Llama 3.2/1B", "llama-3.2-1b"), ("../../etc/passwd", "etc-passwd"), ("a  b", "a-b"), ("Ünïcode_1", "n-code_1")],
)
def test_a_slug_is_one_safe_path_segment(text: str, expected: str) -> None:
    assert slug(text) == expected


@given(st.text())
def test_a_slug_never_leaves_its_folder(text: str) -> None:
    try:
        found = slug(text)
    except ValueError:
        return
    assert "/" not in found
    assert not found.startswith((".", "-"))
    assert slug(found) == found


def test_a_text_that_leaves_no_slug_is_refused() -> None:
    with pytest.raises(ValueError, match="leaves nothing"):
        slug("///")


def test_a_text_hash_is_stable() -> None:
    assert text_hash("") == "e3b0c44298fc1c14"


def test_recorded_versions_name_what_computes() -> None:
    assert {"python", "torch", "ray", "fewtune"} <= versions().keys()
