"""A plan is a pure function of the study: its cells, their names, order, fingerprints, needs and cost."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from app.errors import StudyError
from app.plan import Base, Cell, EvaluateCell, Facts, LadderSpec, Plan, TaskFacts, columns, conditions, expand, standing
from app.study import ConditionName, Resources, Study, parse

STUDY = """\
schema_version: 1
name: small
bases:
  - {source: ladder, family: llama, sizes: [32x2, 64x2]}
recipes:
  - {method: lora, seeds: [0, 1]}
  - {method: full}
conditions: [base-zero-shot, base-few-shot, base-direct, tuned-direct, tuned-few-shot]
shots: {counts: [1, 4], seeds: [0, 1]}
"""


def study(**changes: Any) -> Study:
    """The study with changes as pydantic reads them."""
    file = parse(STUDY, Path("s.yaml")).study
    return Study.model_validate({**file.model_dump(), **changes})


def base(width: int = 32, **changes: Any) -> Base:
    ladder = LadderSpec("llama", width, 2, 1_000_000, ("job",), 0, None)
    made = Base(
        f"llama-{width}x2-s0", "llama", "ladder", "", None, "float32", 40_000 * width, Resources(), False, ladder,
        {"width": width, "tokens": 1_000_000},
    )  # fmt: skip
    return replace(made, **changes)


def task(name: str, **inputs: object) -> TaskFacts:
    return TaskFacts(name, "words", "evaluate", {"name": name, "templates": "t1", **inputs})


TASKS = (task("antonym"), task("job"))
FACTS = Facts(
    bases=(base(32), base(64)),
    tasks=TASKS,
    mixtures={"lora": (task("plural"), TASKS[0]), "full": (task("plural"),)},
    cross_task=(),
    protocols={"tuning": "1", "prompts": "1", "wordings": "1", "scoring": "1", "judgement": "1"},
)
PLAN = expand(study(), FACTS)


def recipes(**changes: object) -> list[dict[str, object]]:
    """The study's recipes with changes to the first, lora."""
    first, *others = [recipe.model_dump() for recipe in study().recipes]
    return [{**first, **changes}, *others]


def changed(old: Plan, new: Plan) -> set[str]:
    """Which kinds of cells got another fingerprint."""
    before = {cell.slug: cell.fingerprint for cell in old.cells}
    return {model(cell) for cell in new.cells if before.get(cell.slug) != cell.fingerprint}


def model(cell: Cell) -> str:
    """What a cell's fingerprint ought to rest on, in a word."""
    run = getattr(cell, "run", None)
    return f"{cell.kind} {run.recipe_name if run else 'base'}"


EVALUATIONS = {"evaluate base", "evaluate lora", "evaluate full"}
LORA, FULL = {"tune lora", "evaluate lora"}, {"tune full", "evaluate full"}
ALL = {"pretrain base"} | LORA | FULL | EVALUATIONS


def test_the_same_study_gives_the_same_plan() -> None:
    assert expand(study(), FACTS) == PLAN


def test_the_plan_holds_every_combination_once() -> None:
    assert [len(cells) for cells in (PLAN.made, PLAN.tunings)] == [2, 2 * 3]
    few, tasks = 2 * 2, 2
    base_side, tuned_side = 2 * (2 + few) * tasks, 6 * (1 + few) * tasks
    assert len(PLAN.evaluations) == base_side + tuned_side
    slugs = [cell.slug for cell in PLAN.cells]
    assert len(slugs) == len(set(slugs))


def test_slugs_are_readable_paths() -> None:
    slugs = {cell.slug for cell in PLAN.cells}
    assert "pretrain/llama-32x2-s0" in slugs
    assert "tune/llama-32x2-s0.lora-s1" in slugs
    assert "evaluate/llama-32x2-s0.lora-s1/tuned-few-shot-k4-s1/job" in slugs
    assert "evaluate/llama-64x2-s0/base-zero-shot/antonym" in slugs


def test_a_draw_for_each_item_has_its_own_name() -> None:
    found = {condition.slug for condition in conditions(study(shots={"counts": [2], "draw": "per_item"}))}
    assert "base-few-shot-k2-s0-per-item" in found


