"""Two workers tune as one does, whichever way they divide the work; what they leave is an ordinary adapter.

Most runs are two bare processes on gloo; a few go through Ray Train as a study's do. All on CPUs, in float32.
"""

import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, cast

import psutil
import pytest
import ray
import torch
from local_ray import without_ray
from peft import AutoPeftModelForCausalLM
from test_tuning_loop import WorkerDiedError, adapted, encoded, model, schedule, silent
from torch import distributed, multiprocessing
from transformers import AutoModelForCausalLM

from app import stages
from app.errors import CellError
from app.plan import Plan, TuneCell
from app.store import Record, Store
from app.study import parse
from app.trials import Payload, Progress
from app.tuning import sharding
from app.tuning.loop import Result, Schedule, train
from app.tuning.sharding import Strategy, Team
from app.tuning.trial import tune

pytestmark = pytest.mark.filterwarnings("ignore:`get_checkpoint` is meant")

STRATEGIES: tuple[Strategy, ...] = ("ddp", "zero1", "zero2", "zero3")
UNEVEN = replace(schedule(batch=6), rows=2, max_gradient=1.0)
"""7 steps of 6 or 4 examples: each of two workers makes passes of 2 and of 1 rows, and an empty one in the end."""
SAVED, DIED = 3, 5


@dataclass(frozen=True)
class Case:
    method: str
    strategy: Strategy
    offload: bool = False
    half: bool = False
    dropout: float = 0.0
    interrupted: bool = False

    @property
    def net(self) -> torch.nn.Module:
        return model() if self.method == "full" else adapted(self.dropout)

    @property
    def schedule(self) -> Schedule:
        return replace(UNEVEN, autocast=torch.bfloat16 if self.half else None)


class Seen(NamedTuple):
    losses: list[float]
    weights: dict[str, torch.Tensor]


PLAIN = [Case(method, strategy) for method in ("lora", "full") for strategy in STRATEGIES]
OFFLOADED = [Case("lora", "zero2", offload=True), Case("lora", "zero3", offload=True)]
HALVES = [Case("lora", "ddp", half=True), Case("full", "zero2", half=True)]
UNDISTURBED = [Case("lora", strategy, dropout=0.3) for strategy in STRATEGIES]
CASES = [*PLAIN, *OFFLOADED, *HALVES, *UNDISTURBED, *(replace(case, interrupted=True) for case in UNDISTURBED)]


def once(case: Case, team: Team, folder: Path) -> Seen:
    """One run of a case by one of its workers; an interrupted one goes on from its state with a fresh model."""
    examples, state, net = encoded(), None, case.net
    if case.interrupted:
        state = folder / f"{case.strategy}-{team.rank}"

        def die(step: int, steps: int, save: Any) -> None:
            if step == SAVED:
                save(state)
            if step == DIED:
                raise WorkerDiedError

        with pytest.raises(WorkerDiedError):
            train(net, examples, case.schedule, 3, None, die, team)
        torch.manual_seed(99)  # another process has another state of its generator
        net = case.net
    result = train(net, examples, case.schedule, 3, state, silent, team)
    return Seen(result.losses, weights(net, result))


def weights(net: torch.nn.Module, result: Result) -> dict[str, torch.Tensor]:
    own = result.weights if result.weights is not None else sharding.trained(net)
    return {name: weight.detach().clone() for name, weight in own.items()}


def worker(rank: int, port: int, folder: Path) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), RANK=str(rank), WORLD_SIZE="2", LOCAL_RANK="0")
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", rank=rank, world_size=2)
    sharding.PERSISTENT = 0  # even the small weights of these models are divided
    seen = {case: once(case, Team(rank, 2, case.strategy, case.offload), folder)._asdict() for case in CASES}
    if rank == 0:
        torch.save(list(seen.values()), folder / "seen")
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> dict[Case, Seen]:
    """What two workers make of each case."""
    folder = tmp_path_factory.mktemp("pair")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    multiprocessing.spawn(worker, (port, folder), nprocs=2)
    return dict(zip(CASES, (Seen(**seen) for seen in torch.load(folder / "seen", weights_only=True)), strict=True))


