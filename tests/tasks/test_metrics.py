"""Every metric against its reference implementation, or one written anew here, on many random test sets."""

import itertools
import math
import random
import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from scipy import stats
from sklearn import metrics as sk

from app.errors import CellError
from app.tasks.metrics import METRICS, Judged, Metric, chance, choose, compute, matches, mean_score
from app.tasks.task import MetricName

SETS = 200
"""Random test sets for each metric."""
LABELS = ("no", "yes")
THREE = ("nein", "vielleicht", "ja ❄")
GRADES = ("0", "1", "2", "3", "4", "5")
WORDS = (
    "the",
    "a",
    "cat",
    "cats",
    "Über",
    "猫",
    "running",
    "runs",
    "12",
    "3.5",
    "it's",
    "—",
    "well-known",
    "!",
    "An",
    "§",
)
GENERATED = [name for name, spec in METRICS.items() if spec.reads == "generated"]
CHOSEN = [name for name, spec in METRICS.items() if spec.reads == "choice"]


def choices(seed: int, options: tuple[str, ...], blank: bool = True) -> list[Judged]:
    """A random test set: all right, all wrong, one class alone and no answer among the items are all frequent."""
    rng = random.Random(f"choices/{seed}")
    skill, kept = rng.choice([0.0, 0.3, 0.8, 1.0]), rng.sample(options, rng.randint(1, len(options)))
    items: list[Judged] = []
    for _ in range(rng.randint(1, 40)):
        target = rng.choice(kept)
        answer: str | None = target if rng.random() < skill else rng.choice(options)
        if blank and rng.random() < 0.1:
            answer = rng.choice([None, ""])
        items.append(Judged(answer, target, (), options, f"q{rng.randint(0, 6)}" if rng.random() < 0.8 else ""))
    return items


def texts(seed: int) -> list[Judged]:
    """A random test set of written answers with one to three right ones, in many scripts, over several lines."""
    rng = random.Random(f"texts/{seed}")

    def write(low: int) -> str:
        return "".join(
            rng.choice(WORDS) + rng.choice([" ", " ", "\n", ", ", "_"]) for _ in range(rng.randint(low, 9))
        ).strip()

    items: list[Judged] = []
    for _ in range(rng.randint(1, 12)):
        answers = [write(1) for _ in range(rng.randint(1, 3))]
        said = rng.choice(
            [None, "", " \n", write(0), write(0), rng.choice(answers), f'"{rng.choice(answers).upper()}".']
        )
        items.append(Judged(said, answers[0], tuple(answers[1:])))
    return items


def answered(item: Judged) -> str:
    """The chosen option; no answer is the first wrong one."""
    return item.prediction or next(option for option in item.options if option != item.target)


@pytest.mark.parametrize("seed", range(SETS))
def test_metrics_of_a_choice_agree_with_scikit_learn_and_scipy(seed: int) -> None:
    names: tuple[MetricName, ...] = ("accuracy", "bertscore_accuracy", "macro_f1", "matthews")
    items = choices(seed, (LABELS, THREE)[seed % 2])
    truth, found = [item.target for item in items], [answered(item) for item in items]
    varied = len(set(truth)) > 1 and len(set(found)) > 1
    accuracy = sk.accuracy_score(truth, found)
    macro = sk.f1_score(truth, found, average="macro", zero_division=0.0)
    matthews = sk.matthews_corrcoef(truth, found) if varied else 0.0
    for name, wanted in zip(names, (accuracy, accuracy, macro, matthews), strict=True):
        assert compute(name, items).value == pytest.approx(wanted)


