"""The loop's loss and gradient are the naive ones, every example is seen, and an interruption leaves no trace."""

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model
from torch import nn

from app.errors import CellError
from app.pretraining import ladder, rungs
from app.pretraining import tokenizer as words
from app.study import Recipe
from app.tasks import catalog, loading
from app.tuning.encoding import Encoded, encode
from app.tuning.loop import Schedule, batches, divide, rate, train
from app.tuning.mixture import draw
from app.tuning.sharding import Team

Save = Callable[[Path], None]


class WorkerDiedError(Exception):
    """Stands for a worker that dies."""


def silent(step: int, steps: int, save: Save) -> None:
    pass


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def examples() -> tuple[Encoded, ...]:
    return encoded()


def encoded() -> tuple[Encoded, ...]:
    """A few dozen examples of many tasks, of very different lengths, with answers of one word and of several."""
    tasks = catalog.select(["set:tune", "reverse"])
    drawn = draw(tasks, {task.name: loading.load(task, None) for task in tasks}, 40, 3_000, "0")
    return encode(drawn, words.build(), 512, Recipe(method="full")).examples


def model(family: str = "llama", seed: int = 0) -> nn.Module:
    return ladder.build(ladder.LadderSpec(family, 32, 2, 1_000, seed=seed))


def adapted(dropout: float = 0.0) -> nn.Module:
    """A frozen base under adapters that already do something: fresh ones give the gradient nothing to find."""
    base = model()
    torch.manual_seed(5)
    made = get_peft_model(
        base, LoraConfig(r=4, lora_alpha=8, lora_dropout=dropout, target_modules="all-linear", task_type="CAUSAL_LM")
    )
    for name, weight in made.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(weight, std=0.05)
    return made


def schedule(batch: int = 8, epochs: int = 1, learning_rate: float = 1e-2) -> Schedule:
    return Schedule(batch, epochs, learning_rate, warmup=0.1, weight_decay=0.01, max_gradient=1e9)


def naive(net: nn.Module, examples: tuple[Encoded, ...]) -> torch.Tensor:
    """Mean over all answer tokens, one unpadded example at a time, from the whole logits."""
    total, count = torch.zeros(()), 0
    for example in examples:
        logits = net(input_ids=torch.tensor([example.ids])).logits[0]
        for place in range(len(example.ids) - example.answer, len(example.ids)):
            total = total - logits[place - 1].log_softmax(-1)[example.ids[place]]
            count += 1
    return total / count


MODELS: dict[str, Callable[[], nn.Module]] = {
    **{family: (lambda family=family: model(family)) for family in rungs.FAMILIES},
    "adapter": adapted,
}


@pytest.mark.parametrize("name", list(MODELS))
def test_the_loss_and_gradient_of_a_padded_batch_are_those_of_its_unpadded_examples(
    name: str, examples: tuple[Encoded, ...]
) -> None:
    assert len({len(e.ids) for e in examples}) > 5
    assert len({e.answer for e in examples}) > 1
    reference = MODELS[name]()
    expected = naive(reference, examples)
    expected.backward()
    wanted = {n: p.grad for n, p in reference.named_parameters() if p.grad is not None}

    net, found = MODELS[name](), dict[str, torch.Tensor]()
    for n, p in net.named_parameters():
        if p.requires_grad:
            p.register_post_accumulate_grad_hook(lambda p, n=n: found.update({n: p.grad.clone()}))
    tuned = train(net, examples, schedule(batch=len(examples)), 0, None, silent).tuned

    assert tuned.steps == 1
    assert tuned.loss == pytest.approx(expected.item(), abs=2e-5)
    assert found.keys() == wanted.keys()
    largest = max(gradient.abs().max().item() for gradient in wanted.values())
    assert largest > 1e-3
    for n, gradient in wanted.items():
        assert torch.allclose(found[n], gradient, atol=2e-4 * largest), n


def test_a_step_counts_tokens_without_padding(examples: tuple[Encoded, ...]) -> None:
    tuned = train(model(), examples, schedule(batch=16, epochs=2), 0, None, silent).tuned
    assert tuned.steps == 6
    assert tuned.tokens == 2 * sum(len(e.ids) for e in examples)
    assert tuned.answer_tokens == 2 * sum(e.answer for e in examples)


def test_tuning_lowers_the_loss(examples: tuple[Encoded, ...]) -> None:
    net = model()
    before = naive(net, examples).item()
    tuned = train(net, examples, schedule(epochs=6), 0, None, silent).tuned
    assert tuned.loss < 0.6 * before
    assert not net.training


def test_only_adapters_change_under_a_frozen_base(examples: tuple[Encoded, ...]) -> None:
    net = adapted()
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    train(net, examples, schedule(), 0, None, silent)
    changed = {name for name, p in net.named_parameters() if not torch.equal(p, before[name])}
    assert changed == {name for name in before if "lora_" in name}


