"""Study -> ordered cells, with their needs and estimated cost. Pure: reads nothing, computes nothing.

What a cell is made of (`inputs`) is kept apart from where it runs; its fingerprint is the hash of the inputs.
Inputs are nested: an evaluation holds the tuning's, which holds the base model's, so a change anywhere below is
seen above, and two records can be compared leaf by leaf to say what changed.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, TypeVar, cast

from app import costs
from app.errors import StudyError
from app.identity import differences, fingerprint, slug
from app.study import ConditionName, Recipe, Resources, Study, WordingName

Kind = Literal["pretrain", "convert", "tune", "evaluate"]
Inputs = Mapping[str, object]
BASE_CONDITIONS = ("base-zero-shot", "base-few-shot", "base-direct", "gold-pipeline", "gold-pipeline-cross-task")
"""A base model's own; all others belong to a tuned model."""
FEW_SHOT_CONDITIONS = ("base-few-shot", "tuned-few-shot")
GOLD_CONDITIONS = ("gold-pipeline", "gold-pipeline-cross-task")
PASSED_ON_CONDITIONS = ("samplegen-pipeline", "samplegen-restated")
"""The base model answers, given what a tuned model wrote under samplegen-direct."""
_UNIFIED = "samplegen-unified"  # the format whose prompts have a wording of their own

_CONVERT_SECONDS = 2e-7  # of one parameter of a GGUF file

# Of estimates alone, all assumed. A prompt has tokens beside its items, and so has each item in it. The longest text
# that a batch waits for is some times as long as the mean, and a task has about four options.
_FRAME_TOKENS, _BLOCK_TOKENS, _LONGEST, _OPTIONS = 12, 8, 4, 4
_FREE = ("exact_match", "squad_f1", "trivia_f1", "rougeLsum", "bleu", "word_edit_similarity")  # answers without options


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
    called: tuple[str, ...] = ()
    """What a recipe may call it by."""

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
    tokens: int = 30
    """About how many tokens an item has."""
    answer_tokens: int = 3
    """About how many tokens an answer has."""


@dataclass(frozen=True)
class Facts:
    """What higher floors know and the plan needs: the study's names resolved, and versions of the protocols."""

    bases: tuple[Base, ...]
    tasks: tuple[TaskFacts, ...]
    mixtures: Mapping[str, tuple[TaskFacts, ...]]
    """Recipe name -> the tasks of its mixture."""
    cross_task: tuple[TaskFacts, ...]
    """Tasks that cross-task demonstrations are drawn from; empty where the study asks for none."""
    protocols: Mapping[str, str]
    """Names of protocols (tuning, prompts, scoring, ...) -> their versions, part of the fingerprints."""
    encoder: str = ""
    """Folder or hub id of the encoder of BERTScore accuracy; empty where the study asks for none."""


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
    evaluated: tuple[TaskFacts, ...] = ()
    """Tasks whose test items its mixture must not hold; empty where the recipe does not ask for that."""


@dataclass(frozen=True)
class Condition:
    """How a model is prompted."""

    name: ConditionName
    shots: int
    """Demonstrations, or worked examples asked for."""
    shot_seed: int
    draw: str
    wording: WordingName = "standard"

    @property
    def slug(self) -> str:
        """Readable identity, for example base-few-shot-k4-s0, or base-zero-shot.closed."""
        drawn = self.name in FEW_SHOT_CONDITIONS + GOLD_CONDITIONS
        per_item = self.draw == "per_item" and self.name in FEW_SHOT_CONDITIONS
        return (
            self.name
            + (f"-k{self.shots}" if self.shots else "")
            + (f"-s{self.shot_seed}" if drawn else "")
            + ("-per-item" if per_item else "")
            + (f".{self.wording}" if self.wording != "standard" else "")
        )


@dataclass(frozen=True)
class Cell:
    """One unit of work."""

    kind: Kind
    slug: str
    inputs: Inputs
    needs: Needs
    cost: float
    """Estimated seconds of one core, or of one `costs.REFERENCE` where the cell needs a GPU."""
    base: Base

    @property
    def fingerprint(self) -> str:
        """Hash of the inputs."""
        return fingerprint(self.inputs)


@dataclass(frozen=True)
class TuneCell(Cell):
    """A tuning."""

    run: Run
    phases: tuple[costs.Phase, ...]
    """What its cost is made of."""
    tokens: int
    """Trained on, by estimate."""
    batch_tokens: int
    """Of its longest batch, by estimate."""


