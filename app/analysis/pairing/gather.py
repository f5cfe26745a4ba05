"""Records of evaluations -> the scores table: those of the plan alone, in its order, nothing computed anew.

What a mixture is called is no part of a cell: the plan says it, so that another name makes no cell anew.
"""

import json
from collections.abc import Iterable
from typing import cast

import pyarrow as pa

from app import tables
from app.identity import versions
from app.plan import Plan
from app.store import Record


def gather(plan: Plan, records: dict[str, Record]) -> pa.Table:
    """One row for each metric of each finished evaluation of the plan."""
    rows: list[dict[str, object]] = []
    for cell in plan.evaluations:
        if cell.slug in records and records[cell.slug].fingerprint == cell.fingerprint:
            mixture = " ".join(cell.run.recipe.mixture) if cell.run else None
            kept = cast(Iterable[dict[str, object]], records[cell.slug].result["scores"])
            rows += [row | {"mixture": mixture} for row in kept]
    return tables.build("scores", rows, {"fewtune.versions": json.dumps(versions(), sort_keys=True)})
