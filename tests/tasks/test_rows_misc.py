"""The miscellaneous cluster: what its publishers meant, told from made-up rows."""

import pytest

from app.errors import TaskError
from app.tasks.catalog.misc import COLA, COQA, FIX_PUNCT, MATH_DATASET, QUAC, TREC, WIC
from app.tasks.task import Parsed, Row, Task


def coqa(questions: list[str], answers: list[str]) -> Row:
    return {"story": "Ida had\n\na kite.", "questions": questions, "answers": {"input_text": answers}}


def quac(answers: object, questions: tuple[str, ...] = ("When?", "Where?")) -> Row:
    return {
        "wikipedia_page_title": "Ole Vik",
        "section_title": "Life",
        "background": "A painter.",
        "context": "He left at 12. CANNOTANSWER",
        "questions": list(questions),
        "answers": {"texts": answers},
    }


def solved(question: str, answer: str) -> Row:
    return {"question": question, "answer": answer}


def spoken(bare: str, whole: str) -> Row:
    return {"corrupted_cased": bare, "utterance": whole}


KINDS = ("abbreviation", "entity", "description", "person", "location", "number")
GRAMMAR = ("unacceptable", "acceptable")
TRUTH = ("False", "True")
KITE = {"story": "Ida had a kite.", "question": "Who?"}
VIK = {
    "title": "Ole Vik",
    "section": "Life",
    "background": "A painter.",
    "context": "He left at 12.",
    "question": "When?",
}
SENSES = {"word": "bank", "first": "A bank lends.", "second": "The bank is wet."}


def wic(label: int) -> Row:
    return {"word": "bank", "sentence1": "A bank lends.", "sentence2": "The bank is wet.", "idx": 0, "label": label}


@pytest.mark.parametrize(
    ("task", "row", "wanted"),
    [
        (COQA, coqa(["Who?", "What?"], ["Ida", "a kite"]), Parsed(KITE, (), "Ida")),
        (COQA, coqa([], []), None),
        (QUAC, quac([["at 12", "left at 12", "at 12"], ["x"]]), Parsed(VIK, (), "at 12", ("left at 12",))),
        (QUAC, quac([["CANNOTANSWER"] * 2, ["x"]]), Parsed(VIK, (), "unanswerable")),
        (QUAC, quac([["at 12", "CANNOTANSWER"]]), Parsed(VIK, (), "at 12", ("unanswerable",))),
        (QUAC, quac([], ()), None),
        *((TREC, {"text": "Q", "coarse_label": n}, Parsed({"question": "Q"}, KINDS, k)) for n, k in enumerate(KINDS)),
        (COLA, {"sentence": "Him go.", "label": 0}, Parsed({"sentence": "Him go."}, GRAMMAR, "unacceptable")),
        (COLA, {"sentence": "He goes.", "label": 1}, Parsed({"sentence": "He goes."}, GRAMMAR, "acceptable")),
        (COLA, {"sentence": "He goes.", "label": -1}, None),
        (WIC, wic(0), Parsed(SENSES, TRUTH, "False")),
        (WIC, wic(1), Parsed(SENSES, TRUTH, "True")),
        (WIC, wic(-1), None),
        (MATH_DATASET, solved("b'Solve 2*x = -6 for x.\\n'", "b'-3\\n'"),
         Parsed({"question": "Solve 2*x = -6 for x."}, (), "-3")),
        (MATH_DATASET, solved('b"Let x\' = 2.\\n"', "b'2\\n'"), Parsed({"question": "Let x' = 2."}, (), "2")),
        (MATH_DATASET, solved("Solve b = 1 for b.", "1"), Parsed({"question": "Solve b = 1 for b."}, (), "1")),
        (FIX_PUNCT, spoken("Yes Bo it ", "Yes, Bo, it is!"), Parsed({"bare": "Yes Bo it is"}, (), "Yes, Bo, it is!")),
        (FIX_PUNCT, spoken("Yes it is", "Yes - it is."), Parsed({"bare": "Yes it is"}, (), "Yes - it is.")),
        (FIX_PUNCT, spoken("", "Yes!"), Parsed({"bare": "Yes"}, (), "Yes!")),
        (FIX_PUNCT, spoken("", ""), None),
    ],
)  # fmt: skip
def test_a_row_is_read_as_its_publishers_meant_it(task: Task, row: Row, wanted: Parsed | None) -> None:
    assert task.to_example is not None
    assert task.to_example(row) == wanted


def test_answers_that_are_not_listed_by_question_are_refused() -> None:
    assert QUAC.to_example is not None
    with pytest.raises(TaskError, match="not one list of texts for each question"):
        QUAC.to_example(quac(["at 12"]))


def test_every_wording_says_how_to_call_a_question_without_an_answer() -> None:
    assert all("unanswerable" in template.instruction for template in QUAC.templates if not template.inverted)
