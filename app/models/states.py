"""The state of an unfinished training as a file."""

from collections.abc import Mapping
from pathlib import Path

import torch


def write_state(path: Path, state: Mapping[str, object]) -> None:
    """Write tensors, numbers and text for `torch.load(weights_only=True)`. Raises OSError where there is no room.

    torch, which closes its archive all the same, then says that the position is unexpected: the OSError lies below, if
    torch was given an open file.
    """
    with path.open("wb") as stream:
        try:
            torch.save(dict(state), stream)
        except RuntimeError as fault:
            if isinstance(fault.__context__, OSError):
                raise fault.__context__ from None
            raise
