"""Names in a study become base models, tasks and mixtures; a name that means nothing is told at its line."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from app.errors import StudyError
from app.plan import Facts
from app.resolve import facts, resolve
from app.study import load
from app.tasks import catalog
from app.tasks.task import Template

Write = Callable[..., Path]

STUDY = """\
schema_version: 1
name: small
bases:
  - {source: ladder, family: llama, sizes: [32x2]}
recipes:
  - {method: lora, mixture: [plural, past]}
tasks: [antonym, job]
"""
LADDER = "{source: ladder, family: llama, sizes: [32x2]}"


@pytest.fixture
def resolved(write_study: Write) -> Callable[..., Facts]:
    return lambda text=STUDY: resolve(load(write_study(text)))


@pytest.fixture
def faults(resolved: Callable[..., Facts]) -> Callable[[str], list[str]]:
    def find(text: str) -> list[str]:
        with pytest.raises(StudyError) as fault:
            resolved(text)
        return str(fault.value).splitlines()

    return find


def test_a_study_resolves_to_base_models_tasks_and_mixtures(resolved: Callable[..., Facts]) -> None:
    found = resolved()
    assert [base.slug for base in found.bases] == ["llama-32x2-s0"]
    assert [task.name for task in found.tasks] == ["antonym", "job"]
    assert [task.name for task in found.mixtures["lora"]] == ["plural", "past"]
    assert found.bases[0].params > 30_000
    assert found.bases[0].stored


def test_each_size_and_seed_is_a_base_model(resolved: Callable[..., Facts]) -> None:
    found = resolved(STUDY.replace("[32x2]", "[32x2, 48x1], pretraining: {seeds: [3, 4]}"))
    names = ["llama-32x2-s3", "llama-32x2-s4", "llama-48x1-s3", "llama-48x1-s4"]
    assert [base.slug for base in found.bases] == names
    assert len({json.dumps(base.inputs, sort_keys=True) for base in found.bases}) == 4


def test_a_task_left_out_of_the_corpus_takes_along_those_that_rest_on_the_same_facts(
    resolved: Callable[..., Facts],
) -> None:
    (base,) = resolved(STUDY.replace("[32x2]", "[32x2], pretraining: {without: [capital]}")).bases
    assert base.slug == "llama-without-32x2-s0"
    assert base.ladder
    assert set(base.ladder.without) == {"capital", "country"}


CASES = [
    ("an unknown family", STUDY.replace("llama", "lama"), ":4:5 the ladder has no family 'lama': choose from gpt2"),
    ("an unknown size", STUDY.replace("32x2", "33x2"), ":4:5 the ladder has no size 33x2"),
    (
        "an unknown task",
        STUDY.replace("[antonym, job]", "[antonim, job]"),
        ":7:1 unknown task 'antonim'; did you mean antonym",
    ),
    ("an unknown set", STUDY.replace("[antonym, job]", "['set:evaluat']"), "did you mean set:evaluate"),
    ("an unknown cluster", STUDY.replace("[antonym, job]", "['cluster:lexicel']"), "did you mean cluster:lexical"),
    ("an unknown task in a mixture", STUDY.replace("plural", "plurals"), ":6:20 unknown task 'plurals'; did you mean"),
    (
        "an unknown task left out of the corpus",
        STUDY.replace("[32x2]", "[32x2], pretraining: {without: [capitol]}"),
        ":4:5 unknown task 'capitol'; did you mean capital",
    ),
    ("a selection of nothing", STUDY.replace("[antonym, job]", "[job, '-job']"), ":7:1 the selection job, -job leaves"),
    (
        "a folder that is not there",
        STUDY.replace(LADDER, "{source: checkpoint, family: a, path: absent}"),
        ":4:5 absent is not a checkpoint: there is no such folder",
    ),
    (
        "a folder that is no checkpoint",
        STUDY.replace(LADDER, "{source: checkpoint, family: a, path: .}"),
        ":4:5 . is not a checkpoint: config.json is missing; weights (*.safetensors) are missing; the tokenizer",
    ),
    (
        "a GGUF file that is not there",
        STUDY.replace(LADDER, "{source: gguf, family: a, path: absent.gguf, params: 9}"),
        "absent.gguf",
    ),
    (
        "a hub model of unknown size",
        STUDY.replace(LADDER, "{source: hub, family: a, id: nobody/nothing, revision: main}"),
        ":4:5 nobody/nothing is not in the catalogue: give `params`",
    ),
    (
        "an answer mode that the tasks need",
        STUDY + "answers: {modes: [loglikelihood]}\n",
        ":8:11 antonym, job need the answer mode generation: add it to answers.modes",
    ),
]


@pytest.mark.parametrize(("text", "sentence"), [row[1:] for row in CASES], ids=[row[0] for row in CASES])
def test_a_name_that_means_nothing_is_told_at_its_line(
    text: str, sentence: str, faults: Callable[[str], list[str]]
) -> None:
    (line,) = faults(text)
    assert sentence in line
    assert "study.yaml:" in line


def test_all_faults_are_told_together(faults: Callable[[str], list[str]]) -> None:
    text = STUDY.replace("llama", "lama").replace("past", "passed").replace("job]", "jobb]")
    found = faults(text)
    assert [":4:" in found[0], ":7:" in found[1], ":6:" in found[2]] == [True] * 3


def test_a_metric_that_no_answer_mode_gives_is_told(faults: Callable[[str], list[str]]) -> None:
    found = faults(STUDY + "answers: {modes: [generation]}\nanalysis: {metric: accuracy}\n")
    assert any("metric" in line and "loglikelihood" in line for line in found)


def test_a_metric_that_does_not_exist_is_told(faults: Callable[[str], list[str]]) -> None:
    assert any("acuracy" in line for line in faults(STUDY + "analysis: {metric: acuracy}\n"))


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A folder with all parts of a checkpoint; small, as nothing here loads it."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "tokenizer.json").write_text("{}")
    save_file({"a": torch.zeros(3, 5), "b": torch.zeros(7)}, folder / "model.safetensors")
    return folder


OWN = STUDY.replace(LADDER, "{source: checkpoint, family: mine, path: model}")


def test_a_checkpoint_is_found_beside_the_study_and_its_parameters_are_counted(
    resolved: Callable[..., Facts], checkpoint: Path
) -> None:
    (base,) = resolved(OWN).bases
    assert (base.slug, base.params, base.location, base.stored) == ("model", 22, str(checkpoint), False)


@pytest.mark.parametrize("changed", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_checkpoint_is_known_by_its_content_not_by_its_place(
    resolved: Callable[..., Facts], checkpoint: Path, changed: str
) -> None:
    before = resolved(OWN).bases[0].inputs
    moved = checkpoint.rename(checkpoint.with_name("moved"))
    assert resolved(OWN.replace("path: model", "path: moved")).bases[0].inputs == before
    if changed == "model.safetensors":
        save_file({"a": torch.zeros(3, 5), "b": torch.ones(7)}, moved / changed)
    else:
        (moved / changed).write_text('{"x": 1}')
    assert resolved(OWN.replace("path: model", "path: moved")).bases[0].inputs != before


def test_a_task_is_known_by_its_wording_and_data() -> None:
    task = catalog.by_name("antonym")
    first, *others = task.templates
    reworded = replace(task, templates=(Template("Say the opposite.", first.input), *others))
    assert facts(reworded).inputs != facts(task).inputs
    assert facts(replace(task, citation="another")).inputs == facts(task).inputs
    assert facts(replace(task, metric="accuracy")).inputs != facts(task).inputs
