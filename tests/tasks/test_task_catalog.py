"""The catalogue and how a study selects from it."""

import pickle

import pytest

from app.errors import TaskError
from app.tasks import catalog, generated
from app.tasks.catalog.ablations import SETUPS
from app.tasks.catalog.selection import RELATED, related
from app.tasks.task import FIELD, Generated, Hub, Manual, Task

REAL_NAMES = [task.name for task in catalog.REAL]
DEFAULT_MIXTURE = {
    "natural_language_inference": ["anli_r1", "anli_r2", "anli_r3", "rte", "snli", "cb", "mnli", "wnli"],
    "commonsense": ["copa", "hellaswag", "piqa"],
    "sentiment_analysis": ["imdb_reviews", "sentiment140", "sst2"],
    "paraphrase": ["mrpc", "qqp", "paws_wiki"],
    "closed_book_qa": ["arc", "arc_easy"],
    "reading_comprehension": ["bool_q", "drop", "multirc", "openbookqa"],
    "reading_comprehension_with_commonsense": ["cosmos_qa"],
    "coreference_resolution": ["dpr_raw"],
    "struct_to_text": ["common_gen", "e2e_nlg", "web_nlg"],
    "machine_translation": [
        *("para_crawl_en_de", "para_crawl_en_es", "para_crawl_en_fr"),
        *("wmt16_cs_en", "wmt16_de_en", "wmt16_fi_en", "wmt16_ru_en", "wmt16_tr_en"),
    ],
}
"""The 36 tasks of ten clusters that arXiv 2501.08716 tunes on by default."""
DEFAULT = [name for members in DEFAULT_MIXTURE.values() for name in members]
HELD_OUT = {
    *("qnli", "story_cloze", "yelp_polarity_reviews", "stsb", "trivia_qa_full", "trivia_qa_wiki", "squad", "squad_v2"),
    *("record", "wsc273", "winogrande", "fix_punct", "dart", "wmt16_ro_en", "samsum"),
    *("coqa", "quac", "trec", "cola", "wic", "math_dataset"),
    *("aeslc", "ag_news", "cnn_dailymail", "gigaword", "newsroom", "xsum", "opin_idebate", "opin_movie"),
}
"""What it always holds out, and the clusters that it holds out whole."""
NLI = DEFAULT_MIXTURE["natural_language_inference"]
NLG = DEFAULT_MIXTURE["struct_to_text"] + DEFAULT_MIXTURE["machine_translation"]


def names(*selectors: str) -> list[str]:
    return [task.name for task in catalog.select(selectors)]


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
    assert isinstance(task.source, Hub | Manual)
    assert task.citation.startswith("https://")
    assert len(task.templates) >= 10
    assert len({template.instruction for template in task.templates}) == len(task.templates)
    assert len({template.input for template in task.templates}) >= 2


@pytest.mark.parametrize("task", catalog.REAL, ids=lambda task: task.name)
def test_the_first_wording_of_a_real_task_asks_for_the_target_and_few_ask_for_anything_else(task: Task) -> None:
    assert not task.templates[0].inverted
    assert sum(template.inverted for template in task.templates) <= 3


@pytest.mark.parametrize("task", catalog.REAL, ids=lambda task: task.name)
def test_no_wording_breaks_the_frame_of_a_prompt(task: Task) -> None:
    for template in task.templates:
        assert "\n" not in template.instruction
        for line in template.input.split("\n"):
            assert line.strip(), "a blank line parts demonstrations"
            assert not line.startswith(("Instruction:", "Question:", "Input:", "Answer:", "Examples:"))


@pytest.mark.parametrize("task", catalog.REAL, ids=lambda task: task.name)
def test_a_real_task_survives_pickling_on_its_way_to_a_worker(task: Task) -> None:
    assert pickle.loads(pickle.dumps(task)) == task  # noqa: S301


