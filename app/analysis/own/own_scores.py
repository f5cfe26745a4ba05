"""Any table of scores to pairs: one row for each tuned model and task, or one row for each score.

Wide: base, run, task, few_shot, tuned_score and perhaps zero_shot. Long: base, run (empty for the base model itself),
task, condition, score. `COLUMNS` lists every column with the other words that are understood; no word is guessed.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from app import tables
from app.analysis.own import given, table_file
from app.analysis.own.given import ROLES, UNKNOWN, Given, Own, X, Y, Z
from app.errors import InputError
from app.grammar import some
from app.identity import fingerprint, slug
from app.study import Analysis

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "base": ("base_model",),
    "run": ("tuned_model",),
    "task": ("benchmark",),
    "few_shot": ("base_few_shot", "few_shot_score"),
    "tuned_score": ("tuned_zero_shot",),
    "zero_shot": ("base_zero_shot", "zero_shot_score"),
    "few_shot_stderr": ("base_few_shot_stderr",),
    "tuned_stderr": ("tuned_score_stderr", "tuned_zero_shot_stderr"),
    "zero_shot_stderr": ("base_zero_shot_stderr",),
    "condition": ("setting",),
    "score": ("value",),
    "stderr": (),
    "shot_seed": ("seed",),
    "shots": ("num_fewshot",),
    "metric": (),
    "chance": ("chance_level",),
    "high": ("best",),
    "n": ("items", "n_items"),
    "family": (),
    "params": ("parameters",),
    "recipe": (),
    "cluster": ("task_cluster",),
    "role": (),
}
"""Column -> other words for it. `tuned` is `run` where it holds names, and `tuned_score` where it holds numbers."""
CONDITIONS: Mapping[str, str] = {
    "few_shot": X, "base_few_shot": X, "zero_shot": Z, "base_zero_shot": Z, "tuned": Y, "tuned_zero_shot": Y,
    "tuned_direct": Y,
}  # fmt: skip
"""What the column `condition` may hold; a dash counts as an underscore."""
_SIDES = ((X, "few_shot", "few_shot_stderr"), (Z, "zero_shot", "zero_shot_stderr"), (Y, "tuned_score", "tuned_stderr"))
_WIDE = ("base", "task", "few_shot", "tuned_score")
_LONG = ("base", "run", "task", "condition", "score")
_ONLY_LONG, _ONLY_WIDE = {"score", "stderr", "shot_seed"}, {name for side in _SIDES for name in side[1:]}


class _Read(NamedTuple):
    """The file's columns as lists of one length; `texts` lacks nothing, a number may be None."""

    origin: str
    texts: Mapping[str, list[str]]
    numbers: Mapping[str, list[float | None]]
    rows: int
    shots: int
    """Demonstrations of all few-shot scores; 0, which is not stated, where they differ."""

    def text(self, name: str, row: int, missing: str) -> str:
        """The text in a row; `missing` where the file lacks the column."""
        return self.texts[name][row] if name in self.texts else missing

    def number(self, name: str, row: int) -> float | None:
        """The number in a row; None where it is empty or the file lacks the column."""
        return self.numbers[name][row] if name in self.numbers else None


def read(path: Path) -> Own:
    """The scores in a file, with how they are to be correlated.

    Raises InputError where the file is absent or no table, a column is unknown or missing, a name is empty, a score is
    outside its range, or one score stands twice.
    """
    table = table_file.load(path)
    name = (table.schema.metadata or {}).get(b"fewtune.table", b"").decode()
    if name and name != "scores":
        raise InputError(f"{path} is FewTune's table {name}, which is no table of scores: give the store itself")
    origin = fingerprint([[str(value) for value in column] for column in table.to_pydict().values()])
    if name:
        rows = tables.read("scores", path)
        return Own(rows, _of_scores(rows), ())
    found = _columns(table, path.name)
    made = _without_repeats(_long(found), ()) if "condition" in found.texts else _without_repeats(_wide(found), (X, Z))
    if not made:
        raise InputError(f"{path} holds no score: every one is empty")
    _consistent(made, found)
    _one_chance(found)
    analysis = given.settings(made, families="family" in found.texts)
    study = slug(path.stem) if any(letter.isalnum() and letter.isascii() for letter in path.stem) else "own-scores"
    return Own(given.scores(study, made, origin), analysis, tuple(_warnings(found, made)))


