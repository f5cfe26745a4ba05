"""What differs between the two sides of pairs beyond tuning."""

import pyarrow as pa
import pytest
from made_tables import World, scores

from app import tables
from app.analysis.pairing.audits import Confound, Evaluated, confounds
from app.analysis.pairing.pairs import pairs
from app.study import Analysis


@pytest.fixture(scope="module")
def made() -> pa.Table:
    """Two base models, two recipes, three tasks."""
    return pairs(scores(World(families=2, bases=1, recipes=2, tasks=3)), Analysis()).table


def rendered(made: pa.Table, **other: object) -> pa.Table:
    """Renderings of all pairs; `other` on the task task-01."""
    rows = [
        {
            "study": "made", "base": row["base"], "recipe": row["recipe"], "task": row["task"], "item": "i",
            "x_condition": row["x_condition"], "y_condition": row["y_condition"], "same_answer_tokens": True,
            "x_bos": 1, "y_bos": 1, "only_x": "", "only_y": "",
        } | (other if row["task"] == "task-01" else {})
        for row in made.to_pylist()
    ]  # fmt: skip
    return tables.build("renderings", rows)


def evaluated(made: pa.Table, x: dict[str, str], y: dict[str, str]) -> dict[Evaluated, dict[str, str]]:
    """The same facts for every base model (x) and every run (y)."""
    found: dict[Evaluated, dict[str, str]] = {}
    for row in made.to_pylist():
        base, task = row["base"], row["task"]
        found[Evaluated(base, None, task, "base-few-shot", row["wording"], row["x_shots"])] = x
        found[Evaluated(base, row["run"], task, "tuned-direct", row["wording"])] = y
    return found


def test_sides_that_agree_in_everything_have_no_confound(made: pa.Table) -> None:
    facts = {"precision": "float32", "device": "cpu"}
    assert confounds(made, rendered(made), evaluated(made, facts, facts)) == []
    assert confounds(made) == []
    assert confounds(made.slice(0, 0)) == []


def test_prompts_cut_on_one_side_only_are_counted_and_those_cut_on_both_are_not(made: pa.Table) -> None:
    rows = made.to_pylist()
    rows[0] |= {"x_cut": 3}
    rows[1] |= {"x_cut": 3, "y_cut": 1}
    rows[5] |= {"y_cut": 2}
    (found,) = confounds(tables.build("pairs", rows))
    assert found == Confound("prompts that lost their beginning", 2, 12, 2, "some | none (1); none | some (1)")


@pytest.mark.parametrize(
    ("other", "what", "detail"),
    [
        ({"same_answer_tokens": False}, "answer tokens", "same | other (4)"),
        ({"x_bos": 2}, "tokens that begin a text", "2 | 1 (4)"),
        ({"only_y": "input :"}, "tokens beyond demonstrations and instruction", "none | input : (4)"),
    ],
)
def test_renderings_are_found_by_base_recipe_and_task(
    made: pa.Table, other: dict[str, object], what: str, detail: str
) -> None:
    assert confounds(made, rendered(made, **other)) == [Confound(what, 4, 12, 1, detail)]


def test_facts_of_the_two_evaluations_are_compared_where_both_sides_have_them(made: pa.Table) -> None:
    x, y = {"precision": "float32", "device": "cpu"}, {"precision": "bfloat16", "scoring": "tree"}
    found = evaluated(made, x, y)
    assert confounds(made, None, found) == [Confound("precision", 12, 12, 3, "float32 | bfloat16 (12)")]
    first = made.to_pylist()[0]
    del found[Evaluated(first["base"], first["run"], first["task"], "tuned-direct", first["wording"])]
    (line,) = confounds(made, None, found)
    assert (line.pairs, line.of) == (11, 11)


def test_a_side_with_demonstrations_is_found_where_the_other_has_none() -> None:
    analysis = Analysis(x="base-zero-shot", y="tuned-few-shot", baseline=None)
    rows = scores(World(families=2, bases=1, recipes=1, tasks=2)).to_pylist()
    rows = [r | ({"condition": "tuned-few-shot", "shots": 4} if r["condition"] == "tuned-direct" else {}) for r in rows]
    made = pairs(tables.build("scores", rows), analysis).table
    found = {}
    for row in made.to_pylist():
        own = (row["task"], row["y_condition"], row["wording"])
        found[Evaluated(row["base"], None, row["task"], row["x_condition"], row["wording"])] = {"device": "cpu"}
        found[Evaluated(row["base"], row["run"], *own, 1)] = {"device": "cpu"}
        found[Evaluated(row["base"], row["run"], *own, 4)] = {"device": "cuda"}
    assert confounds(made, None, found) == [Confound("device", 4, 4, 2, "cpu | cuda (4)")]


def test_only_the_commonest_differences_are_named(made: pa.Table) -> None:
    found = evaluated(made, {"device": "cpu"}, {"device": "cpu"})
    for at, key in enumerate(sorted((key for key in found if key.run), key=str)):
        found[key] = {"device": f"gpu-{min(at, 4)}"}
    (line,) = confounds(made, None, found)
    assert line.detail.startswith("cpu | gpu-4 (8); ")
    assert line.detail.endswith("; 2 more")
