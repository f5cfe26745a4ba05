"""The procedural tasks of the embedded study, and how the pretraining corpus speaks of them."""

from app.tasks.generated import sequences, stories, words
from app.tasks.generated.procedure import Procedure
from app.tasks.task import Task

PROCEDURES: tuple[Procedure, ...] = words.PROCEDURES + sequences.PROCEDURES + stories.PROCEDURES
TASKS: tuple[Task, ...] = tuple(procedure.task for procedure in PROCEDURES)
