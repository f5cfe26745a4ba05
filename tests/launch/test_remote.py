"""A cluster at its dashboard: what is told of a wrong address, what is sent, followed, stopped and brought back."""

import http.server
import json
import os
import socket
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from head import Head, free_port

from app.errors import FewTuneError, StoreError, StudyError, TargetError
from app.launch import gathering, probe, upload
from app.launch.checkup import checkup
from app.launch.overview import look
from app.launch.probe import Versions
from app.launch.relay import Relay
from app.launch.remote import Job, Target
from app.store import Record, Store
from app.study import StudyFile, load

pytestmark = pytest.mark.timeout(240)
ANSWER = "fewtune answers "


@contextmanager
def server(status: int, body: str) -> Iterator[str]:
    """Something else that answers at an address."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_address[1]}"
        listening.shutdown()


def refused(sentence: str, work: Callable[[], object]) -> None:
    with pytest.raises(FewTuneError) as fault:
        work()
    assert sentence in str(fault.value)
    assert "\n" not in str(fault.value)
    assert os.environ.get("RAY_AUTH_TOKEN", "no token") not in str(fault.value)


@contextmanager
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **modules: str) -> Iterator[Path]:
    """A small project in the place of this one: `jobs.NAME` is the text given."""
    base = tmp_path / "project"
    (base / "jobs").mkdir(parents=True)
    (base / "app").mkdir()
    (base / "jobs" / "__init__.py").touch()
    for name, text in modules.items():
        (base / "jobs" / f"{name}.py").write_text(textwrap.dedent(text))
    monkeypatch.setattr(upload, "root", lambda: base)
    yield base


# --- the probe -------------------------------------------------------------------------------------------------


def test_what_is_no_cluster_is_told_in_one_sentence() -> None:
    refused("no cluster answers at http://127.0.0.1:", lambda: Target(f"127.0.0.1:{free_port()}"))
    for status, body in ((200, "<html>"), (404, "no"), (200, "{}")):
        with server(status, body) as url:
            refused("is no Ray dashboard with a job server", lambda url=url: Target(url))
    refused("is not the URL of a Ray dashboard: give it as", lambda: Target("ray://127.0.0.1:10001"))
    refused("the address holds a password", lambda: Target("http://me:secret@127.0.0.1:8265"))


def test_a_proxy_that_reaches_nobody_is_no_cluster() -> None:
    for status in (502, 503, 504):
        with server(status, "<html>Bad Gateway") as url:
            refused(f"no cluster answers at {url}, says a proxy on the way there (HTTP {status})", lambda: Target(url))


def test_this_machine_is_spoken_to_without_a_proxy(user: Head, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with server(502, "Bad Gateway") as proxy, project(tmp_path, monkeypatch, asks=f"print('{ANSWER}1')"):
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy)
        target = Target(user.url)
        assert target.here
        assert target.ask("jobs.asks")[1] == 1


def test_what_listens_and_never_answers_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        refused("does not answer", lambda: Target(f"127.0.0.1:{silent.getsockname()[1]}"))


@pytest.mark.parametrize(
    ("ray", "python", "sentence"),
    [("2.9.3", "{python}", "runs Ray 2.9.3, this machine"), ("{ray}", "3.8.1", "runs Python 3.8.1, this machine")],
)
def test_another_version_on_the_cluster_is_told(ray: str, python: str, sentence: str) -> None:
    import platform

    from ray import __version__

    given = Versions(ray.format(ray=__version__), python.format(python=platform.python_version()))
    refused(sentence, lambda: probe.check("http://head", given))
    body = json.dumps({"ray_version": given.ray, "data": {"pythonVersion": given.python}})
    with server(200, body) as url:
        refused(sentence, lambda: Target(url))


def test_the_token_is_asked_for_and_a_wrong_one_refused(user: Head, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Target(user.url).authenticated
    headers: list[dict[str, str]] = [{}, {"authorization": "Bearer wrong"}]
    sentences = ["asks for a token, and there is none here", "refuses the token of this machine"]
    for given, sentence in zip(headers, sentences, strict=True):
        monkeypatch.setattr(probe, "headers", lambda given=given: given)
        refused(sentence, lambda: Target(user.url))


def test_the_address_given_wins_over_the_environment(user: Head, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "http://127.0.0.1:1")
    assert Target(user.url).jobs() is not None


# --- what is sent ----------------------------------------------------------------------------------------------


def test_the_upload_leaves_out_what_is_ignored_stores_tests_and_git(tmp_path: Path) -> None:
    for path in ("pyproject.toml", "app/errors.py", "jobs/study.py", "tests/test_a.py", ".git/HEAD", ".venv/bin/python",
                 "big/data.bin", "mine/store.json", "mine/tables/scores.parquet", "app/__pycache__/a.pyc"):  # fmt: skip
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("x")
    (tmp_path / ".gitignore").write_text("/big/\n")
    assert set(upload.files(tmp_path)) == {"pyproject.toml", "app/errors.py", "jobs/study.py"}
    with upload.staged("name: a", tmp_path) as folder:
        assert (folder / "study.yaml").read_text() == "name: a"
        assert (folder / "app" / "errors.py").is_file()
    (tmp_path / "pyproject.toml").unlink()  # installed by pip, among packages of others
    assert set(upload.files(tmp_path)) == {"app/errors.py", "jobs/study.py"}


def test_an_upload_over_the_cap_names_what_is_largest(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    for name, size in (("weights/old.bin", 80), ("weights/new.bin", 30), ("notes/a.txt", 1)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        with (tmp_path / name).open("wb") as stream:
            stream.truncate(size << 20)
    refused(
        "the upload would be 111.0 MiB, the cluster takes less than 100.0 MiB; the largest are weights/old.bin "
        "(80.0 MiB), weights/new.bin (30.0 MiB), notes/a.txt (1.0 MiB)",
        lambda: upload.files(tmp_path),
    )


def test_this_project_fits_and_takes_its_studies_along() -> None:
    files = upload.files(upload.root())
    assert {"jobs/study.py", "jobs/studies/demo.yaml", "app/store/__init__.py"} <= set(files)
    assert not any(path.startswith((".", "tests/", "docs/")) or path.endswith(".pyc") for path in files)


@pytest.mark.parametrize(
    ("store", "here", "sentence"),
    [
        ("stores/demo", False, "is a path of this machine, which the cluster cannot reach: give object storage"),
        ("s3://key:secret@bucket/a", False, "holds a password, which everybody would see"),
        ("s3://bucket/a?secret_key=abc", True, "holds secret_key, which everybody would see"),
    ],
)
def test_a_store_that_the_cluster_cannot_use_is_refused(store: str, here: bool, sentence: str) -> None:
    with pytest.raises(StoreError) as fault:
        upload.place(store, here)
    assert sentence in str(fault.value)
    assert "abc" not in str(fault.value)
    assert "key:secret" not in str(fault.value)


def test_a_store_that_the_cluster_reaches_is_taken(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused("cannot be written to", lambda: upload.place(str(tmp_path / "file" / "store"), True))
    assert upload.place("s3://bucket/a/?region=eu-west-1", False) == "s3://bucket/a?region=eu-west-1"
    assert upload.place("file:///mnt/shared/", False) == "file:///mnt/shared"
    assert upload.place(str(tmp_path / "new" / "store"), True) == str(tmp_path / "new" / "store")


def test_paths_of_this_machine_in_a_study_are_refused(write_study: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "encoder").mkdir()
    path = write_study(
        "schema_version: 1\nname: s\nbases:\n"
        "  - {source: checkpoint, family: llama, path: models/mine}\n"
        "  - {source: gguf, family: llama, path: mine.gguf, params: 5}\n"
        "  - {source: gguf, family: llama, path: package://p/m.gguf, params: 5}\n"
        "  - {source: checkpoint, family: llama, path: /mnt/shared/mine}\n"
        "recipes: [{method: lora}]\nanswers: {bertscore: {encoder: encoder}}\n"
    )
    with pytest.raises(StudyError) as fault:
        upload.portable(load(path), None)
    lines = str(fault.value).splitlines()
    assert len(lines) == 3
    assert lines[0].startswith(f"{path}:4:")
    assert "models/mine is relative to this file, which lies here; the cluster does not have it" in lines[0]
    assert lines[1].startswith(f"{path}:5:")
    assert "encoder is a folder of this machine" in lines[2]
    with pytest.raises(TargetError, match="must be an absolute path"):
        upload.portable(load(write_study()), "mirror")


def test_variables_go_by_name_and_the_clusters_token_never(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "abc")
    assert upload.variables(["AWS_ACCESS_KEY_ID"]) == {"AWS_ACCESS_KEY_ID": "abc"}
    refused("--env NOT_THERE: no such variable is set here", lambda: upload.variables(["NOT_THERE"]))
    refused("RAY_AUTH_TOKEN is not passed on", lambda: upload.variables(["RAY_AUTH_TOKEN"]))


# --- jobs ------------------------------------------------------------------------------------------------------

STUDY_JOB = """
import os, sys, time
print("study", sys.argv[1:], "key" if os.environ.get("STORAGE_KEY") == "abc" else "no key", flush=True)
go = sys.argv[3] + ".go"
for index in range(10_000):
    if os.path.exists(go):
        print("end", flush=True)
        sys.exit(int(open(go).read()))
    print("line", index, flush=True)
    time.sleep(0.05)
