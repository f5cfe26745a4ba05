"""On a GPU, in bfloat16: tuning against the matrix products that the device reaches, scoring against lm-eval.

Models are built from the shapes of known ones, with random weights, which cost what trained ones cost.
"""

import random
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from app.errors import InputError
from app.models.loading import LoadedModel, causal
from app.tuning.encoding import Encoded
from app.tuning.kernels import ENOUGH, compiled
from app.tuning.loop import Schedule, train
from jobs.bench import material, rivals, scoring
from jobs.bench.document import Options, Section, Table, Target, verdict
from jobs.bench.measure import Answered, alternate, hot, refusal, same_answers, spread, timed

UTILISATION, FASTER = 40.0, 5.0
"""At least: per cent of the measured peak, and times lm-eval."""
_TRIES = 10
_GATED = 8  # the harness's batch where only its answers count
_ABOUT_TUNING = f"""LoRA of rank 8 on all linear layers in bfloat16, by the loop of a study, over seeded rows of 128 to
1,024 token ids, half of them answers; in seconds on the clock between two synchronisations. Peak: the fastest of ten
products of two square matrices. Model FLOPs are those that the task needs, whatever the loop does: 2 a parameter and
token forward and 2 for the gradients of activations (a frozen weight needs none of its own), 6 for parameters of
adapters, logits of answer tokens alone, attention to what stands before. With one operation after the other, and
compiled, as a study has its layers from {ENOUGH:,} steps on, since it takes a while before; the better one counts."""
_ABOUT_SCORING = """Five-shot items of four generated tasks in bfloat16 against `HFLM.loglikelihood` on the same weights
at the fastest of its batch sizes, in seconds on the clock between two synchronisations. Gates, in float32 on the same
weights and fewer items: same prompts, accuracy, likeliest options and log-probabilities. In bfloat16 the order of sums
changes the third digit, so there the share of equal likeliest options is stated, and no gate."""


class Work(NamedTuple):
    """How much is done, and on what."""

    device: str = "cuda"
    product: int = 8_192
    """Rows and columns of the matrices whose product gives the peak."""
    tuned: str = "llama-1b"
    """A name of `material.SHAPES`."""
    lengths: tuple[int, int] = (128, 1_024)
    """Tokens of a row, least and most."""
    batch: int = 16
    steps: int = 12
    scored: tuple[str, ...] = ("smollm2-135m", "smollm2-360m", "llama-1b")
    batches: tuple[int, ...] = (32, 64, 128, 256)
    """Of the harness; smaller ones leave a GPU idle."""
    items: int = 120
    """Of each task that are timed, as far as it has them."""
    gated: int = 20
    """Of each task that the gates are about."""


def absent(part: str) -> Section:
    """The section of a machine without a GPU: what there would be to reach, and that nothing was measured."""
    work = Work()
    targets = [Target(_tuning(work), None, UTILISATION, "% of the peak")]
    if part == "gpu-scoring":
        targets = [Target(_scoring(name, setting), None, FASTER) for name in work.scored for setting in _settings()]
    note = "Not measured: this machine has no GPU for torch. On one that has, the command below fills this section."
    return replace(_section(part), targets=targets, notes=[note], command=f"python -m jobs.bench {part}")


def tuning_part(options: Options) -> Section:
    """The section of `python -m jobs.bench gpu-tuning`. Raises InputError where torch sees no GPU."""
    section = _begun("gpu-tuning")
    with tempfile.TemporaryDirectory(prefix="fewtune-bench-") as root:
        tune(Work(), options, Path(root), section)
    return section


def scoring_part(options: Options) -> Section:
    """The section of `python -m jobs.bench gpu-scoring`. Raises InputError where torch sees no GPU."""
    section = _begun("gpu-scoring")
    with tempfile.TemporaryDirectory(prefix="fewtune-bench-") as root:
        for name in Work().scored:
            score(Work(), name, options, Path(root), section)
    return section


def _begun(part: str) -> Section:
    if not torch.cuda.is_available():
        raise InputError(f"the part {part} needs a GPU that torch can use (CUDA): run it on a machine that has one")
    rivals.quiet()
    return _section(part)


