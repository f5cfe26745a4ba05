"""Bundles hold every cell once; the cells of a bundle share weights, so an actor loads each model rarely."""

from collections import Counter
from itertools import chain, groupby
from pathlib import Path

import pytest

from app import stages
from app.evaluation.stream import bundles
from app.plan import EvaluateCell
from app.study import parse

STUDY = """\
schema_version: 1
name: small
bases:
  - {source: ladder, family: llama, sizes: [32x2, 64x3]}
recipes:
  - {method: lora, seeds: [0, 1]}
  - {method: full}
test_items: 50
"""


@pytest.fixture(scope="module")
def cells() -> tuple[EvaluateCell, ...]:
    return stages.plan(parse(STUDY, Path("s.yaml"))).evaluations


@pytest.mark.parametrize("actors", [1, 2, 3, 16, 500])
def test_every_cell_is_in_exactly_one_bundle_of_its_weights(actors: int, cells: tuple[EvaluateCell, ...]) -> None:
    packed = bundles(cells, actors)
    assert Counter(cell.slug for cell in chain(*packed)) == Counter(cell.slug for cell in cells)
    assert all(len({cell.weights for cell in bundle}) == 1 for bundle in packed)


def test_more_actors_get_more_bundles_and_none_is_empty(cells: tuple[EvaluateCell, ...]) -> None:
    counts = [len(bundles(cells, actors)) for actors in (1, 4, 16)]
    assert counts == sorted(set(counts))
    assert all(bundle for bundle in bundles(cells, 500))


def test_bundles_do_not_depend_on_the_order_of_the_cells(cells: tuple[EvaluateCell, ...]) -> None:
    assert bundles(cells[::-1], 2) == bundles(cells, 2)


def test_an_adapter_is_attached_once_in_a_bundle(cells: tuple[EvaluateCell, ...]) -> None:
    for bundle in bundles(cells, 2):
        runs = [name for name, _ in groupby(cell.run.slug if cell.run else "" for cell in bundle)]
        assert len(runs) == len(set(runs))


def test_no_cells_make_no_bundles() -> None:
    assert bundles((), 4) == []
