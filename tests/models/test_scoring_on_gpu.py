"""On a GPU the engine gives the plain numbers too, and memory that really runs out costs time and no answer."""

import copy
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from app.models.generation import generate
from app.models.loading import LoadedModel, causal
from app.models.plain_scoring import plain
from app.models.scoring import OptionScores, ScoreRequest, score

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")

Make = Callable[..., LoadedModel]

SHOTS = "Question: hot\nAnswer: cold\n\nQuestion: big\nAnswer: small\n\n"
OPTIONS = (" down", " yes, yes and never", " yes, yes", " no", " yes")
ASKED = ("up", "is it true", "the capital of France is Paris, and that of Germany is", "never before", "up")
REQUESTS = [
    *(ScoreRequest(f"{SHOTS}Question: {asked}\nAnswer:", OPTIONS) for asked in ASKED),
    *(ScoreRequest(f"Is it true? {asked}\nAnswer:", (" no", " yes", " no")) for asked in ASKED),
    ScoreRequest("", (" yes", "no")),
    ScoreRequest("Is it true? yes no " * 60, OPTIONS),
]


def on_gpu(loaded: LoadedModel, dtype: torch.dtype = torch.float32) -> LoadedModel:
    return replace(loaded, model=copy.deepcopy(causal(loaded)).to("cuda", dtype), device="cuda")


def assert_same(found: list[OptionScores], expected: list[OptionScores], within: float = 1e-4) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=within)
        assert one._replace(logprobs=(), greedy=()) == other._replace(logprobs=(), greedy=())


def test_every_family_gives_the_plain_numbers_there_and_those_of_the_cpu(make_loaded: Make, family: str) -> None:
    loaded = on_gpu(make_loaded(family))
    expected = plain(loaded, REQUESTS)
    for batch_tokens in (1, 200, None):
        found = score(loaded, REQUESTS, batch_tokens)
        assert_same(found, expected)
        assert [one.greedy for one in found] == [one.greedy for one in expected]
    assert_same(expected, score(make_loaded(family), REQUESTS), within=2e-3)


def test_half_precision_scores_within_its_rounding(make_loaded: Make) -> None:
    loaded = on_gpu(make_loaded(), torch.bfloat16)
    assert_same(score(loaded, REQUESTS), plain(loaded, REQUESTS), within=0.3)


@pytest.mark.parametrize("name", ["llama", "gpt2", "bloom", "mistral"])
def test_texts_are_those_of_the_cpu(make_loaded: Make, name: str) -> None:
    contexts = [f"{SHOTS}Question: {asked}\nAnswer:" for asked in ASKED]
    found, expected = (generate(one, contexts, 8) for one in (on_gpu(make_loaded(name)), make_loaded(name)))
    assert [one.text for one in found] == [one.text for one in expected]


def test_memory_that_runs_out_halves_the_batches_and_changes_no_number(make_loaded: Make) -> None:
    loaded = on_gpu(make_loaded())
    many = [ScoreRequest(f"{SHOTS}Question: {number}\nAnswer:", OPTIONS) for number in range(2_000)]
    expected = score(loaded, many)
    torch.cuda.empty_cache()
    whole = torch.cuda.get_device_properties(0).total_memory
    used, before = torch.cuda.memory_reserved(), torch.cuda.memory_stats()["num_ooms"]
    try:
        torch.cuda.set_per_process_memory_fraction((used + 48 * 2**20) / whole)
        found = score(loaded, many, 2**20)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert torch.cuda.memory_stats()["num_ooms"] > before
    assert_same(found, expected)