def alone(case: Case) -> Seen:
    net = case.net
    return Seen((result := train(net, encoded(), case.schedule, 3, None, silent)).losses, weights(net, result))


def differences(one: Seen, other: Seen) -> tuple[float, float]:
    """The largest between two runs, of losses and of weights."""
    assert one.weights.keys() == other.weights.keys()
    losses = max(abs(a - b) for a, b in zip(one.losses, other.losses, strict=True))
    return losses, max((one.weights[name] - other.weights[name]).abs().max().item() for name in one.weights)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("case", [*PLAIN, *OFFLOADED], ids=str)
def test_two_workers_give_the_curve_and_the_weights_of_one(case: Case, pair: dict[Case, Seen]) -> None:
    losses, moved = differences(pair[case], alone(case))
    assert losses < 1e-5  # measured: 2e-6 of a loss of 6
    assert moved < 2e-5  # measured: 2e-6, at a rate of 1e-2


@pytest.mark.parametrize("case", HALVES, ids=str)
def test_two_workers_in_half_precision_follow_one(case: Case, pair: dict[Case, Seen]) -> None:
    losses, _ = differences(pair[case], alone(case))
    assert losses < 0.02  # sums of other rows round otherwise in bfloat16
    assert {weight.dtype for weight in pair[case].weights.values()} == {torch.float32}


@pytest.mark.parametrize("case", UNDISTURBED, ids=str)
def test_workers_that_died_end_with_the_bits_of_those_that_did_not(case: Case, pair: dict[Case, Seen]) -> None:
    assert differences(pair[replace(case, interrupted=True)], pair[case]) == (0.0, 0.0)


def test_each_worker_draws_its_own_dropout(pair: dict[Case, Seen]) -> None:
    dropped = Case("lora", "ddp", dropout=0.3)
    assert differences(pair[dropped], pair[replace(dropped, strategy="zero1")])[0] < 1e-5
    assert differences(pair[dropped], pair[Case("lora", "ddp")])[0] > 1e-3
    assert differences(pair[dropped], alone(dropped))[0] > 1e-4


def test_zero_without_deepspeed_is_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "deepspeed", None)  # as if it were not installed
    sharding.require("ddp")
    with pytest.raises(CellError, match=r'strategy zero2 needs .* pip install "fewtune\[deepspeed\]"'):
        sharding.require("zero2")


# --- through Ray Train ---------------------------------------------------------------------------------------------

STUDY = """\
schema_version: 1
name: small
bases:
  - {{source: checkpoint, family: llama, path: {base}}}
recipes:
  - {{name: alone, {common}}}
  - {{name: zero2, {common}, workers: 2, strategy: zero2}}
  - {{name: zero3, {common}, workers: 2, strategy: zero3}}
  - {{name: diverging, {common}, workers: 2, learning_rate: 1.0e+30}}
  - {{name: whole-alone, {whole}}}
  - {{name: whole, {whole}, workers: 2, strategy: zero3}}
  - {{name: crowd, {common}, workers: 8}}
tasks: [last]
"""
COMMON = "method: lora, mixture: [first, plural], examples: 64, batch: 8"
WHOLE = COMMON.replace("lora", "full")
FOUR_BITS = """\
schema_version: 1
name: four-bits
bases:
  - {{source: checkpoint, family: llama, path: {base}, dtype: nf4}}
recipes:
  - {{name: alone, {common}}}
  - {{name: ddp, {common}, workers: 2}}
tasks: [last]
"""
IDS = torch.tensor([[5, 9, 40, 7]])


