"""The item explorer's items: every task and outcome has its share, and what is shown is what was sent."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app import stages
from app.analysis.pairing import audits
from app.analysis.reporting import explorer
from app.analysis.reporting.explorer import compared, compared_by
from app.evaluation import requests
from app.plan import Plan
from app.stages import evidence, viewing
from app.store import Record, Store
from app.study import parse
from app.tasks import loading
from app.tasks.planned import task_of

FEW = "base-few-shot"
STUDY = """
schema_version: 1
name: shown
bases:
  - {family: llama, source: ladder, sizes: [32x2, 48x2]}
recipes:
  - {method: full}
shots: {counts: [1, 3]}
analysis: {shots: 1}
test_items: 8
"""


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Store]:
    """A store with real requests, and answers that no model gave: only prompts and outcomes matter here."""
    planned = stages.plan(parse(STUDY, Path("shown.yaml")))
    store = Store(tmp_path_factory.mktemp("shown"))
    for cell in planned.evaluations:
        requests.write(cell, loading.load(task_of(cell.task), None), store)
        asked = [one for batch in requests.read(cell, store) for one in batch]
        rows = [{"item": one.item, "choice": "this", "generated": "that", "target": one.target} for one in asked]
        file = Path(store.root) / requests.responses_path(cell)
        file.parent.mkdir(parents=True, exist_ok=True)
        schema = pa.schema([(name, pa.string()) for name in rows[0]])
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), file)
        store.write_record(Record(cell.kind, cell.slug, cell.inputs, {}))
    return planned, store


def tables(planned: Plan, store: Store) -> tuple[pa.Table, pa.Table]:
    """Of "pairs" and "items" what the explorer looks at: each pair has two items of every outcome."""
    pairs, items = list[dict[str, object]](), list[dict[str, object]]()
    for cell in planned.evaluations:
        if cell.run is None:
            continue
        of_pair: dict[str, object] = {"base": cell.base.slug, "run": cell.run.slug, "task": cell.task.name}
        pairs.append(
            of_pair
            | {"x_condition": "base-few-shot", "y_condition": "tuned-direct", "wording": "standard", "x_shots": 1}
            | {"metric": "accuracy"}
        )
        names = [one.item for batch in requests.read(cell, store) for one in batch]
        items += [of_pair | {"item": name, "x": float(at % 2), "y": at // 2 % 2 * 1.0} for at, name in enumerate(names)]
    return pa.Table.from_pylist(pairs), pa.Table.from_pylist(items)


def test_every_task_and_every_outcome_has_its_share(
    answered: tuple[Plan, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    planned, store = answered
    pairs, items = tables(planned, store)
    tasks = set(pairs["task"].to_pylist())
    assert len(tasks) == 31
    for most in (31, 60, explorer.MOST):
        monkeypatch.setattr(explorer, "MOST", most)
        made = viewing.views(planned, store, pairs, items, planned.study.analysis)
        assert len(made) == most
        counts = [sum(view.task == task for view in made) for task in tasks]
        assert max(counts) - min(counts) <= 1
        outcomes = [(view.x_right, view.y_right) for view in made]
        shares = [outcomes.count(outcome) for outcome in set(outcomes)]
        assert len(shares) == 4
        assert max(shares) - min(shares) <= 2
        assert len({view.base for view in made}) == 2


def test_the_answer_shown_is_the_one_that_was_judged(answered: tuple[Plan, Store]) -> None:
    planned, store = answered
    pairs, items = tables(planned, store)
    for metric, answer in (("accuracy", "this"), ("exact_match", "that")):
        judged = pairs.set_column(pairs.column_names.index("metric"), "metric", pa.array([metric] * len(pairs)))
        made = viewing.views(planned, store, judged, items, planned.study.analysis)
        assert {view.x_answer for view in made} == {view.y_answer for view in made} == {answer}


def test_prompts_have_as_many_demonstrations_as_the_pairs_compare(answered: tuple[Plan, Store]) -> None:
    planned, store = answered
    made = viewing.views(planned, store, *tables(planned, store), planned.study.analysis)
    by_place = {(c.base.slug, c.task.name): c for c in planned.evaluations if c.condition.shots == 1}
    for view in made:
        cell = by_place[view.base, view.task]
        (sent,) = [one for batch in requests.read(cell, store) for one in batch if one.item == view.item]
        assert view.x_prompt == sent.context
        assert view.target == sent.target


def test_a_pair_whose_answers_are_gone_gives_way_to_another(answered: tuple[Plan, Store]) -> None:
    planned, store = answered
    gone = next(cell for cell in planned.evaluations if cell.run and cell.task.name == "first")
    file = Path(store.root) / requests.responses_path(gone)
    kept = file.read_bytes()
    file.unlink()
    try:
        made = viewing.views(planned, store, *tables(planned, store), planned.study.analysis)
    finally:
        file.write_bytes(kept)
    assert {view.base for view in made if view.task == "first"} == {"llama-32x2-s0", "llama-48x2-s0"} - {gone.base.slug}


def test_the_tokens_are_the_base_models_and_give_the_prompts_back(undisturbed: Path) -> None:
    file, store = stages.of_store(str(undisturbed))
    planned = stages.plan(file)
    pairs, items = (store.read_table(name, f"tables/{name}.parquet") for name in ("pairs", "items"))
    made = viewing.views(planned, store, pairs, items, file.study.analysis)
    assert {view.task for view in made} == {"first", "last", "plural", "antonym"}
    assert compared_by(made) == "tokens"
    for view in made:
        assert view.tokens
        for pieces, text in zip(view.tokens, (view.x_prompt, view.y_prompt, view.x_answer, view.y_answer), strict=True):
            assert "".join(piece.text for piece in pieces) == text
    for one in compared(made):
        # Both sides end in the same item and cue; what stands before it is demonstrations on one side alone.
        assert not one.x_prompt[-1].differs
        assert any(part.differs for part in one.x_prompt)


def test_how_a_score_was_computed_is_known_by_shots_and_wording_with_all_seeds(answered: tuple[Plan, Store]) -> None:
    planned, _ = answered
    records = {
        cell.slug: Record(
            cell.kind,
            cell.slug,
            cell.inputs,
            {"precision": f"float{32 if cell.condition.shots != 3 else 16}", "scoring": {"path": "tree"}},
            environment={"device": "one", "platform": "Linux"},
        )
        for cell in planned.evaluations
    }
    found = evidence.computed(planned, records)
    few = {key.shots: facts for key, facts in found.items() if key[:4] == ("llama-32x2-s0", None, "first", FEW)}
    assert few == {
        1: {"precision": "float32", "path of scoring": "tree", "machine": "one"},
        3: {"precision": "float16", "path of scoring": "tree", "machine": "one"},
    }
    pair = {"base": "llama-32x2-s0", "run": "llama-32x2-s0.full-s0", "recipe": "full", "task": "first"}
    pair |= {"x_condition": FEW, "y_condition": "tuned-direct", "wording": "standard", "x_cut": 0, "y_cut": 0}
    told = [audits.confounds(pa.Table.from_pylist([pair | {"x_shots": shots}]), None, found) for shots in (1, 3)]
    assert [[(one.what, one.detail) for one in several] for several in told] == [
        [], [("precision", "float16 | float32 (1)")],
    ]  # fmt: skip
