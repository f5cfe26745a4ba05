"""Pretrain one ladder model: plain next-token prediction over a corpus that is seen once, in one thread.

One process of one thread for each model is the fastest use of a small machine, and makes the weights repeatable bit
by bit. A run that was interrupted goes on from its state file and ends with the same weights.
"""

import math
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, cast

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from app.errors import CellError, InputError, StoreError
from app.identity import fingerprint
from app.models.loading import LoadedModel, ModelSource, save_checkpoint
from app.models.states import write_state
from app.plan import LadderSpec
from app.pretraining import corpus, ladder, recipe, tokenizer
from app.pretraining.muon import Muon
from app.pretraining.vocabulary import CONTEXT, EOS, vocabulary

REPORT_EVERY = 25
"""Steps between two reports; also over how many steps the reported loss is averaged."""


class Progress(NamedTuple):
    """Where a run stands."""

    step: int
    steps: int
    tokens: int
    """Tokens seen so far."""
    loss: float
    """Mean cross-entropy in nats a token since the last report."""


class PretrainResult(NamedTuple):
    """What a run ended with."""

    final_loss: float
    """Mean cross-entropy in nats a token over the last steps: each token is seen once, so this is no training error."""
    steps: int
    tokens: int
    parameters: int
    seconds: float
    """CPU seconds, interrupted parts up to their last saved state included."""


def _no_report(_: Progress) -> None:
    """The default: nobody watches."""


