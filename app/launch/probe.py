"""Is there a cluster at an address that this machine can work with? Answers in under five seconds, in one sentence.

The token is found as Ray's own client finds it (RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH, ~/.ray/auth_token), goes into
the header of requests and nowhere else.
"""

import os
import platform
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit

import ray
import requests
from ray import _raylet
from ray.exceptions import AuthenticationError

from app.errors import TargetError

_QUESTION = 2.0  # seconds for each of the two questions
_PATIENCE = 4.8  # seconds for both: looking up a name obeys no limit of its own
_UNAUTHORISED, _FORBIDDEN = 401, 403
_NOBODY = (502, 503, 504)  # answers of a proxy that reaches nobody
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Versions(NamedTuple):
    """What a cluster runs."""

    ray: str
    python: str
    """Empty where the dashboard does not tell."""


def url(address: str) -> str:
    """The dashboard's URL. Raises TargetError for an address of another kind."""
    text = address if "://" in address else f"http://{address}"
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise TargetError(f"{address} is not the URL of a Ray dashboard: give it as http://HOST:8265")
    if parts.username or parts.password:
        raise TargetError("the address holds a password: leave it out, the token comes from RAY_AUTH_TOKEN")
    return f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")


def local(place: str) -> bool:
    """Whether a URL leads to this machine, or into a tunnel that begins here."""
    return urlsplit(place).hostname in _LOOPBACK


def proxies(place: str) -> dict[str, str]:
    """For `requests`: this machine is spoken to directly, whatever HTTP_PROXY says."""
    return {"no_proxy": urlsplit(place).hostname or ""} if local(place) else {}


def headers() -> Mapping[str, str]:
    """The header with the token, if there is one."""
    if os.environ.get("RAY_AUTH_MODE", "").lower() == "disabled":
        return {}
    loader = cast(Any, _raylet).AuthenticationTokenLoader.instance()
    try:
        return loader.get_token_for_http_header(ignore_auth_mode=True)
    except AuthenticationError:
        raise TargetError("the token cannot be read: RAY_AUTH_TOKEN_PATH must name a file with one line") from None


def probe(place: str, given: Mapping[str, str]) -> Versions:
    """What the cluster at `place` (a URL) runs. Raises TargetError where none answers in time, or refuses the token."""
    return _in_time(place, lambda: _ask(place, given))


def _in_time(place: str, work: Callable[[], Versions]) -> Versions:
    """What `work` returns or raises. Raises TargetError where it takes too long."""
    found: list[Versions | BaseException] = []

    def run() -> None:
        try:
            found.append(work())
        except BaseException as fault:  # handed over to the caller's thread
            found.append(fault)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(_PATIENCE)
    if not found:
        raise TargetError(f"{place} does not answer within {_PATIENCE:.0f} s: is the address right, and the tunnel up?")
    if isinstance(found[0], BaseException):
        raise found[0]
    return found[0]


def _ask(place: str, given: Mapping[str, str]) -> Versions:
    """Ray's and Python's version at the address. Raises TargetError."""

    def ask(path: str) -> Mapping[str, Any]:
        with told(place):
            answer = requests.get(f"{place}{path}", headers=dict(given), timeout=_QUESTION, proxies=proxies(place))
            if answer.status_code in _NOBODY:
                raise TargetError(
                    f"no cluster answers at {place}, says a proxy on the way there (HTTP {answer.status_code}): "
                    f"is the address right, the cluster up, the tunnel open?"
                )
            _authorised(place, answer.status_code, bool(given))
            try:
                return answer.json() if answer.ok else {}
            except requests.JSONDecodeError:
                return {}

    version = ask("/api/version")
    if "ray_version" not in version:
        raise TargetError(f"{place} answers, but is no Ray dashboard with a job server: give the URL of one")
    return Versions(version["ray_version"], ask("/api/v0/cluster_metadata").get("data", {}).get("pythonVersion", ""))


def _authorised(place: str, status: int, given: bool) -> None:
    """Raise TargetError for an answer that asks for another token."""
    if status == _UNAUTHORISED and not given:
        raise TargetError(
            f"{place} asks for a token, and there is none here: set RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH"
        )
    if status in (_UNAUTHORISED, _FORBIDDEN):
        raise TargetError(
            f"{place} refuses the token of this machine: set RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH to the cluster's"
        )


def check(place: str, found: Versions) -> None:
    """Raise TargetError for another Ray or Python than here: code and checkpoints would not fit."""
    here = Versions(ray.__version__, platform.python_version())
    for name, theirs, ours in (("Ray", found.ray, here.ray), ("Python", found.python, here.python)):
        if theirs and theirs.split(".")[:2] != ours.split(".")[:2]:
            raise TargetError(
                f"{place} runs {name} {theirs}, this machine {ours}: use the same minor version on both sides"
            )


@contextmanager
def told(place: str) -> Generator[None]:
    """Faults of a request, each as one sentence. Raises TargetError."""
    try:
        yield
    except requests.Timeout:
        raise TargetError(f"{place} does not answer in time: is the address right, and the cluster up?") from None
    except (requests.ConnectionError, ConnectionError):
        raise TargetError(
            f"no cluster answers at {place}: is the address right, the cluster up, the tunnel open?"
        ) from None
    except AuthenticationError:
        _authorised(place, _FORBIDDEN, given=True)
    except (requests.RequestException, RuntimeError) as fault:
        raise TargetError(f"{place} answers: {last_line(str(fault))}") from None


def last_line(text: str) -> str:
    """What matters of an answer with a traceback in it."""
    return text.strip().splitlines()[-1][:300] if text.strip() else "nothing"
