"""Several LoRA adapters of one small base: tuned together in one process, and one after the other."""

import copy
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model

from app.models.loading import LoadedModel, causal
from app.tuning.encoding import Encoded
from app.tuning.loop import Schedule, train
from app.tuning.together import Member
from app.tuning.together import train as train_together
from jobs.bench import material
from jobs.bench.document import Options, Section, Table, Target, verdict
from jobs.bench.measure import Gate, alternate, hot, refusal, same_number, spread

COUNT, BATCH, RATE = 8, 16, 1e-3
WANTED = 1.3
_WIDTHS = (64, 256)
_HEAD = ("base", "adapters", "examples each", "one by one, examples/s", "together, examples/s", "ratio", "rounds",
         "to reach")  # fmt: skip
_ABOUT = f"""{COUNT} adapters of rank 8 on all linear layers of one ladder model, each over its own order of the
examples in batches of {BATCH}: by the loop, one run after the other, and in one process that runs the base once for
all. Last losses must be the same."""


def adapted(loaded: LoadedModel) -> PeftModel:
    """The base with its adapters, each with the weights that its own run would begin with."""
    config = LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM")
    torch.manual_seed(0)
    model = get_peft_model(copy.deepcopy(causal(loaded)), config, adapter_name="0")
    for seed in range(1, COUNT):
        torch.manual_seed(seed)
        model.add_adapter(str(seed), config)
    return model  # pyright: ignore[reportReturnType]  # a mixed model only where asked for


def together(model: PeftModel, members: Sequence[Member]) -> list[float]:
    """The last loss of each."""
    found = train_together(model, {str(member.seed): member for member in members}, None, lambda *_: None)
    return [found[str(member.seed)].losses[-1] for member in members]


def one_by_one(loaded: LoadedModel, members: Sequence[Member]) -> list[float]:
    """The last loss of each."""
    found: list[float] = []
    for member in members:
        torch.manual_seed(member.seed)
        config = LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM")
        model = get_peft_model(copy.deepcopy(causal(loaded)), config)
        found.append(train(model, member.examples, member.schedule, member.seed, None, lambda *_: None).losses[-1])
    return found


def compare(name: str, loaded: LoadedModel, examples: Sequence[Encoded], options: Options, into: Section) -> None:
    """One row of the table."""
    members = [Member(examples, Schedule(BATCH, 1, RATE, 0.0, 0.0), seed) for seed in range(COUNT)]
    few = [member._replace(examples=examples[: 2 * BATCH]) for member in members]
    gates: list[Gate] = [
        same_number(f"same last loss, adapter {seed}", a, b)
        for seed, (a, b) in enumerate(zip(together(adapted(loaded), few), one_by_one(loaded, few), strict=True))
    ]
    into.gates += [(name, gate) for gate in gates]
    told = refusal(gates)
    if told:
        into.targets.append(Target(f"{COUNT} adapters together: {name}", None, WANTED))
        into.notes.append(f"{name}: no ratio, since a gate failed: {told}.")
        return
    work = [lambda: together(adapted(loaded), members), lambda: one_by_one(loaded, members)]
    both, alone = alternate(work, COUNT * len(examples), options.rounds, options.device)
    ratio = both.rate / alone.rate
    into.targets.append(Target(f"{COUNT} adapters together: {name}", ratio, WANTED))
    if ratio < WANTED:
        into.notes.append(f"{name}: together, time goes to {hot(work[0])}.")
    into.figures |= {f"{name}: ratio": ratio, f"{name}: together": both.rate, f"{name}: one by one": alone.rate}
    into.tables[-1].rows.append(
        (
            name, f"{COUNT}", f"{len(examples)}", f"{alone.rate:.1f}", f"{both.rate:.1f}", verdict(ratio, WANTED),
            spread(both, alone), f"{WANTED} x",
        )
    )  # fmt: skip


def part(options: Options) -> Section:
    """The section of `python -m jobs.bench adapters`."""
    section = Section("Several adapters of one base", _ABOUT, tables=[Table(_HEAD)])
    drawn = material.mixture(max(2 * BATCH, options.examples // 2))
    with tempfile.TemporaryDirectory(prefix="fewtune-bench-") as root:
        for width in _WIDTHS:
            loaded = material.ladder(Path(root), width, tokens=20_000, device=options.device)
            compare(f"ladder llama {width}x2", loaded, material.encoded(drawn, loaded), options, section)
    return section
