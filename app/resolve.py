"""A study file's names, resolved: base models, tasks and mixtures as the plan needs them.

Reads folders and files that the study names, never the network; a fault points at the line that names them.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.errors import InputError, StudyError
from app.evaluation import judgement, responder
from app.identity import fingerprint, slug
from app.models import catalog as models
from app.models import gguf, loading
from app.plan import Base, Facts, LadderSpec, TaskFacts
from app.pretraining import corpus, ladder, loop
from app.study import CheckpointBase, GgufBase, HubBase, LadderBases, StudyFile
from app.tasks import catalog, generated, prompts
from app.tasks.task import Hub, Task
from app.tuning import loop as tuning

_EDGE = 1 << 20  # bytes at both ends of a weights file that stand for it, beside its size


def resolve(file: StudyFile) -> Facts:
    """Everything the plan must know. Raises StudyError with one line for every fault."""
    faults: list[str] = []
    bases: list[Base] = []
    for index, entry in enumerate(file.study.bases):
        try:
            bases += _bases(file, index, entry)
        except InputError as fault:
            faults.append(f"{file.at('bases', index)} {fault}")
    tasks = _select(file, ("tasks",), file.study.tasks, faults)
    mixtures = {
        recipe.name or recipe.method: _select(file, ("recipes", index, "mixture"), recipe.mixture, faults)
        for index, recipe in enumerate(file.study.recipes)
    }
    faults += _unanswerable(file, tasks)
    if faults:
        raise StudyError("\n".join(faults))
    return Facts(
        bases=tuple(bases),
        tasks=tuple(facts(task) for task in tasks),
        mixtures={name: tuple(facts(task) for task in mixture) for name, mixture in mixtures.items()},
        protocols={
            "tuning": tuning.VERSION,
            "prompts": prompts.VERSION,
            "scoring": responder.PROTOCOL,
            "judgement": judgement.PROTOCOL,
        },
    )


def facts(task: Task) -> TaskFacts:
    """What identifies a task in the fingerprints of its cells."""
    if isinstance(task.source, Hub):
        hub = task.source
        source: dict[str, object] = {
            "hub": hub.id,
            "config": hub.config,
            "train": hub.train,
            "test": hub.test,
            "revision": hub.revision,
        }
    else:
        source = {"generated": task.source.version}
    inputs: dict[str, object] = {
        "name": task.name,
        "cluster": task.cluster,
        "role": task.role,
        "source": source,
        "templates": fingerprint([[t.instruction, t.input] for t in task.templates]),
        "metric": task.metric,
    }
    return TaskFacts(task.name, task.cluster, task.role, inputs)


def _select(
    file: StudyFile, location: tuple[str | int, ...], selectors: Sequence[str], faults: list[str]
) -> tuple[Task, ...]:
    try:
        return catalog.select(selectors)
    except InputError as fault:
        faults.append(f"{file.at(*location)} {fault}")
        return ()


def _unanswerable(file: StudyFile, tasks: Sequence[Task]) -> list[str]:
    """Tasks whose primary metric, where pairs use it, the study's answer modes cannot give."""
    study = file.study
    modes, metric = study.answers.modes, study.analysis.metric
    if metric != "primary":
        given = {"loglikelihood": [*judgement.ACCURACIES], "generation": ["exact_match"]}
        known = [name for mode in modes for name in given[mode] if name != "accuracy_pmi" or study.answers.pmi]
        if metric in known:
            return []
        return [
            f"{file.at('analysis', 'metric')} analysis.metric is {metric!r}, but the study's answers give "
            f"{', '.join(known)}: accuracies need the answer mode loglikelihood (accuracy_pmi also answers.pmi), "
            f"exact_match needs generation"
        ]
    needs = {"exact_match": "generation", "accuracy": "loglikelihood"}
    lacking = sorted({needs[task.metric] for task in tasks} - set(modes))
    return [
        f"{file.at('answers', 'modes')} {', '.join(t.name for t in tasks if needs[t.metric] == mode)} "
        f"need the answer mode {mode}: add it to answers.modes"
        for mode in lacking
    ]