@given(st.lists(st.integers(1, 50), max_size=80), st.integers(1, 9), st.integers(1, 3), st.integers(0, 5))
def test_batches_hold_every_example_once_an_epoch(lengths: list[int], size: int, epochs: int, seed: int) -> None:
    found = batches(lengths, size, epochs, seed)
    assert all(1 <= len(batch) <= size for batch in found)
    assert Counter(itertools.chain(*found)) == Counter(dict.fromkeys(range(len(lengths)), epochs))
    for epoch in range(epochs):
        part = found[epoch * len(found) // epochs : (epoch + 1) * len(found) // epochs]
        assert sorted(itertools.chain(*part)) == list(range(len(lengths)))
    assert batches(lengths, size, epochs, seed) == found


def test_epochs_and_seeds_differ_in_their_order() -> None:
    lengths = list(range(200))
    found = batches(lengths, 8, 2, 0)
    assert found[:25] != found[25:]
    assert batches(lengths, 8, 2, 1) != found


def test_a_batch_holds_examples_of_like_length() -> None:
    lengths = [(index * 37) % 500 for index in range(1_000)]
    spread = [max(lengths[i] for i in b) - min(lengths[i] for i in b) for b in batches(lengths, 10, 1, 0)]
    assert sum(spread) / len(spread) < 50


def test_the_rate_rises_to_its_peak_and_falls_to_a_twentieth() -> None:
    found = [rate(step, 100, 0.1) for step in range(100)]
    assert found[:10] == pytest.approx([0.1 * step for step in range(1, 11)])
    assert max(found) == 1.0
    assert found[10:] == sorted(found[10:], reverse=True)
    assert 0.05 <= found[-1] < 0.07


@pytest.mark.parametrize(("steps", "warmup"), [(1, 0.0), (1, 0.03), (2, 0.9), (7, 0.0)])
def test_the_rate_is_positive_at_every_step_of_a_short_run(steps: int, warmup: float) -> None:
    assert all(0 < rate(step, steps, warmup) <= 1 for step in range(steps))


@pytest.mark.parametrize("at", [1, 4, 10])
@pytest.mark.parametrize("make", [model, lambda: adapted(dropout=0.3)], ids=["full", "adapter with dropout"])
def test_an_interrupted_tuning_ends_with_the_same_bits(
    make: Callable[[], nn.Module], at: int, examples: tuple[Encoded, ...], tmp_path: Path
) -> None:
    undisturbed = make()
    told = train(undisturbed, examples, schedule(epochs=2), 3, None, silent)

    def report(step: int, steps: int, save: Save) -> None:
        if step == at:
            save(tmp_path / "state")
        if step == min(at + 2, steps):
            raise WorkerDiedError

    with pytest.raises(WorkerDiedError):
        train(make(), examples, schedule(epochs=2), 3, None, report)
    torch.manual_seed(99)  # another process has another state of its generator
    again = make()
    steps: list[int] = []
    resumed = train(
        again, examples, schedule(epochs=2), 3, tmp_path / "state", lambda step, total, save: steps.append(step)
    )

    assert steps == list(range(at + 1, 11))
    assert resumed == told
    for (name, expected), (_, found) in zip(undisturbed.named_parameters(), again.named_parameters(), strict=True):
        assert torch.equal(expected, found), name


@pytest.mark.parametrize("rows", [1, 3, 8])
@pytest.mark.parametrize("make", [model, adapted], ids=["full", "adapter"])
def test_a_batch_in_several_passes_gives_the_same_curve_and_weights(
    make: Callable[[], nn.Module], rows: int, examples: tuple[Encoded, ...]
) -> None:
    whole, parts = make(), make()
    wanted = train(whole, examples, schedule(batch=12, epochs=2), 0, None, silent).losses
    found = train(parts, examples, replace(schedule(batch=12, epochs=2), rows=rows), 0, None, silent).losses
    assert found == pytest.approx(wanted, abs=1e-5)  # measured: 2e-6
    for (name, expected), (_, weight) in zip(whole.named_parameters(), parts.named_parameters(), strict=True):
        assert torch.allclose(weight, expected, atol=1e-4), name  # measured: 1e-5, at a rate of 1e-2


@given(
    st.lists(st.integers(1, 50), min_size=1, max_size=40), st.integers(1, 4), st.one_of(st.none(), st.integers(1, 9))
)
def test_workers_and_passes_divide_a_batch(lengths: list[int], size: int, rows: int | None) -> None:
    full = Schedule(-(-len(lengths) // size) * size, 1, 1.0, 0.0, 0.0, rows=rows)
    batch = list(range(len(lengths)))
    found = [divide(batch, lengths, rows, full.passes(size), Team(rank, size)) for rank in range(size)]
    assert sorted(itertools.chain(*itertools.chain(*found))) == batch
    assert {len(own) for own in found} == {full.passes(size)}
    assert all(len(one) <= (rows or len(batch)) for own in found for one in own)
    sums = [sum(lengths[index] for index in itertools.chain(*own)) for own in found]
    assert max(sums) - min(sums) <= max(lengths)  # neighbours in length lie with different workers


def test_one_worker_takes_the_rows_of_a_batch_in_their_order() -> None:
    lengths = [(index * 37) % 500 for index in range(100)]
    for batch in batches(lengths, 7, 2, 0):
        assert divide(batch, lengths, None, 1, Team()) == [batch]


def test_the_seed_decides_the_result(examples: tuple[Encoded, ...]) -> None:
    losses = [train(model(), examples, schedule(), seed, None, silent).tuned.loss for seed in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]


def test_a_loss_that_diverges_ends_the_cell_in_a_sentence(examples: tuple[Encoded, ...]) -> None:
    net = model()
    with torch.no_grad():
        next(net.parameters()).fill_(float("nan"))
    with pytest.raises(CellError, match="the loss became nan at step 0: lower learning_rate"):
        train(net, examples, schedule(), 0, None, silent)


def test_half_precision_computes_nearly_the_same(examples: tuple[Encoded, ...]) -> None:
    whole = train(model(), examples, schedule(batch=40), 0, None, silent).tuned.loss
    half = Schedule(40, 1, 1e-2, 0.1, 0.0, autocast=torch.bfloat16)
    net = model()
    assert train(net, examples, half, 0, None, silent).tuned.loss == pytest.approx(whole, rel=0.02)
    assert {p.dtype for p in net.parameters()} == {torch.float32}
