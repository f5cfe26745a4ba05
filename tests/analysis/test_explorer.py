"""Items as both sides saw them: what differs is marked, and nothing is lost on the way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_tables import views

from app.analysis.reporting.explorer import LONGEST, compared, compared_by, differences, shortened, words
from app.analysis.reporting.facts import Piece, Pieces

WORDS = st.lists(st.sampled_from(["Answer:", "yes", "no", "\n", "  ", "<b>"]), max_size=30).map(" ".join)


@given(WORDS, WORDS)
def test_the_parts_of_both_texts_join_to_the_texts(left: str, right: str) -> None:
    a, b = differences(words(left), words(right))
    assert ("".join(part.text for part in a), "".join(part.text for part in b)) == (left, right)
    shared = [[word for part in side if not part.differs for word in part.text.split()] for side in (a, b)]
    assert shared[0] == shared[1]


def test_only_the_words_that_differ_are_marked() -> None:
    a, b = differences(words("Question: is it wet?\nAnswer:"), words("<user> Question: is it dry?\nAnswer:"))
    assert [part.text.strip() for part in a if part.differs] == ["wet?"]
    assert [part.text.strip() for part in b if part.differs] == ["<user>", "dry?"]


def test_the_same_text_differs_nowhere_and_an_empty_one_everywhere() -> None:
    assert not any(part.differs for side in differences(words("the same"), words("the same")) for part in side)
    a, b = differences((), words("all of it"))
    assert a == []
    assert [part.differs for part in b] == [True]


def test_tokens_are_compared_where_they_are_known() -> None:
    view = views(tasks=1)[0]
    told = (Piece("is ", "is"), Piece("wet", "w et"), Piece("?", "?"))
    other = (Piece("is ", "is"), Piece("wet?", "wet?"))
    known = view._replace(x_prompt="is wet?", y_prompt="is wet?", tokens=Pieces(told, other, (), ()))
    (found,) = compared([known])
    assert found.x_prompt == [("is ", False), ("wet?", True)]
    assert found.y_prompt == [("is ", False), ("wet?", True)]
    assert [compared_by(list(kind)) for kind in ([view], [known], [view, known])] == [
        "words", "tokens", "tokens, or words where a tokenizer is not at hand,",
    ]  # fmt: skip


def test_items_keep_their_order_and_say_their_outcome() -> None:
    found = compared(views(tasks=1))
    assert [one.outcome for one in found] == ["both right", "only tuned right", "only base right", "neither right"]
    assert [one.view.item for one in found] == ["item-0", "item-1", "item-2", "item-3"]


@pytest.mark.parametrize("length", [LONGEST, LONGEST + 1, 5 * LONGEST])
def test_a_long_prompt_keeps_both_ends_and_says_how_much_is_left_out(length: int) -> None:
    text = "".join(chr(65 + at % 26) for at in range(length))
    shown = shortened(text)
    assert (shown[:100], shown[-100:]) == (text[:100], text[-100:])
    assert (shown == text) == (length <= LONGEST)
    assert length <= LONGEST or f"{length - LONGEST:,} characters left out" in shown
