"""Test items for the report's explorer: what both sides of a pair read and answered, in the base model's tokens."""

from collections.abc import Iterator
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from transformers import PreTrainedTokenizerBase

from app.analysis.pairing.items import RIGHT, asked
from app.analysis.reporting.explorer import Row, examples, in_turn, outcomes, shortened, spread
from app.analysis.reporting.facts import ItemView, Piece, Pieces
from app.errors import CellError, StoreError
from app.evaluation import requests
from app.models import chat, token_audit
from app.models.source import tokenizer_at_hand
from app.plan import EvaluateCell, Plan
from app.stages import evidence
from app.store import Store
from app.study import Analysis
from app.tasks import prompts


class _Seen(NamedTuple):
    """An item on one side of a pair."""

    prompt: str
    answer: str
    target: str


def views(planned: Plan, store: Store, pairs: pa.Table, items: pa.Table, analysis: Analysis) -> list[ItemView]:
    """Items of as many tasks, models and outcomes as there is room for; the same tables give the same items.

    Tasks take turns, one item each time, and begin with different outcomes: where the room ends, each has had its
    share. Neighbouring tasks show other models. `pairs` and `items` are the tables of that name.
    """
    look = _Look(planned, store, analysis)
    of_task: dict[str, list[Row]] = {}
    for row in pairs.to_pylist():
        of_task.setdefault(row["task"], []).append(row)
    turns = [look.turns(number, rows, items) for number, (_, rows) in enumerate(sorted(of_task.items()))]
    return in_turn(turns)


class _Look:
    """Reads items of a store, each tokenizer once."""

    def __init__(self, planned: Plan, store: Store, analysis: Analysis) -> None:
        self._store, self._analysis = store, analysis
        self._known = evidence.finished(planned, store)
        self._tokenizers: dict[str, PreTrainedTokenizerBase | None] = {}

    def turns(self, number: int, rows: list[Row], items: pa.Table) -> Iterator[ItemView]:
        """The items of one task, the `number`-th: pair by pair, and of each an item of every outcome."""
        rows.sort(key=lambda row: (str(row["base"]), str(row["run"])))
        for row in spread(rows, number):
            found = self._pair(row, items)
            yield from (found[outcome] for outcome in outcomes(number) if outcome in found)

    def _pair(self, row: Row, items: pa.Table) -> dict[tuple[bool, bool], ItemView]:
        """An item of each outcome, as far as there are; nothing where prompts or answers are gone."""
        mine = (pc.field("task") == row["task"]) & (pc.field("base") == row["base"])
        mine &= pc.field("run").is_null() if row["run"] is None else pc.field("run") == row["run"]
        chosen = examples(items.filter(mine))
        sides: list[EvaluateCell] = []
        for side in ("x", "y"):
            cells = evidence.seeds(self._known, asked(row, side, str(row[f"{side}_condition"]), self._analysis))
            sides += cells[:1]
        if len(sides) < 2 or not chosen:
            return {}
        by_choice = RIGHT.get(str(row["metric"])) == "choice_correct"
        x, y = (self._seen(side, set(chosen.values()), by_choice) for side in sides)
        return {
            outcome: self._view(row, item, sides[0], x[item], y[item], outcome)
            for outcome, item in chosen.items()
            if item in x and item in y
        }

    def _view(
        self, row: Row, item: str, cell: EvaluateCell, x: _Seen, y: _Seen, outcome: tuple[bool, bool]
    ) -> ItemView:
        place = (str(row["task"]), str(row["base"]), str(row["run"] or row["base"]), item)
        tokenizer, pieces = self._tokenizer(cell), None
        if tokenizer:
            texts = (shortened(x.prompt), shortened(y.prompt), x.answer, y.answer)
            pieces = Pieces(*(tuple(Piece(*part) for part in token_audit.parts(tokenizer, text)) for text in texts))
        return ItemView(*place, x.prompt, y.prompt, x.answer, y.answer, x.target, *outcome, pieces)

    def _seen(self, cell: EvaluateCell, wanted: set[str], by_choice: bool) -> dict[str, _Seen]:
        """Prompts and answers of some items; the answer is the one that was judged: the chosen option, or the text."""
        table = evidence.read(self._store, cell, ("item", "choice", "generated", "target"))
        if table is None:
            return {}
        try:
            contexts = {
                one.item: self._sent(cell, one.context)
                for batch in requests.read(cell, self._store)
                for one in batch
                if one.item in wanted
            }
        except (StoreError, pa.ArrowInvalid, OSError):
            return {}
        return {
            row["item"]: _Seen(
                contexts[row["item"]],
                (row["choice"] if by_choice or row["generated"] is None else row["generated"]) or "",
                row["target"],
            )
            for row in table.to_pylist()
            if row["item"] in contexts
        }

    def _sent(self, cell: EvaluateCell, context: str) -> str:
        """The prompt as the model got it: in its chat template, where it has one and the tokenizer is at hand."""
        tokenizer = self._tokenizer(cell) if cell.answerer and cell.answerer.recipe.chat else None
        if tokenizer is None:
            return context
        cue = prompts.EXAMPLES_CUE if cell.condition.name == "samplegen-direct" else prompts.ANSWER_CUE
        try:
            return chat.wrap(tokenizer, context, cue)
        except CellError:
            return context

    def _tokenizer(self, cell: EvaluateCell) -> PreTrainedTokenizerBase | None:
        base = cell.base
        if base.slug not in self._tokenizers:
            self._tokenizers[base.slug] = tokenizer_at_hand(base, self._store)
        return self._tokenizers[base.slug]
