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
from app.plan.limits import Purse, spent
from app.plan.schedule import EVALUATIONS, TRIALS, Ended, Schedule, schedule
from app.plan.standing import Standing, columns, standing

__all__ = [
    "BASE_CONDITIONS",
    "EVALUATIONS",
    "FEW_SHOT_CONDITIONS",
    "GOLD_CONDITIONS",
    "PASSED_ON_CONDITIONS",
    "TRIALS",
    "Base",
    "Cell",
    "Condition",
    "Ended",
    "EvaluateCell",
    "Facts",
    "Inputs",
    "Kind",
    "LadderSpec",
    "Needs",
    "Plan",
    "Purse",
    "Run",
    "Schedule",
    "Standing",
    "TaskFacts",
    "TuneCell",
    "columns",
    "conditions",
    "expand",
    "schedule",
    "spent",
    "standing",
]
