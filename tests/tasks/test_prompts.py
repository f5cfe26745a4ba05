"""Prompts: one grammar for both sides of a pair, filled in without touching the data, and read back where written."""

from dataclasses import replace
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import TaskError
from app.tasks import prompts
from app.tasks.prompts import Demonstration, Worked
from app.tasks.task import Example, Generated, Task, TaskData, Template
from app.tasks.wordings import Worded, word

TASK = Task(
    name="opposites",
    cluster="made_up",
    role="tune",
    source=Generated(lambda _split: [], "1"),
    templates=(
        Template("Give the opposite.", "{word}"),
        Template("Which of these is the opposite of {word}?", "{word}\n{options}"),
    ),
    metric="accuracy",
    licence="our own",
)
HOT = Example("1", {"word": "hot"}, ("cold", "wet"), "cold")
UP = Example("2", {"word": "up"}, ("left", "down"), "down")
BIG = Example("3", {"word": "big"}, ("small", "near"), "small")
SHOWN_UP, SHOWN_BIG = (prompts.demonstration(TASK, example) for example in (UP, BIG))

words = st.text(st.characters(blacklist_categories=("Cs",)), min_size=1, max_size=20)


def test_a_demonstration_tells_where_it_comes_from_and_is_the_item_in_the_evaluations_wording() -> None:
    assert Demonstration("opposites/2", "up", "down") == SHOWN_UP
    assert prompts.demonstration(TASK, UP, "closed").input == 'up\nThe answer is "left" or "down".'


def test_a_base_model_without_demonstrations_sees_the_item_and_no_instruction() -> None:
    assert prompts.few_shot((), "hot") == "Question: hot\nAnswer:"


def test_demonstrations_stand_before_the_item_with_their_answers() -> None:
    assert prompts.few_shot((SHOWN_UP, SHOWN_BIG), "hot") == (
        "Question: up\nAnswer: down\n\nQuestion: big\nAnswer: small\n\nQuestion: hot\nAnswer:"
    )


def test_a_demonstration_without_answer_has_no_answer_cue_either() -> None:
    shown = SHOWN_UP._replace(answer="")
    assert prompts.few_shot((shown, SHOWN_BIG), "hot") == (
        "Question: up\n\nQuestion: big\nAnswer: small\n\nQuestion: hot\nAnswer:"
    )


def test_a_tuned_model_sees_instruction_and_item() -> None:
    assert prompts.instruct(word(TASK, HOT)) == "Instruction: Give the opposite.\nInput: hot\nAnswer:"


def test_a_tuned_model_sees_demonstrations_below_the_instruction() -> None:
    assert prompts.instruct(word(TASK, HOT), (SHOWN_UP,)) == (
        "Instruction: Give the opposite.\nInput: up\nAnswer: down\n\nInput: hot\nAnswer:"
    )


def test_a_samplegen_model_sees_instruction_and_item_and_is_asked_for_examples() -> None:
    assert prompts.samplegen(word(TASK, HOT)) == "Instruction: Give the opposite.\nInput: hot\nExamples:"


def test_a_samplegen_model_learns_to_write_a_base_models_prompt_and_its_answer() -> None:
    assert prompts.worked((SHOWN_UP,), "hot", "cold") == "\nQuestion: up\nAnswer: down\n\nQuestion: hot\nAnswer: cold"


def test_options_are_listed_in_their_order_and_fields_may_stand_in_the_instruction() -> None:
    assert prompts.instruct(word(TASK, HOT, template=1)) == (
        "Instruction: Which of these is the opposite of hot?\nInput: hot\n- cold\n- wet\nAnswer:"
    )


def test_the_answer_brings_its_own_blank() -> None:
    shown = prompts.few_shot((SHOWN_UP,), "hot")
    assert f"{prompts.ANSWER_CUE}{prompts.continuation('down')}\n" in shown
    assert shown.endswith(prompts.ANSWER_CUE)


