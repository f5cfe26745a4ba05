"""A plan as tables for the terminal: cells by stage, then what they cost by kind of GPU, in tokens and in bytes."""

from collections.abc import Iterable, Sequence
from itertools import chain

from rich.console import RenderableType
from rich.table import Table

from app import costs
from app.costs import Gpu
from app.evaluation import requests
from app.grammar import counted
from app.nodes import NodeType, slots
from app.plan import Base, Cell, EvaluateCell, Plan, Run, Standing, TuneCell
from app.plan.simulation import Nodes, simulate

_STAGES = (("base models", ("pretrain", "convert")), ("tune", ("tune",)), ("evaluate", ("evaluate",)))
_SIZES = {16: "T4", 24: "L4", 40: "A100-40", 80: "A100-80", 141: "H200"}
"""GB of memory -> a GPU that has it."""


def stage_table(planned: Plan, found: Standing) -> Table:
    """One row a stage: cells new, reused and invalidated, what the largest needs, estimated time of what is to do."""
    table = Table(box=None, padding=(0, 1, 0, 0))
    for header in ("stage", "cells", "new", "reused", "invalidated", "largest needs", "core-h", "GPU-h"):
        table.add_column(header, justify="left" if header == "stage" else "right", no_wrap=True)
    stale = [cell for cell, _ in found.stale]
    for name, kinds in _STAGES:
        groups = [[c for c in cells if c.kind in kinds] for cells in (planned.cells, found.new, found.reused, stale)]
        if groups[0]:
            table.add_row(
                name, *(str(len(group)) for group in groups), _largest(groups[0]), *_hours(groups[1], groups[3])
            )
    table.add_section()
    totals = [str(len(cells)) for cells in (planned.cells, found.new, found.reused, stale)]
    table.add_row("total", *totals, "", *_hours(found.new, stale), style="bold")
    return table


def cost_tables(planned: Plan, found: Standing) -> list[RenderableType]:
    """What is still to do, by estimate: memory and hours by kind of GPU where cells ask for any, tokens, storage."""
    to_do = [*found.new, *(cell for cell, _ in found.stale)]
    tunings = [cell for cell in to_do if isinstance(cell, TuneCell)]
    evaluations = [cell for cell in to_do if isinstance(cell, EvaluateCell)]
    shown: list[RenderableType] = []
    on_gpu = [cell for cell in (*tunings, *evaluations) if cell.needs.gpus]
    if on_gpu:
        peaks = _peaks(on_gpu)
        shown += [_memory_table(peaks), _gpu_table(tunings, evaluations, peaks)]
    facts = Table.grid(padding=(0, 2))
    bases = {cell.base.slug: cell.base for cell in planned.cells}
    facts.add_row("models", f"{len(bases)} base models, {len(planned.tunings)} tuned models")
    tokens = [sum(cell.tokens for cell in tunings)]
    tokens += [sum(cell.prompt_tokens for cell in evaluations), sum(cell.generated_tokens for cell in evaluations)]
    tuned, read, written = map(_count, tokens)
    facts.add_row("tokens", f"{tuned} tuned on, {read} read, {written} generated")
    facts.add_row("storage", _storage(planned, tunings, evaluations))
    fetched = sum(base.params * 2 for base in bases.values() if base.source == "hub")
    if fetched:
        facts.add_row("downloads", f"{_size(fetched)} of weights, on a machine that runs all base models")
    source = "of what is to do; app/costs.py has the arithmetic and its sources; good to a factor of about two, and "
    source += "every task is taken to have as many test items as the study asks for"
    if on_gpu:
        source += f"; GPU-h of a stage are those of {costs.REFERENCE.name}, whatever fits; a T4 has no bfloat16"
    facts.add_row("estimates", source)
    return [*shown, facts]