@pytest.mark.parametrize("cells", [PLAN.made, PLAN.tunings])
def test_the_longest_cells_come_first(cells: tuple[Cell, ...]) -> None:
    costs = [cell.cost for cell in cells]
    assert costs == sorted(costs, reverse=True)
    assert cells[0].base.slug == "llama-64x2-s0"


CHANGES: list[tuple[str, Callable[[], Plan], set[str]]] = [
    ("nothing", lambda: expand(study(), FACTS), set()),
    ("the description", lambda: expand(study(description="another"), FACTS), set()),
    ("the analysis", lambda: expand(study(analysis={"cluster_by": "base"}), FACTS), set()),
    ("a recipe's learning rate", lambda: expand(study(recipes=recipes(learning_rate=1e-4)), FACTS), LORA),
    ("the default learning rate, spelt out", lambda: expand(study(recipes=recipes(learning_rate=5e-3)), FACTS), set()),
    ("a recipe's examples", lambda: expand(study(recipes=recipes(examples=7)), FACTS), LORA),
    ("a recipe's epochs", lambda: expand(study(recipes=recipes(epochs=2)), FACTS), LORA),
    ("a recipe's batch", lambda: expand(study(recipes=recipes(batch=2)), FACTS), LORA),
    ("the rank of the adapters", lambda: expand(study(recipes=recipes(lora={"rank": 2})), FACTS), LORA),
    ("the longest example", lambda: expand(study(recipes=recipes(max_length=100)), FACTS), LORA),
    ("the seed of the study", lambda: expand(study(seed=1), FACTS), LORA | FULL | EVALUATIONS),
    ("the number of test items", lambda: expand(study(test_items=3), FACTS), EVALUATIONS),
    ("the longest answer", lambda: expand(study(answers={"max_new_tokens": 3}), FACTS), EVALUATIONS),
    ("pmi", lambda: expand(study(answers={"pmi": True}), FACTS), EVALUATIONS),
    ("the version of the prompts", lambda: protocol("prompts"), LORA | FULL | EVALUATIONS),
    ("the version of the tuning", lambda: protocol("tuning"), LORA | FULL),
    ("the version of the scoring", lambda: protocol("scoring"), EVALUATIONS),
    ("the version of the judgement", lambda: protocol("judgement"), EVALUATIONS),
    ("the corpus", lambda: bases(inputs={"width": 32, "tokens": 5}), ALL),
    ("resources", lambda: bases(resources=Resources(cpus=2, memory_gb=3)), set()),
    ("a task's template", lambda: tasks(task("job", templates="t2")), EVALUATIONS),
    ("a mixture's template", lambda: mixture(task("plural", templates="t2")), LORA),
    ("a mixture's tasks", lambda: mixture(task("plural"), task("past")), LORA),
]


def protocol(name: str) -> Plan:
    return expand(study(), replace(FACTS, protocols={**FACTS.protocols, name: "2"}))


def bases(**changes: Any) -> Plan:
    return expand(study(), replace(FACTS, bases=(base(32, **changes), FACTS.bases[1])))


def tasks(second: TaskFacts) -> Plan:
    return expand(study(), replace(FACTS, tasks=(TASKS[0], second)))


def mixture(*tasks: TaskFacts) -> Plan:
    return expand(study(), replace(FACTS, mixtures={**FACTS.mixtures, "lora": (*tasks, TASKS[0])}))


@pytest.mark.parametrize(("make", "kinds"), [row[1:] for row in CHANGES], ids=[row[0] for row in CHANGES])
def test_fingerprints_change_when_and_only_when_an_input_changes(make: Callable[[], Plan], kinds: set[str]) -> None:
    assert changed(PLAN, make()) == kinds


def test_adapter_settings_are_no_input_of_full_tuning() -> None:
    first, full = [recipe.model_dump() for recipe in study().recipes]
    new = expand(study(recipes=[first, {**full, "lora": {"rank": 2}}]), FACTS)
    assert changed(PLAN, new) == set()


