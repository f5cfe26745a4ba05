"""Study -> ordered cells, with their needs and estimated cost. Pure: reads nothing, computes nothing."""

from app.plan.cells import (
    BASE_CONDITIONS,
    FEW_SHOT_CONDITIONS,
    GOLD_CONDITIONS,
    PASSED_ON_CONDITIONS,
    Base,
    Cell,
    Condition,
    EvaluateCell,
    Facts,
    Inputs,
    Kind,
    LadderSpec,
    Needs,
    Plan,
    Run,
    TaskFacts,
    TuneCell,
)
from app.plan.expansion import conditions, expand
from app.plan.standing import Standing, columns, standing

__all__ = [
    "BASE_CONDITIONS",
    "FEW_SHOT_CONDITIONS",
    "GOLD_CONDITIONS",
    "PASSED_ON_CONDITIONS",
    "Base",
    "Cell",
    "Condition",
    "EvaluateCell",
    "Facts",
    "Inputs",
    "Kind",
    "LadderSpec",
    "Needs",
    "Plan",
    "Run",
    "Standing",
    "TaskFacts",
    "TuneCell",
    "columns",
    "conditions",
    "expand",
    "standing",
]
