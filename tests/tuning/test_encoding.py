"""Labels cover the answer and the end of the sequence, and nothing else; a cut never takes an answer."""

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from app.errors import FewTuneError, TaskError
from app.pretraining import tokenizer as ladder
from app.tasks import catalog, loading, prompts
from app.tasks.task import Example
from app.tuning.encoding import Encoded, encode
from app.tuning.mixture import Drawn, draw

TOKENIZER = ladder.build()
TASK = catalog.by_name("antonym")
EXAMPLE = Example("e", {"input": "hot"}, ("cold", "wet"), "cold")


@pytest.fixture(scope="module")
def drawn() -> list[Drawn]:
    tasks = catalog.select(["set:tune"])
    return draw(tasks, {task.name: loading.load(task, None) for task in tasks}, 200, 3_000, "0")


def answer(encoded: Encoded) -> list[int]:
    return list(encoded.ids[-encoded.answer :])


def test_labels_are_the_answer_and_the_end_of_sequence(drawn: list[Drawn]) -> None:
    for one, found in zip(drawn, encode(drawn, TOKENIZER, 512).examples, strict=True):
        *words, end = answer(found)
        assert end == TOKENIZER.eos_token_id
        assert TOKENIZER.decode(words).replace(" ", "") == one.example.target.lower().replace(" ", "")


def test_what_comes_before_the_labels_is_the_prompt(drawn: list[Drawn]) -> None:
    for one, found in zip(drawn, encode(drawn, TOKENIZER, 512).examples, strict=True):
        prompt = prompts.instruct(one.task, one.example, one.template)
        assert list(found.ids[: -found.answer]) == TOKENIZER(prompt)["input_ids"]


def test_the_end_of_sequence_carries_a_label_where_it_is_also_the_padding() -> None:
    same = ladder.build()
    same.pad_token = same.eos_token
    (found,) = encode([Drawn(TASK, EXAMPLE, 0)], same, 512).examples
    assert answer(found)[-1] == same.pad_token_id


def test_a_long_prompt_is_cut_on_its_left_and_the_answer_stays(drawn: list[Drawn]) -> None:
    whole = encode(drawn, TOKENIZER, 512)
    short = encode(drawn, TOKENIZER, 16)
    assert whole.cut == 0
    assert short.cut == sum(len(e.ids) > 16 for e in whole.examples) > 0
    for full, cut in zip(whole.examples, short.examples, strict=True):
        assert len(cut.ids) == min(16, len(full.ids))
        assert cut.ids == full.ids[-len(cut.ids) :]
        assert answer(cut) == answer(full)


def test_examples_keep_the_drawn_order(drawn: list[Drawn]) -> None:
    assert encode(drawn, TOKENIZER, 512).examples == tuple(
        example for one in drawn for example in encode([one], TOKENIZER, 512).examples
    )


def test_an_answer_longer_than_an_example_may_be_is_refused_with_a_remedy() -> None:
    long = Example("e7", EXAMPLE.fields, (), " ".join(["cold"] * 40))
    with pytest.raises(TaskError, match="antonym: the answer of e7 has 41 tokens, and max_length is 16: raise it"):
        encode([Drawn(TASK, long, 0)], TOKENIZER, 16)


def test_an_example_without_an_answer_is_refused_by_name() -> None:
    with pytest.raises(TaskError, match="antonym: the example e8 has no answer token"):
        encode([Drawn(TASK, Example("e8", EXAMPLE.fields, (), " "), 0)], TOKENIZER, 512)


def test_a_tokenizer_without_an_end_of_sequence_is_refused() -> None:
    endless = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel({"<unk>": 0}, unk_token="<unk>")))  # noqa: S106 - a token of text
    with pytest.raises(FewTuneError, match="no end-of-sequence token"):
        encode([Drawn(TASK, EXAMPLE, 0)], endless, 512)


def test_a_cut_prompt_keeps_its_start_token_as_it_does_in_the_evaluation(drawn: list[Drawn]) -> None:
    starting = ladder.build()
    starting.backend_tokenizer.post_processor = TemplateProcessing(
        single="<pad> $A", special_tokens=[("<pad>", starting.pad_token_id)]
    )
    for found in encode(drawn, starting, 16).examples:
        assert found.ids[0] == starting.pad_token_id
        assert len(found.ids) <= 16
