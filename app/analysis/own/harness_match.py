"""Which base model each tuned model was made from, and what else a mapping file says of models and tasks.

Without a mapping file a tuned model goes to the base model that its adapter was loaded onto, to the only base model
there is, or to the one whose name it carries: `tiny-3b-instruct` to `tiny-3b`. A name that adds a size is another
model (`gpt2-xl-chat` was not made from `gpt2`), and anything that stays open is refused, never guessed.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from app.analysis.own import table_file
from app.analysis.own.given import ROLES
from app.errors import InputError
from app.grammar import some

FORMAT = "a CSV, JSON or Parquet file with the columns tuned and base, and perhaps family, params, recipe"
_SIZES = {"nano", "micro", "mini", "tiny", "small", "base", "medium", "large", "xl", "xxl", "deduped"}
_SIZE = re.compile(r"\d+(\.\d+)?[bmk]|\d+x\d+.*")
_MODELS = {
    "tuned": ("run", "tuned_model"),
    "base": ("base_model",),
    "family": (),
    "params": ("parameters",),
    "recipe": (),
}
_TASKS = {"task": ("benchmark",), "chance": ("chance_level",), "cluster": ("task_cluster",), "role": ()}


class Origin(NamedTuple):
    """Where a tuned model comes from; `how` says why, for the reader."""

    base: str
    how: str
    family: str = ""
    params: int = 0
    recipe: str = "tuned"


class TaskFacts(NamedTuple):
    """What a tasks file says; None or empty: nothing."""

    chance: float | None
    cluster: str
    role: str


def origins(bases: Sequence[str], tuned: Mapping[str, str], mapping: Path | None) -> dict[str, Origin]:
    """The base model of each tuned model; `tuned` maps it to the base model of its adapter, or to an empty name.

    Raises InputError where that stays open, or the mapping file names a model that has no results.
    """
    if mapping is not None:
        return _mapped(bases, tuned, mapping)
    both = sorted(set(bases) & set(tuned))
    if both:
        raise InputError(f"{both[0]} has results on both sides: give base models and tuned models folders of their own")
    found: dict[str, Origin] = {}
    for name, adapter_of in tuned.items():
        if adapter_of in bases:
            found[name] = Origin(adapter_of, "its adapter was loaded onto it")
        elif adapter_of:
            raise InputError(f"{name} is an adapter of {adapter_of}, which has no results among the base models")
        elif len(bases) == 1:
            found[name] = Origin(bases[0], "the only base model")
        elif near := _named_after(name, bases):
            found[name] = Origin(near, "by its name")
        else:
            raise InputError(
                f"which of {some(bases)} was {name} tuned from? Its name does not tell: give --match FILE, {FORMAT}"
            )
    return found


def task_facts(path: Path | None) -> dict[str, TaskFacts]:
    """What a tasks file says of each task. Raises InputError for a column or role that is not known."""
    if path is None:
        return {}
    table = table_file.named(table_file.load(path), _TASKS, ("task",), path.name)
    names = table_file.texts(table, "task", path.name)
    here = set(table.column_names)
    chance = table_file.numbers(table, "chance", path.name) if "chance" in here else [None] * len(names)
    texts = {name: table_file.texts(table, name, path.name) for name in ("cluster", "role") if name in here}
    if len(set(names)) < len(names):
        again = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{path.name} has two rows for the task {again}: keep one")
    for row, role in enumerate(texts.get("role", ())):
        if role not in ROLES:
            raise InputError(f"{path.name}, row {row + 1}: unknown role {role!r}; known are {', '.join(ROLES)}")
    return {
        name: TaskFacts(
            chance[row],
            texts["cluster"][row] if "cluster" in texts else "",
            texts["role"][row] if "role" in texts else "",
        )
        for row, name in enumerate(names)
    }


def _mapped(bases: Sequence[str], tuned: Mapping[str, str], path: Path) -> dict[str, Origin]:
    table = table_file.named(table_file.load(path), _MODELS, ("tuned", "base"), path.name)
    here = set(table.column_names)
    texts = {
        name: table_file.texts(table, name, path.name) for name in ("tuned", "base", "family", "recipe") if name in here
    }
    params = table_file.numbers(table, "params", path.name) if "params" in here else [None] * table.num_rows
    found: dict[str, Origin] = {}
    for row, (name, base) in enumerate(zip(texts["tuned"], texts["base"], strict=True)):
        place = f"{path.name}, row {row + 1}"
        for given, known, kind in ((name, tuned, "tuned"), (base, bases, "base")):
            if given not in known:
                raise InputError(f"{place}: the {kind} model {given} has no results; those with some: {some(known)}")
        if name in found:
            raise InputError(f"{place}: {name} stands twice: keep one row")
        family = texts["family"][row] if "family" in texts else ""
        recipe = texts["recipe"][row] if "recipe" in texts else "tuned"
        facts = (family, table_file.whole(params[row], f"{place}: params"))
        if any(other.base == base and (other.family, other.params) != facts for other in found.values()):
            raise InputError(f"{place}: the base model {base} has two families or sizes: give it the same in all rows")
        found[name] = Origin(base, "as the mapping file says", *facts, recipe)
    absent = [name for name in tuned if name not in found]
    if absent:
        raise InputError(f"{path.name} does not say what {some(absent)} was tuned from: add a row for each")
    return found


def _named_after(name: str, bases: Sequence[str]) -> str:
    """The base model whose words the name has, and no size beyond them; the longest; empty where none or several."""
    words = _words(name)
    fit = [
        (len(_words(base)), base)
        for base in bases
        if _words(base) and _words(base) <= words and not any(_sized(word) for word in words - _words(base))
    ]
    longest = [base for count, base in fit if count == max(fit)[0]]
    return longest[0] if len(longest) == 1 else ""


def _words(name: str) -> set[str]:
    return {word for word in re.split(r"[-_\s/]+", name.rstrip("/").rpartition("/")[2].lower()) if word}


def _sized(word: str) -> bool:
    return word in _SIZES or _SIZE.fullmatch(word) is not None
