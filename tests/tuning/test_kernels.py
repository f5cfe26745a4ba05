"""Compiled layers compute what they computed before, or are left alone, and the record says which and why."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from test_tuning_loop import adapted, encoded, model, schedule, silent

from app.tuning import kernels
from app.tuning.loop import train

_WITHOUT_COMPILER = """
import torch
from test_tuning_loop import encoded, model, schedule, silent
from app.tuning import kernels
from app.tuning.loop import train

net = model()
told = kernels.compiled(net)
assert told.startswith("no: ") and told != "no: compiled layers give other numbers", told
found, wanted = (train(one, encoded(), schedule(), 0, None, silent).losses for one in (net, model()))
assert found == wanted
print(told)
"""


def test_a_cpu_and_a_short_tuning_are_told_apart_from_a_failure() -> None:
    assert kernels.quicken(model(), 10_000) == "no: on a CPU it does not pay"
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


@pytest.mark.chaos
@pytest.mark.parametrize("make", [model, adapted], ids=["full", "adapter"])
def test_compiled_layers_tune_to_the_same_losses_packed_and_padded(make: type[torch.nn.Module]) -> None:
    expected = train(make(), encoded(), schedule(epochs=2), 0, None, silent).losses
    net = make()
    names = [name for name, _ in net.named_parameters()]
    assert kernels.compiled(net) == "yes"
    assert train(net, encoded(), schedule(epochs=2), 0, None, silent).losses == pytest.approx(expected, abs=1e-4)
    assert [name for name, _ in net.named_parameters()] == names
