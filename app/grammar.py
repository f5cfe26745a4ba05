"""Numbers with their nouns, for sentences that people read."""


def counted(number: float, noun: str, plural: str = "") -> str:
    """`1 cell`, `2 cells`, `0.5 GPUs`; `plural` where an s does not make it."""
    shown = str(number) if isinstance(number, int) else f"{number:g}"
    return f"{shown} {noun if number == 1 else plural or noun + 's'}"