def cell_table(found: Standing) -> Table:
    """One row a cell."""
    table = Table("cell", "state", "fingerprint", "cores", "GPUs", "memory", "estimate", box=None)
    states = chain(
        ((cell, "new") for cell in found.new),
        ((cell, "reused") for cell in found.reused),
        ((cell, "invalidated") for cell, _ in found.stale),
    )
    for cell, state in states:
        needs = cell.needs
        size = f"{needs.memory / 2**30:.0f} GiB"
        table.add_row(
            cell.slug, state, cell.fingerprint, str(needs.cpus), f"{needs.gpus:g}", size, f"{cell.cost:.0f} s"
        )
    return table


def reasons(found: Standing) -> list[str]:
    """Why cells are invalid: each change once, with how many cells of a stage it touches."""
    touched: dict[str, dict[str, int]] = {}
    for cell, lines in found.stale:
        for line in lines:
            kinds = touched.setdefault(line, {})
            kinds[cell.kind] = kinds.get(cell.kind, 0) + 1
    return [
        f"invalidated by {line}: " + ", ".join(counted(count, f"{kind} cell") for kind, count in kinds.items())
        for line, kinds in touched.items()
    ]


def cluster_lines(planned: Plan, found: Standing, types: Sequence[NodeType]) -> list[str]:
    """What a cluster makes of what is to do: a line for each kind of node, and the time with all of them up."""
    to_do = [cell.slug for cell in (*found.new, *(cell for cell, _ in found.stale))]
    needs = {cell.needs: cell for cell in planned.cells}
    lines = [
        f"{node.name}: up to {counted(node.most, 'node')}, {_market(node)}"
        f"{sum(slots(wanted, [node]) > 0 for wanted in needs)} of {counted(len(needs), 'kind')} of cells fit"
        for node in types
    ]
    if to_do:
        took = simulate(planned, to_do, [Nodes(node.most, node.resources) for node in types])
        lines.append(
            f"with all of them up, by estimate: {took.makespan / 3600:.1f} h, and no order of the cells is faster than "
            f"{took.bound / 3600:.1f} h"
        )
    return lines


def _market(node: NodeType) -> str:
    return f"{node.market}, " if node.market else ""


class _Peak:
    """A base model's largest need of GPU memory in each stage, in bytes."""

    def __init__(self, base: Base) -> None:
        self.base = base
        self.bytes: dict[str, float] = {}
        self.gpus = 0.0

    def fits(self, gpu: Gpu) -> bool:
        """Whether its cells fit the GPUs that one worker gets; a fraction of a GPU shares its memory."""
        room = self.gpus * gpu.memory * 1e9 * costs.USABLE
        return max(self.bytes.values()) <= room and (gpu.bfloat16 or self.base.dtype in ("float16", "float32"))


def _peaks(cells: Iterable[TuneCell | EvaluateCell]) -> list[_Peak]:
    """The peaks of all base models, smallest model first."""
    found: dict[str, _Peak] = {}
    for cell in cells:
        peak = found.setdefault(cell.base.slug, _Peak(cell.base))
        peak.bytes[cell.kind] = max(peak.bytes.get(cell.kind, 0), cell.gpu_bytes)
        peak.gpus = max(peak.gpus, cell.needs.gpus)
    return sorted(found.values(), key=lambda peak: peak.base.params)


def _memory_table(peaks: Sequence[_Peak]) -> Table:
    """One row a base model: GPU memory of one worker, and how many GPUs of each size hold as much."""
    table = Table(box=None, padding=(0, 1, 0, 0), title="GPU memory of one worker, and GPUs that hold as much")
    for header in ("base model", "held in", "tune", "evaluate", *(f"{size} GB" for size in _SIZES)):
        table.add_column(header, justify="left" if header in ("base model", "held in") else "right", no_wrap=True)
    kinds = {gpu.name: gpu for gpu in costs.GPUS}
    for peak in peaks:
        sizes = [_size(peak.bytes[kind]) if kind in peak.bytes else "-" for kind in ("tune", "evaluate")]
        largest = max(peak.bytes.values())
        counts = [str(costs.gpus_needed(largest, kinds[name])) for name in _SIZES.values()]
        table.add_row(peak.base.slug, peak.base.dtype, *sizes, *counts)
    return table


