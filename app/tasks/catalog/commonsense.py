"""Common sense: what would plausibly happen, or have happened?"""

from collections.abc import Mapping, Sequence

from app.errors import TaskError
from app.tasks.rows import label, text, texts
from app.tasks.task import Hub, Manual, Parsed, Row, Task, Template

_ASKED = {"cause": "What was the cause?", "effect": "What happened as a result?"}


def _choice(fields: Mapping[str, str], answers: Sequence[str], gold: int | None) -> Parsed | None:
    """The answers as options, a repeated one once.

    None without gold label, and for the rare row whose answers are all one text or whose right one is blank: no answer
    to it is right.
    """
    options = tuple(dict.fromkeys(answer for answer in answers if answer))
    if gold is None or len(options) < 2 or not answers[gold]:
        return None
    return Parsed(fields, options, answers[gold])


def _numbered(row: Row, column: str, first: int, count: int) -> int | None:
    """The place of an answer whose number is written out and starts at `first`; None where it is left empty."""
    number = str(row[column]).strip()
    if not number:
        return None
    known = [str(first + place) for place in range(count)]
    if number not in known:
        raise TaskError(f"column {column} holds {row[column]!r}, none of {', '.join(known)}")
    return known.index(number)


def _copa(row: Row) -> Parsed | None:
    kind = text(row, "question")
    if kind not in _ASKED:
        raise TaskError(f"column question holds {kind!r}, neither cause nor effect")
    fields = {"premise": text(row, "premise"), "asked": _ASKED[kind]}
    return _choice(fields, (text(row, "choice1"), text(row, "choice2")), label(row, "label", 2))


def _hellaswag(row: Row) -> Parsed | None:
    endings = texts(row, "endings")
    return _choice({"context": text(row, "ctx")}, endings, _numbered(row, "label", 0, len(endings)))


def _piqa(row: Row) -> Parsed | None:
    return _choice({"goal": text(row, "goal")}, (text(row, "sol1"), text(row, "sol2")), label(row, "label", 2))


def _story_cloze(row: Row) -> Parsed | None:
    story = " ".join(text(row, f"InputSentence{number}") for number in (1, 2, 3, 4))
    endings = (text(row, "RandomFifthSentenceQuiz1"), text(row, "RandomFifthSentenceQuiz2"))
    return _choice({"story": story}, endings, _numbered(row, "AnswerRightEnding", 1, len(endings)))


COPA = Task(
    name="copa",
    cluster="commonsense",
    role="tune",
    # The hub's test split has no labels.
    source=Hub("aps/super_glue", "copa", revision="refs/convert/parquet"),
    to_example=_copa,
    templates=(
        Template(
            "Choose the more plausible answer to the question about the event.",
            "{premise} {asked}\nOptions:\n{options}",
        ),
        Template(
            "One of the sentences in the list belongs to the event. Copy that sentence.",
            "Event: {premise}\n{asked}\n{options}",
        ),
        Template(
            "Use common sense to link two events.",
            "{asked}\nIt is about this: {premise}\nPick from:\n{options}",
        ),
        Template(
            "A child keeps asking about what happened. Give the sensible reply.",
            'Child: "{premise} {asked}"\nReplies:\n{options}',
        ),
        Template("Find the sentence that goes with the first one.", "{premise}\n{options}\n{asked}"),
        Template(
            "Two sentences compete for a place in a story. Which one fits the question?",
            "Story: {premise}\nThe question is: {asked}\nOne of:\n{options}",
        ),
        Template("Reply with the likelier of the two.", "{premise} {asked}\n{options}"),
        Template(
            "Explain the event or tell its outcome, as asked.",
            "Event: {premise}\nAsked: {asked}\nOptions:\n{options}",
        ),
        Template("What would most people say?", "Most people were told: {premise}\nThen: {asked}\nOptions:\n{options}"),
        Template(
            "Name an event that has this cause or this result.",
            "Something happened. {asked} {target}",
            "{premise}",
        ),
        Template(
            "Work backwards to the event of which this is said.",
            "{target}\nThat was the reply to: {asked}",
            "{premise}",
        ),
    ),
    metric="accuracy",
    licence="BSD-2-Clause",
    citation="https://people.ict.usc.edu/~gordon/copa.html",
    tokens=45,
    answer_tokens=8,
)

