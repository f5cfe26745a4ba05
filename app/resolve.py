"""A study file's names, resolved: base models, tasks and mixtures as the plan needs them.

Reads folders and files that the study names, never the network; a fault points at the line that names them.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from app import evaluation, tuning
from app.errors import InputError, StudyError
from app.evaluation import judgement
from app.identity import fingerprint, slug
from app.models import catalog as models
from app.models import files, package
from app.plan import Base, Facts, LadderSpec, TaskFacts
from app.pretraining import corpus, recipe, rungs
from app.study import CheckpointBase, GgufBase, HubBase, LadderBases, StudyFile, called
from app.tasks import catalog, generated, prompts, wordings
from app.tasks.metrics import METRICS
from app.tasks.planned import described, with_source
from app.tasks.task import Generated, MetricName, Task

_HUB_ID = re.compile(r"\w[\w.-]*(/[\w.-]+)?")  # the oldest models have no owner
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
    faults += _sources(file)
    tasks = _select(file, ("tasks",), file.study.tasks, faults)
    mixtures = {
        recipe.name or recipe.method: _select(file, ("recipes", index, "mixture"), recipe.mixture, faults)
        for index, recipe in enumerate(file.study.recipes)
    }
    crossed = "gold-pipeline-cross-task" in file.study.conditions
    selected = file.study.pipelines.cross_task if crossed else ()
    cross_task = _select(file, ("pipelines", "cross_task"), selected, faults)
    encoder = _encoder(file, faults)
    faults += _unanswerable(file, tasks)
    if faults:
        raise StudyError("\n".join(faults))
    sources = file.study.sources

    def sourced(tasks: Sequence[Task]) -> tuple[TaskFacts, ...]:
        return tuple(facts(with_source(t, sources[t.name]) if t.name in sources else t) for t in tasks)

    return Facts(
        bases=tuple(bases),
        tasks=sourced(tasks),
        mixtures={name: sourced(mixture) for name, mixture in mixtures.items()},
        cross_task=sourced(cross_task),
        encoder=encoder,
        protocols={
            "tuning": tuning.VERSION,
            "prompts": prompts.VERSION,
            "wordings": wordings.VERSION,
            "scoring": evaluation.PROTOCOL,
            "judgement": judgement.PROTOCOL,
        },
    )


def facts(task: Task) -> TaskFacts:
    """What identifies a task in the fingerprints of its cells."""
    worded = [[t.instruction, t.input, *([t.answer] if t.inverted else [])] for t in task.templates]
    inputs: dict[str, object] = {
        "name": task.name,
        "cluster": task.cluster,
        "role": task.role,
        "source": described(task),
        "templates": fingerprint(worded),
        "metric": task.metric,
    }
    if task.also:
        inputs["also"] = task.also
    return TaskFacts(task.name, task.cluster, task.role, inputs, task.tokens, task.answer_tokens)


def _sources(file: StudyFile) -> list[str]:
    """Faults of the study's `sources`."""
    faults: list[str] = []
    for name in file.study.sources:
        try:
            if isinstance(catalog.by_name(name).source, Generated):
                faults.append(f"{file.at('sources', name)} {name} is generated: it takes no other source")
        except InputError as fault:
            faults.append(f"{file.at('sources', name)} {fault}")
    return faults


def _select(
    file: StudyFile, location: tuple[str | int, ...], selectors: Sequence[str], faults: list[str]
) -> tuple[Task, ...]:
    try:
        return catalog.select(selectors)
    except InputError as fault:
        faults.append(f"{file.at(*location)} {fault}")
        return ()


def _encoder(file: StudyFile, faults: list[str]) -> str:
    """Where the encoder of BERTScore accuracy lies; a hub id stays as it is."""
    given = file.study.answers.bertscore
    if given is None:
        return ""
    try:
        if "://" in given.encoder:
            return str(package.folder(given.encoder))
    except InputError as fault:
        faults.append(f"{file.at('answers', 'bertscore')} {fault}")
        return ""
    folder = file.path.parent / given.encoder
    if folder.is_dir():
        return str(folder.resolve())
    if not _HUB_ID.fullmatch(given.encoder):
        faults.append(f"{file.at('answers', 'bertscore')} the encoder {given.encoder} is missing: no such folder")
    return given.encoder


