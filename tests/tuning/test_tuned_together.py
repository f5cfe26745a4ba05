"""Seeds tuned together through a study: adapters as separate runs leave them, whatever is interrupted or fails."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from peft import AutoPeftModelForCausalLM
from safetensors.torch import load_file

from app import stages
from app.errors import CellError, StudyError
from app.plan import Plan, TuneCell, schedule
from app.store import Store
from app.study import parse
from app.trials import Payload, Progress
from app.tuning.trial import tune

# Outside a trial there is no checkpoint to ask for, which Tune remarks upon.
pytestmark = pytest.mark.filterwarnings("ignore:`get_checkpoint` is meant")

STUDY = """\
schema_version: 1
name: small
bases:
  - {{source: checkpoint, family: llama, path: {base}}}
recipes:
  - {{method: lora, mixture: [first, plural], examples: 96, batch: 8, learning_rate: 5e-3, seeds: [0, 1, 2]{more}}}
tasks: [last]
"""
NAME = "adapter_model.safetensors"


def planned(base: Path, place: Path, more: str = ", together: true") -> Plan:
    return stages.plan(parse(STUDY.format(base=base, more=more), place / "study.yaml"))


def tuned(cell: TuneCell, store: Store) -> None:
    torch.set_num_threads(1)
    payload = Payload(cell, store, None)
    tune(payload, Progress(payload, save_every=1e9, tell_every=1e9))


def weights(cell: TuneCell, store: Store) -> dict[str, torch.Tensor]:
    assert store.local
    return load_file(store.local / "checkpoints" / cell.run.slug / NAME)


@pytest.fixture(scope="module")
def made(base_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Store]:
    """All of a group, made by the cell of one."""
    place = tmp_path_factory.mktemp("together")
    plan, store = planned(base_folder, place), Store(place / "store")
    tuned(plan.tunings[1], store)
    return plan, store


def test_one_cell_makes_the_adapters_and_records_of_all(
    made: tuple[Plan, Store], base_folder: Path, tmp_path: Path
) -> None:
    plan, store = made
    apart, alone = planned(base_folder, tmp_path, ""), Store(tmp_path / "store")
    for cell, single in zip(plan.tunings, apart.tunings, strict=True):
        tuned(single, alone)
        record, expected = store.read_record(cell.slug), alone.read_record(single.slug)
        assert record
        assert expected
        assert record.fingerprint == cell.fingerprint != expected.fingerprint
        apart_from_loss = {name: value for name, value in expected.result.items() if name not in ("loss", "ways")}
        assert {name: record.result[name] for name in apart_from_loss} == apart_from_loss
        found, wanted = weights(cell, store), weights(single, alone)
        assert found.keys() == wanted.keys()
        assert all(torch.allclose(found[name], wanted[name], atol=1e-4) for name in wanted)
        assert max(value.abs().max().item() for name, value in wanted.items() if "lora_B" in name) > 1e-3
    assert store.local
    AutoPeftModelForCausalLM.from_pretrained(store.local / "checkpoints" / plan.tunings[0].run.slug)


def test_a_run_that_has_to_be_made_again_ends_with_the_same_bytes(made: tuple[Plan, Store], tmp_path: Path) -> None:
    plan, store = made
    again = Store(tmp_path / "store")
    assert store.local
    assert again.local
    kept = plan.tunings[0]
    record = store.read_record(kept.slug)
    assert record
    again.write_record(record)  # of a run that is done: its files are left alone
    tuned(plan.tunings[2], again)
    assert not (again.local / "checkpoints" / kept.run.slug).exists()
    for cell in plan.tunings[1:]:
        place = Path("checkpoints") / cell.run.slug / NAME
        assert (again.local / place).read_bytes() == (store.local / place).read_bytes()


def test_a_run_that_diverges_leaves_the_others_theirs(made: tuple[Plan, Store], tmp_path: Path) -> None:
    plan, _ = made
    cell, store = plan.tunings[0], Store(tmp_path / "store")
    wild = [replace(run, learning_rate=1e30) if run.seed == 0 else run for run in cell.beside]
    with pytest.raises(CellError, match=r"the loss became .* at step \d+: lower learning_rate"):
        tuned(replace(cell, beside=tuple(wild)), store)
    assert sorted(store.records()) == [f"tune/{run.slug}" for run in cell.beside[1:]]


def test_others_begin_when_the_first_has_ended_however_it_ended(made: tuple[Plan, Store]) -> None:
    plan, _ = made
    for failure in ("", "the loss became nan"):
        order = schedule(plan, {cell.slug for cell in plan.tunings})
        (first,) = order.take(["tune"], 3)
        assert list(order.waiting().values()).count("it is tuned together with another seed") == 2
        order.end(first.slug, failure)
        assert {cell.slug for cell in order.take(["tune"], 3)} == {cell.slug for cell in plan.tunings} - {first.slug}
        assert [ended.slug for ended in order.failed] == ([first.slug] if failure else [])


def test_another_group_is_another_identity(base_folder: Path, tmp_path: Path) -> None:
    three, two = (planned(base_folder, tmp_path, f", together: true{more}") for more in ("", ", epochs: 1"))
    assert [cell.fingerprint for cell in three.tunings] == [cell.fingerprint for cell in two.tunings]
    fewer = STUDY.replace("[0, 1, 2]", "[0, 1]").format(base=base_folder, more=", together: true")
    plan = stages.plan(parse(fewer, tmp_path / "study.yaml"))
    assert plan.tunings[0].fingerprint != three.tunings[0].fingerprint
    assert [len(cell.beside) for cell in planned(base_folder, tmp_path, "").tunings] == [0, 0, 0]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (", lora: {dropout: 0.1}", "no lora.dropout"),
        (", gradient_checkpointing: true", "keeps activations"),
        (", workers: 2", "one process"),
    ],
)
def test_what_cannot_be_tuned_together_is_refused_in_the_study(
    more: str, told: str, base_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(StudyError, match=told):
        planned(base_folder, tmp_path, f", together: true{more}")
