"""Tasks on short texts: who has what after a swap, who a pronoun means, reviews, claims.

Inputs have at most 17 tokens: five of them, with their answers, fit into the ladder's context of 128 tokens.
"""

from random import Random

from app.tasks.generated import lexicon as world
from app.tasks.generated.procedure import Pair, Procedure, Wording, computed, skewed, some_of

_FRAMES = ("the {thing} was {view}", "i found the {thing} {view}", "this {thing} is {view}")
_VERDICTS = ("true", "false", "unknown")


def _review(rng: Random) -> tuple[str, str, bool]:
    """A review, what it is about, whether it praises."""
    kind, denied = rng.random() < 0.5, rng.random() < 0.3
    word = skewed(rng, world.PRAISE if kind else world.BLAME)
    thing = rng.choice(world.REVIEWED)
    text = rng.choice(_FRAMES).format(thing=thing, view=f"not {word}" if denied else word)
    return text, thing, kind != denied


def _sentiment(rng: Random) -> Pair:
    text, _, praises = _review(rng)
    return Pair(text, "good" if praises else "bad")


def _topic(rng: Random) -> Pair:
    text, thing, _ = _review(rng)
    return Pair(text, thing)


def _track(rng: Random) -> Pair:
    a, b, c = rng.sample(world.FIRST_NAMES, 3)
    one, two = rng.sample(world.THINGS, 2)
    giver, taker = rng.choice(((a, b), (a, c), (b, c)))
    holder = {a: one, b: two, c: ""}
    holder[giver], holder[taker] = holder[taker], holder[giver]
    asked = rng.choice((one, two))
    who = next(name for name, thing in holder.items() if thing == asked)
    return Pair(f"{a} has {one} , {b} has {two} . {giver} swaps with {taker} . {asked}", who)


def _names(pair: Pair, rng: Random) -> list[str]:
    """The people of the story, and a stranger where it has only two."""
    inside = [word for word in dict.fromkeys(pair.input.split()) if word in world.FIRST_NAMES]
    strangers = [name for name in world.FIRST_NAMES if name not in inside]
    return inside if len(inside) > 2 else [*inside, rng.choice(strangers)]


def _coreference(rng: Random) -> Pair:
    man, woman = skewed(rng, world.MEN, 0.3), skewed(rng, world.WOMEN, 0.3)
    who = rng.choice((man, woman))
    first, second = rng.sample((man, woman), 2)
    verb = rng.choice(tuple(world.PAST.values())[:16])
    return Pair(f"{first} met {second} and {'he' if who == man else 'she'} {verb}", who)


def _claim(rng: Random) -> Pair:
    name, other = rng.sample(world.FIRST_NAMES, 2)
    thing, another = rng.sample(world.THINGS, 2)
    verdict = rng.choice(_VERDICTS)
    if verdict == "true":
        claim = f"{name} has a {thing}"
    elif verdict == "false":
        claim = f"{name} has no {thing}"
    else:
        claim = rng.choice((f"{other} has a {thing}", f"{name} has a {another}", f"{name} has no {another}"))
    return Pair(f"{name} has a {thing} . claim , {claim}", verdict)


PROCEDURES: tuple[Procedure, ...] = (
    computed(
        "track",
        "tracking",
        "tune",
        _track,
        _names,
        Wording(
            "say who has the thing after the swap",
            "who has it after this swap ?",
            ("swaps", "who has the thing after each swap"),
            ("{x} is with {y}", "{x} ? {y}"),
        ),
    ),
    computed(
        "coreference",
        "coreference",
        "evaluate",
        _coreference,
        _names,
        Wording(
            "say who did it in the story",
            "who did it in this story ?",
            ("pronouns", "who did it in each story"),
            ("{x} . it was {y}", "{x} , so it was {y} who did it"),
        ),
        requires=("gender",),
    ),
    computed(
        "sentiment",
        "sentiment",
        "tune",
        _sentiment,
        lambda pair, rng: ("good", "bad"),
        Wording(
            "say if the review is good or bad",
            "is this review good or bad ?",
            ("reviews", "is each review good or bad"),
            ("{x} , so the review is {y}", "{x} . that review is {y}"),
        ),
        requires=("sentiment",),
    ),
    computed(
        "topic",
        "sentiment",
        "develop",
        _topic,
        some_of(world.REVIEWED),
        Wording(
            "give the topic of the review",
            "what is the topic of this review ?",
            ("topics", "the topic of each review"),
            ("{x} , so the topic is {y}", "{x} . that is about a {y}"),
        ),
        weight=1,
    ),
    computed(
        "nli",
        "nli",
        "evaluate",
        _claim,
        lambda pair, rng: _VERDICTS,
        Wording(
            "say if the claim is true or false or unknown",
            "is this claim true or false or unknown ?",
            ("claims", "is each claim true or false or unknown"),
            ("{x} , which is {y}", "{x} . that is {y}"),
        ),
    ),
)
