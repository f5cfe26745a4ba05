"""Where the weights of a plan's base model or run lie, and on which device they are held."""

import torch

from app.errors import CellError
from app.models.loading import ModelSource
from app.plan import Base, Needs, Run
from app.store import Store


def base_folder(base: Base) -> str:
    """Folder of a base model made by this study, within the store."""
    return f"models/{base.slug}"


def run_folder(run: Run) -> str:
    """Folder of a tuned model within the store: an adapter, or a whole checkpoint."""
    return f"checkpoints/{run.slug}"


def base_source(base: Base, store: Store) -> ModelSource:
    """The base model's weights: from the store if they were made here, else as the study names them."""
    if base.stored:
        folder = store.folder(base_folder(base), str(base.inputs))
        return ModelSource("checkpoint", str(folder), None, base.dtype)
    kind = "hub" if base.source == "hub" else "checkpoint"
    return ModelSource(kind, base.location, base.revision, base.dtype, base.trust_remote_code)


def run_source(run: Run, store: Store) -> ModelSource:
    """The weights that answer for a fully tuned run."""
    folder = store.folder(run_folder(run), str(run.inputs))
    return ModelSource("checkpoint", str(folder), None, run.base.dtype)


def device(needs: Needs) -> str:
    """`cuda` where the cell holds a GPU. Raises CellError where torch sees none."""
    if needs.gpus and not torch.cuda.is_available():
        raise CellError("the study asks for a GPU, and torch sees none on this node: set resources.gpus to 0")
    return "cuda" if needs.gpus else "cpu"
