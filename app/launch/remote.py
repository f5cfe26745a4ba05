"""A cluster at the other end of its dashboard: probed before anything is sent, then spoken to through Ray Jobs."""

import asyncio
import contextlib
import json
import logging
import os
import shlex
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import aiohttp
import requests
from ray.job_submission import JobDetails, JobSubmissionClient

from app.errors import TargetError
from app.identity import fingerprint
from app.launch import probe, upload
from app.launch.probe import told
from app.study import StudyFile

_ANSWER = "fewtune answers "
"""Begins the line in which a job says what it was asked for."""
_ERROR = "error "
"""Begins each line in which a job says why it ended."""
_PREFIX = "fewtune-"  # of submission ids
_REQUEST = 60.0  # seconds for a request: an upload takes some
_SILENCE = 60.0  # seconds without a line, after which the log is asked for anew
_TRIES = 6  # in a row that the cluster may not answer before following gives up
_LONGEST = 300  # characters of a fault that is not in our own words
_STOP_SECONDS = "30"  # between the signal that stops a job and the one that kills it
_TALKATIVE = (
    "ray.dashboard.modules.dashboard_sdk",
    "ray.dashboard.modules.job.sdk",
    "ray._private.runtime_env.packaging",
)


def answer(found: object) -> None:
    """A job's own side of `Target.ask`: print what it was asked for."""
    print(_ANSWER + json.dumps(found), flush=True)


def refuse(fault: str) -> None:
    """A job's last words: why it ended, a line for each fault."""
    for line in fault.splitlines():
        print(f"{_ERROR}{line}", file=sys.stderr, flush=True)


def submission() -> str | None:
    """The submission id of the job that this process is; None outside of one."""
    return _metadata().get("job_submission_id")


def retry() -> str:
    """The command that submitted the job that this process is; empty where it was not ours."""
    return _metadata().get("retry", "")


