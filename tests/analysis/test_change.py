"""What would change the answer: every check stands, fails or cannot be made, and says why."""

from functools import cache

import pyarrow as pa
import pytest
from made_tables import World, limits, scores, with_more

from app.analysis.answer import Row, find, rows_of
from app.analysis.estimation.correlation import correlations
from app.analysis.pairing.pairs import pairs
from app.analysis.reporting.change import Change, changes
from app.analysis.vocabulary import FLOOR_FILTER
from app.study import Analysis


@cache
def made(families: int = 6, tasks: int = 12) -> tuple[Row, ...]:
    found = pairs(scores(World(families=families, bases=2, recipes=1, tasks=tasks)), Analysis())
    return tuple(rows_of(with_more(correlations(found.table, Analysis(), "made"))))


def primary(rows: tuple[Row, ...]) -> Row:
    main = find(rows, "doubly_centred")
    assert main is not None
    return main


def like(row: Row, other: Row) -> bool:
    return (row.level, row.method, row.x) == (other.level, other.method, other.x)


def edited(rows: tuple[Row, ...], old: Row, **new: object) -> list[Row]:
    return [row._replace(**new) if row is old else row for row in rows]


def named(found: list[Change], name: str) -> Change:
    (one,) = (change for change in found if change.name == name)
    return one


def test_without_an_estimate_there_is_nothing_to_check() -> None:
    rows = made()
    assert changes(edited(rows, primary(rows), estimate=None), 10, 10) == []
    assert changes([], 0, 0) == []


def test_the_range_without_one_family_is_that_of_the_rows() -> None:
    rows = made()
    main = primary(rows)
    without = [row for row in rows if row.filter.startswith("family!=") and like(row, main)]
    assert len(without) == 6
    estimates = [row.estimate or 0.0 for row in without]
    said = named(changes(rows, 10, 10), "Other families").said
    assert f"between {min(estimates):.2f} and {max(estimates):.2f}".replace("-", "−") in said


def test_what_has_no_interval_is_not_said_to_hold_zero() -> None:
    rows = made()
    main = primary(rows)
    lone = next(row for row in rows if row.filter.startswith("family!=") and like(row, main))
    bare = edited(tuple(edited(rows, main, ci_low=0.1, ci_high=0.5)), lone, ci_low=None, ci_high=None)
    found = named(changes(bare, 10, 10), "Other families")
    assert found.standing == "unknown"
    assert found.said.endswith("; what is left then is too little for an interval.")


def test_a_family_without_which_the_interval_holds_zero_opens_the_answer() -> None:
    rows = made()
    main = primary(rows)
    sure = edited(rows, main, ci_low=0.1, ci_high=0.5)
    lone = next(row for row in sure if row.filter == "family!=opt" and like(row, main))
    found = changes([row._replace(ci_low=-0.1, ci_high=0.4) if row is lone else row for row in sure], 10, 10)
    assert named(found, "Other families").standing == "open"
    assert "without opt" in named(found, "Other families").said


@pytest.mark.parametrize(
    ("whole", "without", "said"),
    [
        ((0.1, 0.5), (-0.5, -0.1), "without opt the interval says otherwise."),
        ((-0.1, 0.5), (0.1, 0.6), "without opt the interval excludes 0."),
    ],
)
def test_a_family_without_which_the_answer_is_another_opens_it(
    whole: tuple[float, float], without: tuple[float, float], said: str
) -> None:
    main = primary(made())
    found = []
    for row in made():
        low, high = without if row.filter == "family!=opt" else whole
        found.append(row._replace(ci_low=low, ci_high=high) if like(row, main) else row)
    change = named(changes(found, 10, 10), "Other families")
    assert change.standing == "open"
    assert change.said.endswith(said)


def test_families_of_one_base_model_each_are_not_called_one_family() -> None:
    main = primary(made())
    rows = [r._replace(estimate=None) if r.filter.startswith("family!=") and like(r, main) else r for r in made()]
    change = named(changes(rows, 10, 10), "Other families")
    assert change.standing == "unknown"
    assert change.said.startswith("Whichever family is left out, too little remains")


def test_normal_scores_that_say_the_opposite_open_the_answer() -> None:
    rows = made()
    normal = find(rows, "doubly_centred", "normal-scores")
    assert normal is not None
    sure = tuple(edited(rows, primary(rows), ci_low=0.1, ci_high=0.5))
    found = changes(edited(sure, normal, ci_low=-0.5, ci_high=-0.1), 10, 10)
    assert named(found, "Another scale").standing == "open"


