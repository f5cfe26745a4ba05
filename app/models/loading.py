"""A base model in memory: from a checkpoint folder, the hub or a GGUF file, always frozen and in evaluation mode.

Weights come from safetensors or GGUF only, since a pickle runs code. What the libraries only warn about is refused
here: weights that a checkpoint lacks would be drawn at random and scored as if they had been trained.
"""

import contextlib
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, cast

import torch
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError
from peft import PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils.logging import disable_progress_bar

from app.errors import ModelError
from app.models import gguf
from app.models.files import missing_parts

Kind = Literal["checkpoint", "hub", "gguf"]
DTYPES: Mapping[str, torch.dtype] = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
ALIBI_CONTEXT = 2048
"""Tokens of context where a model states no limit: what the ALiBi families (BLOOM, MPT) were trained with."""

_LENGTH_NAMES = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "n_ctx")


@dataclass(frozen=True)
class ModelSource:
    """Where a base model comes from, and in which precision it is held."""

    kind: Kind
    location: str
    """A folder, an OWNER/NAME of the hub, a GGUF file or package://PACKAGE/FILE."""
    revision: str | None = None
    """Commit or tag; hub only."""
    dtype: str = "float32"
    """float32, bfloat16, float16 or nf4."""
    trust_remote_code: bool = False
    """Run the Python code that a hub repository carries."""


@dataclass(frozen=True)
class LoadedModel:
    """Weights and tokenizer in memory, frozen, in evaluation mode."""

    model: PreTrainedModel | PeftModel
    tokenizer: PreTrainedTokenizerBase
    device: str
    source: ModelSource
    adapter: str | None = None
    """Name of the active adapter; None: the pure base."""


def load(source: ModelSource, device: str = "cpu") -> LoadedModel:
    """The model of `source` on `device`.

    Raises ModelError, in one sentence, where it is not a checkpoint, lacks a part, or cannot be fetched.
    """
    disable_progress_bar()  # one bar for each load of each worker would bury the run's own progress
    if source.dtype not in DTYPES and source.dtype != "nf4":
        raise ModelError(f"{source.location}: dtype {source.dtype!r} is none of {', '.join(DTYPES)}, nf4")
    match source.kind:
        case "gguf":
            if source.dtype == "nf4":
                raise ModelError(f"{source.location}: a GGUF file is read into float32, bfloat16 or float16, not nf4")
            with _faults(source):
                model, tokenizer = gguf.load(source.location, DTYPES[source.dtype])
        case "checkpoint":
            missing = missing_parts(source.location)
            if missing:
                raise ModelError(f"{source.location} is not a checkpoint: {'; '.join(missing)}")
            model, tokenizer = _pretrained(source, device)
        case "hub":
            model, tokenizer = _pretrained(source, device)
    rows = cast(torch.nn.Embedding, model.get_input_embeddings()).weight.shape[0]
    # Tokens added behind the vocabulary do not count: transformers itself adds some that no text holds.
    if tokenizer.vocab_size > rows:
        raise ModelError(
            f"{source.location}: the tokenizer has {tokenizer.vocab_size} tokens but the model only {rows}: "
            f"they are no pair"
        )
    if source.dtype != "nf4":
        model.to(device)  # pyright: ignore[reportArgumentType]  # transformers wraps `to` without its overloads
    return LoadedModel(model.eval().requires_grad_(False), tokenizer, device, source)


def tokenizer(source: ModelSource, *, fetch: bool = True) -> PreTrainedTokenizerBase:
    """The tokenizer alone, without the weights; kept for the life of the process. Raises ModelError as `load`.

    `fetch`: from the hub, where this machine has it not.
    """
    return _tokenizer(source, fetch)


@lru_cache(maxsize=8)
def _tokenizer(source: ModelSource, fetch: bool) -> PreTrainedTokenizerBase:
    where, location = _where(source)
    with _faults(source):
        return AutoTokenizer.from_pretrained(location, **where | ({} if fetch else {"local_files_only": True}))


