"""What a study file says: the whole experiment, frozen.

It says *what*; flags say only *where*. No flag can change a number in a report. A field's documentation is the
sentence below it, with its unit.
"""

import re
from typing import Annotated, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from app.identity import slug

SCHEMA_VERSION = 1

Dtype = Literal["float32", "bfloat16", "float16", "nf4"]
GpuName = Literal["T4", "L4", "A10G", "A100-40", "A100-80", "H100-80", "H200"]
Strategy = Literal["ddp", "zero1", "zero2", "zero3"]
Location = tuple[int | str, ...]
ConditionName = Literal[
    "base-zero-shot",
    "base-few-shot",
    "base-direct",
    "gold-pipeline",
    "gold-pipeline-cross-task",
    "tuned-direct",
    "tuned-few-shot",
    "samplegen-direct",
    "samplegen-pipeline",
    "samplegen-restated",
]
"""base-zero-shot: the item alone. base-direct: the tuned side's own prompt, given to the base model.

gold-pipeline: the base model with demonstrations drawn for each item; cross-task: of tasks of other clusters.
samplegen-direct: a SampleGen model writes worked examples, restates the item and answers it. samplegen-pipeline: the
base model is given what the SampleGen model wrote for this item, up to its answer. samplegen-restated: likewise, but
the item stands in the study's own words.
"""
WordingName = Literal[
    "standard",
    "closed",
    "closed-adversarial",
    "plain",
    "ornate-1",
    "ornate-2",
    "ornate-3",
    "ornate-4",
    "ornate-5",
    "ornate-6",
    "unified",
    "translated",
]
"""How an item and its options read; see `app.tasks.wordings`."""
Format = Literal[
    "regular",
    "samplegen",
    "samplegen-corrupted",
    "samplegen-relevance",
    "samplegen-no-answer",
    "samplegen-unified",
]
"""What a recipe tunes on. regular: an instruction, the item, the answer. samplegen: worked examples come first.

corrupted: the worked examples are blank. relevance: they are of another task. no-answer: they lack their answers.
unified: fields are called Input 1, Input 2 and so on.
"""


def _no_flag(value: object) -> object:
    """YAML reads yes and no as flags; pydantic would take them for 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("a number is wanted, not yes or no")
    return value


Whole = Annotated[int, BeforeValidator(_no_flag)]
Real = Annotated[float, BeforeValidator(_no_flag)]
NotNegative = Annotated[Real, Field(ge=0)]
_Value = TypeVar("_Value")


def _once(values: tuple[_Value, ...]) -> tuple[_Value, ...]:
    """The values, if none is given twice: each stands for cells of its own."""
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"{value} is given twice")
    return values


class Strict(BaseModel):
    """Frozen; unknown keys are refused; a sentence under a field is its description."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


class Resources(Strict):
    """What one worker that holds this base model needs, for tuning and for evaluation."""

    cpus: Whole = Field(default=1, ge=1)
    """CPU cores; also the number of threads."""
    gpus: Literal["auto"] | NotNegative = 0
    """GPUs; a fraction shares one. auto: as many, or such a part of one, as the memory estimate asks for."""
    gpu: GpuName = "A100-80"
    """The kind of GPU that auto reckons with."""
    memory_gb: Real | None = Field(default=None, gt=0)
    """Memory in GB; left out: estimated from the parameters."""


class Pretraining(Strict):
    """How a base model of the embedded ladder is pretrained."""

    tokens: Whole = Field(default=1_000_000, ge=1_000)
    """Length of the corpus in tokens; each is seen once."""
    without: tuple[str, ...] = ()
    """Tasks (or set:NAME, cluster:NAME) that the corpus leaves out; their words stay in unrelated documents."""
    seeds: tuple[Whole, ...] = Field(default=(0,), min_length=1)
    """One independent pretraining each: initial weights, corpus and order."""
    learning_rate: Real | None = Field(default=None, gt=0)
    """Peak learning rate; left out: the ladder's measured one for this size."""


