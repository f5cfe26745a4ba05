"""The loss of gathered answer tokens, a part of the logits at a time, is the plain one, and so is its gradient."""

from collections.abc import Callable

import pytest
import torch
from test_tuning_loop import adapted, encoded, model
from torch import nn
from transformers import CohereConfig, CohereForCausalLM, Gemma2Config, Gemma2ForCausalLM

from app.pretraining import rungs
from app.tuning import loss
from app.tuning.encoding import Encoded
from app.tuning.probes import Way, form
from app.tuning.rows import Rows, laid, packed, padded

SIZES = {
    "vocab_size": 900, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 2, "head_dim": 16, "pad_token_id": 0, "sliding_window": 8,
}  # fmt: skip


@pytest.fixture(scope="module")
def examples() -> tuple[Encoded, ...]:
    torch.set_num_threads(1)
    return encoded()[:12]


def capped() -> nn.Module:
    """Logits pass through a soft cap, behind the head; every other layer has a sliding window."""
    torch.manual_seed(0)
    return Gemma2ForCausalLM(Gemma2Config(**SIZES, final_logit_softcapping=0.5))


def scaled() -> nn.Module:
    torch.manual_seed(0)
    return CohereForCausalLM(
        CohereConfig(**{k: v for k, v in SIZES.items() if k not in ("head_dim", "sliding_window")})
    )


def plain(net: nn.Module, examples: tuple[Encoded, ...], shares: torch.Tensor) -> torch.Tensor:
    """One example at a time, from all logits."""
    losses: list[torch.Tensor] = []
    for example in examples:
        logits = net(input_ids=torch.tensor([example.ids]), use_cache=False).logits[0]
        places = range(len(example.ids) - example.answer, len(example.ids))
        losses += [-logits[place - 1].log_softmax(-1)[example.ids[place]] for place in places]
    return (torch.stack(losses) * shares).sum()


def gradients(net: nn.Module) -> dict[str, torch.Tensor]:
    found = {n: p.grad for n, p in net.named_parameters() if p.grad is not None}
    net.zero_grad()
    return found


NETS: dict[str, tuple[Callable[[], nn.Module], Way]] = {
    **{family: ((lambda family=family: model(family)), "fused") for family in rungs.FAMILIES},
    "adapter": (adapted, "fused"),
    "soft cap": (capped, "gathered"),
    "scale": (scaled, "gathered"),
}


@pytest.mark.parametrize("at_once", [2**24, 3_000], ids=["one part", "three rows a part"])
@pytest.mark.parametrize("name", list(NETS))
def test_loss_and_gradient_are_the_plain_ones(name: str, at_once: int, examples: tuple[Encoded, ...]) -> None:
    make, expected = NETS[name]
    net = make().eval()
    assert form(net).way == expected
    shares = torch.linspace(0.1, 1, sum(example.answer for example in examples))
    wanted = plain(net, examples, shares)
    wanted.backward()
    reference = gradients(net)
    largest = max(gradient.abs().max().item() for gradient in reference.values())
    assert largest > 1e-3
    for way in {expected, "whole"}:
        found = loss.shared(net, padded(examples), shares, way, at_once)
        assert found.total.item() == pytest.approx(wanted.item(), rel=1e-5)
        assert (found.each * shares).sum().item() == pytest.approx(wanted.item(), rel=1e-5)
        found.total.backward()
        ours = gradients(net)
        assert ours.keys() == reference.keys()
        for parameter, gradient in reference.items():
            assert torch.allclose(ours[parameter], gradient, atol=1e-5 * largest, rtol=1e-4), (way, parameter)


def test_the_model_keeps_its_own_head_afterwards(examples: tuple[Encoded, ...]) -> None:
    net = model().eval()
    ids = torch.tensor([examples[0].ids])
    before = net(input_ids=ids).logits
    loss.shared(net, padded(examples), torch.ones(sum(e.answer for e in examples)), "fused")
    assert torch.equal(net(input_ids=ids).logits, before)


def answers(net: nn.Module, rows: Rows, **more: object) -> torch.Tensor:
    """Logits that count, without their order."""
    logits = net(input_ids=rows.ids, **{"use_cache": False, **rows.told(), **more}).logits.flatten(0, 1)[rows.places]
    return logits[torch.argsort(logits[:, 7])]


@pytest.mark.parametrize("name", ["llama", "gpt2", "neox", "qwen", "soft cap"])
@pytest.mark.parametrize("room", [40, 10_000], ids=["rows", "one row"])
def test_packed_examples_get_the_logits_that_they_get_alone(
    name: str, room: int, examples: tuple[Encoded, ...]
) -> None:
    net = NETS[name][0]().eval()
    assert form(net).packs
    short = tuple(sorted(examples, key=lambda example: len(example.ids))[:6])
    rows = packed(short, min(room, sum(len(e.ids) for e in short)))
    assert rows.ids.shape[0] < len(short)
    with torch.no_grad():
        alone = answers(net, padded(short))
        assert (answers(net, rows) - alone).abs().max() < 1e-5
        seen = answers(net, rows, attention_mask=torch.ones_like(rows.ids))  # the trap: examples see each other
        assert (seen - alone).abs().max() > 1e-2
        assert (answers(net, rows, use_cache=True) - alone).abs().max() > 1e-2


def test_rows_are_packed_only_where_it_saves_some_and_the_model_allows_it() -> None:
    long, short = Encoded(tuple(range(1, 41)), 2), Encoded(tuple(range(1, 11)), 3)
    mixed = laid([long, *[short] * 4], masked=False, packs=True)
    assert mixed.ids.shape == (2, 39)
    assert mixed.positions is not None
    assert mixed.labels.tolist() == [39, 40, *[8, 9, 10] * 4]
    for rows in (laid([long] * 4, masked=False, packs=True), laid([long, short], masked=False, packs=False)):
        assert rows.positions is rows.mask is None
        assert rows.ids.shape[1] == 39
    assert laid([long, short], masked=True, packs=True).told().keys() == {"attention_mask"}


def test_a_model_that_must_be_told_of_padding_is_told(examples: tuple[Encoded, ...]) -> None:
    net = model().eval()
    rows = padded(examples, masked=True)
    assert rows.mask is not None
    assert rows.mask.sum(1).tolist() == [len(example.ids) - 1 for example in examples]
    with torch.no_grad():
        assert torch.allclose(answers(net, rows), answers(net, padded(examples)), atol=1e-5)


def test_the_end_of_sequence_carries_a_label_though_padding_has_its_id() -> None:
    first, second = Encoded((5, 6, 7, 0), 2), Encoded((5, 6, 0), 1)
    assert padded([first, second]).labels.tolist() == [7, 0, 0]
