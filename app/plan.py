"""Study -> ordered cells, with their needs and estimated cost. Pure: reads nothing, computes nothing.

What a cell is made of (`inputs`) is kept apart from where it runs; its fingerprint is the hash of the inputs.
Inputs are nested: an evaluation holds the tuning's, which holds the base model's, so a change anywhere below is
seen above, and two records can be compared leaf by leaf to say what changed.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, TypeVar

from app.errors import StudyError
from app.identity import differences, fingerprint, slug
from app.study import Recipe, Resources, Study

Kind = Literal["pretrain", "convert", "tune", "evaluate"]
Inputs = Mapping[str, object]
BASE_CONDITIONS = ("base-zero-shot", "base-few-shot", "base-direct")
FEW_SHOT_CONDITIONS = ("base-few-shot", "tuned-few-shot")

# Seconds of one token on one core of a 2020s server: a constant for Python and kernel launches, and the arithmetic at
# 40 GFLOP/s; measured on ladder models of 40 k to 400 k parameters. On a GPU: 40 % of 400 TFLOP/s in bf16.
_TOKEN_SECONDS, _CORE_FLOPS, _GPU_FLOPS = 4e-6, 40e9, 160e12
BYTES: Mapping[str, float] = {"float32": 4.0, "bfloat16": 2.0, "float16": 2.0, "nf4": 4.5 / 8}
"""Bytes a parameter takes; nf4 holds a 32-bit scale for each block of 64."""
_CONVERT_SECONDS = 2e-7  # of one parameter of a GGUF file
_PROMPT_TOKENS = 60  # of an item or a demonstration; only for estimates


@dataclass(frozen=True)
class LadderSpec:
    """One base model of the ladder: everything that its weights depend on."""

    family: str
    """An architecture of `app.pretraining.ladder`."""
    width: int
    """Size of the residual stream, a multiple of 16."""
    depth: int
    """Layers."""
    tokens: int
    """Length of the corpus; each token is seen once."""
    without: tuple[str, ...] = ()
    """Generated tasks that the corpus leaves out, with those that rest on the same facts."""
    seed: int = 0
    """Of the initial weights and of the corpus."""
    learning_rate: float | None = None
    """Peak rate of the matrices inside the layers; None: the measured one. All other rates follow in proportion."""


@dataclass(frozen=True)
class Base:
    """A base model of the study, resolved: one entry of the file may give several."""

    slug: str
    family: str
    source: Literal["ladder", "hub", "checkpoint", "gguf"]
    location: str
    """Hub id, folder or file; empty for the ladder."""
    revision: str | None
    dtype: str
    params: int
    resources: Resources
    trust_remote_code: bool
    ladder: LadderSpec | None
    inputs: Inputs

    @property
    def stored(self) -> bool:
        """Whether the store holds its checkpoint (made here), rather than a hub cache or the user's folder."""
        return self.source in ("ladder", "gguf")


@dataclass(frozen=True)
class TaskFacts:
    """What the plan must know of a task."""

    name: str
    cluster: str
    role: str
    inputs: Inputs
    """Everything that decides its items, prompts and judgement."""


@dataclass(frozen=True)
class Facts:
    """What higher floors know and the plan needs: the study's names resolved, and versions of the protocols."""

    bases: tuple[Base, ...]
    tasks: tuple[TaskFacts, ...]
    mixtures: Mapping[str, tuple[TaskFacts, ...]]
    """Recipe name -> the tasks of its mixture."""
    protocols: Mapping[str, str]
    """Names of protocols (tuning, prompts, scoring, ...) -> their versions, part of the fingerprints."""


@dataclass(frozen=True)
class Needs:
    """What one cell holds while it runs."""

    cpus: int
    gpus: float
    memory: int
    """Bytes."""


@dataclass(frozen=True)
class Run:
    """A tuned model to be: one recipe on one base model with one seed."""

    slug: str
    base: Base
    recipe: Recipe
    recipe_name: str
    seed: int
    mixture: tuple[TaskFacts, ...]
    learning_rate: float
    inputs: Inputs


@dataclass(frozen=True)
class Condition:
    """How a model is prompted."""

    name: str
    shots: int
    shot_seed: int
    draw: str

    @property
    def slug(self) -> str:
        """Readable identity, for example base-few-shot-k4-s0."""
        if self.shots == 0:
            return self.name
        return f"{self.name}-k{self.shots}-s{self.shot_seed}" + ("-per-item" if self.draw == "per_item" else "")


