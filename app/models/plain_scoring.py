"""Scoring as one would write it first: a forward for each option, whole, alone. What the engine must equal."""

from collections.abc import Sequence

import torch

from app.models.adapters import check_named
from app.models.loading import LoadedModel, causal
from app.models.scoring import OptionScores, ScoreRequest, encode_requests


def plain(loaded: LoadedModel, requests: Sequence[ScoreRequest]) -> list[OptionScores]:
    """What `scoring.score` gives, one option at a time. Raises CellError as it does."""
    check_named(loaded)
    model = causal(loaded)
    found: list[OptionScores] = []
    for encoded in encode_requests(loaded, requests):
        logprobs: list[float] = []
        greedy: list[bool] = []
        for context, option in encoded.queries:
            ids = torch.tensor([context + option], device=model.device)
            with torch.inference_mode():
                logits = model(input_ids=ids, use_cache=False).logits[0, len(context) - 1 : -1].float()
            answer = torch.tensor(option, device=model.device)
            logprobs.append(float(logits.log_softmax(-1).gather(1, answer[:, None]).double().sum()))
            greedy.append(bool((logits.argmax(-1) == answer).all()))
        lengths = tuple(len(query.option) for query in encoded.queries)
        found.append(OptionScores(tuple(logprobs), lengths, tuple(greedy), encoded.prompt_tokens, encoded.cut_tokens))
    return found
