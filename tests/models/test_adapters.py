"""An adapter is in force exactly when it is meant to be."""

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PromptTuningConfig, get_peft_model
from safetensors.torch import load_file, save_file

from app.errors import CellError, ModelError
from app.models.adapters import detach, prove_active, switch_adapter, with_adapter
from app.models.generation import generate
from app.models.loading import LoadedModel, ModelSource, load, parameters, save_checkpoint
from app.models.scoring import ScoreRequest, score

Make = Callable[..., LoadedModel]
IDS = torch.tensor([[1, 9, 80, 7, 200]])
REQUESTS = [ScoreRequest("Question: up\nAnswer:", (" down", " yes"))]
LORA = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM")


def write(loaded: LoadedModel, folder: Path, seed: int, config: LoraConfig = LORA, zero: bool = False) -> Path:
    """An adapter with random weights, as a tuning would leave it; the base comes back untouched."""
    torch.manual_seed(seed)
    model = get_peft_model(loaded.model, copy.deepcopy(config))  # peft writes into the config it is given
    for name, weight in model.named_parameters():
        if "lora_B" in name and not zero:
            torch.nn.init.normal_(weight, std=0.2)
    model.save_pretrained(folder)
    model.unload()
    return folder


@pytest.fixture(params=["llama", "gpt2", "gpt_neox", "bloom"])
def loaded(make_loaded: Make, request: pytest.FixtureRequest) -> LoadedModel:
    return make_loaded(request.param, own=True)


def test_attaching_changes_the_logits_and_detaching_restores_every_bit(loaded: LoadedModel, tmp_path: Path) -> None:
    folder = write(loaded, tmp_path / "a", 1)
    before, count = loaded.model(IDS).logits, parameters(loaded)
    tuned = with_adapter(loaded, folder)
    prove_active(tuned, IDS[0].tolist())
    assert not torch.allclose(tuned.model(IDS).logits, before, atol=1e-3)
    assert parameters(tuned) == count
    base = detach(tuned)
    assert torch.equal(base.model(IDS).logits, before)
    assert base.adapter is None


def test_an_adapter_scores_as_its_weights_merged_into_the_base(loaded: LoadedModel, tmp_path: Path) -> None:
    folder = write(loaded, tmp_path / "a", 1)
    tuned = with_adapter(loaded, folder)
    (found,), (text,) = score(tuned, REQUESTS, 256), generate(tuned, ["Is it true?"], 6, stop="")
    merged = LoadedModel(tuned.model.merge_and_unload(), loaded.tokenizer, "cpu", loaded.source)
    (expected,) = score(merged, REQUESTS, 256)
    assert found.logprobs == pytest.approx(expected.logprobs, abs=1e-3)
    assert text == generate(merged, ["Is it true?"], 6, stop="")[0]


def test_adapters_of_one_base_are_switched_without_loading_it_again(loaded: LoadedModel, tmp_path: Path) -> None:
    folders = [write(loaded, tmp_path / str(seed), seed) for seed in (1, 2)]
    alone = []
    for folder in folders:
        tuned = with_adapter(loaded, folder)
        alone.append(score(tuned, REQUESTS, 256))
        detach(tuned)
    assert alone[0] != alone[1]
    tuned = with_adapter(loaded, folders[0])
    for attach in (switch_adapter, with_adapter):
        tuned = attach(tuned, folders[1])
        assert score(tuned, REQUESTS, 256) == alone[1]
        tuned = attach(tuned, folders[0])
        assert score(tuned, REQUESTS, 256) == alone[0]
        assert not any(weight.requires_grad for weight in tuned.model.parameters())
    detach(tuned)


def test_an_adapter_written_anew_into_its_folder_is_read_anew(make_loaded: Make, tmp_path: Path) -> None:
    loaded = make_loaded(own=True)
    tuned = with_adapter(loaded, write(loaded, tmp_path / "a", 1))
    before = score(tuned, REQUESTS, 256)
    loaded = detach(tuned)
    write(loaded, tmp_path / "a", 2)
    assert score(with_adapter(loaded, tmp_path / "a"), REQUESTS, 256) != before


def test_an_adapter_that_changes_nothing_is_refused(make_loaded: Make, tmp_path: Path) -> None:
    loaded = make_loaded(own=True)
    tuned = with_adapter(loaded, write(loaded, tmp_path / "zero", 1, zero=True))
    with pytest.raises(CellError, match="changes nothing"):
        prove_active(tuned, [1, 5, 9])
    with pytest.raises(CellError, match="no adapter is attached"):
        prove_active(detach(tuned), [1, 5, 9])


