"""Scores equal those of a naive one-by-one forward over the whole sequence."""

from collections.abc import Callable

import pytest
import torch

from app.errors import CellError
from app.models.loading import LoadedModel, context_length
from app.models.scoring import OptionScores, ScoreRequest, score

Make = Callable[..., LoadedModel]

SHOTS = "Question: hot\nAnswer: cold\n\nQuestion: big\nAnswer: small\n\n"
TEXT = "The capital of France is Paris. Is it true? yes no maybe, the answer is yes."
REQUESTS = [
    ScoreRequest(SHOTS + "Question: up\nAnswer:", (" down", " up", " yes, yes and never", " no")),
    ScoreRequest("Question: up\nAnswer:", (" down", " Berlin")),
    ScoreRequest("Question: up\nAnswer:", (" down", " Paris.")),
    ScoreRequest("Is it true? ", ("yes", "no", "maybe: the answer is yes")),
    ScoreRequest("", (" yes", "no")),
    ScoreRequest("The capital of France is", (" Paris", " Paris. The capital of Germany is Berlin")),
    ScoreRequest("neve", ("r", "r before")),
]


def naive(loaded: LoadedModel, request: ScoreRequest) -> list[tuple[float, int, bool]]:
    """One full forward for each option, log_softmax over the whole vocabulary at every position."""
    results = []
    for option in request.options:
        context = request.context.rstrip()
        option = request.context[len(context) :] + option if context else option
        if context:
            before = loaded.tokenizer(context).input_ids
            after = loaded.tokenizer(context + option).input_ids[len(before) :]
            after = after or loaded.tokenizer(option, add_special_tokens=False).input_ids
        else:
            before, after = [1], loaded.tokenizer(option, add_special_tokens=False).input_ids
        with torch.no_grad():
            logits = loaded.model(torch.tensor([before + after])).logits[0]
        table = logits.log_softmax(-1)[len(before) - 1 : -1]
        value = sum(float(table[place, token]) for place, token in enumerate(after))
        results.append((value, len(after), table.argmax(-1).tolist() == after))
    return results


def assert_equal(scores: OptionScores, expected: list[tuple[float, int, bool]]) -> None:
    assert scores.logprobs == pytest.approx([value for value, _, _ in expected], abs=1e-4)
    assert list(scores.tokens) == [count for _, count, _ in expected]
    assert list(scores.greedy) == [greedy for _, _, greedy in expected]
    values = [value for value, _, _ in expected]
    assert max(range(len(values)), key=scores.logprobs.__getitem__) == max(range(len(values)), key=values.__getitem__)


@pytest.mark.parametrize("bos", [True, False])
def test_batched_scores_equal_one_by_one_forwards_in_every_family(make_loaded: Make, family: str, bos: bool) -> None:
    loaded = make_loaded(family, bos=bos)
    for batch_tokens in (1, 200):
        for request, scores in zip(REQUESTS, score(loaded, REQUESTS, batch_tokens), strict=True):
            assert_equal(scores, naive(loaded, request))


def test_the_likeliest_continuation_is_called_greedy(make_loaded: Make, family: str) -> None:
    loaded = make_loaded(family)
    found = 0
    for context in [TEXT[:length].rstrip() for length in range(8, 60)]:
        ids = loaded.tokenizer(context).input_ids
        with torch.no_grad():
            best, second = loaded.model(torch.tensor([ids])).logits[0, -1].topk(2).indices.tolist()
        options = tuple(loaded.tokenizer.decode([token]) for token in (best, second))
        if [loaded.tokenizer(context + option).input_ids for option in options] == [[*ids, best], [*ids, second]]:
            (scores,) = score(loaded, [ScoreRequest(context, options)], 512)
            assert scores.greedy == (True, False)
            assert scores.logprobs[0] >= scores.logprobs[1]
            found += 1
    assert found


def test_a_tokenizer_without_padding_token_gives_the_same_scores(make_loaded: Make) -> None:
    assert score(make_loaded(pad=False), REQUESTS, 300) == score(make_loaded(pad=True), REQUESTS, 300)


def test_the_same_requests_give_the_same_bits(make_loaded: Make, family: str) -> None:
    loaded = make_loaded(family)
    assert score(loaded, REQUESTS, 300) == score(loaded, REQUESTS, 300)


def test_a_request_given_twice_is_computed_once_and_answered_twice(make_loaded: Make) -> None:
    loaded = make_loaded()
    rows = counted_rows(loaded, [REQUESTS[0], REQUESTS[0]])
    assert rows == counted_rows(loaded, [REQUESTS[0]])
    first, second = score(loaded, [REQUESTS[0], REQUESTS[0]], 300)
    assert first == second


def test_one_token_options_share_one_row(make_loaded: Make) -> None:
    loaded = make_loaded()
    options = (" no", " is", " yes")
    assert all(len(loaded.tokenizer(option, add_special_tokens=False).input_ids) == 1 for option in options)
    assert counted_rows(loaded, [ScoreRequest("Is it true? Answer:", options)]) == 1


def counted_rows(loaded: LoadedModel, requests: list[ScoreRequest]) -> int:
    """Rows that pass the token embeddings, after the forward that looks at the head."""
    score(loaded, requests, 300)
    rows: list[int] = []
    hook = loaded.model.get_input_embeddings().register_forward_hook(lambda _m, args, _o: rows.append(args[0].shape[0]))
    try:
        score(loaded, requests, 300)
    finally:
        hook.remove()
    return sum(rows)


def test_a_context_too_long_is_cut_on_its_left_and_counted(make_loaded: Make) -> None:
    loaded = make_loaded()
    limit = context_length(loaded)
    request = ScoreRequest("Is it true? yes no " * 40 + "Answer:", (" down", " yes, yes and never"))
    (scores,) = score(loaded, [request], 512)
    ids = loaded.tokenizer(request.context).input_ids
    assert scores.prompt_tokens == len(ids)
    assert scores.cut_tokens == len(ids) + max(scores.tokens) - 1 - limit
    kept = ids[:1] + ids[1 + scores.cut_tokens :]
    for place, option in enumerate(request.options):
        after = loaded.tokenizer(option, add_special_tokens=False).input_ids
        with torch.no_grad():
            table = loaded.model(torch.tensor([kept + after])).logits[0].log_softmax(-1)[len(kept) - 1 : -1]
        assert scores.logprobs[place] == pytest.approx(float(table.gather(1, torch.tensor([after]).T).sum()), abs=1e-4)


def test_bos_stands_once_even_where_the_context_writes_it_out(make_loaded: Make) -> None:
    loaded = make_loaded(bos=True)
    plain, written = score(loaded, [ScoreRequest("Answer:", (" yes",)), ScoreRequest("<s>Answer:", (" yes",))], 512)
    assert plain == written


def test_options_without_tokens_or_beyond_the_context_are_refused(make_loaded: Make) -> None:
    loaded = make_loaded()
    with pytest.raises(CellError, match="has no tokens"):
        score(loaded, [ScoreRequest("Answer:", (" yes", ""))], 512)
    with pytest.raises(CellError, match="does not fit"):
        score(loaded, [ScoreRequest("Answer:", (" yes" * 200,))], 512)


def test_nothing_to_score_gives_nothing(make_loaded: Make) -> None:
    assert score(make_loaded(), [], 512) == []
