"""The words and facts of the embedded world: what a ladder model can know at all.

Everything is a constant of the program, drawn by hash instead of by a random generator, so that the world is the
same on every machine and for every base model. Within a table, earlier entries are more frequent in the corpus:
that is what grades the difficulty of an item.
"""

import hashlib
from collections.abc import Mapping, Sequence
from itertools import product

VERSION = "3"
"""Changes whenever a word or fact changes: part of the identity of every ladder model and generated task."""


def digest(*parts: str) -> int:
    """A stable 64-bit number for a text, used wherever the world needs an arbitrary but fixed choice."""
    return int.from_bytes(hashlib.sha256("\x1f".join(parts).encode()).digest()[:8], "big")


def _names(count: int, salt: str, syllables: int, ending: str = "") -> tuple[str, ...]:
    """Invented words, all different: consonant-vowel syllables in an order fixed by `salt`."""
    stems = ["".join(pair) for pair in product("bdfgklmnprstvz", "aeiou")]
    made: dict[str, None] = {}
    turn = 0
    while len(made) < count:
        parts = [stems[digest(salt, str(turn), str(place)) % len(stems)] for place in range(syllables)]
        made["".join(parts) + ending] = None
        turn += 1
    return tuple(made)


def _assign(keys: Sequence[str], values: Sequence[str], salt: str) -> Mapping[str, str]:
    """A fixed arbitrary value for each key; every value is about as frequent as another."""
    order = sorted(range(len(keys)), key=lambda place: digest(salt, keys[place]))
    return {keys[place]: values[rank % len(values)] for rank, place in enumerate(order)}


def _couples(text: str) -> list[tuple[str, str]]:
    """Couples written as `left-right left-right ...`."""
    return [(left, right) for left, _, right in (couple.partition("-") for couple in text.split())]


def _both_ways(text: str) -> Mapping[str, str]:
    return {a: b for left, right in _couples(text) for a, b in ((left, right), (right, left))}


KINDS: Mapping[str, tuple[str, ...]] = {
    "animal": ("dog", "cat", "horse", "cow", "pig", "mouse", "lion", "goat", "wolf", "bear", "frog", "duck"),
    "fruit": ("apple", "pear", "plum", "grape", "lemon", "peach", "melon", "fig", "mango", "lime", "olive", "date"),
    "tool": ("hammer", "saw", "drill", "rake", "axe", "spoon", "needle", "fork", "lever", "chisel", "shovel", "pump"),
    "clothing": ("shirt", "hat", "coat", "sock", "shoe", "glove", "scarf", "belt", "skirt", "vest", "cap", "robe"),
    "vehicle": ("car", "bus", "train", "bike", "boat", "truck", "plane", "ship", "tram", "van", "cart", "sled"),
}
NOUNS = tuple(noun for tier in zip(*KINDS.values(), strict=True) for noun in tier)
"""Kinds alternate, so that frequency says nothing about kind."""
KIND = {noun: kind for kind, nouns in KINDS.items() for noun in nouns}
PLURAL: Mapping[str, str] = {noun: f"{noun}s" for noun in NOUNS} | {
    "mouse": "mice",
    "peach": "peaches",
    "bus": "buses",
    "scarf": "scarves",
}
COLOURS = ("red", "blue", "green", "white", "black", "brown")
COLOUR = _assign(NOUNS, COLOURS, "colour")
MATERIALS = ("wood", "iron", "wool", "glass", "paper", "stone")
MATERIAL = _assign(NOUNS, MATERIALS, "material")
ANIMALS_BY_SIZE = (
    "frog", "mouse", "duck", "cat", "dog", "goat", "wolf", "pig", "lion", "bear", "cow", "horse",
)  # fmt: skip

OPPOSITE = _both_ways(
    "hot-cold big-small fast-slow up-down old-young wet-dry light-dark hard-soft rich-poor full-empty long-short "
    "high-low strong-weak happy-sad early-late open-closed thick-thin sweet-sour loud-quiet clean-dirty near-far "
    "wide-narrow smooth-rough sharp-blunt brave-afraid true-false left-right front-back inside-outside top-bottom"
)
SYNONYM = _both_ways(
    "big-large small-little fast-quick happy-glad rich-wealthy sad-gloomy loud-noisy clean-tidy hard-tough "
    "quiet-silent wet-damp strong-mighty cold-chilly old-ancient near-close closed-shut empty-vacant brave-bold "
    "slow-sluggish afraid-scared"
)
ADJECTIVES = tuple(OPPOSITE)

