"""From generated text to an answer. Not finding one is an outcome of its own, counted, never a silent first option.

The rules are small functions, tried in a fixed order. The plain ones come first, on the first line as it stands, so
that a rule behind them never changes an answer: it only finds one where there was none.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple

_QUOTES = "\"'`“”‘’«»"
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_OTHER_ITEM = re.compile(r"\n[^\S\n]*(?:question|input|instruction|examples)[^\S\n]*:.*", re.IGNORECASE | re.DOTALL)
_COLON_MARKER = re.compile(r"\banswer(?:\s+is)?\s*[:=]", re.IGNORECASE)
_MARKER = re.compile(r"\banswer(?:\s+is\b|\s*[:=])\s*:?", re.IGNORECASE)
_LONE_LETTER = re.compile(r"\(?([a-z])[).:]?\.?", re.IGNORECASE)
_LEADING_LETTER = re.compile(
    r"(?:(?:[Oo]ption|[Cc]hoice|[Ll]etter)\s+)?(?:\(([A-Za-z])\)|([A-Za-z])\)|([A-Z])(?!\w))"
    r"\W*(?:$|(?:because|since|as)\b)"
)
_QUOTED = re.compile(r"\"([^\"\n]+)\"|“([^“”\n]+)”|«([^«»\n]+)»|`([^`\n]+)`|(?<!\w)['‘]([^'‘’\n]+)['’](?!\w)")
_NUMBER = re.compile(r"(?<![\w.,])[-−]?\d+(?:\.\d+)?(?!\.?\d)")
_NUMBER_ALONE = re.compile(r"[$€£]?\s*[-−]?\d+(?:\.\d+)?\s*(?:%|[^\W\d]*)")


class Extracted(NamedTuple):
    """What was read out of a text."""

    answer: str | None
    """One of the options, or a line where there are none; None: no answer, or no single one."""
    rule: str
    """The function that found it, after "after_marker/" where only the text behind a marker was read; "" if none."""


Options = tuple[str, ...]
Rule = Callable[[str, Options], str | None]


def normalise(text: str) -> str:
    """Lower case, blanks collapsed, without outer quotes and final dots; doing it twice changes nothing."""
    text = " ".join(text.lower().split())
    while True:
        shorter = text.strip(_QUOTES).rstrip(".").strip()
        if shorter == text:
            return text
        text = shorter


def extract(text: str, options: Options, *, listed: bool = True) -> Extracted:
    """The answer in `text`, and the rule that found it.

    With options: `first_line`, `lead` and `only_mention` on the first line; where they find nothing, on the first line
    that is not empty behind the last answer marker (without a marker: of the text); then `letter` on that line, and
    `quoted` and `number` on all that follows the marker. Without options: what follows the last marker with a colon,
    else the first line that is not empty. Text that goes on to another item of the prompt's frame counts up to there.
    `listed`: whether the prompt listed the options, so that a letter can stand for one.
    """
    own = _OTHER_ITEM.sub("", text)
    if not options:
        return _free(own)
    plain_rules: tuple[Rule, ...] = (first_line, lead, only_mention)
    found = _first(plain_rules, text.split("\n", 1)[0].strip(), options)
    if found.answer is not None:
        return found
    marked = after_marker(own)
    seen = own if marked is None else marked
    line = _line(seen)
    late: tuple[Rule, ...] = (letter,) if listed else ()
    found = _first((*plain_rules, *late), line, options)
    if found.answer is None:
        found = _first((quoted, number), seen, options)
    return found if marked is None or found.answer is None else Extracted(found.answer, f"after_marker/{found.rule}")


def after_marker(text: str, *, colon: bool = False) -> str | None:
    """The text behind the last "Answer:" or "answer is"; None without one, or where nothing follows it.

    `colon`: only a marker that ends in a colon counts. A free answer, a translation say, may itself hold the other.
    """
    markers = list((_COLON_MARKER if colon else _MARKER).finditer(text))
    rest = text[markers[-1].end() :].strip() if markers else ""
    return rest or None


def first_line(line: str, options: Options) -> str | None:
    """The option that the line equals; options may differ in case or quotes alone: then only the very text decides.

    Numbers match with or without commas between thousands, here and in `lead` and `only_mention`.
    """
    sought = _plain(line)
    same = [option for option in options if _plain(option) == sought]
    return same[0] if len(same) == 1 else next((option for option in same if option == line), None)


def lead(line: str, options: Options) -> str | None:
    """The option that the line starts with, as whole words; the longest where one is part of another."""
    named = [option for option, start in _occurrences(line, options) if start == 0]
    return named[0] if len(named) == 1 else None


def only_mention(line: str, options: Options) -> str | None:
    """The only option that the line holds, as whole words and not as a part of a longer option that stands there."""
    found = _occurrences(line, options)
    named = list(dict.fromkeys(option for option, _ in found))
    return named[0] if len(named) == 1 and not any(start == 0 for _, start in found) else None


def letter(line: str, options: Options) -> str | None:
    """The option at the place of the letter that the line gives: "(b)", "b)", "B." or "B", alone or with a reason.

    Other text behind the letter may be an option that the model made up. Where the options are letters themselves the
    letter is their text; where only some are, it tells nothing.
    """
    match = _LEADING_LETTER.match(line.strip().lstrip(_QUOTES))
    if match is None:
        return None
    said = str(next(filter(None, match.groups()))).lower()
    own = [_LONE_LETTER.fullmatch(normalise(option)) for option in options]
    if any(own):
        same = [option for option, form in zip(options, own, strict=True) if form and form.group(1).lower() == said]
        return same[0] if all(own) and len(same) == 1 else None
    place = ord(said) - ord("a")
    return options[place] if place < len(options) else None


def quoted(text: str, options: Options) -> str | None:
    """The only option that stands in quotes."""
    spans = [next(filter(None, match.groups())) for match in _QUOTED.finditer(text)]
    named = {option for span in spans if (option := first_line(span.strip(), options)) is not None}
    return named.pop() if len(named) == 1 else None


def number(text: str, options: Options) -> str | None:
    """Where all options are different numbers, with or without a unit, and the text has one number: the equal one."""
    values: dict[Decimal, str] = {}
    for option in options:
        form = _plain(option)
        if not _NUMBER_ALONE.fullmatch(form):
            return None
        values.update((value, option) for value in _numbers(form))
    said = set(_numbers(_THOUSANDS.sub("", text)))
    return values.get(said.pop()) if len(said) == 1 and len(values) == len(options) else None


def _free(text: str) -> Extracted:
    for rule, seen in (("after_marker", after_marker(text, colon=True)), ("first_line", text)):
        line = _line(seen or "")
        if normalise(line):
            return Extracted(line, rule)
    return Extracted(None, "")


def _first(rules: tuple[Rule, ...], text: str, options: Options) -> Extracted:
    for rule in rules:
        answer = rule(text, options)
        if answer is not None:
            return Extracted(answer, rule.__name__)
    return Extracted(None, "")


def _line(text: str) -> str:
    """The first line that is not empty."""
    return next((line.strip() for line in text.split("\n") if line.strip()), "")


def _plain(text: str) -> str:
    return _THOUSANDS.sub("", normalise(text))


def _numbers(text: str) -> list[Decimal]:
    return [Decimal(match.group().replace("−", "-")) for match in _NUMBER.finditer(text)]


def _occurrences(line: str, options: Options) -> list[tuple[str, int]]:
    """Each option with each place in `line` where it stands as whole words and within no longer option.

    None where the line equals an option that it cannot be told from another.
    """
    sought = _plain(line)
    plain = {option: _plain(option) for option in options}
    if sought in plain.values():
        return []
    spans = [
        (match.start(), match.end(), option)
        for option, form in plain.items()
        if form
        for match in re.finditer(_whole_words(form), sought)
    ]
    return [
        (option, start)
        for start, end, option in spans
        if not any(a <= start and end <= b and b - a > end - start for a, b, _ in spans)
    ]


def _whole_words(form: str) -> str:
    """A pattern for `form` not inside a word or a number: 12 is in "$12", but neither in 12.5, 1.12 nor -12."""
    before = r"(?<!\w)(?<!\d[.,])" + (r"(?<!-)" if form[0].isdigit() else "")
    return before + re.escape(form) + r"(?!\w)(?![.,]\d)"
