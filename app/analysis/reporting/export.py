"""Tables for a paper and for other programs: LaTeX with booktabs rules, and CSV with every column.

LaTeX tables hold what a paper would print, at two decimals and with the notes under the table; CSV holds the tables as
they are, at full precision. Both are functions of the tables alone, so the same tables give the same bytes.
"""

import io
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import pyarrow as pa
from pyarrow import csv as arrow_csv

from app.analysis.answer import units
from app.analysis.reporting.forest import subset_name
from app.analysis.vocabulary import INTACT_FILTER, LEVEL_NAMES, SHORT

Row = Mapping[str, Any]
_SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "\N{MINUS SIGN}": r"$-$",
    "\N{EN DASH}": "--",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "\N{MIDDLE DOT}": r"$\cdot$",
}
_NOTHING = "--"
_SUBSETS = ("all", INTACT_FILTER, "role=", "tuned_on=", "wording=", "median>")
"""How the filters begin that a paper would print: all pairs and the main parts of them."""
_SIDES = {"x": "predictor", "y": "tuned", "z": "baseline"}


class _Printed(NamedTuple):
    """A table as it will be printed: text cells, of which the first `left` columns are set flush left."""

    caption: str
    label: str
    heads: Sequence[str]
    left: int
    rows: Sequence[tuple[Sequence[str], str]]
    """Cells, and the note of the row."""


def latex(tables: Mapping[str, pa.Table | None]) -> dict[str, bytes]:
    """tables/NAME.tex for those of "correlations", "components" and "limits" that are given and have rows."""
    made: dict[str, bytes] = {}
    for name, printed in (("correlations", _correlations), ("components", _components), ("limits", _limits)):
        table = tables.get(name)
        if table is not None and table.num_rows:
            made[f"tables/{name}.tex"] = _typeset(printed(cast(list[Row], table.to_pylist()))).encode()
    return made


def csv(tables: Mapping[str, pa.Table | None]) -> dict[str, bytes]:
    """data/NAME.csv for each table given; a list becomes one text, its parts joined by a semicolon and a blank."""
    return {f"data/{name}.csv": _written(table) for name, table in tables.items() if table is not None}


def of_tuples(rows: Sequence[NamedTuple]) -> pa.Table | None:
    """Named tuples of one kind as a table, its columns their fields; None where there are none."""
    return pa.Table.from_pylist([row._asdict() for row in rows]) if rows else None


def escape(text: str) -> str:
    """`text` with every character that LaTeX would read as a command made one that it prints; line ends become blanks.

    Letters beyond ASCII stay: LaTeX has read UTF-8 since 2018.
    """
    return "".join(_SPECIAL.get(letter, letter) for letter in " ".join(text.split()))


def _correlations(rows: list[Row]) -> _Printed:
    """Pearson, its difference and the check on normal scores, over all pairs and over the main subsets."""
    order = list(LEVEL_NAMES)
    kept = [
        row
        for row in rows
        if row["method"] in ("pearson", "pearson-delta", "pearson-partial", "pearson-corrected", "normal-scores-delta")
        and row["filter"].removeprefix(f"{INTACT_FILTER},").startswith(_SUBSETS)
    ]
    kept.sort(key=lambda row: (row["filter"] != "all", row["filter"], order.index(row["level"])))
    unit = units(row["interval"] for row in rows)[1].capitalize()
    heads = ("Pairs", "Level", "Statistic", "Predictor", "Estimate", r"95\,\% interval", "$p$", unit, "Tasks")
    lines = [
        (
            (
                _pairs(row["filter"]), LEVEL_NAMES[row["level"]], row["method"], _predictor(row["x"]),
                _number(row["estimate"]), _interval(row), _p(row["p_value"]), str(row["n_clusters"]),
                str(row["n_tasks"]),
            ),
            row["note"],
        )
        for row in kept
    ]  # fmt: skip
    what = (
        f"Correlations with {rows[0]['y']} in the study {rows[0]['study']}; a predictor less another is the difference "
        "of their coefficients"
    )
    return _Printed(what, "tab:correlations", heads, 4, lines)


def _pairs(filter_: str) -> str:
    prefix = f"{INTACT_FILTER},"
    return subset_name(filter_.removeprefix(prefix)) + (", intact bases" if filter_.startswith(prefix) else "")


