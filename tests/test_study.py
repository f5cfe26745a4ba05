"""A study file is right, or every fault in it is told at once with its place and the nearest right word."""

import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import pytest
from pydantic import ValidationError

from app.errors import StudyError
from app.study import ConditionName, Study, applies, called, json_schema, load, parse

Write = Callable[..., Path]

# Line 5 is the base, line 7 the recipe: the tests below count on it.
GOOD = """\
schema_version: 1
name: good
test_items: 20
bases:
  - {source: ladder, family: llama, sizes: [32x2]}
recipes:
  - {method: lora}
"""


def faults(text: str) -> list[str]:
    with pytest.raises(StudyError) as fault:
        parse(text, Path("s.yaml"))
    return str(fault.value).splitlines()


def test_the_smallest_study_takes_at_most_ten_lines_and_compares_two_sides(write_study: Write) -> None:
    file = load(write_study())
    assert len(file.text.splitlines()) <= 10
    assert {file.study.analysis.x, file.study.analysis.y} <= set(file.study.conditions)
    assert file.study.tasks == ("set:evaluate", "set:tune")


BASE, RECIPE = "{source: ladder, family: llama, sizes: [32x2]}", "{method: lora}"
BOTH = GOOD + "  - {method: lora, name: writer, format: samplegen}\n"
TABLE = [
    ("a misspelt key", GOOD + "test_itms: 3\n", "s.yaml:8:1 unknown key test_itms; did you mean test_items?"),
    (
        "a misspelt key of a base model",
        GOOD.replace("sizes", "size"),
        "s.yaml:5:37 unknown key bases.0.size; did you mean sizes?",
    ),
    (
        "a misspelt key of a recipe",
        GOOD.replace(RECIPE, "{method: lora, lerning_rate: 1}"),
        "s.yaml:7:20 unknown key recipes.0.lerning_rate; did you mean learning_rate?",
    ),
    (
        "a misspelt key two levels down",
        GOOD.replace(RECIPE, "{method: lora, lora: {rnk: 4}}"),
        "s.yaml:7:27 unknown key recipes.0.lora.rnk; did you mean rank?",
    ),
    (
        "a misspelt key of the pretraining",
        GOOD.replace("[32x2]", "[32x2], pretraining: {tokns: 5000}"),
        "s.yaml:5:66 unknown key bases.0.pretraining.tokns; did you mean tokens?",
    ),
    ("a misspelt key of the answers", GOOD + "answers: {mode: [generation]}\n", "did you mean modes?"),
    ("a misspelt key of the analysis", GOOD + "analysis: {metrik: accuracy}\n", "did you mean metric?"),
    ("a key like no other", GOOD + "zzz: 1\n", "s.yaml:8:1 unknown key zzz; valid here: schema_version, name"),
    (
        "a wrong literal",
        GOOD.replace("lora", "lorra"),
        "s.yaml:7:6 recipes.0.method is 'lorra', which is none of full, lora, qlora; did you mean lora?",
    ),
    ("a wrong condition", GOOD + "conditions: [base-fewshot]\n", "did you mean base-few-shot?"),
    ("an unknown source", GOOD.replace("ladder", "lader"), "s.yaml:5:6 bases.0.source is 'lader', which is none of"),
    ("a missing source", GOOD.replace("source: ladder, ", ""), "s.yaml:5:5 bases.0.source is missing"),
    ("a wrong type", GOOD.replace("20", "many"), "s.yaml:3:1 test_items is 'many': input should be a valid integer"),
    (
        "a truth value for a number",
        GOOD.replace("20", "yes"),
        "s.yaml:3:1 test_items: a number is wanted, not yes or no",
    ),
    ("a number out of range", GOOD.replace("20", "0"), "s.yaml:3:1 test_items is 0: input should be greater than"),
    (
        "an endless number",
        GOOD.replace(RECIPE, "{method: lora, learning_rate: .inf}"),
        "s.yaml:7:20 recipes.0.learning_rate is inf",
    ),
    ("a missing key", GOOD.replace("name: good\n", ""), "s.yaml:1:1 name is missing"),
    ("a missing list", GOOD.split("recipes")[0], "s.yaml:1:1 recipes is missing"),
    ("an empty list", GOOD.split("recipes")[0] + "recipes: []\n", "s.yaml:6:1 recipes is []"),
    ("a key given twice", GOOD + "test_items: 30\n", "s.yaml:8:1 the key test_items is given twice"),
    (
        "a key given twice further down",
        GOOD.replace(RECIPE, "{method: lora, epochs: 1, epochs: 2}"),
        "s.yaml:7:31 the key epochs is given twice",
    ),
    ("broken YAML", GOOD + "tasks: [a, b\nseed: 1\n", "s.yaml:9:"),
    ("a tab", GOOD + "\tseed: 1\n", "not YAML"),
    ("two documents", GOOD + "---\n" + GOOD, "not YAML"),
    ("an empty file", "", "s.yaml:1:1 a study file is a mapping"),
    ("a list", "- name: good\n", "s.yaml:1:1 a study file is a mapping"),
    ("a text", "good", "s.yaml:1:1 a study file is a mapping"),
    ("a bad size", GOOD.replace("32x2", "32by2"), "size '32by2' is not WIDTHxLAYERS"),
    ("no demonstrations", GOOD + "shots: 0\n", "base-zero-shot is its own condition"),
    ("qlora without nf4", GOOD.replace("lora", "qlora"), "give llama `dtype: nf4`"),
    (
        "two recipes of one name",
        GOOD + "  - {method: lora, epochs: 2}\n",
        "two recipes are called lora: give one another `name`",
    ),
    (
        "a condition that the analysis needs",
        GOOD + "conditions: [base-zero-shot, tuned-direct]\n",
        "analysis needs the condition base-few-shot",
    ),
    ("a count that is not run", GOOD + "analysis: {shots: 8}\n", "analysis.shots is 8, but shots.counts has [4]"),
    ("a condition named twice", GOOD + "conditions: [base-few-shot, tuned-direct, tuned-direct]\n", "twice"),
    ("a count of demonstrations named twice", GOOD + "shots: {counts: [4, 4]}\n", "twice"),
    ("another version", GOOD.replace("version: 1", "version: 2"), "schema_version is 2, which is none of 1"),
    ("a name that no table takes", GOOD.replace("name: good", "name: Good Study"), "s.yaml:2:1 name is 'Good Study'"),
    ("a date that is none", GOOD + "description: 2024-13-45\n", "s.yaml holds a value that cannot be read (month must"),
    ("an alias within itself", GOOD + "tasks: &a [*a]\n", "an alias in it leads back into itself"),
    ("brackets without end", GOOD + "tasks: " + "[" * 3000 + "]" * 3000 + "\n", "s.yaml is nested too deep"),
    (
        "a name that leaves nothing",
        GOOD.replace("[32x2]", "[32x2], name: 日本"),
        "s.yaml:5:52 bases.0.name: '日本' leaves",
    ),
    ("an id of dots", GOOD.replace(BASE, "{source: hub, family: a, id: b/.., revision: c}"), "bases.0.id: '..' leaves"),
    ("a null in a path", GOOD.replace(BASE, '{source: checkpoint, family: a, path: "a\\0b"}'), "no path holds a null"),
    ("a number past all machines", GOOD + f"seed: {10**400}\n", "s.yaml:8:1 seed is 100000"),
    (
        "memory past all machines",
        GOOD.replace("[32x2]", "[32x2], resources: {memory_gb: 1.0e+300}"),
        "less than 1000000000",
    ),
    ("a size past all machines", GOOD.replace("32x2", "9" * 5000 + "x2"), "is not WIDTHxLAYERS"),
    ("a number as a key", GOOD + "3: x\n", "the key 3 is no text"),
    ("a hub id without an owner", GOOD.replace(BASE, "{source: hub, family: a, id: b, revision: c}"), "bases.0.id"),
    (
        "a hub model without its revision",
        GOOD.replace(BASE, "{source: hub, family: a, id: a/b}"),
        "s.yaml:5:5 bases.0.revision is missing",
    ),
    (
        "a wrong prompt format",
        GOOD.replace(RECIPE, "{method: lora, format: samplgen}"),
        "s.yaml:7:20 recipes.0.format is 'samplgen', which is none of regular, samplegen, samplegen-corrupted, "
        "samplegen-relevance, samplegen-no-answer, samplegen-unified; did you mean samplegen?",
    ),
    ("a wrong wording", GOOD + "wordings: [standard, close]\n", "did you mean closed?"),
    ("a wording named twice", GOOD + "wordings: [plain, plain]\n", "s.yaml:8:1 wordings: plain is given twice"),
    ("no wording", GOOD + "wordings: []\n", "s.yaml:8:1 wordings is []"),
    (
        "a wording that is not run",
        GOOD + "wordings: [closed, plain]\nanalysis: {wording: standard}\n",
        "analysis.wording is standard, but wordings has ['closed', 'plain']",
    ),
    (
        "a pipeline without what a model writes for it",
        BOTH + "conditions: [base-few-shot, tuned-direct, samplegen-pipeline]\n",
        "samplegen-pipeline needs what samplegen-direct writes: add samplegen-direct to conditions",
    ),
    (
        "a restated pipeline without what a model writes for it",
        BOTH + "conditions: [base-few-shot, tuned-direct, samplegen-restated]\n",
        "samplegen-restated needs what samplegen-direct writes: add samplegen-direct to conditions",
    ),
    (
        "a SampleGen condition without such a recipe",
        GOOD + "conditions: [base-few-shot, tuned-direct, samplegen-direct]\n",
        "the condition samplegen-direct needs a recipe with `format: samplegen`",
    ),
    (
        "a condition of regular recipes without such a recipe",
        GOOD.replace(RECIPE, "{method: lora, format: samplegen-unified}"),
        "the condition tuned-direct needs a recipe with `format: regular`",
    ),
    (
        "few-shot of regular recipes without such a recipe",
        GOOD.replace(RECIPE, "{method: lora, format: samplegen}")
        + "conditions: [base-few-shot, tuned-few-shot, samplegen-direct]\nanalysis: {y: samplegen-direct}\n",
        "the condition tuned-few-shot needs a recipe with `format: regular`",
    ),
    (
        "the prediction of each recipe in its own format, of which one is not run",
        BOTH + "analysis: {y: direct}\n",
        "analysis needs the condition samplegen-direct, which conditions leaves out",
    ),
    (
        "a base model that a recipe names and the study lacks",
        GOOD.replace(RECIPE, "{method: lora, bases: [lama]}"),
        "recipe lora names the base lama, which bases lacks",
    ),
    (
        "an encoder without its name",
        GOOD + "answers: {bertscore: {layers: 3}}\n",
        "answers.bertscore.encoder is missing",
    ),
    (
        "no layer of an encoder",
        GOOD + "answers: {bertscore: {encoder: a/b, layers: 0}}\n",
        "answers.bertscore.layers is 0",
    ),
    (
        "a source without an owner",
        GOOD + "sources: {rte: {id: glue}}\n",
        "s.yaml:8:17 sources.rte.id is 'glue'",
    ),
    ("a misspelt key of a source", GOOD + "sources: {rte: {id: a/b, tset: x}}\n", "did you mean test?"),
    ("no worked example", GOOD + "pipelines: {examples: 0}\n", "s.yaml:8:13 pipelines.examples is 0"),
    ("no room to write", GOOD + "pipelines: {max_new_tokens: 8}\n", "s.yaml:8:13 pipelines.max_new_tokens is 8"),
]


