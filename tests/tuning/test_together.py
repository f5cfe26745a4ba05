"""Adapters that are tuned together end where each ends alone, through an interruption too, and load alone."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from test_tuning_loop import Save, WorkerDiedError, encoded, model, schedule, silent
from transformers import PreTrainedModel

from app.errors import CellError
from app.tuning import loop, together
from app.tuning.encoding import Encoded
from app.tuning.together import Member

STEPS = 20
HALF = replace(schedule(batch=8, epochs=4, learning_rate=2e-3), max_gradient=0.5)


@pytest.fixture(scope="module")
def examples() -> tuple[Encoded, ...]:
    torch.set_num_threads(1)
    return encoded()


def members(examples: Sequence[Encoded]) -> dict[str, Member]:
    """Three with orders, rates and decays of their own; the last is through first, and makes two passes a step."""
    return {
        "one": Member(examples, HALF, 0),
        "two": Member(examples, replace(HALF, learning_rate=1e-3, weight_decay=0.1), 1),
        "three": Member(examples[:30], replace(HALF, rows=5), 2),
    }


def settings(dropout: float = 0.0) -> LoraConfig:
    return LoraConfig(r=4, lora_alpha=8, lora_dropout=dropout, target_modules="all-linear", task_type="CAUSAL_LM")


def base(family: str = "llama") -> PreTrainedModel:
    made = model(family).requires_grad_(False)
    assert isinstance(made, PreTrainedModel)
    return made


def adapters(names: Sequence[str], family: str = "llama", dropout: float = 0.0) -> PeftModel:
    """Fresh adapters, each initialised as in a run of its own."""
    torch.manual_seed(0)
    made = get_peft_model(base(family), settings(dropout), adapter_name=names[0])
    for seed, name in enumerate(names[1:], 1):
        torch.manual_seed(seed)
        made.add_adapter(name, settings(dropout))
    assert isinstance(made, PeftModel)
    return made


def weights(net: torch.nn.Module, name: str) -> dict[str, torch.Tensor]:
    return {n.replace(f".{name}.", "."): p.detach() for n, p in net.named_parameters() if f".{name}." in n}


@pytest.mark.parametrize("family", ["llama", "gpt2", "neox"])
def test_adapters_tuned_together_are_those_tuned_one_by_one(family: str, examples: tuple[Encoded, ...]) -> None:
    asked = members(examples)
    net = adapters(list(asked), family)
    begun = {name: {n: p.clone() for n, p in weights(net, name).items()} for name in asked}
    results = together.train(net, asked, None, silent)
    for seed, (name, member) in enumerate(asked.items()):
        torch.manual_seed(seed)
        alone = get_peft_model(base(family), settings())
        assert all(torch.equal(p, begun[name][n]) for n, p in weights(alone, "default").items())
        wanted = loop.train(alone, member.examples, member.schedule, member.seed, None, silent)
        assert wanted.tuned.steps == (STEPS if name != "three" else 16)
        assert results[name].losses == pytest.approx(wanted.losses, abs=1e-5)
        assert results[name].tuned._replace(loss=0) == wanted.tuned._replace(loss=0)
        found, expected = weights(net, name), weights(alone, "default")
        assert found.keys() == expected.keys()
        moved = max((p - begun[name][n]).abs().max().item() for n, p in expected.items())
        apart = max((found[n] - p).abs().max().item() for n, p in expected.items())
        assert apart < 1e-5 < 1e-3 < moved


def test_an_interrupted_tuning_together_ends_with_the_same_bits(examples: tuple[Encoded, ...], tmp_path: Path) -> None:
    asked = members(examples)
    undisturbed = adapters(list(asked))
    told = together.train(undisturbed, asked, None, silent)

    def report(step: int, steps: int, save: Save) -> None:
        if step == 17:  # one of them has made its steps
            save(tmp_path / "state")
        if step == 18:
            raise WorkerDiedError

    with pytest.raises(WorkerDiedError):
        together.train(adapters(list(asked)), asked, None, report)
    again = adapters(list(asked))
    assert together.train(again, asked, tmp_path / "state", silent) == told
    for name in asked:
        found = weights(again, name)
        assert all(torch.equal(p, found[n]) for n, p in weights(undisturbed, name).items())


def test_each_adapter_is_saved_as_one_that_loads_alone(examples: tuple[Encoded, ...], tmp_path: Path) -> None:
    asked = members(examples)
    net = adapters(list(asked))
    together.train(net, asked, None, silent)
    ids = torch.tensor([examples[0].ids])
    untouched = base()(input_ids=ids).logits
    for name in asked:
        (tmp_path / name).mkdir()
        together.save(net, name, tmp_path / name)
        loaded = PeftModel.from_pretrained(base(), str(tmp_path / name)).eval()
        net.set_adapter(name)
        logits = loaded(input_ids=ids).logits
        assert torch.allclose(logits, net(input_ids=ids).logits, atol=1e-5)
        assert (logits - untouched).abs().max() > 1e-2


def test_what_cannot_be_shared_is_refused(examples: tuple[Encoded, ...]) -> None:
    asked = members(examples)
    with pytest.raises(CellError, match="without dropout"):
        together.train(adapters(list(asked), dropout=0.1), asked, None, silent)
    mixed = asked | {"two": asked["two"]._replace(schedule=replace(HALF, autocast=torch.bfloat16))}
    with pytest.raises(CellError, match="the same precision"):
        together.train(adapters(list(mixed)), mixed, None, silent)
