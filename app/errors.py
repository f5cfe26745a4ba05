"""The error tree. A message says what is wrong, where, and how to mend it; every error survives pickling.

FewTuneError                exit code 1: the run failed
├── InputError              exit code 2: what the user gave is wrong
│   ├── StudyError          the study file
│   ├── TaskError           an unknown task, a missing split, too few demonstrations
│   ├── ModelError          a base model or checkpoint that cannot be loaded
│   ├── StoreError          a store of another study, stale cells
│   │   └── AwayError       a store that does not answer at present
│   └── TargetError         a cluster that is not there, refuses, or does not fit
└── CellError               a cell failed while it ran

OSError
└── FullError               the disk that holds the store is full
"""

import errno
import os


class FewTuneError(Exception):
    """Anything that FewTune itself refuses or reports; `exit_code` is what the command line ends with."""

    exit_code = 1


class InputError(FewTuneError):
    """What the user gave is wrong."""

    exit_code = 2


class StudyError(InputError):
    """The study file is wrong; the message holds one line for each fault."""


class TaskError(InputError):
    """A task is unknown, lacks a split, or cannot give the demonstrations asked for."""


class ModelError(InputError):
    """A base model, adapter or checkpoint cannot be loaded as declared."""


class StoreError(InputError):
    """The store belongs to another study or holds cells made from other inputs."""


class AwayError(StoreError):
    """The store does not answer, or refuses for now; the same may succeed a little later."""


class TargetError(InputError):
    """A cluster is not at its address, refuses the token, or cannot take what it is given."""


class CellError(FewTuneError):
    """A cell failed while it ran; what was finished before stays in the store."""


DISK_FULL = "the disk is full: free some space and run the same command again; finished cells are kept"


_FULL = (errno.ENOSPC, errno.EDQUOT)


class FullError(OSError):
    """The disk that holds the store is full: no other node has more room there."""

    def __init__(self) -> None:
        super().__init__(errno.ENOSPC, DISK_FULL)

    def __reduce__(self) -> tuple[type["FullError"], tuple[()]]:
        return FullError, ()


def disk_full(fault: BaseException) -> bool:
    """Whether a fault means that nothing more can be written."""
    if isinstance(fault, OSError):
        return fault.errno in _FULL
    return any(os.strerror(number) in str(fault) for number in _FULL)  # safetensors tells it in words


def passing(fault: BaseException) -> str:
    """The sentence of a fault that time or another node may mend; empty for any other."""
    if isinstance(fault, AwayError):
        return str(fault)
    return DISK_FULL if disk_full(fault) and not isinstance(fault, FullError) else ""
