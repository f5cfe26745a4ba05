"""Several LoRA adapters of one base, each tuned as if alone, in one process that runs the base once for all of them.

Every adapter keeps its own examples and their order, its own loss, clipping, rate and optimiser state; only forward and
backward passes of the frozen base are shared, over the rows of all. An adapter's weights, gradients and moments are one
flat vector each, so that an update costs a few operations, however many layers there are.
"""

import math
import shutil
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from peft import PeftModel
from peft.tuners.lora import Linear as LoraLinear
from torch import nn
from torch.autograd.function import once_differentiable

from app.errors import CellError
from app.models.states import write_state
from app.tuning.encoding import Encoded
from app.tuning.loop import Report, Result, Schedule, batches, divide, rate, told
from app.tuning.loss import shared
from app.tuning.probes import Form, form, inner
from app.tuning.rows import alike, beside, overhead
from app.tuning.sharding import ALONE


class Member(NamedTuple):
    """What one adapter is tuned with; `train` of the loop takes the same."""

    examples: Sequence[Encoded]
    schedule: Schedule
    seed: int


class _Matrices(NamedTuple):
    """One adapter in one layer: views of its flat vectors."""

    down: torch.Tensor
    """Shape (rank, inputs)."""
    up: torch.Tensor
    """Shape (outputs, rank)."""
    into_down: torch.Tensor
    """The gradient, of the same shape."""
    into_up: torch.Tensor
    scale: float


class _Adapter:
    """One adapter in training."""

    def __init__(self, model: PeftModel, name: str, member: Member) -> None:
        self.name, self.member = name, member
        self.lengths = [len(example.ids) for example in member.examples]
        schedule = member.schedule
        self.plan = batches(self.lengths, schedule.batch, schedule.epochs, member.seed)
        self.losses: list[float] = []
        self.held = _held(model, name)
        self.weights = nn.Parameter(torch.cat([p.detach().reshape(-1) for p in self.held]).float())
        self.gradient = torch.zeros_like(self.weights)

    def passes(self, step: int) -> list[list[Encoded]]:
        """A step's examples, in parts of at most the schedule's rows."""
        parts = divide(self.plan[step], self.lengths, self.member.schedule.rows, 0, ALONE)
        return [[self.member.examples[index] for index in part] for part in parts]

    @property
    def fault(self) -> str:
        """Why it was given up; empty: it was not."""
        if not self.losses or math.isfinite(self.losses[-1]):
            return ""
        last = f"the loss became {self.losses[-1]} at step {len(self.losses) - 1}"
        return f"{last}: lower learning_rate"

    def goes_on(self, step: int) -> bool:
        """Whether it makes this step."""
        return step < len(self.plan) and not self.fault

    def answers(self, step: int) -> int:
        """Answer tokens of a step."""
        return sum(self.member.examples[index].answer for index in self.plan[step])

    def write_back(self) -> None:
        """Give the model's own parameters the trained weights."""
        with torch.no_grad():
            for parameter, value in zip(self.held, _views(self.weights, self.held), strict=True):
                parameter.copy_(value)


class _Spans:
    """Whose the rows of the pass in progress are."""

    def __init__(self) -> None:
        self.now: Mapping[int, slice] = {}
        """Adapter -> its tokens in the flattened rectangle."""


def train(
    model: PeftModel,
    members: Mapping[str, Member],
    state: Path | None,
    report: Report,
    faults: dict[str, str] | None = None,
) -> dict[str, Result]:
    """Tune the adapters of `model` that `members` names, in place; each ends as the loop's `train` leaves one alone.

    `report` and `state` are those of the loop; a step is one of every adapter that has steps left. A pass holds `rows`
    examples of each schedule. An adapter whose loss is no longer finite is given up, without a result: `faults` is told
    why, else CellError is raised. Raises CellError too for adapters that are more than LoRA matrices of linear layers,
    for dropout, and for schedules of different precision: what they share must be the same.
    """
    _check(model, members)
    how = form(model)
    adapters = [_Adapter(model, name, member) for name, member in members.items()]
    optimiser = torch.optim.AdamW(
        [{"params": [a.weights], "weight_decay": a.member.schedule.weight_decay} for a in adapters],
        betas=(0.9, 0.999),
        fused=True,
    )
    if state is not None:
        _restore(state, adapters, optimiser)
    steps = max(len(adapter.plan) for adapter in adapters)
    model.train()
    with _adapted(model, adapters) as spans:
        for step in range(max(len(adapter.losses) for adapter in adapters), steps):
            active = {index: adapter for index, adapter in enumerate(adapters) if adapter.goes_on(step)}
            if not active:
                break
            _accumulate(model, spans, active, step, how)
            lost = next((adapter.fault for adapter in active.values() if adapter.fault), "")
            if lost and faults is None:
                raise CellError(lost)
            for index, group in enumerate(optimiser.param_groups):
                _prepare(adapters[index], group, step)
            optimiser.step()
            report(step + 1, steps, lambda path: _save(path, adapters, optimiser))
    model.eval()
    for adapter in adapters:
        adapter.write_back()
    if faults is not None:
        faults |= {adapter.name: adapter.fault for adapter in adapters if adapter.fault}
    ways = {**how._asdict(), "compiled": "no: adapters of several runs share its layers"}
    done = [adapter for adapter in adapters if not adapter.fault]
    return {a.name: Result(told(a.member.examples, a.plan, a.losses), a.losses, None, ways) for a in done}