class Place(NamedTuple):
    plan: Plan
    store: Store

    def tuned(self, name: str, save_every: float = 1e9) -> Record:
        """Tune one recipe; its record."""
        cell = self.cell(name)
        payload = Payload(cell, self.store, None)
        tune(payload, Progress(payload, save_every=save_every, tell_every=0.5))
        record = self.store.read_record(cell.slug)
        assert record
        return record

    def cell(self, name: str) -> TuneCell:
        return next(cell for cell in self.plan.tunings if cell.run.recipe.name == name)

    def logits(self, name: str) -> torch.Tensor:
        """What the plain library makes of the adapter, or of the whole model."""
        assert self.store.local
        cell = self.cell(name)
        library = AutoModelForCausalLM if cell.run.recipe.method == "full" else AutoPeftModelForCausalLM
        net = library.from_pretrained(self.store.local / "checkpoints" / cell.run.slug)
        with torch.inference_mode():
            return net.eval()(input_ids=IDS).logits


@pytest.fixture(scope="module")
def place(base_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A study whose recipe without workers is tuned, and a Ray of 4 CPUs."""
    folder = tmp_path_factory.mktemp("study")
    plan = stages.plan(parse(STUDY.format(base=base_folder, common=COMMON, whole=WHOLE), folder / "study.yaml"))
    found = Place(plan, Store(folder / "store"))
    torch.set_num_threads(1)
    found.tuned("alone")
    with without_ray():
        ray.init(num_cpus=4, resources={"driver": 4}, include_dashboard=False, log_to_driver=False)
        yield found
        ray.shutdown()


def like_one_worker(place: Place, name: str, record: Record, alone: str = "alone") -> None:
    one = place.store.read_record(place.cell(alone).slug)
    assert one
    assert {**record.result, "loss": 0, "ways": 0} == {**one.result, "loss": 0, "ways": 0}
    several, single = (cast(dict[str, object], found.result["ways"]) for found in (record, one))
    assert {**several, "compiled": ""} == {**single, "compiled": ""}
    assert record.result["loss"] == pytest.approx(one.result["loss"], abs=1e-5)  # type: ignore[arg-type]
    assert torch.allclose(place.logits(name), place.logits(alone), atol=1e-3)
    assert place.store.local
    assert [*(place.store.local / "trials").iterdir()] == []


@pytest.mark.timeout(300)
def test_two_workers_of_a_study_leave_the_record_and_the_adapter_of_one(place: Place) -> None:
    like_one_worker(place, "zero2", place.tuned("zero2"))


@pytest.mark.timeout(300)
def test_a_whole_model_divided_among_workers_is_left_as_one_that_transformers_loads(place: Place) -> None:
    place.tuned("whole-alone")
    like_one_worker(place, "whole", place.tuned("whole"), "whole-alone")


@pytest.mark.qlora
@pytest.mark.timeout(300)
def test_workers_tune_on_a_four_bit_base_as_one_does(place: Place, base_folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    text = FOUR_BITS.format(base=base_folder, common=COMMON.replace("lora", "qlora"))
    found = Place(stages.plan(parse(text, tmp_path / "study.yaml")), Store(tmp_path / "store"))
    found.tuned("alone")
    like_one_worker(found, "ddp", found.tuned("ddp"))


@pytest.mark.chaos
@pytest.mark.timeout(300)
def test_a_worker_that_is_killed_costs_nothing_but_time(place: Place) -> None:
    assert place.store.local
    trials, killed = place.store.local / "trials", list[int]()

    def kill() -> None:
        while len([*trials.glob("*/checkpoint_*")]) < 2:
            time.sleep(0.02)
        found = [p for p in psutil.Process().children(recursive=True) if "RayTrainWorker" in " ".join(p.cmdline())]
        found[0].kill()
        killed.append(found[0].pid)

    threading.Thread(target=kill, daemon=True).start()
    record = place.tuned("zero3", save_every=0.0)
    assert killed
    like_one_worker(place, "zero3", record)


@pytest.mark.chaos
@pytest.mark.timeout(300)
def test_a_loss_that_diverges_on_workers_ends_the_cell_in_its_sentence(place: Place) -> None:
    with pytest.raises(CellError, match=r"^the loss became \w+ at step \d+: lower learning_rate$"):
        place.tuned("diverging")


@pytest.mark.timeout(300)
def test_workers_without_room_end_in_a_sentence(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "2")
    with pytest.raises(CellError, match="its 8 workers found no room: it needs 8 workers with 1 CPU"):
        place.tuned("crowd")
