"""A planned task is the catalogue's, read from where the study says; what identifies it changes with its prompts."""

from dataclasses import replace

import pytest

from app import resolve
from app.errors import TaskError
from app.identity import canonical_json
from app.study import Source
from app.tasks import catalog
from app.tasks.planned import described, task_of, with_source
from app.tasks.task import Generated, Hub, Manual, Task, Template

HUB = Hub("owner/name", "config", "train", "test", "abc")
ELSEWHERE = Source(id="else/where", config="other", train="first", test="second", revision="v1")

every_task = pytest.mark.parametrize("task", catalog.TASKS, ids=lambda task: task.name)


@every_task
def test_a_planned_task_of_the_catalogue_is_that_task(task: Task) -> None:
    assert task_of(resolve.facts(task)) == task


@every_task
def test_what_identifies_a_task_can_be_written_down(task: Task) -> None:
    assert canonical_json(resolve.facts(task).inputs)


@pytest.mark.parametrize("task", catalog.REAL, ids=lambda task: task.name)
def test_a_planned_task_is_read_from_the_place_that_the_study_gives(task: Task) -> None:
    planned = task_of(resolve.facts(with_source(task, ELSEWHERE)))
    assert planned.source == Hub("else/where", "other", "first", "second", "v1")
    assert replace(planned, source=task.source) == task


def test_a_source_has_the_hubs_usual_splits_unless_it_says_otherwise() -> None:
    task = with_source(catalog.by_name("rte"), Source(id="else/where"))
    assert task.source == Hub("else/where")


def test_each_kind_of_source_is_described_by_what_decides_its_examples() -> None:
    task = catalog.by_name("rte")
    assert described(replace(task, source=HUB)) == {
        "hub": "owner/name",
        "config": "config",
        "train": "train",
        "test": "test",
        "revision": "abc",
    }
    assert described(replace(task, source=Manual("a.csv", "Ask for it.", "b.csv"))) == {
        "manual": "a.csv",
        "test": "b.csv",
    }
    assert described(replace(task, source=Generated(lambda _split: [], "7"))) == {"generated": "7"}


def test_how_to_fetch_a_file_is_no_part_of_what_identifies_it() -> None:
    task = catalog.by_name("rte")
    one, other = (replace(task, source=Manual("a.csv", how)) for how in ("Ask for it.", "Write to them."))
    assert resolve.facts(one) == resolve.facts(other)


@pytest.mark.parametrize(
    "source",
    [
        replace(HUB, id="owner/other"),
        replace(HUB, config="other"),
        replace(HUB, train="other"),
        replace(HUB, test="other"),
        replace(HUB, revision=None),
    ],
)
def test_any_other_place_makes_another_task(source: Hub) -> None:
    task = catalog.by_name("rte")
    one, other = (resolve.facts(replace(task, source=place)) for place in (HUB, source))
    assert one.inputs != other.inputs


def test_any_change_of_a_template_makes_another_task_and_a_name_does_not_change_the_templates() -> None:
    task = catalog.by_name("rte")
    first, second = Template("Do.", "{premise}"), Template("Do it.", "{hypothesis}")
    changed = [
        (first,),
        (second,),
        (first, second),
        (second, first),
        (first, replace(second, input="{premise}")),
        (first, replace(second, instruction="Do this.")),
        (first, replace(second, answer="{premise}")),
    ]
    told = [resolve.facts(replace(task, templates=templates)).inputs["templates"] for templates in changed]
    assert len(set(map(str, told))) == len(changed)
    renamed = resolve.facts(replace(task, name="renamed", templates=changed[0]))
    assert renamed.inputs["templates"] == told[0]


def test_a_task_that_the_catalogue_lacks_is_refused_by_name() -> None:
    facts = replace(resolve.facts(catalog.by_name("rte")), name="rtte")
    with pytest.raises(TaskError, match=r"unknown task 'rtte'; did you mean rte"):
        task_of(facts)
