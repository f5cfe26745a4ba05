"""docs/bench.md, written by the run alone: each part replaces its own section, with the machine it ran on."""

import json
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path

import psutil
import torch

from jobs.bench.measure import Gate

_ROOT = Path(__file__).parents[2]
_PACKAGES = ("torch", "transformers", "tokenizers", "peft", "accelerate", "lm-eval", "trl", "ray")
_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
_OPENING = """# Bench

Written by `make bench`, from `bench.json` beside it; `python -m jobs.bench PART` measures one part anew and replaces
its section. Both sides of a ratio ran side by side, in turn, in one process on one thread; times are CPU seconds
(user and system) of that process, since machines are shared, or seconds on a GPU where the section says so. Imports,
loading and rendering are counted on neither side. No ratio stands here whose gates did not pass in the same run. A
target that is not reached says so beside its figure.
"""


@dataclass(frozen=True)
class Options:
    """What the command line may change; a larger size costs more time and changes no gate."""

    items: int = 40
    """Of each task."""
    examples: int = 256
    """To tune with."""
    rounds: int = 3
    models: int = 4
    """Of the end-to-end study."""
    tasks: int = 5
    """Of the end-to-end study."""
    device: str = "cpu"
    """cuda: models lie on a GPU, and seconds on the clock count."""


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
            found += [*table.lines(), ""]
        found += [f"- {note}" for note in self.notes] + [""] * bool(self.notes)
        if self.gates:
            held = sum(gate.passed for _, gate in self.gates)
            found += [f"<details><summary>Gates: {held} of {len(self.gates)} passed</summary>", ""]
            head = Table(("comparison", "gate", "passed", "found"))
            head.rows += [(where, g.name, "yes" if g.passed else "**no**", g.told) for where, g in self.gates]
            found += [*head.lines(), "", "</details>", ""]
        facts = "; ".join(f"{name}: {value}" for name, value in self.machine.items())
        return [*found, f"`{self.command}` · {facts}", ""]


def verdict(ratio: float, wanted: float) -> str:
    """A ratio beside its target."""
    return f"**{ratio:.2f} x**" if ratio >= wanted else f"{ratio:.2f} x (not reached)"


def keep(part: str, section: Section, command: str, day: str, folder: Path) -> None:
    """Put a section into `folder`/bench.json and write `folder`/bench.md anew."""
    section.machine, section.command = machine(day), command
    file = folder / "bench.json"
    held = json.loads(file.read_text()) if file.exists() else {}
    held[part] = asdict(section) | {"gates": [[where, gate._asdict()] for where, gate in section.gates]}
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(held, indent=1, ensure_ascii=False) + "\n")
    lines = [line for kept in held.values() for line in _section(kept).lines()]
    (folder / "bench.md").write_text("\n".join([_OPENING, *lines]).rstrip() + "\n")


def _section(kept: dict[str, object]) -> Section:
    read = Section(**kept)  # pyright: ignore[reportArgumentType]  # our own file
    read.tables = [Table(**table) for table in read.tables]  # pyright: ignore[reportCallIssue]
    read.gates = [(where, Gate(**gate)) for where, gate in read.gates]  # pyright: ignore[reportCallIssue]
    return read


def machine(day: str = "") -> dict[str, str]:
    """What ran: processor, memory, versions, commit."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in _PACKAGES if _installed(name))
    found = {
        "processor": f"{_processor()}, {psutil.cpu_count()} cores",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "GPU": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "software": f"Python {platform.python_version()}, {versions}",
        "commit": _commit(),
    }
    return found | ({"date": day} if day else {})


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
    asked = ["git", "-C", str(_ROOT), "describe", "--always", "--dirty", "--abbrev=12"]
    told = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603
    return told.replace("-dirty", " with changes") or "unknown"
