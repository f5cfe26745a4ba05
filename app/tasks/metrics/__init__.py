"""Scores of a whole test set at once, never averaged over batches; and which option log-probabilities choose.

A metric takes every judged item of a task and gives one number. What a published definition or its reference
implementation says is kept; where they leave open what no answer scores, it scores worst.
"""

from app.tasks.metrics.guessing import chance
from app.tasks.metrics.likelihood import Normalisation, choose
from app.tasks.metrics.score import Judged, Metric, mean_score
from app.tasks.metrics.table import METRICS, MetricSpec, Reads, compute
from app.tasks.metrics.written import matches

__all__ = [
    "METRICS",
    "Judged",
    "Metric",
    "MetricSpec",
    "Normalisation",
    "Reads",
    "chance",
    "choose",
    "compute",
    "matches",
    "mean_score",
]
