"""`fewtune correlate`, `fewtune report` and `fewtune compare`: what follows from scores, one's own or a store's."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from app.cli.console import err, out, print_correlations
from app.errors import InputError

if TYPE_CHECKING:
    from app.analysis.compare import Side
    from app.analysis.own.given import Own

Root = Annotated[str, typer.Argument(help="Folder or URI of a store.", show_default=False)]
Two = Annotated[str, typer.Argument(help="Folder or URI of a store, or a folder of its tables.", show_default=False)]
_TABLES = (".parquet", ".csv", ".tsv", ".json", ".jsonl")


def correlate(
    place: Annotated[
        str | None,
        typer.Argument(
            metavar="STORE|FILE", show_default=False,
            help="Folder or URI of a store, or a table of scores (.parquet, .csv, .tsv, .json, .jsonl).",
        ),
    ] = None,
    base: Annotated[
        Path | None,
        typer.Option("--base", show_default=False, help="Folder of lm-evaluation-harness results of base models."),
    ] = None,
    tuned: Annotated[
        Path | None, typer.Option("--tuned", show_default=False, help="The same of the tuned models.")
    ] = None,
    match: Annotated[
        Path | None,
        typer.Option(
            "--match", show_default=False,
            help="Table with the columns tuned and base, and perhaps family, params, recipe: what was tuned from what.",
        ),
    ] = None,
    tasks: Annotated[
        Path | None,
        typer.Option("--tasks", show_default=False, help="Table with the columns task and chance, perhaps cluster."),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            "--out", show_default=False, help="Folder or URI for the tables and the report of scores of one's own."
        ),
    ] = None,
) -> None:  # fmt: skip
    """Correlate pairs and print the coefficients with their intervals: of a store, or of any table of scores.

    A table has one row for each tuned model and task, with the columns base, run, task, few_shot, tuned_score
    and, if known, zero_shot, few_shot_stderr, tuned_stderr, zero_shot_stderr, chance, high, n, metric, family, params,
    recipe, cluster, role, shots. Scores are fractions; high is their best value where it is not 1.

    Or one row for each score: base, run (empty for the base model), task, condition (few_shot, zero_shot or tuned),
    score and, if known, stderr, shot_seed and the other columns above.

    Also understood: base_model; tuned_model; tuned (names: run, numbers: tuned_score); benchmark; base_few_shot,
    few_shot_score; tuned_zero_shot; base_zero_shot, zero_shot_score; base_few_shot_stderr; tuned_score_stderr,
    tuned_zero_shot_stderr; base_zero_shot_stderr; setting; value; seed; num_fewshot; chance_level; best; items,
    n_items; parameters; task_cluster.
    """
    if place is not None and any(given is not None for given in (base, tuned)):
        raise InputError("give a store, a table of scores, or --base with --tuned: one of them")
    if base is not None and tuned is not None:
        from app.analysis.own import harness_results

        _own(harness_results.read(base, tuned, match, tasks), f"the results in {base} and {tuned}", to)
        return
    if base is not None or tuned is not None or place is None:
        raise InputError("give a store, a table of scores, or both --base DIR and --tuned DIR")
    if match is not None or tasks is not None:
        raise InputError(
            "--match and --tasks go with --base and --tuned: a table of scores has columns for what they say"
        )
    if place.lower().endswith(_TABLES) or Path(place).is_file():
        from app.analysis.own import own_scores

        _own(own_scores.read(Path(place)), Path(place).name, to)
    elif to is not None:
        raise InputError("--out is for scores of one's own: a store keeps its tables and report itself")
    else:
        _of_store(place)


def report(store: Root) -> None:
    """Write tables and report of a store anew, also while its study is unfinished."""
    from app import stages
    from app.stages.analysing import analyse

    file, place = stages.of_store(store)
    analyse(stages.plan(file), place)
    out.print(f"report  {place.shown('report/index.html')}", soft_wrap=True)


def compare(
    a: Two, b: Two, as_json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON.")] = False
) -> None:
    """Say what changed from study A to study B: scores beyond their errors, and correlations on the pairs of both."""
    import json

    from app.analysis import compare as comparing
    from app.cli import compared

    found = comparing.compare(_side(a), _side(b))
    if as_json:
        print(json.dumps(compared.as_json(found), indent=1, allow_nan=False))
    else:
        out.print(compared.render(found))


def _of_store(root: str) -> None:
    from app import stages
    from app.stages.analysing import correlate

    file, place = stages.of_store(root)
    correlate(stages.plan(file), place)
    print_correlations(place)
    out.print(f"tables  {place.shown('tables')}", soft_wrap=True)


def _own(own: "Own", origin: str, to: str | None) -> None:
    """Print the correlations of given scores; with a folder, write tables and report there."""
    import sys

    from app.analysis.answer import answer, main_filter, rows_of
    from app.analysis.own import own_report
    from app.analysis.reporting.terminal import correlation_lines
    from app.store import Store

    place = Store(to) if to is not None else None
    if place is not None:
        own_report.check(place)
    try:
        found = own_report.analyse(own)
    except InputError:
        for line in own.warnings:  # they may say why there is no pair
            err.print(Text(line, style="yellow"), soft_wrap=True)
        raise
    rows = rows_of(found.tables["correlations"])
    out.print(correlation_lines(found.tables["correlations"], filter=main_filter(rows)))
    said = answer(rows)
    out.print(" ".join(part for part in (said.sentence, said.rival) if part), soft_wrap=True)
    for line in filter(None, (own_report.left_out(found), *own.warnings)):
        err.print(Text(line, style="yellow"), soft_wrap=True)
    if place is None:
        out.print("tables and report: give --out FOLDER")
        return
    own_report.write(place, own, found, ["fewtune", *map(shlex.quote, sys.argv[1:])], origin)
    out.print(f"tables  {place.shown('tables')}", soft_wrap=True)
    out.print(f"report  {place.shown('report/index.html')}", soft_wrap=True)


def _side(root: str) -> "Side":
    from app.analysis.compare import Side
    from app.store import Store

    place = Store(root)
    folder = "tables/" if place.exists("tables/pairs.parquet") else ""
    if not place.exists(f"{folder}pairs.parquet"):
        raise InputError(f"{root} has no pairs.parquet: give a store with a report, or a folder of its tables")
    found = (place.read_table(name, f"{folder}{name}.parquet") for name in ("pairs", "correlations"))
    return Side(root, *found)