def save_checkpoint(loaded: LoadedModel, folder: str | Path) -> None:
    """Write weights (safetensors), config and tokenizer as an ordinary checkpoint that `load` reads.

    The folder appears at once and whole. Raises ModelError where it exists already, or for a model under an adapter.
    """
    folder = Path(folder)
    if isinstance(loaded.model, PeftModel):
        raise ModelError(f"{folder}: a model under an adapter is not saved as a checkpoint; detach it first")
    if folder.exists():
        raise ModelError(f"{folder} exists already; remove it or choose another folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        loaded.model.save_pretrained(unfinished)
        loaded.tokenizer.save_pretrained(unfinished)
        unfinished.chmod(0o755)  # mkdtemp makes folders that only their owner can enter
        try:
            os.rename(unfinished, folder)
        except OSError:
            if missing_parts(folder):  # else another process wrote the same checkpoint first
                raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def causal(loaded: LoadedModel) -> PreTrainedModel:
    """The transformers model, or encoder-decoder; an attached adapter sits inside its layers and stays in force."""
    model = loaded.model
    return cast(PreTrainedModel, model.get_base_model()) if isinstance(model, PeftModel) else model


def parameters(loaded: LoadedModel) -> int:
    """Parameters of the base model; tied weights count once, adapters not at all, packed nf4 weights unpacked."""
    model = causal(loaded)
    adapters = {
        id(weight)
        for layer in model.modules()
        if isinstance(layer, BaseTunerLayer)
        for name, weight in layer.named_parameters()
        if "base_layer" not in name.split(".")
    }
    count = 0
    for weight in model.parameters():
        if id(weight) not in adapters:
            packed = getattr(weight, "quant_state", None)
            count += int(packed.shape.numel()) if packed is not None else weight.numel()
    return count


def commit(loaded: LoadedModel) -> str | None:
    """The hub's commit of the weights, whatever branch or tag named it; None for a local folder."""
    return getattr(causal(loaded).config, "_commit_hash", None)


def context_length(loaded: LoadedModel) -> int:
    """Tokens that prompt and answer may have together."""
    config = causal(loaded).config.get_text_config()
    for name in _LENGTH_NAMES:
        value = getattr(config, name, None)
        if isinstance(value, int) and value > 0:
            return value
    stated = loaded.tokenizer.model_max_length
    return int(stated) if stated < 1_000_000 else ALIBI_CONTEXT


def _pretrained(source: ModelSource, device: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    where, location = _where(source)
    extra: dict[str, Any] = {"dtype": DTYPES[source.dtype]} if source.dtype in DTYPES else _nf4(source, device)
    with _faults(source):
        tokenizer = AutoTokenizer.from_pretrained(location, **where)
        apart: bool = AutoConfig.from_pretrained(location, **where).is_encoder_decoder
        loaded: Any = (AutoModelForSeq2SeqLM if apart else AutoModelForCausalLM).from_pretrained(
            location, use_safetensors=True, output_loading_info=True, **where, **extra
        )
    model, info = loaded
    lacking = sorted({str(key) for name in ("missing_keys", "mismatched_keys") for key in info.get(name, ())})
    if lacking:
        raise ModelError(
            f"{source.location}: {len(lacking)} weights are missing or of another shape than config.json says, "
            f"the first is {lacking[0]}; fetch or write the checkpoint again"
        )
    if source.dtype == "nf4":
        _keep_nf4_unpacked(model)
    return model, tokenizer


def _where(source: ModelSource) -> tuple[dict[str, Any], str]:
    """What every loader of the library is told, and the place."""
    local = source.kind == "checkpoint"
    where: dict[str, Any] = {
        "revision": source.revision,
        "trust_remote_code": source.trust_remote_code,
        "local_files_only": local,
    }
    return where, str(Path(source.location).resolve()) if local else source.location


def _nf4(source: ModelSource, device: str) -> dict[str, Any]:
    if importlib.util.find_spec("bitsandbytes") is None:
        raise ModelError(
            f"{source.location}: dtype nf4 needs the package bitsandbytes: pip install 'fewtune[qlora]', "
            f"or give both sides of the pair another dtype"
        )
    quantisation = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16
    )
    return {"quantization_config": quantisation, "device_map": {"": device}, "dtype": torch.bfloat16}


def _keep_nf4_unpacked(model: PreTrainedModel) -> None:
    """Multiply by de-quantised weights on every CPU.

    With AVX512-BF16, bitsandbytes 0.50 packs the weights anew in the first forward and restores them wrongly in the
    next `state_dict()`, which saving or attaching an adapter calls: the base would silently be another one.
    """
    for layer in model.modules():
        if hasattr(layer, "support_avx512bf16_for_cpu"):
            cast(Any, layer).support_avx512bf16_for_cpu = False


@contextlib.contextmanager
def _faults(source: ModelSource) -> Generator[None]:
    """Every fault of the libraries that read a model becomes one sentence."""
    name = f"{source.location} at revision {source.revision}" if source.revision else source.location
    try:
        yield
    except ModelError:
        raise
    except torch.OutOfMemoryError as fault:
        raise ModelError(f"{name} does not fit into the memory of the device; choose a smaller dtype") from fault
    except Exception as fault:  # transformers raises OSError, ValueError, KeyError, RuntimeError and its own classes
        raise ModelError(f"{name} cannot be loaded: {_reason(fault)}") from fault


def _reason(fault: BaseException) -> str:
    chain: list[BaseException] = []
    link: BaseException | None = fault
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or link.__context__
    for link in chain:
        if isinstance(link, GatedRepoError):
            return "its licence must be accepted on the hub first; then log in with `hf auth login`"
        if isinstance(link, RevisionNotFoundError):
            return "the hub repository has no such revision"
        if isinstance(link, RepositoryNotFoundError):
            return "the hub has no such repository, or it is private and wants `hf auth login`"
    text = str(fault).strip()
    if "connect" in text.lower() or "offline" in text.lower():
        return "the hub cannot be reached and the cache does not hold it; go online, or use a checkpoint folder"
    if "trust_remote_code" in text:
        return "it needs the Python code of its repository; read that code, then set trust_remote_code: true"
    if ".safetensors" in text and ".bin" in text:
        return "it has no safetensors weights; pickled weights are refused because they can run code"
    first = text.splitlines()[0] if text else ""
    return f"{type(fault).__name__}: {first[:300]}" if first else type(fault).__name__