def _metadata() -> Mapping[str, str]:
    return json.loads(os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")).get("metadata", {})


class Job(NamedTuple):
    """A job of this project on the cluster."""

    id: str
    status: str
    """PENDING, RUNNING, SUCCEEDED, FAILED or STOPPED."""
    study: str
    store: str
    message: str
    began: int
    """Milliseconds since 1970 by the cluster's clock; 0 where it has not."""
    exit_code: int | None
    node: str
    """Id of the node that it runs on; empty where it has none yet."""

    @property
    def ended(self) -> bool:
        """Whether it will not change any more."""
        return self.status in ("SUCCEEDED", "FAILED", "STOPPED")

    @property
    def fault(self) -> str:
        """Why it failed: its own last words, which the cluster keeps, or else the cluster's; empty where it did not."""
        lines = self.message.strip().splitlines() if self.status == "FAILED" else []
        own = [line.removeprefix(_ERROR) for line in lines if line.startswith(_ERROR)]
        if own or not lines:
            return "; ".join(own)
        return lines[-1 if self.exit_code in (1, 2) else 0][:_LONGEST]


class Submitted(NamedTuple):
    """What became of a submission."""

    id: str
    new: bool
    """False: a job with the same study, store and code of `--replace` was already there, and is followed."""
    bytes: int
    """Uploaded, before what the cluster already had is left out."""
    largest: str = ""
    """Entries of the upload that take most of it, with their sizes."""


class Target:
    """A cluster that has answered.

    Raises TargetError, in under five seconds, where none does, where it refuses the token, and where its Ray or
    Python is another.
    """

    def __init__(self, address: str, *, any_version: bool = False) -> None:
        self.url = probe.url(address)
        self._headers = probe.headers()
        self.versions = probe.probe(self.url, self._headers)
        if not any_version:
            probe.check(self.url, self.versions)
        os.environ["RAY_API_SERVER_ADDRESS"] = self.url  # else RAY_ADDRESS, where set, would win over the flag
        for talkative in _TALKATIVE:
            logging.getLogger(talkative).setLevel(logging.ERROR)
        with told(self.url):
            self._client = _Client(self.url, headers=dict(self._headers))

    @cached_property
    def here(self) -> bool:
        """Whether all of its nodes are this machine, so that paths of this machine are theirs.

        A loopback address alone does not tell: it may be the mouth of a tunnel.
        """
        if not probe.local(self.url):
            return False
        nodes = self._get("/nodes?view=summary").json()["data"]["summary"]
        alive = [node for node in nodes if node.get("raylet", {}).get("state", "ALIVE") == "ALIVE"]
        return all(node.get("hostname", socket.gethostname()) == socket.gethostname() for node in alive)

    @property
    def authenticated(self) -> bool:
        """Whether the cluster asks for a token."""
        return self._get("/api/authentication_mode").json().get("authentication_mode") == "token"

    @property
    def exposed(self) -> bool:
        """Whether requests, and the token with them, leave this machine unencrypted."""
        return urlsplit(self.url).scheme == "http" and not probe.local(self.url)

    # --- jobs --------------------------------------------------------------------------------------------------

    def jobs(self) -> list[Job]:
        """The jobs that run or ran studies, newest first."""
        with told(self.url):
            found = self._client.list_jobs()
        mine = [_job(job) for job in found if (job.submission_id or "").startswith(_PREFIX)]
        return sorted((job for job in mine if job.study), key=lambda job: (job.began or 1 << 62, job.id), reverse=True)

    def job(self, name: str) -> Job:
        """A job by its submission id. Raises TargetError where the cluster knows none of that name."""
        with told(self.url):
            return _job(self._client.get_job_info(name))

    def named(self, name: str | None) -> Job:
        """A job by submission id or study, the newest; None: the newest of all. Raises TargetError."""
        jobs = self.jobs()
        found = next((job for job in jobs if name is None or name in (job.id, job.study)), None)
        if found is None:
            known = ", ".join(job.id for job in jobs[:5])
            what = "no study was submitted" if name is None else f"there is no job {name}"
            raise TargetError(f"{what} at {self.url}" + (f"; there are {known}" if known else ""))
        return found

    def submit(
        self, file: StudyFile, store: str, mirror: str | None = None, *, replace: bool = False, env: Sequence[str] = ()
    ) -> Submitted:
        """Submit a study; a job of the same study and store that has not ended is followed instead.

        `env` names variables of this process that the job gets too. Raises TargetError, StudyError or StoreError.
        """
        here = self.here
        place = upload.place(store, here)
        if not here:
            upload.portable(file, mirror)
        first = f"{_PREFIX}{file.study.name}-" + fingerprint([file.study.model_dump(mode="json"), place, replace])
        known = {job.id: job for job in self.jobs()}
        count = 1
        while (name := first if count == 1 else f"{first}-{count}") in known:
            if not known[name].ended:
                return Submitted(name, False, 0)
            count += 1
        # Paths within a study are relative to its file, which a cluster on this machine can read where it lies.
        study = str(file.path.resolve()) if here else upload.STUDY
        mirrored = ["--data-mirror", str(Path(mirror).resolve())] if mirror else []
        command = ["-m", "jobs.study", study, "--store", place, *(["--replace"] if replace else []), *mirrored]
        again = ["fewtune", "submit", str(file.path.resolve()), "--store", place, "--address", self.url, *mirrored]
        again += [word for name in env for word in ("--env", name)]
        about = {
            "study": file.study.name,
            "fingerprint": fingerprint(file.study.model_dump(mode="json")),
            "store": place,
            "tree": upload.tree() or "unknown",
            "retry": shlex.join(again),
        }
        with upload.staged(None if here else file.text) as folder:
            sent = upload.sizes(folder)
            try:
                self._submit(name, command, folder, about, env)
            except TargetError:
                # Another laptop may have been first; the API answers that like any other fault.
                if any(job.id == name for job in self.jobs()):
                    return Submitted(name, False, 0)
                raise
        return Submitted(name, True, sum(sent.values()), upload.largest(sent))

    def ask(
        self, module: str, *arguments: str, env: Sequence[str] = (), patience: float = 300.0
    ) -> "tuple[Job, Mapping[str, Any]]":
        """Start a small job and return it with what it answers; it may still run. Raises TargetError."""
        name = f"{_PREFIX}ask-{fingerprint([module, time.time_ns(), os.getpid()])}"
        with upload.staged() as folder:
            self._submit(name, ["-m", module, *arguments], folder, {}, env)
        until = time.monotonic() + patience
        while time.monotonic() < until:
            job = self.job(name)
            text = self.log(name)
            line = next((line for line in text.splitlines() if line.startswith(_ANSWER)), None)
            if line:
                return job, json.loads(line.removeprefix(_ANSWER))
            if job.ended:
                last = text.strip().splitlines()[-1:] or [job.message.strip().splitlines()[-1] if job.message else ""]
                raise TargetError(f"{module} ended {job.status} at {self.url}: {last[0]}")
            time.sleep(0.5)
        self.stop(name)
        raise TargetError(f"{module} did not answer within {patience:.0f} s at {self.url}: is its head overloaded?")

    def _submit(
        self, name: str, command: Sequence[str], folder: Path, about: Mapping[str, str], env: Sequence[str]
    ) -> None:
        variables = upload.variables(env) | {"RAY_JOB_STOP_WAIT_TIME_S": _STOP_SECONDS}
        with told(self.url):
            self._client.submit_job(
                entrypoint=shlex.join([sys.executable if self.here else "python", *command]),
                submission_id=name,
                runtime_env={"working_dir": str(folder), "env_vars": variables},
                metadata=dict(about),
                entrypoint_num_cpus=0,  # on the head, which stays while workers come and go
            )

    def stop(self, name: str) -> None:
        """Ask a job to end."""
        with told(self.url):
            self._client.stop_job(name)

    # --- logs --------------------------------------------------------------------------------------------------

    def log(self, name: str) -> str:
        """All that a job has printed."""
        with told(self.url):
            return self._client.get_job_logs(name)

    def follow(self, name: str, write: Callable[[str], None]) -> Job:
        """Write what a job prints, each character once, until the job has ended, however often the stream breaks.

        Ray's stream may end while the job runs (ray #51601, #57002). Raises TargetError where the cluster has gone.
        """
        unseen, failed = _Unseen(write), 0
        while True:
            with contextlib.suppress(RuntimeError, OSError, aiohttp.ClientError):
                asyncio.run(self._tail(name, unseen))
            try:
                job = self.job(name)
                if job.ended:
                    unseen.restart()
                    unseen(self.log(name))
                    return job
                failed = 0
            except TargetError:
                failed += 1
                if failed == _TRIES:
                    raise
            time.sleep(min(2.0**failed, 10.0))

    async def _tail(self, name: str, unseen: "_Unseen") -> None:
        unseen.restart()
        lines = self._client.tail_job_logs(name)
        with contextlib.suppress(StopAsyncIteration, TimeoutError):
            while True:
                unseen(await asyncio.wait_for(anext(lines), _SILENCE))

    def fetch(self, node: str, name: str) -> bytes:
        """A file of the log folder of a node. Raises TargetError."""
        found = self._get(f"/api/v0/logs/file?node_id={node}&filename={name}&lines=-1&timeout={_REQUEST:.0f}")
        return found.content

    def _get(self, path: str) -> requests.Response:
        with told(self.url):
            found = requests.get(
                f"{self.url}{path}", headers=dict(self._headers), timeout=_REQUEST, proxies=probe.proxies(self.url)
            )
            found.raise_for_status()
            return found


class _Client(JobSubmissionClient):
    """Ray's client, whose requests would otherwise wait for ever, and go to this machine by way of a proxy."""

    def _do_request(self, method: str, endpoint: str, **given: Any) -> Any:
        proxies = probe.proxies(self._address)
        return super()._do_request(method, endpoint, timeout=_REQUEST, proxies=proxies, **given)


class _Unseen:
    """Passes on what was not passed on before, however often the stream is read from its beginning."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write, self._seen, self._at = write, 0, 0

    def restart(self) -> None:
        """The stream begins anew."""
        self._at = 0

    def __call__(self, text: str) -> None:
        fresh = text[max(0, self._seen - self._at) :]
        self._at += len(text)
        if fresh:
            self._seen = self._at
            self._write(fresh)


def _job(found: JobDetails) -> Job:
    about = found.metadata or {}
    return Job(
        id=found.submission_id or "",
        status=found.status.value,
        study=about.get("study", ""),
        store=about.get("store", ""),
        message=found.message or "",
        began=found.start_time or 0,
        exit_code=found.driver_exit_code,
        node=found.driver_node_id or "",
    )


def readable(milliseconds: int) -> str:
    """A time of the cluster's clock, for people."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC") if milliseconds else ""