@given(words, words)
def test_both_sides_of_a_pair_see_the_same_text_of_an_item(text: str, other: str) -> None:
    item = word(TASK, Example("x", {"word": text}, ("a", "b"), "a"))
    shown = prompts.demonstration(TASK, Example("y", {"word": other}, ("a", "b"), "b"))
    base, tuned = prompts.few_shot((shown,), item.input), prompts.instruct(item)
    assert base.endswith(f" {text}\n{prompts.ANSWER_CUE}")
    assert tuned.endswith(f" {text}\n{prompts.ANSWER_CUE}")


@pytest.mark.parametrize("text", ["{}", "{word}", "{options}", "{0}", "{{word}}", "}{", "{!r:>9}", "%s {", "a\\1b"])
def test_braces_in_the_data_stay_as_they_are(text: str) -> None:
    item = Example("x", {"word": text}, (text, "b"), text)
    shown = prompts.demonstration(TASK, item)
    assert prompts.few_shot((shown,), shown.input) == (f"Question: {text}\nAnswer: {text}\n\nQuestion: {text}\nAnswer:")
    assert f"- {text}\n" in prompts.instruct(word(TASK, item, template=1))


class Case(NamedTuple):
    """What a model that was asked for two worked examples wrote, and what is read from it."""

    text: str
    finished: bool
    demonstrations: tuple[tuple[str, str], ...]
    question: str | None
    answer: str | None


