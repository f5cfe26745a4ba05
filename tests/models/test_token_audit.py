"""An audit finds doubled BOS and answers of other tokens, and shows what the sides do not share."""

import pyarrow as pa
import pytest
import transformers as hf
from tokenizers import Tokenizer, decoders, pre_tokenizers, processors, trainers
from tokenizers.models import BPE

from app.errors import CellError
from app.models.chat import wrap
from app.models.token_audit import Audit, audit
from app.pretraining import tokenizer as ladder

DEMONSTRATIONS = "Question: up\nAnswer: down\n\nQuestion: big\nAnswer: small\n\n"
INSTRUCTION = "Say the opposite."
BASE = f"{DEMONSTRATIONS}Question: hot\nAnswer:"
TUNED = f"Instruction: {INSTRUCTION}\nInput: hot\nAnswer:"
DECLARED = (DEMONSTRATIONS, INSTRUCTION)


def byte_level(bos: bool = False, trim: bool = True) -> hf.PreTrainedTokenizerFast:
    """Byte-level BPE; `trim`: whether places leave out a token's first blank, as GPT-2's do."""
    backend = Tokenizer(BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator([BASE, TUNED, "Answer: cold yes no. Question Input Answer cold cold"] * 3, trainer)
    steps: list[processors.PostProcessor] = [processors.ByteLevel(trim_offsets=trim)]
    if bos:
        steps.append(processors.TemplateProcessing(single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", 0)]))
    backend.post_processor = processors.Sequence(steps)
    return hf.PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", eos_token="</s>")  # noqa: S106


def shown(tokens: str) -> list[str]:
    return tokens.split()


def test_on_the_ladder_the_sides_differ_in_the_words_of_the_frame_alone() -> None:
    found = audit(ladder.build(), BASE, TUNED, ["cold", "up"], DECLARED)
    assert found.fair
    assert found.same_answers
    assert found.base_answers == found.tuned_answers
    assert len(found.base_answers.split(" | ")) == 2
    assert (found.base_bos, found.tuned_bos) == (0, 0)
    assert shown(found.only_base) == ["question"]
    assert shown(found.only_tuned) == ["instruction", ":", "\\n", "input"]


@pytest.mark.parametrize("trim", [True, False])
def test_in_byte_level_bpe_as_well(trim: bool) -> None:
    tokenizer = byte_level(trim=trim)
    found = audit(tokenizer, BASE, TUNED, ["cold", "very cold"], DECLARED)
    assert found.fair
    assert "".join(shown(found.only_base)) == "Question"
    assert "".join(shown(found.only_tuned)) == "Instruction:ĊInput"
    ids = tokenizer(" cold").input_ids
    assert found.base_answers.split(" | ")[0] == " ".join(map(str, ids))


def test_declared_parts_that_are_not_named_are_shown() -> None:
    found = audit(byte_level(), BASE, TUNED, ["cold"], [DEMONSTRATIONS])
    assert "".join(shown(found.only_tuned)).startswith("Instruction:ĠSayĠtheĠopposite.")


def test_a_part_is_taken_out_wherever_it_stands_and_an_empty_one_nowhere() -> None:
    tokenizer = byte_level()
    found = audit(tokenizer, "so big big hot\nAnswer:", "so hot\nAnswer:", ["cold"], ["big", ""])
    assert (found.only_base, found.only_tuned) == ("", "")


def test_the_same_text_on_both_sides_differs_in_nothing() -> None:
    found = audit(byte_level(bos=True), TUNED, TUNED, ["cold"], ())
    assert found.fair
    assert (found.only_base, found.only_tuned) == ("", "")
    assert (found.base_bos, found.tuned_bos) == (1, 1)
    assert found.base_tokens == found.tuned_tokens > 5


def test_two_bos_are_a_fault() -> None:
    found = audit(byte_level(bos=True), BASE, "<s><s>" + TUNED, ["cold"], DECLARED)
    assert (found.base_bos, found.tuned_bos) == (1, 2)
    assert found.same_answers
    assert not found.fair
    assert shown(found.only_tuned)[0] == "<s>"


def test_a_chat_that_writes_bos_has_one_as_plain_text_has() -> None:
    tokenizer = byte_level(bos=True)
    tokenizer.chat_template = "{{ bos_token }}[{{ messages[0].content }}]"
    found = audit(tokenizer, BASE, wrap(tokenizer, TUNED, "Answer:"), ["cold"], DECLARED)
    assert found.fair
    assert (found.base_bos, found.tuned_bos) == (1, 1)
    assert "<s>" not in shown(found.only_tuned)


def test_an_answer_that_melts_into_the_cue_is_a_fault_though_both_sides_do_it() -> None:
    found = audit(_melting(), "ax", "x", ["a"], ())
    assert found.base_answers == found.tuned_answers == "melted"
    assert not found.same_answers
    assert not found.fair


def test_answers_of_other_tokens_are_a_fault() -> None:
    found = audit(_melting(), "a", "ax", ["a", "x"], ())
    assert (found.base_answers, found.tuned_answers) == ("1 2 | 1 0", "melted | melted")
    assert not found.same_answers
    assert audit(_melting(), "a", "aa", ["a", "x"], ()).same_answers


def _melting() -> hf.PreTrainedTokenizerFast:
    """One whose x takes the next blank into its token."""
    backend = Tokenizer(BPE(vocab={"x": 0, " ": 1, "a": 2, "x ": 3}, merges=[("x", " ")]))
    return hf.PreTrainedTokenizerFast(tokenizer_object=backend)


def test_an_audit_is_an_arrow_row() -> None:
    row = audit(byte_level(), BASE, TUNED, ["cold"], DECLARED)._asdict()
    assert set(map(type, row.values())) <= {str, int, bool}
    table = pa.Table.from_pylist([row])
    assert table.column_names == list(Audit._fields)
    assert table.to_pylist() == [row]


def test_a_tokenizer_without_places_is_refused() -> None:
    class Slow(hf.PythonBackend):
        def get_vocab(self) -> dict[str, int]:
            return {}

    with pytest.raises(CellError, match="cannot be audited"):
        audit(Slow(), BASE, TUNED, ["cold"], ())
