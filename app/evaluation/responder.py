"""The actor that holds weights: it answers the requests of one evaluation after another.

It moves from adapter to adapter of one base model without loading the base again, and proves that an adapter
changes what the model says before it answers for it. Batches never span two cells, so a cell's numbers do not
depend on which others ran beside it.
"""

import logging
import pickle
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple, cast

import pyarrow as pa
import torch

from app import tables
from app.errors import DISK_FULL, FewTuneError, disk_full, passing
from app.evaluation import requests
from app.evaluation.judgement import Response, Tally
from app.evaluation.requests import responses_path
from app.identity import text_hash
from app.models import adapters, budget, chat, generation, scoring, tokens, vllm_decoding
from app.models.loading import LoadedModel, commit, load, parameters
from app.models.source import base_source, device, environment, run_source, tuned_folder
from app.plan import EvaluateCell, Run, columns
from app.store import Artefact, Record, Store
from app.tasks import catalog, prompts
from app.tasks.metrics.bertscore import Chooser

OUTCOME = pa.schema([pa.field("slug", pa.string()), pa.field("failure", pa.string()), pa.field("passing", pa.bool_())])
"""`failure`: why a cell failed, empty where it is done; `passing`: whether time or another node may mend that."""
_Bare = dict[tuple[str, ...], tuple[float, ...]]
"""Log-probabilities of options after the bare answer cue, by all that were asked for at once: they share last bits."""
_EXPOSURE = {column.name for column in tables.EXPOSURE}


@dataclass
class _Held:
    """The weights in memory."""

    weights: str
    """Slug of the model whose whole weights are held: a base model, or a fully tuned run."""
    loaded: LoadedModel
    """With the adapter, where one is attached."""
    adapter: str | None = None
    parameters: int = 0
    vllm: vllm_decoding.Engine | None = None
    """With the same weights, where the study asks for it."""
    unconditional: _Bare = field(default_factory=dict[tuple[str, ...], tuple[float, ...]])
    """Every condition of a task asks for the same."""


class _Outcome(NamedTuple):
    """How a cell went out: see `OUTCOME`."""

    failure: str = ""
    passing: bool = False


