"""The two ends of a tuning: what the loop is given (model and mixture), and what it leaves (folder and record)."""

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple, cast

import torch
from peft import LoraConfig, PeftModel, get_peft_model, prepare_model_for_kbit_training
from torch import nn
from transformers import PreTrainedModel

from app.errors import CellError, TaskError
from app.models.loading import LoadedModel, commit, context_length, load
from app.models.source import base_source, environment, run_folder
from app.plan import Run, TuneCell
from app.store import Artefact, Record, Store
from app.trials import Payload
from app.tuning import together
from app.tuning.encoding import EncodedMixture
from app.tuning.loop import Result, Schedule
from app.tuning.material import gather
from app.tuning.sharding import trained


class Prepared(NamedTuple):
    """What the loop is given."""

    run: Run
    model: PreTrainedModel
    """All of a model to tune, or adapters on frozen weights."""
    adapter: str
    """The run's own, where several runs have theirs on the model; empty: it has the model for itself."""
    loaded: LoadedModel
    mixture: EncodedMixture
    schedule: Schedule
    facts: Mapping[str, object]
    """For the record."""
    started: float
    """On the monotonic clock."""


def prepare(payload: Payload, device: str) -> Prepared:
    """Load the base model, and the mixture as token ids: the same on all workers of a cell.

    Raises FewTuneError where the base model or the mixture is at fault.
    """
    started = time.monotonic()
    run = cast(TuneCell, payload.cell).run
    loaded = _loaded(payload, device)
    torch.manual_seed(run.seed)
    model = _trainable(cast(PreTrainedModel, loaded.model), run)
    return _prepared(payload, run, loaded, model, started)


def prepare_together(payload: Payload, device: str, faults: dict[str, str]) -> list[Prepared]:
    """The same for all runs beside a cell's own: adapters on one base, each begun as it is alone.

    `faults` is told why a run has no mixture: it has no adapter then. Raises FewTuneError where none has one.
    """
    started = time.monotonic()
    cell = cast(TuneCell, payload.cell)
    loaded = _loaded(payload, device)
    model: PreTrainedModel | PeftModel = cast(PreTrainedModel, loaded.model)
    found: list[Prepared] = []
    for run in cell.beside:
        name = f"s{run.seed}"
        torch.manual_seed(run.seed)
        if isinstance(model, PeftModel):
            model.add_adapter(name, _lora(run))
        else:
            model = cast(PeftModel, get_peft_model(model, _lora(run), adapter_name=name))
        try:
            found.append(_prepared(payload, run, loaded, model, started, name))
        except TaskError as fault:
            faults[run.slug] = str(fault)
    if not found:
        raise CellError(faults[cell.run.slug])
    return found


def _loaded(payload: Payload, device: str) -> LoadedModel:
    cell = cast(TuneCell, payload.cell)
    torch.set_num_threads(cell.needs.cpus)
    source = base_source(cell.base, payload.store)
    # All weights are updated in float32: half precision loses small updates. Adapters are float32 in any case.
    return load(replace(source, dtype="float32") if cell.run.recipe.method == "full" else source, device)


def _prepared(
    payload: Payload, run: Run, loaded: LoadedModel, model: nn.Module, started: float, adapter: str = ""
) -> Prepared:
    recipe = run.recipe
    longest = min(recipe.max_length, context_length(loaded))
    material, data = gather(run, loaded.tokenizer, longest, payload.store, payload.mirror)
    schedule = Schedule(
        recipe.batch, recipe.epochs, run.learning_rate, recipe.warmup, recipe.weight_decay, _half(run),
        rows=recipe.micro_batch,
    )  # fmt: skip
    own = {n: p for n, p in model.named_parameters() if f".{adapter}." in n} if adapter else trained(model)
    facts = {
        "cut": material.mixture.cut,
        "trained_parameters": sum(p.numel() for p in own.values()),
        "drawn": material.drawn,
        "left_out": material.left_out,
        "commit": commit(loaded),
        "data": data,
    }
    return Prepared(run, cast(PreTrainedModel, model), adapter, loaded, material.mixture, schedule, facts, started)


def keep(payload: Payload, made: Prepared, result: Result) -> None:
    """Write the tuned model (an ordinary peft adapter or checkpoint) and, last, the record of its run's cell."""
    run, cell = made.run, cast(TuneCell, payload.cell)
    artefacts = _save(run, made, result, payload.store)
    seconds = (time.monotonic() - made.started) / max(1, len(cell.beside))
    facts = {**result.tuned._asdict(), **made.facts, "ways": result.ways}
    told = environment(made.loaded.device)
    payload.store.write_record(Record(cell.kind, f"tune/{run.slug}", run.inputs, facts, seconds, told, artefacts))


def _save(run: Run, made: Prepared, result: Result, store: Store) -> dict[str, Artefact]:
    model = made.model
    half = _half(run) if run.recipe.method == "full" else None  # adapters stay float32
    if half is not None:
        model = cast(PreTrainedModel, cast(nn.Module, model).to(half))
    weights = None if result.weights is None else _whole(model, result.weights, half)
    artefacts: dict[str, Artefact] = {}
    with store.new_folder(run_folder(run), artefacts) as folder:
        if made.adapter:
            together.save(cast(PeftModel, model), made.adapter, folder)
        else:
            model.save_pretrained(folder, state_dict=weights)
        made.loaded.tokenizer.save_pretrained(folder)
    return artefacts


def _whole(model: nn.Module, weights: Mapping[str, torch.Tensor], half: torch.dtype | None) -> dict[str, torch.Tensor]:
    """The state dict of a model whose own weights are divided."""
    held = {name for name, _ in model.named_buffers()}
    buffers = {name: value for name, value in model.state_dict().items() if name in held}
    return {**buffers, **{name: value.to(half or value.dtype) for name, value in weights.items()}}


def _half(run: Run) -> torch.dtype | None:
    """The half precision to compute in, if any."""
    return {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(run.base.dtype)


def _trainable(model: PreTrainedModel, run: Run) -> nn.Module:
    """The module to tune: all of the model, or adapters on its frozen weights."""
    if run.recipe.method == "full":
        model.requires_grad_(True)
        return _recomputing(model) if run.recipe.gradient_checkpointing else model
    if run.recipe.method == "qlora":
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    if run.recipe.gradient_checkpointing:
        model = _recomputing(model)
        model.enable_input_require_grads()  # else nothing in a frozen layer's input asks for a gradient
    return get_peft_model(model, _lora(run))


def _lora(run: Run) -> LoraConfig:
    lora = run.recipe.lora
    targets = lora.targets if isinstance(lora.targets, str) else list(lora.targets)
    return LoraConfig(
        r=lora.rank,
        lora_alpha=cast(int, lora.alpha),
        lora_dropout=lora.dropout,
        target_modules=targets,
        task_type="CAUSAL_LM",
    )


def _recomputing(model: PreTrainedModel) -> PreTrainedModel:
    """`model`, which keeps no activations inside its layers."""
    model.gradient_checkpointing_enable({"use_reentrant": False})
    return model
