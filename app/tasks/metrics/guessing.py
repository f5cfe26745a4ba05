"""What a score is worth: the score of guessing, which knows the options and nothing else."""

import math
from collections import defaultdict
from collections.abc import Sequence

from app.tasks.metrics.chosen import YES
from app.tasks.metrics.score import Judged, require_items, together
from app.tasks.task import MetricName


def chance(name: MetricName, judged: Sequence[Judged], positive: str = "") -> float:
    """The expected score of drawing each answer uniformly from the item's k options; predictions are ignored.

    accuracy, bertscore_accuracy: the mean of r / k, where r options are right (mostly one; an item without options
    counts 0). multirc_em: the mean over questions of the product of 1 / k. f1, multirc_f1a: 2 P R / (P + R) with
    recall R = 1 / k and precision P = the share of the positive class, in general 2 E[hits] / (E[found] + positives),
    which the expected F1 approaches with more items. macro_f1: the mean of that over all classes. matthews, pearson,
    spearman: 0. A free answer cannot be guessed, so its metrics give what saying nothing scores: 0, but for
    word_edit_distance the mean number of words of the shortest right answer. Raises ValueError for no items, and for
    f1 without `positive`.
    """
    require_items(len(judged))
    match name:
        case "accuracy" | "bertscore_accuracy":
            return math.fsum(map(_right, judged)) / len(judged)
        case "multirc_em":
            questions = together(judged)
            return math.fsum(math.prod(map(_right, question)) for question in questions) / len(questions)
        case "f1" | "multirc_f1a":
            wanted = positive or (YES if name == "multirc_f1a" else "")
            if not wanted:
                raise ValueError("F1 needs the answer that it counts as found")
            return _expected_f1(judged).get(wanted, 0.0)
        case "macro_f1":
            classes = _expected_f1(judged)
            return math.fsum(classes.values()) / len(classes)
        case "word_edit_distance":
            return sum(min(len(answer.split()) for answer in item.answers) for item in judged) / len(judged)
        case _:
            return 0.0


def _right(item: Judged) -> float:
    """The probability of guessing a right option."""
    return sum(option in item.answers for option in item.options) / len(item.options) if item.options else 0.0


def _expected_f1(judged: Sequence[Judged]) -> dict[str, float]:
    """Class -> F1 of the expected counts under guessing; any right option counts as the target."""
    hits, found, positives = defaultdict[str, float](float), defaultdict[str, float](float), defaultdict[str, int](int)
    for item in judged:
        positives[item.target] += 1
        hits[item.target] += _right(item)
        for option in item.options:
            found[item.target if option in item.answers else option] += 1 / len(item.options)
    return {name: 2 * hits[name] / (found[name] + positives[name]) for name in {*found, *positives}}
