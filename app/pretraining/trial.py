"""One cell that makes a base model, start to record: a pretraining, or a GGUF file turned into a checkpoint."""

import shutil
import tempfile
import time
from pathlib import Path

from app.errors import CellError
from app.models.loading import ModelSource, load, parameters, save_checkpoint
from app.models.source import base_folder, environment
from app.pretraining import loop
from app.store import Artefact, Record
from app.trials import STATE, Payload, Progress


def pretrain(payload: Payload, progress: Progress) -> None:
    """Pretrain the cell's base model and write its record."""
    started = time.monotonic()
    cell, store = payload.cell, payload.store
    spec = cell.base.ladder
    if spec is None:
        raise CellError(f"{cell.slug} is no model of the ladder")
    with tempfile.TemporaryDirectory(prefix="fewtune-") as scratch:
        state = Path(scratch) / STATE
        earlier = progress.state()
        if earlier is not None:
            shutil.copy(earlier, state)

        def save(path: Path) -> None:
            shutil.copy(state, path)

        def report(at: loop.Progress) -> None:
            progress(at.step, at.steps, save if state.exists() else None)

        artefacts: dict[str, Artefact] = {}
        with store.new_folder(base_folder(cell.base), artefacts) as folder:
            result = loop.pretrain(spec, folder, state=state, report=report)
    facts = {key: value for key, value in result._asdict().items() if key != "seconds"}
    seconds = time.monotonic() - started
    store.write_record(Record(cell.kind, cell.slug, cell.inputs, facts, seconds, environment("cpu"), artefacts))


def convert(payload: Payload, progress: Progress) -> None:
    """De-quantise the cell's GGUF file into an ordinary checkpoint and write its record."""
    started = time.monotonic()
    cell, store = payload.cell, payload.store
    loaded = load(ModelSource("gguf", cell.base.location, None, cell.base.dtype))
    artefacts: dict[str, Artefact] = {}
    with store.new_folder(base_folder(cell.base), artefacts) as folder:
        folder.rmdir()  # it writes a folder that is not there yet
        save_checkpoint(loaded, folder)
    facts = {"parameters": parameters(loaded)}
    seconds = time.monotonic() - started
    store.write_record(Record(cell.kind, cell.slug, cell.inputs, facts, seconds, environment("cpu"), artefacts))
    progress(1, 1)
