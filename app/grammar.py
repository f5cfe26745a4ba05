"""Numbers with their nouns, and lists of names, for sentences that people read."""

from collections.abc import Iterable


def counted(number: float, noun: str, plural: str = "") -> str:
    """`1 cell`, `2 cells`, `0.5 GPUs`; `plural` where an s does not make it."""
    shown = str(number) if isinstance(number, int) else f"{number:g}"
    return f"{shown} {noun if number == 1 else plural or noun + 's'}"


def some(names: Iterable[str], shown: int = 6) -> str:
    """The first few names, and how many more there are."""
    listed = list(names)
    return ", ".join(listed[:shown]) + (f" and {len(listed) - shown} more" if len(listed) > shown else "")
