"""Tables as LaTeX and CSV: every character survives, nothing becomes a command, missing numbers stay missing."""

import csv
import io
import re
from typing import NamedTuple

import pyarrow as pa
import pytest
from made_tables import World, scores

from app import tables
from app.analysis.estimation.correlation import correlations
from app.analysis.pairing.pairs import pairs
from app.analysis.reporting import export
from app.analysis.vocabulary import INTACT_FILTER
from app.study import Analysis

NASTY = r"50% of $x_1$ & {y}\n#2~a^b<c>|d – −1"


@pytest.fixture(scope="module")
def found() -> dict[str, pa.Table | None]:
    made = scores(World(families=6, bases=1, recipes=1, tasks=12))
    table = pairs(made, Analysis()).table
    return {"scores": made, "pairs": table, "correlations": correlations(table, Analysis(), "my_study"), "limits": None}


def component(**changes: object) -> pa.Table:
    row = {
        "study": "s", "component": "interaction", "x": "base-few-shot", "y": "tuned-direct", "filter": "all",
        "x_variance": 0.01234, "y_variance": 0.02, "covariance": -0.001, "correlation": None, "ci_low": None,
        "ci_high": None, "noise": "inside", "n_clusters": 6, "n_tasks": 12, "note": NASTY,
    }  # fmt: skip
    return tables.build("components", [row | changes])


def limit(**changes: object) -> pa.Table:
    row = {
        "study": "s", "family": "all", "params": 0, "tuned_on": False, "side": "x", "metric": "exact_match",
        "without": 0.125, "intact": 0.5, "effect": -0.375, "ci_low": -0.5, "ci_high": -0.25, "bases_without": 3,
        "bases_intact": 4, "pairs": 9, "tasks": ["one", "two"], "note": "",
    }  # fmt: skip
    return tables.build("limits", [row | changes])


def unescaped(text: str) -> str:
    """What LaTeX would print."""
    words = {
        r"\textbackslash{}": "\\", r"\textasciitilde{}": "~", r"\textasciicircum{}": "^", r"\textless{}": "<",
        r"\textgreater{}": ">", r"\textbar{}": "|", "$-$": "−", "--": "–", r"\&": "&", r"\%": "%", r"\$": "$",
        r"\#": "#", r"\_": "_", r"\{": "{", r"\}": "}",
    }  # fmt: skip
    return re.sub("|".join(map(re.escape, words)), lambda found: words[found.group()], text)


def body(text: bytes) -> list[list[str]]:
    """The cells below the middle rule."""
    lines = text.decode().split("\\midrule\n")[1].split("\\bottomrule")[0].splitlines()
    return [re.split(r"(?<!\\) & ", line.removesuffix(" \\\\")) for line in lines]


def test_escaped_text_prints_as_it_was() -> None:
    assert unescaped(export.escape(NASTY)) == NASTY
    assert export.escape("a\n b\tc") == "a b c"
    assert export.escape("Größe 模型") == "Größe 模型"
    left = re.sub(r"\\([&%$#_{}]|text\w+\{\})|\$-\$|\$\\times\$|\$\\cdot\$", "", export.escape(NASTY + "× ·"))
    assert not set(left) & set("&%$#_{}~^\\")


def test_correlations_are_set_as_they_are(found: dict[str, pa.Table | None]) -> None:
    made = export.latex(found)
    assert sorted(made) == ["tables/correlations.tex"]
    text = made["tables/correlations.tex"].decode()
    assert "study my\\_study" in text
    for word in ("\\toprule", "\\midrule", "\\bottomrule", "\\begin{tabular}{llllrrrrr}", "usepackage{booktabs}"):
        assert text.count(word) == 1
    rows = body(made["tables/correlations.tex"])
    assert {len(row) for row in rows} == {9}
    first = rows[0]
    table = found["correlations"]
    assert table is not None
    (row,) = (
        r for r in table.to_pylist()
        if (r["level"], r["method"], r["filter"], r["x"]) == ("doubly_centred", "pearson", "all", "base-few-shot")
    )  # fmt: skip
    mark = r"\\textsuperscript\{\d+\}$"
    assert re.sub(mark, "", first[0]) == "all"
    assert first[1:4] == ["task and model means removed", "pearson", "base few-shot"]
    wanted = [f"{row['estimate']:.2f}", f"[{row['ci_low']:.2f}, {row['ci_high']:.2f}]"]
    assert [unescaped(cell).replace("−", "-") for cell in first[4:6]] == wanted
    kinds = {"all", "tasks away", "tasks meant", "tasks tuned", "tasks held", "normal scores"}
    assert all(any(row[0].startswith(kind) for kind in kinds) for row in rows)


