"""What the parts of a study file are made of: strict models, numbers that are no flags, and the names in use."""

from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

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


def _no_nul(path: str) -> str:
    if "\0" in path:
        raise ValueError("no path holds a null character")
    return path


Whole = Annotated[int, BeforeValidator(_no_flag), Field(lt=2**63)]
"""A whole number that a machine holds."""
Real = Annotated[float, BeforeValidator(_no_flag)]
FilePath = Annotated[str, Field(min_length=1), AfterValidator(_no_nul)]
NotNegative = Annotated[Real, Field(ge=0)]
_Value = TypeVar("_Value")


def once(values: tuple[_Value, ...]) -> tuple[_Value, ...]:
    """The values, if none is given twice: each stands for cells of its own."""
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"{value} is given twice")
    return values


class Strict(BaseModel):
    """Frozen; unknown keys are refused; a sentence under a field is its description."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)
