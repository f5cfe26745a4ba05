"""What is simulated: designs of this repository's studies and of three textbook sizes, in the worlds of `case`."""

from dataclasses import replace
from pathlib import Path

from app import stages
from app.analysis.design.designs import balanced, planned
from app.study import load
from jobs.simulate.case import BETTER, EQUAL, FLOOR, HALFWAY, NOTHING, Case

_ROOT = Path(__file__).parents[2]
_DEMO, _NINETY = _ROOT / "jobs" / "studies" / "demo.yaml", _ROOT / "docs" / "ninety" / "study.yaml"


_SLOW = 0.2
"""What takes ten times as long as the rest has this part of its experiments."""


def cases() -> list[Case]:
    """All of them, the longest experiments first."""
    small, large = balanced(6, 1, 2, 30, 200), balanced(10, 3, 3, 30, 200)
    wide = balanced(10, 3, 3, 70, 200)
    demo, ninety = (planned(stages.plan(load(path))) for path in (_DEMO, _NINETY))
    designs = {"C": wide, "B": large, "ninety": ninety, "A": small, "demo": demo}
    found = [Case(name, "coverage", design, BETTER) for name, design in designs.items()]
    found += [Case(name, "items", designs[name], BETTER, share=_SLOW) for name in ("B", "ninety", "demo")]
    found += [Case(name, "further", designs[name], BETTER, share=_SLOW) for name in ("B", "ninety", "demo")]
    for name in ("C", "B", "ninety", "A", "demo"):
        found.append(Case(name, "difference", designs[name], EQUAL))
        found.append(Case(f"{name}, z at its floor", "difference", designs[name], FLOOR))
        found.append(Case(f"{name}, z half-way", "difference", designs[name], HALFWAY))
        found.append(Case(name, "permutation", designs[name], NOTHING))
    for share in (0.01, 0.05, 0.1):
        found += [
            Case(f"{name}, {share:.0%} missing", "missing", designs[name], BETTER, share) for name in ("B", "demo")
        ]
    series = balanced(10, 1, 1, 30, 200, checkpoints=6)
    for by in ("base", "checkpoint"):
        found.append(Case(f"10 runs of 6 checkpoints, by {by}", "checkpoints", replace(series, cluster_by=by), BETTER))
    return found
