"""Whether the nodes of a cluster could hold the cells of a plan."""

import os
from collections.abc import Sequence

from app import nodes
from app.errors import TargetError
from app.grammar import counted
from app.plan import Cell

_NAMED = 3  # base models of cells that find no node


def feasible(cells: Sequence[Cell], types: Sequence[nodes.NodeType] | None = None) -> None:
    """Raise TargetError where no node could ever hold one of the cells: Ray would wait for it for ever.

    `types`: node types that may be started; left out: those of the running cluster, with what its autoscaler may add.
    """
    known = nodes.living() if types is None else types
    running = types is None and "RAY_ADDRESS" in os.environ
    lacking = {needs: why for needs in {cell.needs for cell in cells} if (why := nodes.unfit(needs, known))}
    unfit = [cell for cell in cells if cell.needs in lacking]
    if unfit:
        others = f", and {counted(len(unfit) - 1, 'other cell')} would find no node either" if len(unfit) > 1 else ""
        bases = list(dict.fromkeys(cell.base.slug for cell in unfit))
        named = ", ".join(bases[:_NAMED]) + (" and others" if len(bases) > _NAMED else "")
        raise TargetError(
            f"{unfit[0].slug} {lacking[unfit[0].needs]}{others}: lower `resources` of {named}, "
            "or give a larger node type"
            + (" (of a cluster that grows, after `python -m jobs.announce CLUSTER-FILE` on it)" if running else "")
        )
