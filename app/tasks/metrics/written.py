"""Metrics of a written answer against the right ones; with several right answers the best counts.

No answer scores as bad as can be: nothing of it is right, all of the right answer is missing. What libraries compute
they compute here too; SQuAD's and TriviaQA's scores follow their published evaluation scripts.
"""

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from app.tasks.extraction import normalise
from app.tasks.metrics.score import Judged, Metric, jackknifed, mean, mean_score, require_items

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_TRIVIA_PUNCTUATION = str.maketrans(dict.fromkeys(string.punctuation + "‘’´`", " "))


def matches(prediction: str | None, target: str, references: Sequence[str] = ()) -> bool:
    """Exact match: equal to a right answer after `normalise`; None (no answer found) is wrong."""
    return prediction is not None and normalise(prediction) in {normalise(answer) for answer in (target, *references)}


def exact_match(judged: Sequence[Judged], positive: str) -> Metric:
    """The share of answers that match exactly."""
    return mean_score([not item.blank and matches(item.prediction, item.target, item.references) for item in judged])


def squad_em(judged: Sequence[Judged], positive: str) -> Metric:
    """The share of answers that equal a right one after SQuAD's normalisation: case, punctuation and articles."""
    return _exact(judged, _squad_normalised)


def squad_f1(judged: Sequence[Judged], positive: str) -> Metric:
    """The mean F1 of the words shared with the nearest right answer, normalised as in `squad_em`.

    An answer of which normalisation leaves nothing ("The A") scores 1 beside another such, else 0, as in SQuAD 2.0.
    """
    return _overlap(judged, _squad_normalised)


def trivia_em(judged: Sequence[Judged], positive: str) -> Metric:
    """The share of answers that equal an alias after TriviaQA's normalisation: punctuation there becomes a blank."""
    return _exact(judged, _trivia_normalised)


def trivia_f1(judged: Sequence[Judged], positive: str) -> Metric:
    """The mean F1 of the words shared with the nearest alias, normalised as in `trivia_em`; empty ones as in SQuAD."""
    return _overlap(judged, _trivia_normalised)


def rouge1(judged: Sequence[Judged], positive: str) -> Metric:
    """The mean F-measure of single words, stemmed.

    The tokenizer of all ROUGE scores knows the letters a to z and digits alone: text in other scripts scores 0.
    """
    return _rouge(judged, "rouge1")


def rouge2(judged: Sequence[Judged], positive: str) -> Metric:
    """The mean F-measure of pairs of words, stemmed."""
    return _rouge(judged, "rouge2")


def rouge_lsum(judged: Sequence[Judged], positive: str) -> Metric:
    """The mean F-measure of the longest common subsequences of sentences, words stemmed; each line is a sentence."""
    return _rouge(judged, "rougeLsum")


def bleu(judged: Sequence[Judged], positive: str) -> Metric:
    """Corpus BLEU of sacrebleu over all right answers, tokenizer intl, else its defaults; divided by 100."""
    from sacrebleu.metrics.bleu import BLEU

    return _corpus(judged, BLEU(tokenize="intl", force=True))


def chrf(judged: Sequence[Judged], positive: str) -> Metric:
    """Corpus chrF2 of sacrebleu, its defaults; divided by 100."""
    from sacrebleu.metrics.chrf import CHRF

    return _corpus(judged, CHRF())


def word_edit_distance(judged: Sequence[Judged], positive: str) -> Metric:
    """The mean number of words to insert, delete or replace until the answer is the nearest right one.

    Words are what blanks separate. No answer is as far as its nearest right answer is long.
    """
    return mean([min(_distance(_text(item), answer) for answer in item.answers) for item in judged])


def word_edit_similarity(judged: Sequence[Judged], positive: str) -> Metric:
    """The mean of 1 - distance / the words of the longer text, of the most similar right answer."""
    return mean(
        [0.0 if item.blank else max(_similarity(_text(item), answer) for answer in item.answers) for item in judged]
    )


def _text(item: Judged) -> str:
    return item.prediction or ""


def _squad_normalised(text: str) -> str:
    """Lower case, no ASCII punctuation, no English articles, single blanks."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def _trivia_normalised(text: str) -> str:
    """As SQuAD's, but punctuation, typographic quotes too, becomes a blank, so that well-known stays two words."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_TRIVIA_PUNCTUATION)).split())


def _exact(judged: Sequence[Judged], normalised: Callable[[str], str]) -> Metric:
    return mean_score(
        [
            not item.blank and normalised(_text(item)) in {normalised(answer) for answer in item.answers}
            for item in judged
        ]
    )


def _overlap(judged: Sequence[Judged], normalised: Callable[[str], str]) -> Metric:
    return mean(
        [
            0.0
            if item.blank
            else max(_words_f1(normalised(_text(item)), normalised(answer)) for answer in item.answers)
            for item in judged
        ]
    )


def _words_f1(said: str, answer: str) -> float:
    words, wanted = said.split(), answer.split()
    if not words or not wanted:
        return float(words == wanted)
    shared = (Counter(words) & Counter(wanted)).total()
    return 2 * shared / (len(words) + len(wanted))


def _rouge(judged: Sequence[Judged], name: str) -> Metric:
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer([name], use_stemmer=True)
    return mean([float(scorer.score_multi(item.answers, _text(item))[name].fmeasure) for item in judged])


def _corpus(judged: Sequence[Judged], scorer: Any) -> Metric:
    """A sacrebleu metric over all items. Each item is counted once: the jackknife only adds the counts up anew."""
    require_items(len(judged))
    most = max(len(item.answers) for item in judged)
    # sacrebleu takes one stream of the first references, one of the second, with None where an item has fewer.
    streams = [[item.answers[place] if place < len(item.answers) else None for item in judged] for place in range(most)]
    counts: list[list[int]] = scorer._extract_corpus_statistics([_text(item) for item in judged], streams)
    return jackknifed(lambda kept: float(scorer._aggregate_and_compute(list(kept)).score) / 100, counts, len(judged))


def _distance(said: str, answer: str) -> float:
    from rapidfuzz.distance import Levenshtein

    return float(Levenshtein.distance(said.split(), answer.split()))


def _similarity(said: str, answer: str) -> float:
    return 1 - _distance(said, answer) / max(len(said.split()), len(answer.split()))