"""


@pytest.fixture
def file(write_study: Callable[..., Path]) -> StudyFile:
    return load(write_study())


def ended(target: Target, name: str) -> Job:
    while not (job := target.job(name)).ended:
        time.sleep(0.2)
    return job


def test_a_study_is_submitted_once_followed_and_submitted_anew_when_it_has_ended(
    user: Head, file: StudyFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_KEY", "abc")
    store = str(tmp_path / "store")
    with project(tmp_path, monkeypatch, study=STUDY_JOB):
        target = Target(user.url)
        assert target.here
        first = target.submit(file, store, env=["STORAGE_KEY"])
        assert first.new
        assert first.id.startswith("fewtune-smallest-")
        again = target.submit(file, store, env=["STORAGE_KEY"])
        assert (again.id, again.new) == (first.id, False)
        printed: list[str] = []

        def write(text: str) -> None:
            printed.append(text)
            if "line 5" in "".join(printed):
                Path(store + ".go").write_text("1")

        job = target.follow(first.id, write)
        lines = "".join(printed).splitlines()
        assert [line for line in lines if line.startswith("line")] == [
            f"line {index}" for index in range(sum(line.startswith("line") for line in lines))
        ]
        assert f"study ['{file.path}', '--store', '{store}'] key" in lines
        assert "".join(printed) == target.log(first.id)
        assert (job.status, job.exit_code, job.study, job.store) == ("FAILED", 1, "smallest", store)

        second = target.submit(file, store)
        assert (second.id, second.new) == (f"{first.id}-2", True)
        assert target.named("smallest").id == target.named(None).id == second.id
        ended(target, second.id)
        assert target.submit(file, store, replace=True).id not in (first.id, second.id, f"{first.id}-3")
        refused("there is no job absent", lambda: target.named("absent"))
        refused("does not exist", lambda: target.job("absent"))
        about = json.dumps([job.metadata for job in target._client.list_jobs()])
        assert "abc" not in about
        assert user.environment["RAY_AUTH_TOKEN"] not in about


def test_a_stream_that_breaks_is_taken_up_and_nothing_is_printed_twice(
    user: Head, file: StudyFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stream is cut after every few lines, as Ray's own may be."""
    store = str(tmp_path / "store")
    with project(tmp_path, monkeypatch, study=STUDY_JOB):
        target = Target(user.url)
        job = target.submit(file, store)
        whole, cuts = target._client.tail_job_logs, [0]

        async def cut(name: str):  # type: ignore[no-untyped-def]
            count = 0
            async for text in whole(name):
                yield text
                count += 1
                if count == 3 * (cuts[0] + 1):
                    cuts[0] += 1
                    raise RuntimeError("WebSocket connection closed unexpectedly")

        monkeypatch.setattr(target._client, "tail_job_logs", cut)
        printed: list[str] = []

        def write(text: str) -> None:
            printed.append(text)
            if cuts[0] >= 2:
                Path(store + ".go").write_text("0")

        assert target.follow(job.id, write).status == "SUCCEEDED"
        assert cuts[0] >= 2
        assert "".join(printed) == target.log(job.id)