def test_an_empty_store_has_everything_new() -> None:
    found = standing(PLAN, {})
    assert found.new == PLAN.cells
    assert not found.reused
    assert not found.stale


def test_recorded_cells_are_reused_and_those_with_other_inputs_are_stale_by_the_leaf() -> None:
    records = {cell.slug: cell.inputs for cell in PLAN.cells if cell.kind != "pretrain"}
    new = expand(study(recipes=recipes(learning_rate=1e-4)), FACTS)
    found = standing(new, records)
    assert found.new == new.made
    assert {model(cell) for cell, _ in found.stale} == LORA
    assert {model(cell) for cell in found.reused} == FULL | {"evaluate base"}
    lines = {line for _, lines in found.stale for line in lines}
    assert lines == {"recipe.learning_rate: 0.005 -> 0.0001", "model.recipe.learning_rate: 0.005 -> 0.0001"}


@pytest.mark.parametrize("method", ["lora", "full"])
def test_needs_and_costs_are_positive_and_full_tuning_needs_more(method: str) -> None:
    for cell in PLAN.cells:
        assert cell.needs.cpus >= 1
        assert cell.needs.memory > 0
        assert cell.cost > 0
    large = replace(FACTS, bases=(base(64, params=3_000_000_000),))
    by_method = {cell.run.recipe.method: cell.needs.memory for cell in expand(study(), large).tunings}
    assert by_method["full"] > by_method["lora"]


def test_a_conversion_is_expected_to_take_some_time() -> None:
    converted = replace(base(), source="gguf", ladder=None)
    (cell,) = expand(study(), replace(FACTS, bases=(converted,))).made
    assert cell.kind == "convert"
    assert cell.cost > 0


def test_memory_given_in_the_study_is_what_a_cell_needs() -> None:
    plan = bases(resources=Resources(memory_gb=3))
    assert {cell.needs.memory for cell in plan.cells if cell.base.slug == "llama-32x2-s0"} == {3_000_000_000}


def test_two_base_models_of_one_name_are_refused() -> None:
    with pytest.raises(StudyError, match="two base models are called llama-32x2-s0"):
        expand(study(), replace(FACTS, bases=(base(), base())))


def test_two_runs_of_one_name_are_refused() -> None:
    with pytest.raises(StudyError, match="two runs are called"):
        expand(study(recipes=recipes(seeds=[0, 0])), FACTS)


def pick(slug: str) -> EvaluateCell:
    return next(cell for cell in PLAN.evaluations if cell.slug == slug)


def test_the_columns_of_an_evaluation_say_what_the_models_had_seen() -> None:
    name = "llama-32x2-s0"
    found = columns("small", pick(f"evaluate/{name}/base-zero-shot/job"), 123)
    assert (found["pretrained_on"], found["tuned_on"], found["run"], found["params"]) == (False, None, None, 123)
    found = columns("small", pick(f"evaluate/{name}.lora-s1/tuned-direct/antonym"), 123)
    assert (found["pretrained_on"], found["tuned_on"], found["seed"]) == (True, True, 1)
    found = columns("small", pick(f"evaluate/{name}.full-s0/tuned-direct/antonym"), 123)
    assert (found["tuned_on"], found["recipe"]) == (False, "full")


def test_nothing_is_known_of_what_a_public_model_was_pretrained_on() -> None:
    public = replace(base(), source="hub", ladder=None)
    cell = expand(study(), replace(FACTS, bases=(public,))).evaluations[0]
    assert columns("small", cell, 1)["pretrained_on"] is None


def test_adapters_share_the_weights_of_their_base_and_a_full_tuning_has_its_own() -> None:
    name = "llama-32x2-s0"
    assert pick(f"evaluate/{name}/base-direct/job").weights == name
    assert pick(f"evaluate/{name}.lora-s0/tuned-direct/job").weights == name
    assert pick(f"evaluate/{name}.full-s0/tuned-direct/job").weights == f"{name}.full-s0"


