"""All metrics: what each reads, its range, who computes it and where it is defined."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from app.tasks.metrics import chosen, written
from app.tasks.metrics.score import Judged, Metric
from app.tasks.task import MetricName

Reads = Literal["choice", "generated", "bertscore"]


@dataclass(frozen=True)
class MetricSpec:
    """What is known of a metric."""

    name: MetricName
    reads: Reads
    """What `Judged.prediction` is: the likeliest option, the answer extracted from what was written, or the option
    that BERTScore finds nearest to it."""
    source: str
    """Where it is defined."""
    library: str = ""
    """The package that computes it; empty: this project."""
    low: float = 0.0
    high: float = 1.0
    higher_is_better: bool = True
    unit: str = "fraction"


_SUPERGLUE = "Wang et al. 2019, https://arxiv.org/abs/1905.00537"
_MULTIRC = "Khashabi et al. 2018, https://aclanthology.org/N18-1023/"
_SQUAD = "Rajpurkar et al. 2018, https://arxiv.org/abs/1806.03822"
_TRIVIA = "Joshi et al. 2017, https://arxiv.org/abs/1705.03551"
_ROUGE = "Lin 2004, https://aclanthology.org/W04-1013/"
_LEVENSHTEIN = "Levenshtein 1966, Soviet Physics Doklady 10(8), 707-710, over words"

_SPECS = (
    MetricSpec("accuracy", "choice", "the share of right options"),
    MetricSpec("f1", "choice", "van Rijsbergen 1979, Information Retrieval, ch. 7", "scikit-learn"),
    MetricSpec("macro_f1", "choice", _SUPERGLUE, "scikit-learn"),
    MetricSpec(
        "matthews",
        "choice",
        "Matthews 1975, https://doi.org/10.1016/0005-2795(75)90109-9",
        "scikit-learn",
        low=-1.0,
        unit="coefficient",
    ),
    MetricSpec(
        "pearson",
        "choice",
        "Pearson 1895, https://doi.org/10.1098/rspl.1895.0041",
        "scipy",
        low=-1.0,
        unit="coefficient",
    ),
    MetricSpec(
        "spearman", "choice", "Spearman 1904, https://doi.org/10.2307/1412159", "scipy", low=-1.0, unit="coefficient"
    ),
    MetricSpec("multirc_f1a", "choice", _MULTIRC, "scikit-learn"),
    MetricSpec("multirc_em", "choice", _MULTIRC),
    MetricSpec("exact_match", "generated", "equal after app.tasks.extraction.normalise"),
    MetricSpec("bertscore_accuracy", "bertscore", "Zhang et al. 2020, https://arxiv.org/abs/1904.09675", "bert-score"),
    MetricSpec("squad_em", "generated", _SQUAD),
    MetricSpec("squad_f1", "generated", _SQUAD),
    MetricSpec("trivia_em", "generated", _TRIVIA),
    MetricSpec("trivia_f1", "generated", _TRIVIA),
    MetricSpec("rouge1", "generated", _ROUGE, "rouge-score"),
    MetricSpec("rouge2", "generated", _ROUGE, "rouge-score"),
    MetricSpec("rougeLsum", "generated", _ROUGE, "rouge-score"),
    MetricSpec("bleu", "generated", "Papineni et al. 2002, https://aclanthology.org/P02-1040/", "sacrebleu"),
    MetricSpec("chrf", "generated", "Popović 2015, https://aclanthology.org/W15-3049/", "sacrebleu"),
    MetricSpec(
        "word_edit_distance",
        "generated",
        _LEVENSHTEIN,
        "rapidfuzz",
        high=math.inf,
        higher_is_better=False,
        unit="words",
    ),
    MetricSpec("word_edit_similarity", "generated", _LEVENSHTEIN, "rapidfuzz"),
)
METRICS: Mapping[MetricName, MetricSpec] = {spec.name: spec for spec in _SPECS}

_COMPUTED: Mapping[MetricName, Callable[[Sequence[Judged], str], Metric]] = {
    "accuracy": chosen.accuracy,
    "f1": chosen.f1,
    "macro_f1": chosen.macro_f1,
    "matthews": chosen.matthews,
    "pearson": chosen.pearson,
    "spearman": chosen.spearman,
    "multirc_f1a": chosen.multirc_f1a,
    "multirc_em": chosen.multirc_em,
    "exact_match": written.exact_match,
    "bertscore_accuracy": chosen.accuracy,
    "squad_em": written.squad_em,
    "squad_f1": written.squad_f1,
    "trivia_em": written.trivia_em,
    "trivia_f1": written.trivia_f1,
    "rouge1": written.rouge1,
    "rouge2": written.rouge2,
    "rougeLsum": written.rouge_lsum,
    "bleu": written.bleu,
    "chrf": written.chrf,
    "word_edit_distance": written.word_edit_distance,
    "word_edit_similarity": written.word_edit_similarity,
}


def compute(name: MetricName, judged: Sequence[Judged], positive: str = "") -> Metric:
    """A metric over a whole test set; `positive` is the answer that f1 and multirc_f1a (yes) count as found.

    Raises ValueError for no items and for f1 without `positive`; CellError for pearson or spearman of no numbers.
    """
    return _COMPUTED[name](judged, positive)
