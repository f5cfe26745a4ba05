"""docs/bench.md, written by the run alone: each part replaces its own section, with the machine it ran on."""

import json
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import NamedTuple, cast

import psutil
import torch

from jobs.bench.measure import Gate

_ROOT = Path(__file__).parents[2]
_PACKAGES = ("torch", "transformers", "tokenizers", "peft", "accelerate", "lm-eval", "trl", "ray")
_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
_OPENING = """# Bench

Written by `make bench`, from `bench.json` beside it; `python -m jobs.bench PART` measures one part anew and replaces
its section, and the rows of the summary that come from it. Unless a section says otherwise, both sides of a ratio ran
side by side, in turn, in one process on one thread; times are CPU seconds (user and system) of that process, since
machines are shared, or seconds on a GPU. Imports, loading and rendering are counted on neither side, and what a
tokenizer remembers is forgotten before each round. No ratio stands here whose gates did not pass in the same run.
"""


@dataclass(frozen=True)
class Options:
    """What the command line may change; a larger size costs more time and changes no gate."""

    items: int = 40
    """Of each task."""
    examples: int = 256
    """To tune with."""
    rounds: int = 3
    models: int = 10
    """Of the end-to-end study."""
    tasks: int = 10
    """Of the end-to-end study."""
    device: str = "cpu"
    """cuda: models lie on a GPU, and seconds on the clock count."""


class Target(NamedTuple):
    """A figure that the bench is to reach."""

    what: str
    found: float | None
    """None: not measured."""
    wanted: float
    unit: str = "x"
    at_most: bool = False

    @property
    def reached(self) -> bool:
        """Whether it was measured and lies on the right side."""
        return self.found is not None and (self.found <= self.wanted if self.at_most else self.found >= self.wanted)

    @property
    def bound(self) -> str:
        """What is to be reached, in words."""
        return f"at {'most' if self.at_most else 'least'} {self.wanted:g} {self.unit}"

    def row(self) -> tuple[str, str, str, str]:
        """Figure, measured, to reach, reached or not."""
        if self.found is None:
            return self.what, "not measured", self.bound, "-"
        return self.what, f"{self.found:.{_places(self)}f} {self.unit}", self.bound, "yes" if self.reached else "**no**"


def _places(target: Target) -> int:
    """Decimals that keep a measured value apart from its target."""
    return 3 if target.wanted < 2 else 2 if target.wanted < 100 else 0


@dataclass
class Table:
    """A table of a section, as text."""

    head: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list[Sequence[str]])

    def lines(self) -> list[str]:
        """As Markdown."""
        rule = ["---" for _ in self.head]
        return ["| " + " | ".join(row) + " |" for row in (self.head, rule, *self.rows)]


@dataclass
class Section:
    """What one part of the bench found."""

    title: str
    about: str
    """What is compared, and how."""
    gates: list[tuple[str, Gate]] = field(default_factory=list[tuple[str, Gate]])
    """Of which comparison, and what was found."""
    targets: list[Target] = field(default_factory=list[Target])
    tables: list[Table] = field(default_factory=list[Table])
    figures: dict[str, float] = field(default_factory=dict[str, float])
    """Raw numbers, for programs."""
    notes: list[str] = field(default_factory=list[str])
    machine: dict[str, str] = field(default_factory=dict[str, str])
    command: str = ""

    def lines(self) -> list[str]:
        """As Markdown."""
        found = [f"## {self.title}", "", self.about, ""]
        for table in self.tables:
            found += [*table.lines(), ""] if table.rows else []
        found += [f"- {note}" for note in self.notes] + [""] * bool(self.notes)
        if self.gates:
            held = sum(gate.passed for _, gate in self.gates)
            found += [f"<details><summary>Gates: {held} of {len(self.gates)} passed</summary>", ""]
            head = Table(("comparison", "gate", "passed", "found"))
            head.rows += [(where, g.name, "yes" if g.passed else "**no**", g.told) for where, g in self.gates]
            found += [*head.lines(), "", "</details>", ""]
        facts = "; ".join(f"{name}: {value}" for name, value in self.machine.items())
        return [*found, f"`{self.command}`" + (f" · {facts}" if facts else ""), ""]