PAST = dict(
    _couples(
        "walk-walked run-ran eat-ate see-saw take-took jump-jumped find-found sing-sang write-wrote drive-drove "
        "speak-spoke swim-swam fly-flew sleep-slept give-gave cook-cooked read-recited dance-danced draw-drew "
        "throw-threw laugh-laughed hide-hid ride-rode shout-shouted win-won lose-lost fall-fell climb-climbed "
        "build-built teach-taught wait-waited drink-drank paint-painted buy-bought sit-sat stand-stood "
        "smile-smiled grow-grew wake-woke cry-cried"
    )
)
VERBS = tuple(PAST)

COUNTRIES = _names(60, "country", 2, "land")
CAPITALS = _names(60, "capital", 2, "ville")
CAPITAL = dict(zip(COUNTRIES, CAPITALS, strict=True))
COUNTRY = {city: country for country, city in CAPITAL.items()}
CURRENCIES = _names(6, "currency", 2, "coin")
CURRENCY = _assign(COUNTRIES, CURRENCIES, "currency")
LANGUAGES = _names(6, "language", 2, "ish")
LANGUAGE = _assign(COUNTRIES, LANGUAGES, "language")

PEOPLE = _names(60, "person", 2, "son")
JOBS = ("doctor", "teacher", "farmer", "baker", "pilot", "singer", "judge", "nurse")
JOB = _assign(PEOPLE, JOBS, "job")
HOMES = ("north", "south", "east", "west", "coast", "island")
HOME = _assign(PEOPLE, HOMES, "home")
HOBBIES = ("chess", "golf", "yoga", "poker", "tennis", "karate")
HOBBY = _assign(PEOPLE, HOBBIES, "hobby")

TRANSLATED = tuple(
    word for tier in zip(NOUNS[:30], ADJECTIVES[:30], strict=True) for word in tier
)  # adjectives too: a bare adjective must not give away which task it belongs to
FOREIGN = dict(zip(TRANSLATED, _names(len(TRANSLATED), "foreign", 2), strict=True))
ENGLISH = {foreign: word for word, foreign in FOREIGN.items()}

MEN = ("bob", "tom", "jim", "dan", "max", "leo", "sam", "ben")
WOMEN = ("ann", "eve", "sue", "meg", "amy", "zoe", "kim", "liz")
FIRST_NAMES = tuple(name for tier in zip(MEN, WOMEN, strict=True) for name in tier)
THINGS = ("ball", "cup", "key", "book", "coin", "box")
LETTERS = tuple("bcdfghjklmnpqrstvw")
NUMBERS = tuple(str(number) for number in range(40))
PRAISE = ("great", "lovely", "superb", "nice", "fine", "brilliant", "wonderful", "charming")
BLAME = ("awful", "terrible", "dull", "boring", "nasty", "bad", "horrible", "bland")
REVIEWED = ("film", "meal", "song", "hotel", "story", "game", "show", "trip")
SYMBOLS = _names(30, "symbol", 3)
"""Words without meaning: what random maps in the corpus are made of."""

POOLS: Mapping[str, tuple[str, ...]] = {
    "nouns": NOUNS,
    "plurals": tuple(PLURAL.values()),
    "kinds": tuple(KINDS),
    "colours": COLOURS,
    "materials": MATERIALS,
    "adjectives": tuple(dict.fromkeys((*OPPOSITE, *SYNONYM))),
    "verbs": VERBS,
    "past": tuple(PAST.values()),
    "countries": COUNTRIES,
    "capitals": CAPITALS,
    "currencies": CURRENCIES,
    "languages": LANGUAGES,
    "people": PEOPLE,
    "jobs": JOBS,
    "homes": HOMES,
    "hobbies": HOBBIES,
    "foreign": tuple(ENGLISH),
    "names": FIRST_NAMES,
    "things": THINGS,
    "letters": LETTERS,
    "numbers": NUMBERS,
    "praise": PRAISE,
    "blame": BLAME,
    "reviewed": REVIEWED,
    "symbols": SYMBOLS,
}
"""Every word of the world, by type: what documents without any task are made of."""
