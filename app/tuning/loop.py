"""Supervised tuning of one model in one process, in plain torch; resumes at the exact step.

Batches are a function of lengths and seed. Rows are padded on the left, so that all answers end in the same
column and logits are computed for those columns alone (`logits_to_keep`), never for the whole prompt.
"""

import inspect
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, cast

import torch
from torch import nn
from transformers import PreTrainedModel

from app.errors import CellError
from app.tuning.encoding import Encoded

VERSION = "1"
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


def train(
    model: nn.Module, examples: Sequence[Encoded], schedule: Schedule, seed: int, state: Path | None, report: Report
) -> Tuned:
    """Tune `model` in place: its parameters that require gradients.

    `report(step, steps, save)` is called after each step; `state` is a file that an earlier `save` wrote.
    Raises CellError when the loss is no longer finite.
    """
    torch.manual_seed(seed)
    device = next(model.parameters()).device
    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    decayed = [p for p in parameters.values() if p.dim() > 1]
    others = [p for p in parameters.values() if p.dim() <= 1]
    optimiser = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": schedule.weight_decay}, {"params": others, "weight_decay": 0.0}],
        lr=schedule.learning_rate,
        betas=(0.9, 0.999),
    )
    plan = batches([len(example.ids) for example in examples], schedule.batch, schedule.epochs, seed)
    losses: list[float] = []
    if state is not None:
        losses = _restore(state, parameters, optimiser)
    model.train()
    for step in range(len(losses), len(plan)):
        rows = [examples[index] for index in plan[step]]
        for group in optimiser.param_groups:
            group["lr"] = schedule.learning_rate * rate(step, len(plan), schedule.warmup)
        with torch.autocast(device.type, dtype=schedule.autocast, enabled=schedule.autocast is not None):
            loss = _loss(model, rows, device)
        if not torch.isfinite(loss):
            raise CellError(f"the loss became {loss.item()} at step {step}: lower learning_rate")
        loss.backward()
        nn.utils.clip_grad_norm_(list(parameters.values()), schedule.max_gradient)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        losses.append(loss.item())
        report(step + 1, len(plan), lambda path: _save(path, parameters, optimiser, losses))
    model.eval()
    seen = [examples[index] for batch in plan for index in batch]
    last = losses[-max(1, len(losses) // 10) :]
    return Tuned(len(plan), sum(len(e.ids) for e in seen), sum(e.answer for e in seen), sum(last) / max(1, len(last)))


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


def _loss(model: nn.Module, rows: Sequence[Encoded], device: torch.device) -> torch.Tensor:
    """Mean cross-entropy over all answer tokens of the batch, in nats."""
    longest = max(len(row.ids) for row in rows)
    answers = max(row.answer for row in rows)
    ids = torch.zeros((len(rows), longest), dtype=torch.long)
    mask = torch.zeros((len(rows), longest), dtype=torch.long)
    labels = torch.full((len(rows), answers), -100, dtype=torch.long)
    for index, row in enumerate(rows):
        ids[index, longest - len(row.ids) :] = torch.tensor(row.ids)
        mask[index, longest - len(row.ids) :] = 1
        labels[index, answers - row.answer :] = torch.tensor(row.ids[-row.answer :])
    logits = _answer_logits(model, ids.to(device), mask.to(device), answers)
    return nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]).float(), labels.to(device).reshape(-1))


def _answer_logits(model: nn.Module, ids: torch.Tensor, mask: torch.Tensor, answers: int) -> torch.Tensor:
    """Logits that predict the last `answers` columns, shape (rows, answers, vocabulary)."""
    inner = cast(PreTrainedModel, getattr(model, "get_base_model", lambda: model)())
    accepted = inspect.signature(inner.forward).parameters
    more: dict[str, object] = {"use_cache": False}
    if "position_ids" in accepted:
        more["position_ids"] = (mask.cumsum(-1) - 1).clamp(min=0)
    if "logits_to_keep" in accepted:
        more["logits_to_keep"] = answers + 1
    return model(input_ids=ids, attention_mask=mask, **more).logits[:, -answers - 1 : -1]


def _save(
    path: Path, parameters: dict[str, nn.Parameter], optimiser: torch.optim.Optimizer, losses: list[float]
) -> None:
    torch.save(
        {
            "parameters": {name: p.detach() for name, p in parameters.items()},
            "optimiser": optimiser.state_dict(),
            "losses": losses,
            "generator": torch.get_rng_state(),  # dropout
            "generators": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        },
        path,
    )


def _restore(path: Path, parameters: dict[str, nn.Parameter], optimiser: torch.optim.Optimizer) -> list[float]:
    state = torch.load(path, weights_only=True, map_location="cpu")
    with torch.no_grad():
        for name, value in state["parameters"].items():
            parameters[name].copy_(value)
    optimiser.load_state_dict(state["optimiser"])
    torch.set_rng_state(state["generator"])
    if state["generators"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["generators"])
    return cast(list[float], state["losses"])
