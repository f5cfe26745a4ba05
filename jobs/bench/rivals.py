"""lm-evaluation-harness and TRL as their own users call them, on models and prompts that are given.

Both are an extra (`pip install "fewtune[bench]"`) and imported only here. They run in this process, beside the engine:
the same weights in memory, the same torch, the same thread.
"""

import contextlib
import io
import json
import logging
import os
import warnings
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import nn

from app.errors import InputError
from app.evaluation.requests import Request
from app.models.loading import LoadedModel, causal
from app.tuning.encoding import Encoded
from jobs.bench.measure import Answered, digest

HARNESS, TRAINER = "lm_eval", "trl"


def module(name: str) -> Any:
    """A module of an optional package. Raises InputError, with what to do, where it is not installed."""
    try:
        return import_module(name)
    except ModuleNotFoundError as fault:
        raise InputError(f"the bench compares with {name.split('.')[0]}: pip install 'fewtune[bench]'") from fault


def quiet() -> None:
    """Neither progress bars nor advice: both would be timed, and would bury the bench's own lines."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TQDM_DISABLE", "1")
    warnings.simplefilter("ignore")
    for name in (HARNESS, TRAINER, "transformers", "datasets", "accelerate"):
        logging.getLogger(name).setLevel(logging.ERROR)
    module("datasets").disable_progress_bars()


class Harness:
    """lm-evaluation-harness with one model; a task is a file of rows, taken as they are."""

    def __init__(self, loaded: LoadedModel, folder: Path) -> None:
        self._loaded = loaded
        self.device = loaded.device
        self._folder = folder
        self._hf = module("lm_eval.models.huggingface").HFLM
        self._task = module("lm_eval.api.task").ConfigurableTask

    def model(self, batch: int) -> Any:
        """Its own wrapper of the same weights."""
        return self._hf(
            pretrained=causal(self._loaded),
            tokenizer=self._loaded.tokenizer,
            device=self._loaded.device,
            batch_size=batch,
        )

    def choices(self, name: str, rows: Sequence[Request]) -> Any:
        """Items with options, as a task of its own."""
        return self._made(task(name, rows, self._folder))

    def continuations(self, name: str, rows: Sequence[Request], new: int, stop: str) -> Any:
        """Items to be continued greedily, as a task of its own."""
        settings = {"until": [stop], "max_gen_toks": new, "do_sample": False}
        described = [{"context": row.context, "gold": row.target} for row in rows]
        more = {"output_type": "generate_until", "generation_kwargs": settings}
        return self._made(_settings(name, described, self._folder, more))

    def _made(self, settings: Mapping[str, object]) -> Any:
        with contextlib.redirect_stderr(io.StringIO()):  # a progress bar that no setting turns off
            made = self._task(config=dict(settings))
            made.build_all_requests()
        return made


def task(name: str, rows: Sequence[Request], folder: Path) -> dict[str, object]:
    """Settings of a task of lm-evaluation-harness with these items; the delimiter stands outside the options."""
    described = [
        {"context": row.context, "options": list(row.options), "gold": row.options.index(row.target)} for row in rows
    ]
    more = {"output_type": "multiple_choice", "doc_to_choice": "options", "target_delimiter": " "}
    return _settings(name, described, folder, more)


def _settings(
    name: str, rows: Sequence[Mapping[str, object]], folder: Path, more: Mapping[str, object]
) -> dict[str, object]:
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {
        "task": name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(path)}, "cache_dir": str(folder / "cache")},
        "test_split": "test",
        "num_fewshot": 0,
        "doc_to_text": "context",
        "doc_to_target": "gold",
        **more,
    }


def answered(tasks: Sequence[Any], found: Sequence[tuple[float, bool]]) -> Answered:
    """What it asked, and its log-probabilities, item by item in the order of its requests."""
    logprobs: list[tuple[float, ...]] = []
    targets: list[int] = []
    asked: list[tuple[str, str]] = []
    values = iter(found)
    for task in tasks:
        for doc in task.test_docs():
            logprobs.append(tuple(next(values)[0] for _ in doc["options"]))
            targets.append(doc["gold"])
        asked += [instance.args for instance in task.instances]
    return Answered(digest(asked), tuple(logprobs), tuple(targets))


def trainer(
    model: nn.Module, tokenizer: Any, examples: Sequence[Encoded], folder: Path, *, answers_only: bool, **how: object
) -> Any:
    """TRL's SFTTrainer, ready to train; rows are given as token ids, so that tokenising is timed on neither side."""
    rows: dict[str, list[list[int]]] = {"input_ids": [list(example.ids) for example in examples]}
    if answers_only:
        rows["completion_mask"] = [[0] * (len(e.ids) - e.answer) + [1] * e.answer for e in examples]
    settings: dict[str, object] = {
        "output_dir": str(folder),
        "num_train_epochs": 1,
        "report_to": [],
        "save_strategy": "no",
        "logging_strategy": "no",
        "gradient_checkpointing": False,
        "bf16": next(model.parameters()).dtype == torch.bfloat16,
        "use_cpu": next(model.parameters()).device.type == "cpu",
        "disable_tqdm": True,
        "completion_only_loss": answers_only,
        "max_length": None,
        "dataloader_pin_memory": False,
    }
    args = module("trl").SFTConfig(**{**settings, **how})
    data = module("datasets").Dataset.from_dict(rows)
    return module("trl").SFTTrainer(model=model, args=args, train_dataset=data, processing_class=tokenizer)
