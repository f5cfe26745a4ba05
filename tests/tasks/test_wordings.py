"""Wordings: the same item in other words; what is asked and which answer is right never change."""

import re
from dataclasses import replace
from itertools import pairwise, permutations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import TaskError
from app.study import WordingName
from app.tasks import catalog, prompts, wordings
from app.tasks.loading import load
from app.tasks.task import FIELD, Example, Generated, Task, Template
from app.tasks.wordings import WORDINGS, Worded, fill, word

TASK = Task(
    name="colours",
    cluster="made_up",
    role="tune",
    source=Generated(lambda _split: [], "1"),
    templates=(
        Template("Say what colour it is.", "Thing: {thing}\nPlace: {place}\nOptions:\n{options}"),
        Template("Which colour has this?", "{thing} ({place})"),
        Template("Name a thing of this colour.", "Colour: {target}\nIt is found here: {place}", "{thing}"),
    ),
    metric="accuracy",
    licence="our own",
)
SNOW = Example("1", {"thing": "snow", "place": "north"}, ("green", "white", "blue"), "white")
OPEN = replace(TASK, name="open", templates=(Template("Say it.", "Thing: {thing}\nPlace: {place}"),), metric="squad_f1")
FREE = replace(SNOW, options=(), target="white", references=("pale",))
LISTED = replace(TASK, templates=TASK.templates[:1])
"""Every template shows the options."""
ORNATE: tuple[WordingName, ...] = ("ornate-1", "ornate-2", "ornate-3", "ornate-4", "ornate-5", "ornate-6")
FRAME = re.compile(r"^\s*(instruction|question|input|answer|examples)\s*:", re.IGNORECASE | re.MULTILINE)

every_wording = pytest.mark.parametrize("wording", WORDINGS)
every_task = pytest.mark.parametrize("task", catalog.TASKS, ids=lambda task: task.name)


def test_the_standard_wording_is_a_template_filled_in() -> None:
    assert word(TASK, SNOW) == Worded(
        "Say what colour it is.",
        "Thing: snow\nPlace: north\nOptions:\n- green\n- white\n- blue",
        ("green", "white", "blue"),
        "white",
    )
    assert word(TASK, SNOW, template=1).input == "snow (north)"
    assert word(OPEN, FREE) == Worded("Say it.", "Thing: snow\nPlace: north", (), "white", ("pale",))


@pytest.mark.parametrize(
    ("wording", "text"),
    [
        ("closed", 'snow (north)\nThe answer is "green", "white" or "blue".'),
        ("plain", "snow (north)"),
        ("ornate-1", "Here is an item.\nThing: snow\nPlace: north\nOptions:\n- green\n- white\n- blue"),
        ("unified", "Input 1: snow\nInput 2: north\nOptions:\n- green\n- white\n- blue"),
        ("translated", "Teacsa 1: snow\nTeacsa 2: north\nRoghainnean:\n- green\n- white\n- blue"),
    ],
)
def test_each_wording_of_an_item_with_options(wording: WordingName, text: str) -> None:
    worded = word(TASK, SNOW, wording)
    assert worded.input == text
    assert (worded.options, worded.target) == (SNOW.options, "white")


@pytest.mark.parametrize(
    ("wording", "text"),
    [
        ("closed", "Thing: snow\nPlace: north"),
        ("closed-adversarial", "Thing: snow\nPlace: north"),
        ("plain", "Thing: snow\nPlace: north"),
        ("ornate-1", "Here is an item.\nThing: snow\nPlace: north"),
        ("unified", "Input 1: snow\nInput 2: north"),
        ("translated", "Teacsa 1: snow\nTeacsa 2: north"),
    ],
)
def test_each_wording_of_an_item_without_options(wording: WordingName, text: str) -> None:
    worded = word(OPEN, FREE, wording)
    assert worded.input == text
    assert worded[2:] == ((), "white", ("pale",))


