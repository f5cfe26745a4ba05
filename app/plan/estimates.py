"""What cells need and cost, by estimate: to order and pack them, and to say what a study will spend."""

import math
from collections.abc import Sequence
from typing import NamedTuple, cast

from app import costs
from app.plan.cells import Base, Condition, Facts, Needs, Run, TaskFacts
from app.study import Study

_CONVERT_SECONDS = 2e-7  # of one parameter of a GGUF file

# Of estimates alone, all assumed. A prompt has tokens beside its items, and so has each item in it. The longest text
# that a batch waits for is some times as long as the mean, and a task has about four options.
_FRAME_TOKENS, _BLOCK_TOKENS, _LONGEST, _OPTIONS = 12, 8, 4, 4
_FREE = ("exact_match", "squad_f1", "trivia_f1", "rougeLsum", "bleu", "word_edit_similarity")  # answers without options
_PARTS = (1 / 8, 1 / 4, 1 / 2)  # of a GPU: cells of like size are interchangeable


class Tuning(NamedTuple):
    """The estimate of a tuning."""

    needs: Needs
    seconds: float
    phases: tuple[costs.Phase, ...]
    tokens: int
    """Trained on."""
    gpu_bytes: float
    """Memory of one worker at its peak, were it on a GPU."""


class Answering(NamedTuple):
    """The estimate of an evaluation."""

    needs: Needs
    seconds: float
    phases: tuple[costs.Phase, ...]
    prompt_tokens: int
    """Read: every prompt once for each way of answering."""
    generated_tokens: int
    """Written."""
    gpu_bytes: float
    """Memory at its peak, were it on a GPU."""


def making(base: Base) -> tuple[Needs, float]:
    """Of pretraining a base model of the ladder, or of converting one; both run on CPUs."""
    seconds = base.params * _CONVERT_SECONDS
    if base.ladder:
        seconds = costs.core_seconds(costs.tuning(base.params, base.dtype, "full", base.ladder.tokens, 0, 1))
    return Needs(base.resources.cpus, 0, _memory(base, 4, on_gpu=False)), seconds


def tuning(run: Run) -> Tuning:
    """Of one run, from the lengths of its mixture's tasks."""
    recipe, base = run.recipe, run.base
    settings = cast(dict[str, object], run.inputs["recipe"])
    shown = 1 if recipe.format == "regular" else cast(int, settings["worked_examples"]) + 2
    lengths = [_FRAME_TOKENS + shown * (_BLOCK_TOKENS + task.tokens + task.answer_tokens) for task in run.mixture]
    mean = sum(min(length, recipe.max_length) for length in lengths) / len(lengths)
    tokens = round(recipe.examples * recipe.epochs * mean)
    steps = math.ceil(recipe.examples / recipe.batch) * recipe.epochs
    longest = min(recipe.max_length, _LONGEST * max(lengths))
    batch_tokens = recipe.rows * longest
    phase = costs.tuning(base.params, base.dtype, recipe.method, tokens, mean, steps, recipe.gradient_checkpointing)
    share = 1 / recipe.workers if recipe.strategy == "zero3" else 1  # of the weights, that one worker holds
    held = costs.tuning_bytes(
        round(base.params * share), base.dtype, base.shape, recipe.method, recipe.lora.rank, batch_tokens,
        recipe.gradient_checkpointing,
    )  # fmt: skip
    gpus = _gpus(base, held)
    if recipe.workers > 1:  # they talk to each other through NCCL, which wants whole GPUs
        gpus = math.ceil(gpus)
    copies = 4 if recipe.method == "full" else 1.5  # weights, gradients and two moments; or frozen weights
    memory = _memory(base, copies, on_gpu=gpus > 0)
    needs = Needs(base.resources.cpus, gpus, memory, recipe.workers)
    seconds = _seconds((phase,), needs) / recipe.workers
    seconds += costs.load_seconds(base.params, base.dtype) if gpus else 0
    return Tuning(needs, seconds, (phase,), tokens, held)


def answering(
    study: Study, facts: Facts, base: Base, run: Run | None, condition: Condition, task: TaskFacts
) -> Answering:
    """Of one task under one condition; `run` is the tuned model that answers, if any."""
    item, answer = _BLOCK_TOKENS + task.tokens, task.answer_tokens
    shown = item + answer
    if condition.name == "gold-pipeline-cross-task":
        shown = _BLOCK_TOKENS + sum(t.tokens + t.answer_tokens for t in facts.cross_task) / len(facts.cross_task)
    writes = condition.name == "samplegen-direct"
    prompt = _FRAME_TOKENS + item + (0 if writes else condition.shots * shown)
    limit = study.pipelines.max_new_tokens if writes else study.answers.max_new_tokens
    new = min(limit, condition.shots * shown + item + answer if writes else answer + 1)
    modes = study.answers.modes
    scored = "loglikelihood" in modes and task.inputs.get("metric") not in _FREE
    generated = writes or "generation" in modes
    per_item = generated * prompt + scored * (prompt + writes * new + _OPTIONS * answer)
    read, written = study.test_items * per_item, study.test_items * generated * new
    # A batch ends with its longest row, and has room for the limit.
    batches = math.ceil(study.test_items * (prompt + limit) / costs.BATCH_TOKENS)
    passes = generated * batches * min(limit, _LONGEST * new)
    phases = (
        costs.reading(base.params, base.dtype, read, prompt),
        costs.decoding(base.params, base.dtype, written, prompt + new, passes),
    )
    held = costs.evaluation_bytes(base.params, base.dtype, base.shape, adapter(base, run), bool(facts.encoder))
    gpus = _gpus(base, held)
    needs = Needs(base.resources.cpus, gpus, _memory(base, 1, on_gpu=gpus > 0))
    return Answering(needs, _seconds(phases, needs), phases, round(read), round(written), held)


def adapter(base: Base, run: Run | None) -> int:
    """Parameters of the adapter that a run puts on its base model; 0 for none."""
    if run is None or run.recipe.method == "full":
        return 0
    return costs.adapter_parameters(base.shape, run.recipe.lora.rank)


def _gpus(base: Base, held: float) -> float:
    """What the study gives; `auto`: what holds that many bytes on its kind of GPU, a part where that is enough."""
    given = base.resources.gpus
    if given != "auto":
        return given
    gpu = next(gpu for gpu in costs.GPUS if gpu.name == base.resources.gpu)
    room = gpu.memory * 1e9 * costs.USABLE
    return next((part for part in _PARTS if held <= part * room), float(costs.gpus_needed(held, gpu)))


def _memory(base: Base, copies: float, *, on_gpu: bool) -> int:
    """Bytes of main memory for `copies` of the weights; on a GPU they only pass through it, once."""
    given, weights = base.resources.memory_gb, base.params * costs.BYTES[base.dtype]
    estimated = 1.2 * weights + 4e9 if on_gpu else weights * (copies + 0.5) + 0.5e9
    # Rounded up to a power of two, so that cells of like size are interchangeable and share worker processes.
    return int(given * 1e9) if given else 2 ** math.ceil(math.log2(max(estimated, 2**30)))


def _seconds(phases: Sequence[costs.Phase], needs: Needs) -> float:
    if needs.gpus:
        return sum(costs.gpu_seconds(phase, costs.REFERENCE) for phase in phases)
    return sum(costs.core_seconds(phase) for phase in phases)
