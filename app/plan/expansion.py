"""Study -> ordered cells. Pure: reads nothing, computes nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from app.errors import StudyError
from app.identity import slug
from app.plan import estimates
from app.plan.cells import (
    BASE_CONDITIONS,
    FEW_SHOT_CONDITIONS,
    GOLD_CONDITIONS,
    PASSED_ON_CONDITIONS,
    Base,
    Cell,
    Condition,
    EvaluateCell,
    Facts,
    Kind,
    Plan,
    Run,
    TaskFacts,
    TuneCell,
)
from app.study import Recipe, Study

_UNIFIED = "samplegen-unified"  # the format whose prompts have a wording of their own
_AnyCell = TypeVar("_AnyCell", bound=Cell)


def expand(study: Study, facts: Facts) -> Plan:
    """All cells of a study. Raises StudyError where two base models or runs get the same name."""
    _unique([base.slug for base in facts.bases], "base models")
    runs = [
        _run(study, facts, base, recipe, seed)
        for base in facts.bases
        for recipe in study.recipes
        if not recipe.bases or set(recipe.bases) & set(base.called)
        for seed in recipe.seeds
    ]
    _unique([run.slug for run in runs], "runs")
    made = [_base(base) for base in facts.bases if base.stored]
    tunings = [_tuning(run, runs) for run in runs]
    evaluations: dict[str, EvaluateCell] = {}
    for base, run in [*((base, None) for base in facts.bases), *((run.base, run) for run in runs)]:
        # A pipeline's cells come after the cells that write for it.
        for condition in sorted(conditions(study), key=lambda c: c.name in PASSED_ON_CONDITIONS):
            if _fits(condition, run):
                for task in facts.tasks:
                    cell = _evaluate(study, facts, base, run, condition, task, evaluations)
                    evaluations[cell.slug] = cell
    return Plan(study, _longest_first(made), _longest_first(tunings), tuple(evaluations.values()))


def conditions(study: Study) -> list[Condition]:
    """The conditions of a study in each of its wordings, few-shot ones once for each count and seed."""
    found: list[Condition] = []
    shots, worked = study.shots, study.pipelines.examples
    for name in study.conditions:
        for wording in study.wordings:
            if name in FEW_SHOT_CONDITIONS:
                found += [Condition(name, k, seed, shots.draw, wording) for k in shots.counts for seed in shots.seeds]
            elif name in GOLD_CONDITIONS:
                found += [Condition(name, worked, seed, "per_item", wording) for seed in shots.seeds]
            elif name.startswith("samplegen"):
                found.append(Condition(name, worked, 0, "per_item", wording))
            else:
                found.append(Condition(name, 0, 0, "frozen", wording))
    return found


def _fits(condition: Condition, run: Run | None) -> bool:
    """Whether a model is evaluated under a condition."""
    if run is None or condition.name in BASE_CONDITIONS:
        return run is None and condition.name in BASE_CONDITIONS
    return condition.name.startswith("samplegen") == (run.recipe.format != "regular")


def _unique(slugs: Sequence[str], what: str) -> None:
    for name in slugs:
        if slugs.count(name) > 1:
            raise StudyError(f"two {what} are called {name}: give one entry of the study another `name`")


def _longest_first(cells: list[_AnyCell]) -> tuple[_AnyCell, ...]:
    return tuple(sorted(cells, key=lambda cell: (-cell.cost, cell.slug)))


def _run(study: Study, facts: Facts, base: Base, recipe: Recipe, seed: int) -> Run:
    name = recipe.name or recipe.method
    ladder = base.source == "ladder"
    default = (5e-4 if ladder else 2e-5) if recipe.method == "full" else (5e-3 if ladder else 2e-4)
    rate = recipe.learning_rate or default
    mixture = facts.mixtures[name]
    # Those of other columns, and what changes memory but no number.
    named = {"name", "bases", "seeds", "mixture", "learning_rate", "decontaminate", "gradient_checkpointing",
             "together"}  # fmt: skip
    divided = {"workers", "strategy", "offload", "micro_batch"}
    if recipe.workers > 1:  # each draws its own dropout, so their number is part of what the weights are
        named |= divided - {"workers"}
    else:
        named |= divided
    settings = recipe.model_dump(mode="json", exclude=named)
    if recipe.method == "full":
        del settings["lora"]
    if recipe.format != "regular":
        settings["worked_examples"] = study.pipelines.examples
    if recipe.together:  # rows of all of them share a matrix product, whose rounding depends on how many there are
        settings["together"] = sorted(recipe.seeds)
    evaluated = facts.tasks if recipe.decontaminate else ()
    inputs: dict[str, object] = {
        "base": base.inputs,
        "recipe": {**settings, "learning_rate": rate},
        "mixture": {task.name: task.inputs for task in mixture},
        "seed": seed,
        "study_seed": study.seed,
        "protocols": _protocols(facts, "tuning", "prompts", worded=recipe.format == _UNIFIED),
    }
    if recipe.decontaminate:
        inputs["without_test_items_of"] = {task.name: task.inputs for task in evaluated}
    return Run(f"{base.slug}.{slug(name)}-s{seed}", base, recipe, name, seed, mixture, rate, inputs, evaluated)


def _base(base: Base) -> Cell:
    kind: Kind = "pretrain" if base.source == "ladder" else "convert"
    needs, seconds = estimates.making(base)
    return Cell(kind, f"{kind}/{base.slug}", base.inputs, needs, seconds, base)


def _tuning(run: Run, runs: Sequence[Run]) -> TuneCell:
    found = estimates.tuning(run)
    beside = [other for other in runs if (other.base, other.recipe) == (run.base, run.recipe)]
    return TuneCell(
        "tune", f"tune/{run.slug}", run.inputs, found.needs, found.seconds, run.base, run, found.phases, found.tokens,
        found.gpu_bytes, tuple(beside) if run.recipe.together else (),
    )  # fmt: skip


def _evaluate(
    study: Study,
    facts: Facts,
    base: Base,
    run: Run | None,
    condition: Condition,
    task: TaskFacts,
    earlier: Mapping[str, EvaluateCell],
) -> EvaluateCell:
    def place(condition: Condition) -> str:
        return f"evaluate/{run.slug if run else base.slug}/{condition.slug}/{task.name}"

    described: dict[str, object] = {
        "name": condition.name,
        "shots": condition.shots,
        "shot_seed": condition.shot_seed,
        "draw": condition.draw,
        "wording": condition.wording,
    }
    inputs: dict[str, object] = {
        "model": run.inputs if run else base.inputs,
        "task": task.inputs,
        "condition": described,
        "items": study.test_items,
        "study_seed": study.seed,
        "answers": study.answers.model_dump(mode="json", exclude=_unsaid(study)),
        "protocols": _protocols(
            facts,
            "prompts",
            "scoring",
            "judgement",
            worded=condition.wording != "standard" or (run is not None and run.recipe.format == _UNIFIED),
        ),
    }
    cross_task = facts.cross_task if condition.name == "gold-pipeline-cross-task" else ()
    if cross_task:
        described["from"] = {other.name: other.inputs for other in cross_task}
    if condition.name == "samplegen-direct":
        described["max_new_tokens"] = study.pipelines.max_new_tokens
    writer = earlier[place(replace(condition, name="samplegen-direct"))] if _passed_on(condition) else None
    if writer:
        inputs |= {"model": base.inputs, "written_by": writer.inputs}
    found = estimates.answering(study, facts, base, None if writer else run, condition, task)
    return EvaluateCell(
        "evaluate", place(condition), inputs, found.needs, found.seconds, base, run, condition, task, found.phases,
        found.prompt_tokens, found.generated_tokens, found.gpu_bytes, writer, cross_task, facts.encoder,
    )  # fmt: skip


def _unsaid(study: Study) -> set[str]:
    """Settings of answers that name what is done anyway: cells of studies that do not say it are the same."""
    return {"engine"} if study.answers.engine == "torch" else set()


def _protocols(facts: Facts, *names: str, worded: bool) -> dict[str, str]:
    """The versions of these protocols; `worded`: also that of the wordings beside the standard one."""
    return {name: facts.protocols[name] for name in (*names, *(["wordings"] if worded else []))}


def _passed_on(condition: Condition) -> bool:
    return condition.name in PASSED_ON_CONDITIONS
