"""How passes become an update: alone, as copies that add their gradients up, or as workers that divide the model.

Losses arrive as shares of one mean (the sum over a pass's answer tokens, divided by the answer tokens of the whole
step), so gradients are their sum, however many passes and workers there are; they are clipped once, by their global
norm. DeepSpeed is imported where it is used: it is optional, and slow to import.
"""

import importlib.util
import logging
import os
import sys
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, cast

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from app.errors import CellError

Strategy = Literal["ddp", "zero1", "zero2", "zero3"]
State = dict[str, Any]
"""What `torch.load(weights_only=True)` reads."""
PERSISTENT = 100_000
"""Under zero3, weights up to this size stay whole on every worker: DeepSpeed's own default."""


@dataclass(frozen=True)
class Team:
    """The workers of one tuning, as one of them sees it."""

    rank: int = 0
    size: int = 1
    strategy: Strategy = "ddp"
    offload: bool = False
    """With zero: keep optimiser states, and in zero3 weights, in main memory."""
    device: str = ""
    """Where it computes; empty: where the model lies."""


ALONE = Team()


@dataclass(frozen=True)
class Settings:
    """Of the optimiser."""

    learning_rate: float
    weight_decay: float
    max_gradient: float
    """Gradients are clipped to this norm."""
    passes: int
    """In each step; only DeepSpeed must know."""
    autocast: torch.dtype | None
    """The loop computes in it; only DeepSpeed must know."""


class Stepper(Protocol):
    """One worker's hold on the model: passes, then one update."""

    called: nn.Module
    """What a forward pass calls."""
    device: torch.device
    optimiser: Any
    """An optimiser, or what divides one; its `param_groups` hold the rates."""

    @contextmanager
    def one_pass(self, *, last: bool) -> Generator[None]:
        """Around the forward and backward pass of some rows; `last` of its step."""
        ...

    def backward(self, loss: torch.Tensor) -> None:
        """Add the gradients of a share of the step's loss."""
        ...

    def update(self) -> None:
        """Clip what the passes added up, move the weights, forget the gradients."""
        ...

    def total(self, value: torch.Tensor) -> torch.Tensor:
        """A scalar, summed over the workers."""
        ...

    def state(self) -> State:
        """This worker's part of weights and optimiser."""
        ...

    def restore(self, state: State, steps: int) -> None:
        """Take up what `state` gave after that many steps; every worker calls it."""
        ...

    def weights(self) -> Mapping[str, torch.Tensor] | None:
        """Trained weights by name where the model's own are divided, on the first worker alone; every one calls it."""
        ...


def stepper(model: nn.Module, settings: Settings, team: Team) -> Stepper:
    """The stepper of a team; all of its workers call this with the same weights."""
    if team.size == 1:
        return Alone(model, settings)
    return Copies(model, settings, team) if team.strategy == "ddp" else Divided(model, settings, team)


def require(strategy: Strategy) -> None:
    """Raise CellError where the strategy needs a package that is not installed."""
    if strategy != "ddp" and importlib.util.find_spec("deepspeed") is None:
        raise CellError(
            f'strategy {strategy} needs the package deepspeed: pip install "fewtune[deepspeed]", '
            f"or tune with strategy: ddp"
        )


def trained(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that require gradients, by name."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


class Alone:
    """One process, plain torch."""

    def __init__(self, model: nn.Module, settings: Settings) -> None:
        self.called: nn.Module = model
        self.device = _device(model, ALONE)
        self.parameters = trained(model)
        self.optimiser = _adamw(list(self.parameters.values()), settings)
        self._max_gradient = settings.max_gradient

    @contextmanager
    def one_pass(self, *, last: bool) -> Generator[None]:
        yield

    def backward(self, loss: torch.Tensor) -> None:
        loss.backward()

    def update(self) -> None:
        nn.utils.clip_grad_norm_(list(self.parameters.values()), self._max_gradient)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)

    def total(self, value: torch.Tensor) -> torch.Tensor:
        return value

    def state(self) -> State:
        weights = {name: p.detach() for name, p in self.parameters.items()}
        return {"parameters": weights, "optimiser": self.optimiser.state_dict()}

    def restore(self, state: State, steps: int) -> None:
        with torch.no_grad():
            for name, value in state["parameters"].items():
                self.parameters[name].copy_(value)
        self.optimiser.load_state_dict(state["optimiser"])

    def weights(self) -> None:
        return None


