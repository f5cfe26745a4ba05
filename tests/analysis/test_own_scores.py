"""Any table of scores to pairs: what is understood, what is refused and how to mend it."""

import json
import math
import re
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from made_tables import World, scores

from app import tables
from app.analysis.answer import find, rows_of
from app.analysis.estimation.correlation import correlations
from app.analysis.own import own_report
from app.analysis.own.given import binomial
from app.analysis.own.own_scores import COLUMNS, read
from app.analysis.pairing.pairs import pairs
from app.analysis.reporting.figures import figures
from app.analysis.reporting.of_runs import of_runs, tally
from app.errors import InputError
from app.store import Store
from app.study import Analysis

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "docs" / "own-scores" / "README.md"
PRIOR = ROOT.parent / "shared" / "data" / "results" / "on_emergence_scores.parquet"
SPEARMAN = {
    "Rachneet/gpt2-alpaca": (21, 0.8156, 0.9195),
    "Rachneet/gpt2-xl-alpaca": (21, 0.7801, 0.9143),
    "togethercomputer/GPT-JT-6B-v1": (21, 0.9000, 0.7662),
    "google/flan-t5-small": (21, 0.7756, 0.8818),
    "google/flan-t5-large": (21, 0.6846, 0.6489),
    "text-davinci-003": (19, 0.6877, 0.5263),
    "text-davinci-001": (19, 0.9140, 0.8351),
    "tiiuae/falcon-7b-instruct": (5, 0.9000, 1.0000),
    "tiiuae/falcon-40b-instruct": (5, 1.0000, 0.7000),
    "chavinlo/alpaca-native": (4, 0.8000, 0.4000),
    "chavinlo/alpaca-13b": (4, 0.8000, 0.8000),
}
"""Tuned model to tasks and Spearman's rho with its base model's few-shot and zero-shot scores, computed by pandas."""


def row(base: str = "a", task: str = "t", **more: object) -> dict[str, object]:
    return {"base": base, "run": f"{base}-it", "task": task, "few_shot": 0.5, "tuned_score": 0.6} | more


def grid(bases: int = 6, tasks: int = 12) -> list[dict[str, object]]:
    """Rows whose scores differ by base and task."""
    return [
        row(
            f"b{b}", f"t{t:02d}", family=f"f{b % 6}", chance=0.25, n=100,
            few_shot=0.3 + 0.05 * math.sin(b * t) + 0.02 * t, zero_shot=0.28 + 0.04 * math.cos(b + t) + 0.01 * t,
            tuned_score=0.35 + 0.04 * math.sin(b * t + 1) + 0.02 * t,
        )
        for b in range(bases) for t in range(1, tasks + 1)
    ]  # fmt: skip


def written(folder: Path, rows: list[dict[str, object]], name: str = "mine.csv") -> Path:
    path = folder / name
    table = pd.DataFrame(rows)
    if path.suffix == ".parquet":
        table.to_parquet(path)
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows))
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    else:
        table.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
    return path


def refused(path: Path, *parts: str) -> None:
    with pytest.raises(InputError) as fault:
        read(path)
    assert "\n" not in str(fault.value)
    for part in parts:
        assert part in str(fault.value)


@pytest.mark.parametrize("kind", ["csv", "tsv", "parquet", "json", "jsonl"])
def test_every_kind_of_file_gives_the_same_pairs(tmp_path: Path, kind: str) -> None:
    own = read(written(tmp_path, grid(), f"mine.{kind}"))
    made = pairs(own.scores, own.analysis)
    assert made.missing == []
    assert made.table.num_rows == 72
    one = made.table.to_pylist()[-1]
    given = next(r for r in grid() if (r["base"], r["task"]) == (one["base"], one["task"]))
    assert math.isclose(one["x"], (given["few_shot"] - 0.25) / 0.75, abs_tol=1e-12)  # type: ignore[operator]
    assert math.isclose(one["y_stderr"], binomial(one["y_raw"], 100), abs_tol=1e-12)
    assert (one["family"], one["n"], one["run"], one["study"]) == ("f5", 100, "b5-it", "mine")


