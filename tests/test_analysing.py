"""What a study's own report says of itself, through the stage that writes it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from made_store import made_store

from app.analysis.answer import find, number, rows_of
from app.analysis.design import designs, outlook
from app.plan import Plan
from app.stages.analysing import analyse, correlate
from app.store import Store

STUDY = """
schema_version: 1
name: analysed
bases:
  - {family: gpt2, source: ladder, sizes: &sizes [32x2]}
  - {family: llama, source: ladder, sizes: *sizes}
  - {family: neox, source: ladder, sizes: *sizes}
  - {family: opt, source: ladder, sizes: *sizes}
  - {family: bloom, source: ladder, sizes: *sizes}
recipes:
  - {method: full}
tasks: [first, last, plural, antonym, capital, color, job, home, hobby, member, count, bigger]
test_items: 10
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Store]:
    planned, store = made_store(STUDY, tmp_path_factory.mktemp("analysed"))
    analyse(planned, store)
    return planned, store


def text(store: Store, name: str) -> str:
    return (Path(store.root) / "report" / name).read_text()


def test_the_report_says_what_the_design_can_tell_and_keeps_it(made: tuple[Plan, Store]) -> None:
    planned, store = made
    kept = json.loads(store.read_text("power.json") or "")
    assert kept["identity"] == outlook.identity(designs.planned(planned))
    found = outlook.from_json(kept["outlook"])
    assert found.levels[0].name == "task and model means removed"
    assert 0 < (found.levels[0].difference or 0) < 1
    assert {line.name for line in found.growths} == {
        "families (5 to 8)", "bases (5 to 8)", "tunings (5 to 10)", "tasks (12 to 18)", "items (10 to 15)"
    }  # fmt: skip
    page = text(store, "index.html")
    assert '<section id="power">' in page
    assert found.said in page


def test_the_report_says_how_to_make_it_again_and_what_it_cost(made: tuple[Plan, Store]) -> None:
    _, store = made
    page = text(store, "index.html")
    assert '<pre id="command" tabindex="0">fewtune run made.yaml</pre>' in page
    # 5 pretrainings of 90 s, 5 tunings of 180 s, 180 evaluations of 2 s, all on one core.
    assert "<dt>cost</dt><dd>0.5 core-hours</dd>" in page
    assert "0.5 core-hours" in text(store, "report.md")


def test_an_outlook_is_kept_for_its_design_and_an_old_store_is_gone_on_with(made: tuple[Plan, Store]) -> None:
    planned, store = made
    header, kept = store.header() or {}, json.loads(store.read_text("power.json") or "")
    told = outlook.from_json(kept["outlook"])._replace(said="Kept from before.")
    store.write_text("power.json", json.dumps(kept | {"outlook": outlook.as_json(told)}))
    store.write_text("store.json", json.dumps({name: told for name, told in header.items() if name != "command"}))
    analyse(planned, store)
    store.write_text("store.json", json.dumps(header))
    page = text(store, "index.html")
    assert "Kept from before." in page
    assert f"fewtune run {store.root}/study.yaml --store {store.root}" in page


def test_the_status_of_an_unfinished_study_shows_the_estimate_that_its_report_gives(
    made: tuple[Plan, Store], tmp_path: Path
) -> None:
    planned, whole = made
    shutil.copytree(whole.root, tmp_path / "half")
    half = Store(tmp_path / "half")
    lost = [cell for cell in planned.evaluations if cell.run and cell.task.name in ("count", "bigger")]
    for cell in lost:
        Path(half.root, "records", f"{cell.slug}.json").unlink()
    environment = {name: text for name, text in os.environ.items() if not name.startswith(("FEWTUNE_", "RAY_"))}
    told = subprocess.run(
        [sys.executable, "-m", "app.cli.main", "status", half.root],
        capture_output=True, text=True, check=True, env=environment | {"COLUMNS": "300", "NO_COLOR": "1"},
    ).stdout  # fmt: skip
    row = find(rows_of(correlate(planned, half).tables["correlations"]), "doubly_centred")
    assert row is not None
    estimate = f"r = {number(row.estimate)}, 95 % interval {number(row.ci_low)} to {number(row.ci_high)}"
    assert f"provisional, 50 of 60 pairs: {estimate}, task and model means removed" in told


def test_the_answer_of_an_unfinished_study_says_so_itself_and_a_damaged_outlook_is_made_anew(
    made: tuple[Plan, Store],
) -> None:
    planned, store = made
    before = text(store, "report.md")
    assert "Provisional" not in before
    store.delete_record(next(cell for cell in planned.evaluations if cell.run).slug)
    store.write_text("power.json", "no JSON")
    analyse(planned, store)
    for name in ("index.html", "report.md"):
        assert "Provisional, 59 of 60 pairs: " in text(store, name)
    assert outlook.from_json(json.loads(store.read_text("power.json") or "")["outlook"]).said in text(
        store, "report.md"
    )
