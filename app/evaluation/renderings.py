"""The renderings table: in which tokens do the two prompts of a pair differ beyond what is declared?

One item of each task is looked at for each base model and recipe, in the wording that pairs compare.
"""

from collections.abc import Iterator

from app.evaluation import requests
from app.models import chat, token_audit
from app.models.loading import tokenizer
from app.models.source import base_source
from app.plan import EvaluateCell, Plan
from app.store import Store
from app.tasks import prompts

_ANSWERS = 4  # of an item that are compared; some tasks have a hundred options


def rows(plan: Plan, store: Store) -> list[dict[str, object]]:
    """One row for each base model, recipe and task whose two sides were answered.

    Raises FewTuneError where a tokenizer cannot be loaded, or cannot say where its tokens stand.
    """
    made: list[dict[str, object]] = []
    for x, y in _pairs(plan, store):
        made.append(_row(plan.study.name, x, y, store))
    return made


def _pairs(plan: Plan, store: Store) -> Iterator[tuple[EvaluateCell, EvaluateCell]]:
    """The two cells of a pair, once for each base model, recipe and task."""
    analysis = plan.study.analysis
    wording = analysis.wording or plan.study.wordings[0]
    direct = ("tuned-direct", "samplegen-direct")
    sides: dict[tuple[str, str, str], EvaluateCell] = {}
    for cell in plan.evaluations:
        if cell.run is None and cell.condition.name == analysis.x and cell.condition.wording == wording:
            sides.setdefault((cell.base.slug, "", cell.task.name), cell)
    seen: set[tuple[str, str, str]] = set()
    for cell in plan.evaluations:
        wanted = direct if analysis.y == "direct" else (analysis.y,)
        if cell.run is None or cell.condition.name not in wanted or cell.condition.wording != wording:
            continue
        x, key = (
            sides.get((cell.base.slug, "", cell.task.name)),
            (
                cell.base.slug,
                cell.run.recipe_name,
                cell.task.name,
            ),
        )
        if x and key not in seen and all(store.exists(requests.responses_path(side)) for side in (x, cell)):
            seen.add(key)
            yield x, cell


def _row(study: str, x: EvaluateCell, y: EvaluateCell, store: Store) -> dict[str, object]:
    first, second = (next(requests.read(side, store))[0] for side in (x, y))
    assert y.run is not None  # noqa: S101 - only tuned sides are paired
    tokens = tokenizer(base_source(x.base, store))
    context = second.context
    if y.answerer and y.answerer.recipe.chat:
        writes = y.condition.name == "samplegen-direct"
        context = chat.wrap(tokens, context, prompts.EXAMPLES_CUE if writes else prompts.ANSWER_CUE)
    if y.condition.name == "samplegen-direct":
        # As where it wrote no worked example: what it writes is its own, and differs from item to item.
        context += prompts.worked((), second.question, "").rstrip()
    declared = [_before(first.context, first.question), _before(second.context, second.question)]
    same_options = first.options == second.options
    answers = (first.options or (first.target,))[:_ANSWERS] if same_options else (first.target,)
    found = token_audit.audit(tokens, first.context, context, answers, [part for part in declared if part])
    return {
        "study": study,
        "base": x.base.slug,
        "recipe": y.run.recipe_name,
        "task": x.task.name,
        "item": first.item,
        "x_condition": x.condition.name,
        "y_condition": y.condition.name,
        "same_answer_tokens": found.same_answers,
        "x_bos": found.base_bos,
        "y_bos": found.tuned_bos,
        "only_x": found.only_base,
        "only_y": found.only_tuned,
    }


def _before(context: str, question: str) -> str:
    """What is declared to differ: the whole lines before the item, which are demonstrations or the instruction."""
    before, found, _ = context.rpartition(question)
    return before[: before.rfind("\n") + 1].strip() if found else ""