class Responder:
    """A Ray Data worker: a block of pickled lists of cells in, a block that says how each cell went out."""

    def __init__(self, study: str, store: Store) -> None:
        self._study = study
        self._store = store
        self._held: _Held | None = None
        self._chooser: tuple[object, Chooser] | None = None

    def __call__(self, block: pa.Table) -> pa.Table:
        cells = [
            cell
            for bundle in block["cells"].to_pylist()
            for cell in cast(list[EvaluateCell], pickle.loads(bundle))  # noqa: S301 - our driver's
        ]
        return pa.Table.from_pylist([{"slug": cell.slug} | self._outcome(cell)._asdict() for cell in cells], OUTCOME)

    def _outcome(self, cell: EvaluateCell) -> "_Outcome":
        """Answer a cell; the reason where that fails, so that the cells after it still run."""
        try:
            if self._store.read_record(cell.slug) is None:  # else done before this worker's predecessor died
                self._answer(cell)
        except Exception as fault:
            if told := passing(fault):
                return _Outcome(told, passing=True)
            if isinstance(fault, FewTuneError):
                return _Outcome(str(fault))
            if disk_full(fault):
                return _Outcome(DISK_FULL)
            logging.getLogger(__name__).error("%s\n%s", cell.slug, traceback.format_exc())
            return _Outcome(f"{type(fault).__name__}: {fault}")
        return _Outcome()

    def _answer(self, cell: EvaluateCell) -> None:
        started = time.monotonic()
        held = self.hold(cell)
        task = catalog.by_name(cell.task.name)
        answers = cast(dict[str, object], cell.inputs["answers"])
        identity = columns(self._study, cell, held.parameters)
        shared = {name: value for name, value in identity.items() if name not in _EXPOSURE}
        facts = requests.facts(cell, self._store)
        tally = Tally()
        engine = _Engine(held, self._decode(held, cell, answers))
        artefacts: dict[str, Artefact] = {}
        with self._store.parquet_writer(responses_path(cell), tables.schema("responses"), artefacts) as writer:
            for batch in requests.read(cell, self._store):
                found = _respond(cell, engine, batch, answers)
                writer.write_table(tables.build("responses", [shared | tally.judge(one) for one in found]))
        result = {
            "scores": [identity | row for row in tally.scores(facts, task, self._nearest(answers, cell))],
            "requests": facts._asdict(),
            "precision": str(held.loaded.model.dtype).removeprefix("torch."),
            "template": _template(cell, held.loaded),
            "commit": commit(held.loaded),
        } | engine.told()
        seconds = time.monotonic() - started
        told = environment(held.loaded.device)
        self._store.write_record(Record(cell.kind, cell.slug, cell.inputs, result, seconds, told, artefacts))

    def _decode(self, held: _Held, cell: EvaluateCell, answers: dict[str, object]) -> generation.Decode | None:
        """What writes in the place of our own loop; None: nothing does."""
        if answers.get("engine") != "vllm":
            return None
        run = cell.answerer
        if held.vllm is None:
            held.vllm = vllm_decoding.Engine(held.loaded, cell.needs.gpus)
        adapter = tuned_folder(run, self._store) if run and held.adapter else None
        return partial(held.vllm.decode, adapter=adapter)

    def _nearest(self, answers: dict[str, object], cell: EvaluateCell) -> Chooser | None:
        """What BERTScore accuracy is computed with, kept from cell to cell; None where the study asks for none."""
        wanted = cast(dict[str, object] | None, answers["bertscore"])
        if wanted is None:
            return None
        if self._chooser is None or self._chooser[0] != wanted:
            self._chooser = None  # free the memory first
            chooser = Chooser(cell.encoder, cast(int | None, wanted["layers"]), device(cell.needs))
            self._chooser = (wanted, chooser)
        return self._chooser[1]

    def hold(self, cell: EvaluateCell) -> _Held:
        """Have the cell's weights in memory, keeping what is there where possible."""
        torch.set_num_threads(cell.needs.cpus)
        run = cell.answerer
        if self._held is None or self._held.weights != cell.weights:
            self._held = None  # free the memory first
            source = (
                run_source(run, self._store)
                if run and run.slug == cell.weights
                else base_source(cell.base, self._store)
            )
            loaded = load(source, device(cell.needs))
            self._held = _Held(cell.weights, loaded, None, parameters(loaded))
        wanted = run.slug if run and run.slug != cell.weights else None
        if self._held.adapter != wanted:
            self._switch(self._held, run if wanted else None)
        return self._held

    def _switch(self, held: _Held, run: Run | None) -> None:
        held.adapter = ""  # no run's, until it is proved: a failed switch is tried again by the next cell
        held.unconditional.clear()
        if run is None:
            held.loaded, held.adapter = adapters.detach(held.loaded), None
            return
        held.loaded = adapters.switch_adapter(held.loaded, tuned_folder(run, self._store))
        adapters.prove_active(held.loaded, tokens.encode(held.loaded.tokenizer, [prompts.ANSWER_CUE])[0])
        held.adapter = run.slug