AB = "\nQuestion: a\nAnswer: 1\n\nQuestion: b\nAnswer: 2\n\n"
AB_READ = (("a", "1"), ("b", "2"))
CASES = {
    "as asked, finished": Case(f"{AB}Question: item\nAnswer: 3", True, AB_READ, "item", " 3"),
    "as asked, unfinished": Case(f"{AB}Question: item\nAnswer: 3", False, AB_READ, "item", " 3"),
    "too many, finished: the last is the item": Case(
        f"{AB}Question: c\nAnswer: 3\n\nQuestion: item\nAnswer: 4", True, (*AB_READ, ("c", "3")), "item", " 4"
    ),
    "too many, unfinished: the third is the item": Case(
        f"{AB}Question: item\nAnswer: 3\n\nQuestion: and on\nAnswer: 4\n\nQuest", False, AB_READ, "item", " 3\n\n"
    ),
    "too few, finished: the last is the item": Case(
        "\nQuestion: a\nAnswer: 1\n\nQuestion: item\nAnswer: 2", True, (("a", "1"),), "item", " 2"
    ),
    "too few, unfinished: no item": Case(AB, False, AB_READ, None, None),
    "cut off within an example": Case("\nQuestion: a\nAnswer: 1\n\nQuestion: b and", False, (("a", "1"),), None, None),
    "cut off within an answer cue": Case(f"{AB}Question: item\nAnsw", False, AB_READ, "item\nAnsw", None),
    "the item alone": Case("\nQuestion: item\nAnswer: 1", True, (), "item", " 1"),
    "no answer cue": Case(f"{AB}Question: item", True, AB_READ, "item", None),
    "an empty answer": Case(f"{AB}Question: item\nAnswer:", True, AB_READ, "item", ""),
    "an empty item": Case(f"{AB}Question:\nAnswer: 3", True, AB_READ, None, " 3"),
    "examples without answers": Case(
        "\nQuestion: a\n\nQuestion: b\n\nQuestion: item\nAnswer: 3", True, (("a", ""), ("b", "")), "item", " 3"
    ),
    "empty examples are none": Case(
        "\nQuestion:\nAnswer: 1\n\nQuestion: \n\nQuestion: item\nAnswer: 3", True, (), "item", " 3"
    ),
    "as a word-level vocabulary decodes it": Case(
        "\n question : a b\n answer : 1\n question : c\n answer : 2\n question : item\n answer : 3",
        True,
        (("a b", "1"), ("c", "2")),
        "item",
        " 3",
    ),
    "lower case, no blanks": Case("question:a\nanswer:1\nquestion:item\nanswer:2", True, (("a", "1"),), "item", "2"),
    "capitals and tabs": Case(
        "QUESTION\t:\ta\r\nANSWER :1\r\n\r\nQuestion: item\r\nAnswer: 2", True, (("a", "1"),), "item", " 2"
    ),
    "a preface": Case(
        " Here you are:\nQuestion: a\nAnswer: 1\n\nQuestion: item\nAnswer: 2", True, (("a", "1"),), "item", " 2"
    ),
    "cues within a line are text": Case(
        "\nQuestion: Is Question: or Answer: a cue?\nAnswer: no, Answer: is not\n\nQuestion: item\nAnswer: 2",
        True,
        (("Is Question: or Answer: a cue?", "no, Answer: is not"),),
        "item",
        " 2",
    ),
    "words that begin like cues are text": Case(
        "\nQuestion: a\nQuestions: two\nAnswered: one\nAnswer: 1\n\nQuestion: item\nAnswer: 2",
        True,
        (("a\nQuestions: two\nAnswered: one", "1"),),
        "item",
        " 2",
    ),
    "several lines and options": Case(
        "\nQuestion: a\nOptions:\n- x\n- y\nAnswer: x\n\nQuestion: item\nOptions:\n- y\n- z\nAnswer: z",
        True,
        (("a\nOptions:\n- x\n- y", "x"),),
        "item\nOptions:\n- y\n- z",
        " z",
    ),
    "an answer ends with its line": Case(
        "\nQuestion: a\nAnswer: 1\nbecause\n\nQuestion: item\nAnswer: 2\nbecause",
        True,
        (("a", "1"),),
        "item",
        " 2\nbecause",
    ),
    "the first answer cue of a block counts": Case(
        "\nQuestion: a\nAnswer: 1\nAnswer: 2\n\nQuestion: item\nAnswer: 3\nAnswer: 4",
        True,
        (("a", "1"),),
        "item",
        " 3\nAnswer: 4",
    ),
    "unicode": Case(
        "\nQuestion: Wo liegt „Köln“?\u2028Am …\nAnswer: Rhein 🙂\n\nQuestion: 質問: 何？\nAnswer: 答え",
        True,
        (("Wo liegt „Köln“?\u2028Am …", "Rhein 🙂"),),
        "質問: 何？",
        " 答え",
    ),
    "blanked": Case("\nQuestion: ___\nAnswer: ___\n\nQuestion: item\nAnswer: 1", True, (("___", "___"),), "item", " 1"),
    "no cue at all": Case(" I cannot help with that.", True, (), None, None),
    "an answer without a question": Case("\nAnswer: 1", True, (), None, None),
    "blanks alone": Case(" \n\n ", True, (), None, None),
    "nothing, finished": Case("", True, (), None, None),
    "nothing, unfinished": Case("", False, (), None, None),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_a_samplegen_model_wrote_is_read(case: Case) -> None:
    read = prompts.read_worked(case.text, 2, finished=case.finished)
    assert read[:3] == (case.demonstrations, case.question, case.answer)
    if case.answer is None:
        assert read.until_answer is None
    else:
        assert read.until_answer is not None
        assert case.text.startswith(read.until_answer + case.answer)
        assert read.until_answer.rstrip().casefold().replace(" ", "").endswith("answer:")


@given(words, st.integers(0, 4), st.booleans())
def test_anything_can_be_read(text: str, count: int, finished: bool) -> None:
    read = prompts.read_worked(text, count, finished=finished)
    assert (read.until_answer is None) == (read.answer is None)
    assert len(read.demonstrations) <= (text.casefold().count("question") if finished else count)


def _plain(text: str) -> bool:
    """Whether a text keeps its ends and starts no line with a cue, so that reading it back can be exact."""
    cues = ("question", "answer")
    return text == text.strip() and not any(line.strip().casefold().startswith(cues) for line in text.split("\n"))


characters = st.characters(blacklist_categories=("Cs",))
questions = st.text(characters, min_size=1, max_size=30).filter(_plain)
answers = st.text(characters, min_size=1, max_size=12).filter(lambda text: _plain(text) and "\n" not in text)
examples = st.builds(Demonstration, st.just("made_up/1"), questions, answers | st.just(""))


@given(st.lists(examples, max_size=4), questions, answers, st.booleans())
def test_what_was_worked_is_read_back(shown: list[Demonstration], text: str, answer: str, finished: bool) -> None:
    read = prompts.read_worked(prompts.worked(shown, text, answer), len(shown), finished=finished)
    assert read == Worked(
        tuple((one.input, one.answer) for one in shown),
        text,
        prompts.continuation(answer),
        f"\n{prompts.few_shot(shown, text)}",
    )


def other_task(name: str, cluster: str, kin: tuple[str, ...] = ()) -> tuple[Task, TaskData]:
    train = tuple(Example(f"train-{n}", {"word": f"{name} {n}"}, ("a", "b"), "a") for n in range(5))
    return replace(TASK, name=name, cluster=cluster, kin=kin), TaskData(train, (), "none")


POOL = [other_task("near", "made_up"), *(other_task(f"other{n}", f"cluster{n}") for n in range(3))]


def test_demonstrations_of_other_tasks_are_of_other_clusters_and_one_of_each() -> None:
    for item in range(20):
        shown = prompts.from_other_tasks(TASK, f"test-{item}", POOL, 3, 0, "standard")
        assert {one.source.split("/")[0] for one in shown} == {"other0", "other1", "other2"}
        assert all(one.source.split("/")[0] in one.input for one in shown)


def test_demonstrations_of_other_tasks_depend_on_item_and_seed_and_on_nothing_else() -> None:
    def drawn(item: str, seed: int) -> tuple[Demonstration, ...]:
        return prompts.from_other_tasks(TASK, item, POOL, 3, seed, "standard")

    draws = {drawn(f"test-{item}", seed) for item in range(5) for seed in range(5)}
    assert len(draws) > 20
    assert drawn("test-0", 0) == drawn("test-0", 0)
    assert {item.input for item in drawn("test-0", 0)} != {item.input for item in drawn("test-1", 0)}


def test_tasks_repeat_where_there_are_too_few_of_them() -> None:
    shown = prompts.from_other_tasks(TASK, "test-0", POOL, 7, 0, "standard")
    counts = [sum(one.source.startswith(f"other{n}/") for one in shown) for n in range(3)]
    assert sorted(counts) == [2, 2, 3]


def test_kin_are_no_other_tasks() -> None:
    kin, unlike = other_task("kin", "elsewhere", ("made_up",)), other_task("unlike", "elsewhere")
    for item in range(10):
        shown = prompts.from_other_tasks(TASK, f"test-{item}", [kin, unlike], 1, 0, "standard")
        assert shown[0].source.startswith("unlike/")
    with pytest.raises(TaskError, match="finds no task of another cluster"):
        prompts.from_other_tasks(replace(TASK, kin=("elsewhere",)), "test-0", [unlike], 1, 0, "standard")


def test_without_another_cluster_the_setting_to_widen_is_named() -> None:
    with pytest.raises(TaskError, match=r"task opposites finds .* widen pipelines\.cross_task"):
        prompts.from_other_tasks(TASK, "test-0", POOL[:1], 1, 0, "standard")


def test_demonstrations_of_other_tasks_are_in_the_wording_asked_for() -> None:
    (shown,) = prompts.from_other_tasks(TASK, "test-0", POOL[1:2], 1, 0, "closed-adversarial")
    assert shown.answer == "(a)"
    assert "\n(a) a\n(b) b\n" in shown.input


def test_an_item_is_worded_by_hand_as_well() -> None:
    """The prompts need no task: what is written by a model is worded likewise."""
    assert prompts.instruct(Worded("Do.", "this", (), "that")) == "Instruction: Do.\nInput: this\nAnswer:"