def test_correlations_are_those_of_the_same_scores_in_a_study(tmp_path: Path) -> None:
    made = scores(World(families=6, bases=1, recipes=2, tasks=12))
    mine = pairs(made, Analysis()).table.to_pylist()
    names = {"x_raw": "few_shot", "y_raw": "tuned_score", "z_raw": "zero_shot"}
    kept = ("base", "run", "task", "family", "params", "recipe", "chance", "n", "cluster", "role")
    rows = [{key: r[key] for key in kept} | {new: r[old] for old, new in names.items()} for r in mine]
    own = read(written(tmp_path, rows, "mine.parquet"))
    theirs = pairs(own.scores, own.analysis).table
    for side in "xyz":
        for one, other in zip(mine, theirs.to_pylist(), strict=True):
            assert math.isclose(one[side], other[side], abs_tol=1e-12)
    first, second = (
        find(rows_of(correlations(table, Analysis(), "s")), "doubly_centred")
        for table in (tables.build("pairs", mine), theirs)
    )
    assert first is not None
    assert second is not None
    assert (first.n, first.n_clusters) == (second.n, second.n_clusters)
    assert math.isclose(first.estimate or 0, second.estimate or 1, abs_tol=1e-12)
    assert math.isclose(first.ci_low or 0, second.ci_low or 1, abs_tol=1e-12)


def test_tuned_holds_names_or_numbers(tmp_path: Path) -> None:
    names = [{"base": "a", "tuned": "a-it", "task": "t", "few_shot": 0.5, "tuned_score": 0.6}]
    numbers = [{"base": "a", "task": "t", "few_shot": 0.5, "tuned": 0.6}]
    assert read(written(tmp_path, names)).scores["run"].to_pylist() == [None, "a-it"]
    own = read(written(tmp_path, numbers, "other.csv"))
    assert own.scores["run"].to_pylist() == [None, "a-tuned"]
    assert own.scores["value"].to_pylist() == [0.5, 0.6]


def test_a_base_model_may_have_several_tuned_models(tmp_path: Path) -> None:
    rows = [row(run="a-it"), row(run="a-chat", tuned_score=0.7)]
    own = read(written(tmp_path, rows))
    assert own.scores.num_rows == 3
    assert sorted(pairs(own.scores, own.analysis).table["y_raw"].to_pylist()) == [0.6, 0.7]


def test_one_row_for_each_score_is_understood_and_seeds_are_averaged(tmp_path: Path) -> None:
    def one(run: str | None, condition: str, score: float, seed: int | None = None) -> dict[str, object]:
        return {"base": "a", "run": run, "task": "t", "condition": condition, "score": score, "shot_seed": seed}

    rows = [
        one(None, "few-shot", 0.4, 0), one(None, "base_few_shot", 0.6, 1), one(None, "Zero shot", 0.3),
        one("a-it", "tuned", 0.7),
    ]  # fmt: skip
    for name in ("long.csv", "long.json", "long.parquet"):
        own = read(written(tmp_path, rows, name))
        (made,) = pairs(own.scores, own.analysis).table.to_pylist()
        assert (made["x"], made["y"], made["z"]) == (0.5, 0.7, 0.3)


def test_percentages_need_their_best_value(tmp_path: Path) -> None:
    percent = row(few_shot=50.0, tuned_score=60.0)
    refused(
        written(tmp_path, [percent]), "row 1", "the score 50 is above the best value 1", "divide percentages by 100"
    )
    own = read(written(tmp_path, [percent | {"high": 100, "chance": 25}]))
    (made,) = pairs(own.scores, own.analysis).table.to_pylist()
    assert math.isclose(made["x"], 25 / 75)
    refused(written(tmp_path, [percent | {"high": 100, "chance": 125}]), "the chance level 125", "scale of the scores")


def test_a_mark_for_not_computed_is_refused(tmp_path: Path) -> None:
    refused(written(tmp_path, [row(few_shot=-100)]), "the score -100 is below -1", "not computed empty")


