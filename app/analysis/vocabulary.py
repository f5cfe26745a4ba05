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
UNITS = {"family": ("family", "families"), "base": ("base model", "base models")}
"""What intervals treat as independent, by the study's `cluster_by`: one of it, and several."""
CONDITIONS = {
    "base-zero-shot": "zero-shot scores of base models",
    "base-few-shot": "few-shot scores of base models",
    "base-direct": "instructed zero-shot scores of base models",
    "gold-pipeline": "scores of base models with demonstrations drawn for each item",
    "gold-pipeline-cross-task": "scores of base models with demonstrations of other tasks",
    "tuned-direct": "zero-shot scores of the tuned models",
    "tuned-few-shot": "few-shot scores of the tuned models",
    "samplegen-direct": "scores of the SampleGen models, which write worked examples first",
    "samplegen-pipeline": "scores of base models given what the SampleGen models wrote",
    "samplegen-restated": "scores of base models given the SampleGen models' worked examples and the item itself",
    "direct": "scores of the tuned models, each prompted in the format that it was tuned on",
}
SHORT = {
    "base-zero-shot": "base, zero-shot",
    "base-few-shot": "base, few-shot",
    "base-direct": "base, instructed",
    "gold-pipeline": "base, gold pipeline",
    "gold-pipeline-cross-task": "base, cross-task pipeline",
    "tuned-direct": "tuned, zero-shot",
    "tuned-few-shot": "tuned, few-shot",
    "samplegen-direct": "tuned, SampleGen",
    "samplegen-pipeline": "base, SampleGen pipeline",
    "samplegen-restated": "base, SampleGen restated",
    "direct": "tuned, own format",
}