@dataclass(frozen=True)
class Cell:
    """One unit of work."""

    kind: Kind
    slug: str
    inputs: Inputs
    needs: Needs
    cost: float
    """Estimated seconds of one core (or of one GPU where the cell needs one)."""
    base: Base

    @property
    def fingerprint(self) -> str:
        """Hash of the inputs."""
        return fingerprint(self.inputs)


@dataclass(frozen=True)
class TuneCell(Cell):
    """A tuning."""

    run: Run


@dataclass(frozen=True)
class EvaluateCell(Cell):
    """One model under one condition on one task."""

    run: Run | None
    """None: the base model itself."""
    condition: Condition
    task: TaskFacts

    @property
    def weights(self) -> str:
        """Slug of the model whose whole weights it needs: a fully tuned run, or the base model (adapters sit on it)."""
        return self.run.slug if self.run and self.run.recipe.method == "full" else self.base.slug


_AnyCell = TypeVar("_AnyCell", bound=Cell)


class Plan(NamedTuple):
    """The cells of a study; base models and tunings longest first."""

    study: Study
    made: tuple[Cell, ...]
    """Base models pretrained or converted here."""
    tunings: tuple[TuneCell, ...]
    evaluations: tuple[EvaluateCell, ...]

    @property
    def cells(self) -> tuple[Cell, ...]:
        """All of them, in the order of the stages."""
        return (*self.made, *self.tunings, *self.evaluations)


class Standing(NamedTuple):
    """How a plan stands against the records of a store."""

    new: tuple[Cell, ...]
    reused: tuple[Cell, ...]
    stale: tuple[tuple[Cell, tuple[str, ...]], ...]
    """Cells recorded with other inputs, each with the leaves that changed."""


def expand(study: Study, facts: Facts) -> Plan:
    """All cells of a study. Raises StudyError where two base models or runs get the same name."""
    _unique([base.slug for base in facts.bases], "base models")
    runs = [
        _run(study, facts, base, recipe, seed)
        for base in facts.bases
        for recipe in study.recipes
        for seed in recipe.seeds
    ]
    _unique([run.slug for run in runs], "runs")
    made = [_make_base(base) for base in facts.bases if base.stored]
    tunings = [_tune(run) for run in runs]
    evaluations = [
        _evaluate(study, facts, base, run, condition, task)
        for base, run in [*((base, None) for base in facts.bases), *((run.base, run) for run in runs)]
        for condition in conditions(study)
        if (condition.name in BASE_CONDITIONS) == (run is None)
        for task in facts.tasks
    ]
    return Plan(study, _longest_first(made), _longest_first(tunings), tuple(evaluations))


def conditions(study: Study) -> list[Condition]:
    """The conditions of a study, few-shot ones once for each count and seed."""
    found: list[Condition] = []
    for name in study.conditions:
        if name in FEW_SHOT_CONDITIONS:
            shots = study.shots
            found += [Condition(name, k, seed, shots.draw) for k in shots.counts for seed in shots.seeds]
        else:
            found.append(Condition(name, 0, 0, "frozen"))
    return found


def standing(plan: Plan, records: Mapping[str, Inputs]) -> Standing:
    """Compare a plan with the inputs of recorded cells (by slug)."""
    new: list[Cell] = []
    reused: list[Cell] = []
    stale: list[tuple[Cell, tuple[str, ...]]] = []
    for cell in plan.cells:
        recorded = records.get(cell.slug)
        if recorded is None:
            new.append(cell)
        elif fingerprint(recorded) == cell.fingerprint:
            reused.append(cell)
        else:
            stale.append((cell, tuple(differences(recorded, cell.inputs))))
    return Standing(tuple(new), tuple(reused), tuple(stale))


def columns(study: str, cell: EvaluateCell, params: int) -> dict[str, object]:
    """The columns of an evaluation's rows that say what was evaluated: study, base, run, condition, task, exposure."""
    run, ladder = cell.run, cell.base.ladder
    return {
        "study": study,
        "base": cell.base.slug,
        "family": cell.base.family,
        "params": params,
        "run": run.slug if run else None,
        "recipe": run.recipe_name if run else None,
        "seed": run.seed if run else None,
        "condition": cell.condition.name,
        "shots": cell.condition.shots,
        "shot_seed": cell.condition.shot_seed,
        "task": cell.task.name,
        "cluster": cell.task.cluster,
        "role": cell.task.role,
        "pretrained_on": cell.task.name not in ladder.without if ladder else None,
        "tuned_on": cell.task.name in {task.name for task in run.mixture} if run else None,
        "fingerprint": cell.fingerprint,
    }


