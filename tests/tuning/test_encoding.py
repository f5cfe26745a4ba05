"""Labels cover the answer and the end of the sequence, and nothing else; a cut never takes an answer."""

from collections.abc import Callable
from dataclasses import replace
from typing import get_args

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from app.errors import CellError, FewTuneError, TaskError
from app.models import tokens
from app.pretraining import tokenizer as ladder
from app.study import Format, Recipe
from app.tasks import catalog, loading, prompts, wordings
from app.tasks.prompts import Demonstration, demonstration
from app.tasks.task import Example
from app.tuning.encoding import Encoded, encode, texts
from app.tuning.mixture import Drawn, draw

TOKENIZER = ladder.build()
TASK = catalog.by_name("antonym")
EXAMPLE = Example("e", {"input": "hot"}, ("cold", "wet"), "cold")
REGULAR = Recipe(method="lora")


@pytest.fixture(scope="module")
def drawn() -> list[Drawn]:
    tasks = catalog.select(["set:tune"])
    return draw(tasks, {task.name: loading.load(task, None) for task in tasks}, 200, 3_000, "0")


def answer(encoded: Encoded) -> list[int]:
    return list(encoded.ids[-encoded.answer :])


def test_labels_are_the_answer_and_the_end_of_sequence(drawn: list[Drawn]) -> None:
    for one, found in zip(drawn, encode(drawn, TOKENIZER, 512, REGULAR).examples, strict=True):
        *words, end = answer(found)
        assert end == TOKENIZER.eos_token_id
        assert TOKENIZER.decode(words).replace(" ", "") == one.example.target.lower().replace(" ", "")


def test_what_comes_before_the_labels_is_the_prompt(drawn: list[Drawn]) -> None:
    for one, found in zip(drawn, encode(drawn, TOKENIZER, 512, REGULAR).examples, strict=True):
        prompt = prompts.instruct(wordings.word(one.task, one.example, template=one.template))
        assert list(found.ids[: -found.answer]) == TOKENIZER(prompt)["input_ids"]


def test_the_end_of_sequence_carries_a_label_where_it_is_also_the_padding() -> None:
    same = ladder.build()
    same.pad_token = same.eos_token
    (found,) = encode([Drawn(TASK, EXAMPLE, 0)], same, 512, REGULAR).examples
    assert answer(found)[-1] == same.pad_token_id


def test_a_long_prompt_is_cut_on_its_left_and_the_answer_stays(drawn: list[Drawn]) -> None:
    whole = encode(drawn, TOKENIZER, 512, REGULAR)
    short = encode(drawn, TOKENIZER, 16, REGULAR)
    assert whole.cut == 0
    assert short.cut == sum(len(e.ids) > 16 for e in whole.examples) > 0
    for full, cut in zip(whole.examples, short.examples, strict=True):
        assert len(cut.ids) == min(16, len(full.ids))
        assert cut.ids == full.ids[-len(cut.ids) :]
        assert answer(cut) == answer(full)


def test_examples_keep_the_drawn_order(drawn: list[Drawn]) -> None:
    assert encode(drawn, TOKENIZER, 512, REGULAR).examples == tuple(
        example for one in drawn for example in encode([one], TOKENIZER, 512, REGULAR).examples
    )


def test_an_answer_longer_than_an_example_may_be_is_refused_with_a_remedy() -> None:
    long = Example("e7", EXAMPLE.fields, (), " ".join(["cold"] * 40))
    with pytest.raises(TaskError, match="antonym: the answer of e7 has 41 tokens, and max_length is 16: raise it"):
        encode([Drawn(TASK, long, 0)], TOKENIZER, 16, REGULAR)


def test_an_example_without_an_answer_is_refused_by_name() -> None:
    with pytest.raises(TaskError, match="antonym: the example e8 has no answer token"):
        encode([Drawn(TASK, Example("e8", EXAMPLE.fields, (), " "), 0)], TOKENIZER, 512, REGULAR)