def save(model: PeftModel, name: str, folder: Path) -> None:
    """Write an adapter into an existing folder as an ordinary peft one, which loads alone on the untouched base."""
    with tempfile.TemporaryDirectory(prefix="fewtune-adapter-") as made:
        model.save_pretrained(made, selected_adapters=[name])
        for file in (Path(made) / ("" if name == "default" else name)).iterdir():
            shutil.copy(file, folder / file.name)


def _accumulate(model: PeftModel, spans: _Spans, active: Mapping[int, _Adapter], step: int, how: Form) -> None:
    """A step's passes: every adapter's gradient and loss."""
    parts = {index: adapter.passes(step) for index, adapter in active.items()}
    totals = dict.fromkeys(active, 0.0)
    for adapter in active.values():
        adapter.gradient.zero_()
    for number in range(max(map(len, parts.values()))):
        taken = {index: found[number] for index, found in parts.items() if number < len(found)}
        for indices in _alike(model, taken):
            _one_pass(model, spans, {index: taken[index] for index in indices}, active, step, totals, how)
    for index, adapter in active.items():
        adapter.losses.append(totals[index])


def _alike(model: PeftModel, taken: Mapping[int, Sequence[Encoded]]) -> list[list[int]]:
    """Adapters whose examples are of like length."""
    if model.device.type != "cpu":
        return [list(taken)]
    keys = list(taken)
    sizes = [(len(own), max(len(example.ids) - 1 for example in own)) for own in taken.values()]
    width = cast(int, inner(model).config.get_text_config().hidden_size)
    return [[keys[place] for place in part] for part in alike(sizes, overhead(width))]


def _one_pass(
    model: PeftModel,
    spans: _Spans,
    taken: Mapping[int, Sequence[Encoded]],
    active: Mapping[int, _Adapter],
    step: int,
    totals: dict[int, float],
    how: Form,
) -> None:
    """Forward and backward over some examples of some adapters."""
    half = next(iter(active.values())).member.schedule.autocast
    laid = beside(list(taken.values()), masked=how.masked, packs=how.packs)
    weights = [1 / active[index].answers(step) for index in taken]
    shares = torch.cat([torch.full((n,), w) for n, w in zip(laid.labels, weights, strict=True)]).to(model.device)
    spans.now = dict(zip(taken, laid.spans, strict=True))
    with torch.autocast(model.device.type, dtype=half, enabled=half is not None):
        loss = shared(model, laid.rows.to(model.device), shares, how.way)
    torch.autograd.backward(loss.total)
    for index, each, weight in zip(taken, loss.each.split(laid.labels), weights, strict=True):
        totals[index] += each.sum().item() * weight


def _prepare(adapter: _Adapter, group: dict[str, Any], step: int) -> None:
    """Clip the adapter's gradient and set its rate; one that has made its steps gets no gradient."""
    schedule = adapter.member.schedule
    if step >= len(adapter.plan) or adapter.fault:
        adapter.weights.grad = None
        return
    adapter.weights.grad = adapter.gradient
    nn.utils.clip_grad_norm_([adapter.weights], schedule.max_gradient)
    group["lr"] = schedule.learning_rate * rate(step, len(adapter.plan), schedule.warmup)


@contextmanager
def _adapted(model: PeftModel, adapters: Sequence[_Adapter]) -> Generator[_Spans]:
    """Let every LoRA layer apply to each row the adapter whose row it is."""
    spans, anchor = _Spans(), torch.zeros((), device=model.device, requires_grad=True)
    weights = [iter(_views(adapter.weights.detach(), adapter.held)) for adapter in adapters]
    gradients = [iter(_views(adapter.gradient, adapter.held)) for adapter in adapters]
    layers = _layers(model)
    try:
        for layer in layers:
            matrices = [
                _Matrices(next(own), next(own), next(into), next(into), layer.scaling[adapter.name])
                for own, into, adapter in zip(weights, gradients, adapters, strict=True)
            ]
            cast(Any, layer).forward = _forward(layer.base_layer, matrices, spans, anchor)
        yield spans
    finally:
        for layer in layers:
            vars(layer).pop("forward", None)


