"""The actor that holds weights answers as a fresh load would, whatever it answered before and with whom."""

import pickle
import shutil
import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from app import stages
from app.errors import TargetError
from app.evaluation import renderings, requests, stream
from app.evaluation.responder import Responder, responses_path
from app.models import generation, scoring
from app.models.adapters import with_adapter
from app.models.loading import LoadedModel, ModelSource, causal, load
from app.plan import EvaluateCell, Plan
from app.store import Store
from app.study import Analysis, parse
from app.tasks import catalog, loading, prompts
from app.trials import Payload, Progress
from app.tuning.trial import tune

pytestmark = pytest.mark.filterwarnings("ignore:`get_checkpoint` is meant")

STUDY = """\
schema_version: 1
name: small
bases:
  - {{source: checkpoint, family: llama, path: {base}, name: tiny}}
recipes:
  - {{method: lora, seeds: [0, 1], mixture: [first, plural], examples: 160, batch: 8}}
  - {{method: full, mixture: [first, plural], examples: 160, batch: 8, learning_rate: 3e-3}}
tasks: [first, antonym]
test_items: 9
shots: 2
answers: {{pmi: true, max_new_tokens: 4}}
"""


class Made(NamedTuple):
    plan: Plan
    root: Path

    def cells(self, *names: str) -> list[EvaluateCell]:
        """Cells by the end of their slug."""
        found = {cell.slug.removeprefix("evaluate/"): cell for cell in self.plan.evaluations}
        return [found[name] for name in names]