def _bases(file: StudyFile, index: int, entry: LadderBases | HubBase | CheckpointBase | GgufBase) -> list[Base]:
    if isinstance(entry, LadderBases):
        return [_rung(entry, size, seed) for size in entry.sizes for seed in entry.pretraining.seeds]
    shared: dict[str, Any] = {
        "family": entry.family,
        "source": entry.source,
        "dtype": entry.dtype,
        "resources": entry.resources,
        "ladder": None,
    }
    if isinstance(entry, HubBase):
        params = entry.params or next((m.parameters for m in models.KNOWN_BASES if m.id == entry.id), None)
        if params is None:
            raise StudyError(f"{entry.id} is not in the catalogue: give `params`, so that its cost can be planned")
        inputs = {"hub": entry.id, "revision": entry.revision, "dtype": entry.dtype}
        name = entry.name or entry.id.split("/")[1]
        return [
            Base(slug(name), location=entry.id, revision=entry.revision, params=params, inputs=inputs,
                 trust_remote_code=entry.trust_remote_code, **shared)
        ]  # fmt: skip
    if isinstance(entry, CheckpointBase):
        folder = (file.path.parent / entry.path).resolve()
        missing = loading.missing_parts(folder)
        if missing:
            raise StudyError(f"{entry.path} is not a checkpoint: {'; '.join(missing)}")
        weights = sorted(folder.glob("*.safetensors"))
        params = entry.params or sum(_parameters(path) for path in weights)
        described = [folder / "config.json", *weights, *sorted(folder.glob("tokenizer.json"))]
        location, name = str(folder), entry.name or folder.name
    else:
        path = gguf.resolve(entry.path if "://" in entry.path else str(file.path.parent / entry.path))
        params = entry.params
        described = [path]
        location, name = str(path), entry.name or path.stem
    inputs = {"content": fingerprint([_content(path) for path in described]), "dtype": entry.dtype}
    return [
        Base(slug(name), location=location, revision=None, params=params, inputs=inputs,
             trust_remote_code=False, **shared)
    ]  # fmt: skip


def _rung(entry: LadderBases, size: str, seed: int) -> Base:
    """One model of the ladder. Raises InputError for an unknown family, size or task left out."""
    width, depth = (int(part) for part in size.split("x"))
    given = entry.pretraining
    left_out = [task.name for task in catalog.select(given.without)] if given.without else []
    present = corpus.names(left_out)
    absent = tuple(task.name for task in generated.TASKS if task.name not in present)
    spec = LadderSpec(entry.family, width, depth, given.tokens, absent, seed, given.learning_rate)
    name = entry.name or entry.family + ("-without" if absent else "")
    return Base(
        slug=slug(f"{name}-{size}-s{seed}"),
        family=entry.family,
        source="ladder",
        location="",
        revision=None,
        dtype=entry.dtype,
        params=ladder.parameters(entry.family, width, depth),
        resources=entry.resources,
        trust_remote_code=False,
        ladder=spec,
        inputs={**loop.training_inputs(spec), "dtype": entry.dtype},
    )


def _parameters(path: Path) -> int:
    """Parameters in a safetensors file, from its header alone."""
    with path.open("rb") as stream:
        header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
    total = 0
    for name, tensor in header.items():
        if name != "__metadata__":
            count = 1
            for extent in tensor["shape"]:
                count *= extent
            total += count
    return total


def _content(path: Path) -> list[object]:
    """Name, size and a hash of the ends of a file: cheap for any size, and new for any other weights."""
    size = path.stat().st_size
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        digest.update(stream.read(_EDGE))
        stream.seek(max(0, size - _EDGE))
        digest.update(stream.read(_EDGE))
    return [path.name, size, digest.hexdigest()]
