"""The pretraining corpus: what it holds, what it must never hold, what `without` hides."""

from itertools import islice

import numpy as np
import pytest

from app.errors import TaskError
from app.pretraining import corpus, tokenizer
from app.pretraining.vocabulary import EOS, vocabulary
from app.tasks.generated import PROCEDURES, TASKS, lexicon
from app.tasks.generated.procedure import Procedure
from app.tasks.loading import load

VOCABULARY = vocabulary()
DOCUMENTS = 16_000  # about a million tokens: the corpus of a small base model


def some(seed: int = 0, without: tuple[str, ...] = ()) -> list[str]:
    return list(islice(corpus.documents(seed, without), DOCUMENTS))


@pytest.fixture(scope="module")
def full() -> list[str]:
    return some()


def test_no_document_holds_a_format_of_the_evaluation(full: list[str]) -> None:
    for document in full:
        assert "instruction :" not in document
        assert "examples :" not in document
        for cue in ("question :", "input :"):
            assert not (cue in document and "answer :" in document)


def test_no_document_holds_the_evaluations_wording_of_an_instruction(full: list[str]) -> None:
    text = "\n".join(full)
    for task in TASKS:
        assert task.templates[0].instruction not in text


def test_the_corpus_holds_the_other_wording_of_every_instruction(full: list[str]) -> None:
    text = "\n".join(full)
    for task in TASKS:
        assert task.templates[1].instruction in text


def test_facts_of_test_items_occur_in_the_corpus(full: list[str]) -> None:
    """Knowledge is learnt in pretraining: only the way of asking is new in the evaluation."""
    stated = [d for d in full if "capital" in d]
    missing = [x for x, y in lexicon.CAPITAL.items() if not any(x in d.split() and y in d.split() for d in stated)]
    assert len(missing) < 6


def test_every_word_of_the_evaluations_instructions_is_met(full: list[str]) -> None:
    met = {word for document in full for word in document.split()}
    wanted = {word for task in TASKS for word in task.templates[0].instruction.split()}
    assert wanted <= met


def test_the_corpus_depends_on_its_seed_alone() -> None:
    assert some(3)[:200] == some(3)[:200] != some(4)[:200]


def test_encoding_by_dictionary_equals_the_saved_tokenizer(full: list[str]) -> None:
    saved = tokenizer.build()
    for document in full[:600]:
        assert saved(document, add_special_tokens=False)["input_ids"] == [VOCABULARY[w] for w in document.split(" ")]


def test_encoded_gives_exactly_the_tokens_asked_for_with_an_end_after_each_document(full: list[str]) -> None:
    end = VOCABULARY[EOS]
    ids = corpus.encoded(5_000, 0, (), VOCABULARY, end)
    assert ids.shape == (5_000,)
    assert ids.max() < len(VOCABULARY)
    first_end = int(np.flatnonzero(ids == end)[0])
    assert first_end == len(full[0].split(" "))
    assert np.array_equal(ids[:2_000], corpus.encoded(2_000, 0, (), VOCABULARY, end))


def test_leaving_a_task_out_leaves_out_those_that_share_its_facts() -> None:
    assert {"capital", "country"}.isdisjoint(corpus.names(["capital"]))
    assert "currency" in corpus.names(["capital"])
    assert {"translate", "untranslate"}.isdisjoint(corpus.names(["untranslate"]))
    assert corpus.names() == tuple(procedure.task.name for procedure in PROCEDURES)


def test_facts_left_out_are_stated_nowhere() -> None:
    def together(documents: list[str]) -> int:
        return sum(x in words and y in words for d in documents for words in [d.split()] for x, y in pairs)

    pairs = list(lexicon.CAPITAL.items())
    before, after = together(some()), together(some(without=("capital",)))
    assert before > 2_000
    assert after < before / 50  # random documents put any two words together now and then


@pytest.mark.parametrize("procedure", PROCEDURES, ids=lambda procedure: procedure.task.name)
def test_words_of_a_task_left_out_stay_in_unrelated_documents(procedure: Procedure) -> None:
    """Else a score of zero would only say that the model never met the words."""
    documents = some(without=(procedure.task.name,))
    met = {word for document in documents for word in document.split()}
    wording = procedure.wording
    assert {word for text in (wording.seen, *wording.titles) for word in text.split()} <= met
    answers = {word for example in load(procedure.task, None).test for word in example.target.split()}
    assert len(answers & met) > 0.9 * len(answers)
    assert not any(wording.seen in document for document in documents)


def test_an_unknown_task_cannot_be_left_out() -> None:
    with pytest.raises(TaskError, match="capitol"):
        corpus.names(["capitol"])


def test_not_everything_can_be_left_out() -> None:
    with pytest.raises(TaskError, match="leaves no task"):
        next(corpus.documents(0, [task.name for task in TASKS]))
