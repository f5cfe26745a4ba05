"""The commands that speak to a cluster: what they print, their exit codes, and one sentence for each fault."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import in_process
import pytest
from head import Head, free_port
from in_process import Answer
from local_ray import without_ray
from ray import _raylet

from app import stages
from app.cli.standing import View, phase
from app.launch.journal import Journal
from app.launch.overview import look
from app.launch.remote import Job
from app.store import Record, Store
from app.study import load

pytestmark = pytest.mark.timeout(240)
Fewtune = Callable[..., Answer]


@pytest.fixture(scope="module", autouse=True)
def set_aside() -> Iterator[None]:
    """The session of this process, which holds another token."""
    with without_ray():
        yield


@pytest.fixture
def fewtune(tmp_path: Path) -> Fewtune:
    """Run the command in this process, from an empty folder, in a terminal 100 columns wide."""

    def run(*arguments: str | Path, **environment: str) -> Answer:
        forget = _raylet.AuthenticationTokenLoader.instance().reset_cache
        ours = {"NO_COLOR": "1", "XDG_CONFIG_HOME": str(tmp_path / "config"), "HOME": str(tmp_path)}
        forget()
        try:
            return in_process.fewtune(*arguments, at=tmp_path, columns=100, environment=ours | environment)
        finally:
            forget()

    return run


@pytest.fixture
def started(tmp_path: Path) -> Fewtune:
    """The same in a process of its own: for what goes on for a while, and for each kind of answer once."""

    def run(*arguments: str | Path, **environment: str) -> Answer:
        clean = {name: text for name, text in os.environ.items() if not name.startswith(("FEWTUNE_", "RAY_"))}
        ours = {"COLUMNS": "100", "NO_COLOR": "1", "XDG_CONFIG_HOME": str(tmp_path / "config"), "HOME": str(tmp_path)}
        return subprocess.run(
            [sys.executable, "-m", "app.cli.main", *map(str, arguments)],
            capture_output=True, text=True, cwd=tmp_path, env=clean | ours | environment, check=False,
        )  # fmt: skip

    return run


TOO_LARGE = "needs 64 CPUs on one node; the largest has 2 CPUs, and 94 other cells would find no node either: lower"


def refused(answer: Answer, sentence: str) -> None:
    assert answer.returncode == 2, answer
    assert "Traceback" not in answer.stdout + answer.stderr
    (line,) = answer.stderr.strip().splitlines()
    assert line.startswith("error ")
    assert sentence in line


def unfinished(root: Path, study: Path) -> Store:
    """A store whose run has been stopped: one tuning failed, one evaluation is done."""
    store, file = Store(root), load(study)
    planned = stages.plan(file)
    store.keep(file.study.name, file.text, study)
    first, again = planned.evaluations[0], f"fewtune run {study} --store {root} --data-mirror /m"
    store.write_record(Record(first.kind, first.slug, first.inputs, {}, 36.0))
    with pytest.raises(KeyboardInterrupt), Journal(store, planned, "fewtune-smallest-1", retry=again) as kept:  # noqa: PT012
        kept.begin(planned.cells, ())
        kept.progress(first.slug, 1.0)
        kept.failed(planned.tunings[0].slug, "no such revision")
        for cell in planned.evaluations:
            if cell.run:
                kept.failed(cell.slug, "what it needs failed")
        kept.waiting({cell.slug: "no node with 1 GPU is up yet" for cell in planned.evaluations[1:] if not cell.run})
        raise KeyboardInterrupt
    return store


def test_the_status_of_a_store_needs_no_cluster_and_fits_a_terminal(
    fewtune: Fewtune, write_study: Callable[..., Path], tmp_path: Path
) -> None:
    path = write_study()
    unfinished(tmp_path / "stores" / "smallest", path)
    for named in (path, "smallest", "stores/smallest"):
        answer = fewtune("status", named)
        assert answer.returncode == 0, answer.stderr
        lines = answer.stdout.splitlines()
        assert lines[1].startswith("stopped: ")
        assert max(len(line) for line in lines[1:] if not line.startswith("try them again: ")) <= 100
        assert "1 cell failed of 1 cause, and " in answer.stdout
        assert "1 × no such revision (for example tune/llama-32x2-s0.lora-s0)" in answer.stdout
        assert "cells wait: no node with 1 GPU is up yet" in answer.stdout
        assert lines[-1] == f"try them again: fewtune run {path} --store {tmp_path}/stores/smallest --data-mirror /m"
        row = next(line for line in lines if line.startswith("llama-32x2-s0"))
        assert "–✗" in row


def test_the_status_for_programs_is_json(started: Fewtune, write_study: Callable[..., Path], tmp_path: Path) -> None:
    unfinished(tmp_path / "store", write_study())
    found = json.loads(started("status", "./store", "--json").stdout)
    assert (found["phase"], found["ended"], found["study"]) == ("stopped", True, "smallest")
    assert found["failed"] == [{"reason": "no such revision", "cells": ["tune/llama-32x2-s0.lora-s0"]}]
    assert found["cells"]["evaluate"]["done"] == 1
    assert found["spent_hours"]["cores"] >= 0.01
    assert all(pair["void"] for pair in found["pairs"])


def test_watching_ends_with_the_run(fewtune: Fewtune, write_study: Callable[..., Path], tmp_path: Path) -> None:
    unfinished(tmp_path / "store", write_study())
    (document,) = fewtune("status", "./store", "--watch", "--json").stdout.splitlines()
    assert json.loads(document)["phase"] == "stopped"


def test_watching_waits_for_a_run_that_has_not_begun(
    started: Fewtune, write_study: Callable[..., Path], tmp_path: Path
) -> None:
    study = write_study()
    with ThreadPoolExecutor(1) as aside:
        watched = aside.submit(started, "status", "./store", "--watch")
        time.sleep(3)
        assert not watched.done()
        unfinished(tmp_path / "store", study)
        answer = watched.result()
    assert f"nothing is in {tmp_path / 'store'} yet: waiting" in answer.stderr
    assert "stopped: " in answer.stdout


def test_the_profile_spares_the_flags(fewtune: Fewtune, write_study: Callable[..., Path], tmp_path: Path) -> None:
    path = write_study()
    unfinished(tmp_path / "kept" / "smallest", path)
    (tmp_path / "config" / "fewtune").mkdir(parents=True)
    (tmp_path / "config" / "fewtune" / "config.toml").write_text(f'store = "{tmp_path}/kept/{{study}}"\n')
    assert "stopped: " in fewtune("status", path).stdout
    assert "stopped: " in fewtune("status", "smallest").stdout
    refused(fewtune("status", path, FEWTUNE_STORE=str(tmp_path / "other")), "other is not a FewTune store")


def test_what_is_missing_or_wrong_is_told(fewtune: Fewtune, write_study: Callable[..., Path]) -> None:
    path = write_study()
    refused(fewtune("submit", path), "where are the artefacts to go? Give --store")
    refused(fewtune("submit", path, "--store", "s3://b/a"), "which cluster? Give --address, set FEWTUNE_ADDRESS")
    closed = f"http://127.0.0.1:{free_port()}"
    for command in (("submit", path, "--store", "s3://b/a"), ("logs",), ("stop",)):
        refused(fewtune(*command, "--address", closed), f"no cluster answers at {closed}")
    refused(fewtune("status"), "of what? Name a study or a store, or give --address")
    refused(fewtune("status", "./none", "--address", closed), f"(no cluster answers at {closed}")
    refused(fewtune("gather", "none", "--out", "out"), "is not a FewTune store")
    bucket = f"s3://b/a?endpoint_override=127.0.0.1:{free_port()}&scheme=http&region=r"
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_EC2_METADATA_DISABLED": "true"}
    unreached = f"{bucket} is not reached from here (NETWORK_CONNECTION)"
    refused(fewtune("gather", bucket, "--out", "out", **keys), f"{unreached}: give --address of a cluster that reaches")
    refused(fewtune("status", bucket, **keys), unreached)
    answer = fewtune("doctor", "--address", closed)
    assert answer.returncode == 1
    assert "no cluster answers at" in answer.stdout


def test_a_job_that_was_refused_outweighs_what_an_earlier_run_left(
    write_study: Callable[..., Path], tmp_path: Path
) -> None:
    seen = look(unfinished(tmp_path / "store", write_study()))
    assert seen
    assert seen.overview.state
    job = Job("fewtune-smallest-2", "FAILED", "smallest", seen.overview.store, "error too large", 1, 2, "")
    later = job._replace(began=4_000_000_000_000)
    said = [phase(View(seen.overview, one, 0.0, "")) for one in (later, job, later._replace(id="fewtune-smallest-1"))]
    assert said[0].startswith("the job fewtune-smallest-2 failed before it began to compute: too large; in the store")
    assert said[1].startswith("stopped: ")
    assert said[2].startswith("stopped: ")


def test_a_study_is_submitted_watched_stopped_and_its_tables_gathered(
    fewtune: Fewtune, started: Fewtune, write_study: Callable[..., Path], tmp_path: Path, head: Head
) -> None:
    """With a real job of this project, stopped while it pretrains; what is finished afterwards is another test's."""
    text = write_study().read_text().replace("sizes: [32x2]", "sizes: [32x2], pretraining: {tokens: 50000000}")
    path, store = write_study(text), tmp_path / "store"
    there = {"FEWTUNE_ADDRESS": head.url, "RAY_AUTH_TOKEN": head.environment["RAY_AUTH_TOKEN"]}
    refused(fewtune("logs", FEWTUNE_ADDRESS=head.url), "asks for a token, and there is none here")
    refused(fewtune("logs", FEWTUNE_ADDRESS=head.url, RAY_AUTH_TOKEN="wrong"), "refuses the token of this machine")  # noqa: S106
    refused(started("logs", **there), "no study was submitted at")
    first = started("submit", path, "--store", store, **there)
    assert first.returncode == 0, first.stderr
    name = first.stdout.split()[1].rstrip(",")
    again = fewtune("submit", path, "--store", store, **there)
    assert f"{name} computes this already: nothing was submitted" in again.stdout
    seen = ""
    while "computing: 0/1 pretrained" not in seen or "1 cell at work" not in seen:
        answer = fewtune("status", **there)
        assert answer.returncode == 0, answer.stderr
        seen = answer.stdout
        time.sleep(0.5)
    assert f"job {name} running" in seen
    far = fewtune("status", store, "--dashboard", **there)
    assert "computing: 0/1 pretrained" in far.stdout
    assert "the run was computing when it last wrote" in fewtune("gather", store, "--out", "soon", **there).stderr
    assert "base models: 1 cell to compute, 0 reused" in fewtune("logs", **there).stdout
    assert f"{name} stopped; what was finished is kept in {store}" in fewtune("stop", "smallest", **there).stdout
    followed = started("logs", name, "-f", **there)
    assert followed.returncode == 1
    assert followed.stderr.startswith(f"{name} stopped")
    for cluster in (there, {}):
        assert "stopped: 0/1 pretrained" in fewtune("status", store, **cluster).stdout
    Store(store).write_bytes("tables/scores.parquet", b"scores")
    brought = started("gather", store, "--out", "near", **there)
    assert "2 files, 0.0 MB, of 0 of " in brought.stdout
    assert brought.stdout.count("  missing ") == 8
    assert brought.stderr.strip() == f"there is no report yet: `fewtune report {store}` makes one"
    assert fewtune("gather", store, "--out", "far", "--dashboard", **there).returncode == 0
    assert (tmp_path / "far" / "tables" / "scores.parquet").read_bytes() == b"scores"
    answer = started("doctor", "--store", store, **there)
    assert answer.returncode == 0, answer.stdout
    told = " ".join(answer.stdout.split())  # a table breaks its lines where they end
    assert told.count(" is written ") == 2
    assert "the same on both sides" in told
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert head.environment["RAY_AUTH_TOKEN"].encode() not in kept


