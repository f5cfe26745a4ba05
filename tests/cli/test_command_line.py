"""The command line: exit codes, one sentence for a fault, and what the light commands print."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import in_process
import pytest
from in_process import Answer

from app.cli import study
from app.errors import StoreError, StudyError

Write = Callable[..., Path]


@pytest.fixture
def fewtune(tmp_path: Path) -> Callable[..., Answer]:
    """Run the command in this process, from an empty folder, in a terminal 200 columns wide."""
    return partial(in_process.fewtune, at=tmp_path, environment={"NO_COLOR": "1"})


@pytest.fixture
def started(tmp_path: Path) -> Callable[..., Answer]:
    """The same in a process of its own: for each kind of answer once, and wherever little is imported."""

    def run(*arguments: str | Path) -> Answer:
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("FEWTUNE_", "RAY_"))}
        return subprocess.run(
            [sys.executable, "-m", "app.cli.main", *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment | {"COLUMNS": "200", "NO_COLOR": "1", "HF_HUB_OFFLINE": "1"},
            check=False,
        )

    return run


def refused(answer: Answer, *sentences: str) -> None:
    """Exit code 2, and on stderr nothing but the faults."""
    assert answer.returncode == 2, answer
    assert "Traceback" not in answer.stdout + answer.stderr
    lines = answer.stderr.strip().splitlines()
    assert len(lines) == len(sentences), answer.stderr
    for line, sentence in zip(lines, sentences, strict=True):
        assert line.startswith("error ")
        assert sentence in line


def test_help_names_every_command(started: Callable[..., Answer]) -> None:
    answer = started("--help")
    assert answer.returncode == 0
    for command in ("run", "plan", "check", "correlate", "report", "doctor", "tasks", "models"):
        assert re.search(rf"\b{command}\b", answer.stdout)


def test_a_plan_says_whether_a_cluster_holds_it(fewtune: Callable[..., Answer], write_study: Write) -> None:
    clusters = Path(__file__).parents[2] / "cluster"
    answer = fewtune("plan", write_study(), "--cluster", clusters / "kuberay.yaml")
    assert answer.returncode == 0, answer.stderr
    assert "gpu-8: up to 1 node, spot, 1 of 1 kind of cells fit" in answer.stdout
    assert re.search(r"with all of them up, by estimate: \d+\.\d h, and no order", answer.stdout)
    large = write_study(write_study().read_text().replace("sizes: [32x2]", "sizes: [32x2], resources: {gpus: 9}"))
    sentence = "needs 9 GPUs on one node; the largest has 8 GPUs, and 93 other cells would find no node either: lower"
    refused(fewtune("plan", large, "--cluster", clusters / "aws.yaml"), f"tune/llama-32x2-s0.lora-s0 {sentence}")
    refused(fewtune("plan", write_study(), "--cluster", large), "is no cluster file")


def test_misspelt_keys_end_with_a_sentence_each(started: Callable[..., Answer], write_study: Write) -> None:
    path = write_study(write_study().read_text() + "test_itms: 3\nconditons: []\n")
    refused(
        started("run", path),
        f"{path}:7:1 unknown key test_itms; did you mean test_items?",
        f"{path}:8:1 unknown key conditons; did you mean conditions?",
    )


def test_a_study_file_that_is_not_there_is_told(started: Callable[..., Answer]) -> None:
    refused(started("plan", "absent.yaml"), "absent.yaml: the study file cannot be read")


def test_an_unknown_task_is_told_at_its_line(started: Callable[..., Answer], write_study: Write) -> None:
    path = write_study(write_study().read_text() + "tasks: [antonim]\n")
    refused(started("plan", path), f"{path}:7:1 unknown task 'antonim'; did you mean antonym")


def test_a_folder_that_is_no_store_is_told(fewtune: Callable[..., Answer]) -> None:
    refused(fewtune("report", "nowhere"), "nowhere is not a FewTune store")


def test_a_folder_of_something_else_is_no_place_for_a_study(
    fewtune: Callable[..., Answer], write_study: Write, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    refused(fewtune("run", write_study(), "--store", "mine"), "is not empty and not a FewTune store")
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == ["letter.txt"]


def test_a_plan_shows_stages_cells_needs_and_hours_and_computes_nothing(
    started: Callable[..., Answer], write_study: Write, tmp_path: Path
) -> None:
    answer = started("plan", write_study(), "--cells")
    assert answer.returncode == 0
    cells, stages = answer.stdout.split("core-h")
    for slug in ("pretrain/llama-32x2-s0", "tune/llama-32x2-s0.lora-s0", "evaluate/llama-32x2-s0/base-zero-shot/job"):
        assert slug in cells
    rows = {line.split()[0]: line.split() for line in stages.splitlines() if line.strip()}
    assert rows["base"][2:6] == ["1", "1", "0", "0"]
    assert rows["tune"][1:5] == ["1", "1", "0", "0"]
    assert int(rows["total"][1]) == 2 + int(rows["evaluate"][1])
    assert "GiB" in stages
    assert [path.name for path in tmp_path.iterdir()] == ["study.yaml"]


def test_a_sound_study_is_called_sound(fewtune: Callable[..., Answer], write_study: Write) -> None:
    path = write_study(write_study().read_text() + "tasks: [antonym, job]\n")
    answer = fewtune("check", path)
    assert answer.returncode == 0, answer.stderr
    assert "is sound: 1 base models made, 1 tunings, 6 evaluations" in answer.stdout


def test_more_demonstrations_than_there_are_examples_are_found_by_the_check(
    fewtune: Callable[..., Answer], write_study: Write
) -> None:
    path = write_study(write_study().read_text() + "tasks: [job]\nshots: 5000\n")
    refused(fewtune("check", path), "too few for 5000 demonstrations")


def test_what_the_ladder_cannot_make_is_found_by_the_check(write_study: Write) -> None:
    text = write_study().read_text() + "tasks: [antonym, job]\n"
    every = "[32x2], pretraining: {without: ['set:tune', 'set:develop', 'set:evaluate']}"
    with pytest.raises(StudyError, match=r"pretraining\.without leaves no task"):
        study.check(write_study(text.replace("[32x2]", every)))
    with pytest.raises(StudyError, match="recipe lora has chat: true"):
        study.check(write_study(text.replace("lora}", "lora, chat: true}")))


def test_a_plan_refuses_the_store_that_a_run_would_refuse(write_study: Write, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").touch()
    with pytest.raises(StoreError, match="is not empty and not a FewTune store"):
        study.plan(write_study(), str(tmp_path / "other"))


def test_tasks_are_listed_with_role_and_source(started: Callable[..., Answer]) -> None:
    answer = started("tasks", "list")
    assert answer.returncode == 0
    assert re.search(
        r"^ lexical \(generated\) *\n +antonym +evaluate · exact_match · generated", answer.stdout, re.MULTILINE
    )
    only = started("tasks", "list", "--cluster", "lexical").stdout
    assert "antonym" in only
    assert "capital" not in only


def test_a_task_is_shown_with_its_exact_prompts(fewtune: Callable[..., Answer]) -> None:
    answer = fewtune("tasks", "show", "antonym", "--shots", "2")
    assert answer.returncode == 0
    assert answer.stdout.count("Question: ") == 1 + 3
    assert "Instruction: " in answer.stdout


def test_a_format_is_shown_in_the_condition_wording_and_tokens_asked_for(
    fewtune: Callable[..., Answer], base_folder: Path
) -> None:
    answer = fewtune(
        "tasks", "show", "nli", "--format", "samplegen", "--wording", "closed", "--condition", "gold-pipeline",
        "--shots", "1", "--tokenizer", base_folder,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    assert re.search(r"^gold-pipeline, 1 demonstrations \(nli/.*\) · \d+ tokens ─*$", answer.stdout, re.MULTILINE)
    assert re.search(r"^what samplegen is tuned on, a training example · \d+ tokens ─*$", answer.stdout, re.MULTILINE)
    assert answer.stdout.count("The answer is ") == 2
    assert "\nExamples:\nQuestion: " in re.sub(r" +\n", "\n", answer.stdout)


def test_a_sound_study_of_all_formats_is_called_sound(fewtune: Callable[..., Answer], write_study: Write) -> None:
    text = write_study().read_text() + "  - {method: lora, name: writer, format: samplegen}\n"
    path = write_study(
        text
        + "tasks: [antonym, job]\nwordings: [standard, closed]\nconditions: [base-few-shot, gold-pipeline, "
        + "gold-pipeline-cross-task, tuned-direct, samplegen-direct, samplegen-pipeline]\n"
    )
    answer = fewtune("check", path)
    assert answer.returncode == 0, answer.stderr
    assert "is sound: 1 base models made, 2 tunings, 24 evaluations" in answer.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("show", "antonym", "--item", "999"), "there is no item 999"),
        (("list", "--cluster", "lexicel"), "lexical"),
    ],
)
def test_a_task_that_cannot_be_shown_is_told(
    arguments: tuple[str, ...], sentence: str, fewtune: Callable[..., Answer]
) -> None:
    refused(fewtune("tasks", *arguments), sentence)


def test_models_are_listed_with_licence_and_memory(started: Callable[..., Answer]) -> None:
    answer = started("models", "list")
    assert answer.returncode == 0
    assert "licence" in answer.stdout
    assert "ladder" in answer.stdout


def test_the_doctor_looks_at_this_machine_without_ray(started: Callable[..., Answer]) -> None:
    answer = started("doctor", "--no-ray")
    assert answer.returncode == 0
    assert re.search(r"pass\s+python", answer.stdout)
    assert "torch" in answer.stdout


def test_an_unknown_command_is_wrong_input(started: Callable[..., Answer]) -> None:
    answer = started("rum")
    assert answer.returncode == 2
    assert "rum" in answer.stderr


def test_the_engine_is_compared_with_plain_scoring_number_by_number(
    fewtune: Callable[..., Answer], base_folder: Path
) -> None:
    answer = fewtune("bench", "scoring", "--base", base_folder, "--items", "2", "--shots", "1")
    assert answer.returncode == 0, answer
    (row,) = [line for line in answer.stdout.splitlines() if " nats" in line]
    assert re.search(r"\d+\.\d x .*\d\.\de-\d\d nats .*yes", row)
