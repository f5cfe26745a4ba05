"""Quicker layers compute what they computed before, or are left alone, and the record says which and why."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_tuning_loop import adapted, encoded, model, schedule, silent

from app.tuning import kernels, low_rank
from app.tuning.loop import train

_WITHOUT_COMPILER = """
import torch
from test_tuning_loop import encoded, model, schedule, silent
from app.tuning import kernels
from app.tuning.loop import train

net = model()
told = kernels.compiled(net)
assert told.startswith("no: ") and told != "no: quicker layers give other numbers", told
found, wanted = (train(one, encoded(), schedule(), 0, None, silent).losses for one in (net, model()))
assert found == wanted
print(told)
"""


def test_a_cpu_and_a_short_tuning_are_told_apart_from_a_failure() -> None:
    assert kernels.quicken(model(), 10_000) == {"compiled": "no: on a CPU it does not pay"}
    result = train(model(), encoded(), schedule(), 0, None, silent)
    assert result.ways == {
        "way": "fused",
        "masked": False,
        "packs": True,
        "compiled": "no: on a CPU it does not pay",
    }


def test_where_the_compiler_is_missing_layers_run_as_before_and_the_reason_is_told(tmp_path: Path) -> None:
    """A process of its own: what the compiler has made once is kept."""
    environment = {
        **os.environ,
        "CXX": str(tmp_path / "no-such-compiler"),
        "TORCHINDUCTOR_CACHE_DIR": str(tmp_path),
        "PYTHONPATH": str(Path(__file__).parent),
    }
    ran = subprocess.run([sys.executable, "-c", _WITHOUT_COMPILER], env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "compiler" in ran.stdout


def test_lean_adapters_tune_to_the_same_losses_and_leave_an_ordinary_adapter() -> None:
    wanted, net = adapted(), adapted()
    expected = train(wanted, encoded(), schedule(epochs=2), 0, None, silent).losses
    assert kernels.lean(net) == "14 layers in fewer visits to memory"
    assert train(net, encoded(), schedule(epochs=2), 0, None, silent).losses == pytest.approx(expected, abs=1e-4)
    found = dict(net.named_parameters())
    for name, weight in wanted.named_parameters():
        assert torch.allclose(found[name], weight, atol=1e-4), name


def test_lean_adapters_in_half_precision_answer_as_the_ordinary_ones_and_keep_their_gradients_in_float32() -> None:
    net, half = adapted().bfloat16(), torch.bfloat16
    held = [weight for weight in net.parameters() if weight.requires_grad]
    for weight in held:
        weight.data = weight.data.float()
    assert kernels.lean(net, half).startswith("14 layers")
    train(net, encoded()[:8], replace(schedule(), autocast=half), 0, None, silent)
    assert {weight.dtype for weight in held} == {torch.float32}


@pytest.mark.parametrize("dropout", [0.5, 0.0])
def test_layers_that_are_no_plain_lora_stay_as_they_were(dropout: float) -> None:
    net = adapted(dropout) if dropout else model()
    before = [type(module) for module in net.modules()]
    assert kernels.lean(net) == "no: there is no plain LoRA layer"
    assert [type(module) for module in net.modules()] == before


def test_a_lean_layer_that_gives_other_numbers_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    net = adapted()
    before = [type(module) for module in net.modules()]
    plain = low_rank.linear
    monkeypatch.setattr(low_rank, "linear", lambda *given: 2 * plain(*given))
    assert kernels.lean(net) == "no: quicker layers give other numbers"
    assert [type(module) for module in net.modules()] == before


def leaned() -> torch.nn.Module:
    net = adapted()
    kernels.lean(net)
    return net


@pytest.mark.chaos
@pytest.mark.parametrize("make", [model, adapted, leaned], ids=["full", "adapter", "lean"])
def test_compiled_layers_tune_to_the_same_losses_packed_and_padded(make: Callable[[], torch.nn.Module]) -> None:
    expected = train(make(), encoded(), schedule(epochs=2), 0, None, silent).losses
    net = make()
    names = [name for name, _ in net.named_parameters()]
    assert kernels.compiled(net) == "yes"
    assert train(net, encoded(), schedule(epochs=2), 0, None, silent).losses == pytest.approx(expected, abs=1e-4)
    assert [name for name, _ in net.named_parameters()] == names
