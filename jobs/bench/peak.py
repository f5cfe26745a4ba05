"""Peak memory of scoring with a large vocabulary, each side in a process of its own that does nothing else."""

import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from app.models.loading import LoadedModel
from jobs.bench import material, rivals
from jobs.bench.document import Options, Section, Table
from jobs.bench.scoring import score

SHAPE, BATCH = "wide-vocabulary", 32
_ABOUT = """Peak resident memory of a process that scores five-shot items, above what it held when the model was
loaded: a Llama of two layers, 64 wide, with a vocabulary of 128,256. Logits of one batch of 8,192 tokens over that
vocabulary would take 3.9 GiB."""


def part(options: Options) -> Section:
    """The section of `python -m jobs.bench peak`."""
    section = Section("Memory of scoring", _ABOUT, tables=[Table(("side", "peak above the loaded model"))])
    with tempfile.TemporaryDirectory(prefix="fewtune-bench-") as root:
        material.llama(Path(root), SHAPE)
        for side, name in {"engine": "engine", "harness": f"lm-eval, batch {BATCH}"}.items():
            command = [sys.executable, "-m", "jobs.bench.peak", side, root, str(options.items)]
            told = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 - our own
            section.figures[name] = float(json.loads(told.splitlines()[-1]))
            section.tables[0].rows.append((name, f"{section.figures[name]:,.0f} MiB"))
    return section


def _resident() -> float:
    """Peak resident memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _alone(side: str, folder: Path, items: int) -> float:
    torch.set_num_threads(1)
    loaded: LoadedModel = material.llama(folder, SHAPE)
    asked = material.rendered("base-few-shot", "standard", items)
    before = _resident()
    if side == "engine":
        score(loaded, asked)
        return _resident() - before
    rivals.quiet()
    harness = rivals.Harness(loaded, folder)
    wrapper = harness.model(BATCH)
    tasks = [harness.choices(name, rows) for name, rows in asked.items()]
    before = _resident()
    wrapper.loglikelihood([one for task in tasks for one in task.instances], disable_tqdm=True)
    return _resident() - before


if __name__ == "__main__":
    print(json.dumps(_alone(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))))