def _predictor(x: str) -> str:
    for name, short in SHORT.items():
        x = x.replace(name, short.replace(", ", " "))
    return x


def _components(rows: list[Row]) -> _Printed:
    heads = (
        "Pairs", "Component", "Predictor", "Target", "Noise", "Correlation", r"95\,\% interval", "Variance, predictor",
        "Variance, target", "Covariance",
    )  # fmt: skip
    lines = [
        (
            (
                row["filter"], row["component"], row["x"], row["y"], row["noise"], _number(row["correlation"]),
                _interval(row), _number(row["x_variance"], 4), _number(row["y_variance"], 4),
                _number(row["covariance"], 4),
            ),
            row["note"],
        )
        for row in rows
    ]  # fmt: skip
    what = f"Components of variance and their correlations in the study {rows[0]['study']}"
    return _Printed(what, "tab:components", heads, 5, lines)


def _limits(rows: list[Row]) -> _Printed:
    heads = (
        "Family", "Parameters", "Tuned on", "Side", "Metric", "Without", "With", "Effect", r"95\,\% interval",
        "Bases without", "Bases with",
    )  # fmt: skip
    lines = [
        (
            (
                row["family"], f"{row['params']:,}" if row["params"] else "all", "yes" if row["tuned_on"] else "no",
                _SIDES[row["side"]], row["metric"], _number(row["without"]), _number(row["intact"]),
                _number(row["effect"]), _interval(row), str(row["bases_without"]), str(row["bases_intact"]),
            ),
            row["note"],
        )
        for row in rows
    ]  # fmt: skip
    what = f"Tasks left out of pretraining in the study {rows[0]['study']}: mean scores without and with them"
    return _Printed(what, "tab:limits", heads, 5, lines)


def _typeset(printed: _Printed) -> str:
    """The table as a float with booktabs rules; a note that several rows share stands once, with one mark."""
    notes = list(dict.fromkeys(note for _, note in printed.rows if note))
    columns = "l" * printed.left + "r" * (len(printed.heads) - printed.left)
    lines = [
        "% needs \\usepackage{booktabs} and \\usepackage{graphicx}",
        "\\begin{table}",
        "\\centering",
        f"\\caption{{{escape(printed.caption)}.}}",
        f"\\label{{{printed.label}}}",
        "\\resizebox{\\linewidth}{!}{%",
        f"\\begin{{tabular}}{{{columns}}}",
        "\\toprule",
        " & ".join(printed.heads) + " \\\\",
        "\\midrule",
    ]
    for cells, note in printed.rows:
        mark = f"\\textsuperscript{{{notes.index(note) + 1}}}" if note else ""
        first, *rest = map(escape, cells)  # a mark on a number would read as an exponent
        lines.append(" & ".join([first + mark, *rest]) + " \\\\")
    lines += ["\\bottomrule", "\\end{tabular}}", *_footnotes(notes), "\\end{table}", ""]
    return "\n".join(lines)


def _footnotes(notes: Sequence[str]) -> list[str]:
    if not notes:
        return []
    told = [f"\\textsuperscript{{{place}}}~{escape(note)}." for place, note in enumerate(notes, 1)]
    return ["\\par\\smallskip", "\\begin{minipage}{\\linewidth}\\footnotesize", *told, "\\end{minipage}"]


def _number(value: float | None, digits: int = 2) -> str:
    """Decimals with a true minus sign, which `escape` sets as mathematics; a dash for None."""
    if value is None:
        return _NOTHING
    text = f"{value:.{digits}f}"
    return (text.removeprefix("-") if float(text) == 0 else text).replace("-", "\N{MINUS SIGN}")


def _interval(row: Row) -> str:
    return _NOTHING if row["ci_low"] is None else f"[{_number(row['ci_low'])}, {_number(row['ci_high'])}]"


def _p(value: float | None) -> str:
    if value is None:
        return _NOTHING
    return "< .001" if value < 0.001 else f"{value:.3f}".removeprefix("0")


def _written(table: pa.Table) -> bytes:
    for place, field in enumerate(table.schema):
        if pa.types.is_list(field.type):
            joined = [None if parts is None else "; ".join(map(str, parts)) for parts in table[field.name].to_pylist()]
            table = table.set_column(place, field.name, pa.array(joined, pa.string()))
    sink = io.BytesIO()
    arrow_csv.write_csv(table, sink)
    return sink.getvalue()
