"""Who hears how a run goes."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from app.plan import Cell


class Reporter(Protocol):
    """Hears how a run goes; the command line draws bars, a job writes lines."""

    def begin(self, cells: Sequence[Cell], reused: Sequence[Cell]) -> None:
        """The cells to compute, and those found done."""
        ...

    def progress(self, slug: str, share: float) -> None:
        """A cell has done a share, 0 to 1, of its work."""
        ...

    def failed(self, slug: str, reason: str) -> None:
        """A cell has failed, or what it needs has."""
        ...

    def waiting(self, reasons: Mapping[str, str]) -> None:
        """Why each cell that has not begun has not; all of them each time."""
        ...
