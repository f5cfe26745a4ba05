"""Pretraining: an ordinary checkpoint at the end, the same weights after an interruption, clear refusals."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from app.errors import CellError, InputError, StoreError, TaskError
from app.identity import fingerprint
from app.plan import LadderSpec
from app.pretraining.loop import Progress, pretrain
from app.pretraining.recipe import BATCH, training_inputs
from app.pretraining.vocabulary import CONTEXT

STEP = BATCH * CONTEXT
SPEC = LadderSpec("llama", 16, 1, 60 * STEP)


class InterruptedRunError(Exception):
    """Stands for a killed process."""


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ladder") / "base"
    pretrain(SPEC, folder)
    return folder


def test_the_result_is_an_ordinary_checkpoint_that_generates(undisturbed: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(undisturbed)
    tokenizer = AutoTokenizer.from_pretrained(undisturbed)
    prompt = tokenizer("Question: hot\nAnswer:", return_tensors="pt")
    made = model.generate(**prompt, max_new_tokens=3)
    assert made.shape[1] <= prompt["input_ids"].shape[1] + 3
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    assert not list(undisturbed.parent.glob("*.partial"))


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_an_interrupted_run_ends_with_the_same_weights_bit_by_bit(family: str, tmp_path: Path) -> None:
    spec = LadderSpec(family, 16, 1, 60 * STEP)
    state = tmp_path / "state.pt"

    def interrupt(progress: Progress) -> None:
        if progress.step == 50:
            raise InterruptedRunError

    whole = pretrain(spec, tmp_path / "whole")
    with pytest.raises(InterruptedRunError):
        pretrain(spec, tmp_path / "resumed", state=state, save_state_every=20, report=interrupt)
    assert state.exists()
    assert not (tmp_path / "resumed").exists()
    steps: list[int] = []

    def record(progress: Progress) -> None:
        steps.append(progress.step)

    resumed = pretrain(spec, tmp_path / "resumed", state=state, save_state_every=20, report=record)
    assert steps == [50, 60]
    assert not state.exists()
    assert resumed.final_loss == whole.final_loss
    one, other = weights(tmp_path / "whole"), weights(tmp_path / "resumed")
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_loss_falls(tmp_path: Path) -> None:
    losses: list[float] = []
    result = pretrain(SPEC, tmp_path / "base", report=lambda p: losses.append(p.loss))
    assert losses[-1] < losses[0] - 1
    assert result.final_loss == losses[-1]
    assert result.steps == 60
    assert result.tokens == SPEC.tokens


def test_the_number_of_threads_is_left_as_it_was(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    pretrain(LadderSpec("llama", 16, 1, STEP), tmp_path / "base")
    assert torch.get_num_threads() == before


def test_a_state_of_another_run_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "state.pt"

    def interrupt(progress: Progress) -> None:
        raise InterruptedRunError

    with pytest.raises(InterruptedRunError):
        pretrain(SPEC, tmp_path / "base", state=state, save_state_every=20, report=interrupt)
    with pytest.raises(StoreError, match="another pretraining"):
        pretrain(LadderSpec("llama", 16, 1, 61 * STEP), tmp_path / "base", state=state)


def test_a_rate_that_diverges_is_a_failed_cell_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(CellError, match="learning_rate"):
        pretrain(LadderSpec("gpt2", 16, 1, 40 * STEP, learning_rate=1e30), tmp_path / "base")
    assert not (tmp_path / "base").exists()


def test_a_corpus_shorter_than_a_step_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="raise it"):
        pretrain(LadderSpec("llama", 16, 1, STEP - 1), tmp_path / "base")


def test_an_unknown_task_left_out_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="capitol"):
        pretrain(LadderSpec("llama", 16, 1, STEP, without=("capitol",)), tmp_path / "base")


def test_whatever_changes_the_weights_changes_their_fingerprint() -> None:
    base = LadderSpec("llama", 16, 1, STEP)
    others = [
        LadderSpec("qwen", 16, 1, STEP),
        LadderSpec("llama", 32, 1, STEP),
        LadderSpec("llama", 16, 2, STEP),
        LadderSpec("llama", 16, 1, 2 * STEP),
        LadderSpec("llama", 16, 1, STEP, without=("capital",)),
        LadderSpec("llama", 16, 1, STEP, seed=1),
        LadderSpec("llama", 16, 1, STEP, learning_rate=0.001),
    ]
    assert len({fingerprint(training_inputs(spec)) for spec in (base, *others)}) == len(others) + 1


def test_the_order_of_the_tasks_left_out_does_not_matter() -> None:
    one = LadderSpec("llama", 16, 1, STEP, without=("capital", "job"))
    other = LadderSpec("llama", 16, 1, STEP, without=("job", "capital"))
    assert fingerprint(training_inputs(one)) == fingerprint(training_inputs(other))