class _Engine:
    """Answers the requests of one cell; what they share is computed once for all of its batches."""

    def __init__(self, held: _Held, decode: generation.Decode | None) -> None:
        self.loaded, self._decode = held.loaded, decode
        self.batch_tokens = budget.found(held.loaded)
        self._known = held.unconditional
        self._wrote = ""
        self._scorer: scoring.Scorer | None = None
        self._unconditional: dict[str, float] = {}

    def write(self, contexts: Sequence[str], longest: int, stop: str) -> list[generation.Generation]:
        """Greedy continuations."""
        self._wrote = "vllm" if self._decode else generation.path(self.loaded)
        return generation.generate(self.loaded, contexts, longest, stop, self.batch_tokens, self._decode)

    def score(self, asked: Sequence[scoring.ScoreRequest]) -> list[scoring.OptionScores]:
        """Log-probabilities of options."""
        self._scorer = self._scorer or scoring.Scorer(self.loaded, self.batch_tokens)
        return self._scorer.score(asked)

    def told(self) -> dict[str, object]:
        """How scores and texts were computed: see `app.models.forwards` and `app.models.generation`."""
        found: dict[str, object] = {"generation": {"path": self._wrote}} if self._wrote else {}
        if one := self._scorer:
            found["scoring"] = {
                "path": one.path, "reason": one.reason, "head": one.head, "beyond_window": one.beyond_window,
            }  # fmt: skip
        return found

    def unconditional(self, options: Sequence[str]) -> tuple[float, ...]:
        """Log-probabilities after the bare answer cue: of each option once a task and model, not once an item."""
        fresh = tuple(sorted(set(options) - set(self._unconditional)))
        if fresh and fresh not in self._known:
            (found,) = scoring.score(self.loaded, [_ask(prompts.ANSWER_CUE, fresh)], self.batch_tokens)
            self._known[fresh] = found.logprobs
        if fresh:
            self._unconditional |= dict(zip(fresh, self._known[fresh], strict=True))
        return tuple(self._unconditional[option] for option in options)


def _template(cell: EvaluateCell, loaded: LoadedModel) -> str:
    """The chat template that prompts were put into, by its hash."""
    if not (cell.answerer and cell.answerer.recipe.chat):
        return "none"
    return f"chat {text_hash(str(loaded.tokenizer.chat_template))}"


def _respond(
    cell: EvaluateCell, engine: _Engine, batch: list[requests.Request], answers: dict[str, object]
) -> list[Response]:
    modes = cast(list[str], answers["modes"])
    writes = cell.condition.name == "samplegen-direct"
    contexts = [request.context for request in batch]
    if cell.answerer and cell.answerer.recipe.chat:
        cue = prompts.EXAMPLES_CUE if writes else prompts.ANSWER_CUE
        contexts = [chat.wrap(engine.loaded.tokenizer, context, cue) for context in contexts]
    generated: list[generation.Generation | None] = [None] * len(batch)
    worked: list[prompts.Worked | None] = [None] * len(batch)
    if writes:
        longest = cast(int, cast(dict[str, object], cell.inputs["condition"])["max_new_tokens"])
        written = engine.write(contexts, longest, "")
        count = cell.condition.shots
        read = [prompts.read_worked(one.text, count, finished=one.finished) for one in written]
        generated, worked = [*written], [*read]
        # Its options are scored after its own words; where it never came to an answer, after the item restated.
        contexts = [
            context + (found.until_answer or f"\n{prompts.few_shot((), request.question)}")
            for context, found, request in zip(contexts, read, batch, strict=True)
        ]
    elif "generation" in modes:
        generated = [*engine.write(contexts, cast(int, answers["max_new_tokens"]), prompts.STOP)]
    scores: list[scoring.OptionScores | None] = [None] * len(batch)
    pmi: list[tuple[float, ...]] = [()] * len(batch)
    if "loglikelihood" in modes:
        closed = [index for index, request in enumerate(batch) if request.options]
        asked = [_ask(contexts[index], batch[index].options) for index in closed]
        for index, found in zip(closed, engine.score(asked), strict=True):
            scores[index] = found
        if answers["pmi"]:
            engine.unconditional([option for request in batch for option in request.options])  # all at once
            pmi = [engine.unconditional(request.options) for request in batch]
    return [Response(*one) for one in zip(batch, scores, pmi, generated, worked, strict=True)]


def _ask(context: str, options: Sequence[str]) -> scoring.ScoreRequest:
    return scoring.ScoreRequest(context, tuple(prompts.continuation(option) for option in options))