def pretrain(
    spec: LadderSpec,
    folder: Path,
    *,
    state: Path | None = None,
    save_state_every: int = 200,
    report: Callable[[Progress], None] = _no_report,
) -> PretrainResult:
    """Pretrain `spec` and save an ordinary Hugging Face checkpoint as `folder`, all at once, at the end.

    `state` is a file: written every `save_state_every` steps, continued from where it exists, removed at the end.
    Raises InputError for a specification that cannot be built or a corpus shorter than one step, TaskError for an
    unknown task in `without`, StoreError for a state of another specification, CellError where the loss diverges.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        run = _Run(spec, state)
        while run.step < run.steps:
            run.advance()
            if run.step % REPORT_EVERY == 0 or run.step == run.steps:
                report(run.progress())
            if state is not None and run.step % save_state_every == 0 and run.step < run.steps:
                run.save(state)
        _save_checkpoint(run.model, folder)
    finally:
        torch.set_num_threads(threads)
    if state is not None:
        state.unlink(missing_ok=True)
    return PretrainResult(
        final_loss=run.progress().loss,
        steps=run.steps,
        tokens=run.steps * recipe.BATCH * CONTEXT,
        parameters=sum(weight.numel() for weight in run.model.parameters()),
        seconds=run.seconds(),
    )


def next_token_loss(model: PreTrainedModel, batch: Tensor) -> Tensor:
    """Mean cross-entropy in nats of each token of `batch` [sequences, tokens] after those before it.

    The same number as `model(labels=...)` gives, without its copies of the logits: a fifth of a small model's step.
    """
    hidden = cast(Tensor, model.base_model(input_ids=batch, use_cache=False).last_hidden_state)
    head = cast(torch.nn.Linear, model.get_output_embeddings())
    logits = head(hidden[:, :-1].flatten(0, 1))
    return functional.cross_entropy(logits, batch[:, 1:].flatten())


class _Run:
    """A run in progress: what a state file holds, and what can be made again from the specification."""

    def __init__(self, spec: LadderSpec, state: Path | None) -> None:
        step_tokens = recipe.BATCH * CONTEXT
        self.steps = spec.tokens // step_tokens
        if self.steps < 1:
            raise InputError(f"pretraining.tokens is {spec.tokens}, less than a step of {step_tokens}: raise it")
        self.identity = fingerprint(recipe.training_inputs(spec))
        self.model = ladder.build(spec)
        self.model.train()
        self.rate = recipe.rate(spec)
        self.muon, self.adam = _optimisers(self.model)
        words = vocabulary()
        ids = corpus.encoded(self.steps * step_tokens, spec.seed, spec.without, words, words[EOS])
        self.batches = torch.from_numpy(ids).view(self.steps, recipe.BATCH, CONTEXT)
        self.step = 0
        self.recent: list[float] = []
        self._earlier, self._started = 0.0, time.process_time()
        if state is not None and state.exists():
            self._load(state)

    def advance(self) -> None:
        """One optimiser step."""
        rate = self.rate * _schedule(self.step, self.steps)
        for group, multiple in zip(self.adam.param_groups, (recipe.EMBEDDING_RATE, recipe.VECTOR_RATE), strict=True):
            group["lr"] = rate * multiple
        loss = next_token_loss(self.model, self.batches[self.step].long())
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), recipe.CLIP)
        self.adam.step()
        self.muon.step(rate, recipe.WEIGHT_DECAY)
        self.model.zero_grad()
        self.step += 1
        self.recent = [*self.recent[1 - REPORT_EVERY :], loss.item()]
        if not math.isfinite(self.recent[-1]):
            raise CellError(f"the loss is {self.recent[-1]} at step {self.step}: lower pretraining.learning_rate")

    def progress(self) -> Progress:
        seen = self.step * recipe.BATCH * CONTEXT
        return Progress(self.step, self.steps, seen, sum(self.recent) / max(1, len(self.recent)))

    def seconds(self) -> float:
        return self._earlier + time.process_time() - self._started

    def save(self, state: Path) -> None:
        state.parent.mkdir(parents=True, exist_ok=True)
        partial = state.with_name(state.name + ".partial")
        saved = {
            "identity": self.identity,
            "step": self.step,
            "recent": self.recent,
            "seconds": self.seconds(),
            "model": self.model.state_dict(),
            "adam": self.adam.state_dict(),
            "muon": self.muon.state(),
        }
        write_state(partial, saved)
        os.replace(partial, state)

    def _load(self, state: Path) -> None:
        saved = torch.load(state, weights_only=True)
        if saved["identity"] != self.identity:
            raise StoreError(f"{state} is the state of another pretraining: remove it to start afresh")
        self.model.load_state_dict(saved["model"])
        self.adam.load_state_dict(saved["adam"])
        self.muon.restore(saved["muon"])
        self.step, self.recent, self._earlier = saved["step"], saved["recent"], saved["seconds"]


def _optimisers(model: PreTrainedModel) -> tuple[Muon, torch.optim.AdamW]:
    """Muon for the matrices of the layers; AdamW for the word embeddings (group 0) and for all the rest (group 1)."""
    words = model.get_input_embeddings().weight
    positions = {id(table) for table in ladder.position_tables(model)}
    others = [weight for weight in model.parameters() if weight is not words]
    matrices = [weight for weight in others if weight.ndim == 2 and id(weight) not in positions]
    chosen = {id(matrix) for matrix in matrices}
    adam = torch.optim.AdamW(
        [
            {"params": [words], "weight_decay": recipe.WEIGHT_DECAY},
            {"params": [weight for weight in others if id(weight) not in chosen], "weight_decay": 0.0},
        ],
        betas=recipe.BETAS,
        fused=True,
    )
    return Muon(matrices), adam


def _schedule(step: int, steps: int) -> float:
    """Share of the peak rate: linear warm-up, then a straight line down to `recipe.FINAL_RATE`."""
    warm = min(1.0, (step + 1) / min(recipe.WARMUP_STEPS, max(1, steps // 10)))
    return warm * (1 - (1 - recipe.FINAL_RATE) * step / steps)


def _save_checkpoint(model: PreTrainedModel, folder: Path) -> None:
    """Weights, configuration and tokenizer, in the place of what is there."""
    if folder.exists():
        shutil.rmtree(folder)
    source = ModelSource("checkpoint", str(folder))
    save_checkpoint(LoadedModel(model.eval(), tokenizer.build(), "cpu", source), folder)
