"""What a study consists of: base models, runs, conditions and the cells that compute them.

What a cell is made of (`inputs`) is kept apart from where it runs; its fingerprint is the hash of the inputs.
Inputs are nested: an evaluation holds the tuning's, which holds the base model's, so a change anywhere below is
seen above, and two records can be compared leaf by leaf to say what changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from app import costs
from app.identity import fingerprint
from app.study import ConditionName, Recipe, Resources, Study, WordingName

Kind = Literal["pretrain", "convert", "tune", "evaluate"]
Inputs = Mapping[str, object]
BASE_CONDITIONS = ("base-zero-shot", "base-few-shot", "base-direct", "gold-pipeline", "gold-pipeline-cross-task")
"""A base model's own; all others belong to a tuned model."""
FEW_SHOT_CONDITIONS = ("base-few-shot", "tuned-few-shot")
GOLD_CONDITIONS = ("gold-pipeline", "gold-pipeline-cross-task")
PASSED_ON_CONDITIONS = ("samplegen-pipeline", "samplegen-restated")
"""The base model answers, given what a tuned model wrote under samplegen-direct."""


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
    known_shape: costs.Shape | None = None
    """As the catalogue has it."""

    @property
    def shape(self) -> costs.Shape:
        """Layers and widths, estimated where they are not known."""
        return self.known_shape or costs.estimated_shape(self.params)

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
    """What one cell holds while it runs: as much for each of its workers."""

    cpus: int
    gpus: float
    memory: int
    """Bytes."""
    workers: int = 1


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
    gpu_bytes: float
    """Memory of one worker at its peak, by estimate, were it on a GPU."""
    beside: tuple[Run, ...] = ()
    """Runs that are tuned in one process, its own among them; empty: it is tuned alone."""


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
    gpu_bytes: float
    """Memory at its peak, by estimate, were it on a GPU."""
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
