"""The store: every artefact of a study under one root, a local path or a URI (s3://, gs://, file://, ...).

store.json  study.yaml              whose store this is
records/<kind>/<slug>.json          one for each finished cell, written last: it exists, so the cell is done
models/<base>/                      checkpoints of base models made here
checkpoints/<run>/                  tuned models: an adapter, or a whole checkpoint
trials/                             what Ray Tune keeps of unfinished tunings
requests/  tables/  report/         prompts, Arrow tables, the report
"""

from app.store.record import Artefact, Record
from app.store.store import Store, Survey

__all__ = ["Artefact", "Record", "Store", "Survey"]
