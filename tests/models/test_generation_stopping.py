"""A stop string is found as soon as its last character is written, whatever tokens it spans."""

import random
from collections.abc import Callable

import pytest

from app.models.loading import LoadedModel
from app.models.stopping import Ending

Make = Callable[..., LoadedModel]


@pytest.mark.parametrize("stop", ["\n", "\n\nQuestion", " yes", "e", "€", "€ é", " ", "the answer"])
def test_the_tail_tells_the_same_step_as_the_whole_text(make_loaded: Make, stop: str) -> None:
    tokenizer = make_loaded().tokenizer
    drawn = random.Random(5)
    pieces = [tokenizer(text, add_special_tokens=False).input_ids for text in (stop, stop[:-1] or "a", "€", "é", "no")]
    met = 0
    for _ in range(60):
        ids = [t for _ in range(6) for t in (*drawn.choice(pieces), drawn.randrange(3, 300))]
        ending = Ending(tokenizer, {2}, stop)
        found = next((count for count in range(1, len(ids) + 1) if ending(ids[:count])), None)
        whole = [tokenizer.decode(ids[:count], skip_special_tokens=True) for count in range(1, len(ids) + 1)]
        assert found == next((count for count, text in enumerate(whole, 1) if stop in text), None)
        assert ending.read(ids) == (whole[-1].split(stop)[0], stop in whole[-1])
        met += found is not None
    assert met > 10


def test_text_after_an_end_token_or_a_stop_string_is_cut(make_loaded: Make) -> None:
    tokenizer = make_loaded().tokenizer
    ids = tokenizer("yes\nno", add_special_tokens=False).input_ids
    assert Ending(tokenizer, {2}, "\n").read(ids) == ("yes", True)
    assert Ending(tokenizer, {2}, "").read(ids) == ("yes\nno", False)
    assert Ending(tokenizer, {2}, "").read([*ids, 2]) == ("yes\nno", True)
    assert Ending(tokenizer, {2, ids[0]}, "").read([*ids, 2])[0] == ""
    assert Ending(tokenizer, {2}, "")([*ids, 2])
    assert not Ending(tokenizer, {2}, "")(ids)
