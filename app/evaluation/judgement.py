"""Responses -> scores: each response judged once, each metric over the whole test set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from app.evaluation.requests import Request, RequestFacts, judged, scored
from app.tasks import extraction, metrics
from app.tasks.metrics import METRICS, Judged
from app.tasks.prompts import Worked
from app.tasks.task import MetricName, Task

if TYPE_CHECKING:  # a plan reads this room's protocol, and needs no torch for it
    from app.models.generation import Generation
    from app.models.scoring import OptionScores
    from app.tasks.metrics.bertscore import Chooser

PROTOCOL = "3"
"""Changes whenever the same responses would be judged otherwise."""

# Metric of the scores table -> how an option's log-probability is normalised.
ACCURACIES: Mapping[str, metrics.Normalisation] = {
    "accuracy": "sum",
    "accuracy_token": "token",
    "accuracy_character": "character",
    "accuracy_pmi": "pmi",
}


class Response(NamedTuple):
    """What came back for one request."""

    request: Request
    scores: "OptionScores | None"
    """None: not asked for, or an item without options."""
    unconditional: tuple[float, ...]
    """Log-probabilities of the options after the bare answer cue; empty without pmi."""
    generation: "Generation | None"
    """None: not asked for. Of a SampleGen model, all that it wrote."""
    worked: Worked | None = None
    """Under samplegen-direct: what it wrote, read."""


@dataclass
class Tally:
    """Judges responses as they come; holds what was predicted for each item."""

    choices: dict[str, list[Judged]] = field(default_factory=dict[str, list[Judged]])
    """Normalisation's metric -> the likeliest option of each item."""
    answers: list[Judged] = field(default_factory=list[Judged])
    """The answer extracted from each generated text."""
    texts: list[tuple[str, tuple[str, ...]]] = field(default_factory=list[tuple[str, tuple[str, ...]]])
    """Each generated answer as it is, without blanks around it, and the options as shown: what BERTScore compares."""
    failures: int = 0
    """Generated texts without an answer."""
    cut: dict[str, int] = field(default_factory=lambda: {"scored": 0, "written": 0})
    """Prompts that were too long and lost their beginning: room for an answer to write is not that for an option."""
    unread: int | None = None
    """Texts of a SampleGen model that never came to an answer; None: not that condition."""

    def judge(self, response: Response) -> dict[str, object]:
        """The columns of one response row (the group RESPONSE), counted."""
        request, scores, generation, worked = response.request, response.scores, response.generation, response.worked
        row: dict[str, object] = {
            "item": request.item,
            "prompt_hash": request.prompt_hash,
            "options": list(request.options),
            "target": request.target,
            "logprobs": list(scores.logprobs) if scores else [],
            "option_tokens": list(scores.tokens) if scores else [],
            "logprobs_unconditional": list(response.unconditional),
            "choice": None,
            "choice_correct": None,
            "written": generation.text if generation and worked else None,
            "worked": [{"input": text, "answer": answer} for text, answer in worked.demonstrations] if worked else [],
            "restated": _restated(worked, generation) if worked else None,
            "generated": None,
            "prediction": None,
            "prediction_correct": None,
            "rule": None,
        }
        asked = {"written": generation} if worked else {"scored": scores, "written": generation}
        sent = {kind: one for kind, one in asked.items() if one}  # its own words are no part of the prompt
        row["prompt_tokens"] = next((one.prompt_tokens for one in sent.values()), 0)
        row["cut_tokens"] = max((one.cut_tokens for one in sent.values()), default=0)
        for kind, one in sent.items():
            self.cut[kind] += one.cut_tokens != 0
        if worked:
            self.unread = (self.unread or 0) + (worked.until_answer is None)
        if scores:
            row["choice"] = self._choose(request, scores, response.unconditional)
            row["choice_correct"] = row["choice"] in (request.target, *request.references)
        if generation:
            text = (worked.answer or "") if worked else generation.text
            listed = all(option in request.question for option in request.options)
            found = extraction.extract(text, request.options, listed=listed)
            right = metrics.matches(found.answer, request.target, request.references)
            row |= {"generated": text, "prediction": found.answer, "prediction_correct": right, "rule": found.rule}
            self.failures += found.answer is None
            self.answers.append(judged(request, found.answer))
            self.texts.append((text.strip(), request.options))
        return row

    def _choose(self, request: Request, scores: "OptionScores", unconditional: Sequence[float]) -> str:
        """Note the choice under every normalisation; returns the one of the summed log-probability."""
        chosen = ""
        for metric, normalisation in ACCURACIES.items():
            if normalisation == "pmi" and not unconditional:
                continue
            index = metrics.choose(scores.logprobs, scores.tokens, request.options, normalisation, unconditional)
            self.choices.setdefault(metric, []).append(judged(request, request.options[index]))
            if metric == "accuracy":
                chosen = request.options[index]
        return chosen

    def scores(self, facts: RequestFacts, task: Task, chooser: "Chooser | None") -> list[dict[str, object]]:
        """The columns of the score rows (the group SCORE), one for each metric."""
        rows: list[dict[str, object]] = []
        for name in scored(task):
            reads = METRICS[name].reads
            if reads == "choice" and self.choices:
                rows.append(self._score(name, name, self.choices["accuracy"], facts, task))
            elif reads == "generated" and self.answers:
                rows.append(self._score(name, name, self.answers, facts, task))
            elif reads == "bertscore" and chooser and self.answers and all(one.options for one in self.answers):
                found = zip(self.answers, self.texts, chooser.choose(self.texts), strict=True)
                nearest = [
                    one._replace(prediction=None if chosen is None else one.options[shown.index(chosen)])
                    for one, (_, shown), chosen in found
                ]
                rows.append(self._score(name, name, nearest, facts, task))
        for metric in ACCURACIES:
            if metric != "accuracy" and metric in self.choices:
                rows.append(self._score(metric, "accuracy", self.choices[metric], facts, task))
        return rows

    def _score(
        self, called: str, name: MetricName, judged: Sequence[Judged], facts: RequestFacts, task: Task
    ) -> dict[str, object]:
        found, spec = metrics.compute(name, judged, task.positive), METRICS[name]
        return {
            "metric": called,
            "primary": called == task.metric,
            "value": found.value,
            "chance": facts.chance[name],
            "low": spec.low,
            "high": spec.high,
            "n": found.n,
            "stderr": found.stderr,
            "extraction_failures": self.failures if spec.reads == "generated" else None,
            "format_failures": self.unread,
            "cut_prompts": self.cut["scored" if spec.reads == "choice" else "written"],
        }


def _restated(worked: Worked, generation: "Generation | None") -> str | None:
    """The item as the model restated it, unless its longest text ended within it: half an item is none."""
    whole = worked.until_answer is not None or (generation is not None and generation.finished)
    return worked.question if whole else None
