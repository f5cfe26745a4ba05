"""From generated text to an answer. Not finding one is an outcome of its own, counted, never a silent first option."""

import re

_QUOTES = "\"'`“”‘’«»"
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")


def normalise(text: str) -> str:
    """Lower case, blanks collapsed, without outer quotes and final dots; doing it twice changes nothing."""
    text = " ".join(text.lower().split())
    while True:
        shorter = text.strip(_QUOTES).rstrip(".").strip()
        if shorter == text:
            return text
        text = shorter


def extract(text: str, options: tuple[str, ...]) -> str | None:
    """The answer in the first line of `text`; None where there is none, or no single one.

    Without options it is the line itself. With options it is the one that the line equals; else the one that it
    starts with; else the only one that it contains. An option counts only as whole words, and not where it is a part
    of a longer option that stands there. Numbers match with or without commas between thousands.
    """
    line = text.split("\n", 1)[0].strip()
    if not options:
        return line if normalise(line) else None
    sought = _plain(line)
    plain = {option: _plain(option) for option in options}
    same = [option for option, form in plain.items() if form == sought]
    if same:
        # Options may differ in case or quotes alone: then only the very text decides.
        return same[0] if len(same) == 1 else next((option for option in same if option == line), None)
    found = _occurrences(sought, plain)
    leading = [option for option, start in found if start == 0]
    named = leading or list(dict.fromkeys(option for option, _ in found))
    return named[0] if len(named) == 1 else None


def _plain(text: str) -> str:
    return _THOUSANDS.sub("", normalise(text))


def _occurrences(line: str, plain: dict[str, str]) -> list[tuple[str, int]]:
    """Each option with each place in `line` where it stands as whole words and within no longer option."""
    spans = [
        (match.start(), match.end(), option)
        for option, form in plain.items()
        if form
        for match in re.finditer(_whole_words(form), line)
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