@pytest.mark.parametrize("seed", range(2 * SETS))
def test_f1_agrees_with_scikit_learn_and_no_answer_is_a_miss_or_a_false_find(seed: int) -> None:
    options, positive = ((LABELS, "yes"), (THREE, "ja ❄"))[seed // 2 % 2]
    items = choices(seed, options, blank=options == LABELS)
    truth, found = [item.target for item in items], [answered(item) for item in items]
    wanted = sk.f1_score(truth, found, labels=[positive], average="micro", zero_division=0.0)
    assert compute("f1" if seed % 2 else "multirc_f1a", items, positive).value == pytest.approx(wanted)


@pytest.mark.parametrize("seed", range(SETS))
def test_a_question_of_multirc_counts_where_all_its_answers_are_judged_rightly(seed: int) -> None:
    items = choices(seed, LABELS)
    groups: dict[str, bool] = {}
    for place, item in enumerate(items):
        name = item.group or f"alone {place}"
        groups[name] = groups.get(name, True) and item.prediction == item.target
    found = compute("multirc_em", items)
    assert found.value == pytest.approx(sum(groups.values()) / len(groups))
    assert found.n == len(groups)
    assert compute("multirc_f1a", items) == compute("multirc_f1a", items, "yes")
    assert compute("multirc_f1a", items).n == len(items)


@pytest.mark.parametrize("seed", range(SETS))
def test_correlations_agree_with_scipy_and_no_answer_is_the_farthest_grade(seed: int) -> None:
    items = choices(seed, GRADES)
    truth = [float(item.target) for item in items]
    found = [
        float(item.prediction or max(GRADES, key=lambda g, t=item.target: abs(float(g) - float(t)))) for item in items
    ]
    defined = len(set(truth)) > 1 and len(set(found)) > 1
    assert compute("pearson", items).value == pytest.approx(np.corrcoef(truth, found)[0, 1] if defined else 0.0)
    ranks = np.corrcoef(stats.rankdata(truth), stats.rankdata(found))[0, 1] if defined else 0.0
    assert compute("spearman", items).value == pytest.approx(ranks)


@pytest.mark.parametrize("seed", range(SETS))
def test_bleu_and_chrf_agree_with_sacrebleu_over_the_whole_corpus(seed: int) -> None:
    items = texts(seed)
    said = [item.prediction or "" for item in items]
    streams = [
        [answer if answer else None for answer in row] for row in itertools.zip_longest(*(i.answers for i in items))
    ]
    bleu = BLEU(tokenize="intl", force=True).corpus_score(said, streams)  # pyright: ignore[reportArgumentType]
    assert compute("bleu", items).value == pytest.approx(bleu.score / 100)
    chrf = CHRF().corpus_score(said, streams)  # pyright: ignore[reportArgumentType]
    assert compute("chrf", items).value == pytest.approx(chrf.score / 100)


@pytest.mark.parametrize("seed", range(SETS))
def test_rouge_agrees_with_rouge_score_and_takes_the_best_reference(seed: int) -> None:
    items = texts(seed)
    scorer = RougeScorer(["rouge1", "rouge2", "rougeLsum"], use_stemmer=True)
    for name in ("rouge1", "rouge2", "rougeLsum"):
        best = [max(scorer.score(a, item.prediction or "")[name].fmeasure for a in item.answers) for item in items]
        assert compute(name, items).value == pytest.approx(np.mean(best))


def squad_words(text: str) -> list[str]:
    kept = "".join(character for character in text.lower() if character not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", kept).split()


def trivia_words(text: str) -> list[str]:
    marks = set(string.punctuation) | set("‘’´`")
    kept = "".join(" " if character in marks else character for character in text.replace("_", " ").lower())
    return re.sub(r"\b(a|an|the)\b", " ", kept).split()


def overlap(said: list[str], answer: list[str]) -> float:
    if not said or not answer:
        return float(said == answer)
    shared = sum((Counter(said) & Counter(answer)).values())
    if shared == 0:
        return 0.0
    precision, recall = shared / len(said), shared / len(answer)
    return 2 * precision * recall / (precision + recall)


@pytest.mark.parametrize("seed", range(SETS))
def test_squad_and_trivia_scores_agree_with_a_second_implementation(seed: int) -> None:
    items = texts(seed)
    for family, words in (("squad", squad_words), ("trivia", trivia_words)):
        exact, f1 = [], []
        for item in items:
            silent = not (item.prediction or "").strip()
            said = words(item.prediction or "")
            exact.append(not silent and any(said == words(answer) for answer in item.answers))
            f1.append(0.0 if silent else max(overlap(said, words(answer)) for answer in item.answers))
        assert compute(f"{family}_em", items).value == pytest.approx(np.mean(exact))  # pyright: ignore[reportArgumentType]
        assert compute(f"{family}_f1", items).value == pytest.approx(np.mean(f1))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("name", "said", "answer", "wanted"),
    [
        ("squad_em", "The well-known cat!", "wellknown cat", 1.0),
        ("squad_em", "well known cat", "well-known cat", 0.0),
        ("trivia_em", "The well-known cat!", "well known cat", 1.0),
        ("trivia_em", "L‘été_bleu", "l été bleu", 1.0),
        ("squad_em", "an anthem", "anthem", 1.0),
        ("squad_f1", "the red boat", "a boat", 2 / 3),
        ("squad_f1", "boat boat boat", "boat", 0.5),
        ("squad_f1", "The", "An", 1.0),
        ("squad_f1", "The", "boat", 0.0),
        ("squad_f1", "", "The", 0.0),
        ("trivia_f1", "Jules-Verne", "jules verne writer", 0.8),
        ("exact_match", "“A cat”.", "a  cat", 1.0),
        ("exact_match", "...", ".", 1.0),
        ("exact_match", "", ".", 0.0),
        ("word_edit_distance", "one two three", "one too", 2.0),
        ("word_edit_distance", "", "one two three", 3.0),
        ("word_edit_similarity", "one two three", "one too", 1 / 3),
        ("word_edit_similarity", "", "one two three", 0.0),
        ("rouge1", "the cats ran", "the cat ran", 1.0),
        ("bleu", "", "a cat", 0.0),
    ],
)
def test_scores_worked_out_by_hand(name: MetricName, said: str, answer: str, wanted: float) -> None:
    assert compute(name, [Judged(said, answer)]).value == pytest.approx(wanted)
    assert compute(name, [Judged(said, "quite another answer of many words", (answer,))]).value == pytest.approx(wanted)


def edits(said: Sequence[str], answer: Sequence[str]) -> int:
    """Levenshtein's distance by the recurrence of its definition, one row at a time."""
    row = list(range(len(answer) + 1))
    for word in said:
        above, row = row, [row[0] + 1]
        for place, other in enumerate(answer):
            row.append(min(above[place] + (word != other), above[place + 1] + 1, row[place] + 1))
    return row[-1]


@pytest.mark.parametrize("seed", range(SETS))
def test_word_edits_agree_with_a_second_implementation(seed: int) -> None:
    items = texts(seed)
    distances, similarities = [], []
    for item in items:
        said = (item.prediction or "").split()
        pairs = [(edits(said, answer.split()), max(len(said), len(answer.split()))) for answer in item.answers]
        distances.append(min(distance for distance, _ in pairs))
        similarities.append(max(1 - distance / longest for distance, longest in pairs))
    assert compute("word_edit_distance", items).value == pytest.approx(np.mean(distances))
    assert compute("word_edit_similarity", items).value == pytest.approx(np.mean(similarities))


@pytest.mark.parametrize("seed", range(SETS))
def test_exact_match_agrees_with_judging_one_by_one(seed: int) -> None:
    items = texts(seed)
    one_by_one = [
        bool((item.prediction or "").strip()) and any(matches(item.prediction, answer) for answer in item.answers)
        for item in items
    ]
    assert compute("exact_match", items) == mean_score(one_by_one)


def example(name: MetricName, seed: int) -> list[Judged]:
    """A random test set that the metric can read."""
    if METRICS[name].reads == "generated":
        return texts(seed)
    return choices(seed, GRADES if name in ("pearson", "spearman") else LABELS)


def test_the_table_holds_every_metric_once_with_its_origin() -> None:
    assert set(METRICS) == set(get_args(MetricName))
    for name, spec in METRICS.items():
        assert spec.name == name
        assert spec.low < spec.high
        assert spec.source
    assert [name for name, spec in METRICS.items() if not spec.higher_is_better] == ["word_edit_distance"]
    assert {spec.unit for spec in METRICS.values()} == {"fraction", "coefficient", "words"}


@pytest.mark.parametrize("name", METRICS)
def test_every_value_lies_in_its_range_and_a_right_answer_scores_best(name: MetricName) -> None:
    spec = METRICS[name]
    for seed in range(15):
        found = compute(name, example(name, seed), "yes")
        assert spec.low <= found.value <= spec.high + 1e-12
        assert found.stderr >= 0
    best = spec.high if spec.higher_is_better else spec.low
    targets = ("0", "5") if name in ("pearson", "spearman") else ("yes", "no")
    right = [Judged(target, target, (), targets) for target in targets * 3]
    if spec.reads == "generated":
        right = [Judged(text, text) for text in ("the boat sailed to the red harbour", "five cats sat on one long mat")]
    assert compute(name, right, "yes").value == pytest.approx(best)


JOINT = ["macro_f1", "matthews", "pearson", "spearman", "bleu", "chrf"]
"""Metrics where a worse answer to one item can make the whole better: a false class less, fewer superfluous words."""


@pytest.mark.parametrize("name", [name for name in METRICS if name not in JOINT])
def test_silence_scores_no_better_than_any_other_answer(name: MetricName) -> None:
    sign = 1 if METRICS[name].higher_is_better else -1
    for seed in range(15):
        said = example(name, seed)
        if name == "word_edit_distance":  # rambling may need more edits than silence
            said = [item._replace(prediction=" ".join(min(item.answers, key=len).split()[1:])) for item in said]
        place = seed % len(said)
        silent = [*said[:place], said[place]._replace(prediction=("", None)[seed % 2]), *said[place + 1 :]]
        worse, better = compute(name, silent, "yes").value, compute(name, said, "yes").value
        assert sign * worse <= sign * better + 1e-12


@pytest.mark.parametrize("name", METRICS)
def test_nothing_but_silence_scores_nothing(name: MetricName) -> None:
    for seed in range(15):
        silent = [item._replace(prediction=("", None, " ")[seed % 3]) for item in example(name, seed)]
        found = compute(name, silent, "yes").value
        if METRICS[name].unit == "fraction":
            assert found == 0.0
        elif METRICS[name].unit == "words":
            assert found == chance(name, silent)
        else:
            assert found <= 0.0


@pytest.mark.parametrize("name", METRICS)
def test_other_right_answers_are_as_right_as_the_target(name: MetricName) -> None:
    if METRICS[name].reads == "generated":
        plain = [Judged("a b c d e", "a b c d e"), Judged("p q r s t", "x x x x x")]
        also = [Judged("a b c d e", "z", ("a b c d e",)), Judged("p q r s t", "x x x x x")]
    else:
        options = ("0", "1", "2")
        plain = [Judged("0", "0", (), options), Judged("1", "1", (), options), Judged("1", "0", (), options)]
        also = [Judged("2", "0", ("2",), options), *plain[1:]]
    assert compute(name, also, "1").value == pytest.approx(compute(name, plain, "1").value)


@pytest.mark.parametrize("name", METRICS)
def test_no_items_have_no_score(name: MetricName) -> None:
    with pytest.raises(ValueError, match="no items"):
        compute(name, [], "yes")
    with pytest.raises(ValueError, match="no items"):
        chance(name, [], "yes")


def test_f1_without_a_positive_answer_is_refused() -> None:
    with pytest.raises(ValueError, match="F1 needs the answer"):
        compute("f1", [Judged("yes", "yes", (), LABELS)])
    with pytest.raises(ValueError, match="F1 needs the answer"):
        chance("f1", [Judged("yes", "yes", (), LABELS)])


@pytest.mark.parametrize("text", ["three", "nan", "inf", ""])
def test_an_answer_that_is_no_number_fails_the_cell(text: str) -> None:
    for items in ([Judged("1", text, (), ("1", "2"))], [Judged(text or "x", "2", (), ("1", "2"))]):
        with pytest.raises(CellError, match="no number"):
            compute("pearson", items)
        with pytest.raises(CellError, match="no number"):
            compute("spearman", items)


def test_an_item_without_options_and_without_answer_is_wrong() -> None:
    items = [Judged(None, "yes"), Judged("no", "no", (), LABELS)]
    assert compute("accuracy", items).value == 0.5
    assert compute("macro_f1", items).value == pytest.approx(1 / 3)  # yes 0, no 1, and the class of no answer 0
    assert compute("pearson", [Judged(None, "1"), Judged("2", "2")]).value == pytest.approx(1.0)


# --- standard errors ---------------------------------------------------------------------------------------------


def test_a_score_has_the_binomial_standard_error() -> None:
    assert mean_score([True, True, True, False]) == Metric(0.75, math.sqrt(0.75 * 0.25 / 4), 4)
    assert mean_score([True, True, True, False]).stderr == pytest.approx(0.2165064)
    assert mean_score([False] * 5) == Metric(0.0, 0.0, 5)


@given(st.lists(st.booleans(), min_size=1, max_size=200))
def test_the_standard_error_is_that_of_a_mean_of_bernoulli_draws(flags: list[bool]) -> None:
    score = mean_score(flags)
    assert score.stderr == pytest.approx(stats.bernoulli.std(score.value) / math.sqrt(score.n), abs=1e-12)


@pytest.mark.parametrize("name", ["squad_f1", "rouge1", "word_edit_distance", "word_edit_similarity"])
def test_the_standard_error_of_a_mean_is_that_of_its_items(name: MetricName) -> None:
    items = [item for seed in range(20) for item in texts(seed)]
    values = [compute(name, [item]).value for item in items]
    found = compute(name, items)
    assert found == Metric(
        pytest.approx(np.mean(values)), pytest.approx(np.std(values) / math.sqrt(len(values))), len(values)
    )


CORPUS: list[MetricName] = ["bleu", "chrf", "f1", "macro_f1", "matthews", "pearson", "spearman", "multirc_f1a"]


@pytest.mark.parametrize("name", CORPUS)
def test_a_metric_of_a_corpus_has_the_standard_error_of_leaving_groups_out(name: MetricName) -> None:
    for seed, size in ((4, 1), (5, 2), (6, 7), (7, 55)):
        rng = random.Random(seed)
        pool = [item._replace(group="") for again in range(60) for item in example(name, again)]
        items = rng.sample(pool, size)
        groups = min(20, size)
        whole = compute(name, items, "yes").value
        without = [
            compute(name, [item for place, item in enumerate(items) if place % groups != out], "yes").value
            for out in range(groups if size > 1 else 0)
        ]
        variance = (groups - 1) / groups * sum((value - whole) ** 2 for value in without)
        assert compute(name, items, "yes").stderr == pytest.approx(math.sqrt(variance))


def test_the_jackknife_leaves_out_whole_questions_of_multirc() -> None:
    items = [Judged("yes", "yes" if place < 2 else "no", (), LABELS, f"q{place // 2}") for place in range(4)]
    # Whole: 2 hits, 2 false finds, F1 2/3. Without q0: 0; without q1: 1.
    assert compute("multirc_f1a", items).stderr == pytest.approx(math.sqrt(0.5 * ((2 / 3) ** 2 + (1 / 3) ** 2)))


@pytest.mark.parametrize("name", ["f1", "pearson"])
def test_the_jackknife_finds_how_much_a_metric_varies_between_test_sets(name: MetricName) -> None:
    rng = random.Random(8)
    options = GRADES if name == "pearson" else LABELS

    def draw() -> list[Judged]:
        targets = rng.choices(options, k=200)
        return [Judged(t if rng.random() < 0.6 else rng.choice(options), t, (), options) for t in targets]

    scores = [compute(name, draw(), "yes") for _ in range(40)]
    spread = float(np.std([score.value for score in scores]))
    assert float(np.mean([score.stderr for score in scores])) == pytest.approx(spread, rel=0.25)


# --- guessing ----------------------------------------------------------------------------------------------------


def guessed(name: MetricName, items: Sequence[Judged], rounds: int, positive: str = "") -> float:
    rng = random.Random(name)
    drawn = [[item._replace(prediction=rng.choice(item.options)) for item in items] for _ in range(rounds)]
    return float(np.mean([_VALUE[name](guesses, positive) for guesses in drawn]))


def _f1(items: Sequence[Judged], positive: str) -> float:
    truth, found = [item.target == positive for item in items], [item.prediction == positive for item in items]
    return float(sk.f1_score(truth, found, zero_division=0.0))


def _macro(items: Sequence[Judged], _: str) -> float:
    return float(sk.f1_score([i.target for i in items], [str(i.prediction) for i in items], average="macro"))


def _accuracy(items: Sequence[Judged], _: str) -> float:
    return float(np.mean([item.prediction in item.answers for item in items]))


def _by_metric(name: MetricName) -> Callable[[Sequence[Judged], str], float]:
    return lambda items, positive: compute(name, items, positive).value


_VALUE: dict[MetricName, Callable[[Sequence[Judged], str], float]] = {
    "accuracy": _accuracy,
    "bertscore_accuracy": _accuracy,
    "f1": _f1,
    "multirc_f1a": _f1,
    "macro_f1": _macro,
    "multirc_em": _by_metric("multirc_em"),
    "matthews": lambda items, _: float(
        sk.matthews_corrcoef([i.target for i in items], [str(i.prediction) for i in items])
    ),
    "pearson": lambda items, _: float(
        np.corrcoef([float(i.target) for i in items], [float(i.prediction or 9) for i in items])[0, 1]
    ),
    "spearman": _by_metric("spearman"),
}


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
@pytest.mark.parametrize("name", [name for name in _VALUE if name != "multirc_em"])
def test_chance_is_what_guessing_scores(name: MetricName, share: float) -> None:
    rng = random.Random(share)
    options = ("0", "1", "2")
    items = [
        Judged(None, "1" if rng.random() < share else rng.choice("02"), (), options, f"q{place // 3}")
        for place in range(1000)
    ]
    assert guessed(name, items, 20, "1") == pytest.approx(chance(name, items, "1"), abs=0.02)


def test_chance_of_uneven_options_and_of_whole_questions_is_what_guessing_scores() -> None:
    rng = random.Random(9)
    items: list[Judged] = []
    for place in range(900):
        options = tuple(rng.sample(["yes", "no", "maybe", "never"], rng.randint(2, 4)))
        answers = rng.sample(options, rng.choice([1, 1, 2]))
        items.append(Judged(None, answers[0], tuple(answers[1:]), options, f"q{place // 2}"))
    assert guessed("accuracy", items, 40) == pytest.approx(chance("accuracy", items), abs=0.01)
    assert guessed("multirc_em", items, 40) == pytest.approx(chance("multirc_em", items), abs=0.01)
    for name in ("f1", "macro_f1"):
        drawn = [[item._replace(prediction=rng.choice(item.options)) for item in items] for _ in range(20)]
        scored = float(np.mean([compute(name, guesses, "yes").value for guesses in drawn]))
        assert scored == pytest.approx(chance(name, items, "yes"), abs=0.01)


def test_chance_worked_out_by_hand() -> None:
    two, four = Judged(None, "a", (), ("a", "b")), Judged(None, "a", (), ("a", "b", "c", "d"))
    assert chance("accuracy", [two, four]) == 0.375
    assert chance("accuracy", [two, Judged(None, "free")]) == 0.25
    assert chance("accuracy", [Judged(None, "a", ("b",), ("a", "b", "c", "d"))]) == 0.5
    # Precision 1/2, recall 1/2; and with nine of ten items positive 2 * .9 * .5 / 1.4.
    assert chance("f1", [two, two._replace(target="b")], "a") == pytest.approx(0.5)
    assert chance("f1", [*[two] * 9, two._replace(target="b")], "a") == pytest.approx(0.9 / 1.4)
    yes = Judged(None, "yes", (), LABELS, "q")
    assert chance("multirc_f1a", [yes, yes._replace(target="no")]) == pytest.approx(0.5)
    assert chance("multirc_em", [yes, yes, yes._replace(group="")]) == pytest.approx((0.25 + 0.5) / 2)
    assert {chance(name, [two]) for name in ("matthews", "pearson", "spearman")} == {0.0}


@pytest.mark.parametrize("name", GENERATED)
def test_a_free_answer_is_guessed_as_well_as_by_silence(name: MetricName) -> None:
    items = texts(2)
    silent = [item._replace(prediction=None) for item in items]
    assert chance(name, items) == compute(name, silent).value


# --- the likeliest option ----------------------------------------------------------------------------------------

OPTIONS = ("no", "perhaps so")
LOGPROBS = (-4.0, -6.0)
TOKENS = (1, 2)


def test_the_sum_prefers_the_short_option_and_the_means_the_long_one() -> None:
    assert choose(LOGPROBS, TOKENS, OPTIONS, "sum") == 0
    assert choose(LOGPROBS, TOKENS, OPTIONS, "token") == 1  # -4 against -3 a token
    assert choose(LOGPROBS, TOKENS, OPTIONS, "character") == 1  # -2 against -0.6 a character


def test_pointwise_mutual_information_takes_away_what_the_option_is_worth_alone() -> None:
    assert choose(LOGPROBS, TOKENS, OPTIONS, "pmi", (-1.0, -9.0)) == 1  # -3 against 3
    assert choose(LOGPROBS, TOKENS, OPTIONS, "pmi", (-5.0, -6.0)) == 0  # 1 against 0


def test_of_equal_options_the_first_is_chosen() -> None:
    assert choose((-2.0, -1.0, -1.0), (1, 1, 1), ("a", "b", "c"), "sum") == 1
    assert choose((-math.inf, -math.inf), (1, 1), ("a", "b"), "sum") == 0


@given(st.lists(st.floats(-100, 0), min_size=1, max_size=6), st.sampled_from(["sum", "token", "character"]))
def test_no_other_option_scores_higher_than_the_chosen_one(logprobs: list[float], how: str) -> None:
    options = ["x" * (place + 1) for place in range(len(logprobs))]
    tokens = [place + 1 for place in range(len(logprobs))]
    chosen = choose(logprobs, tokens, options, how)  # pyright: ignore[reportArgumentType]
    size = [1] * len(tokens) if how == "sum" else tokens
    assert all(logprobs[chosen] / size[chosen] >= logprobs[k] / size[k] for k in range(len(logprobs)))


@pytest.mark.parametrize(
    ("logprobs", "how", "bare"),
    [((math.nan, -1.0), "sum", None), ((-1.0, math.nan), "token", None), ((-math.inf, -1.0), "pmi", (-math.inf, -1.0))],
)
def test_a_score_that_is_not_a_number_fails_the_cell(logprobs: tuple[float, ...], how: str, bare: object) -> None:
    with pytest.raises(CellError, match="give no number"):
        choose(logprobs, (1, 1), ("a", "b"), how, bare)  # pyright: ignore[reportArgumentType]


def test_what_cannot_be_normalised_is_refused() -> None:
    with pytest.raises(ValueError, match="unconditional"):
        choose((-1.0, -2.0), (1, 1), ("a", "b"), "pmi")
    with pytest.raises(ValueError, match="token"):
        choose((-1.0, -2.0), (1, 0), ("a", "b"), "token")
    with pytest.raises(ValueError, match="character"):
        choose((-1.0, -2.0), (1, 1), ("a", ""), "character")
    with pytest.raises(ValueError, match="2 options, 1 log-probabilities"):
        choose((-1.0,), (1, 1), ("a", "b"), "sum")
    with pytest.raises(ValueError, match="0 options"):
        choose((), (), (), "sum")