SAMPLEGEN = {"method": "lora", "name": "writer", "format": "samplegen"}
PIPELINES = ("samplegen-pipeline", "samplegen-restated")
EVERY = get_args(ConditionName)
FORMATS = replace(
    FACTS,
    bases=(base(32, called=("llama", "small")), base(64, called=("llama", "large"))),
    mixtures={**FACTS.mixtures, "writer": (task("plural"),)},
    cross_task=(task("plural"),),
)


def formats(facts: Facts = FORMATS, **changes: Any) -> Plan:
    """All conditions in two wordings, on the two regular recipes and one that writes worked examples."""
    recipes = [*(recipe.model_dump() for recipe in study().recipes), SAMPLEGEN]
    settings = {"recipes": recipes, "conditions": EVERY, "wordings": ("standard", "closed"), "shots": {"counts": [2]}}
    return expand(study(**{**settings, **changes}), facts)


ALL_FORMATS = formats()


def of_condition(plan: Plan, *names: str) -> list[EvaluateCell]:
    return [cell for cell in plan.evaluations if cell.condition.name in names]


def test_each_wording_of_each_condition_is_a_cell_with_a_name_of_its_own() -> None:
    slugs = [cell.slug for cell in ALL_FORMATS.cells]
    assert len(slugs) == len(set(slugs))
    counts = Counter(cell.condition.name for cell in ALL_FORMATS.evaluations)
    pairs = 2 * 2 * 2  # base models, wordings, tasks
    assert counts == {name: pairs * (1 if name.startswith(("base", "gold", "samplegen")) else 3) for name in EVERY}
    run = "evaluate/llama-32x2-s0.writer-s0"
    assert {
        "evaluate/llama-32x2-s0/gold-pipeline-k2-s0/job",
        "evaluate/llama-32x2-s0/gold-pipeline-cross-task-k2-s0.closed/job",
        f"{run}/samplegen-direct-k2/job",
        f"{run}/samplegen-pipeline-k2.closed/job",
        f"{run}/samplegen-restated-k2/job",
    } <= set(slugs)


def test_a_tuned_model_is_evaluated_in_the_format_it_was_tuned_on() -> None:
    for cell in ALL_FORMATS.evaluations:
        if cell.run:
            assert (cell.run.recipe.format == "samplegen") == cell.condition.name.startswith("samplegen")


def test_a_pipeline_rests_on_what_its_model_writes_for_the_same_items_in_the_same_wording() -> None:
    places = {cell.slug: place for place, cell in enumerate(ALL_FORMATS.evaluations)}
    for cell in of_condition(ALL_FORMATS, *PIPELINES):
        writer = cell.writer
        assert writer
        assert (writer.run, writer.task, writer.condition.name) == (cell.run, cell.task, "samplegen-direct")
        assert writer.condition.wording == cell.condition.wording
        assert places[writer.slug] < places[cell.slug]
        assert cell.inputs["written_by"] == writer.inputs
        assert cell.inputs["model"] == cell.base.inputs
        assert (cell.answerer, cell.weights) == (None, cell.base.slug)
        assert cell.run
        assert columns("small", cell, 1)["recipe"] == "writer"
    others = [cell for cell in ALL_FORMATS.evaluations if cell.condition.name not in PIPELINES]
    assert all(cell.writer is None for cell in others)
    for cell in of_condition(ALL_FORMATS, "samplegen-direct"):
        assert cell.answerer == cell.run


def in_wordings(*names: str, wordings: Sequence[str] = ("standard", "closed")) -> set[str]:
    return {f"{name} {wording}" for name in names for wording in wordings}


def writer(**changes: object) -> list[dict[str, object]]:
    """The recipes of `formats` with changes to the one that writes."""
    return [*(recipe.model_dump() for recipe in study().recipes), SAMPLEGEN | changes]


