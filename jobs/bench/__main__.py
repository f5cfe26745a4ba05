"""`python -m jobs.bench [PART ...]`: figures, measured here and now; nothing of it is asserted anywhere.

Parts: schedule, cluster, cells, memory, or the path of a study file; left out: all of them, and the demo study.
FEWTUNE_DATA_MIRROR names the mirror for studies on real data.
"""

import sys
from pathlib import Path

from rich.console import Console

from jobs.bench import cells, cluster, schedule, study

_DEMO = Path(__file__).parents[1] / "studies" / "demo.yaml"
_PARTS = {"schedule": schedule.schedule, "cluster": cluster.cluster, "cells": cells.cells, "memory": study.memory}

if __name__ == "__main__":
    console = Console(highlight=False, soft_wrap=True)
    for part in sys.argv[1:] or [*_PARTS, str(_DEMO)]:
        if part in _PARTS:
            _PARTS[part](console)
        else:
            study.study(Path(part), console)