def _columns(table: pa.Table, origin: str) -> _Read:
    table = table_file.named(_tuned(table), COLUMNS, (), origin)
    here = set(table.column_names)
    long = "condition" in here
    mixed = sorted(here & (_ONLY_WIDE if long else _ONLY_LONG))
    if mixed:
        wanted = _LONG if long else _WIDE
        raise InputError(
            f"{origin}: the column{'s' if len(mixed) > 1 else ''} {', '.join(mixed)} cannot stand in a table "
            f"{'with' if long else 'without'} a column condition: wanted are {', '.join(wanted)}"
            + ("" if long else ", and errors as few_shot_stderr, tuned_stderr, zero_shot_stderr")
        )
    table_file.named(table, COLUMNS, _LONG if long else _WIDE, origin)
    words = [name for name in _TEXTS if name in here]
    read_ = {name: table_file.texts(table, name, origin) for name in words if not (long and name == "run")}
    if long:  # empty: the base model itself
        read_["run"] = ["" if value is None else str(value).strip() for value in table["run"].to_pylist()]
    counts = {name: table_file.numbers(table, name, origin) for name in here - set(words)}
    stated = {count for count in counts.get("shots", ()) if count}
    shots = table_file.whole(stated.pop(), f"{origin}: shots") if len(stated) == 1 else 0
    return _Read(origin, read_, counts, table.num_rows, shots)


_TEXTS = ("base", "run", "task", "condition", "metric", "family", "recipe", "cluster", "role")


def _tuned(table: pa.Table) -> pa.Table:
    """`tuned` under the name that its values call for."""
    names = [
        ("tuned_score" if _numeric(table[i]) else "run") if name.strip().lower() == "tuned" else name
        for i, name in enumerate(table.column_names)
    ]
    return table.rename_columns(names)


def _numeric(column: pa.ChunkedArray) -> bool:
    """Whether most values are numbers: a single mark for "not computed" makes text of a whole column."""
    values = [value for value in column.to_pylist() if value not in (None, "")]
    return 2 * sum(table_file.number_of(value) is not None for value in values) >= len(values)


def _wide(found: _Read) -> Iterator[Given]:
    for row in range(found.rows):
        for condition, name, stderr in _SIDES:
            value = found.number(name, row)
            if value is not None:
                run = found.text("run", row, f"{found.texts['base'][row]}-tuned") if condition == Y else None
                yield _given(found, row, run, condition, value, stderr, name)


def _long(found: _Read) -> Iterator[Given]:
    for row in range(found.rows):
        said = found.texts["condition"][row].lower().replace("-", "_").replace(" ", "_")
        place = f"{found.origin}, row {row + 1}"
        if said not in CONDITIONS:
            raise InputError(f"{place}: unknown condition {said!r}; known are {', '.join(CONDITIONS)}")
        condition, run = CONDITIONS[said], found.texts["run"][row] or None
        if (condition == Y) != (run is not None):
            what = "needs the tuned model in run" if condition == Y else "is of the base model, so run must be empty"
            raise InputError(f"{place}: the condition {said} {what}")
        value = found.numbers["score"][row]
        if value is not None:
            yield _given(found, row, run, condition, value, "stderr", "score")


def _given(found: _Read, row: int, run: str | None, condition: str, value: float, stderr: str, column: str) -> Given:
    place = f"{found.origin}, row {row + 1}, column {column}"
    role = found.text("role", row, "evaluate")
    if role not in ROLES:
        raise InputError(f"{place}: unknown role {role!r}; known are {', '.join(ROLES)}")
    counts = {
        name: table_file.whole(found.number(name, row), f"{place}: {name}")
        for name in ("n", "params", "shots", "shot_seed")
    }
    high, error = found.number("high", row), found.number(stderr, row)
    return Given(
        base=found.texts["base"][row],
        run=run,
        condition=condition,
        task=found.texts["task"][row],
        value=value,
        place=place,
        metric=found.text("metric", row, "score"),
        chance=found.number("chance", row) or 0.0,
        high=1.0 if high is None else high,
        n=counts["n"],
        stderr=math.nan if error is None else error,
        shots=found.shots if condition == X else 0,
        shot_seed=counts["shot_seed"] if condition == X else 0,
        family=found.text("family", row, ""),
        params=counts["params"],
        cluster=found.text("cluster", row, UNKNOWN),
        role=role,
        recipe=found.text("recipe", row, "tuned"),
    )


