"""`fewtune correlate` and `fewtune report`: tables and report of a store, from what is finished."""

from typing import Annotated

import typer

from app.cli.console import out, print_correlations

Root = Annotated[str, typer.Argument(help="Folder or URI of a store.", show_default=False)]


def correlate(store: Root) -> None:
    """Correlate the pairs of a store anew and print the coefficients with their intervals."""
    from app import stages

    file, place = stages.of_store(store)
    stages.correlate(stages.plan(file), place)
    print_correlations(place)
    out.print(f"tables  {place.shown('tables')}", soft_wrap=True)


def report(store: Root) -> None:
    """Write tables and report of a store anew, also while its study is unfinished."""
    from app import stages

    file, place = stages.of_store(store)
    stages.analyse(stages.plan(file), place)
    out.print(f"report  {place.shown('report/index.html')}", soft_wrap=True)
