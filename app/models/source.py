"""Where the weights of a plan's base model or run lie, and on which device they are held."""

import platform
import re
from functools import cache
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerBase

from app.errors import CellError, ModelError, StoreError
from app.identity import versions
from app.models.loading import ModelSource, tokenizer
from app.plan import Base, Needs, Run
from app.store import Store


def base_folder(base: Base) -> str:
    """Folder of a base model made by this study, within the store."""
    return f"models/{base.slug}"


def run_folder(run: Run) -> str:
    """Folder of a tuned model within the store: an adapter, or a whole checkpoint."""
    return f"checkpoints/{run.slug}"


def base_source(base: Base, store: Store) -> ModelSource:
    """The base model's weights: from the store if they were made here, else as the study names them."""
    if base.stored:
        kind = "pretrain" if base.source == "ladder" else "convert"
        folder = _folder(base_folder(base), str(base.inputs), f"{kind}/{base.slug}", store)
        return ModelSource("checkpoint", str(folder), None, base.dtype)
    kind = "hub" if base.source == "hub" else "checkpoint"
    return ModelSource(kind, base.location, base.revision, base.dtype, base.trust_remote_code)


def run_source(run: Run, store: Store) -> ModelSource:
    """The weights that answer for a fully tuned run."""
    return ModelSource("checkpoint", str(tuned_folder(run, store)), None, run.base.dtype)


def tuned_folder(run: Run, store: Store) -> Path:
    """A local folder with a tuned model, held against its record. Raises StoreError where it is damaged."""
    return _folder(run_folder(run), str(run.inputs), f"tune/{run.slug}", store)


def tokenizer_at_hand(base: Base, store: Store) -> PreTrainedTokenizerBase | None:
    """The base model's tokenizer where this machine has it and it says where its tokens stand; nothing is fetched."""
    if base.stored and store.local is None:
        return None
    try:
        stored = ModelSource("checkpoint", str(store.local and store.local / base_folder(base)), None, base.dtype)
        found = tokenizer(stored if base.stored else base_source(base, store), fetch=False)
    except ModelError:
        return None
    return found if found.is_fast else None


def _folder(relative: str, mark: str, slug: str, store: Store) -> Path:
    record = store.read_record(slug)
    if record is None:
        raise StoreError(f"{store.shown(relative)} has no record: run the same command again to make it anew")
    return store.folder(relative, mark, record)


def device(needs: Needs) -> str:
    """`cuda` where the cell holds a GPU. Raises CellError where torch sees none."""
    if needs.gpus and not torch.cuda.is_available():
        raise CellError("the study asks for a GPU, and torch sees none on this node: set resources.gpus to 0")
    return "cuda" if needs.gpus else "cpu"


def environment(device: str) -> dict[str, str]:
    """What computes, for a record: versions, and the device, since processors round differently."""
    return versions() | {"device": device_name(device)}


@cache
def device_name(device: str) -> str:
    """What a `device` of this machine is called by those who made it."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    try:
        told = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        told = None
    return told[1].strip() if told else platform.processor() or platform.machine()