def test_subsets_of_intact_base_models_are_printed_as_those_of_all_are(found: dict[str, pa.Table | None]) -> None:
    table = found["correlations"]
    assert table is not None
    rows = table.to_pylist()
    more = [
        row | {"filter": f"{INTACT_FILTER},{row['filter']}" if row["filter"] != "all" else INTACT_FILTER}
        for row in rows
    ]
    whole = body(export.latex({"correlations": table})["tables/correlations.tex"])
    both = body(export.latex({"correlations": tables.build("correlations", [*rows, *more])})["tables/correlations.tex"])
    assert len(both) == 2 * len(whole)


def test_braces_and_environments_are_balanced(found: dict[str, pa.Table | None]) -> None:
    for content in export.latex({**found, "components": component(), "limits": limit()}).values():
        text = re.sub(r"\\[{}]", "", content.decode())
        assert text.count("{") == text.count("}")
        assert sorted(re.findall(r"\\begin\{(\w+)\}", text)) == sorted(re.findall(r"\\end\{(\w+)\}", text))
        depth = 0
        for letter in text:
            depth += {"{": 1, "}": -1}.get(letter, 0)
            assert depth >= 0


def test_what_is_not_estimable_is_a_dash_with_its_reason_below() -> None:
    text = export.latex({"components": component()})["tables/components.tex"]
    (cells,) = body(text)
    assert cells == [
        r"all\textsuperscript{1}", "interaction", "base-few-shot", "tuned-direct", "inside", "--", "--", "0.0123",
        "0.0200", r"$-$0.0010",
    ]  # fmt: skip
    assert f"\\textsuperscript{{1}}~{export.escape(NASTY)}." in text.decode()


def test_a_note_that_rows_share_stands_once() -> None:
    both = pa.concat_tables([component(note="same"), component(component="task", note="same"), component(note="")])
    text = export.latex({"components": both})["tables/components.tex"].decode()
    assert text.count("~same.") == 1
    assert text.count("\\textsuperscript{1} & ") == 2
    assert "superscript{2}" not in text


def test_the_limit_test_is_set_with_true_minus_signs_and_no_negative_zero() -> None:
    two = pa.concat_tables([limit(), limit(family="llama_x", params=1_300_000_000, effect=-0.001, ci_low=None)])
    rows = body(export.latex({"limits": two})["tables/limits.tex"])
    assert rows[0] == [
        "all", "all", "no", "predictor", r"exact\_match", "0.12", "0.50", r"$-$0.38", r"[$-$0.50, $-$0.25]", "3", "4",
    ]  # fmt: skip
    assert rows[1][:2] == [r"llama\_x", "1,300,000,000"]
    assert rows[1][7:9] == ["0.00", "--"]


def test_tables_without_rows_make_no_file() -> None:
    assert export.latex({"correlations": tables.build("correlations", []), "limits": None}) == {}
    assert export.csv({"limits": None}) == {}


def test_csv_holds_every_column_at_full_precision(found: dict[str, pa.Table | None]) -> None:
    made = export.csv(found)
    assert sorted(made) == ["data/correlations.csv", "data/pairs.csv", "data/scores.csv"]
    pairs_ = found["pairs"]
    assert pairs_ is not None
    rows = list(csv.DictReader(io.StringIO(made["data/pairs.csv"].decode())))
    assert list(rows[0]) == pairs_.column_names
    for row, wanted in zip(rows, pairs_.to_pylist(), strict=True):
        assert float(row["x"]) == wanted["x"]
        assert (row["run"], row["task"]) == (wanted["run"], wanted["task"])


def test_csv_joins_lists_and_quotes_text() -> None:
    made = export.csv({"limits": limit(note='a "b", c\nd'), "components": component()})
    (row,) = csv.DictReader(io.StringIO(made["data/limits.csv"].decode(), newline=""))
    assert (row["tasks"], row["note"]) == ("one; two", 'a "b", c\nd')
    (row,) = csv.DictReader(io.StringIO(made["data/components.csv"].decode()))
    assert (row["correlation"], row["note"]) == ("", NASTY)


class Told(NamedTuple):
    what: str
    tasks: tuple[str, ...]
    share: float | None


def test_named_tuples_become_csv_with_their_fields_as_columns() -> None:
    table = export.of_tuples([Told('a "b"', ("one", "two"), 1 / 3), Told("c", (), None)])
    first, second = csv.DictReader(io.StringIO(export.csv({"told": table})["data/told.csv"].decode()))
    assert (first["what"], first["tasks"], float(first["share"])) == ('a "b"', "one; two", 1 / 3)
    assert (second["what"], second["tasks"], second["share"]) == ("c", "", "")
    assert export.of_tuples([]) is None


def test_the_same_tables_give_the_same_bytes(found: dict[str, pa.Table | None]) -> None:
    assert export.latex(found) == export.latex(found)
    assert export.csv(found) == export.csv(found)
