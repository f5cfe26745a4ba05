"""The catalogue and how a study selects from it."""

import pickle

import pytest

from app.errors import TaskError
from app.tasks import catalog, generated
from app.tasks.task import FIELD, Generated, Hub, Task

REAL_NAMES = [task.name for task in catalog.REAL]


def test_no_two_tasks_share_a_name() -> None:
    names = [task.name for task in catalog.TASKS]
    assert len(set(names)) == len(names)


def test_real_and_generated_tasks_share_no_cluster() -> None:
    assert not {t.cluster for t in catalog.REAL} & {t.cluster for t in generated.TASKS}


@pytest.mark.parametrize("task", catalog.TASKS, ids=lambda task: task.name)
def test_every_task_states_licence_and_wording(task: Task) -> None:
    assert task.licence
    assert task.templates
    for template in task.templates:
        assert template.instruction.strip()
        assert FIELD.search(template.input), "an input that shows no field is the same for every item"


@pytest.mark.parametrize("task", catalog.REAL, ids=lambda task: task.name)
def test_every_real_task_has_a_source_a_citation_and_several_wordings(task: Task) -> None:
    assert isinstance(task.source, Hub)
    assert task.citation.startswith("https://")
    assert 2 <= len(task.templates) <= 3
    assert len({template.input for template in task.templates}) == len(task.templates)


@pytest.mark.parametrize("task", catalog.REAL, ids=lambda task: task.name)
def test_a_real_task_survives_pickling_on_its_way_to_a_worker(task: Task) -> None:
    assert pickle.loads(pickle.dumps(task)) == task  # noqa: S301


def test_the_winograd_relative_is_not_held_out_with_inference() -> None:
    assert catalog.by_name("wnli").cluster != catalog.by_name("rte").cluster


def test_a_set_holds_the_generated_tasks_of_a_role_only() -> None:
    for role in ("tune", "develop", "evaluate"):
        chosen = catalog.select([f"set:{role}"])
        assert chosen == tuple(task for task in generated.TASKS if task.role == role)
        assert all(isinstance(task.source, Generated) for task in chosen)


def test_the_three_sets_are_disjoint_and_none_is_empty() -> None:
    sets = [catalog.select([f"set:{role}"]) for role in ("tune", "develop", "evaluate")]
    assert all(sets)
    assert len({task.name for tasks in sets for task in tasks}) == sum(map(len, sets)) == len(generated.TASKS)


def test_selected_tasks_come_once_and_in_the_order_of_the_catalogue() -> None:
    chosen = catalog.select(["trec", "cluster:bigbench", "rte", "rte"])
    assert [task.name for task in chosen] == [
        name for name in REAL_NAMES if name in {"trec", "rte"} or name.startswith(("logical", "tracking"))
    ]


def test_a_minus_takes_away_again_and_a_later_selector_gives_back() -> None:
    names = [task.name for task in catalog.select(["cluster:natural_language_inference", "-rte"])]
    assert names == ["cb"]
    assert catalog.select(["rte", "cb", "-cluster:natural_language_inference", "cb"])[0].name == "cb"


def test_no_selector_selects_nothing() -> None:
    assert catalog.select([]) == ()


@pytest.mark.parametrize(
    ("selector", "hint"),
    [
        ("gsm8", "did you mean gsm8k"),
        ("set:tun", "did you mean set:tune"),
        ("cluster:bigbnch", "cluster:bigbench"),
        ("-openbokqa", "openbookqa"),
        ("?", "known are"),
    ],
)
def test_an_unknown_selector_is_refused_with_the_nearest_known(selector: str, hint: str) -> None:
    with pytest.raises(TaskError, match=hint):
        catalog.select([selector])


def test_a_selection_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(TaskError, match="leaves no task"):
        catalog.select(["rte", "-rte"])


def test_the_docstring_shows_how_to_add_a_task() -> None:
    shown = (catalog.__doc__ or "").split("\n\n", 2)[2]
    lines = "\n".join(line.removeprefix("    ") for line in shown.splitlines())
    space: dict[str, object] = {}
    exec("from app.tasks.rows import labelled\nfrom app.tasks.task import *\n" + lines, space)  # noqa: S102
    assert isinstance(space["BOOLQ"], Task)