def _forward(
    base: nn.Module, matrices: Sequence[_Matrices], spans: _Spans, anchor: torch.Tensor
) -> Callable[[torch.Tensor], torch.Tensor]:
    def forward(given: torch.Tensor) -> torch.Tensor:
        return cast(torch.Tensor, _Added.apply(base(given), given, anchor, matrices, spans.now))

    return forward


class _Added(torch.autograd.Function):
    """What a frozen layer gives, plus each row's adapter of what the layer was given.

    The adapters' gradients are added to where they are kept; `anchor` asks for them where nothing else would.
    """

    @staticmethod
    def forward(
        ctx: Any,
        result: torch.Tensor,
        given: torch.Tensor,
        anchor: torch.Tensor,
        matrices: Sequence[_Matrices],
        spans: Mapping[int, slice],
    ) -> torch.Tensor:
        dtype = result.dtype
        flat, out = given.reshape(-1, given.shape[-1]).to(dtype), torch.empty_like(result)
        before, after = result.view(-1, result.shape[-1]), out.view(-1, out.shape[-1])
        inside: list[torch.Tensor] = []
        with torch.autocast(result.device.type, enabled=False):
            for index, span in spans.items():
                down, up = matrices[index].down.to(dtype), matrices[index].up.to(dtype)
                inside.append((flat[span] @ down.T).mul_(matrices[index].scale))
                torch.addmm(before[span], inside[-1], up.T, out=after[span])
        ctx.save_for_backward(flat, *inside)
        ctx.matrices, ctx.spans, ctx.shape, ctx.dtype = matrices, spans, given.shape, given.dtype
        return out

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]  # torch's stub names it otherwise
        ctx: Any, *gradients: torch.Tensor
    ) -> tuple[torch.Tensor | None, ...]:
        flat, *inside = cast(tuple[torch.Tensor, ...], ctx.saved_tensors)
        (error,) = gradients
        errors = error.reshape(-1, error.shape[-1])
        into = torch.empty_like(flat) if ctx.needs_input_grad[1] else None
        for (index, span), within in zip(ctx.spans.items(), inside, strict=True):
            own = cast(_Matrices, ctx.matrices[index])
            own.into_up.add_(errors[span].T @ within)
            back = (errors[span] @ own.up.to(errors.dtype)).mul_(own.scale)
            own.into_down.add_(back.T @ flat[span])
            if into is not None:
                torch.mm(back, own.down.to(back.dtype), out=into[span])
        return error, None if into is None else into.view(ctx.shape).to(ctx.dtype), None, None, None


def _layers(model: PeftModel) -> list[LoraLinear]:
    return [module for module in model.modules() if isinstance(module, LoraLinear)]


def _held(model: PeftModel, name: str) -> list[nn.Parameter]:
    """An adapter's matrices, layer by layer: down, up."""
    return [cast(nn.Parameter, side[name].weight) for layer in _layers(model) for side in (layer.lora_A, layer.lora_B)]


def _views(flat: torch.Tensor, like: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Parts of a flat vector, in the shapes of `like`."""
    parts = flat.split([one.numel() for one in like])
    return [part.view(one.shape) for part, one in zip(parts, like, strict=True)]


def _check(model: PeftModel, members: Mapping[str, Member]) -> None:
    layers = _layers(model)
    matrices = {id(parameter) for name in members for parameter in _held(model, name)}
    kept = [
        part[name]
        for part in model.modules()
        if isinstance(part, nn.ModuleDict | nn.ParameterDict)
        for name in members.keys() & part.keys()
    ]
    others = [
        parameter
        for one in kept
        for parameter in (one.parameters() if isinstance(one, nn.Module) else [one])
        if id(parameter) not in matrices
    ]
    if not layers or others or any(layer.lora_variant for layer in layers):
        raise CellError("only plain LoRA matrices of linear layers are tuned together: tune these adapters one by one")
    if any(isinstance(module, nn.Dropout) and module.p > 0 for module in model.modules()):
        raise CellError("adapters are tuned together only without dropout: set it to 0, or tune them one by one")
    if len({member.schedule.autocast for member in members.values()}) > 1:
        raise CellError("adapters that are tuned together must compute in the same precision")


def _save(path: Path, adapters: Sequence[_Adapter], optimiser: torch.optim.Optimizer) -> None:
    state = {
        "weights": {adapter.name: adapter.weights.detach() for adapter in adapters},
        "losses": {adapter.name: adapter.losses for adapter in adapters},
        "optimiser": optimiser.state_dict(),
    }
    write_state(path, state)


def _restore(path: Path, adapters: Sequence[_Adapter], optimiser: torch.optim.Optimizer) -> None:
    state = cast(dict[str, Any], torch.load(path, weights_only=True, map_location="cpu"))
    optimiser.load_state_dict(state["optimiser"])
    for adapter in adapters:
        with torch.no_grad():
            adapter.weights.copy_(state["weights"][adapter.name])
        adapter.losses = list(state["losses"][adapter.name])