WRITTEN = in_wordings("samplegen-direct", *PIPELINES)
REWORDED = replace(FORMATS, protocols={**FORMATS.protocols, "wordings": "2"})
OTHER_INPUTS: list[tuple[str, Callable[[], Plan], set[str]]] = [
    ("the longest text written", lambda: formats(pipelines={"max_new_tokens": 99}), WRITTEN),
    (
        "where cross-task demonstrations come from",
        lambda: formats(replace(FORMATS, cross_task=(task("past"),))),
        in_wordings("gold-pipeline-cross-task"),
    ),
    ("the writer's tuning", lambda: formats(recipes=writer(examples=7)), WRITTEN | {"tune writer"}),
    ("the writer's format", lambda: formats(recipes=writer(format="samplegen-corrupted")), WRITTEN | {"tune writer"}),
    ("the writer's chat", lambda: formats(recipes=writer(chat=True)), WRITTEN | {"tune writer"}),
    ("the encoder", lambda: formats(answers={"bertscore": {"encoder": "a/b"}}), in_wordings(*EVERY)),
    ("the version of other wordings", lambda: formats(REWORDED), in_wordings(*EVERY, wordings=["closed"])),
]


def stale(old: Plan, new: Plan) -> set[str]:
    """Conditions with their wordings, and tunings, that got another fingerprint."""
    before = {cell.slug: cell.fingerprint for cell in old.cells}
    return {
        f"{cell.condition.name} {cell.condition.wording}" if isinstance(cell, EvaluateCell) else model(cell)
        for cell in new.cells
        if before[cell.slug] != cell.fingerprint
    }


@pytest.mark.parametrize(("make", "kinds"), [row[1:] for row in OTHER_INPUTS], ids=[row[0] for row in OTHER_INPUTS])
def test_a_change_makes_stale_what_rests_on_it_and_nothing_else(make: Callable[[], Plan], kinds: set[str]) -> None:
    assert stale(ALL_FORMATS, make()) == kinds


def test_a_format_with_a_wording_of_its_own_rests_on_the_version_of_the_wordings() -> None:
    recipes = writer(format="samplegen-unified")
    found = stale(formats(recipes=recipes), formats(REWORDED, recipes=recipes))
    assert found == in_wordings(*EVERY, wordings=["closed"]) | WRITTEN | {"tune writer"}


def test_another_number_of_worked_examples_is_another_cell() -> None:
    new = formats(pipelines={"examples": 3})
    assert "evaluate/llama-32x2-s0.writer-s0/samplegen-direct-k3/job" in {cell.slug for cell in new.evaluations}
    tuned = {cell.fingerprint for cell in new.tunings}
    lost = {cell.run.recipe_name for cell in ALL_FORMATS.tunings if cell.fingerprint not in tuned}
    assert lost == {"writer"}


def test_a_recipe_that_names_base_models_is_applied_to_these_alone() -> None:
    bases = [entry.model_dump() | {"name": name} for entry in study().bases for name in ("small", "large")]
    plan = expand(study(bases=bases, recipes=recipes(bases=["large"], seeds=[0])), FORMATS)
    tuned = {cell.run.slug for cell in plan.tunings}
    assert tuned == {"llama-64x2-s0.lora-s0", "llama-32x2-s0.full-s0", "llama-64x2-s0.full-s0"}
    assert {cell.run.slug for cell in plan.evaluations if cell.run} == tuned
    wide = expand(study(bases=bases, recipes=recipes(bases=["llama"], seeds=[0])), FORMATS)
    # That a recipe names its base models is no input: the same tuning on the same base model is the same cell.
    assert {c.fingerprint for c in plan.tunings} < {c.fingerprint for c in wide.tunings}


def test_clean_mixtures_rest_on_what_is_evaluated_and_others_do_not() -> None:
    clean = study(recipes=recipes(decontaminate=True))
    plan = expand(clean, FACTS)
    assert changed(PLAN, plan) == LORA
    for cell in plan.tunings:
        assert cell.run.evaluated == (TASKS if cell.run.recipe_name == "lora" else ())
    more = expand(clean, replace(FACTS, tasks=(*TASKS, task("past"))))
    assert "tune lora" in changed(plan, more)
    assert "tune full" not in changed(plan, more)


def test_a_regular_tuning_does_not_rest_on_the_pipelines() -> None:
    plan = expand(study(pipelines={"examples": 5, "max_new_tokens": 99}), FACTS)
    assert changed(PLAN, plan) == set()