@dataclass(frozen=True)
class EvaluateCell(Cell):
    """One model under one condition on one task."""

    run: Run | None
    """Whose score it is; None: the base model's own."""
    condition: Condition
    task: TaskFacts
    phases: tuple[costs.Phase, ...]
    """What its cost is made of."""
    prompt_tokens: int
    """Read, by estimate: every prompt once for each way of answering."""
    generated_tokens: int
    """Written, by estimate."""
    writer: "EvaluateCell | None" = None
    """The cell whose responses are passed on to the base model; it is evaluated before."""
    cross_task: tuple[TaskFacts, ...] = ()
    """Tasks that its demonstrations come from, where they are not its own."""
    encoder: str = ""
    """Folder or hub id of the encoder of BERTScore accuracy; empty: not asked for."""

    @property
    def answerer(self) -> Run | None:
        """The tuned model that answers; None: the base model does."""
        return None if self.writer else self.run

    @property
    def weights(self) -> str:
        """Slug of the model whose whole weights it needs: a fully tuned run, or the base model (adapters sit on it)."""
        run = self.answerer
        return run.slug if run and run.recipe.method == "full" else self.base.slug


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
        if not recipe.bases or set(recipe.bases) & set(base.called)
        for seed in recipe.seeds
    ]
    _unique([run.slug for run in runs], "runs")
    made = [_make_base(base) for base in facts.bases if base.stored]
    tunings = [_tune(run) for run in runs]
    evaluations: dict[str, EvaluateCell] = {}
    for base, run in [*((base, None) for base in facts.bases), *((run.base, run) for run in runs)]:
        # A pipeline's cells come after the cells that write for it.
        for condition in sorted(conditions(study), key=lambda c: c.name in PASSED_ON_CONDITIONS):
            if _fits(condition, run):
                for task in facts.tasks:
                    cell = _evaluate(study, facts, base, run, condition, task, evaluations)
                    evaluations[cell.slug] = cell
    return Plan(study, _longest_first(made), _longest_first(tunings), tuple(evaluations.values()))


def conditions(study: Study) -> list[Condition]:
    """The conditions of a study in each of its wordings, few-shot ones once for each count and seed."""
    found: list[Condition] = []
    shots, worked = study.shots, study.pipelines.examples
    for name in study.conditions:
        for wording in study.wordings:
            if name in FEW_SHOT_CONDITIONS:
                found += [Condition(name, k, seed, shots.draw, wording) for k in shots.counts for seed in shots.seeds]
            elif name in GOLD_CONDITIONS:
                found += [Condition(name, worked, seed, "per_item", wording) for seed in shots.seeds]
            elif name.startswith("samplegen"):
                found.append(Condition(name, worked, 0, "per_item", wording))
            else:
                found.append(Condition(name, 0, 0, "frozen", wording))
    return found


def _fits(condition: Condition, run: Run | None) -> bool:
    """Whether a model is evaluated under a condition."""
    if run is None or condition.name in BASE_CONDITIONS:
        return run is None and condition.name in BASE_CONDITIONS
    return condition.name.startswith("samplegen") == (run.recipe.format != "regular")


def standing(plan: Plan, records: Mapping[str, Inputs]) -> Standing:
    """Compare a plan with the inputs of recorded cells (by slug)."""
    new: list[Cell] = []
    reused: list[Cell] = []
    stale: list[tuple[Cell, tuple[str, ...]]] = []
    for cell in plan.cells:
        recorded = records.get(cell.slug)
        if recorded is None:
            new.append(cell)
        elif _same(recorded, cell.inputs):
            reused.append(cell)
        else:
            stale.append((cell, tuple(differences(recorded, cell.inputs))))
    return Standing(tuple(new), tuple(reused), tuple(stale))


def _same(recorded: object, wanted: object) -> bool:
    """Whether two inputs have one fingerprint, without making it: a plan has thousands of cells with long inputs."""
    if isinstance(recorded, Mapping) and isinstance(wanted, Mapping):
        return recorded.keys() == wanted.keys() and all(_same(recorded[key], wanted[key]) for key in wanted)
    if isinstance(recorded, list | tuple) and isinstance(wanted, list | tuple):
        return len(recorded) == len(wanted) and all(map(_same, recorded, wanted))
    return type(recorded) is type(wanted) and recorded == wanted


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
        "format": run.recipe.format if run else None,
        "seed": run.seed if run else None,
        "condition": cell.condition.name,
        "wording": cell.condition.wording,
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
    # Those of other columns, and what changes memory but no number.
    named = {"name", "bases", "seeds", "mixture", "learning_rate", "decontaminate", "gradient_checkpointing"}
    settings = recipe.model_dump(mode="json", exclude=named)
    if recipe.method == "full":
        del settings["lora"]
    if recipe.format != "regular":
        settings["worked_examples"] = study.pipelines.examples
    evaluated = facts.tasks if recipe.decontaminate else ()
    inputs: dict[str, object] = {
        "base": base.inputs,
        "recipe": {**settings, "learning_rate": rate},
        "mixture": {task.name: task.inputs for task in mixture},
        "seed": seed,
        "study_seed": study.seed,
        "protocols": _protocols(facts, "tuning", "prompts", worded=recipe.format == _UNIFIED),
    }
    if recipe.decontaminate:
        inputs["without_test_items_of"] = {task.name: task.inputs for task in evaluated}
    return Run(f"{base.slug}.{slug(name)}-s{seed}", base, recipe, name, seed, mixture, rate, inputs, evaluated)