class _Base(Strict):
    family: str = Field(min_length=1)
    """Models of one family share architecture and pretraining recipe; intervals treat families as clusters."""
    name: str = ""
    """A readable name; left out: made from family and size or from the id."""
    dtype: Dtype = "float32"
    """Precision of the weights, the same on both sides of a pair."""
    resources: Resources = Resources()
    """What one worker with this model needs."""


class LadderBases(_Base):
    """Small models of one architecture, pretrained on the spot; one base model for each size and seed."""

    source: Literal["ladder"]
    """Pretrained on the spot."""
    sizes: tuple[str, ...] = Field(min_length=1)
    """WIDTHxLAYERS, for example 64x2."""
    pretraining: Pretraining = Pretraining()
    """The corpus and the run."""

    @field_validator("sizes")
    @classmethod
    def _sizes(cls, sizes: tuple[str, ...]) -> tuple[str, ...]:
        for size in sizes:
            if not re.fullmatch(r"\d+x\d+", size):
                raise ValueError(f"size {size!r} is not WIDTHxLAYERS, for example 64x2")
        return sizes


class HubBase(_Base):
    """A model on the Hugging Face hub."""

    source: Literal["hub"]
    """Fetched from the hub."""
    id: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    """OWNER/NAME."""
    revision: str = Field(min_length=1)
    """A commit or tag, so that the weights stay the same."""
    params: Whole | None = Field(default=None, gt=0)
    """Number of parameters, for cost estimates before the weights are there."""
    trust_remote_code: bool = False
    """Run the Python code that the repository carries; off unless asked for here by name."""


class CheckpointBase(_Base):
    """A Hugging Face checkpoint in a local folder (safetensors)."""

    source: Literal["checkpoint"]
    """Read from a local folder."""
    path: str = Field(min_length=1)
    """The folder; relative to the study file."""
    params: Whole | None = Field(default=None, gt=0)
    """Number of parameters, for cost estimates."""


class GgufBase(_Base):
    """A GGUF file; its weights are de-quantised once into `dtype`."""

    source: Literal["gguf"]
    """Read from a GGUF file."""
    path: str = Field(min_length=1)
    """The file, relative to the study file; or package://PACKAGE/FILE for one that an installed package ships."""
    params: Whole = Field(gt=0)
    """Number of parameters, for cost estimates."""


BaseEntry = Annotated[LadderBases | HubBase | CheckpointBase | GgufBase, Field(discriminator="source")]


class Lora(Strict):
    """Low-rank adapters."""

    rank: Whole = Field(default=8, ge=1)
    """Rank of each adapter."""
    alpha: Real = Field(default=16, gt=0)
    """Scale: adapters are multiplied by alpha / rank."""
    dropout: Real = Field(default=0, ge=0, lt=1)
    """Dropout before each adapter."""
    targets: Literal["all-linear"] | tuple[str, ...] = "all-linear"
    """Modules that get an adapter: all linear ones but the output head, or names."""


