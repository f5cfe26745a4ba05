"""Tuning: the loop against TRL's SFTTrainer, on the same model and the same token ids.

First as the paper sets it up (whole sequences carry loss, rows of like length together, no packing), then TRL at its
best: loss on answers alone, under every arrangement of rows that a CPU runs; the fastest one counts whose first loss
is ours.
"""

import copy
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from app.models.loading import LoadedModel, causal
from app.tuning.encoding import Encoded
from app.tuning.loop import Result, Schedule, train
from jobs.bench import material, rivals
from jobs.bench.document import Options, Section, Table, Target, verdict
from jobs.bench.measure import Gate, Pace, alternate, digest, hot, refusal, same_number, spread, timed

BATCH, RATE = 16, 1e-4
PAPER, BEST = 5.0, 1.3
"""Ratios to reach."""
_TRIED = 4
"""Batches with which the arrangements are compared."""
_HEAD = ("model", "TRL as", "examples", "tokens / labels", "TRL, examples/s", "loop, examples/s", "ratio", "rounds",
         "to reach")  # fmt: skip
_ABOUT = """One epoch over examples of the generated mixture in batches of 16, against `SFTTrainer.train` of TRL
1.16.0 in float32, without gradient checkpointing on either side; both are given the same token ids. In the paper's
setting TRL's loss covers whole sequences, as the paper's does, and ours the answers alone: the two learn from the
same examples but not the same thing, so there only the examples are held equal. At its best TRL learns from answers
alone, as we do, and the loss of a first step must be ours. Packed rows hold as many tokens as 16 examples have on
average."""


class Setup(NamedTuple):
    """A model, how it is tuned, and what with."""

    name: str
    loaded: LoadedModel
    lora: bool
    examples: tuple[Encoded, ...]

    def fresh(self) -> nn.Module:
        """The module to tune, with the same weights each time."""
        model = copy.deepcopy(causal(self.loaded))
        if not self.lora:
            return model.requires_grad_(True)
        torch.manual_seed(0)
        return get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM"))


class Arrangement(NamedTuple):
    """How TRL lays out rows."""

    name: str
    answers_only: bool
    settings: Mapping[str, object]


_GROUPED: Mapping[str, object] = {"train_sampling_strategy": "group_by_length"}
_AS_THE_PAPER = Arrangement("the paper sets it: whole sequences, grouped by length", False, _GROUPED)


def arrangements(examples: Sequence[Encoded]) -> tuple[Arrangement, ...]:
    """What TRL offers on a CPU where loss is on answers alone."""
    row = max(round(BATCH * sum(len(e.ids) for e in examples) / len(examples)), *(len(e.ids) for e in examples))
    packed = {"packing": True, "max_length": row, "per_device_train_batch_size": 1}
    return (
        Arrangement("answers only, grouped by length", True, _GROUPED),
        Arrangement("answers only, padding-free", True, {"padding_free": True, **_GROUPED}),
        Arrangement("answers only, packed (bfd)", True, {**packed, "packing_strategy": "bfd"}),
    )


def ours(model: nn.Module, examples: Sequence[Encoded]) -> Result:
    """One epoch of the loop."""
    schedule = Schedule(BATCH, 1, RATE, 0.0, 0.0)
    return train(model, examples, schedule, 0, None, lambda step, steps, save: None)


def theirs(setup: Setup, how: Arrangement, examples: Sequence[Encoded], folder: Path) -> Any:
    """TRL, ready for one epoch."""
    settings: dict[str, object] = {"per_device_train_batch_size": BATCH, "learning_rate": RATE, "weight_decay": 0.0}
    return rivals.trainer(
        setup.fresh(), setup.loaded.tokenizer, examples, folder, answers_only=how.answers_only,
        **{**settings, **how.settings},
    )  # fmt: skip


def same_examples(examples: Sequence[Encoded], trainer: Any) -> Gate:
    """Whether TRL holds each example once, wherever it has put it."""
    held: list[list[int]] = []
    for row in trainer.train_dataset:
        ids = list(row["input_ids"])
        for length in row.get("seq_lengths") or [len(ids)]:
            held.append(ids[:length])
            ids = ids[length:]
    a, b = digest(sorted(list(e.ids) for e in examples)), digest(sorted(held))
    return Gate("same examples", a == b, f"SHA-256 {a} and {b}")


def first_loss(setup: Setup, how: Arrangement, folder: Path) -> Gate:
    """Whether the first step over one batch has our loss, in nats per answer token."""
    batch = _fitting(setup.examples[:BATCH], how)
    mine = ours(setup.fresh(), batch).losses[0]
    found = theirs(setup, how, batch, folder).train().training_loss
    return same_number(f"same first loss, {how.name}", mine, found)


def _fitting(batch: Sequence[Encoded], how: Arrangement) -> Sequence[Encoded]:
    """The first examples that one packed row holds: two rows would be two steps."""
    room = how.settings.get("max_length")
    if not isinstance(room, int):
        return batch
    held = [sum(len(e.ids) for e in batch[: place + 1]) for place in range(len(batch))]
    return batch[: sum(tokens <= room for tokens in held)]