@pytest.mark.parametrize(("text", "sentence"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_fault_is_told_with_its_place(text: str, sentence: str) -> None:
    found = faults(text)
    assert len([line for line in found if sentence in line]) == 1, found


def test_all_faults_of_a_file_are_told_together() -> None:
    text = textwrap.dedent("""\
        schema_version: 1
        nam: two
        bases:
          - {source: ladder, family: llama, sizes: [32x2, 33]}
          - {source: hub, family: a, id: a/b, revision: main, dtyp: nf4}
        recipes:
          - {method: ful, batch: -1}
        seed: x
        seed: 1
    """)
    found = faults(text)
    wanted = ["nam;", "name is missing", "bases.0.sizes.1", "dtyp;", "recipes.0.method", "recipes.0.batch", "twice"]
    for part in wanted:
        assert sum(part in line for line in found) == 1, (part, found)
    assert len(found) == len(wanted)
    assert all(line.startswith("s.yaml:") for line in found)


def test_a_right_file_has_no_faults_and_points_at_its_lines() -> None:
    file = parse(GOOD, Path("s.yaml"))
    assert file.at("bases", 0, "family") == "s.yaml:5:22"
    assert file.at("recipes", 0, "lora", "rank") == "s.yaml:7:5"
    assert file.at("answers") == "s.yaml:1:1"


def test_a_number_is_short_for_the_counts_of_demonstrations() -> None:
    assert parse(GOOD + "shots: 3\n", Path("s.yaml")).study.shots.counts == (3,)


def test_a_rate_written_with_an_exponent_is_a_number() -> None:
    text = GOOD.replace(RECIPE, "{method: lora, learning_rate: 5e-4}")
    assert parse(text, Path("s.yaml")).study.recipes[0].learning_rate == 5e-4


def test_qlora_on_a_base_held_in_4_bits_is_right() -> None:
    text = GOOD.replace("lora", "qlora").replace("[32x2]", "[32x2], dtype: nf4")
    assert parse(text, Path("s.yaml")).study.recipes[0].method == "qlora"


def test_all_conditions_fit_beside_recipes_of_both_kinds() -> None:
    names = ", ".join(get_args(ConditionName))
    study = parse(BOTH + f"conditions: [{names}]\nanalysis: {{y: direct}}\n", Path("s.yaml")).study
    assert study.conditions == get_args(ConditionName)


def test_a_recipe_for_some_base_models_answers_for_these_alone() -> None:
    text = GOOD.replace("recipes:", "  - {source: hub, family: big, id: a/b, revision: c, dtype: nf4}\nrecipes:")
    qlora = text.replace(RECIPE, "{method: qlora, bases: [a/b]}")
    study = parse(qlora, Path("s.yaml")).study
    assert [applies(study.recipes[0], base) for base in study.bases] == [False, True]
    assert any("give llama `dtype: nf4`" in line for line in faults(qlora.replace("a/b]", "a/b, llama]")))
    everywhere = parse(text, Path("s.yaml")).study
    assert [applies(everywhere.recipes[0], base) for base in everywhere.bases] == [True, True]


@pytest.mark.parametrize("name", ["big", "large", "a/b"])
def test_a_base_model_is_called_by_family_name_or_hub_id(name: str) -> None:
    base = "{source: hub, family: big, name: large, id: a/b, revision: c}"
    text = GOOD.replace(BASE, base).replace(RECIPE, f"{{method: lora, bases: [{name}]}}")
    study = parse(text, Path("s.yaml")).study
    assert name in called(study.bases[0])


def test_a_study_cannot_be_changed() -> None:
    study = parse(GOOD, Path("s.yaml")).study
    with pytest.raises(ValidationError):
        study.seed = 1  # type: ignore[misc]
    with pytest.raises(ValidationError):
        study.recipes[0].lora.rank = 1  # type: ignore[misc]


@pytest.mark.parametrize("name", ["absent.yaml", "."])
def test_a_file_that_cannot_be_read_is_told_by_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="cannot be read"):
        load(tmp_path / name)


def test_a_file_that_is_no_text_is_told_by_name(tmp_path: Path) -> None:
    path = tmp_path / "binary.yaml"
    path.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(StudyError, match=r"binary\.yaml"):
        load(path)


def properties(schema: dict[str, object]) -> Iterator[tuple[str, dict[str, object]]]:
    """Every property of a JSON schema, with the name of its model."""
    for model, described in {"Study": schema, **schema["$defs"]}.items():  # type: ignore[dict-item]
        for name, found in described["properties"].items():  # type: ignore[index]
            yield f"{model}.{name}", found


def test_the_schema_describes_every_field_in_a_sentence() -> None:
    bare = [name for name, found in properties(json_schema()) if not str(found.get("description", "")).endswith(".")]
    assert bare == []


def test_the_schema_holds_every_field_of_a_study() -> None:
    assert set(json_schema()["properties"]) == set(Study.model_fields)  # type: ignore[arg-type]
    assert {"type": "integer", "minimum": 1} in json_schema()["properties"]["shots"]["anyOf"]  # type: ignore[index]