@pytest.mark.parametrize("families", [1, 3])
def test_few_families_say_nothing_about_others(families: int) -> None:
    assert named(changes(made(families), 10, 10), "Other families").standing == "unknown"


def test_a_bootstrap_that_says_otherwise_opens_the_answer() -> None:
    rows = made()
    main = primary(rows)
    for low, standing in ((0.01, "holds"), (-0.01, "open")):
        found = changes(edited(rows, main, ci_low=0.1, ci_high=0.5, boot_low=low, boot_high=0.6), 10, 10)
        assert named(found, "Another interval").standing == standing


def test_permutations_stand_beside_the_interval() -> None:
    rows = made()
    main = primary(rows)
    found = changes(edited(rows, main, ci_low=0.1, ci_high=0.5, p_permutation=0.0004), 10, 10)
    change = named(found, "Chance alone")
    assert change.standing == "holds"
    assert change.said.endswith("give p < .001.")
    found = changes(edited(rows, main, ci_low=0.1, ci_high=0.5, p_permutation=0.4), 10, 10)
    assert named(found, "Chance alone").standing == "open"


def test_item_noise_is_corrected_refused_or_unknown() -> None:
    rows = made()
    corrected = find(rows, "doubly_centred", "pearson-corrected")
    assert corrected is not None
    assert "Without the noise of few items" in named(changes(rows, 10, 10), "More items").said
    refused = edited(rows, corrected, estimate=None, note="not estimable: reliability below .4; more")
    assert named(changes(refused, 10, 10), "More items") == Change(
        "More items", "unknown", "r cannot be corrected for item noise: not estimable: reliability below .4."
    )
    without = [row for row in rows if not row.method.startswith("pearson-corrected")]
    assert named(changes(without, 10, 10), "More items").standing == "unknown"


def test_a_difference_that_the_floor_check_does_not_confirm_is_open() -> None:
    rows = made(tasks=30)
    delta, check = (
        find(rows, "doubly_centred", "pearson-delta"),
        find(rows, "doubly_centred", "normal-scores-delta", filter=FLOOR_FILTER),
    )
    assert delta is not None
    assert check is not None
    sure = edited(rows, delta, ci_low=0.02, ci_high=0.2)
    for low, high, standing in ((0.01, 0.3, "holds"), (-0.01, 0.3, "open"), (-0.3, -0.01, "open")):
        found = changes([r._replace(ci_low=low, ci_high=high) if r is check else r for r in sure], 10, 10)
        assert named(found, "Few-shot or zero-shot").standing == standing
    found = changes([row for row in sure if row is not check], 10, 10)
    assert named(found, "Few-shot or zero-shot").standing == "unknown"


def test_missing_pairs_and_the_size_of_the_study_are_said() -> None:
    rows = made()
    assert named(changes(rows, 999, 1000), "Missing pairs").said.startswith("1 of 1,000 pairs (less than 1 %)")
    assert named(changes(rows, 80, 100), "Missing pairs").standing == "open"
    assert "Missing pairs" not in [change.name for change in changes(rows, 100, 100)]
    assert named(changes(rows, 1, 1, "Add bases."), "Size of the study").said == "Add bases."


def test_the_limit_test_asks_the_same_by_intervention() -> None:
    rows, table = made(), limits()
    assert "Other pretraining" not in [change.name for change in changes(rows, 10, 10)]
    found = named(changes(rows, 10, 10, limits=table), "Other pretraining")
    assert found == Change(
        "Other pretraining",
        "open",  # what was tuned on came back: its interval holds 0
        "Tasks left out of pretraining change the scores of tuned models by −44 points [−52, −36] on 2 tasks never "
        "tuned on and −5 points [−13, +3] on 2 tasks tuned on.",
    )
    held_out = table.filter(pa.array([not tuned_on for tuned_on in table["tuned_on"].to_pylist()]))
    assert named(changes(rows, 10, 10, limits=held_out), found.name).standing == "holds"
    single = table.filter(pa.array([family != "all" for family in table["family"].to_pylist()]))
    assert [change for change in changes(rows, 10, 10, limits=single) if change.name == found.name] == []
