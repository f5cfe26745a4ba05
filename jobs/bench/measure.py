"""How two sides are compared: gates before any ratio, then both in turn, in one process, on one thread.

CPU seconds are the process's own (user and system), so that a machine shared with others tells the same; on a GPU they
are seconds on the clock between two synchronisations. Imports, loading and rendering lie outside what is timed.
"""

import cProfile
import gc
import hashlib
import json
import pstats
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch

from app.models import pieces

TOLERANCE = 1e-3
"""Largest difference of two log-probabilities, in nats, that counts as the same number in float32."""


class Gate(NamedTuple):
    """One condition that must hold before a ratio means anything."""

    name: str
    passed: bool
    told: str
    """What was found."""


class Answered(NamedTuple):
    """One side's answers to the same items."""

    prompts: str
    """Hash of every context and option that went in."""
    logprobs: tuple[tuple[float, ...], ...]
    """Of each option of each item, in nats."""
    targets: tuple[int, ...]
    """Place of the right option of each item."""

    @property
    def chosen(self) -> tuple[int, ...]:
        """The likeliest option of each item, the first of equals."""
        return tuple(max(range(len(row)), key=row.__getitem__) for row in self.logprobs)

    @property
    def accuracy(self) -> float:
        """Share of items whose likeliest option is right."""
        return statistics.mean(place == right for place, right in zip(self.chosen, self.targets, strict=True))


def same_prompts(ours: str, theirs: str) -> Gate:
    """Whether two hashes of prompts are one."""
    return Gate("same prompts", ours == theirs, f"SHA-256 {ours} and {theirs}")


def same_answers(ours: Answered, theirs: Answered, tolerance: float = TOLERANCE) -> list[Gate]:
    """Whether two sides were asked the same and answered the same."""
    gates = [same_prompts(ours.prompts, theirs.prompts)]
    if [len(row) for row in ours.logprobs] != [len(row) for row in theirs.logprobs]:
        return [*gates, Gate("same items", False, "the two sides answered other numbers of options")]
    apart = sum(a != b for a, b in zip(ours.chosen, theirs.chosen, strict=True))
    gaps = [abs(a - b) for a, b in zip(_flat(ours.logprobs), _flat(theirs.logprobs), strict=True)]
    close = all(gap < tolerance for gap in gaps)  # a NaN is no small difference: it fails this
    told = f"largest difference {max(gaps, default=0.0):.1e} nats, allowed {tolerance:.0e}"
    return [
        *gates,
        Gate("same accuracy", ours.accuracy == theirs.accuracy, f"{ours.accuracy:.4f} and {theirs.accuracy:.4f}"),
        Gate("same likeliest option", apart == 0, f"{apart} of {len(ours.chosen)} items differ"),
        Gate("same log-probabilities", close, told),
    ]


def same_number(name: str, ours: float, theirs: float, tolerance: float = TOLERANCE) -> Gate:
    """Whether two numbers are one, but for rounding."""
    gap = abs(ours - theirs)
    return Gate(name, gap < tolerance, f"{ours:.6f} and {theirs:.6f}, difference {gap:.1e}, allowed {tolerance:.0e}")


def refusal(gates: Sequence[Gate]) -> str:
    """Why no ratio may be told; empty where all gates passed."""
    return "; ".join(f"{gate.name}: {gate.told}" for gate in gates if not gate.passed)


def digest(texts: Sequence[object]) -> str:
    """The first 16 hexadecimal digits of a hash over texts, numbers and lists of them."""
    return hashlib.sha256(json.dumps(texts, ensure_ascii=False).encode()).hexdigest()[:16]


class Timed(NamedTuple):
    """What some work took and gave."""

    seconds: float
    result: Any


def timed(work: Callable[[], object], device: str = "cpu") -> Timed:
    """CPU seconds of this process, or seconds on a GPU."""
    gc.collect()
    if device == "cpu":
        began = time.process_time()
        result = work()
        return Timed(time.process_time() - began, result)
    torch.cuda.synchronize()
    began = time.perf_counter()
    result = work()
    torch.cuda.synchronize()
    return Timed(time.perf_counter() - began, result)


class Pace(NamedTuple):
    """Rounds of one side."""

    seconds: tuple[float, ...]
    done: int
    """In each round: requests, examples or items."""
    result: Any
    """Of the first round."""

    @property
    def rate(self) -> float:
        """Done per second, in the median round."""
        return self.done / statistics.median(self.seconds)


def alternate(sides: Sequence[Callable[[], object]], done: int, rounds: int, device: str = "cpu") -> list[Pace]:
    """Time every side `rounds` times, in turn, each round in the reverse order of the one before.

    What a tokenizer has read is forgotten before each: the harness remembers nothing from one round to the next.
    """
    found: list[list[Timed]] = [[] for _ in sides]
    for number in range(rounds):
        order = range(len(sides)) if number % 2 == 0 else reversed(range(len(sides)))
        for place in order:
            pieces.forget()
            found[place].append(timed(sides[place], device))
    return [Pace(tuple(one.seconds for one in side), done, side[0].result) for side in found]


def hot(work: Callable[[], object], lines: int = 6) -> str:
    """The functions in which `work` spends most of its time, with their shares: what limits it."""
    pieces.forget()
    profile = cProfile.Profile()
    profile.runcall(work)
    stats = cast(Mapping[tuple[str, int, str], tuple[int, int, float, float, object]], pstats.Stats(profile).stats)  # pyright: ignore
    total = sum(row[2] for row in stats.values())
    ordered = sorted(stats.items(), key=lambda one: -one[1][2])[:lines]
    return ", ".join(f"{_called(place)} {row[2] / total:.0%}" for place, row in ordered)


def _called(place: tuple[str, int, str]) -> str:
    file, _, name = place
    return name.strip("<>").removeprefix("built-in method ") if file == "~" else f"{Path(file).stem}.{name}"


def spread(ours: Pace, theirs: Pace) -> str:
    """Lowest and highest ratio of the rates in a round."""
    ratios = [b / a for a, b in zip(ours.seconds, theirs.seconds, strict=True)]
    return f"{min(ratios):.1f} to {max(ratios):.1f}"


def _flat(rows: Sequence[Sequence[float]]) -> list[float]:
    return [value for row in rows for value in row]
