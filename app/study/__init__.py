"""The study file: its schema, and reading it."""

from app.study.file import StudyFile, load, parse
from app.study.schema import (
    Analysis,
    Answers,
    CheckpointBase,
    ConditionName,
    GgufBase,
    HubBase,
    LadderBases,
    Lora,
    Pretraining,
    Recipe,
    Resources,
    Shots,
    Study,
    json_schema,
)

__all__ = [
    "Analysis",
    "Answers",
    "CheckpointBase",
    "ConditionName",
    "GgufBase",
    "HubBase",
    "LadderBases",
    "Lora",
    "Pretraining",
    "Recipe",
    "Resources",
    "Shots",
    "Study",
    "StudyFile",
    "json_schema",
    "load",
    "parse",
]
