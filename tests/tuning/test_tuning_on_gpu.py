"""Tuning on a GPU: the CPU's losses, quicker layers that are told of, half precision that learns, an exact return."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from test_tuning_loop import Save, WorkerDiedError, adapted, encoded, model, schedule, silent
from torch import nn

from app.tuning import kernels, together
from app.tuning.loop import train

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")

LEAN = "14 layers in fewer visits to memory"
MAKES = pytest.mark.parametrize("make", [model, adapted], ids=["full", "adapter"])


@MAKES
def test_losses_are_those_of_the_cpu(make: Callable[[], nn.Module]) -> None:
    expected = train(make(), encoded(), schedule(epochs=2), 0, None, silent)
    found = train(make().cuda(), encoded(), schedule(epochs=2), 0, None, silent)
    assert found.losses == pytest.approx(expected.losses, abs=2e-3)
    assert found.ways["adapters"] == (LEAN if make is adapted else "no: there is no plain LoRA layer")
    assert found.ways["compiled"] == "no: 10 steps do not pay for it"


@MAKES
def test_a_long_tuning_is_compiled_to_the_same_losses(
    make: Callable[[], nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = train(make().cuda(), encoded(), schedule(epochs=2), 0, None, silent).losses
    monkeypatch.setattr(kernels, "ENOUGH", 1)
    found = train(make().cuda(), encoded(), schedule(epochs=2), 0, None, silent)
    assert found.ways["compiled"] == "yes"
    assert found.losses == pytest.approx(expected, abs=2e-3)


def test_half_precision_learns() -> None:
    net = adapted().bfloat16().cuda()
    for weight in net.parameters():
        if weight.requires_grad:
            weight.data = weight.data.float()
    half = replace(schedule(epochs=6), autocast=torch.bfloat16)
    found = train(net, encoded(), half, 0, None, silent)
    assert found.ways["adapters"] == LEAN
    assert found.losses[-1] < 0.9 * found.losses[0]


@MAKES
def test_an_interrupted_tuning_ends_where_an_undisturbed_one_does(
    make: Callable[[], nn.Module], tmp_path: Path
) -> None:
    def dies(step: int, steps: int, save: Save) -> None:
        if step == 4:
            save(tmp_path / "state.pt")
            raise WorkerDiedError

    expected = train(make().cuda(), encoded(), schedule(epochs=2), 0, None, silent).losses
    with pytest.raises(WorkerDiedError):
        train(make().cuda(), encoded(), schedule(epochs=2), 0, None, dies)
    found = train(make().cuda(), encoded(), schedule(epochs=2), 0, tmp_path / "state.pt", silent).losses
    assert found == pytest.approx(expected, abs=1e-4)  # some of a GPU's sums have no fixed order


def test_adapters_that_are_tuned_together_end_where_each_ends_alone() -> None:
    settings = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM")
    members = {name: together.Member(encoded(), schedule(learning_rate=2e-3), seed) for seed, name in enumerate("ab")}
    alone: dict[str, list[float]] = {}
    for name, member in members.items():
        torch.manual_seed(member.seed)
        one = get_peft_model(model().requires_grad_(False), settings).cuda()  # pyright: ignore[reportArgumentType]
        alone[name] = train(one, member.examples, member.schedule, member.seed, None, silent).losses
    torch.manual_seed(0)
    both = get_peft_model(model().requires_grad_(False), settings, adapter_name="a")  # pyright: ignore[reportArgumentType]
    torch.manual_seed(1)
    both.add_adapter("b", settings)
    found = together.train(both.cuda(), members, None, silent)  # pyright: ignore[reportArgumentType]
    for name, losses in alone.items():
        assert found[name].losses == pytest.approx(losses, abs=2e-3)
