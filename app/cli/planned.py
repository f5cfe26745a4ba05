"""A plan as tables for the terminal."""

from collections.abc import Sequence
from itertools import chain

from rich.table import Table

from app.plan import Cell, Plan, Standing

_STAGES = (("base models", ("pretrain", "convert")), ("tune", ("tune",)), ("evaluate", ("evaluate",)))


def stage_table(planned: Plan, found: Standing) -> Table:
    """One row a stage: cells new, reused and invalidated, what the largest needs, estimated time of what is to do."""
    table = Table(box=None)
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
    runs = len(planned.tunings)
    bases = len({cell.base.slug for cell in planned.cells})
    table.caption = (
        f"{bases} base models, {runs} tuned models; hours are estimates for one core, or one data-centre GPU"
    )
    return table


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
        f"invalidated by {line}: " + ", ".join(f"{count} {kind} cells" for kind, count in kinds.items())
        for line, kinds in touched.items()
    ]


def _hours(*groups: Sequence[Cell]) -> tuple[str, str]:
    cells = [cell for group in groups for cell in group]
    cores = sum(cell.cost * cell.needs.cpus for cell in cells if not cell.needs.gpus)
    gpus = sum(cell.cost * cell.needs.gpus for cell in cells)
    return f"{cores / 3600:.2f}", f"{gpus / 3600:.2f}"


def _largest(cells: Sequence[Cell]) -> str:
    needs = max((cell.needs for cell in cells), key=lambda n: (n.gpus, n.memory, n.cpus))
    gpus = f", {needs.gpus:g} GPU" if needs.gpus else ""
    return f"{needs.cpus} CPU{gpus}, {needs.memory / 2**30:.0f} GiB"
