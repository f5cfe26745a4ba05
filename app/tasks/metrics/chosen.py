"""Metrics of an option chosen among an item's options.

No answer scores worst: it counts as a wrong option, as T5's metrics count an invalid answer. scikit-learn and SciPy
load late, because the command line needs this room before it needs them.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, cast

from app.errors import CellError
from app.tasks.metrics.score import Judged, Metric, jackknifed, mean_score, together

Correlation = Callable[[Sequence[float], Sequence[float]], float]
YES = "yes"
"""What MultiRC's F1a counts as found, unless a task says otherwise."""


def right(item: Judged) -> bool:
    """Whether the prediction is the target or another right answer, to the letter."""
    return not item.blank and item.prediction in item.answers


def accuracy(judged: Sequence[Judged], positive: str) -> Metric:
    """The share of right options."""
    return mean_score([right(item) for item in judged])


def f1(judged: Sequence[Judged], positive: str) -> Metric:
    """F1 of the answer `positive`; 0 where it is neither right nor predicted anywhere. Raises ValueError without it."""
    return jackknifed(lambda items: _binary_f1(items, positive), judged, len(judged))


def macro_f1(judged: Sequence[Judged], positive: str) -> Metric:
    """The plain mean of the F1 of each class that is right or predicted somewhere, as SuperGLUE scores CB."""
    from sklearn.metrics import f1_score

    def statistic(items: Sequence[Judged]) -> float:
        targets, chosen = [item.target for item in items], [_class(item) for item in items]
        return float(cast(Any, f1_score)(targets, chosen, average="macro", zero_division=0))

    return jackknifed(statistic, judged, len(judged))


def matthews(judged: Sequence[Judged], positive: str) -> Metric:
    """Matthews' correlation of predicted and right classes.

    0 where either has one class only: the ratio is then 0 / 0, and answering always the same tells nothing.
    """
    from sklearn.metrics import matthews_corrcoef

    def statistic(items: Sequence[Judged]) -> float:
        targets, chosen = [item.target for item in items], [_class(item) for item in items]
        return float(matthews_corrcoef(targets, chosen)) if _vary(targets, chosen) else 0.0

    return jackknifed(statistic, judged, len(judged))


def pearson(judged: Sequence[Judged], positive: str) -> Metric:
    """Pearson's correlation of the predicted and the right numbers.

    0 where either is constant: the ratio is then 0 / 0, and answering always the same tells nothing.
    Raises CellError for an answer that is no number.
    """
    from scipy import stats

    return _correlated(judged, "pearson", lambda x, y: float(cast(Any, stats.pearsonr(x, y)).statistic))


def spearman(judged: Sequence[Judged], positive: str) -> Metric:
    """Spearman's rank correlation of the predicted and the right numbers; undefined and refused as `pearson`."""
    from scipy import stats

    return _correlated(judged, "spearman", lambda x, y: float(cast(Any, stats.spearmanr(x, y)).statistic))


def multirc_f1a(judged: Sequence[Judged], positive: str) -> Metric:
    """F1 of `positive` (yes) over all answers of all questions; the jackknife leaves out whole questions."""

    def statistic(questions: Sequence[Sequence[Judged]]) -> float:
        return _binary_f1([item for question in questions for item in question], positive or YES)

    return jackknifed(statistic, together(judged), len(judged))


def multirc_em(judged: Sequence[Judged], positive: str) -> Metric:
    """The share of questions (groups) whose answers are all judged rightly."""
    return mean_score([all(right(item) for item in question) for question in together(judged)])


def _binary_f1(items: Sequence[Judged], positive: str) -> float:
    from sklearn.metrics import f1_score

    if not positive:
        raise ValueError("F1 needs the answer that it counts as found")
    truth = [item.target == positive for item in items]
    # Without an answer a positive item is missed and a negative one falsely found.
    found = [_class(item) == positive if not item.blank else item.target != positive for item in items]
    return float(cast(Any, f1_score)(truth, found, zero_division=0))


def _class(item: Judged) -> str:
    """The target for any right answer; no answer is the first wrong option, or a class of its own without one."""
    if right(item):
        return item.target
    if item.blank or item.prediction is None:
        return next((option for option in item.options if option not in item.answers), "")
    return item.prediction


def _correlated(judged: Sequence[Judged], name: str, correlation: Correlation) -> Metric:
    pairs = [(_number(item.target, name), _predicted_number(item, name)) for item in judged]

    def statistic(sample: Sequence[tuple[float, float]]) -> float:
        targets, chosen = [pair[0] for pair in sample], [pair[1] for pair in sample]
        return correlation(targets, chosen) if _vary(targets, chosen) else 0.0

    return jackknifed(statistic, pairs, len(pairs))


def _predicted_number(item: Judged, name: str) -> float:
    """The predicted number; no answer is the option farthest from the right one."""
    if right(item):
        return _number(item.target, name)
    if item.blank or item.prediction is None:
        target = _number(item.target, name)
        return max((_number(option, name) for option in item.options), key=lambda it: abs(it - target), default=target)
    return _number(item.prediction, name)


def _number(text: str, name: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise CellError(f"the answer {text!r} is no number, so that {name} cannot be computed: choose another metric")
    return value


def _vary(*columns: Sequence[object]) -> bool:
    return all(len(set(column)) > 1 for column in columns)
