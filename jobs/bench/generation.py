"""Greedy answers after five demonstrations: the engine against lm-evaluation-harness's generate_until."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.models import generation
from app.models.loading import LoadedModel
from app.models.tokens import encode
from app.tasks import prompts
from jobs.bench import material, rivals
from jobs.bench.document import Options, Section, Table, Target, verdict
from jobs.bench.material import Rendered
from jobs.bench.measure import Gate, alternate, digest, hot, refusal, same_prompts, spread, timed
from jobs.bench.scoring import tree

NEW = 8
WANTED = 3.0
BATCHES = (1, 8, 32, 64)
_HEAD = ("model", "items", "tokens of prompts", "same texts", "lm-eval, items/s", "engine, items/s", "ratio", "rounds",
         "to reach")  # fmt: skip
_ABOUT = """Five-shot items of four generated tasks, answered greedily up to a newline or 8 tokens, against
`HFLM.generate_until` of lm-evaluation-harness on the same weights in float32, at the fastest of its batch
sizes 1, 8, 32 and 64. The texts must be the same, up to the blanks around them, and so must the share of exact
answers."""


def generate(loaded: LoadedModel, asked: Rendered) -> list[str]:
    """The engine's texts, task by task, as an evaluation's actor asks for them."""
    return [
        one.text
        for rows in asked.values()
        for one in generation.generate(loaded, [row.context for row in rows], NEW, prompts.STOP)
    ]


def gates(asked: Rendered, tasks: Sequence[Any], ours: Sequence[str], theirs: Sequence[str]) -> list[Gate]:
    """Whether both sides were asked the same and wrote the same."""
    sent = [instance.args[0] for task in tasks for instance in task.instances]
    rows = [row for found in asked.values() for row in found]
    mine, other = [text.strip() for text in ours], [text.strip() for text in theirs]
    apart = sum(a != b for a, b in zip(mine, other, strict=True))
    right = [sum(text == row.target for text, row in zip(texts, rows, strict=True)) for texts in (mine, other)]
    return [
        same_prompts(digest([row.context for row in rows]), digest(sent)),
        Gate("same texts", apart == 0, f"{apart} of {len(mine)} differ"),
        Gate("same accuracy", right[0] == right[1], f"{right[0]} and {right[1]} exact of {len(rows)}"),
    ]


def compare(loaded: LoadedModel, name: str, options: Options, folder: Path, into: Section) -> None:
    """One row of the table."""
    asked = material.rendered("base-few-shot", "standard", options.items)
    harness = rivals.Harness(loaded, folder)
    tasks = [harness.continuations(f"{task}_free", rows, NEW, prompts.STOP) for task, rows in asked.items()]
    instances = [instance for task in tasks for instance in task.instances]
    wrappers = {batch: harness.model(batch) for batch in BATCHES}
    some = instances[::4]
    wrappers[8].generate_until(some[:2], disable_tqdm=True)  # warm
    generate(loaded, {task: rows[:2] for task, rows in asked.items()})
    times = {
        b: timed(lambda w=w: w.generate_until(some, disable_tqdm=True), loaded.device).seconds
        for b, w in wrappers.items()
    }
    batch = min(times, key=times.__getitem__)
    work = (lambda: generate(loaded, asked), lambda: wrappers[batch].generate_until(instances, disable_tqdm=True))
    engine, rival = alternate(work, len(instances), options.rounds, loaded.device)
    found = gates(asked, tasks, engine.result, rival.result)
    into.gates += [(name, gate) for gate in found]
    told, what = refusal(found), f"generation against lm-eval: {name}"
    if told:
        into.targets.append(Target(what, None, WANTED))
        into.notes.append(f"{name}: no ratio, since a gate failed: {told}.")
        return
    ratio = engine.rate / rival.rate
    into.figures |= {f"{name}: ratio": ratio, f"{name}: engine": engine.rate, f"{name}: lm-eval": rival.rate}
    tokens = sum(map(len, encode(loaded.tokenizer, [row.context for rows in asked.values() for row in rows])))
    into.targets.append(Target(what, ratio, WANTED))
    if ratio < WANTED:
        into.notes.append(f"{name}: {_limit(loaded, asked, tokens)} The engine's time goes to {hot(work[0])}.")
    into.tables[-1].rows.append(
        (
            name, f"{len(instances)}", f"{tokens:,}", found[1].told, f"{rival.rate:.1f} (batch {batch})",
            f"{engine.rate:.1f}", verdict(ratio, WANTED), spread(engine, rival), f"{WANTED:.0f} x",
        )
    )  # fmt: skip


def _limit(loaded: LoadedModel, asked: Rendered, tokens: int) -> str:
    """What sharing could give, in a sentence: prompts shared as a tree, what is written shared by nobody."""
    least = sum(tree(encode(loaded.tokenizer, [row.context for row in rows])) for rows in asked.values())
    new = NEW * sum(map(len, asked.values()))
    return (
        f"sharing tokens alone could give at most {(tokens + new) / (least + new):.1f} x: {least:,} in the place of "
        f"{tokens:,} tokens of prompts, and up to {new:,} to write on either side."
    )


def part(options: Options) -> Section:
    """The section of `python -m jobs.bench generation`."""
    rivals.quiet()
    section = Section("Generation", _ABOUT, tables=[Table(_HEAD)])
    with tempfile.TemporaryDirectory(prefix="fewtune-bench-") as root:
        folder = Path(root)
        for name, loaded in material.both(folder, options.device).items():
            compare(loaded, name, options, folder, section)
    return section
