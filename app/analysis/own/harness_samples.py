"""Per-item results of lm-evaluation-harness: chance from the options that items had, and the table "items".

Two results belong to one pair only where their items are the same, told by the hash that the harness keeps of each.
"""

import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

from app.errors import InputError


class Sample(NamedTuple):
    """One item: the hash of its text, its scores by metric, its options, and the right one's margin in nats."""

    hash: str
    scores: Mapping[str, float]
    options: int | None
    margin: float | None


def read(path: Path) -> dict[int, Sample]:
    """Item number to result; a task with several filters has one line for each of them and item.

    Raises InputError for a damaged file.
    """
    found: dict[int, Sample] = {}

    def take(one: dict[str, Any]) -> None:
        item, filter_ = int(one["doc_id"]), str(one.get("filter") or "none")
        scores = {
            name if filter_ == "none" else f"{name},{filter_}": float(one[name])
            for name in one.get("metrics") or ()
            if isinstance(one.get(name), int | float)
        }
        before = found.get(item)
        kept = {**before.scores, **scores} if before else scores
        options = _options(one)
        found[item] = Sample(str(one.get("doc_hash") or ""), kept, options, _margin(one, options))

    _each(path, take)
    return found


class Seen(NamedTuple):
    """One item as a model saw and answered it."""

    prompt: str
    answer: str
    target: str


def seen(path: Path, wanted: Collection[int]) -> dict[int, Seen]:
    """Prompts and answers of some items; of a multiple-choice item the likeliest option. None where a line lacks them.

    Raises InputError for a damaged file.
    """
    found: dict[int, Seen] = {}

    def take(one: dict[str, Any]) -> None:
        item = int(one["doc_id"])
        if item in wanted and item not in found and (told := _seen(one)):
            found[item] = told

    _each(path, take)
    return found


def _each(path: Path, take: Callable[[dict[str, Any]], None]) -> None:
    """Hand every line of a file to `take`. Raises InputError for one that is damaged."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                take(cast(dict[str, Any], json.loads(line)))
            except (KeyError, TypeError, ValueError, IndexError, AttributeError) as fault:
                raise InputError(
                    f"{path}:{number} is no per-item result of lm-evaluation-harness ({type(fault).__name__}: {fault})"
                ) from fault


def _seen(one: Mapping[str, Any]) -> Seen | None:
    requests = [request for request in (one.get("arguments") or {}).values() if str(request.get("arg_0", "")).strip()]
    answers = one.get("filtered_resps") or ()
    if not requests or not answers:
        return None
    target, prompt, options = str(one.get("target", "")), str(requests[0]["arg_0"]), _options(one)
    if options is None or len(answers) < options or not isinstance(answers[0], list):
        return Seen(prompt, str(answers[0]).strip(), target)
    texts = [str(request.get("arg_1", "")).strip() for request in requests]
    logprobs = [float(answer[0]) for answer in answers[:options]]
    right = texts[int(target)] if target.isdecimal() and int(target) < options else target
    return Seen(prompt, texts[logprobs.index(max(logprobs))], right)


def chance(samples: Mapping[int, Sample]) -> float | None:
    """What guessing scores: the mean of 1 / options; None where an item has no options."""
    counts = [sample.options for sample in samples.values()]
    known = [count for count in counts if count]
    return sum(1 / count for count in known) / len(known) if known and len(known) == len(counts) else None


def _options(one: Mapping[str, Any]) -> int | None:
    """The options of a multiple-choice item: one request each; those with an empty context only normalise."""
    requests: Mapping[str, Mapping[str, Any]] = one.get("arguments") or {}
    if len(requests) < 2:
        return None
    asked = [request for request in requests.values() if str(request.get("arg_0", "")).strip()]
    return len(asked or requests)


def _margin(one: Mapping[str, Any], options: int | None) -> float | None:
    """Log-probability of the right option less that of the best wrong one; None where the target is no option."""
    target = str(one.get("target", ""))
    if options is None or not target.isdecimal() or int(target) >= options:
        return None
    answers = one.get("filtered_resps") or ()
    if len(answers) < options or any(not isinstance(answer, list) for answer in answers[:options]):
        return None
    logprobs = [float(answer[0]) for answer in answers[:options]]
    right = logprobs.pop(int(target))
    return right - max(logprobs)
