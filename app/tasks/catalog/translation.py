"""Translation, into English where it is evaluated.

Only inverted templates translate out of English: a mixture then teaches both directions, and a score is always that of
English text, whose metrics need no tokeniser for other languages.
"""

from dataclasses import dataclass

from app.tasks.rows import part, text
from app.tasks.task import Hub, Parsed, Role, Row, Task, Template

_LANGUAGES = {
    "cs": "Czech",
    "de": "German",
    "es": "Spanish",
    "fi": "Finnish",
    "fr": "French",
    "ro": "Romanian",
    "ru": "Russian",
    "tr": "Turkish",
}


@dataclass(frozen=True)
class _IntoEnglish:
    """A reader of sentence pairs."""

    language: str
    """Code of the other language, which names its side of the pair."""

    def __call__(self, row: Row) -> Parsed | None:
        sides = part(row, "translation")
        foreign, english = text(sides, self.language), text(sides, "en")
        # Crawled and aligned text has pairs with an empty side.
        return Parsed({"foreign": foreign}, (), english) if foreign and english else None


def _templates(language: str) -> tuple[Template, ...]:
    return (
        Template(f"Translate the {language} text into English.", f"{language}: {{foreign}}\nWhat is this in English?"),
        Template(f"What does this {language} sentence mean in English?", "{foreign}"),
        Template("Give the English for it.", f"{language} text: {{foreign}}"),
        Template(f"Say in English what is said here in {language}.", "Said here: {foreign}"),
        Template(f"An English reader knows no {language}. Write down what it says.", "It says: {foreign}"),
        Template("Render this in good English.", f"From {language}: {{foreign}}"),
        Template("Write an English version that leaves nothing out.", f"{{foreign}}\n({language}, into English)"),
        Template(
            f"Translate the English text into {language}.",
            f"English: {{target}}\nWhat is this in {language}?",
            "{foreign}",
        ),
        Template(f"How does one say this in {language}?", "{target}", "{foreign}"),
        Template(f"Write a {language} version of the sentence.", "Sentence: {target}", "{foreign}"),
    )


def _task(name: str, language: str, source: Hub, role: Role, licence: str, citation: str) -> Task:
    return Task(
        name=name,
        cluster="machine_translation",
        role=role,
        source=source,
        to_example=_IntoEnglish(language),
        templates=_templates(_LANGUAGES[language]),
        metric="bleu",
        also=("chrf",),
        licence=licence,
        citation=citation,
        tokens=60,
        answer_tokens=28,
    )


PARA_CRAWL = tuple(
    _task(
        name=f"para_crawl_en_{language}",
        language=language,
        # It has one split, of which the hub's conversion may hold the beginning only.
        source=Hub("ParaCrawl/para_crawl", f"en{language}", "train", "train", "refs/convert/parquet"),
        role="tune",
        licence="CC0 1.0",
        citation="https://aclanthology.org/2020.acl-main.417/",
    )
    for language in ("de", "es", "fr")
)

WMT16 = tuple(
    _task(
        name=f"wmt16_{language}_en",
        language=language,
        source=Hub("wmt/wmt16", f"{language}-en", test="test"),
        role="evaluate" if language == "ro" else "tune",
        licence="not stated (for research)",
        citation="https://aclanthology.org/W16-2301/",
    )
    for language in ("cs", "de", "fi", "ro", "ru", "tr")
)

TASKS = PARA_CRAWL + WMT16
