"""Scoring answer options: the engine against lm-evaluation-harness's HF backend, on the same weights and prompts."""

import tempfile
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import torch

from app.models import scoring
from app.models.loading import LoadedModel
from app.models.tokens import encode
from app.tasks import prompts
from jobs.bench import material, rivals
from jobs.bench.document import Options, Section, Table, Target, verdict
from jobs.bench.material import Rendered
from jobs.bench.measure import Answered, Pace, alternate, digest, hot, refusal, same_answers, spread, timed

BATCHES = (1, 8, 32, 64)
"""Of the harness; its best is compared. `auto` ends at 64 on a CPU, after trial forwards."""
_HEAD = ("model", "setting", "items / requests", "tokens, lm-eval", "tokens, least", "lm-eval, requests/s",
         "engine, requests/s", "ratio", "rounds", "tokens saved", "to reach")  # fmt: skip
_ABOUT = """Five-shot items of four generated tasks, against `HFLM.loglikelihood` of lm-evaluation-harness on
the same weights in float32. The harness reads the rendered prompts as a task of its own; a request is one option of
one item. It runs at the fastest of its batch sizes 1, 8, 32 and 64. Tokens are what must go through the model: the
rows that the harness makes, and a tree of all rows of a task in which no beginning is read twice; their quotient
("tokens saved") is what sharing alone can give."""


class Setting(NamedTuple):
    """One way of asking."""

    name: str
    condition: str
    wording: str
    wanted: float
    """Ratio to reach."""


SETTINGS = (
    Setting("options as text, shared demonstrations", "base-few-shot", "standard", 15),
    Setting("letters, shared demonstrations", "base-few-shot", "closed-adversarial", 6),
    Setting("options as text, demonstrations per item", "gold-pipeline", "standard", 4),
)


def requests(rows: Sequence[material.Request]) -> list[scoring.ScoreRequest]:
    """Rendered requests as the engine takes them."""
    return [scoring.ScoreRequest(r.context, tuple(prompts.continuation(o) for o in r.options)) for r in rows]


def score(loaded: LoadedModel, asked: Rendered) -> list[scoring.OptionScores]:
    """The engine's answers, task by task, as an evaluation's actor asks it."""
    return [one for rows in asked.values() for one in scoring.score(loaded, requests(rows))]


def compare(loaded: LoadedModel, name: str, setting: Setting, options: Options, folder: Path, into: Section) -> None:
    """One row of the table: both sides in turn, the gates on what they answered, and only then a ratio."""
    asked = material.rendered(setting.condition, setting.wording, options.items)
    count = sum(len(row.options) for rows in asked.values() for row in rows)
    harness = rivals.Harness(loaded, folder)
    tasks = [harness.choices(task, rows) for task, rows in asked.items()]
    instances = [instance for task in tasks for instance in task.instances]
    wrapper, batch = best(harness, instances)
    score(loaded, {task: rows[:1] for task, rows in asked.items()})  # warm
    work = (lambda: score(loaded, asked), lambda: wrapper.loglikelihood(instances, disable_tqdm=True))
    engine, rival = alternate(work, count, options.rounds, loaded.device)
    gates = same_answers(answered(asked, engine.result), rivals.answered(tasks, rival.result))
    where = f"{name}, {setting.name}"
    into.gates += [(where, gate) for gate in gates]
    told, what = refusal(gates), f"scoring against lm-eval: {where}"
    if told:
        into.targets.append(Target(what, None, setting.wanted))
        into.notes.append(f"{where}: no ratio, since a gate failed: {told}.")
        return
    ratio, plan = engine.rate / rival.rate, planned(loaded, asked)
    into.figures |= {
        f"{where}: ratio": ratio, f"{where}: engine": engine.rate, f"{where}: lm-eval": rival.rate,
        f"{where}: tokens saved": plan.harness / plan.least,
    }  # fmt: skip
    into.targets.append(Target(what, ratio, setting.wanted))
    if ratio < setting.wanted:
        into.notes.append(f"{where}: {_limit(plan, engine, rival)} The engine's time goes to {hot(work[0])}.")
    into.tables[-1].rows.append(
        (
            name, setting.name, f"{sum(map(len, asked.values()))} / {count}", f"{plan.harness:,}", f"{plan.least:,}",
            f"{rival.rate:,.1f} (batch {batch})", f"{engine.rate:,.1f}", verdict(ratio, setting.wanted),
            spread(engine, rival), f"{plan.harness / plan.least:.1f} x", f"{setting.wanted:.0f} x",
        )
    )  # fmt: skip


def _limit(plan: "Planned", engine: Pace, rival: Pace) -> str:
    """What stands between the tokens saved and the ratio, in a sentence."""
    theirs, ours = 1e6 * min(rival.seconds) / plan.harness, 1e6 * min(engine.seconds) / plan.least
    return (
        f"sharing tokens alone could give at most {plan.harness / plan.least:.1f} x. What else a request costs is not "
        f"shared: a token that must be read costs lm-eval {theirs:.0f} microseconds, all told, the engine {ours:.0f}."
    )


class Planned(NamedTuple):
    """Tokens that must go through the model."""

    harness: int
    """Of the distinct rows that lm-evaluation-harness makes: context and option, save its last token."""
    least: int
    """Of every task's rows as a tree: no beginning is read twice."""


def planned(loaded: LoadedModel, asked: Rendered) -> Planned:
    """Count both, with the tokens that the engine itself scores."""
    harness = least = 0
    for rows in asked.values():
        texts = sorted({r.context + prompts.continuation(o) for r in rows for o in r.options})
        found = {row[:-1] for row in encode(loaded.tokenizer, texts)}
        harness += sum(map(len, found))
        least += tree(found)
    return Planned(harness, least)


def tree(rows: Iterable[tuple[int, ...]]) -> int:
    """Tokens of all rows where no beginning is read twice."""
    found = sorted(rows)
    return len(found[0]) + sum(len(b) - _common(a, b) for a, b in pairwise(found))


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    return next((place for place, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def answered(asked: Rendered, found: Sequence[scoring.OptionScores]) -> Answered:
    """What the engine was asked and answered."""
    flat = [row for rows in asked.values() for row in rows]
    sent = [(row.context, prompts.continuation(option)) for row in flat for option in row.options]
    targets = tuple(row.options.index(row.target) for row in flat)
    return Answered(digest(sent), tuple(one.logprobs for one in found), targets)


def best(harness: rivals.Harness, instances: Sequence[Any], batches: Sequence[int] = BATCHES) -> tuple[Any, int]:
    """The harness at the batch size with which it is fastest on every eighth request, as far as memory goes."""
    some = instances[::8]
    wrappers = {batch: harness.model(batch) for batch in batches}
    wrappers[batches[0]].loglikelihood(some[:8], disable_tqdm=True)  # warm
    times: dict[int, float] = {}
    for batch, wrapper in wrappers.items():
        try:
            work = lambda wrapper=wrapper: wrapper.loglikelihood(some, disable_tqdm=True)  # noqa: E731
            times[batch] = timed(work, harness.device).seconds
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
    batch = min(times, key=times.__getitem__)
    return wrappers[batch], batch


def part(options: Options) -> Section:
    """The section of `python -m jobs.bench scoring`."""
    rivals.quiet()
    section = Section("Scoring", _ABOUT, tables=[Table(_HEAD)])
    with tempfile.TemporaryDirectory(prefix="fewtune-bench-") as root:
        folder = Path(root)
        for name, loaded in material.both(folder, options.device).items():
            for setting in SETTINGS:
                compare(loaded, name, setting, options, folder, section)
    return section