def test_empty_scores_are_missing_pairs_with_a_warning(tmp_path: Path) -> None:
    rows = [row(), row(task="u", few_shot=None), row(task="v", tuned_score=math.nan)]
    for name in ("mine.csv", "mine.json", "mine.parquet"):
        own = read(written(tmp_path, rows, name))
        found = pairs(own.scores, own.analysis)
        assert found.table.num_rows == 1
        assert [m.reason for m in found.missing] == ["x not scored", "y not scored"]
        assert any("2 scores are empty" in line for line in own.warnings)


def test_only_empty_scores_are_refused(tmp_path: Path) -> None:
    rows = [row(few_shot=None, tuned_score=None)]
    refused(written(tmp_path, rows, "mine.json"), "holds no score")


def test_sides_without_a_counterpart_are_told(tmp_path: Path) -> None:
    own = read(written(tmp_path, [row(few_shot=None), row(task="u", few_shot=None)], "mine.json"))
    with pytest.raises(InputError, match=r"no tuned model has a pair \(x not scored\)"):
        own_report.analyse(own)


def test_a_second_score_is_refused_with_both_places(tmp_path: Path) -> None:
    path = written(tmp_path, [row(), row()])
    refused(path, "row 2, column tuned_score", "a second score of a-it (tuned from a) on t", "row 1", "keep one")
    rows = [row(), row(run="a-chat", few_shot=0.4)]
    refused(written(tmp_path, rows), "row 2, column few_shot", "a second score of a on t (0.4, and 0.5 at", "keep one")


def test_several_metrics_are_no_repeats_and_the_first_is_primary(tmp_path: Path) -> None:
    rows = [row(metric="accuracy"), row(metric="f1", tuned_score=0.9)]
    own = read(written(tmp_path, rows))
    assert pairs(own.scores, own.analysis).table["y_raw"].to_pylist() == [0.6]
    assert pairs(own.scores, Analysis(metric="f1", baseline=None)).table["y_raw"].to_pylist() == [0.9]


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"famly": "f"}, ("unknown column famly; did you mean family?", "found: base, run", "known: base, run")),
        ({"few-shot": 0.1}, ("the columns few_shot and few_shot both mean few_shot",)),
        ({"stderr": 0.1}, ("the column stderr cannot stand", "few_shot_stderr, tuned_stderr")),
        ({"base_model": "a"}, ("the columns base and base_model both mean base",)),
        ({"few_shot": "45%"}, ("row 1: few_shot is '45%', wanted a number",)),
        ({"few_shot": math.inf}, ("row 1: few_shot is infinite",)),
        ({"base": None}, ("row 1: base is empty",)),
        ({"n": 10.5}, ("n is 10.5, wanted a whole number",)),
        ({"n": -1}, ("n is -1",)),
        ({"high": 0}, ("the best value of score is 0",)),
        ({"few_shot_stderr": -0.1}, ("cannot be negative",)),
        ({"role": "test"}, ("unknown role 'test'; known are tune, develop, evaluate",)),
    ],
)
def test_what_is_amiss_is_told_in_a_sentence(tmp_path: Path, change: dict[str, object], parts: tuple[str, ...]) -> None:
    refused(written(tmp_path, [row() | change]), *parts)


def test_missing_columns_are_named_with_those_found(tmp_path: Path) -> None:
    path = written(tmp_path, [{"base": "a", "task": "t", "few_shot": 0.5}])
    refused(path, "no column tuned_score", "found: base, task, few_shot", "wanted: base, task, few_shot, tuned_score")


def test_conditions_must_fit_their_models(tmp_path: Path) -> None:
    one = {"base": "a", "run": "a-it", "task": "t", "condition": "few_shot", "score": 0.5}
    refused(written(tmp_path, [one]), "is of the base model, so run must be empty")
    refused(written(tmp_path, [one | {"run": None, "condition": "tuned"}]), "needs the tuned model in run")
    refused(written(tmp_path, [one | {"condition": "5shot"}]), "unknown condition '5shot'; known are few_shot")
    refused(written(tmp_path, [one | {"few_shot": 0.5}]), "the column few_shot cannot stand in a table with")


