"""What the terminal shows: one console for results, one for progress and faults."""

import sys
from typing import NoReturn

from rich.console import Console
from rich.text import Text

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def fail(message: str, code: int) -> NoReturn:
    """Print a fault, a line each, and leave with `code`."""
    for line in message.splitlines():
        err.print(Text.assemble(("error ", "bold red"), line), soft_wrap=True)
    sys.exit(code)
