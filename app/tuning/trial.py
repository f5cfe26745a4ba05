"""One tuning cell, start to record, in this process or by the workers that its recipe asks for.

Cells of runs that are tuned together are made by whichever of them runs first; it fails with its own run's fault alone.
"""

from typing import cast

from peft import PeftModel

from app.errors import CellError
from app.models.source import device
from app.plan import TuneCell
from app.trials import Payload, Progress
from app.tuning import together
from app.tuning.ends import keep, prepare, prepare_together
from app.tuning.loop import train
from app.tuning.sharding import require


def tune(payload: Payload, progress: Progress) -> None:
    """Run the cell and write its record. Raises FewTuneError where the base model, mixture or loss is at fault."""
    cell = cast(TuneCell, payload.cell)
    require(cell.run.recipe.strategy)
    if cell.needs.workers > 1:
        from app.tuning import workers  # Ray Train takes seconds to import, and most cells have one worker

        workers.fit(payload, progress.save_every, progress.tell_every)
        return
    if cell.beside:
        _together(payload, progress, cell)
        return
    made = prepare(payload, device(cell.needs))
    result = train(made.model, made.mixture.examples, made.schedule, cell.run.seed, progress.state(), progress)
    keep(payload, made, result)


def _together(payload: Payload, progress: Progress, cell: TuneCell) -> None:
    """Tune all runs of the cell's group, also those that are done: what one ends with depends on what it lies beside.

    Writes the records that are missing.
    """
    faults: dict[str, str] = {}
    found = prepare_together(payload, device(cell.needs), faults)
    members = {made.adapter: together.Member(made.mixture.examples, made.schedule, made.run.seed) for made in found}
    lost: dict[str, str] = {}
    model = cast(PeftModel, found[0].model)
    results = together.train(model, members, progress.state(), progress, lost)
    for made in found:
        if made.adapter in lost:
            faults[made.run.slug] = lost[made.adapter]
        elif payload.store.read_record(f"tune/{made.run.slug}") is None:
            keep(payload, made, results[made.adapter])
    if cell.run.slug in faults:
        raise CellError(faults[cell.run.slug])