def test_a_tuned_model_of_two_bases_and_a_base_of_two_families_are_refused(tmp_path: Path) -> None:
    rows = [row("a", run="it"), row("b", run="it")]
    refused(written(tmp_path, rows), "the tuned model it has two base models (a at", "here b)")
    rows = [row(family="f"), row(task="u", family="g")]
    refused(written(tmp_path, rows), "the base model a has two families or sizes")


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("absent.csv", None, "is not there"),
        ("mine.xlsx", b"", "give a file that ends in .parquet, .csv"),
        ("mine.csv", b"", "is no csv table"),
        ("mine.csv", b"base,task\n", "has no rows"),
        ("mine.json", b"{", "is no json table"),
        ("mine.json", b"[1]", "wanted a list of objects"),
        ("mine.parquet", b"PAR1 no", "is no parquet table"),
        ("mine.csv", b"\xff\xfe\x00", "is no csv table"),
        ("mine.csv", "base,task,few_shot,tuned_score\nmodèle,t,.5,.6\n".encode("latin-1"), "is not in UTF-8"),
        ("mine.csv", "modèle,task\na,t\n".encode("latin-1"), "is not in UTF-8"),
        ("mine.csv", b"base;task;few_shot\na;t;0.5\n", "separate columns by commas, not semicolons"),
        ("mine.json", b"[" * 100_000, "is no json table"),
        ("mine.csv", b"base,task,few_shot,tuned_score,n\na,t,.5,.6,1e22\n", "n is 1e+22, which is larger than any"),
    ],
)
def test_files_that_are_no_tables_are_told(tmp_path: Path, name: str, content: bytes | None, part: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    refused(tmp_path / name, part)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("mine.csv", "n.a.", "row 7: few_shot is 'n.a.', wanted a number"),
        ("mine.json", "x", "row 7: few_shot is 'x', wanted a number"),
        ("mine.json", True, "row 7: few_shot is 'True', wanted a number"),
    ],
)
def test_the_cell_that_is_no_number_is_named_and_not_the_first(
    tmp_path: Path, name: str, value: object, said: str
) -> None:
    rows = grid()
    rows[6]["few_shot"] = value
    refused(written(tmp_path, rows, name), said)


def test_one_dash_does_not_make_names_of_the_scores_of_tuned_models(tmp_path: Path) -> None:
    rows = [{"base": "a", "task": f"t{i}", "few_shot": 0.5, "tuned": "-" if i == 3 else 0.6} for i in range(6)]
    refused(written(tmp_path, rows), "row 4: tuned_score is '-', wanted a number")


def test_columns_that_pandas_and_databases_write_are_understood(tmp_path: Path) -> None:
    table = pd.DataFrame([row(), row(task="u", few_shot=0.25)]).assign(few_shot=[Decimal("0.5"), Decimal("0.25")])
    table.iloc[[1, 0]].to_parquet(tmp_path / "mine.parquet")
    table.to_csv(tmp_path / "mine.csv")
    for name in ("mine.parquet", "mine.csv"):
        own = read(tmp_path / name)
        assert sorted(pairs(own.scores, own.analysis).table["x"].to_pylist()) == [0.25, 0.5]


def test_a_task_has_one_chance_level(tmp_path: Path) -> None:
    rows = [row("a", chance=0.25), row("b", chance=None), row("a", "u", chance=0.5), row("b", "u", chance=0.5)]
    refused(
        written(tmp_path, rows), "the chance level of t is 0.25 in row 1 and empty in row 2", "the same in all rows"
    )
    rows[1]["chance"] = 0.5
    refused(written(tmp_path, rows), "the chance level of t is 0.25 in row 1 and 0.5 in row 2")
    rows[0]["chance"] = rows[1]["chance"] = None
    assert "No chance level for t: these scores are not corrected for chance." in read(written(tmp_path, rows)).warnings


def test_a_number_of_items_that_is_not_stated_goes_with_any(tmp_path: Path) -> None:
    one = {"base": "a", "task": "t", "condition": "few_shot", "score": 0.5, "run": None, "n": 100}
    own = read(written(tmp_path, [one, one | {"condition": "tuned", "run": "a-it", "n": None}]))
    (pair,) = pairs(own.scores, own.analysis).table.to_pylist()
    assert pair["n"] == 100