def test_lettered_options_are_the_answers_of_the_adversarial_wording() -> None:
    worded = word(TASK, SNOW, "closed-adversarial")
    lines = worded.input.split("\n")
    assert lines[:-1] == ["snow (north)", "(a) green", "(b) white", "(c) blue"]
    assert (worded.options, worded.target) == (("(a)", "(b)", "(c)"), "(b)")


@pytest.mark.parametrize("options", permutations(SNOW.options))
def test_the_right_letter_follows_the_order_of_the_options_and_the_remark_does_not(options: tuple[str, ...]) -> None:
    worded = word(TASK, replace(SNOW, options=options), "closed-adversarial")
    assert worded.options.index(worded.target) == options.index("white")
    assert f"{worded.target} white\n" in worded.input
    assert worded.input.split("\n")[-1] == word(TASK, SNOW, "closed-adversarial").input.split("\n")[-1]


def test_other_right_answers_get_their_letters_too() -> None:
    worded = word(TASK, replace(SNOW, references=("blue", "pale")), "closed-adversarial")
    assert worded.references == ("(c)",)


def test_there_are_letters_for_any_number_of_options() -> None:
    options = tuple(f"option {n}" for n in range(60))
    worded = word(TASK, replace(SNOW, options=options, target="option 53"), "closed-adversarial")
    assert len(set(worded.options)) == 60
    assert (*worded.options[:2], *worded.options[25:28]) == ("(a)", "(b)", "(z)", "(aa)", "(ab)")
    assert worded.target == "(bb)"


def test_where_every_template_shows_options_the_plain_wording_leaves_out_their_lines() -> None:
    assert word(LISTED, SNOW, "plain").input == "Thing: snow\nPlace: north"
    between = replace(LISTED, templates=(Template("Say.", "{options}\nThing: {thing}"),))
    assert word(between, SNOW, "plain").input == "Thing: snow"


def test_where_every_template_shows_options_the_plain_instruction_does_not_speak_of_them() -> None:
    silent = Template("Name its colour.", "{thing}\nOne of: {options}")
    speaking = Template("Pick an option.", "Thing: {thing}\nOptions:\n{options}")
    plain = word(replace(LISTED, templates=(speaking, silent)), SNOW, "plain")
    assert plain[:2] == ("Name its colour.", "Thing: snow")
    assert word(replace(LISTED, templates=(speaking,)), SNOW, "plain").instruction == "Pick an option."


def test_an_inverted_template_is_never_the_plain_one() -> None:
    turned = replace(TASK, templates=(TASK.templates[0], TASK.templates[2]))
    assert word(turned, SNOW, "plain").input == "Thing: snow\nPlace: north"


def test_an_ornate_request_grows_from_level_to_level_and_says_nothing_about_the_item() -> None:
    texts = [word(TASK, SNOW, wording).input for wording in ORNATE]
    assert all(len(more) > len(less) for less, more in pairwise(texts))
    own = word(TASK, SNOW)
    requests = [text.removesuffix(own.input) for text in texts]
    assert all(request.count("\n") == 1 and request.endswith("\n") for request in requests)
    other = replace(SNOW, fields={"thing": "coal", "place": "mine"}, options=("black", "red"), target="black")
    assert [word(TASK, other, wording).input.split("\n")[0] + "\n" for wording in ORNATE] == requests


def test_an_inverted_template_gives_the_target_and_asks_for_something_else() -> None:
    assert word(TASK, SNOW, template=2) == Worded(
        "Name a thing of this colour.", "Colour: white\nIt is found here: north", (), "snow"
    )


@pytest.mark.parametrize("number", [-1, 3])
def test_a_template_that_does_not_exist_is_refused(number: int) -> None:
    with pytest.raises(TaskError, match=f"task colours has 3 templates, none of number {number}"):
        word(TASK, SNOW, template=number)