@pytest.fixture(scope="module")
def made(base_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A store with two adapters, a whole tuned model and all requests, but no evaluation."""
    torch.set_num_threads(1)
    place = tmp_path_factory.mktemp("evaluated")
    plan = stages.plan(parse(STUDY.format(base=base_folder), place / "study.yaml"))
    store = Store(place / "store")
    for tuning in plan.tunings:
        payload = Payload(tuning, store, None)
        tune(payload, Progress(payload, save_every=1e9, tell_every=1e9))
    for cell in plan.evaluations:
        requests.write(cell, loading.load(catalog.by_name(cell.task.name), None), store)
    return Made(plan, place / "store")


@pytest.fixture
def store(made: Made, tmp_path: Path) -> Store:
    """A copy of that store, to be damaged at will."""
    return Store(shutil.copytree(made.root, tmp_path / "store"))


def block(cells: Iterable[EvaluateCell]) -> pa.Table:
    return pa.table({"cells": [pickle.dumps(cells)]})


def failures(responder: Responder, cells: Sequence[EvaluateCell]) -> list[str]:
    found = responder(block(cells))
    assert found["slug"].to_pylist() == [cell.slug for cell in cells]
    return found["failure"].to_pylist()


def outcome(store: Store, cell: EvaluateCell) -> tuple[list[dict[str, Any]], object]:
    """The responses and the scores of a cell."""
    record = store.read_record(cell.slug)
    assert record
    return pq.read_table(store.path(responses_path(cell))).to_pylist(), record.result["scores"]


A, B = "tiny.lora-s0/tuned-direct/", "tiny.lora-s1/tuned-direct/"
FULL, BASE = "tiny.full-s0/tuned-direct/", "tiny/base-zero-shot/"


@pytest.mark.parametrize("name", [BASE, A, FULL])
def test_answers_are_those_of_direct_calls(name: str, made: Made, store: Store, base_folder: Path) -> None:
    (cell,) = made.cells(name + "antonym")
    assert failures(Responder("small", store), [cell]) == [""]
    rows, scores = outcome(store, cell)

    checkpoints = made.root / "checkpoints"
    loaded = load(ModelSource("checkpoint", str(checkpoints / "tiny.full-s0" if name == FULL else base_folder)))
    if name == A:
        loaded = with_adapter(loaded, checkpoints / "tiny.lora-s0")
    asked = [request for batch in requests.read(cell, store) for request in batch]
    assert [row["item"] for row in rows] == [request.item for request in asked]
    found = scoring.score(loaded, [scoring.ScoreRequest(r.context, tuple(f" {o}" for o in r.options)) for r in asked])
    texts = generation.generate(loaded, [r.context for r in asked], 4, "\n")
    for row, one, text, request in zip(rows, found, texts, asked, strict=True):
        assert tuple(row["logprobs"]) == one.logprobs
        assert tuple(row["option_tokens"]) == one.tokens
        assert (row["prompt_tokens"], row["generated"]) == (one.prompt_tokens, text.text)
        assert row["choice"] == request.options[max(range(len(one.logprobs)), key=lambda i: one.logprobs[i])]
        (bare,) = scoring.score(
            loaded, [scoring.ScoreRequest(prompts.ANSWER_CUE, tuple(f" {o}" for o in request.options))]
        )
        assert row["logprobs_unconditional"] == pytest.approx(bare.logprobs, abs=1e-4)
    right = sum(row["choice"] == row["target"] for row in rows)
    by_metric = {row["metric"]: row for row in scores}  # type: ignore[attr-defined]
    assert by_metric["accuracy"]["value"] == right / 9
    assert by_metric["exact_match"]["primary"]
    assert len(by_metric) == 5


def test_a_record_says_how_its_numbers_were_computed(made: Made, store: Store) -> None:
    (cell,) = made.cells(BASE + "antonym")
    assert failures(Responder("small", store), [cell]) == [""]
    record = store.read_record(cell.slug)
    assert record
    assert record.result["scoring"] == {"path": "tree", "reason": "", "head": "plain", "beyond_window": 0}
    assert record.result["generation"] == {"path": "batched with prefix"}


def test_options_alone_are_scored_once_for_all_conditions_of_a_task(made: Made, store: Store, tmp_path: Path) -> None:
    bare, shown = made.cells(BASE + "antonym", "tiny/base-few-shot-k2-s0/antonym")
    responder, forwards = Responder("small", store), list[int]()
    assert failures(responder, [bare]) == [""]
    held = responder._held
    assert held  # the model whose forwards are counted
    held.loaded.model.get_input_embeddings().register_forward_hook(lambda *_: forwards.append(1))
    assert failures(responder, [shown]) == [""]
    known, once = len(forwards), outcome(store, shown)
    store.delete_record(shown.slug)
    held.unconditional.clear()
    assert failures(responder, [shown]) == [""]
    assert len(forwards) - known > known > 0
    alone = Store(shutil.copytree(made.root, tmp_path / "alone"))
    assert failures(Responder("small", alone), [shown]) == [""]
    assert once == outcome(store, shown) == outcome(alone, shown)


def test_an_actor_that_changes_adapters_gives_the_numbers_of_fresh_loads_and_loads_its_base_once(
    made: Made, store: Store, tmp_path: Path
) -> None:
    order = made.cells(BASE + "first", A + "first", B + "first", BASE + "antonym", B + "antonym", A + "antonym")
    responder, models = Responder("small", store), set[int]()
    for cell in order:
        assert failures(responder, [cell]) == [""]
        assert responder._held  # the very object in memory is what this test is about
        models.add(id(causal(responder._held.loaded)))
    assert len(models) == 1
    fresh = Store(shutil.copytree(made.root, tmp_path / "fresh"))
    for cell in order:
        assert failures(Responder("small", fresh), [cell]) == [""]
        assert outcome(fresh, cell) == outcome(store, cell)
    numbers = [
        [row["logprobs"] for row in outcome(store, cell)[0]]
        for cell in made.cells(BASE + "first", A + "first", B + "first")
    ]
    assert numbers[0] != numbers[1] != numbers[2] != numbers[0]


def test_scores_say_how_many_parameters_the_base_has(made: Made, store: Store) -> None:
    cells = made.cells(BASE + "first", A + "first", FULL + "first")
    assert failures(Responder("small", store), cells) == ["", "", ""]
    params = {row["params"] for cell in cells for row in outcome(store, cell)[1]}  # type: ignore[attr-defined]
    assert params == {made.plan.evaluations[0].base.params}


def test_a_damaged_checkpoint_is_a_failure_and_the_cells_after_it_still_run(made: Made, store: Store) -> None:
    weights = Path(store.path("checkpoints/tiny.full-s0/model.safetensors"))
    weights.write_bytes(weights.read_bytes()[:1000])
    cells = made.cells(BASE + "first", FULL + "first", FULL + "antonym", A + "first")
    first, damaged, also, last = failures(Responder("small", store), cells)
    assert (first, last) == ("", "")
    assert "model.safetensors is damaged: it has 1000 bytes" in damaged
    assert "tiny.full-s0 has no record: run the same command again" in also  # it is no longer taken for done
    assert store.read_record("tune/tiny.full-s0") is None
    assert [store.read_record(cell.slug) is None for cell in cells] == [False, True, True, False]


def unvouched(store: Store, slug: str) -> None:
    """Make the record of a cell one of an older store, which says nothing of its files."""
    record = store.read_record(slug)
    assert record
    store.write_record(replace(record, artefacts={}))


def test_a_damaged_adapter_is_a_failure_and_leaves_neither_base_nor_other_adapters_touched(
    made: Made, store: Store
) -> None:
    expected = {}
    good = made.cells(BASE + "first", A + "first", BASE + "antonym", A + "antonym")
    assert failures(Responder("small", store), good) == [""] * 4
    for cell in good:
        expected[cell.slug] = outcome(store, cell)
        store.delete_record(cell.slug)
    path = Path(store.path("checkpoints/tiny.lora-s1/adapter_model.safetensors"))
    weights = load_file(path)
    save_file({name: value for name, value in weights.items() if "layers.0" not in name}, path)
    unvouched(store, "tune/tiny.lora-s1")
    bad_first, bad_second = made.cells(B + "first", B + "antonym")
    found = failures(Responder("small", store), [good[0], good[1], bad_first, good[2], bad_second, good[3]])
    assert [bool(reason) for reason in found] == [False, False, True, False, True, False]
    assert "the adapter does not fit this base model" in found[2]
    assert {cell.slug: outcome(store, cell) for cell in good} == expected


def test_an_adapter_that_does_nothing_fails_every_cell_of_its_run(made: Made, store: Store) -> None:
    path = Path(store.path("checkpoints/tiny.lora-s0/adapter_model.safetensors"))
    save_file({name: torch.zeros_like(value) for name, value in load_file(path).items()}, path)
    unvouched(store, "tune/tiny.lora-s0")
    cells = made.cells(A + "first", A + "antonym")
    for reason in failures(Responder("small", store), cells):
        assert "changes nothing" in reason
    assert store.records("evaluate") == {}


def test_a_cell_that_is_done_is_not_answered_again(made: Made, store: Store) -> None:
    (cell,) = made.cells(BASE + "first")
    assert failures(Responder("small", store), [cell]) == [""]
    path = Path(store.path(f"records/{cell.slug}.json"))
    written = path.stat().st_mtime_ns
    assert failures(Responder("small", store), [cell]) == [""]
    assert path.stat().st_mtime_ns == written


def test_through_ray_data_every_cell_is_answered_as_by_one_actor(
    made: Made, store: Store, tmp_path: Path, ray_session: None
) -> None:
    told: list[tuple[str, str, bool]] = []
    stream.evaluate("small", made.plan.evaluations, store, lambda *one: told.append(one), threading.Event())
    assert sorted(told) == sorted((cell.slug, "", False) for cell in made.plan.evaluations)
    alone = Store(shutil.copytree(made.root, tmp_path / "alone"))
    backwards = sorted(made.plan.evaluations, key=lambda cell: cell.slug, reverse=True)
    assert set(failures(Responder("small", alone), backwards)) == {""}
    for cell in made.plan.evaluations:
        assert outcome(store, cell) == outcome(alone, cell)


def test_an_evaluation_that_no_node_can_hold_is_refused_instead_of_waiting_for_ever(
    base_folder: Path, tmp_path: Path, ray_session: None
) -> None:
    text = STUDY.format(base=base_folder).replace("name: tiny", "name: tiny, resources: {cpus: 64}")
    plan = stages.plan(parse(text, tmp_path / "study.yaml"))
    others = f"{len(plan.evaluations) - 1} other cells would find no node either"
    with pytest.raises(TargetError, match=rf"needs 64 CPUs on one node; the largest has 2.*{others}: lower .* of tiny"):
        stages.feasible(plan.evaluations)


def test_an_engine_that_is_not_there_is_told_and_the_cells_after_it_are_answered(made: Made, store: Store) -> None:
    said = STUDY.format(base=made.plan.study.bases[0].path).replace("{pmi", "{engine: %s, pmi")  # type: ignore[union-attr]
    planned = {name: stages.plan(parse(said % name, made.root / "study.yaml")) for name in ("torch", "vllm")}
    fingerprints = {name: [cell.fingerprint for cell in plan.cells] for name, plan in planned.items()}
    assert fingerprints["torch"] == [cell.fingerprint for cell in made.plan.cells]
    (cell,) = [c for c in planned["vllm"].evaluations if c.slug.endswith(BASE + "antonym")]
    requests.write(cell, loading.load(catalog.by_name("antonym"), None), store)
    (answered,) = made.cells(BASE + "first")
    told, after = failures(Responder("small", store), [cell, answered])
    assert told.startswith("answers.engine is vllm, which is not installed on this node")
    assert after == ""


CHAT = "{% for turn in messages %}solution : {{ turn.content }}\nresult :\n{% endfor %}"
FORMATS = """\
schema_version: 1
name: formats
bases:
  - {source: checkpoint, family: llama, path: base, name: tiny}
recipes:
  - {method: lora, name: writer, format: samplegen, mixture: [first, nli], examples: 640, batch: 8, learning_rate: 2e-2}
  - {method: lora, name: chat, chat: true, mixture: [first], examples: 80, batch: 8}
tasks: [first, nli]
conditions: [base-few-shot, tuned-direct, samplegen-direct, samplegen-pipeline, samplegen-restated]
pipelines: {examples: 1, max_new_tokens: 28}
test_items: 9
shots: 2
answers: {max_new_tokens: 4}
"""
WRITER, CHATTY = "tiny.writer-s0/", "tiny.chat-s0/"


@pytest.fixture(scope="module")
def formats(base_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A store with a model that writes worked examples and one tuned in chats; what was written is answered."""
    torch.set_num_threads(1)
    place = tmp_path_factory.mktemp("formats")
    shutil.copytree(base_folder, place / "base")
    tokenizer = AutoTokenizer.from_pretrained(place / "base")
    tokenizer.chat_template = CHAT
    tokenizer.save_pretrained(place / "base")
    plan = stages.plan(parse(FORMATS, place / "study.yaml"))
    store = Store(place / "store")
    for tuning in plan.tunings:
        payload = Payload(tuning, store, None)
        tune(payload, Progress(payload, save_every=1e9, tell_every=1e9))
    for wave in ([c for c in plan.evaluations if not c.writer], [c for c in plan.evaluations if c.writer]):
        for cell in wave:
            requests.write(cell, loading.load(catalog.by_name(cell.task.name), None), store)
        assert set(failures(Responder("formats", store), wave)) == {""}
    return Made(plan, place / "store")


def of(formats: Made, name: str) -> LoadedModel:
    loaded = load(ModelSource("checkpoint", str(formats.root.parent / "base")))
    return with_adapter(loaded, formats.root / "checkpoints" / name)


def asked_and_answered(formats: Made, name: str) -> list[tuple[requests.Request, dict[str, Any]]]:
    """Requests of a cell, each with its response."""
    (cell,) = formats.cells(name)
    store = Store(formats.root)
    asked = [request for batch in requests.read(cell, store) for request in batch]
    return list(zip(asked, outcome(store, cell)[0], strict=True))


@pytest.mark.parametrize("task", ["nli", "first"])
def test_a_writers_options_are_scored_after_its_own_words_or_else_after_the_item_restated(
    task: str, formats: Made
) -> None:
    loaded = of(formats, "tiny.writer-s0")
    found = asked_and_answered(formats, f"{WRITER}samplegen-direct-k1/{task}")
    written = generation.generate(loaded, [request.context for request, _ in found], 28, "", 8_192)
    unread = 0
    for (request, row), one in zip(found, written, strict=True):
        assert row["written"] == one.text
        assert row["prompt_tokens"] == one.prompt_tokens
        read = prompts.read_worked(one.text, 1, finished=one.finished)
        assert [(w["input"], w["answer"]) for w in row["worked"]] == list(read.demonstrations)
        assert row["restated"] == (read.question if read.until_answer or one.finished else None)
        assert row["generated"] == (read.answer or "")
        unread += read.until_answer is None
        words = read.until_answer or f"\nQuestion: {request.question}\nAnswer:"
        options = tuple(f" {option}" for option in request.options)
        (scores,) = scoring.score(loaded, [scoring.ScoreRequest(request.context + words, options)], 8_192)
        assert row["logprobs"] == pytest.approx(scores.logprobs, abs=1e-4)
    # The tasks were chosen for it: 28 tokens are enough for most lists of letters, and too few for two stories.
    assert unread == 9 if task == "nli" else unread < 5
    (cell,) = formats.cells(f"{WRITER}samplegen-direct-k1/{task}")
    scores = outcome(Store(formats.root), cell)[1]
    assert {row["format_failures"] for row in scores} == {unread}  # type: ignore[attr-defined]


@pytest.mark.parametrize("task", ["nli", "first"])
@pytest.mark.parametrize("condition", ["samplegen-pipeline-k1", "samplegen-restated-k1"])
def test_a_pipeline_is_answered_by_the_base_model_from_what_was_written(
    condition: str, task: str, formats: Made
) -> None:
    found = asked_and_answered(formats, f"{WRITER}{condition}/{task}")
    written = {r.item: row for r, row in asked_and_answered(formats, f"{WRITER}samplegen-direct-k1/{task}")}
    base = load(ModelSource("checkpoint", str(formats.root.parent / "base")))
    asked = [scoring.ScoreRequest(r.context, tuple(f" {o}" for o in r.options)) for r, _ in found]
    for (request, row), one in zip(found, scoring.score(base, asked, 8_192), strict=True):
        shown = written[request.item]
        text = (shown["restated"] if "pipeline" in condition else None) or request.question
        worked = [(w["input"], f"\nAnswer: {w['answer']}" if w["answer"] else "") for w in shown["worked"]]
        before = "".join(f"Question: {said}{answer}\n\n" for said, answer in worked)
        assert request.context == f"{before}Question: {text}\nAnswer:"
        assert tuple(row["logprobs"]) == one.logprobs
        assert (row["run"], row["recipe"], row["format"]) == ("tiny.writer-s0", "writer", "samplegen")
        assert (row["written"], row["worked"], row["restated"]) == (None, [], None)


def test_a_chat_model_is_asked_in_its_template_and_its_base_is_not(formats: Made) -> None:
    found = asked_and_answered(formats, f"{CHATTY}tuned-direct/nli")
    loaded = of(formats, "tiny.chat-s0")
    contexts = [
        f"solution : {request.context.removesuffix('Answer:').rstrip()}\nresult :\nAnswer:" for request, _ in found
    ]
    asked = [
        scoring.ScoreRequest(c, tuple(f" {o}" for o in r.options)) for c, (r, _) in zip(contexts, found, strict=True)
    ]
    texts = generation.generate(loaded, contexts, 4, "\n", 8_192)
    for (request, row), one, text in zip(found, scoring.score(loaded, asked, 8_192), texts, strict=True):
        assert not request.context.startswith("solution")
        assert tuple(row["logprobs"]) == one.logprobs
        assert row["generated"] == text.text
    base = load(ModelSource("checkpoint", str(formats.root.parent / "base")))
    for request, row in asked_and_answered(formats, "tiny/base-few-shot-k2-s0/nli"):
        options = tuple(f" {option}" for option in request.options)
        (one,) = scoring.score(base, [scoring.ScoreRequest(request.context, options)], 8_192)
        assert row["logprobs"] == pytest.approx(one.logprobs, abs=1e-4)


def test_the_renderings_of_pairs_are_compared_as_they_were_sent(formats: Made) -> None:
    found = renderings.rows(formats.plan, Store(formats.root))
    assert {(row["recipe"], row["task"], row["y_condition"]) for row in found} == {
        ("chat", "first", "tuned-direct"),
        ("chat", "nli", "tuned-direct"),
    }
    for row in found:
        assert row["same_answer_tokens"]
        assert "solution" in str(row["only_y"]).split()
        assert "solution" not in str(row["only_x"]).split()
    direct = formats.plan._replace(study=formats.plan.study.model_copy(update={"analysis": Analysis(y="direct")}))
    both = renderings.rows(direct, Store(formats.root))
    assert {(row["recipe"], row["y_condition"]) for row in both} == {
        ("chat", "tuned-direct"),
        ("writer", "samplegen-direct"),
    }
    assert all(row["same_answer_tokens"] for row in both)


def test_pairs_that_were_not_answered_are_not_compared(formats: Made, tmp_path: Path) -> None:
    assert renderings.rows(formats.plan, Store(tmp_path / "empty")) == []


def test_a_text_without_room_in_the_context_is_refused_with_a_remedy(formats: Made, tmp_path: Path) -> None:
    store = Store(shutil.copytree(formats.root, tmp_path / "store"))
    text = FORMATS.replace("max_new_tokens: 28", "max_new_tokens: 5000")
    plan = stages.plan(parse(text, formats.root.parent / "study.yaml"))
    (cell,) = Made(plan, tmp_path).cells(f"{WRITER}samplegen-direct-k1/nli")
    store.delete_record(cell.slug)
    (reason,) = failures(Responder("formats", store), [cell])
    assert "5000 new tokens leave no room for a prompt" in reason
    assert "lower max_new_tokens" in reason
