"""Adapters on a base model that is already in memory: attach, switch, detach, and prove that one is in force.

An adapter lives inside the layers of its base, so a base that looks untouched may not be, and an adapter that was
loaded may do nothing. Either would put one side of a pair in the place of the other: both are refused.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import torch
from peft import (
    PeftConfig,
    PeftModel,
    get_peft_model,
    get_peft_model_state_dict,
    set_peft_model_state_dict,
)
from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import PreTrainedModel

from app.errors import CellError, ModelError
from app.models.loading import LoadedModel

_CONFIG, _WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def with_adapter(loaded: LoadedModel, folder: str | Path) -> LoadedModel:
    """`loaded` with the adapter in `folder` in force; adapters attached before stay in memory, out of force.

    The layers of `loaded.model` are changed in place: use the returned model, and `detach` to have the base back.
    Raises ModelError where the folder holds no adapter or one of other shapes; the base is then as it was.
    """
    folder = Path(folder)
    name = _name(folder)
    model = loaded.model
    if not isinstance(model, PeftModel) or name not in model.peft_config:
        model = _attach(loaded, folder, name)
    model.set_adapter(name)
    model.eval().requires_grad_(False)
    return replace(loaded, model=model, adapter=name)


def switch_adapter(loaded: LoadedModel, folder: str | Path) -> LoadedModel:
    """`loaded` with the adapter in `folder` in force and the one that was in force removed from memory."""
    before = loaded.adapter
    switched = with_adapter(loaded, folder)
    if before is not None and before != switched.adapter:
        cast(PeftModel, switched.model).delete_adapter(before)
    return switched


def detach(loaded: LoadedModel) -> LoadedModel:
    """The pure base: its own layers again, its logits those of before to the last bit."""
    if not isinstance(loaded.model, PeftModel):
        return loaded
    base = cast(PreTrainedModel, cast(BaseTuner, loaded.model.base_model).unload())
    return replace(loaded, model=base.eval().requires_grad_(False), adapter=None)


def prove_active(loaded: LoadedModel, tokens: Sequence[int]) -> None:
    """Compare the logits of `tokens` with and without the adapter.

    Raises CellError where no adapter is attached, or where the attached one changes nothing.
    """
    if not isinstance(loaded.model, PeftModel):
        raise CellError("no adapter is attached: the base would be scored in the tuned model's place")
    ids = torch.tensor([list(tokens)], device=loaded.device)
    with torch.inference_mode():
        tuned = loaded.model(input_ids=ids).logits
        with loaded.model.disable_adapter():
            base = loaded.model(input_ids=ids).logits
    if torch.equal(tuned, base):
        raise CellError(
            f"the adapter {loaded.adapter} changes nothing: the base would be scored in the tuned model's place; "
            f"tune it again"
        )


def check_named(loaded: LoadedModel) -> None:
    """Raises CellError where `loaded` is meant to be a pure base but an adapter sits in its layers."""
    if not isinstance(loaded.model, PeftModel) and any(isinstance(m, BaseTunerLayer) for m in loaded.model.modules()):
        raise CellError("an adapter sits in the layers of this base model: detach it, or use the adapted model")


def _name(folder: Path) -> str:
    """A hash of the adapter's content, so that one written anew into the same folder is another adapter."""
    missing = [name for name in (_CONFIG, _WEIGHTS) if not (folder / name).is_file()]
    if missing:
        raise ModelError(f"{folder} is not an adapter: {' and '.join(missing)} missing")
    digest = hashlib.sha256((folder / _CONFIG).read_bytes())
    with (folder / _WEIGHTS).open("rb") as stream:
        digest.update(hashlib.file_digest(stream, "sha256").digest())
    return f"adapter-{digest.hexdigest()[:16]}"


def _attach(loaded: LoadedModel, folder: Path, name: str) -> PeftModel:
    """A model with the adapter's weights in its layers; on any fault the base is as it was."""
    try:
        config = PeftConfig.from_pretrained(str(folder))
        weights = load_file(folder / _WEIGHTS, device="cpu")
    except (OSError, ValueError, TypeError, KeyError, SafetensorError, json.JSONDecodeError) as fault:
        raise ModelError(f"{folder} is not an adapter that can be read: {fault}") from fault
    if config.is_prompt_learning:
        raise ModelError(f"{folder}: {config.peft_type} prepends virtual tokens, which are not scored; use lora")
    config.inference_mode = True
    first = not isinstance(loaded.model, PeftModel)
    try:
        if isinstance(loaded.model, PeftModel):
            model = loaded.model
            model.add_adapter(name, config)
        else:
            model = cast(PeftModel, get_peft_model(loaded.model, config, adapter_name=name))
    except (ValueError, KeyError, RuntimeError) as fault:
        if first:
            _restore(loaded.model)
        raise ModelError(f"{folder}: the adapter does not fit this base model: {fault}") from fault
    unfit = _unfit(_state(model, name), weights)
    if unfit:
        if first:
            cast(BaseTuner, model.base_model).unload()
        else:
            model.delete_adapter(name)
        raise ModelError(f"{folder}: the adapter does not fit this base model: {unfit}")
    set_peft_model_state_dict(model, weights, adapter_name=name)
    return model


def _state(model: PeftModel, name: str) -> dict[str, torch.Tensor]:
    # "auto" would ask the hub whether the vocabulary was resized; it never is.
    return get_peft_model_state_dict(model, adapter_name=name, save_embedding_layers=False)


def _restore(model: torch.nn.Module) -> None:
    """Put back the layers of a base into which an adapter was only partly attached."""
    for path, layer in list(model.named_modules()):
        if isinstance(layer, BaseTunerLayer):
            parent, _, name = path.rpartition(".")
            setattr(model.get_submodule(parent), name, layer.get_base_layer())
    if hasattr(model, "peft_config"):
        delattr(model, "peft_config")


def _unfit(expected: dict[str, torch.Tensor], given: dict[str, torch.Tensor]) -> str:
    """Why the weights in the file are not those that the base has places for; empty where they are."""
    for key in sorted({*expected, *given}):
        if key not in given:
            return f"{key} is missing from its file"
        if key not in expected:
            return f"the base has no place for {key}"
        if expected[key].shape != given[key].shape:
            return f"{key} has shape {tuple(given[key].shape)}, the base wants {tuple(expected[key].shape)}"
    return ""
