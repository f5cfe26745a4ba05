"""What a report is told beside its pairs and correlations: how they came to be, and the optional tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import pyarrow as pa

from app.analysis.design.outlook import Outlook
from app.analysis.estimation.gains import Gained


class Piece(NamedTuple):
    """A stretch of text that is compared as one: a token, or a word; pieces with one `name` are the same."""

    text: str
    name: str


class Pieces(NamedTuple):
    """Prompts and answers of an item in the base model's tokens; joined, they give the texts back."""

    x_prompt: tuple[Piece, ...]
    y_prompt: tuple[Piece, ...]
    x_answer: tuple[Piece, ...]
    y_answer: tuple[Piece, ...]


class ItemView(NamedTuple):
    """One test item as both sides of a pair saw and answered it; prompts hold their demonstrations."""

    task: str
    base: str
    run: str
    item: str
    x_prompt: str
    y_prompt: str
    x_answer: str
    y_answer: str
    target: str
    x_right: bool
    y_right: bool
    tokens: Pieces | None = None
    """None: the tokenizer is not at hand."""


@dataclass(frozen=True)
class Facts:
    """What the tables do not say about how they came to be; all of it optional but the study's name."""

    study: str
    description: str = ""
    """A sentence about the study."""
    command: str = ""
    """The command that makes all of this again."""
    study_text: str = ""
    """The study file, as it was run."""
    versions: Mapping[str, str] = field(default_factory=dict[str, str])
    """Package to version."""
    seeds: Mapping[str, str] = field(default_factory=dict[str, str])
    """What was seeded, and with what."""
    seconds: Mapping[str, float] = field(default_factory=dict[str, float])
    """Stage to wall seconds."""
    failed: Sequence[tuple[str, str]] = ()
    """Cells that failed, and why."""
    fingerprints: Mapping[str, str] = field(default_factory=dict[str, str])
    """What the results rest on, to its fingerprint."""
    ladder: bool = False
    """Base models were pretrained by the study itself: the ladder's cautions apply."""
    planned_pairs: int | None = None
    """Pairs that the whole study has; left out: those of the runs that have begun."""
    contamination: pa.Table | None = None
    """The table "contamination"."""
    renderings: pa.Table | None = None
    """The table "renderings"."""
    items: pa.Table | None = None
    """The table "items"."""
    agreement: pa.Table | None = None
    """The table "agreement"."""
    components: pa.Table | None = None
    """The table "components"."""
    limits: pa.Table | None = None
    """The table "limits"."""
    confounds: Sequence[NamedTuple] = ()
    """What differs between the two sides of pairs though it should not."""
    gained: Sequence[Gained] = ()
    """What the items that only tuned models solve have in common."""
    views: Sequence[ItemView] = ()
    """A sample of items for the explorer."""
    power: Outlook | None = None
    """What a study of this design can tell."""
    cost: str = ""
    """Hours of cores and of GPUs, in words, and money where prices are known; empty: nothing is said."""
    made: str = ""
    """When, in words; empty: nothing is said."""