def compare(setup: Setup, options: Options, folder: Path, into: Section) -> None:
    """Two rows of the table: the paper's setting, and TRL at its best."""
    theirs(setup, _AS_THE_PAPER, setup.examples[:BATCH], folder).train()  # warm
    ours(setup.fresh(), setup.examples[:BATCH])
    _row(setup, _AS_THE_PAPER, PAPER, options, folder, into)
    held: list[tuple[float, Arrangement]] = []
    few = setup.examples[: BATCH * _TRIED]
    for how in arrangements(setup.examples):
        gate = first_loss(setup, how, folder)
        trainer = theirs(setup, how, few, folder)
        took = timed(trainer.train, options.device).seconds
        into.gates.append((setup.name, gate))
        into.notes.append(
            f"{setup.name}: TRL, {how.name}: {len(few) / took:.1f} examples/s on {len(few)} examples"
            + ("." if gate.passed else f"; not compared, since its first loss is another ({gate.told}).")
        )
        if gate.passed:
            held.append((took, how))
    if held:
        _row(setup, min(held, key=lambda one: one[0])[1], BEST, options, folder, into)


def _row(setup: Setup, how: Arrangement, wanted: float, options: Options, folder: Path, into: Section) -> None:
    trainers = [theirs(setup, how, setup.examples, folder) for _ in range(options.rounds)]
    models = [setup.fresh() for _ in range(options.rounds)]
    gates = [same_examples(setup.examples, trainers[0])]
    where = f"{setup.name}, {how.name}"
    into.gates += [(where, gate) for gate in gates]
    told = refusal(gates)
    if told:
        into.targets.append(Target(f"tuning against TRL: {where}", None, wanted))
        into.notes.append(f"{where}: no ratio, since a gate failed: {told}.")
        return
    work: list[Callable[[], object]] = [lambda: ours(models.pop(), setup.examples), lambda: trainers.pop().train()]
    loop, trl = alternate(work, len(setup.examples), options.rounds, options.device)
    _tell(setup, how, loop, trl, wanted, into)


def _tell(setup: Setup, how: Arrangement, loop: Pace, trl: Pace, wanted: float, into: Section) -> None:
    where, ratio = f"{setup.name}, {how.name}", loop.rate / trl.rate
    into.targets.append(Target(f"tuning against TRL: {where}", ratio, wanted))
    if ratio < wanted:
        model = setup.fresh()
        into.notes.append(
            f"{where}: {_limit(setup, how)} The loop's time goes to {hot(lambda: ours(model, setup.examples))}."
        )
    tokens, labels = sum(len(e.ids) for e in setup.examples), sum(e.answer for e in setup.examples)
    into.figures |= {f"{where}: ratio": ratio, f"{where}: loop": loop.rate, f"{where}: TRL": trl.rate}
    into.tables[-1].rows.append(
        (
            setup.name, how.name, f"{len(setup.examples)}", f"{tokens:,} / {labels:,}", f"{trl.rate:.1f}",
            f"{loop.rate:.1f}", verdict(ratio, wanted), spread(loop, trl), f"{wanted} x",
        )
    )  # fmt: skip


def _limit(setup: Setup, how: Arrangement) -> str:
    """What leaving out the logits of prompts could give, in a sentence, by the arithmetic of the matrices."""
    model = causal(setup.loaded)
    head = model.get_output_embeddings().weight.numel()  # pyright: ignore[reportOptionalMemberAccess]
    body = sum(
        p.numel()
        for name, p in model.named_parameters()
        if p.ndim == 2 and "embed" not in name and "lm_head" not in name
    )
    tokens, labels = sum(len(e.ids) for e in setup.examples), sum(e.answer for e in setup.examples)
    possible = tokens * (body + head) / (tokens * body + labels * head)
    return (
        f"both sides run {tokens:,} tokens through {body:,} parameters of layers; logits of {labels:,} answer tokens "
        f"in the place of all, over {head:,} parameters of the head, save at most {possible:.1f} x of the arithmetic, "
        f"before padding."
    )


def setups(folder: Path, count: int, device: str) -> list[Setup]:
    """A small vocabulary tuned whole, a large one tuned by LoRA."""
    drawn = material.mixture(count)
    rung = material.ladder(folder, device=device)
    small = material.llama(folder, "smollm2-small", device)
    return [
        Setup("ladder llama 64x2, all weights", rung, False, material.encoded(drawn, rung)),
        Setup("SmolLM2 in small (49k vocabulary), LoRA", small, True, material.encoded(drawn, small)),
    ]


def part(options: Options) -> Section:
    """The section of `python -m jobs.bench tuning`."""
    rivals.quiet()
    section = Section("Tuning", _ABOUT, tables=[Table(_HEAD)])
    with tempfile.TemporaryDirectory(prefix="fewtune-bench-") as root:
        for setup in setups(Path(root), options.examples, options.device):
            compare(setup, options, Path(root), section)
    return section