def _without_repeats(rows: Iterable[Given], repeated: tuple[str, ...]) -> list[Given]:
    """The scores, each once, the first metric of each task as its primary one.

    In a wide table the base model's scores (conditions `repeated`) stand beside each of its tuned models; they must be
    the same there.
    """
    seen: dict[tuple[object, ...], Given] = {}
    first: dict[str, str] = {}
    for one in rows:
        key = (one.base, one.run, one.condition, one.task, one.metric, one.shot_seed)
        other = seen.get(key)
        if other is None:
            primary = first.setdefault(one.task, one.metric) == one.metric
            seen[key] = one._replace(primary=primary)
        elif one.condition not in repeated or abs(other.value - one.value) > 1e-9:
            who = one.base if one.run is None else f"{one.run} (tuned from {one.base})"
            raise InputError(
                f"{one.place}: a second score of {who} on {one.task} ({one.value:g}, and {other.value:g} at "
                f"{other.place}): keep one, or average them"
            )
    return list(seen.values())


def _consistent(rows: Iterable[Given], found: _Read) -> None:
    """Raise InputError where a tuned model stands under two base models, or a base model has two families or sizes."""
    known: dict[tuple[str, str], tuple[object, str]] = {}
    for one in rows:
        facts: list[tuple[str, str, object]] = [("base model", one.base, (one.family, one.params))]
        if one.run is not None and "run" in found.texts:
            facts.append(("tuned model", one.run, one.base))
        for kind, name, fact in facts:
            before, place = known.setdefault((kind, name), (fact, one.place))
            if before != fact:
                what = "two base models" if kind == "tuned model" else "two families or sizes"
                mend = (
                    "; give each tuned model a name of its own, or leave the column run out where each base model has "
                    "one tuned model"
                    if kind == "tuned model"
                    else ""
                )
                raise InputError(f"{one.place}: the {kind} {name} has {what} ({before} at {place}, here {fact}){mend}")


def _one_chance(found: _Read) -> None:
    """Raise InputError where a task has two chance levels under one metric: an empty cell would count as 0."""
    known: dict[tuple[str, str], tuple[float | None, int]] = {}
    for row in range(found.rows):
        task, level = found.texts["task"][row], found.number("chance", row)
        before, first = known.setdefault((task, found.text("metric", row, "")), (level, row))
        if before != level:
            said = [
                f"{'empty' if one is None else f'{one:g}'} in row {at + 1}"
                for one, at in ((before, first), (level, row))
            ]
            raise InputError(
                f"{found.origin}: the chance level of {task} is {' and '.join(said)}: give a task the same in all rows"
            )


def _of_scores(rows: pa.Table) -> Analysis:
    """FewTune's own defaults, without a rival where the table holds none."""
    return Analysis() if Z in rows["condition"].to_pylist() else Analysis(baseline=None)


def _warnings(found: _Read, rows: list[Given]) -> Iterator[str]:
    if "family" not in found.texts:
        yield (
            "No column family: intervals treat base models as independent, which sister models are not, so they are "
            "too narrow where base models are related."
        )
    if "chance" not in found.numbers:
        yield (
            "No column chance: scores are not corrected for chance, and tasks with few options are easy for every "
            "model, which inflates pooled and task-level correlations."
        )
    levels = zip(found.texts["task"], found.numbers.get("chance", ()), strict=False)
    bare = sorted({task for task, level in levels if level is None})
    if bare:
        yield f"No chance level for {some(bare)}: these scores are not corrected for chance."
    if not any(one.condition == Z for one in rows):
        yield "No zero-shot scores of base models: whether few-shot scores predict better cannot be asked."
    if "n" not in found.numbers and not any(math.isfinite(one.stderr) for one in rows):
        yield "No column n and no standard errors: floors, ceilings and changes of single scores cannot be judged."
    empty = sum(value is None for _, name, _ in _SIDES for value in found.numbers.get(name, ()))
    empty += sum(value is None for value in found.numbers.get("score", ()))
    if empty:
        yield f"{empty} score{'s are' if empty > 1 else ' is'} empty; the pairs that need them are left out."