def _make_base(base: Base) -> Cell:
    kind: Kind = "pretrain" if base.source == "ladder" else "convert"
    seconds = base.params * _CONVERT_SECONDS
    if base.ladder:
        seconds = costs.core_seconds(costs.tuning(base.params, base.dtype, "full", base.ladder.tokens, 0, 1))
    needs = replace(_needs(base, 4), gpus=0)  # both run on the CPU
    return Cell(kind, f"{kind}/{base.slug}", base.inputs, needs, seconds, base)


def _tune(run: Run) -> TuneCell:
    recipe, base = run.recipe, run.base
    shown = 1 if recipe.format == "regular" else cast(int, _settings(run)["worked_examples"]) + 2
    lengths = [_FRAME_TOKENS + shown * (_BLOCK_TOKENS + task.tokens + task.answer_tokens) for task in run.mixture]
    mean = sum(min(length, recipe.max_length) for length in lengths) / len(lengths)
    tokens = round(recipe.examples * recipe.epochs * mean)
    steps = math.ceil(recipe.examples / recipe.batch) * recipe.epochs
    longest = min(recipe.max_length, _LONGEST * max(lengths))
    copies = 4 if recipe.method == "full" else 1.5  # weights, gradients and two moments; or frozen weights
    needs = _needs(base, copies)
    again = recipe.gradient_checkpointing
    phases = (costs.tuning(base.params, base.dtype, recipe.method, tokens, mean, steps, again),)
    seconds = _seconds(phases, needs) + (costs.load_seconds(base.params, base.dtype) if needs.gpus else 0)
    return TuneCell(
        "tune", f"tune/{run.slug}", run.inputs, needs, seconds, base, run, phases, tokens, recipe.batch * longest
    )


def _evaluate(
    study: Study,
    facts: Facts,
    base: Base,
    run: Run | None,
    condition: Condition,
    task: TaskFacts,
    earlier: Mapping[str, EvaluateCell],
) -> EvaluateCell:
    def place(condition: Condition) -> str:
        return f"evaluate/{run.slug if run else base.slug}/{condition.slug}/{task.name}"

    described: dict[str, object] = {
        "name": condition.name,
        "shots": condition.shots,
        "shot_seed": condition.shot_seed,
        "draw": condition.draw,
        "wording": condition.wording,
    }
    inputs: dict[str, object] = {
        "model": run.inputs if run else base.inputs,
        "task": task.inputs,
        "condition": described,
        "items": study.test_items,
        "study_seed": study.seed,
        "answers": study.answers.model_dump(mode="json"),
        "protocols": _protocols(
            facts,
            "prompts",
            "scoring",
            "judgement",
            worded=condition.wording != "standard" or (run is not None and run.recipe.format == _UNIFIED),
        ),
    }
    cross_task = facts.cross_task if condition.name == "gold-pipeline-cross-task" else ()
    if cross_task:
        described["from"] = {other.name: other.inputs for other in cross_task}
    if condition.name == "samplegen-direct":
        described["max_new_tokens"] = study.pipelines.max_new_tokens
    writer = earlier[place(replace(condition, name="samplegen-direct"))] if _passed_on(condition) else None
    if writer:
        inputs |= {"model": base.inputs, "written_by": writer.inputs}
    needs = _needs(base, 1)
    phases, read, written = _answering(study, facts, base, condition, task)
    return EvaluateCell(
        "evaluate", place(condition), inputs, needs, _seconds(phases, needs), base, run, condition, task, phases, read,
        written, writer, cross_task, facts.encoder,
    )  # fmt: skip


def _answering(
    study: Study, facts: Facts, base: Base, condition: Condition, task: TaskFacts
) -> tuple[tuple[costs.Phase, ...], int, int]:
    """What answering a task's items costs, the tokens read and those written."""
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
    return phases, round(read), round(written)


def _protocols(facts: Facts, *names: str, worded: bool) -> dict[str, str]:
    """The versions of these protocols; `worded`: also that of the wordings beside the standard one."""
    return {name: facts.protocols[name] for name in (*names, *(["wordings"] if worded else []))}


def _passed_on(condition: Condition) -> bool:
    return condition.name in PASSED_ON_CONDITIONS


def _settings(run: Run) -> Mapping[str, object]:
    return cast(Mapping[str, object], run.inputs["recipe"])


def _needs(base: Base, copies: float) -> Needs:
    """`copies` of the weights in memory; on a GPU they only pass through it, once."""
    given, gpus = base.resources.memory_gb, base.resources.gpus
    weights = base.params * costs.BYTES[base.dtype]
    estimated = 1.2 * weights + 4e9 if gpus else weights * (copies + 0.5) + 0.5e9
    # Rounded up to a power of two, so that cells of like size are interchangeable and share worker processes.
    memory = int(given * 1e9) if given else 2 ** math.ceil(math.log2(max(estimated, 2**30)))
    return Needs(base.resources.cpus, gpus, memory)


def _seconds(phases: Sequence[costs.Phase], needs: Needs) -> float:
    if needs.gpus:
        return sum(costs.gpu_seconds(phase, costs.REFERENCE) for phase in phases)
    return sum(costs.core_seconds(phase) for phase in phases)
