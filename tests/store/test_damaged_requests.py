"""A file of requests that is damaged is remade; where it must be read as it is, it is told in a sentence."""

from collections.abc import Callable
from pathlib import Path

import pytest

from app import stages
from app.errors import StoreError
from app.evaluation import requests
from app.store import Store
from app.study import parse
from app.tasks import loading
from app.tasks.planned import task_of

STUDY = """\
schema_version: 1
name: small
bases:
  - {source: ladder, family: llama, sizes: [32x2]}
recipes:
  - {method: lora}
tasks: [first]
test_items: 9
"""


@pytest.mark.parametrize("keep", [0, 3, 500, -1])
def test_requests_that_are_cut_short_are_remade(
    store: Store, overwrite: Callable[[Store, str, bytes], None], keep: int
) -> None:
    cell = stages.plan(parse(STUDY, Path("small.yaml"))).evaluations[0]
    data = loading.load(task_of(cell.task), None)
    requests.write(cell, data, store)
    facts, rows = requests.facts(cell, store), list(requests.read(cell, store))
    with store.filesystem.open_input_file(store.path(requests.location(cell))) as stream:
        whole = stream.read()
    overwrite(store, requests.location(cell), whole[:keep])
    for read in (lambda: requests.facts(cell, store), lambda: list(requests.read(cell, store))):
        with pytest.raises(StoreError, match=r"first\.parquet is damaged or cannot be read"):
            read()
    requests.write(cell, data, store)
    assert requests.facts(cell, store) == facts
    assert list(requests.read(cell, store)) == rows


def test_requests_that_are_not_there_are_told(store: Store) -> None:
    cell = stages.plan(parse(STUDY, Path("small.yaml"))).evaluations[0]
    with pytest.raises(StoreError, match=r"first\.parquet is not there"):
        requests.facts(cell, store)
