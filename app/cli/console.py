"""What the terminal shows: one console for results, one for progress and faults."""

import sys
from typing import TYPE_CHECKING, NoReturn

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from app.store import Store

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def print_correlations(store: "Store") -> None:
    """The correlations of a store, over the pairs that its report's answer rests on."""
    from app.analysis.answer import main_filter, rows_of
    from app.analysis.reporting.terminal import correlation_lines

    table = store.read_table("correlations", "tables/correlations.parquet")
    out.print(correlation_lines(table, filter=main_filter(rows_of(table))))


def fail(message: str, code: int) -> NoReturn:
    """Print a fault, a line each, and leave with `code`."""
    for line in message.splitlines():
        err.print(Text.assemble(("error ", "bold red"), line), soft_wrap=True)
    sys.exit(code)