def test_kin_and_relations_name_clusters_that_there_are() -> None:
    clusters = {task.cluster for task in catalog.TASKS}
    for task in catalog.TASKS:
        assert set(task.kin) <= clusters - {task.cluster}, task.name
    for pair in RELATED:
        assert {pair.first, pair.second} <= clusters
        assert pair.reason


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
    chosen = names("trec", "cluster:commonsense", "rte", "rte")
    assert sorted(chosen) == ["copa", "hellaswag", "piqa", "rte", "story_cloze", "trec"]
    assert chosen == [name for name in REAL_NAMES if name in chosen]


def test_a_minus_takes_away_again_and_a_later_selector_gives_back() -> None:
    assert "rte" not in names("cluster:natural_language_inference", "-rte")
    assert names("rte", "cb", "-cluster:natural_language_inference", "cb") == ["cb"]
    assert names("paper:tune", "-paper:tune", "setup:mnli-only", "rte", "-setup:mnli-only") == ["rte"]


def test_the_default_mixture_is_that_of_the_paper() -> None:
    assert len(DEFAULT) == 36
    found: dict[str, list[str]] = {}
    for task in catalog.select(["paper:tune"]):
        found.setdefault(task.cluster, []).append(task.name)
    assert {cluster: sorted(members) for cluster, members in found.items()} == {
        cluster: sorted(members) for cluster, members in DEFAULT_MIXTURE.items()
    }


def test_what_the_paper_evaluates_is_all_the_other_real_tasks() -> None:
    held_out = set(names("paper:evaluate"))
    assert held_out >= HELD_OUT
    assert held_out == set(REAL_NAMES) - set(DEFAULT)


def test_kin_of_a_cluster_is_what_must_be_held_out_with_it() -> None:
    coreference = names("kin:coreference_resolution")
    assert set(coreference) == {*names("cluster:coreference_resolution"), "wnli"}
    inference = names("kin:natural_language_inference")
    assert {*NLI, "qnli", "mnli_matched", "mrpc", "qqp", "paws_wiki", "stsb"} <= set(inference)
    assert set(names("kin:paraphrase")) >= set(NLI)
    passages = set(names("kin:reading_comprehension_with_commonsense"))
    assert {"cosmos_qa", "record", "squad", "bool_q", "copa", "hellaswag"} <= passages
    assert {"cosmos_qa", "record"} <= set(names("kin:reading_comprehension"))
    assert "copa" not in names("kin:reading_comprehension"), "a relation goes one step"
    assert names("kin:sentiment_analysis") == names("cluster:sentiment_analysis")


def test_relations_hold_in_either_direction() -> None:
    clusters = {task.cluster for task in catalog.TASKS}
    assert all((a in related(b)) == (b in related(a)) for a in clusters for b in clusters)
    assert related("paraphrase") == {"natural_language_inference"}
    assert related("misc") == frozenset()


@pytest.mark.parametrize(
    ("setup", "expected"),
    [
        ("nlg-only", NLG),
        ("no-nli-no-nlg", [name for name in DEFAULT if name not in {*NLI, *NLG}]),
        ("qnli-only", ["qnli"]),
        ("mnli-only", ["mnli"]),
        ("no-coreference", [name for name in DEFAULT if name not in {"dpr_raw", "wnli"}]),
        (
            "coreference-winogrande",
            [name for name in DEFAULT if name not in {"dpr_raw", "wnli"}] + ["winogrande"],
        ),
        ("coreference-dpr", [name for name in DEFAULT if name != "wnli"]),
    ],
)
def test_a_setup_is_a_mixture_of_the_paper(setup: str, expected: list[str]) -> None:
    assert sorted(names(f"setup:{setup}")) == sorted(expected)


def test_there_are_seven_setups() -> None:
    assert len(SETUPS) == 7


def test_no_selector_selects_nothing() -> None:
    assert catalog.select([]) == ()


@pytest.mark.parametrize(
    ("selector", "hint"),
    [
        ("gsm8", "did you mean gsm8k"),
        ("set:tun", "did you mean set:tune"),
        ("cluster:bigbnch", "cluster:bigbench"),
        ("-openbokqa", "openbookqa"),
        ("paper:train", "did you mean paper:"),
        ("kin:coreference_resolutio", "did you mean kin:coreference_resolution"),
        ("setup:nlg", "did you mean setup:nlg-only"),
        ("kin:rte", "unknown selector 'kin:rte'"),
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
