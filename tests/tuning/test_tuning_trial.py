"""One tuning cell, start to record: what it leaves loads with the libraries' own calls and ends its answers."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from peft import AutoPeftModelForCausalLM, PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from app import stages
from app.errors import ModelError
from app.models.generation import generate
from app.models.loading import ModelSource, load
from app.plan import Plan, TuneCell
from app.store import Store
from app.study import parse
from app.tasks import catalog, loading, prompts, wordings
from app.trials import Payload, Progress
from app.tuning.material import FOLDER
from app.tuning.trial import tune

# Outside a trial there is no checkpoint to ask for, which Tune remarks upon.
pytestmark = pytest.mark.filterwarnings("ignore:`get_checkpoint` is meant")

STUDY = """\
schema_version: 1
name: small
bases:
  - {{source: checkpoint, family: llama, path: {base}}}
recipes:
  - {{method: lora, mixture: [first, plural], examples: 480, batch: 8, epochs: 2, learning_rate: 2e-2}}
  - {{method: full, mixture: [first, plural], examples: 480, batch: 16, learning_rate: 3e-3}}
tasks: [last]
"""
IDS = torch.tensor([[5, 9, 40, 7]])


class Made(NamedTuple):
    plan: Plan
    store: Store

    def cell(self, method: str) -> TuneCell:
        return next(cell for cell in self.plan.tunings if cell.run.recipe.method == method)

    def folder(self, method: str) -> Path:
        assert self.store.local
        return self.store.local / "checkpoints" / self.cell(method).run.slug


@pytest.fixture(scope="module")
def made(base_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Both tunings of a small study, done."""
    torch.set_num_threads(1)
    place = tmp_path_factory.mktemp("tuned")
    plan = stages.plan(parse(STUDY.format(base=base_folder), place / "study.yaml"))
    store = Store(place / "store")
    for cell in plan.tunings:
        payload = Payload(cell, store, None)
        tune(payload, Progress(payload, save_every=1e9, tell_every=1e9))
    return Made(plan, store)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_the_record_says_what_was_seen_and_is_that_of_the_plan(made: Made, method: str) -> None:
    cell = made.cell(method)
    record = made.store.read_record(cell.slug)
    assert record
    assert record.fingerprint == cell.fingerprint
    assert record.result["steps"] == {"lora": 120, "full": 30}[method]
    assert sum(record.result["drawn"].values()) == 480  # type: ignore[attr-defined]
    assert record.result["cut"] == 0
    assert 0 < record.result["loss"] < 6  # type: ignore[operator]
    ways = {"way": "fused", "masked": False, "packs": True, "compiled": "no: on a CPU it does not pay"}
    assert record.result["ways"] == ways


def test_adapters_are_an_adapter_that_peft_loads_by_itself(made: Made, base_folder: Path) -> None:
    alone = AutoPeftModelForCausalLM.from_pretrained(made.folder("lora"))
    onto = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base_folder), made.folder("lora"))
    base = AutoModelForCausalLM.from_pretrained(base_folder)
    with torch.inference_mode():
        logits = [net.eval()(input_ids=IDS).logits for net in (alone, onto, base)]
    assert torch.equal(logits[0], logits[1])
    assert not torch.allclose(logits[0], logits[2], atol=1e-2)
    assert not (made.folder("lora") / "model.safetensors").exists()


def test_a_full_tuning_is_a_checkpoint_that_transformers_loads_by_itself(made: Made, base_folder: Path) -> None:
    net = AutoModelForCausalLM.from_pretrained(made.folder("full"))
    tokenizer = AutoTokenizer.from_pretrained(made.folder("full"))
    base = AutoModelForCausalLM.from_pretrained(base_folder)
    assert not torch.equal(net.get_input_embeddings().weight, base.get_input_embeddings().weight)
    assert (
        tokenizer("question : hot")["input_ids"]
        == AutoTokenizer.from_pretrained(base_folder)("question : hot")["input_ids"]
    )


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_tuned_model_ends_its_answer_and_its_base_does_not(made: Made, base_folder: Path, method: str) -> None:
    task = catalog.by_name("first")
    asked = [prompts.instruct(wordings.word(task, example)) for example in loading.load(task, None).test[:40]]

    def finished(net: torch.nn.Module) -> float:
        base = load(ModelSource("checkpoint", str(base_folder)))
        there = type(base)(net.eval(), base.tokenizer, "cpu", base.source)  # type: ignore[arg-type]
        found = generate(there, asked, 6, stop="")
        return sum(one.finished for one in found) / len(found)

    if method == "lora":
        tuned = AutoPeftModelForCausalLM.from_pretrained(made.folder(method))
    else:
        tuned = AutoModelForCausalLM.from_pretrained(made.folder(method))
    assert finished(tuned) > 0.9
    assert finished(AutoModelForCausalLM.from_pretrained(base_folder)) < 0.5


@pytest.mark.parametrize("read", [False, True], ids=["mixture made", "mixture read"])
def test_the_same_cell_tuned_again_ends_with_the_same_bytes(made: Made, tmp_path: Path, read: bool) -> None:
    store = Store(tmp_path / "again")
    assert made.store.local
    if read:
        shutil.copytree(made.store.local / FOLDER, tmp_path / "again" / FOLDER)
    payload = Payload(made.cell("lora"), store, None)
    tune(payload, Progress(payload, save_every=1e9, tell_every=1e9))
    name = "adapter_model.safetensors"
    assert store.local
    again = store.local / "checkpoints" / made.cell("lora").run.slug / name
    assert again.read_bytes() == (made.folder("lora") / name).read_bytes()
    (kept,) = (store.local / FOLDER).iterdir()  # that of both methods: they learn from the same ids
    assert kept.read_bytes() == (made.store.local / FOLDER / kept.name).read_bytes()


@pytest.mark.parametrize("method", ["lora", "full"])
def test_activations_computed_again_change_no_number_and_no_identity(
    made: Made, base_folder: Path, tmp_path: Path, method: str
) -> None:
    told = STUDY.format(base=base_folder).replace("batch: ", "gradient_checkpointing: true, batch: ")
    plan = stages.plan(parse(told, tmp_path / "study.yaml"))
    cell = next(cell for cell in plan.tunings if cell.run.recipe.method == method)
    assert cell.run.recipe.gradient_checkpointing
    assert cell.fingerprint == made.cell(method).fingerprint
    store = Store(tmp_path / "again")
    payload = Payload(cell, store, None)
    tune(payload, Progress(payload, save_every=1e9, tell_every=1e9))
    name = "adapter_model.safetensors" if method == "lora" else "model.safetensors"
    assert store.local
    again, kept = (
        load_file(folder / name) for folder in (store.local / "checkpoints" / cell.run.slug, made.folder(method))
    )
    assert again.keys() == kept.keys()
    for key, weight in kept.items():
        assert torch.allclose(again[key], weight, atol=1e-5), key


def test_a_base_model_that_went_away_ends_the_cell_in_a_sentence(made: Made, tmp_path: Path) -> None:
    cell = made.cell("lora")
    base = replace(cell.base, location=str(tmp_path / "gone"))
    store = Store(tmp_path / "store")
    payload = Payload(replace(cell, base=base, run=replace(cell.run, base=base)), store, None)
    with pytest.raises(ModelError, match="gone is not a checkpoint: there is no such folder"):
        tune(payload, Progress(payload))
    assert store.records() == {}