def test_a_tokenizer_without_an_end_of_sequence_is_refused() -> None:
    endless = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel({"<unk>": 0}, unk_token="<unk>")))  # noqa: S106 - a token of text
    with pytest.raises(FewTuneError, match="no end-of-sequence token"):
        encode([Drawn(TASK, EXAMPLE, 0)], endless, 512, REGULAR)


def test_a_cut_prompt_keeps_its_start_token_as_it_does_in_the_evaluation(drawn: list[Drawn]) -> None:
    tokenizer = starting()
    for found in encode(drawn, tokenizer, 16, REGULAR).examples:
        assert found.ids[0] == tokenizer.pad_token_id
        assert len(found.ids) <= 16


SAMPLEGEN = Recipe(method="lora", format="samplegen")
SHOWN = (Demonstration("antonym/a", "big", "small"), Demonstration("antonym/b", "up", "down"))
WORKED = Drawn(TASK, EXAMPLE, 0, SHOWN)


def ids(text: str) -> list[int]:
    return TOKENIZER(text)["input_ids"]  # type: ignore[return-value]


def mixed(form: Format) -> list[Drawn]:
    tasks = catalog.select(["first", "plural", "nli"])
    return draw(tasks, {task.name: loading.load(task, None) for task in tasks}, 60, 3_000, "0", form, 2)


def test_labels_of_worked_examples_are_all_that_the_model_is_to_write() -> None:
    (found,) = encode([WORKED], TOKENIZER, 512, SAMPLEGEN).examples
    instruction = wordings.word(TASK, EXAMPLE).instruction
    said = demonstration(TASK, EXAMPLE).input
    written = f"\nQuestion: big\nAnswer: small\n\nQuestion: up\nAnswer: down\n\nQuestion: {said}\nAnswer: cold"
    assert answer(found) == [*ids(written), TOKENIZER.eos_token_id]
    assert list(found.ids[: -found.answer]) == ids(f"Instruction: {instruction}\nInput: {said}\nExamples:")


@pytest.mark.parametrize("form", [form for form in get_args(Format) if form != "regular"])
def test_in_every_format_labels_hold_worked_examples_the_item_restated_its_answer_and_the_end(form: Format) -> None:
    recipe = Recipe(method="lora", format=form)
    drawn = mixed(form)
    encoded = encode(drawn, TOKENIZER, 512, recipe)
    assert encoded.cut == 0
    wording = "unified" if form == "samplegen-unified" else "standard"
    for one, found in zip(drawn, encoded.examples, strict=True):
        restated = demonstration(one.task, one.example, wording)
        written = prompts.worked(one.shown, restated.input, restated.answer)
        assert answer(found) == [*ids(written), TOKENIZER.eos_token_id]
        prompt = TOKENIZER.decode(found.ids[: -found.answer])
        assert prompt.startswith("instruction : ")
        assert prompt.endswith("examples :")
        assert ("input 1 :" in prompt) == (form == "samplegen-unified")
        # What is written is read back as it was shown, in the spelling of the tokens.
        read = prompts.read_worked(TOKENIZER.decode(answer(found)[:-1]), 2, finished=True)
        assert read.answer is not None
        assert flat(read.answer) == flat(one.example.target)
        assert len(read.demonstrations) == 2


def flat(text: str) -> str:
    return "".join(text.lower().split())


def test_the_item_is_restated_in_the_wording_of_the_evaluation_whatever_asked_for_it() -> None:
    for number in range(len(TASK.templates)):
        prompt, written = texts(WORKED._replace(template=number), SAMPLEGEN)
        asked = wordings.word(TASK, EXAMPLE, template=number)
        assert prompt == f"Instruction: {asked.instruction}\nInput: {asked.input}\nExamples:"
        assert written.endswith(f"\nQuestion: {demonstration(TASK, EXAMPLE).input}\nAnswer: cold")


def test_a_unified_item_is_asked_and_restated_in_numbered_fields() -> None:
    prompt, written = texts(WORKED, Recipe(method="lora", format="samplegen-unified"))
    assert "\nInput: Input 1: hot\nExamples:" in prompt
    assert written.endswith("\nQuestion: Input 1: hot\nAnswer: cold")