def test_pairs_that_are_left_out_are_counted_with_the_reason(tmp_path: Path) -> None:
    rows = grid()
    rows[3]["few_shot"] = rows[5]["few_shot"] = rows[7]["tuned_score"] = None
    found = own_report.analyse(read(written(tmp_path, rows, "mine.json")))
    said = "3 of 72 pairs of a tuned model and a task are left out: x not scored (2), y not scored (1)."
    assert own_report.left_out(found) == said
    assert own_report.left_out(own_report.analyse(read(written(tmp_path, grid())))) == ""


def test_without_the_column_run_each_base_model_has_a_tuned_model_of_its_own(tmp_path: Path) -> None:
    rows = [{key: value for key, value in one.items() if key != "run"} for one in grid()]
    found = own_report.analyse(read(written(tmp_path, rows)))
    assert len(of_runs(found.pairs.table, rows_of(found.tables["correlations"]))) == 6


def test_results_leave_nothing_of_earlier_ones_and_go_over_nothing_else(tmp_path: Path) -> None:
    own = read(written(tmp_path, grid()))
    found, place = own_report.analyse(own), Store(tmp_path / "made")
    place.write_table("limits", "tables/limits.parquet", tables.build("limits", []))
    own_report.write(place, own, found, ["fewtune"], "mine.csv")
    (tmp_path / "made" / "report" / "data" / "old.csv").touch()
    own_report.check(place)
    own_report.write(place, own, found, ["fewtune"], "mine.csv")
    left = {path.relative_to(tmp_path / "made").as_posix() for path in (tmp_path / "made").rglob("*")}
    assert "report/index.html" in left
    assert not left & {"tables/limits.parquet", "report/data/old.csv"}
    (tmp_path / "other" / "report").mkdir(parents=True)
    (tmp_path / "other" / "report" / "notes.txt").touch()
    for folder, said in (("other", "is no report of FewTune"), ("mine.csv", "is a file: give a folder with --out")):
        with pytest.raises(InputError, match=said):
            own_report.check(Store(tmp_path / folder))


def test_fewtunes_own_table_of_scores_is_read_and_its_others_are_refused(tmp_path: Path) -> None:
    made = scores(World(families=2, bases=1, recipes=1, tasks=3))
    pq.write_table(made, tmp_path / "scores.parquet")
    assert read(tmp_path / "scores.parquet").scores.equals(made)
    pq.write_table(pairs(made, Analysis()).table, tmp_path / "pairs.parquet")
    refused(tmp_path / "pairs.parquet", "FewTune's table pairs", "give the store itself")


def test_without_families_intervals_go_by_base_models_and_it_is_said(tmp_path: Path) -> None:
    rows = [{key: value for key, value in one.items() if key not in ("family", "chance", "n")} for one in grid()]
    own = read(written(tmp_path, rows))
    assert own.analysis.cluster_by == "base"
    text = " ".join(own.warnings)
    for part in ("No column family", "No column chance", "No column n"):
        assert part in text
    assert read(written(tmp_path, grid())).warnings == ()


@pytest.mark.parametrize(("bases", "tasks"), [(1, 12), (6, 1), (1, 1), (3, 3)])
def test_few_models_or_tasks_get_no_interval_and_a_report_that_says_why(tmp_path: Path, bases: int, tasks: int) -> None:
    own = read(written(tmp_path, grid(bases, tasks)))
    found = own_report.analyse(own)
    for one in rows_of(found.tables["correlations"]):
        assert one.ci_low is None
        assert one.note
    main = find(rows_of(found.tables["correlations"]), "doubly_centred")
    assert main is not None
    assert (main.estimate is None) == (min(bases, tasks) == 1)
    assert main.note.startswith("not estimable" if min(bases, tasks) == 1 else "descriptive only")
    files = own_report.files(own, found, ["fewtune", "correlate", "mine.csv"], "mine.csv")
    assert b"fewtune correlate mine.csv" in files["report.md"]
    assert b"Provisional" not in files["report.md"]


