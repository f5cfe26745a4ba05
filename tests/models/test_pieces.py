"""Texts read in pieces have the tokens that they have when read whole, with every tokenizer that is read so."""

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from app.models import pieces
from app.pretraining import tokenizer as ladder

LLAMA = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
QWEN = LLAMA.replace("{1,3}", "")
TEXT = "Question: what's up? 12345\n\nAnswer: the 2nd one.\nQuestion: “Größe” 日本\n\n\n  Answer:\tno!\n"


def byte_level(*before: pre_tokenizers.PreTokenizer, **options: bool) -> Tokenizer:
    """A BPE tokenizer that joins whatever its words allow: trained on few texts, with many merges."""
    made = Tokenizer(models.BPE())
    last = pre_tokenizers.ByteLevel(**{"add_prefix_space": False, "use_regex": not before} | options)
    made.pre_tokenizer = pre_tokenizers.Sequence([*before, last])
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=2_000, initial_alphabet=alphabet, special_tokens=["<end>"])
    made.train_from_iterator([TEXT, TEXT.replace("\n", "\n\n"), "a\nb c\n1\n2"] * 3, trainer)
    return made


def split(pattern: str) -> pre_tokenizers.Split:
    return pre_tokenizers.Split(Regex(pattern), "isolated")


MADE: dict[str, Callable[[], Tokenizer]] = {
    "gpt2": byte_level,
    "smollm2": lambda: byte_level(pre_tokenizers.Digits(individual_digits=True), use_regex=True),
    "llama3": lambda: byte_level(split(LLAMA)),
    "qwen2": lambda: byte_level(split(QWEN)),
    "ladder": lambda: ladder.build().backend_tokenizer,
}
FAST = {name: PreTrainedTokenizerFast(tokenizer_object=make()) for name, make in MADE.items()}


@settings(max_examples=300, deadline=None)
@given(
    name=st.sampled_from(sorted(FAST)),
    parts=st.lists(
        st.sampled_from(
            ["a", "hot", "Z9", "12", "\n", "\n\n", " ", "  ", ".", "?\n", "'s", "é", "日", "<end>", "\r", "\t"]
        )
    ),
)
def test_pieces_have_the_tokens_of_the_whole(name: str, parts: list[str]) -> None:
    text, tokenizer = "".join(parts), FAST[name]
    (found,) = pieces.encode(tokenizer, [text]) or [None]
    assert found == tokenizer(text, add_special_tokens=False).input_ids


@settings(max_examples=150, deadline=None)
@given(name=st.sampled_from(sorted(FAST)), text=st.text("aZ9 \n.é\r", max_size=12), more=st.text("b \n.é7", max_size=6))
def test_what_stands_before_the_last_cut_reads_the_same_however_a_text_goes_on(name: str, text: str, more: str) -> None:
    backend, place = FAST[name].backend_tokenizer, pieces.last_cut(FAST[name], text)
    apart = [backend.encode(part, add_special_tokens=False).ids for part in (text[:place], text[place:] + more)]
    assert apart[0] + apart[1] == backend.encode(text + more, add_special_tokens=False).ids
    assert place == len(text) or not any(a.isascii() and a.isalnum() and b == "\n" for a, b in pairwise(text[place:]))


def test_the_last_cut_stands_behind_the_last_line_that_ends_in_a_letter_or_digit() -> None:
    assert pieces.last_cut(FAST["gpt2"], "Question: up\nAnswer:") == len("Question: up")
    assert pieces.last_cut(FAST["gpt2"], "up?\nAnswer:") == 0


def test_prompts_of_many_lines_are_cut() -> None:
    backend = FAST["llama3"].backend_tokenizer
    assert pieces.separable(backend)
    assert pieces.encode(FAST["llama3"], [TEXT, TEXT + "b", ""]) == [
        backend.encode(text).ids for text in (TEXT, TEXT + "b", "")
    ]


def eats_blanks() -> Tokenizer:
    made = byte_level()
    made.add_special_tokens([AddedToken("<mask>", rstrip=True)])
    return made


def prepends() -> Tokenizer:
    made = byte_level()
    made.normalizer = normalizers.Prepend("▁")
    return made


@pytest.mark.parametrize(
    "make",
    [
        eats_blanks,
        prepends,
        lambda: byte_level(use_regex=False),
        lambda: byte_level(add_prefix_space=True),
        lambda: byte_level(split(r"\w+\n")),
        lambda: byte_level(split(LLAMA), pre_tokenizers.Metaspace()),
        lambda: Tokenizer(models.Unigram()),
    ],
)
def test_a_tokenizer_that_might_look_across_a_cut_reads_texts_whole(make: Callable[[], Tokenizer]) -> None:
    assert not pieces.separable(make())
    assert pieces.encode(PreTrainedTokenizerFast(tokenizer_object=make()), ["a\nb"]) is None


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "_MOST", 3)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=byte_level())
    for texts in (["a\nb\nc"], ["d\na", "c"], ["a\nb\nc\nd\ne"]):
        assert pieces.encode(tokenizer, texts) == [tokenizer(text).input_ids for text in texts]