def _gpu_table(tunings: Sequence[TuneCell], evaluations: Sequence[EvaluateCell], peaks: Sequence[_Peak]) -> Table:
    """One row a kind of GPU: hours of the base models that fit it, and how many do not."""
    table = Table(box=None, padding=(0, 1, 0, 0), title="GPU-hours of the base models that fit")
    for header in ("GPU", "memory", "tune", "evaluate", "total", "does not fit"):
        table.add_column(header, justify="left" if header == "GPU" else "right", no_wrap=True)
    for gpu in costs.GPUS:
        fitting = {peak.base.slug for peak in peaks if peak.fits(gpu)}
        hours = [_gpu_hours(gpu, [c for c in cells if c.base.slug in fitting]) for cells in (tunings, evaluations)]
        shown = [_short(found) for found in (*hours, sum(hours))] if fitting else ["-"] * 3
        left_out = len(peaks) - len(fitting)
        table.add_row(gpu.name, f"{gpu.memory:g} GB", *shown, f"{left_out} of {len(peaks)}" if left_out else "")
    return table


def _gpu_hours(gpu: Gpu, cells: Sequence[TuneCell | EvaluateCell]) -> float:
    asking = [cell for cell in cells if cell.needs.gpus]
    seconds = sum(cell.needs.gpus * costs.gpu_seconds(phase, gpu) for cell in asking for phase in cell.phases)
    return (seconds + sum(_load_seconds(cell) * cell.needs.gpus for cell in _loading(asking))) / 3600


def _loading(cells: Sequence[TuneCell | EvaluateCell]) -> list[TuneCell | EvaluateCell]:
    """The cells that load weights: each tuning, and the first evaluation of each model."""
    first = {cell.weights if isinstance(cell, EvaluateCell) else cell.slug: cell for cell in reversed(cells)}
    return list(first.values())


def _load_seconds(cell: TuneCell | EvaluateCell) -> float:
    return costs.load_seconds(cell.base.params, cell.base.dtype)


def _storage(planned: Plan, tunings: Sequence[TuneCell], evaluations: Sequence[EvaluateCell]) -> str:
    """Bytes of what the store will hold."""
    items = planned.study.test_items
    runs = sum(_run_bytes(cell.run) for cell in tunings)
    asked = {requests.location(cell): cell for cell in evaluations}.values()
    prompts = sum(costs.request_bytes(items, _own_tokens(cell)) for cell in asked)
    answers = sum(costs.response_bytes(items, cell.generated_tokens / items) for cell in evaluations)
    return f"{_size(runs)} of tuned models, {_size(prompts)} of requests, {_size(answers)} of responses"


def _run_bytes(run: Run) -> float:
    recipe = run.recipe
    return costs.run_bytes(run.base.params, run.base.dtype, run.base.shape, recipe.method, recipe.lora.rank)


def _own_tokens(cell: EvaluateCell) -> float:
    """Tokens of a prompt that the other prompts of its file do not have: frozen demonstrations compress to nothing."""
    own = cell.condition.shots if cell.condition.draw == "per_item" and cell.condition.name != "samplegen-direct" else 0
    return (1 + own) * cell.task.tokens


def _hours(*groups: Sequence[Cell]) -> tuple[str, str]:
    cells = [cell for group in groups for cell in group]
    cores = sum(cell.cost * cell.needs.cpus for cell in cells if not cell.needs.gpus)
    gpus = sum(cell.cost * cell.needs.gpus for cell in cells)
    return _short(cores / 3600), _short(gpus / 3600)


def _short(hours: float) -> str:
    return f"{hours:.2f}" if hours < 100 else f"{hours:,.0f}"


def _largest(cells: Sequence[Cell]) -> str:
    needs = max((cell.needs for cell in cells), key=lambda n: (n.gpus, n.memory, n.cpus))
    gpus = f", {needs.gpus:g} GPU" if needs.gpus else ""
    return f"{needs.cpus} CPU{gpus}, {needs.memory / 2**30:.0f} GiB"


def _count(number: float) -> str:
    """A number of tokens, short."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number:.0f}"


def _size(number: float) -> str:
    """A number of bytes, short."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number / 1e3:.3g} kB"