def verdict(ratio: float, wanted: float) -> str:
    """A ratio beside its target."""
    return f"**{ratio:.2f} x**" if ratio >= wanted else f"{ratio:.2f} x (not reached)"


def keep(part: str, section: Section, folder: Path, order: Sequence[str] = ()) -> None:
    """Put a section into `folder`/bench.json and write `folder`/bench.md anew, its sections in the `order` of parts."""
    held = kept(folder)
    told = cast(dict[str, object], asdict(section)) | {
        "gates": [[where, gate._asdict()] for where, gate in section.gates],
        "targets": [target._asdict() for target in section.targets],
    }
    held[part] = told
    places = {name: place for place, name in enumerate([*order, *(name for name in held if name not in order)])}
    held = dict(sorted(held.items(), key=lambda one: places[one[0]]))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bench.json").write_text(json.dumps(held, indent=1, ensure_ascii=False) + "\n")
    sections = [_section(one) for one in held.values()]
    lines = [line for one in sections for line in one.lines()]
    (folder / "bench.md").write_text("\n".join([_OPENING, *summary(sections), "", *lines]).rstrip() + "\n")


def kept(folder: Path) -> dict[str, dict[str, object]]:
    """The sections that `folder`/bench.json holds, by part."""
    file = folder / "bench.json"
    return json.loads(file.read_text()) if file.exists() else {}


def summary(sections: Sequence[Section]) -> list[str]:
    """Every target of the sections, as a table."""
    table = Table(("part", "figure", "measured", "to reach", "reached"))
    table.rows += [
        (f"[{one.title}](#{_anchor(one.title)})", *target.row()) for one in sections for target in one.targets
    ]
    targets = [target for one in sections for target in one.targets]
    measured = [target for target in targets if target.found is not None]
    reached = sum(target.reached for target in measured)
    missing = len(targets) - len(measured)
    told = f"{reached} of {len(measured)} targets reached" + (
        f"; {missing} not measured on this machine." if missing else "."
    )
    return ["## Summary", "", told, "", *table.lines()]


def _anchor(title: str) -> str:
    """What a heading is linked by."""
    kept = "".join(one for one in title.lower() if one.isalnum() or one in " -_")
    return kept.replace(" ", "-")


def _section(told: dict[str, object]) -> Section:
    read = Section(**told)  # pyright: ignore[reportArgumentType]  # our own file
    read.tables = [Table(**table) for table in read.tables]  # pyright: ignore[reportCallIssue]
    read.targets = [Target(**target) for target in read.targets]  # pyright: ignore[reportCallIssue]
    read.gates = [(where, Gate(**gate)) for where, gate in read.gates]  # pyright: ignore[reportCallIssue]
    return read


def machine() -> dict[str, str]:
    """What ran: processor, memory, versions, commit, and the day."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in _PACKAGES if _installed(name))
    return {
        "processor": f"{_processor()}, {psutil.cpu_count()} cores",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "GPU": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "software": f"Python {platform.python_version()}, {versions}",
        "commit": _commit(),
        "date": datetime.now(UTC).date().isoformat(),
    }


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _processor() -> str:
    """Name and the instructions that matter, where Linux tells them."""
    file = Path("/proc/cpuinfo")
    told = dict(line.split(":", 1) for line in file.read_text().splitlines() if ":" in line) if file.exists() else {}
    facts = {name.strip(): value.strip() for name, value in told.items()}
    flags = [flag for flag in _FLAGS if flag in facts.get("flags", "").split()]
    return f"{facts.get('model name') or platform.processor() or platform.machine()} ({', '.join(flags)})"


def _commit() -> str:
    """HEAD, and whether anything but the bench's own document differs from it."""
    own = [f":(exclude)docs/bench.{ending}" for ending in ("md", "json")]
    head, changed = (
        subprocess.run(["git", "-C", str(_ROOT), *asked], capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603, S607
        for asked in (["rev-parse", "--short=12", "HEAD"], ["status", "--porcelain", "--", ".", *own])
    )
    return f"{head or 'unknown'}{' with changes' if changed else ''}"
