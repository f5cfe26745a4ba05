"""Two sets of models, measured with lm-evaluation-harness, to pairs.

Base models measured with demonstrations give x, without any z; tuned models without demonstrations give y. Where a
model was measured twice, the newest file counts; where with several numbers of demonstrations, the largest. What a
reader should know of it comes back as sentences.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from app.analysis.own import given, harness_files, harness_items, harness_match, harness_views
from app.analysis.own.given import UNKNOWN, Given, Own, X, Y, Z
from app.analysis.own.harness_files import PERCENT, Result
from app.analysis.own.harness_items import Cell
from app.analysis.own.harness_match import Origin, TaskFacts
from app.analysis.pairing.audits import Evaluated
from app.errors import InputError
from app.grammar import some
from app.identity import fingerprint

OPTIONS: Mapping[str, int] = {
    "anli_r1": 3, "anli_r2": 3, "anli_r3": 3, "arc_challenge": 4, "arc_easy": 4, "boolq": 2, "cb": 3, "cola": 2,
    "commonsense_qa": 5, "copa": 2, "hellaswag": 4, "logiqa": 4, "logiqa2": 4, "mathqa": 5, "medmcqa": 4, "mnli": 3,
    "mnli_mismatch": 3, "mrpc": 2, "multirc": 2, "openbookqa": 4, "piqa": 2, "prost": 4, "qa4mre_2011": 5,
    "qnli": 2, "qqp": 2, "race": 4, "rte": 2, "sciq": 4, "social_iqa": 3, "sst2": 2, "swag": 4, "toxigen": 2, "wic": 2,
    "winogrande": 2, "wnli": 2, "wsc": 2, "wsc273": 2, "xstorycloze_en": 2,
}  # fmt: skip
"""Options of an item for the harness's common tasks; every task whose name begins with mmlu_ has 4."""
STUDY = "lm-eval"


def read(base: Path, tuned: Path, match: Path | None = None, tasks: Path | None = None) -> Own:
    """The scores of two folders of results; with the table "items" where per-item results lie beside both sides.

    `match` says which base model each tuned model was made from, `tasks` gives chance levels. Raises InputError where a
    folder has no results, a file is damaged, or a tuned model cannot be matched.
    """
    sides = harness_files.load(base), harness_files.load(tuned)
    adapters = {result.model: result.adapter_of for result in sides[1]}
    origins = harness_match.origins(sorted({result.model for result in sides[0]}), adapters, match)
    facts = harness_match.task_facts(tasks)
    told: list[str] = []
    cells = _of_one_version([*_of_bases(sides[0], told), *_of_tuned(sides[1], told)], told)
    for condition, folder, need in (
        (X, base, "with demonstrations (n-shot above 0)"),
        (Y, tuned, "with n-shot 0"),
    ):
        if not any(cell.condition == condition for cell in cells):
            why = "".join(f" {reason}" for reason in told)
            raise InputError(f"{folder} has no results {need}: base few-shot is set against tuned zero-shot.{why}")
    told = [*(f"{name} was tuned from {one.base} ({one.how})." for name, one in sorted(origins.items())), *told]
    absent = sorted(facts.keys() - {cell.result.task for cell in cells})
    if absent:
        told.append(f"{some(absent)} of the tasks file has no results: is the name as the harness spells it?")
    metrics = _metrics(cells, told)
    first = {task: next(iter(known)) for task, known in metrics.items()}
    joined = harness_items.join(STUDY, cells, origins, first, facts)
    made = list(_given(joined, origins, metrics, _chances(joined, facts, told), facts))
    told += [*joined.told, *_cautions(sides, origins)]
    stamp = fingerprint([[r.model, str(r.date), *sorted(r.tasks)] for side in sides for r in side])
    analysis = given.settings(made, families=any(one.family for one in origins.values()))
    scores, computed = given.scores(STUDY, made, stamp), _computed(joined.cells, origins)
    seen = harness_views.views(joined.cells, origins, joined.items)
    return Own(scores, analysis, tuple(told), joined.items, tuple(seen), computed)


def _computed(cells: Iterable[Cell], origins: Mapping[str, Origin]) -> dict[Evaluated, Mapping[str, str]]:
    """How each model was measured; shots are those of the pairs, which the table does not tell where they differ."""
    made: dict[Evaluated, Mapping[str, str]] = {}
    for cell in cells:
        tuned = cell.condition == Y
        base, run = (origins[cell.model].base, cell.model) if tuned else (cell.model, None)
        made[Evaluated(base, run, cell.result.task, cell.condition, UNKNOWN)] = cell.facts
    return made


def _newest(results: Iterable[Result], told: list[str]) -> dict[tuple[str, str], dict[int, Cell]]:
    """Model and task to number of demonstrations to result."""
    found: dict[tuple[str, str], dict[int, Cell]] = {}
    again = 0
    for result in results:  # the oldest first
        for task in result.tasks.values():
            counts = found.setdefault((result.model, task.task), {})
            again += task.shots in counts
            counts[task.shots] = Cell(result.model, "", result.params, task, result.facts)
    if again:
        told.append(f"{again} results were measured again later: the newest counts.")
    return found