def _unique(slugs: Sequence[str], what: str) -> None:
    for name in slugs:
        if slugs.count(name) > 1:
            raise StudyError(f"two {what} are called {name}: give one entry of the study another `name`")


def _longest_first(cells: list[_AnyCell]) -> tuple[_AnyCell, ...]:
    return tuple(sorted(cells, key=lambda cell: (-cell.cost, cell.slug)))


def _run(study: Study, facts: Facts, base: Base, recipe: Recipe, seed: int) -> Run:
    name = recipe.name or recipe.method
    ladder = base.source == "ladder"
    default = (5e-4 if ladder else 2e-5) if recipe.method == "full" else (5e-3 if ladder else 2e-4)
    rate = recipe.learning_rate or default
    mixture = facts.mixtures[name]
    settings = recipe.model_dump(mode="json", exclude={"name", "seeds", "mixture", "learning_rate"})
    if recipe.method == "full":
        del settings["lora"]
    inputs: dict[str, object] = {
        "base": base.inputs,
        "recipe": {**settings, "learning_rate": rate},
        "mixture": {task.name: task.inputs for task in mixture},
        "seed": seed,
        "study_seed": study.seed,
        "protocols": {key: facts.protocols[key] for key in ("tuning", "prompts")},
    }
    return Run(f"{base.slug}.{slug(name)}-s{seed}", base, recipe, name, seed, mixture, rate, inputs)


def _make_base(base: Base) -> Cell:
    kind: Kind = "pretrain" if base.source == "ladder" else "convert"
    seconds = _seconds(base, base.ladder.tokens, 6, 0) if base.ladder else base.params * _CONVERT_SECONDS
    needs = replace(_needs(base, 4), gpus=0)  # both run on the CPU
    return Cell(kind, f"{kind}/{base.slug}", base.inputs, needs, seconds, base)


def _tune(run: Run) -> TuneCell:
    tokens = run.recipe.examples * run.recipe.epochs * _PROMPT_TOKENS
    copies = 4 if run.recipe.method == "full" else 1.5  # weights, gradients and two moments; or frozen weights
    needs = _needs(run.base, copies)
    return TuneCell(
        "tune", f"tune/{run.slug}", run.inputs, needs, _seconds(run.base, tokens, 6, needs.gpus), run.base, run
    )


def _evaluate(
    study: Study, facts: Facts, base: Base, run: Run | None, condition: Condition, task: TaskFacts
) -> EvaluateCell:
    inputs: dict[str, object] = {
        "model": run.inputs if run else base.inputs,
        "task": task.inputs,
        "condition": {
            "name": condition.name,
            "shots": condition.shots,
            "shot_seed": condition.shot_seed,
            "draw": condition.draw,
        },
        "items": study.test_items,
        "study_seed": study.seed,
        "answers": study.answers.model_dump(mode="json"),
        "protocols": {key: facts.protocols[key] for key in ("prompts", "scoring", "judgement")},
    }
    needs = _needs(base, 1)
    tokens = study.test_items * (condition.shots + 1) * _PROMPT_TOKENS * len(study.answers.modes)
    where = f"evaluate/{run.slug if run else base.slug}/{condition.slug}/{task.name}"
    cost = _seconds(base, tokens, 2, needs.gpus)
    return EvaluateCell("evaluate", where, inputs, needs, cost, base, run, condition, task)


def _needs(base: Base, copies: float) -> Needs:
    given = base.resources.memory_gb
    estimated = base.params * BYTES[base.dtype] * (copies + 0.5) + 0.5e9
    # Rounded up to a power of two, so that cells of like size are interchangeable and share worker processes.
    memory = int(given * 1e9) if given else 2 ** math.ceil(math.log2(max(estimated, 2**30)))
    return Needs(base.resources.cpus, base.resources.gpus, memory)


def _seconds(base: Base, tokens: int, flops_per_parameter: int, gpus: float) -> float:
    flops = flops_per_parameter * base.params * tokens
    if gpus:
        return flops / _GPU_FLOPS + 30
    return tokens * _TOKEN_SECONDS * flops_per_parameter / 2 + flops / _CORE_FLOPS
