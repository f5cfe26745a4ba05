"""What a cell costs beside its work: a tuning as a trial, and an evaluation actor that moves to the next adapter."""

import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from app import stages
from app.evaluation.responder import Responder
from app.launch.session import session
from app.plan import EvaluateCell, Plan, TuneCell
from app.store import Store
from app.study import parse
from app.trials import Payload
from app.tuning.ends import prepare
from app.tuning.loop import train
from jobs.bench.document import Options, Section, Table, Target
from jobs.bench.memory import Quiet
from jobs.bench.study import spans

RUNS = 12
OVERHEAD, MOVE = 2.0, 0.2
"""Seconds at most."""
_TRAINED = 3
"""Runs that are trained once more by themselves."""
_STUDY = """
schema_version: 1
name: cells
bases: [{{family: llama, source: ladder, sizes: [64x2], pretraining: {{tokens: 20000}}}}]
recipes: [{{method: lora, examples: {examples}, seeds: {seeds}}}]
tasks: [{tasks}]
conditions: [base-few-shot, tuned-direct]
answers: {{modes: [loglikelihood]}}
analysis: {{baseline: null, metric: accuracy}}
test_items: {items}
"""
_ABOUT = f"""{RUNS} LoRA runs of one small base model on a cluster of one core, in seconds on the clock, medians. What a
tuning takes is the time between the ends of two neighbours, whatever lies between; its training alone is the loop,
run once more in this process on the same examples. An actor moves to the next adapter by the very call that each of
its cells begins with: files read and hashed, the adapter attached, the last one removed, and the proof that it is in
force."""


def tuned(root: Path, runs: int, tasks: tuple[str, ...], items: int, examples: int = 64) -> tuple[Plan, Store]:
    """A finished study of LoRA runs of one base model, on a cluster of one core."""
    text = _STUDY.format(seeds=list(range(runs)), tasks=", ".join(tasks), items=items, examples=examples)
    file, store = parse(text, Path("cells.yaml")), Store(root)
    with session(cpus=1):
        stages.run(file, store, None, Quiet())
    return stages.plan(file), store


def part(options: Options) -> Section:
    """The section of `python -m jobs.bench cells`."""
    section = Section("What a cell costs beside its work", _ABOUT)
    with tempfile.TemporaryDirectory(prefix="fewtune-bench-") as root:
        planned, store = tuned(Path(root), RUNS, ("first",), 4)
        ends = sorted(ended for slug, (_, ended) in spans(store).items() if slug.startswith("tune/"))
        each = statistics.median(later - earlier for earlier, later in pairwise(ends))
        worked = statistics.median(record.seconds for record in store.records("tune").values())
        training = statistics.median(_training(cell, store) for cell in planned.tunings[:_TRAINED])
        moves = _moves(planned, store)
    move = statistics.median(moves)
    section.targets = [
        Target("a one-worker tuning beyond its training", each - training, OVERHEAD, "s", at_most=True),
        Target("an evaluation actor moves to the next adapter", move, MOVE, "s", at_most=True),
    ]
    section.tables = [Table(("what", "seconds"))]
    section.tables[0].rows += [
        ("a tuning, from the end of the one before it to its own", f"{each:.2f}"),
        ("of that, the cell itself by its record: base loaded, examples drawn, trained, saved", f"{worked:.2f}"),
        ("of that, training", f"{training:.2f}"),
        ("an actor moves to the next adapter", f"{move:.3f} ({min(moves):.3f} to {max(moves):.3f})"),
    ]
    section.figures = {"tuning": each, "cell": worked, "training": training, "move": move}
    return section


def _training(cell: TuneCell, store: Store) -> float:
    made = prepare(Payload(cell, store, None), "cpu")
    return _clock(lambda: train(made.model, made.mixture.examples, made.schedule, cell.run.seed, None, lambda *_: None))


def _moves(planned: Plan, store: Store) -> list[float]:
    """Seconds of each move, the first left out, which loads the base."""
    first: dict[str, EvaluateCell] = {cell.run.slug: cell for cell in planned.evaluations if cell.run}
    responder = Responder(planned.study.name, store)
    return [_clock(lambda cell=cell: responder.hold(cell)) for cell in first.values()][1:]


def _clock(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
