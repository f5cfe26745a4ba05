"""Result files in the form of lm-evaluation-harness 0.4.13, for models that never ran.

`REAL` holds files that the harness itself wrote, of a model with seeded answers on two made tasks of six items; a test
holds what is written here against them.
"""

import json
from pathlib import Path

import numpy as np

REAL = Path(__file__).parent / "harness"
OPTIONS = {"colour": 3, "yesno": 2}


def right(model: str, task: str, shots: int, items: int) -> list[int]:
    """Seeded answers, 1 for right: the same for the same arguments."""
    seed = [ord(letter) for letter in f"{model}{task}{shots}"]
    return [int(one) for one in np.random.default_rng(seed).random(items) < 0.6]


def write(
    folder: Path,
    model: str,
    shots: int,
    tasks: dict[str, int] | None = None,
    *,
    items: int = 12,
    date: float = 1.0,
    arguments: str = "",
    logged: bool = True,
    version: float = 1.0,
    wording: str = "",
    **changes: object,
) -> Path:
    """One results file and, where `logged`, the items beside it. `tasks`: name to options; `changes`: entries."""
    tasks = OPTIONS if tasks is None else tasks
    answers = {task: right(model, task, shots, items) for task in tasks}
    means = {task: float(np.mean(hits)) for task, hits in answers.items()}
    data: dict[str, object] = {
        "results": {
            task: {
                "name": task, "alias": task, "sample_len": items, "acc,none": p,
                "acc_stderr,none": float(np.sqrt(p * (1 - p) / (items - 1))),
                "acc_norm,none": p, "acc_norm_stderr,none": "N/A",
            }
            for task, p in means.items()
        },
        "group_subtasks": {},
        "configs": {
            task: {"task": task, "doc_to_choice": "{{choices}}", "num_fewshot": shots, "output_type": "multiple_choice"}
            for task in tasks
        },
        "versions": dict.fromkeys(tasks, version),
        "n-shot": dict.fromkeys(tasks, shots),
        "higher_is_better": {task: {"acc": True, "acc_norm": True} for task in tasks},
        "n-samples": {task: {"original": items, "effective": items} for task in tasks},
        "config": {"model": "hf", "model_args": arguments or f"pretrained={model},dtype=float32"},
        "date": date,
        "model_name": model,
        "chat_template": None,
    } | changes  # fmt: skip
    place = folder / model.replace("/", "__")
    place.mkdir(parents=True, exist_ok=True)
    stamp = f"2026-01-01T00-00-{date:09.6f}"
    path = place / f"results_{stamp}.json"
    path.write_text(json.dumps(data, indent=2))
    for task, options in tasks.items() if logged else ():
        lines = [_sample(task, wording, item, hit, options) for item, hit in enumerate(answers[task])]
        (place / f"samples_{task}_{stamp}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def _sample(task: str, wording: str, item: int, hit: int, options: int) -> dict[str, object]:
    target = item % options
    logprobs = [-2.0 - option for option in range(options)]
    logprobs[target] = -1.5 if hit else -9.0
    question = f"{task} {item}{wording}?"
    return {
        "doc_id": item,
        "doc": {"question": question},
        "target": str(target),
        "arguments": {f"gen_args_{o}": {"arg_0": question, "arg_1": f" {o}"} for o in range(options)},
        "resps": [[[str(logprob), "False"]] for logprob in logprobs],
        "filtered_resps": [[str(logprob), "False"] for logprob in logprobs],
        "filter": "none",
        "metrics": ["acc", "acc_norm"],
        "doc_hash": f"{task}{item}{wording}".encode().hex(),
        "prompt_hash": "0",
        "target_hash": "0",
        "acc": float(hit),
        "acc_norm": float(hit),
    }