def _section(part: str) -> Section:
    return (
        Section("Tuning on a GPU", _ABOUT_TUNING)
        if part == "gpu-tuning"
        else Section("Scoring on a GPU", _ABOUT_SCORING)
    )


def _tuning(work: Work) -> str:
    return f"tuning {work.tuned} by LoRA in bfloat16"


def _scoring(name: str, setting: scoring.Setting) -> str:
    return f"scoring in bfloat16 against lm-eval: {name}, {setting.name}"


def _settings() -> Sequence[scoring.Setting]:
    """Those in which demonstrations are shared."""
    return scoring.SETTINGS[:2]


def peak(device: str, size: int) -> float:
    """FLOP/s of the fastest of some products of two square matrices in bfloat16."""
    a, b = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    return 2 * size**3 / min(timed(lambda: a @ b, device).seconds for _ in range(1 + _TRIES))  # the first one is cold


def examples(work: Work, vocabulary: int) -> list[Encoded]:
    """Seeded rows of random tokens, the later half of each an answer."""
    rng = random.Random(0)
    lengths = [rng.randint(*work.lengths) for _ in range(work.batch * work.steps)]
    return [Encoded(tuple(rng.randrange(1, vocabulary) for _ in range(n)), n // 2) for n in lengths]


def body(loaded: LoadedModel) -> int:
    """Parameters of the linear layers of a model without adapters, its head left out."""
    model, head = causal(loaded), causal(loaded).get_output_embeddings()
    linear = [module for module in model.modules() if isinstance(module, nn.Linear) and module is not head]
    return sum(p.numel() for module in linear for p in module.parameters())


def flops(config: Any, body: int, adapters: int, rows: Sequence[Encoded]) -> float:
    """Of one epoch of LoRA over `rows`, with `adapters` parameters to tune: see the section's words."""
    head = config.vocab_size * config.hidden_size
    tokens, labels = sum(len(row.ids) for row in rows), sum(row.answer for row in rows)
    attention = 6 * config.num_hidden_layers * config.hidden_size * sum(len(row.ids) ** 2 for row in rows)
    return tokens * (4 * body + 6 * adapters) + labels * 4 * head + attention


def tune(work: Work, options: Options, folder: Path, into: Section) -> None:
    """The table of tuning, with its target."""
    loaded = material.llama(folder, work.tuned, work.device, "bfloat16")
    most = peak(work.device, work.product)
    lora = LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM")
    config, layers = causal(loaded).config.get_text_config(), body(loaded)
    rows = examples(work, config.vocab_size)
    torch.manual_seed(0)
    model: Any = get_peft_model(causal(loaded), lora)  # pyright: ignore[reportArgumentType]
    adapters = sum(p.numel() for p in model.parameters() if p.requires_grad)
    schedule = Schedule(work.batch, 1, 1e-4, 0.0, 0.0, torch.bfloat16)

    def epoch() -> None:
        train(model, rows, schedule, 0, None, lambda *_: None)

    needed, tokens = flops(config, layers, adapters, rows), sum(len(row.ids) for row in rows)
    table = Table(("model", "operations", "measured peak", "tokens/s", "model FLOP/s", "utilisation", "to reach",
                   "seconds before", "ms a step"))  # fmt: skip
    into.tables.append(table)
    used: list[float] = []
    for way in ("one by one", *(("compiled",) if work.device == "cuda" else ())):
        began = time.monotonic()
        told = compiled(model, schedule.autocast) if way == "compiled" else "yes"
        if told != "yes":
            into.notes.append(f"{work.tuned}: its layers were not compiled ({told}).")
            continue
        epoch()  # every length is met once
        first = time.monotonic() - began
        seconds = min(timed(epoch, work.device).seconds for _ in range(options.rounds))
        used.append(100 * needed / seconds / most)
        into.figures |= {
            f"tokens/s, {way}": tokens / seconds, f"utilisation, {way}": used[-1] / 100,
            f"seconds a step, {way}": seconds / work.steps, f"seconds before, {way}": first - seconds,
        }  # fmt: skip
        table.rows.append(
            (
                work.tuned, way, f"{most / 1e12:.2f} TFLOP/s", f"{tokens / seconds:,.0f}",
                f"{needed / seconds / 1e12:.2f} TFLOP/s", f"{used[-1]:.0f} %", f"{UTILISATION:.0f} %",
                f"{first - seconds:.1f}", f"{1_000 * seconds / work.steps:.0f}",
            )
        )  # fmt: skip
    into.figures["peak FLOP/s"] = most
    into.targets.append(Target(_tuning(work), max(used), UTILISATION, "% of the peak"))
    if max(used) < UTILISATION:
        into.notes.append(f"{work.tuned}: the loop's time goes to {hot(epoch)}.")


def score(work: Work, name: str, options: Options, folder: Path, into: Section) -> None:
    """A row of the table of scoring for each setting of a model."""
    gated = work._replace(batches=(_GATED,))
    few = {s.name: material.rendered(s.condition, s.wording, work.gated) for s in _settings()}
    exact = {s: _answers(gated, name, "float32", rows, folder)[:2] for s, rows in few.items()}
    for setting in _settings():
        where, rows = f"{name}, {setting.name}", material.rendered(setting.condition, setting.wording, work.items)
        gates = same_answers(*exact[setting.name])
        into.gates += [(f"{where}, float32", gate) for gate in gates]
        if told := refusal(gates):
            into.targets.append(Target(_scoring(name, setting), None, FASTER))
            into.notes.append(f"{where}: no ratio, since a gate failed: {told}.")
            continue
        ours, theirs, facts = _answers(work, name, "bfloat16", rows, folder, options.rounds)
        same = sum(a == b for a, b in zip(ours.chosen, theirs.chosen, strict=True))
        if facts["ratio"] < FASTER:
            into.notes.append(f"{where}: the engine's time goes to {facts['hot']()}.")
        into.targets.append(Target(_scoring(name, setting), facts["ratio"], FASTER))
        into.figures |= {f"{where}: {what}": float(facts[what]) for what in ("ratio", "engine", "lm-eval")}
        row = (
            name, setting.name, f"{len(ours.chosen)} / {facts['requests']:,}",
            f"{facts['lm-eval']:,.0f} (batch {facts['batch']})", f"{facts['engine']:,.0f}",
            verdict(facts["ratio"], FASTER), facts["spread"], f"{same} of {len(ours.chosen)}", f"{FASTER:.0f} x",
        )  # fmt: skip
        _table(into).rows.append(row)


def _table(into: Section) -> Table:
    head = ("model", "setting", "items / requests", "lm-eval, requests/s", "engine, requests/s", "ratio", "rounds",
            "same likeliest option in bfloat16", "to reach")  # fmt: skip
    found = next((table for table in into.tables if tuple(table.head) == head), None)
    if found is None:
        into.tables.append(found := Table(head))
    return found


def _answers(
    work: Work, name: str, dtype: str, asked: material.Rendered, folder: Path, rounds: int = 1
) -> tuple[Answered, Answered, Mapping[str, Any]]:
    """Both sides' answers in one precision, and their paces."""
    loaded = material.llama(folder, name, work.device, dtype)
    harness = rivals.Harness(loaded, folder)
    tasks = [harness.choices(task, rows) for task, rows in asked.items()]
    instances = [instance for task in tasks for instance in task.instances]
    wrapper, batch = scoring.best(harness, instances, work.batches)
    scoring.score(loaded, {task: rows[:1] for task, rows in asked.items()})  # warm
    sides = (lambda: scoring.score(loaded, asked), lambda: wrapper.loglikelihood(instances, disable_tqdm=True))
    engine, rival = alternate(sides, len(instances), rounds, work.device)
    facts = {
        "ratio": engine.rate / rival.rate, "engine": engine.rate, "lm-eval": rival.rate, "batch": batch,
        "requests": len(instances), "spread": spread(engine, rival), "hot": lambda: hot(sides[0]),
    }  # fmt: skip
    return scoring.answered(asked, engine.result), rivals.answered(tasks, rival.result), facts
