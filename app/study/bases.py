"""Base models: where they come from, and what a worker that holds one needs."""

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator

from app.identity import slug
from app.study.fields import Dtype, FilePath, GpuName, NotNegative, Real, Strict, Whole


class Resources(Strict):
    """What one worker that holds this base model needs, for tuning and for evaluation."""

    cpus: Whole = Field(default=1, ge=1)
    """CPU cores; also the number of threads."""
    gpus: Literal["auto"] | NotNegative = 0.0
    """GPUs; a fraction shares one. auto: as many, or such a part of one, as the memory estimate asks for."""
    gpu: GpuName = "A100-80"
    """The kind of GPU that auto reckons with."""
    memory_gb: Real | None = Field(default=None, gt=0, lt=1e9)
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

    @field_validator("name")
    @classmethod
    def _name(cls, name: str) -> str:
        if name:
            slug(name)
        return name


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
            if not re.fullmatch(r"\d{1,6}x\d{1,4}", size):
                raise ValueError(f"size {size[:20]!r} is not WIDTHxLAYERS, for example 64x2")
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

    @field_validator("id")
    @classmethod
    def _id(cls, name: str) -> str:
        slug(name.rpartition("/")[2])
        return name


class CheckpointBase(_Base):
    """A Hugging Face checkpoint in a local folder (safetensors)."""

    source: Literal["checkpoint"]
    """Read from a local folder."""
    path: FilePath
    """The folder; relative to the study file."""
    params: Whole | None = Field(default=None, gt=0)
    """Number of parameters, for cost estimates."""


class GgufBase(_Base):
    """A GGUF file; its weights are de-quantised once into `dtype`."""

    source: Literal["gguf"]
    """Read from a GGUF file."""
    path: FilePath
    """The file, relative to the study file; or package://PACKAGE/FILE for one that an installed package ships."""
    params: Whole = Field(gt=0)
    """Number of parameters, for cost estimates."""


BaseEntry = Annotated[LadderBases | HubBase | CheckpointBase | GgufBase, Field(discriminator="source")]
