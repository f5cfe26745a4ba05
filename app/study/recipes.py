"""Recipes: how base models are tuned."""

from typing import Literal

from pydantic import Field, model_validator

from app.study.fields import Format, Real, Strategy, Strict, Whole


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
    together: bool = False
    """Tune the seeds of one base model in one process that runs the base once for all: lora alone, without dropout. It
    pays for small models with more seeds than cores; weights end where those of separate runs end, up to rounding."""
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

    @model_validator(mode="after")
    def _shared(self) -> "Recipe":
        if not self.together:
            return self
        if self.method != "lora" or self.lora.dropout:
            raise ValueError("together tunes plain adapters: it needs method: lora and no lora.dropout")
        if self.workers > 1 or self.gradient_checkpointing:
            raise ValueError(
                "together is one process that keeps activations: leave out workers, gradient_checkpointing"
            )
        if len(self.seeds) < 2:
            raise ValueError("together needs two seeds or more")
        return self
