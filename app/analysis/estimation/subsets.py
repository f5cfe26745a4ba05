"""Subsets of pairs, by filter: which cells each keeps, and what is computed on them."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from app.analysis.estimation import grid as grids
from app.analysis.vocabulary import FLOOR, FLOOR_FILTER, INTACT_FILTER, LEVELS, METHODS, Level, Method

_CELL_LEVELS: tuple[Level, ...] = ("pooled", "within_task", "doubly_centred")
_SEVERAL = ("cluster", "recipe", "mixture", "task", "run")
"""Of these a single value is the whole study, not a part of it."""


class Subset(NamedTuple):
    """A filter, the cells it keeps, and what is computed on them."""

    name: str
    mask: NDArray[np.bool_]
    levels: tuple[Level, ...]
    methods: tuple[Method, ...]
    sensitivity: bool = False
    checked: bool = False
    """Bootstrap and permutations stand beside the interval."""
    of_one: bool = False
    """Of a single task or tuned model, as its name says: a description of that one."""


def subsets(pairs: pa.Table, found: grids.Cells) -> Iterator[Subset]:
    """All subsets of a table "pairs" and its cells, in the order of the table "correlations"."""
    yield Subset("all", np.full(pairs.num_rows, True), LEVELS, METHODS, True, True)
    for name, levels, methods in (
        ("role", LEVELS, METHODS),
        ("tuned_on", LEVELS, METHODS),
        ("cluster", _CELL_LEVELS, METHODS[:1]),
        ("recipe", _CELL_LEVELS, METHODS[:1]),
        ("mixture", _CELL_LEVELS, METHODS[:1]),
        ("family", _CELL_LEVELS, METHODS[:2]),
        ("task", LEVELS[:1], METHODS[:2]),
        ("run", LEVELS[:1], METHODS[:2]),
    ):
        for _, value, mask in _values(pairs, (name,)):
            if name in _SEVERAL and mask.all():
                continue
            more = (name == "role", name in ("role", "tuned_on"), name in ("task", "run"))
            yield Subset(f"{name}={value}", mask, levels, methods, *more)
            if name == "family" and not mask.all():
                yield Subset(f"{name}!={value}", ~mask, _CELL_LEVELS, METHODS[:1])
    intact = grids.intact(pairs)
    yield from _above_floor(found, intact if intact.any() else ~intact)
    if not intact.all() and intact.any():
        yield Subset(INTACT_FILTER, intact, LEVELS, METHODS, True, True)
        for name, value, mask in _values(pairs, ("role", "tuned_on", "family")):
            pick = mask & intact
            if pick.any():
                yield Subset(f"{INTACT_FILTER},{name}={value}", pick, _CELL_LEVELS, METHODS[:1])
            if name == "family" and (intact & ~mask).any():
                yield Subset(f"{INTACT_FILTER},{name}!={value}", intact & ~mask, _CELL_LEVELS, METHODS[:1])


def of_wording(name: str, pairs: pa.Table) -> Subset:
    """All pairs of one wording, which are no part of the pairs of another."""
    return Subset(f"wording={name}", np.full(pairs.num_rows, True), _CELL_LEVELS, METHODS[:1])


def _values(pairs: pa.Table, names: Iterable[str]) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """Each column, each of its values as text, and the pairs that have it; null is no value."""
    for name in names:
        column = pairs[name].to_pylist()
        for value in sorted({part for part in column if part is not None}):
            label = str(value).lower() if isinstance(value, bool) else str(value)
            yield name, label, np.array([part == value for part in column], np.bool_)


def _above_floor(found: grids.Cells, intact: NDArray[np.bool_]) -> Iterator[Subset]:
    """Intact base models on tasks whose median x, y and z all exceed `FLOOR`; nothing where there is no rival."""
    if not np.isfinite(found.z).any():
        return
    kept = np.full(len(found.tasks), False)
    for task in np.unique(found.tasks):
        mine = intact & (found.tasks == task) & np.isfinite(found.x + found.y + found.z)
        if mine.any() and all(np.median(side[mine]) > FLOOR for side in (found.x, found.y, found.z)):
            kept |= mine
    yield Subset(FLOOR_FILTER, kept, ("doubly_centred",), METHODS[:1], True)
