"""The ladder's models: ordinary, seeded, of the size that was promised."""

import pytest
import torch
from transformers import AutoModelForCausalLM

from app.errors import InputError
from app.plan import LadderSpec
from app.pretraining import ladder, rungs
from app.pretraining.loop import next_token_loss
from app.pretraining.vocabulary import vocabulary

every_family = pytest.mark.parametrize("family", rungs.FAMILIES)


def tokens(sequences: int = 2, length: int = 24) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(4, len(vocabulary()), (sequences, length), generator=generator)


def test_there_are_six_families() -> None:
    assert len(rungs.FAMILIES) == 6


@pytest.mark.parametrize(("width", "depth"), [(16, 1), (32, 2), (48, 3), (256, 8)])
@every_family
def test_the_number_of_parameters_is_known_without_a_model(family: str, width: int, depth: int) -> None:
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(ladder.config(family, width, depth))
    assert rungs.parameters(family, width, depth) == sum(weight.numel() for weight in model.parameters())


@every_family
def test_weights_depend_on_the_seed_alone(family: str) -> None:
    first, again, other = (ladder.build(LadderSpec(family, 16, 1, 1_000, seed=seed)).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_building_a_model_leaves_the_random_generator_as_it_was() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    ladder.build(LadderSpec("llama", 16, 1, 1_000))
    assert torch.equal(torch.rand(3), expected)


@every_family
def test_our_loss_is_the_librarys_loss(family: str) -> None:
    model = ladder.build(LadderSpec(family, 32, 2, 1_000)).eval()
    batch = tokens()
    with torch.no_grad():
        ours, theirs = next_token_loss(model, batch), model(input_ids=batch, labels=batch).loss
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-5)


@every_family
def test_a_token_sees_only_those_before_it(family: str) -> None:
    model = ladder.build(LadderSpec(family, 32, 2, 1_000)).eval()
    batch = tokens(1)
    changed = batch.clone()
    changed[0, -1] = 5 if batch[0, -1] != 5 else 6
    with torch.no_grad():
        before, after = model(input_ids=batch).logits, model(input_ids=changed).logits
    assert torch.allclose(before[0, :-1], after[0, :-1], atol=1e-5)


def test_learned_positions_start_as_sinusoids_and_only_where_positions_are_learned() -> None:
    learned = {f: ladder.position_tables(ladder.build(LadderSpec(f, 16, 1, 1_000))) for f in rungs.FAMILIES}
    assert {family for family, tables in learned.items() if tables} == {"gpt2", "opt"}
    for tables in learned.values():
        for table in tables:
            assert table.abs().max() <= ladder.POSITION_AMPLITUDE + 1e-6


@pytest.mark.parametrize(("family", "width", "depth"), [("mamba", 64, 2), ("llama", 60, 2), ("llama", 64, 0)])
def test_what_the_ladder_lacks_is_refused_with_what_it_has(family: str, width: int, depth: int) -> None:
    for ask in (rungs.parameters, rungs.learning_rate):
        with pytest.raises(InputError, match=r"choose from gpt2, llama|multiple of 16"):
            ask(family, width, depth)
