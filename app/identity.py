"""What identifies a result: canonical JSON, its fingerprint, and a readable slug for paths."""

import hashlib
import json
import platform
import re
from collections.abc import Mapping
from functools import cache
from importlib import metadata

_UNSTABLE = "{path} is a {kind}, which has no stable form: use str, int, float, bool, None, lists and mappings"


def _check(value: object, path: str) -> None:
    if value is None or isinstance(value, bool | int | str):
        return
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            raise ValueError(f"{path} is {value}, which JSON cannot hold")
        return
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(_UNSTABLE.format(path=f"{path} key {key!r}", kind=type(key).__name__))
            _check(item, f"{path}.{key}")
        return
    if isinstance(value, list | tuple):
        for position, item in enumerate(value):
            _check(item, f"{path}[{position}]")
        return
    raise TypeError(_UNSTABLE.format(path=path, kind=type(value).__name__))


def canonical_json(value: object) -> str:
    """The one JSON text of `value`: sorted keys, no blanks, no NaN.

    Raises TypeError or ValueError for a value without a stable form, naming its place.
    """
    _check(value, "value")
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def fingerprint(value: object) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of the canonical JSON of `value`."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:16]


def text_hash(text: str) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of a text (prompts, templates)."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def slug(text: str) -> str:
    """`text` as a path segment: lower case letters, digits, dots, dashes and underscores."""
    cleaned = re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-.")
    if not cleaned:
        raise ValueError(f"{text!r} leaves nothing that a path can hold")
    return cleaned


def differences(old: object, new: object, path: str = "") -> list[str]:
    """One line for each leaf in which two nested values differ: `path: old -> new`."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        lines: list[str] = []
        for key in sorted({*old, *new}):
            lines += differences(old.get(key, _ABSENT), new.get(key, _ABSENT), f"{path}.{key}" if path else str(key))
        return lines
    if _short(old) == _short(new) and canonical_json(old) == canonical_json(new):
        return []
    return [f"{path}: {_short(old)} -> {_short(new)}"]


_ABSENT = object()


def _short(value: object) -> str:
    if value is _ABSENT:
        return "nothing"
    text = canonical_json(value)
    return text if len(text) <= 60 else text[:57] + "..."


_RECORDED = (
    "fewtune", "torch", "transformers", "tokenizers", "peft", "ray", "datasets", "pyarrow", "numpy", "scipy",
    "statsmodels", "vllm",
)  # fmt: skip


def versions() -> dict[str, str]:
    """Versions of what computes, recorded beside every result; only what is installed."""
    return dict(_versions())


@cache
def _versions() -> tuple[tuple[str, str], ...]:
    """Read once: it takes as long as some evaluations."""
    found = {"python": platform.python_version(), "platform": f"{platform.system()} {platform.machine()}"}
    for package in _RECORDED:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return tuple(found.items())