def _unanswerable(file: StudyFile, tasks: Sequence[Task]) -> list[str]:
    """Tasks whose metric, where pairs use it, the study's answer modes cannot give."""
    answers, metric = file.study.answers, file.study.analysis.metric
    if metric in judgement.ACCURACIES and metric != "accuracy":
        able = "loglikelihood" in answers.modes and (metric != "accuracy_pmi" or answers.pmi)
        hint = "they need the answer mode loglikelihood, accuracy_pmi also answers.pmi"
        return [] if able else [f"{file.at('analysis', 'metric')} the study's answers give no {metric}: {hint}"]
    if metric != "primary" and metric not in METRICS:
        known = ", ".join(["primary", *METRICS, *(name for name in judgement.ACCURACIES if name not in METRICS)])
        return [f"{file.at('analysis', 'metric')} unknown metric {metric!r}; known are {known}"]
    faults: dict[str, list[str]] = {}
    for task in tasks:
        wanted = task.metric if metric == "primary" else cast(MetricName, metric)
        lacking = _lacking(file, wanted)
        if lacking:
            faults.setdefault(lacking, []).append(task.name)
    return [f"{file.at('answers', 'modes')} {', '.join(names)} need {lacking}" for lacking, names in faults.items()]


def _lacking(file: StudyFile, metric: MetricName) -> str:
    """What the study's answers lack for a metric; empty if nothing."""
    reads, answers = METRICS[metric].reads, file.study.answers
    if reads == "bertscore" and answers.bertscore is None:
        return "the encoder of answers.bertscore: name one"
    mode = "loglikelihood" if reads == "choice" else "generation"
    return "" if mode in answers.modes else f"the answer mode {mode}: add it to answers.modes"


def _bases(file: StudyFile, index: int, entry: LadderBases | HubBase | CheckpointBase | GgufBase) -> list[Base]:
    if isinstance(entry, LadderBases):
        return [_rung(entry, size, seed) for size in entry.sizes for seed in entry.pretraining.seeds]
    shared: dict[str, Any] = {
        "family": entry.family,
        "source": entry.source,
        "dtype": entry.dtype,
        "resources": entry.resources,
        "ladder": None,
        "called": called(entry),
    }
    if isinstance(entry, HubBase):
        known = next((known for known in models.KNOWN_BASES if known.id == entry.id), None)
        params = entry.params or (known.parameters if known else None)
        if params is None:
            raise StudyError(f"{entry.id} is not in the catalogue: give `params`, so that its cost can be planned")
        inputs = {"hub": entry.id, "revision": entry.revision, "dtype": entry.dtype}
        name = entry.name or entry.id.split("/")[1]
        return [
            Base(slug(name), location=entry.id, revision=entry.revision, params=params, inputs=inputs,
                 trust_remote_code=entry.trust_remote_code, known_shape=known.shape if known else None, **shared)
        ]  # fmt: skip
    if isinstance(entry, CheckpointBase):
        folder = (file.path.parent / entry.path).resolve()
        missing = files.missing_parts(folder)
        if missing:
            raise StudyError(f"{entry.path} is not a checkpoint: {'; '.join(missing)}")
        weights = sorted(folder.glob("*.safetensors"))
        params = entry.params or sum(_parameters(path) for path in weights)
        described = [folder / "config.json", *weights, *sorted(folder.glob("tokenizer.json"))]
        location, name = str(folder), entry.name or folder.name
    else:
        path = files.gguf_file(entry.path if "://" in entry.path else str(file.path.parent / entry.path))
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
        params=rungs.parameters(entry.family, width, depth),
        resources=entry.resources,
        trust_remote_code=False,
        ladder=spec,
        inputs={**recipe.training_inputs(spec), "dtype": entry.dtype},
        called=called(entry),
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
