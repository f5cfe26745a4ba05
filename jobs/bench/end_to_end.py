"""A study, end to end, against the shell loop that a user of TRL and lm-evaluation-harness writes for it.

Both sides have the same base models, items and numbers of training examples, start from the command line and pay for
every process, import and load. Counted is the CPU time of the whole tree of processes below each command.
"""

import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import yaml

from app.store import Store
from jobs.bench import material, rivals
from jobs.bench.document import Options, Section, Table, Target
from jobs.bench.measure import Gate, refusal
from jobs.bench.spending import how, spend

TASKS = ("antonym", "outlier", "job", "hobby", "last", "reverse", "add", "min", "coreference", "nli")
FASTER = 1.0
SIZES = ("48x2", "64x2")
SETTINGS: Mapping[str, float] = {"batch": 16, "learning_rate": 1e-3, "examples": 320, "items": 40}
_ABOUT = """`fewtune run` on a study (every base model tuned by LoRA on 320 examples; each task few-shot on the base
model and zero-shot on the tuned one) against a shell loop that tunes each model by `SFTTrainer` (answers only,
grouped by length) and runs `lm_eval` once for the base model and once for the tuned one, all tasks in one process
each. Counted: CPU seconds of all processes below each command, imports, model loading, tables and report included;
base models were pretrained before. Gate: on every base model and task the two sides' few-shot accuracy is the
same."""
_TUNE = """import json, sys

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

model, data, out, batch, rate = sys.argv[1:]
torch.set_num_threads(1)
rows = [json.loads(line) for line in open(data)]
settings = SFTConfig(
    output_dir=out, per_device_train_batch_size=int(batch), learning_rate=float(rate), num_train_epochs=1,
    train_sampling_strategy="group_by_length", gradient_checkpointing=False, bf16=False, use_cpu=True, report_to=[],
    save_strategy="no", max_length=None,
)
lora = LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM")
tokenizer = AutoTokenizer.from_pretrained(model)
trainer = SFTTrainer(
    model=AutoModelForCausalLM.from_pretrained(model), args=settings, train_dataset=Dataset.from_list(rows),
    processing_class=tokenizer, peft_config=lora,
)
trainer.train()
trainer.save_model(out)
tokenizer.save_pretrained(out)
"""
_LOOP = """set -e
for model in {models}; do
  {python} tune.py models/$model train.jsonl tuned/$model {batch} {learning_rate}
  {python} -m lm_eval --model hf --model_args pretrained=models/$model --tasks {few} \\
    --include_path tasks --output_path out/base-$model $@
  {python} -m lm_eval --model hf --model_args pretrained=models/$model,peft=tuned/$model \\
    --tasks {direct} --include_path tasks --output_path out/tuned-$model $@
done
"""
_STUDY = """
schema_version: 1
name: end-to-end
bases:
{bases}
recipes:
  - {{method: lora, examples: {examples}, batch: {batch}, learning_rate: {learning_rate}, lora: {{rank: 8, alpha: 16}}}}
tasks: [{tasks}]
conditions: [base-few-shot, tuned-direct]
answers: {{modes: [loglikelihood]}}
shots: 5
analysis: {{baseline: null, metric: accuracy}}
test_items: {items}
"""