def _of_bases(results: Sequence[Result], told: list[str]) -> Iterator[Cell]:
    counts: dict[str, set[int]] = {}
    for (_, task), by_shots in _newest(results, told).items():
        if 0 in by_shots:
            yield by_shots[0]._replace(condition=Z)
        most = max(by_shots)
        if most:
            counts.setdefault(task, set()).add(most)
            yield by_shots[most]._replace(condition=X)
    uneven = sorted(task for task, several in counts.items() if len(several) > 1)
    if uneven:
        told.append(f"Base models saw different numbers of demonstrations on {some(uneven)}.")


def _of_tuned(results: Sequence[Result], told: list[str]) -> Iterator[Cell]:
    lost = 0
    for by_shots in _newest(results, told).values():
        if 0 in by_shots:
            yield by_shots[0]._replace(condition=Y)
        else:
            lost += 1
    if lost:
        told.append(f"{lost} results of tuned models have demonstrations only (n-shot above 0) and are left out.")


def _of_one_version(cells: Sequence[Cell], told: list[str]) -> list[Cell]:
    """Without results of a rarer version of a task: its items or prompts may be others."""
    versions: dict[str, Counter[str]] = {}
    for cell in cells:
        versions.setdefault(cell.result.task, Counter())[cell.result.version] += 1
    kept = {task: max(sorted(counts), key=counts.__getitem__) for task, counts in versions.items()}
    mixed = sorted(task for task, counts in versions.items() if len(counts) > 1)
    if mixed:
        told.append(f"{some(mixed)}: results of the rarer of several versions are left out.")
    return [cell for cell in cells if cell.result.version == kept[cell.result.task]]


def _metrics(cells: Iterable[Cell], told: list[str]) -> dict[str, dict[str, float]]:
    """Task to metric to its best value; what most results have leads, a metric of unknown range is left out."""
    values: dict[str, dict[str, list[float]]] = {}
    for cell in cells:
        for name, measured in cell.result.metrics.items():
            values.setdefault(cell.result.task, {}).setdefault(name, []).append(measured.value)
    found: dict[str, dict[str, float]] = {}
    for task, metrics in values.items():
        kept: dict[str, float] = {}
        for name in sorted(metrics, key=lambda name: -len(metrics[name])):  # stable: the file's order among equals
            most = max(map(abs, metrics[name]))
            if most <= 1:
                kept[name] = 1.0
            elif most <= 100 and name.partition(",")[0] in PERCENT:
                kept[name] = 100.0
        if kept:
            found[task] = kept
        else:
            told.append(f"{task} has no metric with a known best value ({some(metrics)}) and is left out.")
    return found


def _chances(joined: harness_items.Joined, facts: Mapping[str, TaskFacts], told: list[str]) -> dict[str, float]:
    """Chance level of the accuracies of each task: as stated, or by the options of its items."""
    found: dict[str, float] = {}
    unknown: list[str] = []
    for cell in joined.cells:
        task = cell.result.task
        if task in found:
            continue
        stated = facts[task].chance if task in facts else None
        options = cell.result.choices or (4 if task.startswith("mmlu_") else OPTIONS.get(task, 0))
        by_items = joined.chances.get(task)
        if stated is not None:
            found[task] = stated
        elif by_items is not None or options:
            found[task] = by_items if by_items is not None else 1 / options
        elif cell.result.multiple_choice:
            unknown.append(task)
            found[task] = 0.0
    if unknown:
        told.append(
            f"The chance level of {some(unknown)} is not known and counts as 0: give --tasks FILE, a table with the "
            "columns task and chance."
        )
    return found


def _given(
    joined: harness_items.Joined,
    origins: Mapping[str, Origin],
    metrics: Mapping[str, Mapping[str, float]],
    chances: Mapping[str, float],
    facts: Mapping[str, TaskFacts],
) -> Iterator[Given]:
    of_base = {one.base: one for one in origins.values()}
    counts = {cell.result.shots for cell in joined.cells if cell.condition == X}
    shots = counts.pop() if len(counts) == 1 else 0
    for cell in joined.cells:
        task, tuned = cell.result.task, cell.condition == Y
        base = origins[cell.model].base if tuned else cell.model
        origin = origins[cell.model] if tuned else of_base.get(base, Origin(base, ""))
        said = facts.get(task, TaskFacts(None, "", ""))
        for place, (name, high) in enumerate(metrics.get(task, {}).items()):
            measured = cell.result.metrics.get(name)
            if measured is None:
                continue
            stated = task in facts and facts[task].chance is not None
            yield Given(
                base=base,
                run=cell.model if tuned else None,
                condition=cell.condition,
                task=task,
                value=measured.value,
                place=f"{cell.model}, {task}, {name}",
                metric=name,
                primary=place == 0,
                chance=chances.get(task, 0.0) if name.startswith("acc") or (stated and place == 0) else 0.0,
                high=high,
                n=cell.result.n,
                stderr=measured.stderr,
                shots=shots if cell.condition == X else 0,
                family=origin.family,
                params=origin.params or joined.params.get(base, 0),
                cluster=said.cluster or UNKNOWN,
                role=said.role or "evaluate",
                recipe=origin.recipe,
            )


def _cautions(sides: tuple[Sequence[Result], Sequence[Result]], origins: Mapping[str, Origin]) -> Iterator[str]:
    templates = [any(result.chat_template for result in side) for side in sides]
    if templates == [False, True]:
        yield "Tuned models were asked in a chat template and base models without one: the prompts differ in that too."
    if not any(one.family for one in origins.values()):
        yield (
            "No families are stated, so intervals treat base models as independent: a column family in the mapping "
            "file mends it."
        )
