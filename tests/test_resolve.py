"""Names in a study become base models, tasks and mixtures; a name that means nothing is told at its line."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from app import stages
from app.errors import StudyError
from app.plan import Facts
from app.resolve import facts, resolve
from app.study import load
from app.tasks import catalog
from app.tasks.planned import task_of
from app.tasks.task import Hub, Template

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


def test_names_that_clash_are_told_with_their_file(write_study: Write) -> None:
    path = write_study(STUDY.replace("recipes:", f"  - {LADDER}\nrecipes:"))
    with pytest.raises(StudyError, match=f"{path}: two base models are called llama-32x2-s0"):
        stages.plan(load(path))


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


CROSS = "conditions: [base-few-shot, tuned-direct, gold-pipeline-cross-task]"
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
    (
        "a source of a task that does not exist",
        STUDY + "sources: {rtee: {id: a/b}}\n",
        ":8:11 unknown task 'rtee'; did you mean rte",
    ),
    (
        "a source of a generated task",
        STUDY + "sources: {antonym: {id: a/b}}\n",
        ":8:11 antonym is generated: it takes no other source",
    ),
    (
        "unknown tasks of cross-task demonstrations",
        STUDY.replace("tasks:", f"{CROSS}\npipelines: {{cross_task: [plurall]}}\ntasks:"),
        ":8:13 unknown task 'plurall'; did you mean plural",
    ),
    (
        "a metric of an encoder that is not named",
        STUDY.replace("antonym, job", "nli") + "analysis: {metric: bertscore_accuracy}\n",
        "nli need the encoder of answers.bertscore: name one",
    ),
    (
        "an encoder of a package that is not there",
        STUDY + "answers: {bertscore: {encoder: 'package://no_such_package/model'}}\n",
        ":8:11 package://no_such_package/model: the package 'no_such_package' is not installed",
    ),
    (
        "an encoder in a folder that is not there",
        STUDY + "answers: {bertscore: {encoder: ./absent/model}}\n",
        ":8:11 the encoder ./absent/model is missing: no such folder",
    ),
]


@pytest.mark.parametrize(("text", "sentence"), [row[1:] for row in CASES], ids=[row[0] for row in CASES])
def test_a_name_that_means_nothing_is_told_at_its_line(
    text: str, sentence: str, faults: Callable[[str], list[str]]
) -> None:
    (line,) = faults(text)
    assert sentence in line
    assert "study.yaml:" in line


def test_a_task_read_from_another_place_is_another_task_wherever_it_stands(resolved: Callable[..., Facts]) -> None:
    text = STUDY.replace("[antonym, job]", "[rte, job]").replace("[plural, past]", "[rte, snli]")
    source = "sources: {rte: {id: own/rte, config: c, train: x, test: y, revision: r}}\n"
    before, after = resolved(text), resolved(text + source)
    kept, moved = after.tasks
    assert moved.inputs["source"] == {"hub": "own/rte", "config": "c", "train": "x", "test": "y", "revision": "r"}
    assert kept in before.tasks
    assert moved not in before.tasks
    assert moved in after.mixtures["lora"]
    assert {task.name for task in after.mixtures["lora"]} == {"rte", "snli"}
    assert task_of(moved).source == Hub("own/rte", "c", "x", "y", "r")
    assert task_of(moved).templates == catalog.by_name("rte").templates
    assert task_of(kept) == catalog.by_name("job")


def test_tasks_of_cross_task_demonstrations_are_resolved_where_they_are_used(resolved: Callable[..., Facts]) -> None:
    pipelines = "pipelines: {cross_task: [plural, nli]}\n"
    assert resolved(STUDY + pipelines).cross_task == ()
    assert {task.name for task in resolved(STUDY + pipelines + CROSS).cross_task} == {"plural", "nli"}


def test_an_encoder_is_a_package_a_folder_beside_the_study_or_a_hub_id(
    resolved: Callable[..., Facts], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("encoders/model", "some_encoder/model"):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.syspath_prepend(str(tmp_path))
    found = {
        encoder: resolved(STUDY + f"answers: {{bertscore: {{encoder: '{encoder}'}}}}\n").encoder
        for encoder in ("encoders/model", "package://some_encoder/model", "owner/model", "roberta-large")
    }
    assert list(found.values()) == [
        str(tmp_path / "encoders/model"),
        str(tmp_path / "some_encoder/model"),
        "owner/model",
        "roberta-large",
    ]
    assert resolved(STUDY).encoder == ""


def test_a_base_model_is_called_as_its_entry_says(resolved: Callable[..., Facts]) -> None:
    hub = "{source: hub, family: big, name: own, id: a/b, revision: c, params: 9}"
    (base,) = resolved(STUDY.replace(LADDER, hub)).bases
    assert base.called == ("big", "own", "a/b")
    (base,) = resolved().bases
    assert base.called == ("llama",)


def test_a_metric_of_an_encoder_is_right_where_one_is_named(resolved: Callable[..., Facts]) -> None:
    text = STUDY.replace("antonym, job", "nli") + "analysis: {metric: bertscore_accuracy}\n"
    assert resolved(text + "answers: {bertscore: {encoder: a/b}}\n").encoder == "a/b"


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
