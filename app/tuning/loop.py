"""Supervised tuning of one model, by one process or by several; resumes at the exact step.

Batches are a function of lengths and seed; workers and passes divide each one, and weigh every answer token alike.
How examples share rows, and how their loss is computed, follows the model's architecture and changes no number beyond
rounding.
"""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch import nn

from app.errors import CellError
from app.models.states import write_state
from app.tuning.encoding import Encoded
from app.tuning.kernels import quicken
from app.tuning.loss import shared
from app.tuning.probes import Form, form
from app.tuning.rows import laid
from app.tuning.sharding import ALONE, Settings, Stepper, Team, stepper

_APART = 1_000_003  # of the seeds of two workers
_NOTHING = (Encoded((0, 0), 1),)  # a pass that must be made, and adds nothing
_WINDOW = 16  # batches sorted by length together: less padding, yet still a random order


@dataclass(frozen=True)
class Schedule:
    """Hyper-parameters of the loop."""

    batch: int
    """Examples in an optimiser step."""
    epochs: int
    learning_rate: float
    """Peak."""
    warmup: float
    """Share of the steps."""
    weight_decay: float
    autocast: torch.dtype | None = None
    """Half precision to compute in where the weights are held in float32."""
    max_gradient: float = 1.0
    """Gradients are clipped to this norm."""
    rows: int | None = None
    """Examples of one pass of one worker; None: its whole share of the batch."""

    def passes(self, workers: int) -> int:
        """Passes that one worker makes in a full step."""
        own = math.ceil(self.batch / workers)
        return math.ceil(own / min(self.rows or own, own))


class Tuned(NamedTuple):
    """What a finished loop tells."""

    steps: int
    tokens: int
    """Tokens seen, padding left out."""
    answer_tokens: int
    """Tokens that carried a label."""
    loss: float
    """Mean over the last tenth of the steps, in nats per answer token."""


Report = Callable[[int, int, Callable[[Path], None]], None]


class Result(NamedTuple):
    """What `train` leaves beside the model."""

    tuned: Tuned
    losses: list[float]
    """Of each step, in nats per answer token."""
    weights: Mapping[str, torch.Tensor] | None
    """Trained weights on the first worker, where the model itself holds but a part of them (zero3)."""
    ways: Mapping[str, object]
    """How it was computed, for the record: the form of the model, whether its layers were made quicker."""


def train(
    model: nn.Module,
    examples: Sequence[Encoded],
    schedule: Schedule,
    seed: int,
    state: Path | None,
    report: Report,
    team: Team = ALONE,
) -> Result:
    """Tune `model` in place: its parameters that require gradients. Every worker of the team calls this alike.

    `report(step, steps, save)` is called after each step; `state` is a file that an earlier `save` of the same worker
    wrote. Raises CellError, on all workers, when the loss is no longer finite.
    """
    torch.manual_seed(seed + _APART * team.rank)  # dropout differs between workers
    lengths = [len(example.ids) for example in examples]
    plan = batches(lengths, schedule.batch, schedule.epochs, seed)
    passes = schedule.passes(team.size)
    settings = Settings(schedule.learning_rate, schedule.weight_decay, schedule.max_gradient, passes, schedule.autocast)
    how = form(model)  # while it still lies whole on its device
    quick = quicken(model, len(plan), schedule.autocast) if team.size == 1 else {"compiled": "no: several workers"}
    hands = stepper(model, settings, team)
    losses = [] if state is None else _restore(state, hands)
    model.train()
    for step in range(len(losses), len(plan)):
        rate_now = schedule.learning_rate * rate(step, len(plan), schedule.warmup)
        for group in hands.optimiser.param_groups:
            group["lr"] = rate_now
        own = divide(plan[step], lengths, schedule.rows, passes, team)
        answers = sum(examples[index].answer for index in plan[step])
        loss = _accumulate(
            hands, [[examples[index] for index in rows] for rows in own], answers, how, schedule.autocast
        )
        if not math.isfinite(loss):
            raise CellError(f"the loss became {loss} at step {step}: lower learning_rate")
        hands.update()
        losses.append(loss)
        report(step + 1, len(plan), lambda path: _save(path, hands, losses))
    model.eval()
    return Result(told(examples, plan, losses), losses, hands.weights(), {**how._asdict(), **quick})


