"""The ladder's tokenizer: one vocabulary for every base model, and every prompt of the ladder inside it."""

from pathlib import Path

import pytest
from transformers import AutoTokenizer

from app.plan import LadderSpec
from app.pretraining import ladder, rungs, tokenizer
from app.pretraining.vocabulary import EOS
from app.tasks import prompts
from app.tasks.generated import TASKS
from app.tasks.loading import load
from app.tasks.task import Task
from app.tasks.wordings import word

TOKENIZER = tokenizer.build()


def ids(text: str) -> list[int]:
    return TOKENIZER(text, add_special_tokens=False)["input_ids"]


def test_special_tokens_are_distinct_and_no_start_token_is_added() -> None:
    special = (TOKENIZER.pad_token_id, TOKENIZER.eos_token_id, TOKENIZER.unk_token_id)
    assert len(set(map(str, special))) == 3
    assert TOKENIZER.bos_token_id is None
    assert TOKENIZER("hot")["input_ids"] == ids("hot")
    assert len(ids("hot")) == 1


def test_case_blanks_and_runs_of_newlines_make_no_difference() -> None:
    assert ids("Question: hot\n\n\nAnswer:") == ids("question :   HOT \n answer :")


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_no_prompt_of_a_ladder_task_holds_an_unknown_word(task: Task) -> None:
    data = load(task, None)
    shown = [prompts.demonstration(task, example) for example in data.train[:2]]
    for example in (*data.test, *data.train):
        items = [word(task, example, template=number) for number in range(len(task.templates))]
        texts = [prompts.instruct(item) for item in items]
        texts += [prompts.samplegen(item) for item in items]
        texts.append(prompts.few_shot(shown, items[0].input))
        texts += [prompts.continuation(option) for option in example.options]
        for text in texts:
            assert TOKENIZER.unk_token_id not in ids(text)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_prompt_and_answer_encode_to_the_same_tokens_apart_and_together(task: Task) -> None:
    item = word(task, load(task, None).test[0])
    prompt, answer = prompts.instruct(item), prompts.continuation(item.target)
    assert ids(prompt + answer) == ids(prompt) + ids(answer)
    assert TOKENIZER.decode(ids(answer)) == item.target


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_what_a_ladder_model_worked_is_read_back_from_its_tokens(task: Task, finished: bool) -> None:
    """It decodes in lower case, with blanks around every mark and a single newline between blocks."""
    data = load(task, None)
    item = word(task, data.test[0])
    shown = [prompts.demonstration(task, example) for example in data.train[:2]]
    written = ids(prompts.worked(shown, item.input, item.target))
    read = prompts.read_worked(str(TOKENIZER.decode(written)), len(shown), finished=finished)
    assert read.question is not None
    assert read.answer is not None
    assert read.until_answer is not None
    assert [ids(part) for one in read.demonstrations for part in one] == [
        ids(part) for one in shown for part in (one.input, one.answer)
    ]
    assert ids(read.question) == ids(item.input)
    assert read.answer.strip() == item.target
    # As text it may go on: the base model, or the scoring of options, sees the very tokens that were written.
    assert ids(read.until_answer) + ids(read.answer) == written


@pytest.mark.parametrize("family", rungs.FAMILIES)
def test_a_saved_tokenizer_loads_unchanged_beside_a_model_of_any_family(family: str, tmp_path: Path) -> None:
    ladder.build(LadderSpec(family, 16, 1, 1_000)).save_pretrained(tmp_path)
    TOKENIZER.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    text = "Question: hot\nAnswer: cold\n\nQuestion: big\nAnswer:"
    assert loaded(text)["input_ids"] == ids(text)
    assert loaded.decode(ids(text)) == TOKENIZER.decode(ids(text))
    assert loaded.eos_token == EOS
