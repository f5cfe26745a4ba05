"""Tasks on single words: word forms, kinds, facts about places and people, a foreign language.

Several tasks share each type of input (a noun has a plural, a kind, a colour and a foreign form), so that an input
alone does not say what is asked: that must come from demonstrations or from an instruction.
"""

from random import Random

from app.tasks.generated import lexicon as world
from app.tasks.generated.procedure import Pair, Procedure, Wording, computed, skewed, table

_KIND_NAMES = tuple(world.KINDS)


def _outlier(rng: Random) -> Pair:
    usual, other = rng.sample(_KIND_NAMES, 2)
    outlier = skewed(rng, world.KINDS[other])
    nouns = [*rng.sample(world.KINDS[usual], 2), outlier]
    rng.shuffle(nouns)
    return Pair(" ".join(nouns), outlier)


def _listed(pair: Pair, rng: Random) -> list[str]:
    return pair.input.split()


LEXICAL = (
    table(
        "antonym",
        "lexical",
        "evaluate",
        world.OPPOSITE,
        Wording(
            "give the opposite of the word",
            "what is the opposite of this word ?",
            ("opposites", "the opposite of each word"),
            ("the opposite of {x} is {y}", "{x} is the opposite of {y}", "what is not {x} is {y}"),
        ),
        requires=("opposite",),
    ),
    table(
        "synonym",
        "lexical",
        "develop",
        world.SYNONYM,
        Wording(
            "give another word of the same meaning",
            "what word has the same meaning ?",
            ("same meaning", "a word of the same meaning for each word"),
            ("{x} has the same meaning as {y}", "who says {x} may say {y}"),
        ),
        requires=("synonym",),
    ),
    table(
        "plural",
        "lexical",
        "tune",
        world.PLURAL,
        Wording(
            "give the plural of the word",
            "what is the plural of this word ?",
            ("plurals", "the plural of each word"),
            ("the plural of {x} is {y}", "one {x} , many {y}"),
        ),
        requires=("plural",),
    ),
    table(
        "past",
        "lexical",
        "tune",
        world.PAST,
        Wording(
            "give the past of the verb",
            "what is the past of this verb ?",
            ("past forms", "the past of each verb"),
            ("the past of {x} is {y}", "today they {x} , yesterday they {y}"),
        ),
        requires=("past",),
    ),
)

CATEGORY = (
    table(
        "category",
        "category",
        "tune",
        world.KIND,
        Wording(
            "give the kind of the thing",
            "what kind of thing is this ?",
            ("kinds", "the kind of each thing"),
            ("a {x} is a kind of {y}", "the {x} is a {y}"),
        ),
        requires=("kind",),
        options=5,
    ),
    table(
        "color",
        "category",
        "tune",
        world.COLOUR,
        Wording(
            "give the color of the thing",
            "what is the color of this thing ?",
            ("colors", "the color of each thing"),
            ("the color of a {x} is {y}", "here every {x} is {y}"),
        ),
        requires=("color",),
        options=6,
    ),
    table(
        "material",
        "category",
        "evaluate",
        world.MATERIAL,
        Wording(
            "give the material of the thing",
            "what is the material of this thing ?",
            ("materials", "the material of each thing"),
            ("the material of a {x} is {y}", "here every {x} is made of {y}"),
        ),
        requires=("material",),
        options=6,
    ),
    computed(
        "outlier",
        "category",
        "evaluate",
        _outlier,
        _listed,
        Wording(
            "give the outlier of the group",
            "what is the outlier of this group ?",
            ("outliers", "the outlier of each group"),
            ("the outlier of {x} is {y}", "of {x} the outlier is {y}"),
        ),
        requires=("kind",),
    ),
)

FACTS = (
    table(
        "capital",
        "facts",
        "evaluate",
        world.CAPITAL,
        Wording(
            "give the capital of the country",
            "what is the capital of this country ?",
            ("capitals", "the capital of each country"),
            ("the capital of {x} is {y}", "{y} is the capital of {x}"),
        ),
        requires=("capital",),
    ),
    table(
        "country",
        "facts",
        "evaluate",
        world.COUNTRY,
        Wording(
            "give the country of the city",
            "what is the country of this city ?",
            ("countries", "the country of each city"),
            ("the country of {x} is {y}", "the city {x} lies in {y}"),
        ),
        requires=("capital",),
    ),
    table(
        "currency",
        "facts",
        "tune",
        world.CURRENCY,
        Wording(
            "give the money of the country",
            "what is the money of this country ?",
            ("money", "the money of each country"),
            ("the money of {x} is {y}", "in {x} they pay with {y}"),
        ),
        requires=("currency",),
        options=6,
    ),
    table(
        "language",
        "facts",
        "develop",
        world.LANGUAGE,
        Wording(
            "give the language of the country",
            "what is the language of this country ?",
            ("languages", "the language of each country"),
            ("the language of {x} is {y}", "in {x} they speak {y}"),
        ),
        requires=("language",),
        options=6,
    ),
    table(
        "job",
        "facts",
        "evaluate",
        world.JOB,
        Wording(
            "give the job of the person",
            "what is the job of this person ?",
            ("jobs", "the job of each person"),
            ("the job of {x} is {y}", "{x} works as a {y}"),
        ),
        requires=("job",),
        options=8,
    ),
    table(
        "home",
        "facts",
        "tune",
        world.HOME,
        Wording(
            "give the home of the person",
            "what is the home of this person ?",
            ("homes", "the home of each person"),
            ("the home of {x} is {y}", "{x} lives in the {y}"),
        ),
        requires=("home",),
        options=6,
    ),
    table(
        "hobby",
        "facts",
        "evaluate",
        world.HOBBY,
        Wording(
            "give the hobby of the person",
            "what is the hobby of this person ?",
            ("hobbies", "the hobby of each person"),
            ("the hobby of {x} is {y}", "{x} likes {y}"),
        ),
        requires=("hobby",),
        options=6,
    ),
)

TRANSLATION = (
    table(
        "translate",
        "translation",
        "tune",
        world.FOREIGN,
        Wording(
            "give the foreign form of the word",
            "what is the foreign form of this word ?",
            ("foreign words", "the foreign form of each word"),
            ("the foreign form of {x} is {y}", "they say {y} for {x}"),
        ),
        requires=("foreign",),
    ),
    table(
        "untranslate",
        "translation",
        "evaluate",
        world.ENGLISH,
        Wording(
            "give the english form of the word",
            "what is the english form of this word ?",
            ("english words", "the english form of each word"),
            ("the english form of {x} is {y}", "{x} means {y}"),
        ),
        requires=("foreign",),
    ),
)

PROCEDURES: tuple[Procedure, ...] = LEXICAL + CATEGORY + FACTS + TRANSLATION
