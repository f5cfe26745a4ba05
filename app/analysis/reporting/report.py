"""Tables to one self-contained page, a Markdown twin and figures beside them.

The page is hand-written SVG and some vanilla JavaScript: 2,700 pairs take about half a megabyte, open from file:// in
an instant and need no bundle, which for a plotting library is 1 to 5 MB and neither prints nor obeys the keyboard as
well. Its content security policy forbids every external resource. The same tables give the same bytes: there is no
clock in here, only what the caller states in `Facts`.
"""

from pathlib import Path
from typing import cast

import jinja2
import pyarrow as pa

from app.analysis.answer import Answer, number, rows_of
from app.analysis.pairing.pairs import Pairs
from app.analysis.reporting import export
from app.analysis.reporting.facts import Facts
from app.analysis.reporting.figure import picture
from app.analysis.reporting.figures import figures
from app.analysis.reporting.item_summary import margins
from app.analysis.reporting.view import view
from app.study import Analysis

_TEMPLATES = Path(__file__).parent / "templates"


def render(
    pairs: Pairs, correlations: pa.Table, scores: pa.Table, analysis: Analysis, facts: Facts
) -> dict[str, bytes]:
    """File name to content: index.html, report.md, pairs.svg, pairs.png; figures/*.svg, tables/*.tex, data/*.csv."""
    rows = rows_of(correlations)
    shown = view(pairs, rows, scores, analysis, facts)
    named = {
        "scores": scores,
        "pairs": pairs.table,
        "correlations": correlations,
        "agreement": facts.agreement,
        "components": facts.components,
        "limits": facts.limits,
        "gained": export.of_tuples(facts.gained),
        "confounds": export.of_tuples(facts.confounds),
        "margins": export.of_tuples(margins(facts.items)),
    }
    drawn = picture(pairs.table, rows, cast(Answer, shown["answer"]))
    beside = {
        **{f"figures/{name}.svg": content for name, content in figures(pairs.table, rows, facts.limits).items()},
        **export.latex(named),
        **export.csv(named),
    }
    shown["beside"] = {name.split("/")[0] for name in beside}
    return {
        "index.html": _environment(html=True).get_template("report.html.j2").render(shown).encode(),
        "report.md": _environment(html=False).get_template("report.md.j2").render(shown).encode(),
        "pairs.svg": drawn.svg,
        "pairs.png": drawn.png,
        **beside,
    }


def _environment(*, html: bool) -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=html,  # noqa: S701 - off for Markdown alone
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    made.filters |= {"number": number, "percent": _percent, "count": _count, "cell": _cell, "size": _size, "p": _p}
    return made


def _percent(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{100 * value:.{digits}f}".replace("-", "−")


def _p(value: float | None) -> str:
    """A p-value or a q-value; a dash for None."""
    if value is None:
        return "–"
    return "< .001" if value < 0.001 else f"{value:.3f}"


def _count(value: int) -> str:
    return f"{value:,}"


def _size(params: int) -> str:
    """Parameters as 43 k, 1.3 B; a dash for 0, which is not known."""
    for unit, name in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if params >= unit:
            return f"{params / unit:.3g} {name}"
    return str(params) if params else "–"


def _cell(text: object) -> str:
    """A text inside a cell of a Markdown table."""
    return str(text).replace("|", "\\|").replace("\n", " ")