def test_an_unknown_field_is_refused_with_task_and_known_fields() -> None:
    task = replace(TASK, templates=(Template("Do.", "{thnig}"),))
    with pytest.raises(
        TaskError, match=r"task colours: a template names the field thnig; available are thing, place, options$"
    ):
        word(task, SNOW)


def test_options_are_no_field_of_an_item_without_any() -> None:
    with pytest.raises(TaskError, match=r"names the field options; available are thing, place$"):
        word(TASK, FREE)


def test_the_target_is_a_field_only_where_it_is_answered() -> None:
    with pytest.raises(TaskError, match=r"names the field target; available are thing, place, options$"):
        fill(TASK, "It is {target}.", SNOW)
    assert fill(TASK, "It is {target}.", SNOW, answered=True) == "It is white."
    with pytest.raises(TaskError, match=r"available are thing, place, options, target$"):
        fill(TASK, "It is {taregt}.", SNOW, answered=True)


def test_a_field_of_that_name_goes_before_options_and_target() -> None:
    item = replace(SNOW, fields={"target": "a bull's eye", "options": "two"})
    assert fill(TASK, "{target} {options}", item, answered=True) == "a bull's eye two"


def test_braces_around_no_name_are_plain_text() -> None:
    assert fill(TASK, "Fill {} in: { } {thing} {a b} {}{", SNOW) == "Fill {} in: { } snow {a b} {}{"


def test_braces_in_the_data_are_not_filled_in_again() -> None:
    item = replace(SNOW, fields={"thing": "{place} {target}", "place": "{options}"}, options=("{thing}", "white"))
    assert fill(TASK, "{thing}, {place}: {options}", item) == "{place} {target}, {options}: - {thing}\n- white"


texts = st.text(st.characters(blacklist_categories=("Cs",)), min_size=1, max_size=12)


@given(texts, texts, st.lists(texts, min_size=2, max_size=5, unique=True), st.data())
def test_every_wording_keeps_the_right_answer_and_the_number_of_options(
    thing: str, place: str, options: list[str], draw: st.DataObject
) -> None:
    right = draw.draw(st.sampled_from(range(len(options))))
    item = Example("1", {"thing": thing, "place": place}, tuple(options), options[right])
    for wording in WORDINGS:
        worded = word(TASK, item, wording)
        assert len(worded.options) == len(options)
        assert worded.options.index(worded.target) == right
        assert thing in worded.input
        assert place in worded.input


@given(texts, st.lists(texts, min_size=2, max_size=5, unique=True))
def test_no_wording_depends_on_which_answer_is_right(thing: str, options: list[str]) -> None:
    item = Example("1", {"thing": thing, "place": "north"}, tuple(options), options[0])
    for wording in WORDINGS:
        shown = {word(TASK, replace(item, target=option), wording)[:3] for option in options}
        assert len(shown) == 1


@every_wording
def test_no_wording_of_a_free_answer_depends_on_it(wording: WordingName) -> None:
    other = replace(FREE, target="grey", references=())
    assert word(OPEN, FREE, wording)[:3] == word(OPEN, other, wording)[:3]


def shown_by(task: Task) -> list[str]:
    """The fields that the first template shows."""
    return [name for name in dict.fromkeys(FIELD.findall(task.templates[0].input)) if name != "options"]


@every_task
def test_every_wording_of_every_task_is_the_same_item(task: Task, tiny_mirror: Path) -> None:
    data = load(task, tiny_mirror)
    for example in (*data.test[:3], *data.train[:2]):
        own = word(task, example)
        assert (own.options, own.target, own.references) == (example.options, example.target, example.references)
        for wording in WORDINGS:
            worded = word(task, example, wording)
            assert worded.input == worded.input.strip() != ""
            assert "\n\n" not in worded.input
            assert not FRAME.search(worded.input)
            assert len(worded.options) == len(example.options)
            if wording != "closed-adversarial" or not example.options:
                assert worded[2:] == own[2:]
            else:
                assert f"{worded.target} {example.target}\n" in worded.input
                assert worded.options.index(worded.target) == example.options.index(example.target)
            assert all(example.fields[name] in worded.input for name in shown_by(task))
            # Whatever the right answer is, the prompt is the same.
            for option in example.options[:3]:
                assert word(task, replace(example, target=option), wording)[:3] == worded[:3]
            if not example.options:
                assert word(task, replace(example, target="xyzzy", references=()), wording)[:3] == worded[:3]


