"""The profile file: a cluster's address and a place for stores, so that they need not be given each time.

`~/.config/fewtune/config.toml` (below XDG_CONFIG_HOME where that is set). Flags and environment variables win.

    address = "http://127.0.0.1:8265"
    store = "s3://bucket/fewtune/{study}"
"""

import difflib
import os
import tomllib
from pathlib import Path
from typing import NamedTuple

from app.errors import InputError

_KEYS = ("address", "store")
_STUDY = "{study}"


class Profile(NamedTuple):
    """What the file holds; None: it says nothing of that."""

    address: str | None = None
    """URL of a cluster's dashboard."""
    store: str | None = None
    """Folder or URI of a store, or with {study} of one for each study."""

    def store_of(self, study: str | None) -> str | None:
        """The store of a study. Raises InputError where it depends on the study, and none is named."""
        if self.store is None or _STUDY not in self.store:
            return self.store
        if study is None:
            raise InputError(f"the profile keeps a store for each study ({self.store}): name a study, or give --store")
        return self.store.replace(_STUDY, study)


def path() -> Path:
    """Where the profile lies."""
    home = os.environ.get("XDG_CONFIG_HOME")
    return (Path(home) if home else Path.home() / ".config") / "fewtune" / "config.toml"


def read() -> Profile:
    """The profile, or an empty one where there is no file. Raises InputError for one that cannot be read."""
    place = path()
    try:
        given = tomllib.loads(place.read_text())
    except FileNotFoundError:
        return Profile()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as fault:
        raise InputError(f"{place}: the profile cannot be read ({fault})") from fault
    for key, value in given.items():
        if key not in _KEYS:
            near = difflib.get_close_matches(key, _KEYS, 1, 0.7)
            hint = f"did you mean {near[0]}?" if near else f"valid here: {', '.join(_KEYS)}"
            raise InputError(f"{place}: unknown key {key}; {hint}")
        if not isinstance(value, str) or not value:
            raise InputError(f"{place}: {key} is {value!r}: give a text in quotes")
    return Profile(given.get("address"), given.get("store"))
