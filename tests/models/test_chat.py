"""A prompt in a chat template keeps its words, its cue and one BOS."""

import re
from collections.abc import Callable, Iterator

import pytest
import transformers as hf
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import BPE

from app.errors import CellError
from app.models.chat import wrap
from app.models.loading import LoadedModel
from app.models.scoring import ScoreRequest, score
from app.models.tokens import encode

Make = Callable[..., LoadedModel]

CUE = "Answer:"
PROMPT = f"Instruction: Say the opposite.\nInput: hot\n{CUE}"
PLAIN = (
    "{{ bos_token }}{% for message in messages %}<{{ message.role }}>\n{{ message.content | trim }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>\n{% endif %}"
)


@pytest.fixture
def tokenizer(make_loaded: Make) -> Iterator[hf.PreTrainedTokenizerFast]:
    """One that adds BOS by itself, with a template that writes BOS as well."""
    found = make_loaded().tokenizer
    found.chat_template = PLAIN
    yield found
    found.chat_template = None


def test_the_cue_begins_the_turn_of_the_assistant(tokenizer: hf.PreTrainedTokenizerFast) -> None:
    assert wrap(tokenizer, PROMPT, CUE) == (
        "<s><user>\nInstruction: Say the opposite.\nInput: hot</s>\n<assistant>\nAnswer:"
    )


def test_a_template_that_writes_bos_leaves_one_bos(tokenizer: hf.PreTrainedTokenizerFast) -> None:
    text = wrap(tokenizer, PROMPT, CUE)
    assert tokenizer(text).input_ids[:2] == [1, 1], "encoded plainly, there would be two"
    (ids,) = encode(tokenizer, [text])
    assert ids.count(1) == 1
    assert ids[0] == 1


def test_a_template_without_bos_gets_one(tokenizer: hf.PreTrainedTokenizerFast) -> None:
    tokenizer.chat_template = PLAIN.removeprefix("{{ bos_token }}")
    (ids,) = encode(tokenizer, [wrap(tokenizer, PROMPT, CUE)])
    assert ids.count(1) == 1


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_the_words_of_a_prompt_stay_as_they_are(text: str) -> None:
    tokenizer = _tokenizer()
    assert f"Input: {text}".rstrip() in wrap(tokenizer, f"Input: {text}\n{CUE}", CUE)


def test_an_answer_has_the_same_tokens_after_a_chat_and_after_plain_text(tokenizer: hf.PreTrainedTokenizerFast) -> None:
    sides = [PROMPT, wrap(tokenizer, PROMPT, CUE)]
    for answer in (" cold", " very cold"):
        before, after = encode(tokenizer, sides), encode(tokenizer, [side + answer for side in sides])
        tails = [joint[len(side) :] for side, joint in zip(before, after, strict=True)]
        assert tails[0] == tails[1] != ()


def test_a_model_scores_options_after_a_chat(make_loaded: Make, tokenizer: hf.PreTrainedTokenizerFast) -> None:
    loaded = make_loaded()
    (found,) = score(loaded, [ScoreRequest(wrap(tokenizer, PROMPT, CUE), (" cold", " hot"))], 512)
    assert found.cut_tokens == 0
    assert all(value < 0 for value in found.logprobs)


@pytest.mark.parametrize(
    "dated",
    [
        "{{ strftime_now('%d %b %Y') }} ",
        "{% set today = strftime_now('%d %B %Y') if strftime_now is defined else 'never' %}{{ today }} ",
        "{% for turn in messages %}{{ strftime_now('%d %b %Y') }} {% endfor %}",
    ],
)
def test_the_clock_of_a_template_stands_still(tokenizer: hf.PreTrainedTokenizerFast, dated: str) -> None:
    tokenizer.chat_template = dated + PLAIN
    assert wrap(tokenizer, PROMPT, CUE).startswith("01 Jan 2025 <s>")


def test_nothing_of_a_template_is_lost_before_its_first_turn(tokenizer: hf.PreTrainedTokenizerFast) -> None:
    tokenizer.chat_template = "\n " + PLAIN
    assert wrap(tokenizer, PROMPT, CUE).startswith("\n <s><user>")


def test_thinking_is_switched_off(tokenizer: hf.PreTrainedTokenizerFast) -> None:
    tokenizer.chat_template = PLAIN + "{% if enable_thinking == false %}[no thoughts]{% endif %}"
    assert wrap(tokenizer, PROMPT, CUE).endswith("<assistant>\n[no thoughts]Answer:")


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        (None, "has no chat template"),
        ("{{ messages[0].content | upper }}", "alters the prompt's text"),
        ("{{ messages[0].content[:10] }}", "alters the prompt's text"),
        ("{{ messages[0].content | replace('\n', ' ') }}", "alters the prompt's text"),
        ("{{ raise_exception('a system turn comes first') }}", "a system turn comes first"),
        ("{% if %}", "cannot take one user turn"),
        ({"tools": PLAIN}, "cannot take one user turn"),
    ],
)
def test_a_template_that_does_not_serve_is_refused_in_one_sentence(
    tokenizer: hf.PreTrainedTokenizerFast, template: str | dict[str, str] | None, sentence: str
) -> None:
    tokenizer.chat_template = template
    with pytest.raises(CellError, match=re.escape(sentence)) as caught:
        wrap(tokenizer, PROMPT, CUE)
    assert "choose another prompt format" in str(caught.value)


@pytest.mark.parametrize(("prompt", "cue"), [("Input: hot", CUE), (PROMPT + " ", CUE), (PROMPT, "")])
def test_a_prompt_without_the_cue_at_its_end_is_refused(
    tokenizer: hf.PreTrainedTokenizerFast, prompt: str, cue: str
) -> None:
    with pytest.raises(CellError, match="must end in the answer cue"):
        wrap(tokenizer, prompt, cue)


def _tokenizer() -> hf.PreTrainedTokenizerFast:
    return hf.PreTrainedTokenizerFast(tokenizer_object=Tokenizer(BPE()), bos_token="<s>", chat_template=PLAIN)  # noqa: S106
