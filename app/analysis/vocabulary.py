"""The names in the tables of pairs and correlations, and how they read; light, so that a laptop can print them."""

from typing import Literal, get_args

Level = Literal["pooled", "within_task", "doubly_centred", "model", "task"]
Method = Literal["pearson", "spearman", "kendall"]
LEVELS: tuple[Level, ...] = get_args(Level)
METHODS: tuple[Method, ...] = get_args(Method)

FLOOR = 0.15
"""A task counts as away from the floor where the medians of x, y and z all exceed this chance-corrected score."""
FLOOR_FILTER = f"median>{FLOOR}"
INTACT_FILTER = "bases=intact"
"""Leaves out base models that were pretrained without some of the tasks: an intervention, not a finding."""

LEVEL_NAMES: dict[Level, str] = {
    "doubly_centred": "task and model means removed",
    "within_task": "task means removed",
    "pooled": "all pairs as they are",
    "model": "means of models",
    "task": "means of tasks",
}
CONDITIONS = {
    "base-zero-shot": "zero-shot scores of base models",
    "base-few-shot": "few-shot scores of base models",
    "base-direct": "instructed zero-shot scores of base models",
    "tuned-direct": "zero-shot scores of the tuned models",
    "tuned-few-shot": "few-shot scores of the tuned models",
}
SHORT = {
    "base-zero-shot": "base, zero-shot",
    "base-few-shot": "base, few-shot",
    "base-direct": "base, instructed",
    "tuned-direct": "tuned, zero-shot",
    "tuned-few-shot": "tuned, few-shot",
}
