"""Peak memory of scoring with a large vocabulary, each side in a process of its own that does nothing else."""

import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple, cast

import psutil
import torch
from torch import nn

from app.models.loading import LoadedModel, causal
from jobs.bench import material, rivals
from jobs.bench.document import Options, Section, Table, Target
from jobs.bench.scoring import score

SHAPE, BATCH = "wide-vocabulary", 32
_ABOUT = f"""Peak resident memory of a process that scores five-shot items, above what it held before: a Llama of two
layers, 64 wide, with a vocabulary of {material.SHAPES[SHAPE]["vocabulary"]:,}. A forward over so many tokens whose
logits were all held would take that many rows of the vocabulary; beside it, the rows that the output head was in fact
asked for at once."""


class Peak(NamedTuple):
    """What one side held at most."""

    memory: float
    """MiB of the process above what it held before."""
    tokens: int
    """Of its largest forward, padding included."""
    rows: int
    """Of logits, in one call of the output head."""
    logits: float
    """MiB that logits of all tokens of the largest forward would take."""


def part(options: Options) -> Section:
    """The section of `python -m jobs.bench peak`."""
    head = ("side", "peak above the loaded model", "largest forward", "its logits, were all held", "rows asked for")
    section = Section("Memory of scoring", _ABOUT, tables=[Table(head)])
    with tempfile.TemporaryDirectory(prefix="fewtune-bench-") as root:
        material.llama(Path(root), SHAPE)
        for side, name in {"engine": "engine", "harness": f"lm-eval, batch {BATCH}"}.items():
            command = [sys.executable, "-m", "jobs.bench.peak", side, root, str(options.items)]
            told = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 - our own
            found = Peak(*json.loads(told.splitlines()[-1]))
            section.figures |= {f"{name}: {field}": float(value) for field, value in found._asdict().items()}
            section.tables[0].rows.append(
                (
                    name, f"{found.memory:,.0f} MiB", f"{found.tokens:,} tokens", f"{found.logits:,.0f} MiB",
                    f"{found.rows:,}",
                )
            )  # fmt: skip
            if side == "engine":
                what = "peak memory of scoring over batch x length x vocabulary, 128k words"
                section.targets.append(Target(what, found.memory / found.logits, 1.0, at_most=True))
    return section


class _Widest:
    """Hooks that keep the largest forward and the most rows of logits."""

    def __init__(self, loaded: LoadedModel) -> None:
        self.tokens = self.rows = 0
        model = causal(loaded)
        self.vocabulary = model.config.get_text_config().vocab_size
        model.get_input_embeddings().register_forward_hook(self._read)
        cast(nn.Module, model.get_output_embeddings()).register_forward_hook(self._asked)

    def _read(self, module: nn.Module, given: Any, found: torch.Tensor) -> None:
        self.tokens = max(self.tokens, found.shape[:-1].numel())

    def _asked(self, module: nn.Module, given: Any, found: torch.Tensor) -> None:
        self.rows = max(self.rows, found.shape[:-1].numel())


def _alone(side: str, folder: Path, items: int) -> Peak:
    torch.set_num_threads(1)
    loaded = material.llama(folder, SHAPE)
    asked = material.rendered("base-few-shot", "standard", items)
    widest = _Widest(loaded)
    if side == "engine":
        before = psutil.Process().memory_info().rss
        score(loaded, asked)
    else:
        rivals.quiet()
        harness = rivals.Harness(loaded, folder)
        wrapper = harness.model(BATCH)
        tasks = [harness.choices(name, rows) for name, rows in asked.items()]
        before = psutil.Process().memory_info().rss
        wrapper.loglikelihood([one for task in tasks for one in task.instances], disable_tqdm=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before / 2**20
    return Peak(peak, widest.tokens, widest.rows, widest.tokens * widest.vocabulary * 4 / 2**20)


if __name__ == "__main__":
    print(json.dumps(_alone(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))))