def test_worked_examples_that_do_not_fit_are_left_out_whole_and_counted() -> None:
    whole = encode([WORKED], TOKENIZER, 512, SAMPLEGEN).examples[0]
    shorter = [
        encode([WORKED._replace(shown=SHOWN[first:])], TOKENIZER, 512, SAMPLEGEN).examples[0] for first in (0, 1, 2)
    ]
    assert shorter[0] == whole
    lengths = [len(found.ids) for found in shorter]
    assert lengths == sorted(set(lengths), reverse=True)
    for length, expected, cut in (
        (lengths[0], shorter[0], 0),
        (lengths[0] - 1, shorter[1], 1),
        (lengths[1], shorter[1], 1),
        (lengths[1] - 1, shorter[2], 1),
        (lengths[2], shorter[2], 1),
    ):
        found = encode([WORKED], TOKENIZER, length, SAMPLEGEN)
        assert (found.examples[0], found.cut) == (expected, cut)


def test_a_prompt_is_cut_only_where_no_worked_example_is_left() -> None:
    bare = encode([WORKED._replace(shown=())], TOKENIZER, 512, SAMPLEGEN).examples[0]
    length = len(bare.ids) - 3
    found = encode([WORKED, WORKED._replace(shown=())], TOKENIZER, length, SAMPLEGEN)
    assert found.cut == 2
    for one in found.examples:
        assert one.ids == bare.ids[-length:]
        assert answer(one) == answer(bare)


def starting() -> PreTrainedTokenizerFast:
    """The ladder's tokenizer with a start token."""
    made = ladder.build()
    made.backend_tokenizer.post_processor = TemplateProcessing(
        single="<pad> $A", special_tokens=[("<pad>", made.pad_token_id)]
    )
    return made


@pytest.mark.parametrize("make", [ladder.build, starting])
def test_of_an_item_too_long_to_restate_the_end_and_the_answer_stay(
    make: Callable[[], PreTrainedTokenizerFast],
) -> None:
    tokenizer = make()
    long = Drawn(TASK, replace(EXAMPLE, fields={"input": " ".join(["hot"] * 40)}), 0, SHOWN)
    (whole,) = encode([long._replace(shown=())], tokenizer, 512, SAMPLEGEN).examples
    found = encode([long], tokenizer, 32, SAMPLEGEN)
    (one,) = found.examples
    start = tokens.leading(tokenizer)
    assert found.cut == 1
    assert len(one.ids) <= 32
    assert one.ids[: len(start)] == start
    assert answer(one) == answer(whole)[-one.answer :]
    assert one.answer == len(one.ids) - max(1, len(start)) > 25  # nothing predicts a first token


CHAT = (
    "{% for m in messages %}<user> {{ m.content }} <end>\n{% endfor %}{% if add_generation_prompt %}<model> {% endif %}"
)


@pytest.mark.parametrize("form", ["regular", "samplegen"])
def test_a_chat_recipe_puts_the_prompt_into_the_template_and_leaves_the_answer_alone(form: Format) -> None:
    chatty = ladder.build()
    chatty.chat_template = CHAT
    plain, chat = (Recipe(method="lora", format=form, chat=chat) for chat in (False, True))
    drawn = [WORKED if form != "regular" else Drawn(TASK, EXAMPLE, 0)]
    (found,), (bare,) = (encode(drawn, chatty, 512, recipe).examples for recipe in (chat, plain))
    assert answer(found) == answer(bare)
    prompt, _ = texts(drawn[0], chat)
    cue = prompts.EXAMPLES_CUE if form != "regular" else prompts.ANSWER_CUE
    said = prompt.removesuffix(cue).rstrip()
    assert list(found.ids[: -found.answer]) == ids(f"<user> {said} <end>\n<model> {cue}")


def test_a_chat_recipe_without_a_template_is_refused() -> None:
    with pytest.raises(CellError, match="has no chat template: choose another prompt format"):
        encode([Drawn(TASK, EXAMPLE, 0)], TOKENIZER, 512, Recipe(method="lora", chat=True))


def test_an_empty_mixture_is_empty() -> None:
    assert encode([], TOKENIZER, 512, REGULAR).examples == ()