class Recipe(Strict):
    """How base models are tuned; one tuned model for each base model and seed."""

    method: Literal["full", "lora", "qlora"]
    """full: all weights. lora: adapters. qlora: adapters on a base model held in nf4."""
    name: str = ""
    """A readable name; left out: the method."""
    bases: tuple[str, ...] = ()
    """Base models it is applied to: families, names or hub ids; left out: all."""
    format: Format = "regular"
    """Prompt format tuned on."""
    chat: bool = False
    """Put every prompt of the tuned model into the chat template of its tokenizer."""
    mixture: tuple[str, ...] = Field(default=("set:tune",), min_length=1)
    """Tasks tuned on: names, set:tune, cluster:NAME; a leading minus takes away again."""
    decontaminate: bool = False
    """Leave out training examples that hold a test item of any evaluated task, by text or by 13 words in a row."""
    rate_cap: Whole = Field(default=3_000, ge=1)
    """A task is drawn in proportion to min(its examples, rate_cap)."""
    examples: Whole = Field(default=2_000, ge=1)
    """Examples drawn from the mixture for one epoch."""
    epochs: Whole = Field(default=1, ge=1)
    """Passes over the drawn examples."""
    batch: Whole = Field(default=32, ge=1)
    """Examples in an optimiser step."""
    workers: Whole = Field(default=1, ge=1)
    """Processes that tune together, each with the resources of the base model; they divide every step's batch."""
    strategy: Strategy = "ddp"
    """ddp: each worker holds all. DeepSpeed's zero1, zero2, zero3: they divide optimiser states, then gradients, then
    weights."""
    offload: bool = False
    """With zero: keep optimiser states, and in zero3 weights, in main memory."""
    micro_batch: Whole | None = Field(default=None, ge=1)
    """Examples of one pass of one worker; left out: batch / workers. A step adds up the gradients of its passes."""
    gradient_checkpointing: bool = False
    """Compute activations again in the backward pass instead of keeping them: far less memory, a third more time."""
    learning_rate: Real | None = Field(default=None, gt=0)
    """Peak rate; left out: full 5e-4 and lora 5e-3 on the ladder, full 2e-5 and lora 2e-4 elsewhere."""
    warmup: Real = Field(default=0.03, ge=0, lt=1)
    """Share of the steps in which the rate rises from 0; then it falls linearly to 5 % of the peak."""
    weight_decay: Real = Field(default=0.0, ge=0)
    """AdamW's decoupled weight decay."""
    max_length: Whole = Field(default=512, ge=16)
    """Tokens of an example; a longer prompt is cut on its left, the answer never."""
    lora: Lora = Lora()
    """Adapter settings of lora and qlora."""
    seeds: tuple[Whole, ...] = Field(default=(0,), min_length=1)
    """One tuned model each: draw and order of the examples, initial adapter weights."""

    @property
    def rows(self) -> int:
        """Examples that one worker holds at once."""
        return min(self.micro_batch or self.batch, -(-self.batch // self.workers))

    @model_validator(mode="after")
    def _divided(self) -> "Recipe":
        if self.batch % self.workers:
            raise ValueError(f"a batch of {self.batch} cannot be divided among {self.workers} workers evenly")
        if self.strategy != "ddp" and self.workers == 1:
            raise ValueError(f"{self.strategy} divides a model among workers: give workers: 2 or more")
        if self.offload and self.strategy == "ddp":
            raise ValueError("offload needs strategy: zero1, zero2 or zero3")
        if self.method == "qlora" and self.strategy == "zero3":
            raise ValueError("zero3 cannot divide weights held in 4 bits: use lora, or zero2")
        return self


class Shots(Strict):
    """Demonstrations of few-shot prompts."""

    counts: tuple[Whole, ...] = Field(default=(4,), min_length=1)
    """Demonstrations in a prompt; one condition for each count."""
    draw: Literal["frozen", "per_item"] = "frozen"
    """frozen: one draw for each task and seed, the same for every model; per_item: drawn anew for each item."""
    seeds: tuple[Whole, ...] = Field(default=(0,), min_length=1)
    """Seeds of the draws."""

    @field_validator("counts", "seeds")
    @classmethod
    def _different(cls, values: tuple[int, ...]) -> tuple[int, ...]:
        return _once(values)

    @field_validator("counts")
    @classmethod
    def _counts(cls, counts: tuple[int, ...]) -> tuple[int, ...]:
        if min(counts) < 1:
            raise ValueError("a few-shot prompt has at least 1 demonstration; base-zero-shot is its own condition")
        return counts


class Pipelines(Strict):
    """Worked examples: what SampleGen recipes are tuned to write, and what the pipelines give to a base model."""

    examples: Whole = Field(default=2, ge=1)
    """Worked examples before an item."""
    max_new_tokens: Whole = Field(default=256, ge=16)
    """Longest text that a SampleGen model writes for an item."""
    cross_task: tuple[str, ...] = Field(default=("set:tune",), min_length=1)
    """Tasks that cross-task demonstrations are drawn from; never the evaluated task's own cluster."""


class BertScore(Strict):
    """The encoder of BERTScore accuracy: the option nearest to the generated answer counts as chosen."""

    encoder: str = Field(min_length=1)
    """Hub id, or a local folder, relative to the study file; package://PACKAGE/FOLDER for one in a package."""
    layers: Whole | None = Field(default=None, ge=1)
    """Layer whose vectors are compared; left out: bert-score's own for a known encoder, else the last."""


class Source(Strict):
    """Where a task's examples come from, in place of the catalogue's source; columns must be the same."""

    id: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    """OWNER/NAME on the hub, or below the data mirror."""
    config: str = "default"
    """Its configuration."""
    train: str = "train"
    """The split that demonstrations and mixtures draw from."""
    test: str = "validation"
    """The labelled split that is evaluated; where it is `train` too, the split is cut in two."""
    revision: str | None = None
    """A commit, branch or tag."""


class Answers(Strict):
    """How answers are read from a model; both modes see the same items."""

    modes: tuple[Literal["loglikelihood", "generation"], ...] = Field(
        default=("loglikelihood", "generation"), min_length=1
    )
    """loglikelihood: the likeliest of the item's options. generation: greedy text, then an answer is extracted."""
    pmi: bool = False
    """Score the options a second time, without the item, for accuracy by pointwise mutual information."""
    max_new_tokens: Whole = Field(default=16, ge=1)
    """Longest generated answer."""
    bertscore: BertScore | None = None
    """Also score generated answers by BERTScore accuracy, for tasks with options."""


class Analysis(Strict):
    """Which pairs are correlated and how."""

    x: ConditionName = "base-few-shot"
    """The predictor."""
    y: ConditionName | Literal["direct"] = "tuned-direct"
    """What is predicted; direct: tuned-direct of regular recipes and samplegen-direct of SampleGen ones."""
    wording: WordingName | None = None
    """Wording whose scores are paired; left out: the study's first."""
    baseline: ConditionName | None = "base-zero-shot"
    """A rival predictor, correlated with y in the same way."""
    shots: Whole | None = None
    """Demonstrations of the predictor; left out: the largest count of the study."""
    metric: str = "primary"
    """`primary`: each task's own; or one metric for all, for example exact_match."""
    cluster_by: Literal["family", "base"] = "family"
    """What intervals treat as independent; base (a pretraining run) where families are few."""


class Limits(Strict):
    """What a study may take: a pair that was begun is finished before another starts; the rest is left undone."""

    core_hours: Real | None = Field(default=None, gt=0)
    """Hours of CPU cores, of cells without a GPU."""
    gpu_hours: Real | None = Field(default=None, gt=0)
    """Hours of GPUs."""
    deadline: AwareDatetime | None = None
    """No pair begins that would end later by the estimate, for example 2030-01-31T18:00:00Z."""


class Study(Strict):
    """The whole experiment."""

    schema_version: Literal[1]
    """Version of this format."""
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    """Names the study in every table."""
    description: str = ""
    """A sentence for the report."""
    bases: tuple[BaseEntry, ...] = Field(min_length=1)
    """Base models."""
    recipes: tuple[Recipe, ...] = Field(min_length=1)
    """Tunings; each is applied to every base model."""
    tasks: tuple[str, ...] = Field(default=("set:evaluate", "set:tune"), min_length=1)
    """Tasks evaluated: names, set:NAME, cluster:NAME; a leading minus takes away again."""
    conditions: tuple[ConditionName, ...] = ("base-zero-shot", "base-few-shot", "tuned-direct")
    """Conditions evaluated."""
    wordings: tuple[WordingName, ...] = Field(default=("standard",), min_length=1)
    """Wordings evaluated; every condition is evaluated in each."""
    shots: Shots = Shots()
    """Demonstrations; a number is short for its counts."""
    pipelines: Pipelines = Pipelines()
    """Worked examples."""
    sources: dict[str, Source] = Field(default_factory=dict[str, Source])
    """Task -> where its examples come from instead."""
    test_items: Whole = Field(default=100, ge=1)
    """Items of a task at most; the first of a seeded order."""
    answers: Answers = Answers()
    """How answers are read."""
    analysis: Analysis = Analysis()
    """What is correlated."""
    limits: Limits = Limits()
    """What the study may take."""
    seed: Whole = 0
    """Seed of everything that has no seed of its own."""

    @field_validator("conditions", "wordings")
    @classmethod
    def _different(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        return _once(values)

    @field_validator("shots", mode="before")
    @classmethod
    def _short_shots(cls, value: object) -> object:
        return {"counts": [value]} if isinstance(value, int) and not isinstance(value, bool) else value

    @model_validator(mode="after")
    def _consistent(self) -> "Study":
        formats = {recipe.format for recipe in self.recipes}
        direct = {"regular": "tuned-direct"}
        predicted = [direct.get(form, "samplegen-direct") for form in sorted(formats)]
        for needed in (self.analysis.x, *(predicted if self.analysis.y == "direct" else [self.analysis.y])):
            if needed not in self.conditions:
                raise ValueError(f"analysis needs the condition {needed}, which conditions leaves out")
        for name in self.conditions:
            if name in ("samplegen-pipeline", "samplegen-restated") and "samplegen-direct" not in self.conditions:
                raise ValueError(f"{name} needs what samplegen-direct writes: add samplegen-direct to conditions")
            if name.startswith("samplegen") and formats == {"regular"}:
                raise ValueError(f"the condition {name} needs a recipe with `format: samplegen`")
            if name in ("tuned-direct", "tuned-few-shot") and "regular" not in formats:
                raise ValueError(f"the condition {name} needs a recipe with `format: regular`")
        if self.analysis.wording is not None and self.analysis.wording not in self.wordings:
            raise ValueError(f"analysis.wording is {self.analysis.wording}, but wordings has {list(self.wordings)}")
        if self.analysis.shots is not None and self.analysis.shots not in self.shots.counts:
            raise ValueError(f"analysis.shots is {self.analysis.shots}, but shots.counts has {list(self.shots.counts)}")
        names = [recipe.name or recipe.method for recipe in self.recipes]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two recipes are called {name}: give one another `name`")
            slug(name)
        for recipe in self.recipes:
            applied = [base for base in self.bases if applies(recipe, base)]
            unknown = [name for name in recipe.bases if not any(name in called(base) for base in self.bases)]
            if unknown:
                raise ValueError(
                    f"recipe {recipe.name or recipe.method} names the base {unknown[0]}, which bases lacks"
                )
            for base in applied:
                if recipe.method == "qlora" and base.dtype != "nf4":
                    raise ValueError(
                        f"qlora tunes base models held in 4 bits, and both sides of a pair need one precision: "
                        f"give {base.name or base.family} `dtype: nf4`"
                    )
        return self


def applies(recipe: Recipe, base: BaseEntry) -> bool:
    """Whether a recipe tunes the base models of an entry."""
    return not recipe.bases or any(name in recipe.bases for name in called(base))


def called(base: BaseEntry) -> tuple[str, ...]:
    """What a recipe may call an entry by."""
    own = base.id if isinstance(base, HubBase) else base.name
    return tuple(filter(None, (base.family, base.name, own)))


def json_schema() -> dict[str, object]:
    """The JSON Schema of a study file, for editors."""
    return Study.model_json_schema()
