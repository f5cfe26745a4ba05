"""Checkpoints load whole or are refused in one sentence."""

import importlib.util
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers as hf
from safetensors.torch import load_file, save_file

from app.errors import ModelError
from app.models.files import missing_parts
from app.models.loading import (
    LoadedModel,
    ModelSource,
    context_length,
    load,
    parameters,
    save_checkpoint,
    tokenizer,
)
from app.models.scoring import ScoreRequest, score

Make = Callable[..., LoadedModel]
IDS = torch.tensor([[1, 9, 80, 7, 200]])


@pytest.fixture
def checkpoint(make_loaded: Make, tmp_path: Path) -> Path:
    folder = tmp_path / "deep" / "checkpoint"
    save_checkpoint(make_loaded("llama"), folder)
    return folder


def source(folder: Path, dtype: str = "float32") -> ModelSource:
    return ModelSource("checkpoint", str(folder), dtype=dtype)


def refusal(asked: ModelSource) -> str:
    with pytest.raises(ModelError) as caught:
        load(asked)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("family", ["llama", "gpt2", "bloom", "gemma2"])
def test_a_saved_checkpoint_loads_with_the_same_weights_and_tokens(
    make_loaded: Make, tmp_path: Path, family: str
) -> None:
    saved = make_loaded(family)
    save_checkpoint(saved, tmp_path / "checkpoint")
    loaded = load(source(tmp_path / "checkpoint"))
    assert torch.equal(loaded.model(IDS).logits, saved.model(IDS).logits)
    assert loaded.tokenizer("Is it true? yes").input_ids == saved.tokenizer("Is it true? yes").input_ids
    assert loaded.tokenizer.pad_token_id == 0
    assert parameters(loaded) == parameters(saved)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


def test_a_loaded_model_is_frozen_and_in_evaluation_mode(checkpoint: Path) -> None:
    model = load(source(checkpoint)).model
    assert not model.training
    assert not any(weight.requires_grad for weight in model.parameters())


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_weights_are_held_in_the_precision_asked_for(checkpoint: Path, dtype: str) -> None:
    assert load(source(checkpoint, dtype)).model.dtype == getattr(torch, dtype)


def test_an_unknown_precision_is_refused(checkpoint: Path) -> None:
    assert "none of float32" in refusal(source(checkpoint, "int3"))


def test_nf4_without_bitsandbytes_is_refused(checkpoint: Path) -> None:
    if importlib.util.find_spec("bitsandbytes") is not None:
        pytest.skip("bitsandbytes is installed")
    assert "bitsandbytes" in refusal(source(checkpoint, "nf4"))


@pytest.mark.qlora
def test_nf4_holds_all_parameters_in_four_bits(checkpoint: Path) -> None:
    pytest.importorskip("bitsandbytes")
    loaded, whole = load(source(checkpoint, "nf4")), load(source(checkpoint))
    assert parameters(loaded) == parameters(whole)
    request = ScoreRequest("Question: up\nAnswer:", (" down", " yes, yes"))
    (found,), (expected,) = score(loaded, [request], 512), score(whole, [request], 512)
    assert found.logprobs == pytest.approx(expected.logprobs, rel=0.3)
    loaded.model.state_dict()
    assert score(loaded, [request], 512) == [found]
    assert parameters(loaded) == parameters(whole)


@pytest.mark.parametrize(
    ("name", "named"),
    [("config.json", "config.json"), ("model.safetensors", "weights"), ("tokenizer.json", "tokenizer")],
)
def test_a_missing_part_is_named(checkpoint: Path, name: str, named: str) -> None:
    (checkpoint / name).unlink()
    assert named in refusal(source(checkpoint))
    assert len(missing_parts(checkpoint)) == 1


def test_pickled_weights_are_refused(checkpoint: Path) -> None:
    torch.save(load_file(checkpoint / "model.safetensors"), checkpoint / "pytorch_model.bin")
    (checkpoint / "model.safetensors").unlink()
    assert "pickles" in refusal(source(checkpoint))


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "no such folder" in refusal(source(tmp_path / "nowhere"))


def test_an_adapter_is_not_taken_for_a_base(checkpoint: Path) -> None:
    (checkpoint / "adapter_config.json").write_text("{}")
    assert "adapter" in refusal(source(checkpoint))


def test_weights_that_would_be_drawn_at_random_are_refused(checkpoint: Path) -> None:
    weights = load_file(checkpoint / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, checkpoint / "model.safetensors", metadata={"format": "pt"})
    assert "up_proj" in refusal(source(checkpoint))


def test_weights_cut_short_are_refused(checkpoint: Path) -> None:
    whole = (checkpoint / "model.safetensors").read_bytes()
    (checkpoint / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    refusal(source(checkpoint))


def test_a_config_that_is_not_json_is_refused(checkpoint: Path) -> None:
    (checkpoint / "config.json").write_text("{")
    refusal(source(checkpoint))


def test_a_tokenizer_of_another_model_is_refused(checkpoint: Path, make_loaded: Make) -> None:
    small = make_loaded("llama").model.config
    small = hf.LlamaConfig(**{**small.to_dict(), "vocab_size": 100})
    hf.LlamaForCausalLM(small).save_pretrained(checkpoint)
    assert "no pair" in refusal(source(checkpoint))


def test_an_existing_folder_is_never_overwritten(checkpoint: Path, make_loaded: Make) -> None:
    with pytest.raises(ModelError, match="exists already"):
        save_checkpoint(make_loaded("gpt2"), checkpoint)
    assert load(source(checkpoint)).model.config.model_type == "llama"


def test_a_hub_model_that_cannot_be_fetched_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    message = refusal(ModelSource("hub", "fewtune/no-such-model", "main"))
    assert message.startswith("fewtune/no-such-model at revision main cannot be loaded")


def test_a_tokenizer_alone_is_that_of_the_model_and_needs_no_weights(checkpoint: Path) -> None:
    whole = load(source(checkpoint)).tokenizer
    (checkpoint / "model.safetensors").unlink()
    alone = tokenizer(source(checkpoint))
    text = "Is it true? yes, and 12"
    assert alone(text).input_ids == whole(text).input_ids
    assert tokenizer(source(checkpoint)) is alone


def test_a_tokenizer_that_is_not_there_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nowhere .*cannot be loaded") as caught:
        tokenizer(source(tmp_path / "nowhere"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("family", "tokens"), [("llama", 96), ("gpt2", 96), ("opt", 96), ("bloom", 2048)])
def test_the_context_length_is_the_models_own(make_loaded: Make, family: str, tokens: int) -> None:
    assert context_length(make_loaded(family)) == tokens


def test_tied_weights_count_once(make_loaded: Make) -> None:
    loaded = make_loaded("qwen2")
    assert parameters(loaded) == loaded.model.num_parameters()


def test_a_copied_checkpoint_is_the_same_model(checkpoint: Path, tmp_path: Path) -> None:
    shutil.copytree(checkpoint, tmp_path / "copy")
    assert torch.equal(load(source(tmp_path / "copy")).model(IDS).logits, load(source(checkpoint)).model(IDS).logits)