def told(examples: Sequence[Encoded], plan: Sequence[Sequence[int]], losses: Sequence[float]) -> Tuned:
    """What a finished loop tells of its steps."""
    seen = [examples[index] for batch in plan for index in batch]
    last = losses[-max(1, len(losses) // 10) :]
    tokens, answers = sum(len(e.ids) for e in seen), sum(e.answer for e in seen)
    return Tuned(len(plan), tokens, answers, sum(last) / max(1, len(last)))


def batches(lengths: Sequence[int], size: int, epochs: int, seed: int) -> list[list[int]]:
    """Indices of each step's examples: every example once an epoch, examples of like length together."""
    rng = random.Random(seed)
    found: list[list[int]] = []
    for _ in range(epochs):
        order = list(range(len(lengths)))
        rng.shuffle(order)
        epoch: list[list[int]] = []
        for start in range(0, len(order), size * _WINDOW):
            window = sorted(order[start : start + size * _WINDOW], key=lambda index: lengths[index])
            epoch += [window[i : i + size] for i in range(0, len(window), size)]
        rng.shuffle(epoch)
        found += epoch
    return found


def rate(step: int, steps: int, warmup: float) -> float:
    """Share of the peak rate: linear rise over the warm-up, then linear fall to 5 %."""
    rise = max(1, round(steps * warmup))
    if step < rise:
        return (step + 1) / rise
    return 1 - 0.95 * (step - rise) / max(1, steps - rise)


def divide(batch: Sequence[int], lengths: Sequence[int], rows: int | None, passes: int, team: Team) -> list[list[int]]:
    """One worker's passes over a step's examples: each goes to one worker, neighbours in length to different ones.

    A team's workers make as many passes each, if need be empty ones: a forward pass may be a meeting of them all.
    """
    own = sorted(batch, key=lambda index: lengths[index])[team.rank :: team.size]
    size = rows or max(1, len(own))
    found = [own[start : start + size] for start in range(0, len(own), size)]
    return found if team.size == 1 else found + [[] for _ in range(passes - len(found))]


def _accumulate(
    hands: Stepper, passes: Sequence[Sequence[Encoded]], answers: int, form: Form, half: torch.dtype | None
) -> float:
    """Make a step's passes; its loss: the mean over all workers' answer tokens, in nats."""
    total = torch.zeros((), device=hands.device)
    for number, examples in enumerate(passes, 1):
        rows = laid(examples or _NOTHING, masked=form.masked, packs=form.packs).to(hands.device)
        with hands.one_pass(last=number == len(passes)):
            with torch.autocast(hands.device.type, dtype=half, enabled=half is not None):
                shares = torch.full(rows.labels.shape, 1 / answers, device=hands.device)
                share = shared(hands.called, rows, shares, form.way).total
            share = share if examples else share * 0
            hands.backward(share)
        total = total + share.detach()
    return hands.total(total).item()


def _save(path: Path, hands: Stepper, losses: list[float]) -> None:
    state = {
        **hands.state(),
        "losses": losses,
        "generator": torch.get_rng_state(),  # dropout
        "generators": [torch.cuda.get_rng_state(hands.device)] if hands.device.type == "cuda" else [],
    }
    write_state(path, state)


def _restore(path: Path, hands: Stepper) -> list[float]:
    state = cast(dict[str, Any], torch.load(path, weights_only=True, map_location="cpu"))
    losses = cast(list[float], state.pop("losses"))
    generator, generators = state.pop("generator"), state.pop("generators")
    hands.restore(state, len(losses))
    torch.set_rng_state(generator)
    if generators and hands.device.type == "cuda":
        torch.cuda.set_rng_state(generators[0], hands.device)
    return losses
