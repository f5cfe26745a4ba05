"""Responses -> scores: each response judged once, each metric over the whole test set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from app.evaluation.requests import Request, RequestFacts
from app.models.generation import Generation
from app.models.scoring import OptionScores
from app.tasks import extraction, metrics

PROTOCOL = "1"
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
    scores: OptionScores | None
    """None: not asked for, or an item without options."""
    unconditional: tuple[float, ...]
    """Log-probabilities of the options after the bare answer cue; empty without pmi."""
    generation: Generation | None


@dataclass
class Tally:
    """Judges responses as they come; holds one flag an item and metric."""

    correct: dict[str, list[bool]] = field(default_factory=dict[str, list[bool]])
    failures: int = 0

    def judge(self, response: Response) -> dict[str, object]:
        """The columns of one response row (the group RESPONSE), counted."""
        request, scores, generation = response.request, response.scores, response.generation
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
            "generated": None,
            "prediction": None,
            "prediction_correct": None,
        }
        told = scores or generation
        row["prompt_tokens"], row["cut_tokens"] = (told.prompt_tokens, told.cut_tokens) if told else (0, 0)
        if scores:
            row["choice"] = self._choose(request, scores, response.unconditional)
            row["choice_correct"] = row["choice"] == request.target
        if generation:
            prediction = extraction.extract(generation.text, request.options)
            right = metrics.matches(prediction, request.target)
            row |= {"generated": generation.text, "prediction": prediction, "prediction_correct": right}
            self.failures += prediction is None
            self.correct.setdefault("exact_match", []).append(right)
        return row

    def _choose(self, request: Request, scores: OptionScores, unconditional: Sequence[float]) -> str:
        """Count the choice under every normalisation; returns the one of the summed log-probability."""
        chosen: dict[str, str] = {}
        for metric, normalisation in ACCURACIES.items():
            if normalisation == "pmi" and not unconditional:
                continue
            index = metrics.choose(scores.logprobs, scores.tokens, request.options, normalisation, unconditional)
            chosen[metric] = request.options[index]
            self.correct.setdefault(metric, []).append(chosen[metric] == request.target)
        return chosen["accuracy"]

    def scores(self, facts: RequestFacts, primary: str) -> list[dict[str, object]]:
        """The columns of the score rows (the group SCORE), one for each metric."""
        rows: list[dict[str, object]] = []
        for metric, flags in self.correct.items():
            mean = metrics.mean_score(flags)
            rows.append(
                {
                    "metric": metric,
                    "primary": metric == primary,
                    "value": mean.value,
                    "chance": facts.chance["accuracy" if metric in ACCURACIES else metric],
                    "n": mean.n,
                    "stderr": mean.stderr,
                    "extraction_failures": self.failures if metric == "exact_match" else None,
                }
            )
        return rows