def test_a_job_is_stopped_and_has_time_to_end_well(
    user: Head, file: StudyFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = """
    import signal, sys, time
    signal.signal(signal.SIGTERM, lambda *_: (time.sleep(5), print("ended well", flush=True), sys.exit(1)))
    print("begun", flush=True)
    time.sleep(600)
    """
    with project(tmp_path, monkeypatch, study=job):
        target = Target(user.url)
        name = target.submit(file, str(tmp_path / "store")).id
        while "begun" not in target.log(name):
            time.sleep(0.2)
        target.stop(name)
        assert ended(target, name).status == "STOPPED"
        assert "ended well" in target.log(name)


def test_a_job_that_is_refused_says_why_and_how_to_try_again(
    user: Head, file: StudyFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = """
    import sys
    sys.path.insert(0, {root!r})
    from app.launch.remote import refuse, retry
    print(retry(), flush=True)
    refuse("the study is too large\\nfor any node")
    sys.exit(2)
    """
    monkeypatch.setenv("STORAGE_KEY", "abc")
    with project(tmp_path, monkeypatch, study=job.format(root=str(Path(__file__).parents[2]))):
        target = Target(user.url)
        mirror, store = str(tmp_path / "mirror"), str(tmp_path / "store")
        submitted = target.submit(file, store, mirror, env=["STORAGE_KEY"])
        assert submitted.largest.startswith("jobs/study.py (")
        found = ended(target, submitted.id)
        assert (found.status, found.exit_code) == ("FAILED", 2)
        assert found.fault == "the study is too large; for any node"
        again = f"fewtune submit {file.path} --store {store} --address {user.url} --data-mirror {mirror}"
        assert f"{again} --env STORAGE_KEY" in target.log(found.id).splitlines()


def test_a_job_that_cannot_answer_is_told_with_its_last_line(
    user: Head, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with project(tmp_path, monkeypatch, broken="import sys\nsys.exit('error the store is none')\n"):
        target = Target(user.url)
        refused("jobs.broken ended FAILED", lambda: target.ask("jobs.broken"))
        refused("error the store is none", lambda: target.ask("jobs.broken"))


# --- gathering -------------------------------------------------------------------------------------------------


def finished(root: Path, *, cells: int = 2) -> Store:
    """A store with tables and a report; the study has one cell more than are done."""
    store = Store(root)
    store.keep("smallest", "name: smallest\n", Path("study.yaml"))
    store.write_bytes("tables/scores.parquet", os.urandom(50_000))
    store.write_bytes("tables/responses/a/b.parquet", os.urandom(500))
    store.write_bytes("report/index.html", b"<html>")
    store.write_bytes("checkpoints/a/weights", b"large")
    names = [f"tune/run-{index}" for index in range(cells + 1)]
    for name in names[:-1]:
        store.write_record(Record("tune", name, {}, {}, 2.0, {"torch": "2.0"}))
    rows = [[name, "tune", "base", "llama", name, None, None, "", 1.0, 1.0, 0.0] for name in names]
    store.write_text("plan.json", json.dumps({"study": "smallest", "cells": rows}))
    return store


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_tables_are_gathered_checked_and_gathering_again_brings_what_changed(tmp_path: Path) -> None:
    store, out = finished(tmp_path / "store"), tmp_path / "out"
    made = gathering.direct(store, out)
    assert set(made.files) == {
        "report/index.html", "study.yaml", "tables/responses/a/b.parquet", "tables/scores.parquet",
    }  # fmt: skip
    assert (made.planned, made.done, made.missing) == ({"tune": 3}, {"tune": 2}, ("tune/run-2",))
    assert (made.versions, made.seconds) == ({"torch": ("2.0",)}, {"tune": 4.0})
    before = contents(out)
    assert set(before) == {*made.files, "gathered.json"}
    gathering.direct(store, out)
    assert contents(out) == before

    (out / "tables" / "scores.parquet").write_bytes(b"cut")  # damaged here
    store.write_bytes("report/index.html", b"<HTML>")  # new there, of the same size
    Path(store.path("tables/responses/a/b.parquet")).unlink()
    gathering.direct(store, out)
    after = contents(out)
    assert after["tables/scores.parquet"] == before["tables/scores.parquet"]
    assert after["report/index.html"] == b"<HTML>"
    assert "tables/responses/a/b.parquet" not in after
    assert set(gathering.direct(store, tmp_path / "few", responses=False).files) == {
        "report/index.html", "study.yaml", "tables/scores.parquet",
    }  # fmt: skip


def test_cells_of_several_versions_are_gathered_only_if_that_is_meant(tmp_path: Path) -> None:
    store = finished(tmp_path / "store")
    for package, version in (("ray", "2.99"), ("platform", "another machine"), ("device", "another GPU")):
        for slug, found in (("tune/run-0", "one"), ("tune/run-1", version)):
            store.write_record(Record("tune", slug, {}, {}, 2.0, {"torch": "2.0", package: found}))
        assert gathering.direct(store, tmp_path / "out").done["tune"] == 2
    store.write_record(Record("tune", "tune/run-1", {}, {}, 2.0, {"torch": "2.1"}))
    refused(
        "torch 2.0 (1 cell), 2.1 (1 cell); gather with --allow-mixed", lambda: gathering.direct(store, tmp_path / "o")
    )
    assert not (tmp_path / "o").exists()
    assert gathering.direct(store, tmp_path / "out", mixed=True).versions == {
        "device": ("one",),
        "torch": ("2.0", "2.1"),
    }


def test_a_folder_of_something_else_is_no_place_to_gather_into(tmp_path: Path) -> None:
    store = finished(tmp_path / "store")
    gathering.direct(store, tmp_path / "out")
    refused("holds what was gathered from", lambda: gathering.direct(finished(tmp_path / "two"), tmp_path / "out"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    refused("holds nothing that was gathered", lambda: gathering.direct(store, tmp_path / "mine"))
    refused("is not a FewTune store", lambda: gathering.direct(Store(tmp_path / "absent"), tmp_path / "out2"))


def test_a_table_that_is_not_what_its_record_says_is_found(tmp_path: Path) -> None:
    from app.store import Artefact

    store = finished(tmp_path / "store")
    wrong = {"tables/responses/a/b.parquet": Artefact(500, "0" * 64)}
    store.write_record(Record("evaluate", "evaluate/a/b", {}, {}, artefacts=wrong))
    refused("b.parquet did not arrive whole", lambda: gathering.direct(store, tmp_path / "out"))


def test_tables_come_through_the_dashboard_as_they_come_from_the_store(user: Head, tmp_path: Path) -> None:
    store = finished(tmp_path / "store")
    store.write_bytes("tables/pairs.parquet", os.urandom(17 << 20))  # two parts
    target = Target(user.url)
    made = gathering.through(target, store.root, tmp_path / "far")
    assert gathering.direct(store, tmp_path / "near") == made
    assert contents(tmp_path / "far") == contents(tmp_path / "near")
    assert gathering.through(target, store.root, tmp_path / "far") == made
    logs = Path(user.environment["HOME"], "session_latest", "logs")
    for _ in range(100):
        if not list(logs.glob("fewtune-bundle-*")):
            break
        time.sleep(0.2)
    assert not list(logs.glob("fewtune-bundle-*"))  # the parts are gone


def test_a_transfer_that_is_cut_off_is_fetched_again_or_told(
    user: Head, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = finished(tmp_path / "store")
    target = Target(user.url)
    fetch, times = target.fetch, [0]

    def cut(node: str, name: str) -> bytes:
        times[0] += 1
        return fetch(node, name)[: -1 if times[0] < limit[0] else None]

    monkeypatch.setattr(target, "fetch", cut)
    limit = [3]
    made = gathering.through(target, store.root, tmp_path / "out")
    assert times[0] == 3
    assert contents(tmp_path / "out")["report/index.html"] == b"<html>"
    assert "tables/scores.parquet" in made.files
    limit = [99]
    refused("arrived damaged 3 times", lambda: gathering.through(target, store.root, tmp_path / "out2"))
    assert not (tmp_path / "out2").exists()


@pytest.mark.parametrize("path", ["../outside", "tables/../../outside", "/etc/passwd", "records/x"])
def test_a_manifest_that_leads_elsewhere_is_none(tmp_path: Path, path: str) -> None:
    made = gathering.direct(finished(tmp_path / "store"), tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "gathered.json").read_text())
    manifest["files"] = {path: {"bytes": 1, "sha256": "0"}}
    (tmp_path / "out" / "gathered.json").write_text(json.dumps(manifest))
    assert made.files
    refused("holds nothing that was gathered", lambda: gathering.direct(Store(tmp_path / "store"), tmp_path / "out"))


# --- looking through the cluster -------------------------------------------------------------------------------


def test_the_cluster_shows_of_a_store_what_is_seen_in_it(user: Head, tmp_path: Path) -> None:
    store = finished(tmp_path / "store", cells=0)
    relay = Relay(Target(user.url), store.root)
    try:
        assert relay() == look(store)
        store.write_record(Record("tune", "tune/run-0", {}, {}, 2.0))
        while (seen := relay()) and not seen.overview.done:
            time.sleep(0.2)
        assert relay() == look(store)
    finally:
        relay.close()
    logs = Path(user.environment["HOME"], "session_latest", "logs")
    for _ in range(100):
        if not list(logs.glob("fewtune-look-*")):
            break
        time.sleep(0.2)
    assert not list(logs.glob("fewtune-look-*"))
    missing = Relay(Target(user.url), str(tmp_path / "absent"))
    assert missing() is None
    missing.close()


# --- both sides ------------------------------------------------------------------------------------------------


def test_both_sides_are_compared_and_see_the_same_store(user: Head, tmp_path: Path) -> None:
    target = Target(user.url)
    found = checkup(target, str(tmp_path / "store"))
    assert found.here == found.there
    assert (found.differences, found.store_here, found.store_there) == ((), "", "")
    assert not (tmp_path / "store").exists()
    (tmp_path / "file").touch()
    found = checkup(target, str(tmp_path / "file" / "store"))
    assert found.store_here
    assert found.store_there


def test_the_journal_of_a_job_names_the_job(user: Head, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asks = """
    import sys
    sys.path.insert(0, {root!r})
    from app.launch.remote import answer, submission
    answer(submission())
    """
    with project(tmp_path, monkeypatch, asks=asks.format(root=str(Path(__file__).parents[2]))):
        job, found = Target(user.url).ask("jobs.asks")
    assert found == job.id