def test_a_base_with_an_adapter_in_its_layers_is_not_scored_as_a_base(make_loaded: Make, tmp_path: Path) -> None:
    loaded = make_loaded(own=True)
    tuned = with_adapter(loaded, write(loaded, tmp_path / "a", 1))
    for use in (lambda: score(loaded, REQUESTS, 256), lambda: generate(loaded, ["Answer:"], 4)):
        with pytest.raises(CellError, match="detach it"):
            use()
    with pytest.raises(ModelError, match="detach it"):
        save_checkpoint(tuned, tmp_path / "checkpoint")
    detach(tuned)
    score(loaded, REQUESTS, 256)


def test_an_adapter_of_other_shapes_is_refused_and_the_base_stays_pure(make_loaded: Make, tmp_path: Path) -> None:
    loaded = make_loaded(own=True)
    before = loaded.model(IDS).logits
    fitting = write(loaded, tmp_path / "fitting", 1)
    folder = write(loaded, tmp_path / "narrow", 1)
    weights = {
        key: value[..., :3].contiguous() for key, value in load_file(folder / "adapter_model.safetensors").items()
    }
    save_file(weights, folder / "adapter_model.safetensors")
    with pytest.raises(ModelError, match="does not fit"):
        with_adapter(loaded, folder)
    assert torch.equal(loaded.model(IDS).logits, before)
    score(loaded, REQUESTS, 256)
    tuned = with_adapter(loaded, fitting)
    tuned_before = tuned.model(IDS).logits
    with pytest.raises(ModelError, match="does not fit"):
        with_adapter(tuned, folder)
    assert torch.equal(tuned.model(IDS).logits, tuned_before)


def test_an_adapter_of_another_family_is_refused_and_the_base_stays_pure(make_loaded: Make, tmp_path: Path) -> None:
    config = LoraConfig(r=4, target_modules=["c_attn"], task_type="CAUSAL_LM", fan_in_fan_out=True)
    folder = write(make_loaded("gpt2", own=True), tmp_path / "gpt2", 1, config)
    loaded = make_loaded("llama", own=True)
    with pytest.raises(ModelError, match="does not fit"):
        with_adapter(loaded, folder)
    score(loaded, REQUESTS, 256)


def test_an_adapter_with_a_weight_missing_is_refused(make_loaded: Make, tmp_path: Path) -> None:
    loaded = make_loaded(own=True)
    folder = write(loaded, tmp_path / "a", 1)
    weights = load_file(folder / "adapter_model.safetensors")
    weights.pop(sorted(weights)[3])
    save_file(weights, folder / "adapter_model.safetensors")
    with pytest.raises(ModelError, match="is missing from its file"):
        with_adapter(loaded, folder)


def test_folders_without_an_adapter_are_refused(make_loaded: Make, tmp_path: Path) -> None:
    loaded = make_loaded(own=True)
    with pytest.raises(ModelError, match=r"adapter_config\.json and adapter_model\.safetensors missing"):
        with_adapter(loaded, tmp_path)
    folder = write(loaded, tmp_path / "a", 1)
    (folder / "adapter_model.safetensors").write_bytes(b"cut short")
    with pytest.raises(ModelError, match="not an adapter that can be read"):
        with_adapter(loaded, folder)


def test_virtual_tokens_are_refused(make_loaded: Make, tmp_path: Path) -> None:
    loaded = make_loaded(own=True)
    config = PromptTuningConfig(num_virtual_tokens=3, task_type="CAUSAL_LM")
    get_peft_model(loaded.model, config).save_pretrained(tmp_path / "prompt")
    with pytest.raises(ModelError, match="virtual tokens"):
        with_adapter(loaded, tmp_path / "prompt")


@pytest.mark.qlora
def test_an_adapter_on_a_four_bit_base_comes_and_goes(make_loaded: Make, tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    small = make_loaded("llama", own=True)
    save_checkpoint(small, tmp_path / "base")
    folder = write(small, tmp_path / "a", 1)
    loaded = load(ModelSource("checkpoint", str(tmp_path / "base"), dtype="nf4"))
    before, count = score(loaded, REQUESTS, 256), parameters(loaded)
    tuned = with_adapter(loaded, folder)
    prove_active(tuned, [1, 9, 80])
    assert parameters(tuned) == count
    assert score(tuned, REQUESTS, 256) != before
    assert score(detach(tuned), REQUESTS, 256) == before
