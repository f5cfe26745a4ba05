"""The ladder's families and sizes, known without making a model of them.

Heads are 16 wide; input and output embeddings are one matrix, which holds most of a small model.
"""

from app.errors import InputError
from app.pretraining.vocabulary import CONTEXT, vocabulary

FAMILIES = ("gpt2", "llama", "neox", "opt", "bloom", "qwen")
HEAD_WIDTH = 16
DEPTHS = range(1, 9)
WIDTHS = range(HEAD_WIDTH, 257, HEAD_WIDTH)


def check(family: str, width: int, depth: int) -> None:
    """Raise InputError for an unknown family or a size outside `WIDTHS` and `DEPTHS`."""
    if family not in FAMILIES:
        raise InputError(f"the ladder has no family {family!r}: choose from {', '.join(FAMILIES)}")
    if width not in WIDTHS or depth not in DEPTHS:
        raise InputError(
            f"the ladder has no size {width}x{depth}: the width is a multiple of {HEAD_WIDTH} from {WIDTHS[0]} to "
            f"{WIDTHS[-1]}, the depth {DEPTHS[0]} to {DEPTHS[-1]}"
        )


def gated(width: int) -> int:
    """Hidden size of a gated layer with about as many weights as a plain one of four times the width."""
    return 8 * width // 3 // 16 * 16


def parameters(family: str, width: int, depth: int) -> int:
    """Number of weights of a rung (a tied matrix counts once), as its architecture lays them out.

    Raises InputError as `check` does.
    """
    check(family, width, depth)
    square = width * width
    if family in ("llama", "qwen"):  # no biases; two norms of a layer and the last one are scales alone
        layer = 4 * square + 3 * width * gated(width) + 2 * width + (2 * HEAD_WIDTH if family == "qwen" else 0)
        last = width
    else:  # attention 4, feed-forward 8 matrices of width x width; 9 vectors of biases, 4 of norms
        layer = 12 * square + 13 * width
        last = 2 * width
    # Positions: OPT's table has two rows more; BLOOM has none, but a norm behind its embeddings.
    before = {"gpt2": CONTEXT * width, "opt": (CONTEXT + 2) * width, "bloom": 2 * width}.get(family, 0)
    return len(vocabulary()) * width + before + depth * layer + last


def learning_rate(family: str, width: int, depth: int) -> float:
    """Peak learning rate of the matrices of a rung, measured on the development tasks.

    Raises InputError as `check` does.
    """
    check(family, width, depth)
    return 0.02
