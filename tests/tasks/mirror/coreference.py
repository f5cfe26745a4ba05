"""Rows of our own for the tasks of coreference resolution, in the hub's columns."""

Row = dict[str, object]


def _pronouns(*rows: tuple[str, str, list[str], int]) -> list[Row]:
    return [
        {"sentence": sentence, "pronoun": pronoun, "candidates": candidates, "label": label}
        for sentence, pronoun, candidates, label in rows
    ]


def _blanks(*rows: tuple[str, str, str, str]) -> list[Row]:
    return [{"sentence": shown, "option1": one, "option2": two, "answer": right} for shown, one, two, right in rows]


def _schema(first: str, second: str, link: str, one: str, two: str) -> list[Row]:
    """Both halves of a schema: of the first clause's two nouns, "it" is the one or the other."""
    text = f"The {first} {link} the {second} because it was"
    return [
        {
            "text": f"{text} {ending}.", "pronoun": "it", "pronoun_loc": len(text) - len("it was"),
            "quote": f"it was {ending}", "quote_loc": len(text) - len("it was"),
            "options": [f"The {first}", f"The {second}"], "label": label, "source": "our own",
        }
        for label, ending in enumerate((one, two))
    ]  # fmt: skip


_NOUNS = (
    ("cup", "shelf"), ("van", "gate"), ("{box}", "crate"), ("lamp", "desk"), ("boat", "dock"), ("kite", "tree"),
    ("wolf", "goat"), ("sack", "cart"), ("coat", "hook"), ("bell", "rope"), ("stone", "pane"), ("drill", "wall"),
    ("vase", "trunk"), ("sofa", "lift"), ("rug", "floor"), ("tent", "field"), ("ball", "net"), ("key", "lock"),
    ("fish", "hook"), ("plough", "soil"), ("crow", "owl"), ("saw", "plank"),
)  # fmt: skip

ROWS: dict[str, list[Row]] = {
    "coref-data/dpr_raw/plain_text/train": _pronouns(
        ("The cook thanked the waiter because he had helped.", "he", ["The cook", "the waiter"], 1),
        ("The cook thanked the waiter because he was grateful.", "he", ["The cook", "the waiter"], 0),
        ("Rain spoiled the hay, so it was burned.", "it", ["Rain", "the hay"], 1),
        ("The foxes fled from the hounds, but they had left a trail they could smell.", "they",
         ["The foxes", "the hounds"], 0),
    ),
    "coref-data/dpr_raw/plain_text/test": _pronouns(
        ("The boy waved at the sailor since he liked ships.", "he", ["The boy", "the sailor"], 0),
        ("The boy waved at the sailor since he had waved first.", "he", ["The boy", "the sailor"], 1),
        ("The nurse rang the {doctor} “at once”, because she was ill.", "she", ["The nurse", "the {doctor}"], 0),
        ("The thieves hid from the guards they feared, and they never found them.", "they",
         ["The thieves", "the guards"], 1),
        ("This one has no label, but it should.", "it", ["This one", "label"], -1),
    ),
    "allenai/winogrande/winogrande_xl/train": _blanks(
        ("The coin fit the slot because the _ was small.", "coin", "slot", "1"),
        ("The coin did not fit the slot because the _ was small.", "coin", "slot", "2"),
        ("Ann taught Sue to knit, so _ thanked her.", "Ann", "Sue", "2"),
        ("Ann taught Sue to knit, so _ was thanked.", "Ann", "Sue", "1"),
    ),
    "allenai/winogrande/winogrande_xl/validation": _blanks(
        ("Ben lent Max his bike as _ had to hurry.", "Ben", "Max", "2"),
        ("Ben lent Max his bike as _ was kind.", "Ben", "Max", "1"),
        ("The soup needed salt but not {pepper}; the _ was left out.", "salt", "{pepper}", "2"),
        ("The wool is warmer than the silk, so _ is for winter.", "wool", "silk", "1"),
        ("The _ is unknown.", "first", "second", ""),
    ),
    "coref-data/davis_wsc_raw/wsc273/test": [
        row for first, second in _NOUNS for row in _schema(first, second, "damaged", "too heavy", "too soft")
    ],
}  # fmt: skip
