"""What a report says in words about its methods, and what it cannot say."""

from collections.abc import Sequence
from typing import NamedTuple

from app.analysis.answer import Row, find, main_filter
from app.analysis.estimation.refusals import MIN_CLUSTERS, MIN_TASKS
from app.analysis.vocabulary import CONDITIONS, FLOOR, UNITS
from app.study import Analysis


class Extent(NamedTuple):
    """What the study's pairs span; `items` and `shots` as text, `missing` in pairs."""

    families: int
    bases: int
    tasks: int
    items: str
    shots: int
    missing: int
    ladder: bool


def methods(rows: Sequence[Row], analysis: Analysis, extent: Extent) -> list[str]:
    """Estimands, intervals and refusals, one paragraph each."""
    metric = "each task's primary metric" if analysis.metric == "primary" else analysis.metric.replace("_", " ")
    lines = [
        f"A pair is one tuned model on one task: {CONDITIONS[analysis.x]}"
        + (f" ({extent.shots} demonstrations)" if extent.shots else "")
        + f" against {CONDITIONS[analysis.y]}, on the same test items ({extent.items} items a task). "
        f"Scores are {metric}, corrected for chance as (p − c) / (m − c) with m the metric's best value, and never "
        "clipped; scores over several draws of demonstrations are averaged.",
        "Levels: pooled takes all pairs as they are; within task removes the mean of each task; doubly centred also "
        "removes the mean of each tuned model and is the primary one; model and task correlate means. "
        "Rank coefficients are taken on the centred scores, rounded to twelve decimals so that ties stay ties.",
        _intervals(analysis),
        "Nothing is said of models from one base model, nor of tasks from one task. "
        f"Refusals: no interval below {MIN_TASKS} tasks or {MIN_CLUSTERS} {UNITS[analysis.cluster_by][1]}, nor where "
        "leaving one out makes the estimate undefined. Runs or tasks on which a side does not vary are left out of all "
        "levels and named. Where cells are missing, means of runs and tasks are those of least squares over the cells "
        "that are there; components of variance need a complete part of runs and tasks. An undefined estimate is "
        "reported as such, never as a number.",
        _tests(rows),
    ]
    if any(row.boot_low is not None for row in rows):
        lines.append(
            "The thin intervals beside them are percentiles of a two-way pigeonhole bootstrap, which draws "
            f"{UNITS[analysis.cluster_by][1]} and tasks with replacement; they "
            "stand there as a check, since in simulated studies the jackknife's cover more nearly as often as they say."
        )
    if any(row.method.startswith("pearson-corrected") for row in rows):
        lines.append(
            "Noise-corrected coefficients split the items of each task in two halves, again and again, and use only "
            "products across halves, so that the noise of single items drops out. All models share their items, so a "
            "binomial formula would correct for the wrong noise. They are refused where "
            "too little reliable variance is left or the interval is too wide."
        )
    if analysis.baseline:
        lines.append(
            f"The difference sets the predictor against {CONDITIONS[analysis.baseline]} on the same pairs. It is "
            f"claimed only if the same holds for normal scores within each task, over tasks whose median scores all "
            f"exceed {FLOOR}: a rival near its floor would otherwise manufacture a difference."
        )
    subset = main_filter(rows)
    if subset != "all":
        lines.append(
            "The answer rests on base models that were pretrained on every task. Those that lack some by design differ "
            "from them because the study made them differ; they serve the limit test."
        )
    main = find(rows, "doubly_centred", filter=subset)
    if main is not None and main.note:
        lines.append(f"In the primary estimate: {main.note}.")
    return lines


def _tests(rows: Sequence[Row]) -> str:
    whole = main_filter(rows) == "all"
    over = "all pairs" if whole else "the pairs of base models that lack no task"
    said = [
        f"p-values test a true value of 0 with the interval's own t; the doubly centred correlation over {over}, and "
        "its difference from the baseline's, were named as primary beforehand."
    ]
    if any(row.p_permutation is not None for row in rows):
        said.append("Permutation p-values rest on permutations that respect families.")
    if any(row.p_holm is not None for row in rows):
        said.append(
            "Adjusted p-values (Holm) and q-values (Benjamini and Hochberg) count all tests of the family of tests "
            "that the table names."
        )
    else:
        said.append("They are not adjusted for their number.")
    return " ".join(said)


