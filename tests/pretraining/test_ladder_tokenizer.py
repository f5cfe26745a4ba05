"""The ladder's tokenizer: one vocabulary for every base model, and every prompt of the ladder inside it."""

from pathlib import Path

import pytest
from transformers import AutoTokenizer

from app.plan import LadderSpec
from app.pretraining import ladder, tokenizer
from app.tasks import prompts
from app.tasks.generated import TASKS
from app.tasks.loading import load
from app.tasks.task import Task

TOKENIZER = tokenizer.build()


def ids(text: str) -> list[int]:
    return TOKENIZER(text, add_special_tokens=False)["input_ids"]


def test_special_tokens_are_distinct_and_no_start_token_is_added() -> None:
    assert len({TOKENIZER.pad_token_id, TOKENIZER.eos_token_id, TOKENIZER.unk_token_id}) == 3
    assert TOKENIZER.bos_token_id is None
    assert TOKENIZER("hot")["input_ids"] == ids("hot")
    assert len(ids("hot")) == 1


def test_case_blanks_and_runs_of_newlines_make_no_difference() -> None:
    assert ids("Question: hot\n\n\nAnswer:") == ids("question :   HOT \n answer :")


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_no_prompt_of_a_ladder_task_holds_an_unknown_word(task: Task) -> None:
    data = load(task, None)
    for example in (*data.test, *data.train):
        texts = [prompts.instruct(task, example, wording) for wording in range(len(task.templates))]
        texts.append(prompts.few_shot(task, data.train[:2], example))
        texts += [prompts.continuation(option) for option in example.options]
        for text in texts:
            assert TOKENIZER.unk_token_id not in ids(text)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_prompt_and_answer_encode_to_the_same_tokens_apart_and_together(task: Task) -> None:
    example = load(task, None).test[0]
    prompt, answer = prompts.instruct(task, example), prompts.continuation(example.target)
    assert ids(prompt + answer) == ids(prompt) + ids(answer)
    assert TOKENIZER.decode(ids(answer)) == example.target


@pytest.mark.parametrize("family", ladder.FAMILIES)
def test_a_saved_tokenizer_loads_unchanged_beside_a_model_of_any_family(family: str, tmp_path: Path) -> None:
    ladder.build(LadderSpec(family, 16, 1, 1_000)).save_pretrained(tmp_path)
    TOKENIZER.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    text = "Question: hot\nAnswer: cold\n\nQuestion: big\nAnswer:"
    assert loaded(text)["input_ids"] == ids(text)
    assert loaded.decode(ids(text)) == TOKENIZER.decode(ids(text))
    assert loaded.eos_token == tokenizer.EOS