@every_task
def test_what_is_worked_for_any_task_in_any_wording_is_read_back(task: Task, tiny_mirror: Path) -> None:
    data = load(task, tiny_mirror)
    for wording in WORDINGS:
        item = word(task, data.test[0], wording)
        shown = [prompts.demonstration(task, example, wording) for example in data.train[:2]]
        read = prompts.read_worked(prompts.worked(shown, item.input, item.target), len(shown), finished=True)
        assert read.demonstrations == tuple((one.input, one.answer) for one in shown)
        assert (read.question, read.answer) == (item.input, prompts.continuation(item.target))


@every_task
def test_the_plain_wording_lists_no_option_and_speaks_of_none(task: Task, tiny_mirror: Path) -> None:
    example = load(task, tiny_mirror).test[0]
    plain = word(task, example, "plain")
    lines = plain.input.split("\n")
    assert not any(line.removeprefix("- ") in example.options for line in lines if line.startswith("- "))
    assert not re.search(r"\boptions?\b", f"{plain.instruction} {plain.input}".lower())


@every_task
def test_the_closed_wording_lists_every_option_in_quotes_and_in_order(task: Task, tiny_mirror: Path) -> None:
    example = load(task, tiny_mirror).test[0]
    last = word(task, example, "closed").input.split("\n")[-1]
    if not example.options:
        assert word(task, example, "closed") == word(task, example, "plain")
        return
    places = [last.index(f'"{option}"') for option in example.options]
    assert places == sorted(places)
    assert last.startswith('The answer is "')
    assert last.endswith('".')


@every_task
def test_the_unified_and_translated_wordings_number_all_fields_of_the_first_template(
    task: Task, tiny_mirror: Path
) -> None:
    example = load(task, tiny_mirror).test[0]
    own, names = word(task, example), shown_by(task)
    listed = [f"- {option}" for option in example.options] if "{options}" in task.templates[0].input else []
    labels: dict[WordingName, tuple[str, str]] = {
        "unified": ("Input", "Options:"),
        "translated": ("Teacsa", "Roghainnean:"),
    }
    for wording, (label, header) in labels.items():
        worded = word(task, example, wording)
        numbered = [f"{label} {place}: {example.fields[name]}" for place, name in enumerate(names, 1)]
        assert worded.input.split("\n") == [*numbered, *([header, *listed] if listed else [])]
        assert (worded.instruction == own.instruction) == (wording == "unified")


@every_task
def test_an_inverted_template_shows_no_options_and_not_what_it_asks_for(task: Task, tiny_mirror: Path) -> None:
    example = load(task, tiny_mirror).test[0]
    for number, template in enumerate(task.templates):
        if template.inverted:
            worded = word(task, example, template=number)
            assert worded.options == worded.references == ()
            asked, told = FIELD.findall(template.answer), FIELD.findall(template.instruction + template.input)
            assert asked
            assert set(asked).isdisjoint({*told, "target", "options"})
            assert "target" in told or set(told) & set(example.fields)


@settings(max_examples=30, deadline=None)
@given(task=st.sampled_from(catalog.TASKS), wording=st.sampled_from(WORDINGS), place=st.integers(0, 1_000))
def test_demonstration_and_item_read_alike_in_a_wording(
    task: Task, wording: WordingName, place: int, tiny_mirror: Path
) -> None:
    data = load(task, tiny_mirror)
    example = data.test[place % len(data.test)]
    shown, asked = prompts.demonstration(task, example, wording), wordings.word(task, example, wording)
    assert (shown.input, shown.answer) == (asked.input, asked.target)