HELLASWAG = Task(
    name="hellaswag",
    cluster="commonsense",
    role="tune",
    source=Hub("Rowan/hellaswag"),
    to_example=_hellaswag,
    templates=(
        Template(
            "Choose the ending that continues the text in the most sensible way.",
            "Text: {context}\nOptions:\n{options}",
        ),
        Template("How does it go on?", "{context}\nIt goes on with one of:\n{options}"),
        Template(
            "The last part of a description has been cut off. Find it in the list.",
            "Description: {context}\nList:\n{options}",
        ),
        Template("What happens next?", "{context}\n{options}"),
        Template(
            "Three of the endings were made up by a machine. Copy the true one.",
            "Beginning: {context}\nEndings:\n{options}",
        ),
        Template(
            "Put the right piece behind the text.",
            "Pieces:\n{options}\nText: {context}",
        ),
        Template(
            "Imagine the scene as a film. Which line describes the next shot?",
            "So far: {context}\nNext shot:\n{options}",
        ),
        Template("Complete the text.", "To complete: {context}\nChoose from:\n{options}"),
        Template(
            "Pick what a person who watches this, or reads these directions, would expect to follow.",
            "Given is: {context}\nOptions:\n{options}",
        ),
        Template("Tell how the text may have begun that ends like this.", "Ending: {target}", "{context}"),
        Template(
            "Write what comes before.",
            "Before this something else happened: {target}",
            "{context}",
        ),
    ),
    metric="accuracy",
    licence="MIT",
    citation="https://aclanthology.org/P19-1472/",
    tokens=190,
    answer_tokens=30,
)

PIQA = Task(
    name="piqa",
    cluster="commonsense",
    role="tune",
    source=Hub("baber/piqa"),  # the same rows as ybisk/piqa, which is a program
    to_example=_piqa,
    templates=(
        Template(
            "Choose the way that better reaches the goal.",
            "Goal: {goal}\nOptions:\n{options}",
        ),
        Template("What should one do?", "Somebody wants this: {goal}\nOne of these works:\n{options}"),
        Template("Pick the advice that makes sense in the real world.", "{goal}\n{options}"),
        Template(
            "A household book gives two directions, one of them wrong. Copy the right one.",
            "Heading: {goal}\nDirections:\n{options}",
        ),
        Template("Which of the two would really work?", "The aim is: {goal}\nChoose from:\n{options}"),
        Template(
            "Think of how things behave when they are pushed, cut, heated or mixed, and select a solution.",
            "Problem: {goal}\nSolutions:\n{options}",
        ),
        Template("Find the sensible continuation.", "To do: {goal}\n{options}"),
        Template(
            "Help a friend who has no experience with this.",
            'The friend asks about: "{goal}"\nYour reply is one of:\n{options}',
        ),
        Template(
            "Match the task with the method.",
            "Methods:\n{options}\nTask: {goal}",
        ),
        Template("Say what somebody wants to do who acts like this.", "What is done: {target}", "{goal}"),
        Template("Give a heading to this piece of advice.", "Advice: {target}", "{goal}"),
    ),
    metric="accuracy",
    licence="AFL-3.0",
    citation="https://arxiv.org/abs/1911.11641",
    tokens=80,
    answer_tokens=22,
)

STORY_CLOZE = Task(
    name="story_cloze",
    cluster="commonsense",
    role="evaluate",
    source=Manual(
        "story_cloze/spring2016_validation.csv",
        "fill in the form on https://cs.rochester.edu/nlp/rocstories/ and save the validation and test sets of the "
        "Story Cloze Test of spring 2016 under these names",
        test="story_cloze/spring2016_test.csv",
    ),
    to_example=_story_cloze,
    templates=(
        Template(
            "Choose the sentence that ends the story in the most sensible way.",
            "Story: {story}\nOptions:\n{options}",
        ),
        Template("How does the story end?", "{story}\nIt ends with one of:\n{options}"),
        Template(
            "The fifth sentence of a story is missing. Find it.",
            "Sentences one to four: {story}\nSentence five is among these:\n{options}",
        ),
        Template("Pick the fitting last line.", "{story}\n{options}"),
        Template(
            "A storyteller has two endings in mind, and one of them contradicts the story. Copy the other.",
            "Told so far: {story}\nEndings:\n{options}",
        ),
        Template("Which ending would a reader believe?", "The reader knows: {story}\nChoose from:\n{options}"),
        Template("Place one of the lines behind the story.", "Lines:\n{options}\nStory: {story}"),
        Template(
            "Read how it began and say what happened at last.",
            "How it began: {story}\nAt last:\n{options}",
        ),
        Template("Round the story off.", "To be rounded off: {story}\n{options}"),
        Template("Tell a story of four sentences that leads up to this ending.", "Ending: {target}", "{story}"),
        Template("What may have happened before?", "In the end: {target}", "{story}"),
    ),
    metric="accuracy",
    licence="on request, for research (Story Cloze Test)",
    citation="https://aclanthology.org/N16-1098/",
    tokens=85,
    answer_tokens=11,
)

TASKS = (COPA, HELLASWAG, PIQA, STORY_CLOZE)
