"""Rows of our own for translation, in the hub's columns."""

Row = dict[str, object]

WORDS: dict[str, dict[str, list[str]]] = {
    "cs": {"train": ["pes", "dům", "kniha", "most"], "test": ["strom", "řeka", "okno", "{stůl}"]},
    "de": {"train": ["Hund", "Haus", "Buch", "Brücke"], "test": ["Baum", "Fluß", "„Fenster“", "{Tisch}"]},
    "fi": {"train": ["koira", "talo", "kirja", "silta"], "test": ["puu", "joki", "ikkuna", "{pöytä}"]},
    "ro": {"train": ["câine", "casă", "carte", "pod"], "test": ["copac", "râu", "fereastră", "{masă}"]},
    "ru": {"train": ["собака", "дом", "книга", "мост"], "test": ["дерево", "река", "окно", "{стол}"]},
    "tr": {"train": ["köpek", "ev", "kitap", "köprü"], "test": ["ağaç", "nehir", "pencere", "{masa}"]},
}
ENGLISH = {"train": ["dog", "house", "book", "bridge"], "test": ["tree", "river", "“window”", "{table}"]}
WORLDS = {"de": "Welt", "es": "mundo", "fr": "monde"}


def _pairs(language: str, split: str) -> list[Row]:
    said = zip(WORDS[language][split], ENGLISH[split], strict=True)
    return [{"translation": {language: foreign, "en": english}} for foreign, english in said]


def _crawled(language: str, world: str) -> list[Row]:
    pairs: list[Row] = [{"translation": {"en": f"world  {n}", language: f"{world} {n} "}} for n in range(40)]
    return [*pairs, {"translation": {"en": "", language: world}}, {"translation": {"en": "“{x}”", language: "«{x}»"}}]


ROWS: dict[str, list[Row]] = {
    f"wmt/wmt16/{language}-en/{split}": _pairs(language, split) for language in WORDS for split in ("train", "test")
}
ROWS |= {f"ParaCrawl/para_crawl/en{language}/train": _crawled(language, world) for language, world in WORLDS.items()}
