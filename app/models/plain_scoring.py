"""Scoring as one would write it first: a forward for each option, whole, alone. What the engine must equal."""

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel

from app.models.adapters import check_named
from app.models.loading import LoadedModel, causal
from app.models.queries import ScoreRequest, encode_requests
from app.models.scoring import OptionScores
from app.models.tokens import Tokens


def plain(loaded: LoadedModel, requests: Sequence[ScoreRequest]) -> list[OptionScores]:
    """What `scoring.score` gives, one option at a time. Raises CellError as it does."""
    check_named(loaded)
    model = causal(loaded)
    found: list[OptionScores] = []
    for encoded in encode_requests(loaded, requests):
        logprobs: list[float] = []
        greedy: list[bool] = []
        for option in encoded.options:
            with torch.inference_mode():
                logits = _logits(model, encoded.context, option).float()
            answer = torch.tensor(option, device=model.device)
            logprobs.append(float(logits.log_softmax(-1).gather(1, answer[:, None]).double().sum()))
            greedy.append(bool((logits.argmax(-1) == answer).all()))
        lengths = tuple(map(len, encoded.options))
        found.append(OptionScores(tuple(logprobs), lengths, tuple(greedy), encoded.prompt_tokens, encoded.cut_tokens))
    return found


def _logits(model: PreTrainedModel, context: Tokens, option: Tokens) -> torch.Tensor:
    """Of shape (tokens of the option, vocabulary)."""
    if model.config.is_encoder_decoder:  # the model itself puts its start before the labels
        ids, labels = (torch.tensor([row], device=model.device) for row in (context, option))
        return model(input_ids=ids, labels=labels, use_cache=False).logits[0]
    ids = torch.tensor([context + option[:-1]], device=model.device)
    return model(input_ids=ids, use_cache=False).logits[0, len(context) - 1 :]
