"""A task is shown as it is prompted: in each condition, wording and format, with the tokens that it takes."""

from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from tokenizers import pre_tokenizers
from transformers import AutoTokenizer

from app.cli.shown import Asked, View, counter, view
from app.errors import ModelError, TaskError
from app.study import Format, WordingName
from app.tasks import catalog
from app.tasks.task import Generated, Task

WORDS = counter(None)
FORMATS = [form for form in get_args(Format) if form != "regular"]


def shown(task: str | Task = "nli", condition: str | None = None, form: str = "regular", **asked: object) -> View:
    settings = {"wording": "standard", "shots": 2, "seed": 0, "item": 0} | asked
    made = catalog.by_name(task) if isinstance(task, str) else task
    return view(made, None, Asked(condition, form, **settings), WORDS)  # type: ignore[arg-type]


def prompts(found: View) -> dict[str, str]:
    assert all(count == WORDS(text) > 0 for _, text, count in found.prompts)
    return {title: text for title, text, _ in found.prompts}


def test_a_task_is_shown_with_its_facts_under_the_usual_conditions() -> None:
    found = shown()
    facts = dict(found.facts)
    assert (facts["task"], facts["options"], facts["licence"]) == ("nli", "true | unknown | false", "Apache-2.0")
    zero, few, tuned = prompts(found).values()
    assert few.endswith(zero)
    assert few.count("Question: ") == 3
    assert tuned.startswith("Instruction: ")
    titles = list(prompts(found))
    assert titles[0] == "base-zero-shot"
    assert titles[1].startswith("base-few-shot, 2 demonstrations (nli/")
    assert titles[2] == "tuned-direct"


def test_gold_demonstrations_differ_from_item_to_item_and_frozen_ones_do_not() -> None:
    for condition, count in (("base-few-shot", 1), ("gold-pipeline", 4)):
        titles = {title for item in range(4) for title in prompts(shown(condition=condition, item=item))}
        assert len(titles) == count


def test_cross_task_demonstrations_are_shown_with_their_tasks() -> None:
    ((title, text),) = prompts(shown(condition="gold-pipeline-cross-task", shots=3)).items()
    assert "3 demonstrations (" in title
    assert "nli/" not in title
    assert text.count("Question: ") == 4


@pytest.mark.parametrize("wording", get_args(WordingName))
def test_a_wording_holds_for_the_item_its_demonstrations_and_the_facts(wording: str) -> None:
    found = shown(condition="gold-pipeline", wording=wording)
    (text,) = prompts(found).values()
    facts = dict(found.facts)
    assert facts["target"] in facts["options"].split(" | ")
    mark = {"closed": "The answer is ", "unified": "Input 1: ", "translated": "Teacsa 1: "}.get(wording)
    assert mark is None or text.count(mark) == 3
    # The task's own wording lists no options, as the plain one never does.
    (own,) = prompts(shown(condition="gold-pipeline")).values()
    assert (text == own) == (wording in ("standard", "plain"))


@pytest.mark.parametrize("form", FORMATS)
def test_a_format_is_shown_as_it_is_asked_and_as_it_is_tuned_on(form: str) -> None:
    found = prompts(shown("antonym", form=form))
    assert list(found) == ["samplegen-direct", f"what {form} is tuned on, a training example"]
    asked, tuned = found.values()
    assert asked.endswith("\nExamples:")
    prompt, written = tuned.split("\nExamples:\n")
    assert prompt.startswith("Instruction: ")
    assert written.count("Question: ") == 3
    assert written.count("Answer: ") == (1 if form == "samplegen-no-answer" else 3)
    assert written.count("___") == (4 if form == "samplegen-corrupted" else 0)
    assert ("Input 1: " in written) == (form == "samplegen-unified")


def test_a_small_task_is_shown_among_large_ones() -> None:
    antonym = catalog.by_name("antonym")
    assert isinstance(antonym.source, Generated)
    make = antonym.source.make
    few = replace(antonym, name="few", cluster="own", source=Generated(lambda split: make(split)[:6], "1"))
    for seed in range(3):
        _, tuned = prompts(shown(few, form="samplegen-relevance", seed=seed)).values()
        assert antonym.templates[0].input.partition("{")[0] in tuned


def test_tokens_are_those_of_the_tokenizer_asked_for(base_folder: Path, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(base_folder)
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")  # by the letter
    tokenizer.save_pretrained(tmp_path / "letters")
    (tmp_path / "letters" / "config.json").write_text((base_folder / "config.json").read_text())
    text = "Question: hot\nAnswer:"
    letters, words = counter(str(tmp_path / "letters")), counter(str(base_folder))
    assert words(text) == WORDS(text) == 6
    assert letters(text) == len(text)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"item": 9999}, "so there is no item 9999"),
        ({"condition": "base"}, "unknown condition 'base'; known are base-zero-shot, "),
        ({"form": "gen"}, "unknown format 'gen'; known are regular, samplegen, "),
        ({"wording": "odd"}, "unknown wording 'odd'; known are standard, closed, "),
        (
            {"condition": "samplegen-restated"},
            "samplegen-restated shows what a tuned model wrote: look into requests/samplegen-restated-... of a store",
        ),
        ({"shots": 99_999}, "too few for 99999 demonstrations"),
    ],
)
def test_what_cannot_be_shown_is_told(asked: dict[str, object], sentence: str) -> None:
    with pytest.raises(TaskError) as fault:
        shown(**asked)  # type: ignore[arg-type]
    assert sentence in str(fault.value)


def test_a_tokenizer_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be loaded"):
        counter(str(tmp_path))
