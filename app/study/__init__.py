"""The study file: its schema, and reading it."""

from app.study.bases import CheckpointBase, GgufBase, HubBase, LadderBases, Pretraining, Resources
from app.study.fields import ConditionName, Format, WordingName
from app.study.file import StudyFile, load, parse
from app.study.recipes import Lora, Recipe
from app.study.schema import (
    Analysis,
    Answers,
    BertScore,
    Limits,
    Pipelines,
    Shots,
    Source,
    Study,
    applies,
    called,
    json_schema,
)

__all__ = [
    "Analysis",
    "Answers",
    "BertScore",
    "CheckpointBase",
    "ConditionName",
    "Format",
    "GgufBase",
    "HubBase",
    "LadderBases",
    "Limits",
    "Lora",
    "Pipelines",
    "Pretraining",
    "Recipe",
    "Resources",
    "Shots",
    "Source",
    "Study",
    "StudyFile",
    "WordingName",
    "applies",
    "called",
    "json_schema",
    "load",
    "parse",
]