def _intervals(analysis: Analysis) -> str:
    by_family = analysis.cluster_by == "family"
    unit = UNITS[analysis.cluster_by][1]
    cover = (
        "How often they cover in simulated studies of several designs, and where they are wider than need be, stands "
        "in docs/coverage.md of FewTune's repository."
        if by_family
        else "Sister models are not independent: where base models share a family there is no interval within tasks "
        "and of means of models, which in simulations covered too little. docs/coverage.md of FewTune's repository "
        "has the others."
    )
    return (
        f"Intervals (95 %) come from a two-way jackknife over {unit} and tasks, because neither sister models nor "
        "tasks are independent: variances of leaving one out are added, for Pearson's r less the part that both share; "
        "for rank coefficients, partial correlations and correlations of normal scores nothing is subtracted, which "
        "widens them. "
        "Fisher's scale for correlations, plain scale for differences, Student's t with Satterthwaite's degrees of "
        f"freedom. {cover}"
    )


def cautions(rows: Sequence[Row], analysis: Analysis, extent: Extent, cut: tuple[int, int] = (0, 0)) -> list[str]:
    """What holds for every study, for small ones, and for the ladder; `cut`: prompts that were cut, and all."""
    corrected = any(row.method.startswith("pearson-corrected") and row.estimate is not None for row in rows)
    noise = "only those named as corrected are free of it." if corrected else "none could be corrected for it."
    lines = [
        "A correlation between two sides of the same model does not say what causes both.",
        f"Scores rest on {extent.items} items a task: their noise weakens the correlations shown here, and {noise}",
    ]
    if extent.families < MIN_CLUSTERS:
        one = extent.families == 1
        lines.append(
            f"{extent.families} {'family' if one else 'families'}: what holds here may be a habit of "
            f"{'this family' if one else 'these families'}, and no statistic of this study can tell."
        )
    elif extent.families < 2 * MIN_CLUSTERS:
        lines.append(f"{extent.families} families are few: look at the estimates without each of them first.")
    if analysis.cluster_by == "base":
        lines.append(
            "The intervals treat base models as independent. Base models of one family share architecture and "
            "recipe, so the true uncertainty about other families is larger."
        )
    if cut[0]:
        lines.append(
            f"{cut[0]:,} of {cut[1]:,} prompts were longer than the model's context and lost their beginning: "
            f"demonstrations, or an instruction. The column cut_prompts of the scores tells where."
        )
    if extent.missing:
        lines.append("Pairs are missing. If they failed for a reason linked to their scores, the estimates are biased.")
    return lines + (list(_LADDER) if extent.ladder else [])


_LADDER = (
    "The base models are tiny and were pretrained by this study on a made world. What they learn from demonstrations "
    "is which task is meant, not a new mapping: scores jump from zero to one demonstration and then stay, and "
    "arbitrary label maps are not learnt. Few-shot learning of large models may be another thing.",
    "Models of this size write poor worked examples of their own: scores of SampleGen models and of their pipelines "
    "show that the protocol works, not what it does for large models.",
    "Tuning all weights can harm held-out tasks in the smallest models.",
    "Hyper-parameters belong chosen on development tasks; chosen on the tasks evaluated here, they would flatter.",
    "Runs that differ only by recipe share a base model, and checkpoints of one pretraining run are not independent: "
    "intervals therefore leave out whole families or base models.",
    "Multiple choice is easier where the options give the task away: set it beside the exact match of generated "
    "answers.",
    "Where a base model was pretrained without tasks, their words still occur in its other documents: a score of zero "
    "there is not for want of vocabulary.",
)