class Copies(Alone):
    """Each worker holds the whole model (DistributedDataParallel); the first one keeps the state of all."""

    def __init__(self, model: nn.Module, settings: Settings, team: Team) -> None:
        super().__init__(model, settings)
        self._team = team
        self._ddp = DistributedDataParallel(model)
        self.called: nn.Module = self._ddp

    @contextmanager
    def one_pass(self, *, last: bool) -> Generator[None]:
        if last:
            yield
            return
        with self._ddp.no_sync():
            yield

    def backward(self, loss: torch.Tensor) -> None:
        (loss * self._team.size).backward()  # gradients are averaged over the workers

    def total(self, value: torch.Tensor) -> torch.Tensor:
        return _summed(value)

    def state(self) -> State:
        return super().state() if self._team.rank == 0 else {}

    def restore(self, state: State, steps: int) -> None:
        if self._team.rank == 0:
            super().restore(state, steps)
        for parameter in self.parameters.values():
            moments = self.optimiser.state[parameter]
            if self._team.rank:
                moments["step"] = torch.tensor(float(steps))
                moments["exp_avg"], moments["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
            for tensor in (parameter.data, moments["exp_avg"], moments["exp_avg_sq"]):
                distributed.broadcast(tensor, 0)


class Divided:
    """DeepSpeed: workers divide optimiser states (stage 1), gradients too (2), weights too (3).

    Its own checkpoints are pickles; the states of its optimiser are kept here as plain tensors instead.
    """

    def __init__(self, model: nn.Module, settings: Settings, team: Team) -> None:
        self.device = _device(model, team)
        self._deepspeed = _import(self.device)
        self._team, self._passes = team, settings.passes
        self._stage = int(team.strategy[-1])
        self._shapes = {name: p.shape for name, p in trained(model).items()}
        told = _told(settings, team, self._stage)
        if self._stage == 3:  # else DeepSpeed would put the whole model on the device first
            self._deepspeed.zero.Init(module=model, config_dict_or_path=told, mem_efficient_linear=False)
        self._model = model
        optimiser = _adamw(list(trained(model).values()), settings)
        optimiser.param_groups = [group for group in optimiser.param_groups if group["params"]]
        self._engine = self._deepspeed.initialize(model=model, optimizer=optimiser, config=told)[0]
        self.called, self.optimiser = self._engine, self._engine.optimizer

    @contextmanager
    def one_pass(self, *, last: bool) -> Generator[None]:
        yield
        if not last:
            self._engine.step()  # counts the pass

    def backward(self, loss: torch.Tensor) -> None:
        # Gradients are averaged over the workers, and losses over the passes.
        self._engine.backward(loss * (self._team.size * self._passes))

    def update(self) -> None:
        self._engine.step()

    def total(self, value: torch.Tensor) -> torch.Tensor:
        return _summed(value)

    def state(self) -> State:
        return {name: value for name, value in self.optimiser.state_dict().items() if name not in _OBJECTS}

    def restore(self, state: State, steps: int) -> None:
        mine = {**self.optimiser.state_dict(), **state}
        by_rank = [mine if rank == self._team.rank else None for rank in range(self._team.size)]
        self.optimiser.load_state_dict(by_rank, load_optimizer_states=True, load_from_fp32_weights=True)
        if self._stage == 3:
            self.optimiser.checkpoint_event_epilogue()
        else:
            self.optimiser.update_lp_params()

    def weights(self) -> Mapping[str, torch.Tensor] | None:
        if self._stage < 3:
            return None
        found: dict[str, torch.Tensor] = {}
        for name, parameter in trained(self._model).items():  # one at a time: a device may not hold them all
            with self._deepspeed.zero.GatheredParameters([parameter]):
                if parameter.shape != self._shapes[name]:
                    raise CellError(
                        f"{name} was gathered with shape {tuple(parameter.shape)}, the model has "
                        f"{tuple(self._shapes[name])}: this version of DeepSpeed cannot be used with zero3"
                    )
                if self._team.rank == 0:
                    found[name] = parameter.detach().cpu().clone()
        return found


_OBJECTS = ("loss_scaler", "param_slice_mappings", "zero_stage")  # of DeepSpeed's state: made anew, not stored


def _adamw(parameters: list[nn.Parameter], settings: Settings) -> torch.optim.AdamW:
    """AdamW that spares vectors (norms, biases) the weight decay."""
    decayed = [p for p in parameters if len(_shape(p)) > 1]
    others = [p for p in parameters if len(_shape(p)) <= 1]
    return torch.optim.AdamW(
        [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}],
        lr=settings.learning_rate,
        betas=(0.9, 0.999),
        fused=True,
    )


def _shape(parameter: nn.Parameter) -> torch.Size:
    return getattr(parameter, "ds_shape", parameter.shape)  # a divided one is empty


def _device(model: nn.Module, team: Team) -> torch.device:
    return torch.device(team.device) if team.device else next(model.parameters()).device


def _summed(value: torch.Tensor) -> torch.Tensor:
    distributed.all_reduce(value)
    return value


def _told(settings: Settings, team: Team, stage: int) -> dict[str, object]:
    """DeepSpeed's configuration; trained weights are float32, so it is told of no half precision of its own."""
    zero: dict[str, object] = {"stage": stage}
    if stage == 3:
        zero["stage3_param_persistence_threshold"] = PERSISTENT
    if team.offload:
        zero["offload_optimizer"] = {"device": "cpu"}
        if stage == 3:
            zero["offload_param"] = {"device": "cpu"}
    told: dict[str, object] = {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": settings.passes,
        "gradient_clipping": settings.max_gradient,
        "zero_optimization": zero,
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,  # it would be compiled on the spot
        "steps_per_print": sys.maxsize,
    }
    if settings.autocast is not None:
        # It switches off an autocast that it does not know of. No module is safe: gradients are summed in float32.
        dtype = str(settings.autocast).removeprefix("torch.")
        told["torch_autocast"] = {"enabled": True, "dtype": dtype, "lower_precision_safe_modules": []}
    return told


def _import(device: torch.device) -> Any:
    """DeepSpeed: silent, for this device, with its files in a temporary folder, compiling nothing."""
    os.environ.setdefault("DS_ACCELERATOR", device.type)
    os.environ.setdefault("TRITON_CACHE_DIR", str(Path(tempfile.gettempdir()) / "fewtune-triton"))
    logging.getLogger("DeepSpeed").setLevel(logging.ERROR)
    import deepspeed
    import deepspeed.ops
    from deepspeed.utils import logger

    logger.setLevel(logging.ERROR)
    # On CPUs it would compile its own all-reduce, which serves the workers of one node alone.
    cast(Any, deepspeed.ops).__compatible_ops__["deepspeed_shm_comm"] = False
    return deepspeed
