"""`fewtune bench`: is the fast way the same as the plain one, and how much faster, on this machine and these models."""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer
from rich.table import Table

from app.cli.console import err, out
from app.errors import InputError

if TYPE_CHECKING:
    from app.models.loading import LoadedModel
    from app.models.scoring import OptionScores, ScoreRequest

bench = typer.Typer(help="Compare the engine with plain, one-by-one work on this machine.", no_args_is_help=True)

TOLERANCE = 1e-4
"""Largest difference of two log-probabilities, in nats, that rounding explains in float32."""
_TASKS = ("nli", "reverse", "job")


class Found(NamedTuple):
    """How two ways of scoring the same requests compare."""

    gap: float
    """Largest difference of log-probabilities, in nats."""
    chosen: int
    """Requests with another likeliest option."""
    greedy: int
    """Options with another greedy flag."""
    engine: float
    """CPU seconds."""
    plain: float
    """CPU seconds."""

    @property
    def same(self) -> bool:
        """Whether both ways give the same results."""
        return self.gap <= TOLERANCE and self.chosen == 0 and self.greedy == 0  # a NaN is no small gap


@bench.command("scoring")
def scoring(
    base: Annotated[
        str | None, typer.Option(help="A checkpoint folder; left out: the six architectures of the ladder.")
    ] = None,
    items: Annotated[int, typer.Option(min=1, help="Items of each task.")] = 12,
    shots: Annotated[int, typer.Option(min=0, help="Demonstrations before an item, the same for all.")] = 5,
) -> None:
    """Score the options of generated tasks by the engine and one by one, and compare every number."""
    import torch

    torch.set_num_threads(1)
    table = Table("base model", "options", "engine", "one by one", "ratio", "largest difference", "same")
    different: list[str] = []
    asked = _requests(items, shots)
    with tempfile.TemporaryDirectory(prefix="fewtune-bench-") as root:
        for name, loaded in _models(base, Path(root)):
            found = compare(loaded, asked)
            same = "yes" if found.same else f"no: {found.chosen} choices, {found.greedy} greedy flags differ"
            ratio = f"{found.plain / found.engine:.1f} x" if found.same else "-"
            count = sum(len(request.options) for task in asked for request in task)
            cpu = (f"{found.engine:.2f} s", f"{found.plain:.2f} s")
            table.add_row(name, f"{count:,}", *cpu, ratio, f"{found.gap:.1e} nats", same)
            if not found.same:
                different.append(name)
    out.print(table)
    out.print("CPU seconds of one thread; the first forward of each model is not counted")
    if different:
        err.print(f"the engine's numbers differ from one-by-one scoring on {', '.join(different)}")
        raise typer.Exit(1)


def compare(loaded: "LoadedModel", asked: Sequence[Sequence["ScoreRequest"]]) -> Found:
    """Score the same requests both ways, a task at a time."""
    from app.models import plain_scoring, scoring

    scoring.score(loaded, asked[0][:1])  # what is tried once for a model
    engine, fast = _timed(lambda: [one for task in asked for one in scoring.score(loaded, task)])
    plain, slow = _timed(lambda: [one for task in asked for one in plain_scoring.plain(loaded, task)])
    return differences(fast, slow, engine, plain)


def differences(
    fast: Sequence["OptionScores"], slow: Sequence["OptionScores"], engine: float = 0.0, plain: float = 0.0
) -> Found:
    """How far two lists of scores of the same requests lie apart. Raises ValueError where they differ in shape."""
    pairs = [
        (a, b, one, other)
        for left, right in zip(fast, slow, strict=True)
        for a, b, one, other in zip(left.logprobs, right.logprobs, left.greedy, right.greedy, strict=True)
    ]
    gaps = [abs(a - b) for a, b, _, _ in pairs]
    gap = next((one for one in gaps if one != one), max(gaps, default=0.0))
    chosen = sum(_likeliest(a.logprobs) != _likeliest(b.logprobs) for a, b in zip(fast, slow, strict=True))
    return Found(gap, chosen, sum(one != other for _, _, one, other in pairs), engine, plain)


def _likeliest(logprobs: Sequence[float]) -> int:
    return max(range(len(logprobs)), key=logprobs.__getitem__)


def _timed(work: "Callable[[], list[OptionScores]]") -> "tuple[float, list[OptionScores]]":
    began = time.process_time()
    found = work()
    return time.process_time() - began, found


def _requests(items: int, shots: int) -> "list[list[ScoreRequest]]":
    """Items of each of some generated tasks, options as text, demonstrations shared within a task."""
    from app.models.scoring import ScoreRequest
    from app.tasks import catalog, loading, prompts

    found: list[list[ScoreRequest]] = []
    for task in map(catalog.by_name, _TASKS):
        data = loading.load(task, None)
        shown = [prompts.demonstration(task, one) for one in prompts.demonstrations(task, data, shots, 0)]
        found.append([])
        for example in data.test[:items]:
            context = prompts.few_shot(shown, prompts.demonstration(task, example).input)
            found[-1].append(ScoreRequest(context, tuple(prompts.continuation(option) for option in example.options)))
    return found


def _models(base: str | None, folder: Path) -> "Iterator[tuple[str, LoadedModel]]":
    """The model asked for, or one of each architecture of the ladder, with its initial weights."""
    from app.models.loading import LoadedModel, ModelSource, load
    from app.plan import LadderSpec
    from app.pretraining import ladder, rungs, tokenizer

    if base is not None:
        if not Path(base).is_dir():
            raise InputError(f"{base} is no folder: --base takes a checkpoint (config.json, *.safetensors, tokenizer)")
        yield base, load(ModelSource("checkpoint", base))
        return
    for family in rungs.FAMILIES:
        model = ladder.build(LadderSpec(family, 64, 2, 1))
        source = ModelSource("checkpoint", str(folder / family))
        yield family, LoadedModel(model.eval().requires_grad_(False), tokenizer.build(), "cpu", source)
