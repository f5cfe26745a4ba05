"""Tasks on lists of letters, on numbers, and on comparisons.

A list of letters may be asked for its first, its last, its reverse or its length, two numbers for their sum or their
difference: again the input alone does not say what is asked.
"""

from collections.abc import Callable, Sequence
from random import Random

from app.tasks.generated import lexicon as world
from app.tasks.generated.procedure import Options, Pair, Procedure, Wording, computed, skewed

_COUNTS = world.NUMBERS[2:7]
_SUMMANDS = 16
"""Summands are below it: all sums stay among the numbers that the world knows."""


def _list(rng: Random, length: int = 4) -> list[str]:
    """Different letters."""
    return rng.sample(world.LETTERS, length)


def _at(place: int) -> Callable[[Random], Pair]:
    def draw(rng: Random) -> Pair:
        words = _list(rng)
        return Pair(" ".join(words), words[place])

    return draw


def _reverse(rng: Random) -> Pair:
    words = _list(rng, 3)
    return Pair(" ".join(words), " ".join(reversed(words)))


def _orders(pair: Pair, rng: Random) -> list[str]:
    """The reversal among other orders of the same words, the given one included."""
    words = pair.input.split()
    rotated = words[1:] + words[:1]
    swapped = [words[1], words[0], *words[2:]]
    return list(dict.fromkeys([pair.target, pair.input, " ".join(rotated), " ".join(swapped)]))


def _count(rng: Random) -> Pair:
    words = _list(rng, rng.randint(2, 6))
    return Pair(" ".join(words), str(len(words)))


def _member(rng: Random) -> Pair:
    *words, other = _list(rng)
    inside = rng.random() < 0.5
    asked = rng.choice(words) if inside else other
    return Pair(f"{asked} in {' '.join(words)}", "yes" if inside else "no")


def _numbers(rng: Random) -> list[int]:
    """Three different numbers, small ones more often."""
    chosen: dict[int, None] = {}
    while len(chosen) < 3:
        chosen[int(skewed(rng, world.NUMBERS))] = None
    return list(chosen)


def _best(choose: Callable[[Sequence[int]], int]) -> Callable[[Random], Pair]:
    def draw(rng: Random) -> Pair:
        numbers = _numbers(rng)
        return Pair(" ".join(map(str, numbers)), str(choose(numbers)))

    return draw


def _add(rng: Random) -> Pair:
    a, b = (skewed(rng, range(_SUMMANDS), 0.6) for _ in range(2))
    return Pair(f"{a} {b}", str(a + b))


def _subtract(rng: Random) -> Pair:
    a, b = sorted((skewed(rng, range(_SUMMANDS), 0.6) for _ in range(2)), reverse=True)
    return Pair(f"{a} {b}", str(a - b))


def _next(rng: Random) -> Pair:
    number = int(skewed(rng, world.NUMBERS[:-1]))
    return Pair(str(number), str(number + 1))


def _parity(rng: Random) -> Pair:
    number = int(skewed(rng, world.NUMBERS))
    return Pair(str(number), "odd" if number % 2 else "even")


def _near(pair: Pair, rng: Random) -> list[str]:
    """The answer among numbers close to it."""
    answer = int(pair.target)
    close = [str(n) for n in range(answer - 4, answer + 5) if n != answer and str(n) in world.NUMBERS]
    return [pair.target, *rng.sample(close, 3)]


def _bigger(rng: Random) -> Pair:
    a, b = rng.sample(world.ANIMALS_BY_SIZE, 2)
    return Pair(f"{a} {b}", max(a, b, key=world.ANIMALS_BY_SIZE.index))


def _older(rng: Random) -> Pair:
    a, b = rng.sample(world.FIRST_NAMES, 2)
    said, older = rng.choice((("older", a), ("younger", b)))
    return Pair(f"{a} is {said} than {b}", older)


def _listed(pair: Pair, rng: Random) -> list[str]:
    return pair.input.split()


def _ends(pair: Pair, rng: Random) -> list[str]:
    words = pair.input.split()
    return [words[0], words[-1]]


def _fixed(*words: str) -> Options:
    return lambda pair, rng: words


def _of_list(word: str) -> Wording:
    return Wording(
        f"give the {word} of the list",
        f"what is the {word} of this list ?",
        (f"{word} ones", f"the {word} of each list"),
        (f"the {word} of {{x}} is {{y}}", f"of {{x}} the {word} is {{y}}"),
    )


def _of_numbers(word: str, title: str) -> Wording:
    return Wording(
        f"give the {word} of the numbers",
        f"what is the {word} of these numbers ?",
        (title, f"the {word} of the numbers in each group"),
        (f"the {word} of {{x}} is {{y}}", f"of {{x}} the {word} is {{y}}"),
    )


LISTS = (
    computed("first", "list", "tune", _at(0), _listed, _of_list("first")),
    computed("last", "list", "evaluate", _at(-1), _listed, _of_list("last")),
    computed("third", "list", "develop", _at(2), _listed, _of_list("third")),
    computed("reverse", "list", "evaluate", _reverse, _orders, _of_list("reverse")),
    computed("count", "list", "tune", _count, _fixed(*_COUNTS), _of_list("count")),
    computed(
        "member",
        "list",
        "tune",
        _member,
        _fixed("yes", "no"),
        Wording(
            "say yes if the word is in the list",
            "is it in this list ?",
            ("members", "is it in each list"),
            ("is {x} ? {y}", "{x} , {y}"),
        ),
    ),
)

ARITHMETIC = (
    computed("max", "arithmetic", "tune", _best(max), _listed, _of_numbers("largest", "largest"), requires=("order",)),
    computed(
        "min", "arithmetic", "evaluate", _best(min), _listed, _of_numbers("smallest", "smallest"), requires=("order",)
    ),
    computed("add", "arithmetic", "evaluate", _add, _near, _of_numbers("sum", "sums"), requires=("sum",)),
    computed(
        "subtract",
        "arithmetic",
        "develop",
        _subtract,
        _near,
        _of_numbers("difference", "differences"),
        requires=("sum",),
    ),
    computed(
        "next",
        "arithmetic",
        "tune",
        _next,
        _near,
        Wording(
            "give the next of the number",
            "what is the next number ?",
            ("next numbers", "the next of each number"),
            ("the next of {x} is {y}", "after {x} comes {y}"),
        ),
        requires=("successor",),
        weight=1,
    ),
    computed(
        "parity",
        "arithmetic",
        "tune",
        _parity,
        _fixed("odd", "even"),
        Wording(
            "say if the number is odd or even",
            "is this number odd or even ?",
            ("odd or even", "is each number odd or even"),
            ("{x} is {y}", "the number {x} is {y}"),
        ),
        requires=("parity",),
        weight=1,
    ),
)


COMPARE = (
    computed(
        "bigger",
        "compare",
        "tune",
        _bigger,
        _listed,
        Wording(
            "give the bigger of the animals",
            "what is the bigger of these animals ?",
            ("bigger animals", "the bigger of the animals in each pair"),
            ("of {x} the bigger is {y}", "the bigger of {x} is {y}"),
        ),
        requires=("size",),
        weight=1,
    ),
    computed(
        "older",
        "compare",
        "tune",
        _older,
        _ends,
        Wording(
            "give the older of the people",
            "who is the older of these people ?",
            ("older people", "the older of the people in each pair"),
            ("{x} . so the older is {y}", "if {x} , then the older is {y}"),
        ),
    ),
)

PROCEDURES: tuple[Procedure, ...] = LISTS + ARITHMETIC + COMPARE
