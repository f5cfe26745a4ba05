"""One tuning cell, start to record, in this process or by the workers that its recipe asks for."""

from typing import cast

from app.models.source import device
from app.plan import TuneCell
from app.trials import Payload, Progress
from app.tuning.ends import keep, prepare
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
    made = prepare(payload, device(cell.needs))
    result = train(made.model, made.mixture.examples, made.schedule, cell.run.seed, progress.state(), progress)
    keep(payload, made, result)
