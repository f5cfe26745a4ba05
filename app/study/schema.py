"""What a study file says: the whole experiment, frozen.

It says *what*; flags say only *where*. No flag can change a number in a report. A field's documentation is the
sentence below it, with its unit.
"""

from typing import Literal

from pydantic import AwareDatetime, Field, field_validator, model_validator

from app.identity import slug
from app.study.bases import BaseEntry, HubBase
from app.study.fields import ConditionName, Real, Strict, Whole, WordingName, once
from app.study.recipes import Recipe


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
        return once(values)

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
    engine: Literal["torch", "vllm"] = "torch"
    """What writes generated answers; vllm: on GPUs, where the cluster's nodes have it. Options are scored by torch."""
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
        return once(values)

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
    made = Study.model_json_schema()
    whole = made["properties"]["shots"]
    count = {"type": "integer", "minimum": 1}
    made["properties"]["shots"] = {"anyOf": [count, whole], "description": whole.get("description", "")}
    return made