def test_a_study_that_no_node_can_hold_is_refused_with_its_sentence_wherever_it_is_looked_at(
    fewtune: Fewtune, started: Fewtune, write_study: Callable[..., Path], tmp_path: Path, head: Head
) -> None:
    path = write_study(write_study().read_text().replace("sizes: [32x2]", "sizes: [32x2], resources: {cpus: 64}"))
    there = {"FEWTUNE_ADDRESS": head.url, "RAY_AUTH_TOKEN": head.environment["RAY_AUTH_TOKEN"]}
    followed = started("submit", path, "--store", tmp_path / "store", "--follow", **there)
    assert followed.returncode == 2
    assert TOO_LARGE in followed.stderr.splitlines()[-1]
    name = followed.stdout.split()[1].rstrip(",")
    answer = started("status", tmp_path / "store", "--watch", **there)
    assert answer.returncode == 1
    assert f"the job {name} failed before it began to compute: pretrain/llama-32x2-s0 {TOO_LARGE}" in answer.stdout
    found = json.loads(fewtune("status", tmp_path / "store", "--json", **there).stdout)
    assert TOO_LARGE in found["job"]["fault"]
    assert found["ended"]
    failed = fewtune("logs", name, "--failed", **there)
    assert failed.stdout.startswith("the job failed: pretrain/llama-32x2-s0 needs 64 CPUs")