def test_the_documented_table_of_columns_is_complete() -> None:
    text = RECIPE.read_text()
    for name, words in COLUMNS.items():
        for word in (name, *words):
            assert f"`{word}`" in text or word in ("setting", "value", "seed"), word


@pytest.fixture(scope="module")
def prior(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The table that the documented recipe makes of the prior paper's published scores."""
    if not PRIOR.is_file():
        pytest.skip("the prior paper's scores are not here")
    folder = tmp_path_factory.mktemp("prior")
    pd.read_parquet(PRIOR).to_csv(folder / "evaluation_scores.csv", index=False)
    (code,) = re.findall(r"```python\n(.*?)```", RECIPE.read_text(), re.DOTALL)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        exec(compile(code, str(RECIPE), "exec"), {})  # noqa: S102 - our own documentation
    return folder / "lu2024.csv"


def test_the_prior_papers_rank_correlations_are_reproduced(prior: Path) -> None:
    own = read(prior)
    analysed = own_report.analyse(own)
    assert analysed.pairs.table.num_rows == 161
    found = rows_of(analysed.tables["correlations"])
    for run, (n, few_shot, zero_shot) in SPEARMAN.items():
        x, z = (
            find(found, "pooled", "spearman", filter=f"run={run}", x=side)
            for side in ("base-few-shot", "base-zero-shot")
        )
        assert x is not None
        assert z is not None
        assert x.estimate is not None
        assert z.estimate is not None
        assert (x.n, round(x.estimate, 4), round(z.estimate, 4)) == (n, few_shot, zero_shot)
        assert x.ci_low is None
        assert x.note.startswith("descriptive only: 1 family")


def test_the_report_on_the_prior_papers_scores_sets_both_predictors_side_by_side(prior: Path) -> None:
    own = read(prior)
    found = own_report.analyse(own)
    page = own_report.files(own, found, ["fewtune", "correlate", "lu2024.csv"], "lu2024.csv")
    text = page["report.md"].decode()
    assert "No column chance" in text
    assert "for 4 of 11 tuned models, and few-shot scores for 6." in text
    rows = [one for one in rows_of(found.tables["correlations"]) if (one.level, one.filter) == ("pooled", "all")]
    pooled = {one.x: one for one in rows if one.method == "pearson"}
    assert round(pooled["base-few-shot"].estimate or 0, 2) == 0.79
    assert round(pooled["base-zero-shot"].estimate or 0, 2) == 0.74


def dots(svg: bytes) -> set[str]:
    """The tuned models that a trap figure has a dot of."""
    return set(re.findall(r'<g id="run=([^"]*)">', svg.decode()))


def test_the_trap_of_the_prior_papers_scores_has_each_tuned_model_with_both_coefficients(prior: Path) -> None:
    found = own_report.analyse(read(prior))
    each = of_runs(found.pairs.table, rows_of(found.tables["correlations"]))
    assert {one.run: (one.tasks, round(one.x, 4), round(one.z, 4)) for one in each} == SPEARMAN
    assert tally(each) == (11, 4, 1, 6)
    assert [one.run for one in each if one.few] == sorted(run for run, (n, *_) in SPEARMAN.items() if n < 10)
    assert dots(figures(found.pairs.table, rows_of(found.tables["correlations"]))["trap"]) == set(SPEARMAN)


def test_the_trap_shown_beside_the_recipe_has_each_tuned_model() -> None:
    assert dots((RECIPE.parent / "trap.svg").read_bytes()) == set(SPEARMAN)
    assert "](trap.svg)" in RECIPE.read_text()


def test_few_tuned_models_are_not_set_side_by_side(tmp_path: Path) -> None:
    for bases, panels in ((2, 0), (3, 3)):
        own = read(written(tmp_path, grid(bases)))
        found = own_report.analyse(own)
        assert len(of_runs(found.pairs.table, rows_of(found.tables["correlations"]))) == panels
        assert len(dots(figures(found.pairs.table, rows_of(found.tables["correlations"]))["trap"])) == panels
