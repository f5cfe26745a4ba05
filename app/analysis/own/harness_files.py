"""Result files of lm-evaluation-harness (0.4 and later): results_*.json and the samples_*.jsonl beside them.

A results file holds one model at one number of demonstrations a task. Keys of scores are "METRIC,FILTER"; a group
such as mmlu stands among the tasks too, but has no entry in `configs`, and is left to its tasks.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

from app.errors import InputError

PERCENT = ("bleu", "chrf", "rouge1", "rouge2", "rougeL", "rougeLsum")
"""Metrics that the harness reports from 0 to 100 where they exceed 1."""
LOWER = (
    "perplexity", "word_perplexity", "byte_perplexity", "bits_per_byte", "brier_score", "ter", "wer", "cer", "mse",
)  # fmt: skip
"""Metrics of which less is better, for files that do not say so."""
_MODEL = re.compile(r"(?:^|,)\s*(peft|delta|pretrained|model|path|engine)=([^,]+)")


class Measured(NamedTuple):
    """One metric of one task; `stderr` is NaN where the harness gave none."""

    value: float
    stderr: float


class TaskResult(NamedTuple):
    """One task of a results file; `metrics` are those for which more is better, in the file's order."""

    task: str
    shots: int
    n: int
    version: str
    metrics: Mapping[str, Measured]
    multiple_choice: bool
    choices: int
    """Options, where the task's configuration lists them; 0: it does not."""
    samples: Path
    """Where its per-item results would be."""


class Result(NamedTuple):
    """One results file. `adapter_of`: the base model that an adapter was loaded onto; empty for whole models."""

    path: Path
    model: str
    adapter_of: str
    params: int
    date: float
    chat_template: bool
    facts: Mapping[str, str]
    """How it was computed, as far as the file says."""
    tasks: Mapping[str, TaskResult]


def load(folder: Path) -> list[Result]:
    """Every results file below a folder, the oldest first. Raises InputError where there is none, or one is damaged."""
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder: give one with results_*.json of lm-evaluation-harness")
    found = [result for path in sorted(folder.rglob("*.json")) if (result := _result(path)) is not None]
    if not found:
        raise InputError(
            f"{folder} has no results_*.json of lm-evaluation-harness 0.4 or later: give what its --output_path named"
        )
    return sorted(found, key=lambda result: (result.date, str(result.path)))


def _result(path: Path) -> Result | None:
    """A results file; None for another JSON file."""
    try:
        data: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as fault:
        if path.name.startswith("results"):
            raise InputError(f"{path} is damaged ({fault}): take it away, or evaluate again") from fault
        return None
    if not isinstance(data, dict) or not {"results", "configs", "n-shot"} <= data.keys():
        if path.name.startswith("results_"):
            raise InputError(
                f"{path} lacks results, configs or n-shot: wanted a file of lm-evaluation-harness 0.4 or later"
            )
        return None
    try:
        return _read(cast(dict[str, Any], data), path)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as fault:
        raise InputError(f"{path} has results in a form that is not known ({fault!r}): evaluate again") from fault


def _read(data: Mapping[str, Any], path: Path) -> Result:
    given: Mapping[str, Any] = data.get("config") or {}
    arguments = given.get("model_args") or ""
    named = dict(_MODEL.findall(arguments)) if isinstance(arguments, str) else dict(arguments)
    model = str(data.get("model_name") or _first(named) or path.parent.name)
    adapter = str(named["pretrained"]) if {"peft", "delta"} & named.keys() and "pretrained" in named else ""
    tasks = {task.task: task for task in _tasks(data, path)}
    params, date = given.get("model_num_parameters"), data.get("date")
    return Result(
        path,
        model,
        adapter if adapter != model else "",
        params if isinstance(params, int) and params > 0 else 0,
        float(date) if isinstance(date, int | float) else 0.0,
        bool(data.get("chat_template")),
        _facts(data, given, named),
        tasks,
    )


def _facts(data: Mapping[str, Any], given: Mapping[str, Any], named: Mapping[str, object]) -> dict[str, str]:
    """What the two sides of a pair should have alike."""
    template = str(data.get("chat_template_sha") or data.get("chat_template") or "none")
    found = {
        "chat template": template[:12],
        "system text": str(data.get("system_instruction_sha") or data.get("system_instruction") or "none")[:12],
        "precision": str(given.get("model_dtype") or named.get("dtype") or "").removeprefix("torch."),
        "device": str(given.get("device") or ""),
        "lm-eval": str(data.get("lm_eval_version") or ""),
        "transformers": str(data.get("transformers_version") or ""),
    }
    return {name: value for name, value in found.items() if value}


def _first(named: Mapping[str, object]) -> object:
    return next((named[key] for key in ("peft", "delta", "pretrained", "model", "path", "engine") if key in named), "")


def _tasks(data: Mapping[str, Any], path: Path) -> Iterator[TaskResult]:
    """The tasks of one file, without its groups."""
    date = path.stem.rpartition("_")[2]
    for task, config in cast(dict[str, dict[str, Any]], data["configs"]).items():
        if task not in data["results"]:
            continue
        entry: dict[str, Any] = data["results"][task]
        better: Mapping[str, object] = (data.get("higher_is_better") or {}).get(task) or {}
        counted: Mapping[str, Any] = (data.get("n-samples") or {}).get(task) or {}
        choices = config.get("doc_to_choice")
        yield TaskResult(
            task=task,
            shots=int(data["n-shot"][task]),
            n=_count(counted.get("effective") or entry.get("sample_len") or 0),
            version=str((data.get("versions") or {}).get(task)),
            metrics={
                name: measured
                for name, measured in _metrics(entry).items()
                if better.get(name.partition(",")[0], name.partition(",")[0] not in LOWER) is not False
            },
            multiple_choice=config.get("output_type") == "multiple_choice",
            choices=len(cast(list[object], choices)) if isinstance(choices, list) else 0,
            samples=path.with_name(f"samples_{task}_{date}.jsonl"),
        )


def _count(value: Any) -> int:
    if not 0 <= value < 2**62:
        raise ValueError(f"{value} items")
    return int(value)


def _metrics(entry: Mapping[str, Any]) -> dict[str, Measured]:
    """ "acc,none" as acc, "exact_match,strict-match" as it is; without standard errors of their own and not finite."""
    found: dict[str, Measured] = {}
    for key, value in entry.items():
        metric, comma, filter_ = key.partition(",")
        if not comma or metric.endswith("_stderr") or isinstance(value, bool) or not isinstance(value, int | float):
            continue
        if math.isfinite(value):
            error = entry.get(f"{metric}_stderr,{filter_}")
            stderr = float(error) if isinstance(error, int | float) and math.isfinite(error) else math.nan
            found[metric if filter_ == "none" else key] = Measured(float(value), stderr)
    return found
