"""`python -m jobs.bench before REVISION [STUDY]`: a study with the code of another revision and with this one's.

The other code lies in a worktree of its own and comes first on PYTHONPATH: the same interpreter, libraries and study
file on both sides. Then the tables of both stores are compared, row by row.
"""

import math
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from app.errors import InputError
from jobs.bench.document import Options, Section, Table, Target
from jobs.bench.measure import Gate
from jobs.bench.spending import Spent, how, spend

TABLES = ("scores", "pairs")
_STUDIES = Path("jobs") / "studies"
_ROOT = Path(__file__).parents[2]
_KEYS = ("base", "run", "task", "metric", "condition", "wording", "shots", "shot_seed")
"""What names a row, as far as a table has it."""
_ABOUT = """`fewtune run` on this study as the older revision has it, in a fresh store, with the code of that revision
and with this one's: seconds of all processes below each command. Tables are compared row by row over the columns that
both have."""


class Difference(NamedTuple):
    """A column of two tables whose values are not the same."""

    column: str
    rows: int
    """In how many."""
    largest: float | None
    """Of numbers; None: other values."""


class Compared(NamedTuple):
    """Two tables with the same rows, or not."""

    rows: int
    """That both have."""
    apart: int
    """That only one of them has, or has more than once."""
    columns: int
    """That both have."""
    added: Sequence[str]
    """Columns of one alone."""
    differences: Sequence[Difference]


def part(revision: str, study: str, options: Options) -> Section:
    """The section of `python -m jobs.bench before REVISION STUDY`; `study`: a name in jobs/studies."""
    section = Section(f"The study {study}, before and now ({revision})", _ABOUT)
    with tempfile.TemporaryDirectory(prefix="fewtune-bench-") as root, _worktree(revision, Path(root)) as tree:
        file = tree / _STUDIES / f"{study}.yaml"
        if not file.is_file():
            raise InputError(f"{revision} has no study {study} in {_STUDIES}: name one that it has")
        spent = {name: _run(name, code, file, Path(root)) for name, code in _sides(tree).items()}
        for name in TABLES:
            read = [pq.read_table(Path(root) / side / "store" / "tables" / f"{name}.parquet") for side in spent]
            _tell(name, compared(read[0], read[1]), section)
    before, now = spent.values()
    section.targets[:0] = [
        Target(f"study {study}, CPU seconds at {revision} over now", before.cpu / now.cpu, 1.0),
        Target(f"study {study}, seconds at {revision} over now", before.wall / now.wall, 1.0),
    ]
    times = Table(("code", "CPU seconds", "seconds", "CPU seconds of others"))
    times.rows += [(n, f"{s.cpu:.1f}", f"{s.wall:.1f}", f"{s.others:.0f}") for n, s in spent.items()]
    section.tables.insert(0, times)
    section.figures |= {f"{name}: CPU seconds": one.cpu for name, one in spent.items()}
    section.figures |= {f"{name}: seconds": one.wall for name, one in spent.items()}
    section.notes.insert(0, how(*spent.values()))
    return section


@contextmanager
def _worktree(revision: str, folder: Path) -> Generator[Path]:
    """The files of a revision, for a while. Raises InputError where there is none of that name."""
    git, tree = ["git", "-C", str(_ROOT), "worktree"], folder / "tree"
    made = subprocess.run([*git, "add", "--detach", str(tree), revision], capture_output=True, text=True, check=False)  # noqa: S603
    if made.returncode:
        raise InputError(f"{revision} cannot be compared with: {made.stderr.strip().splitlines()[-1]}")
    try:
        yield tree
    finally:
        subprocess.run([*git, "remove", "--force", str(tree)], check=True, capture_output=True)  # noqa: S603


def _sides(tree: Path) -> dict[str, Path]:
    return {"before": tree, "now": _ROOT}


def _run(name: str, code: Path, study: Path, root: Path) -> Spent:
    """The study by one side's code. Raises InputError where Python would take the package from elsewhere."""
    folder, path = root / name, {"PYTHONPATH": str(code)}
    folder.mkdir()
    asked = [sys.executable, "-c", "import app; print(app.__file__)"]
    found = Path(spend(asked, folder, path).told.strip())
    if found.resolve().parents[1] != code.resolve():
        raise InputError(f"Python takes the package from {found}, not from {code}: run the bench from a checkout")
    return spend([sys.executable, "-m", "app.cli.main", "run", str(study), "--store", "store"], folder, path)


def compared(before: pa.Table, now: pa.Table) -> Compared:
    """Which values of the columns that both have differ, among the rows that both have once."""
    both = [name for name in before.column_names if name in now.column_names]
    keys = [name for name in _KEYS if name in both]
    old, new = (_by_key(table.select(both), keys) for table in (before, now))
    shared = [key for key in old if key in new and len(old[key]) == len(new[key]) == 1]
    apart = len(old.keys() | new.keys()) - len(shared)
    found: list[Difference] = []
    for name in both:
        pairs = [(old[key][0][name], new[key][0][name]) for key in shared]
        unlike = [(a, b) for a, b in pairs if a != b and not (a != a and b != b)]
        if unlike:
            numbers = [abs(a - b) for a, b in unlike if isinstance(a, int | float) and isinstance(b, int | float)]
            largest = (
                max(numbers, key=lambda gap: math.inf if gap != gap else gap) if len(numbers) == len(unlike) else None
            )
            found.append(Difference(name, len(unlike), largest))
    added = sorted({*before.column_names} ^ {*now.column_names})
    return Compared(len(shared), apart, len(both), added, found)


def _by_key(table: pa.Table, keys: Sequence[str]) -> dict[tuple[object, ...], list[Mapping[str, object]]]:
    found: dict[tuple[object, ...], list[Mapping[str, object]]] = {}
    for row in table.to_pylist():
        found.setdefault(tuple(row[key] for key in keys), []).append(row)
    return found


def _tell(name: str, found: Compared, into: Section) -> None:
    into.gates.append((name, Gate("same rows", found.apart == 0, f"{found.rows} on both sides, {found.apart} not")))
    values = {one.column: one for one in found.differences}
    column = "value" if name == "scores" else "y"
    gap = (values[column].largest if values[column].largest is not None else math.inf) if column in values else 0.0
    into.targets.append(Target(f"largest difference of {column} in {name}", gap, 0.0, "", at_most=True))
    into.figures[f"{name}: columns that differ"] = float(len(found.differences))
    told = f"{name}: {found.rows:,} rows and {found.columns} columns on both sides"
    into.notes.append(told + (f"; on one side alone: {', '.join(found.added)}." if found.added else "."))
    if not found.differences:
        into.notes.append(f"{name}: every value is the same.")
        return
    table = Table((f"column of {name}", "rows that differ", "largest difference"))
    table.rows += [
        (one.column, f"{one.rows} of {found.rows}", "other values" if one.largest is None else f"{one.largest:.3g}")
        for one in found.differences
    ]
    into.tables.append(table)