def part(options: Options) -> Section:
    """The section of `python -m jobs.bench end-to-end`."""
    rivals.quiet()
    tasks, models = TASKS[: options.tasks], [f"m{number}" for number in range(options.models)]
    section = Section("End to end", _ABOUT, tables=[Table(("side", "CPU seconds", "seconds", "ratio"))])
    with tempfile.TemporaryDirectory(prefix="fewtune-bench-") as root:
        folder = Path(root)
        _lay_out(folder, tasks, models)
        ours = spend([sys.executable, "-m", "app.cli.main", "run", "study.yaml", "--store", "store"], folder)
        theirs = spend(["bash", "loop.sh", "--device", "cpu", "--batch_size", "32"], folder)
        mine, other = _ours(folder), _theirs(folder, "base", "few", tasks, models)
        gates = _gates(mine["base-few-shot"], other, len(tasks) * len(models))
        where = f"{len(models)} models x {len(tasks)} tasks"
        section.gates += [(where, gate) for gate in gates]
        tuned = _theirs(folder, "tuned", "direct", tasks, models)
    told, what = refusal(gates), f"a study of {where}, against a loop over TRL and lm-eval"
    if told:
        section.targets.append(Target(what, None, FASTER))
        section.notes.append(f"{where}: no ratio, since a gate failed: {told}.")
        return section
    ratio = theirs.cpu / ours.cpu
    section.targets.append(Target(what, ratio, FASTER))
    section.figures = {"ratio": ratio, "fewtune": ours.cpu, "loop": theirs.cpu}
    section.tables[0].rows += [
        ("TRL and lm-eval in a loop", f"{theirs.cpu:.0f}", f"{theirs.wall:.0f}", ""),
        ("fewtune run", f"{ours.cpu:.0f}", f"{ours.wall:.0f}", f"**{ratio:.1f} x**"),
    ]
    means = [sum(side.values()) / len(side) for side in (mine["tuned-direct"], tuned)]
    section.notes = [
        how(ours, theirs),
        f"{where}, {SETTINGS['items']:.0f} items and {SETTINGS['examples']:.0f} examples each.",
        f"Mean accuracy of the tuned models: {means[0]:.3f} ours, {means[1]:.3f} theirs (other draws of the mixture "
        f"and another order of batches, so they need not be equal).",
    ]
    return section


def _lay_out(folder: Path, tasks: Sequence[str], models: Sequence[str]) -> None:
    """Base models, study, and all that the loop reads."""
    for number, name in enumerate(models):
        width, depth = map(int, SIZES[number % len(SIZES)].split("x"))
        made = material.ladder(folder, width=width, depth=depth, tokens=60_000, seed=number)
        (folder / "models").mkdir(exist_ok=True)
        Path(made.source.location).rename(folder / "models" / name)
    bases = "\n".join(f"  - {{family: {m}, name: {m}, source: checkpoint, path: models/{m}}}" for m in models)
    whole = {name: f"{value:g}" for name, value in SETTINGS.items()}
    text = _STUDY.format(bases=bases, tasks=", ".join(tasks), **whole)
    (folder / "study.yaml").write_text(text)
    drawn = material.worded(material.mixture(int(SETTINGS["examples"])))
    lines = [json.dumps({"prompt": prompt, "completion": answer}) for prompt, answer in drawn]
    (folder / "train.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "tune.py").write_text(_TUNE)
    (folder / "tasks").mkdir()
    for kind, condition in {"few": "base-few-shot", "direct": "tuned-direct"}.items():
        for name, rows in material.rendered(condition, "standard", int(SETTINGS["items"]), tuple(tasks)).items():
            settings = rivals.task(f"{name}_{kind}", rows, folder / "tasks")
            (folder / "tasks" / f"{name}_{kind}.yaml").write_text(yaml.safe_dump(settings))
    loop = _LOOP.format(
        models=" ".join(models), python=sys.executable, **whole,
        **{kind: ",".join(f"{task}_{kind}" for task in tasks) for kind in ("few", "direct")},
    )  # fmt: skip
    (folder / "loop.sh").write_text(loop)


Accuracies = dict[tuple[str, str], float]
"""By model and task."""


def _gates(mine: Accuracies, other: Accuracies, count: int) -> list[Gate]:
    apart = [key for key in mine.keys() | other.keys() if abs(mine.get(key, 2) - other.get(key, -2)) > 1e-9]
    return [
        Gate("all cells", len(mine) == len(other) == count, f"{len(mine)} and {len(other)} of {count}"),
        Gate("same few-shot accuracy", not apart, f"{len(apart)} of {count} differ: {sorted(apart)[:3]}"),
    ]


def _ours(folder: Path) -> dict[str, Accuracies]:
    scores = Store(str(folder / "store")).read_table("scores", "tables/scores.parquet")
    found: dict[str, Accuracies] = {}
    for row in scores.filter(pc.field("metric") == "accuracy").to_pylist():
        found.setdefault(row["condition"], {})[row["base"], row["task"]] = row["value"]
    return found


def _theirs(folder: Path, side: str, kind: str, tasks: Sequence[str], models: Sequence[str]) -> Accuracies:
    found: Accuracies = {}
    for model in models:
        for path in sorted((folder / "out" / f"{side}-{model}").rglob("results_*.json")):
            told: Mapping[str, Any] = json.loads(path.read_text())["results"]
            found |= {(model, task): told[f"{task}_{kind}"]["acc,none"] for task in tasks}
    return found
