"""One tuning cell, start to record: load the base model, draw and encode the mixture, tune, save."""

import time
from dataclasses import replace
from typing import cast

import torch
from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training
from torch import nn
from transformers import PreTrainedModel

from app.identity import fingerprint, versions
from app.models.loading import commit, context_length, load
from app.models.source import base_source, device, run_folder
from app.plan import Run, TuneCell
from app.store import Record
from app.tasks import contamination, loading
from app.tasks.planned import task_of
from app.tasks.task import Task, TaskData
from app.trials import Payload, Progress
from app.tuning.encoding import encode
from app.tuning.loop import Schedule, train
from app.tuning.mixture import draw


def tune(payload: Payload, progress: Progress) -> None:
    """Run the cell and write its record. Raises FewTuneError where the base model, mixture or loss is at fault."""
    started = time.monotonic()
    cell, store = cast(TuneCell, payload.cell), payload.store
    run = cell.run
    torch.set_num_threads(cell.needs.cpus)
    source = base_source(run.base, store)
    half = {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(run.base.dtype)
    full = run.recipe.method == "full"
    # All weights are updated in float32: half precision loses small updates. Adapters are float32 in any case.
    loaded = load(replace(source, dtype="float32") if full else source, device(cell.needs))
    torch.manual_seed(run.seed)
    model = _trainable(cast(PreTrainedModel, loaded.model), run)

    recipe = run.recipe
    tasks = [task_of(task) for task in run.mixture]
    data = {task.name: loading.load(task, payload.mirror) for task in tasks}
    left_out = _clean(run, tasks, data, payload.mirror)
    study_seed = cast(int, cell.inputs["study_seed"])
    seed = f"{study_seed}/{run.seed}/{fingerprint([task.name for task in run.mixture])}"
    worked = cast(int, cast(dict[str, object], run.inputs["recipe"]).get("worked_examples", 0))
    drawn = draw(tasks, data, recipe.examples, recipe.rate_cap, seed, recipe.format, worked)
    mixture = encode(drawn, loaded.tokenizer, min(recipe.max_length, context_length(loaded)), recipe)
    schedule = Schedule(recipe.batch, recipe.epochs, run.learning_rate, recipe.warmup, recipe.weight_decay, half)
    tuned = train(model, mixture.examples, schedule, run.seed, progress.state(), progress)

    if full and half is not None:
        model = model.to(half)
    with store.new_folder(run_folder(run)) as folder:
        cast(PreTrainedModel, model).save_pretrained(folder)
        loaded.tokenizer.save_pretrained(folder)
    result = {
        **tuned._asdict(),
        "cut": mixture.cut,
        "trained_parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "drawn": {task.name: sum(d.task.name == task.name for d in drawn) for task in tasks},
        "left_out": left_out,
        "commit": commit(loaded),
        "data": {name: loaded_data.fingerprint for name, loaded_data in data.items()},
    }
    seconds = time.monotonic() - started
    store.write_record(Record(cell.kind, cell.slug, cell.inputs, result, seconds, versions()))


def _clean(run: Run, tasks: list[Task], data: dict[str, TaskData], mirror: str | None) -> dict[str, int]:
    """Take training examples that hold a test item out of `data`, where the recipe asks for it; task -> how many."""
    if not run.evaluated:
        return {}
    tested = [(task, loading.load(task, mirror).test) for task in map(task_of, run.evaluated)]
    found = contamination.clean([(task, data[task.name]) for task in tasks], tested)
    for name, ids in found.items():
        kept = tuple(example for example in data[name].train if example.id not in ids)
        data[name] = data[name]._replace(train=kept)
    return {name: len(ids) for name, ids in found.items() if ids}


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
    lora = run.recipe.lora
    targets = lora.targets if isinstance(lora.targets, str) else list(lora.targets)
    settings = LoraConfig(
        r=lora.rank,
        lora_alpha=cast(int, lora.alpha),
        lora_dropout=lora.dropout,
        target_modules=targets,
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, settings)


def _recomputing(model: PreTrainedModel) -> PreTrainedModel:
    """`model`, which keeps no activations inside its layers."""
    model.gradient_checkpointing_enable({"use_reentrant": False})
    return model
