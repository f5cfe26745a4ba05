"""BIG-bench: the tasks on which the published study tests, and nothing tunes.

Upstream's rows are whole prompts: a sentence for the subtask, marks such as "Q: " and "A:", and the options below. What
is read here is the item alone. Several rows may ask about one puzzle, and upstream's split is by row: puzzles of the
test split are dropped from train when the task is loaded (see `task.content`).
"""

import re
from dataclasses import dataclass

from app.errors import TaskError
from app.tasks.rows import text, texts
from app.tasks.task import Hub, Parsed, Row, Task, Template

_SIZES = {"three": 3, "five": 5, "seven": 7}
_PREAMBLES = (
    "The statements are logically consistent within each paragraph.",
    "Please identify the figure of speech embodied by the following English sentences.",
    "How would a typical person answer each of the following questions about causation?",
)
"""End what upstream puts before every item of a subtask; they describe the file, not the item."""
_START = re.compile(r"^(?:Q|Context|Sentence): ")
_END = re.compile(r" ?(?:A|Figure of speech):$")
_CHOICES = re.compile(r" (?:choice: |Options: ?- ).*")
"""The options, which are a column of their own."""
_STORY, _ASKED = "Context: ", re.compile(r" Q: ?")


def _bare(prompt: str) -> str:
    """The item of a prompt that stands on one line."""
    for preamble in _PREAMBLES:
        prompt = prompt.rpartition(preamble)[2]
    marked = _CHOICES.sub("", _END.sub("", prompt.strip())).strip()
    item = _START.sub("", marked)
    # Upstream marks the question below a story too, but not in every row.
    return _ASKED.sub(" ", item) if marked.startswith(_STORY) else item


@dataclass(frozen=True)
class _Chosen:
    """A reader of rows with options; `size` keeps the rows with so many, 0 keeps all."""

    field: str
    size: int = 0

    def __call__(self, row: Row) -> Parsed | None:
        # Upstream's options of some subtasks end in a dot and of others not; here an answer never does.
        options = tuple(option.removesuffix(".") for option in texts(row, "multiple_choice_targets"))
        if self.size and len(options) != self.size:
            return None
        scores = row["multiple_choice_scores"]
        if not isinstance(scores, list) or scores.count(1) != 1 or len(scores) != len(options):
            raise TaskError(f"column multiple_choice_scores holds {scores!r}, not one 1 among {len(options)} options")
        target = options[scores.index(1)]
        # Of upstream's yes-or-no questions, the right answer mostly comes first: 50 of 53 in strange_stories.
        if {option.lower() for option in options} == {"yes", "no"}:
            options = tuple(sorted(options, reverse=True))
        return Parsed({self.field: _bare(text(row, "inputs"))}, options, target)


def _task(
    name: str, subset: str, reader: _Chosen, templates: tuple[Template, ...], tokens: int, *, small: bool = False
) -> Task:
    """`small`: the items of upstream's train split are tested, because the other has a quarter of them or fewer."""
    train, test = ("validation", "train") if small else ("train", "validation")
    return Task(
        name=name,
        cluster="bigbench",
        role="evaluate",
        source=Hub("tasksource/bigbench", subset, train, test, "refs/convert/parquet"),
        to_example=reader,
        templates=templates,
        metric="accuracy",
        licence="Apache-2.0",
        citation="https://arxiv.org/abs/2206.04615",
        tokens=tokens,
    )


FIGURE_OF_SPEECH_DETECTION = _task(
    "figure_of_speech_detection",
    "figure_of_speech_detection",
    _Chosen("sentence"),
    (
        Template("Name the figure of speech that the sentence uses.", "Sentence: {sentence}\nOptions:\n{options}"),
        Template("Which rhetorical device is this?", "{sentence}\nDevices:\n{options}"),
        Template("A teacher of rhetoric shows you a sentence. Name its device.", "{sentence}\n{options}"),
        Template("What makes this sentence stand out?", "It reads: {sentence}\nIt is one of:\n{options}"),
        Template("Label the sentence with its figure of speech.", "To label: {sentence}\nLabels:\n{options}"),
        Template("Choose the term for the way in which this is put.", "{options}\nThe sentence is: {sentence}"),
        Template("Identify the stylistic device.", "{sentence}"),
        Template("How is language used here? Give the technical term.", "Here: {sentence}\nTerms:\n{options}"),
        Template("Write a sentence that uses this figure of speech.", "{target}", "{sentence}"),
        Template("Give an example of the rhetorical device.", "Device: {target}", "{sentence}"),
    ),
    tokens=90,
    small=True,
)

LOGICAL_DEDUCTION = _task(
    "logical_deduction",
    "logical_deduction",
    _Chosen("story"),
    (
        Template(
            "The statements describe one fixed order. Choose the option that must hold.",
            "{story}\nOptions:\n{options}",
        ),
        Template(
            "Work out the order of the objects and copy the conclusion that is right.",
            "{story}\nConclusions:\n{options}",
        ),
        Template("Which of these follows?", "{story}\nOne of these follows:\n{options}"),
        Template("Put the things in order in your mind, then say which line is true.", "{story}\n{options}"),
        Template("Solve the puzzle.", "Puzzle: {story}\nPossible solutions:\n{options}"),
        Template("Exactly one of the claims agrees with the clues. Copy it.", "Clues: {story}\nClaims:\n{options}"),
        Template("Find the only statement that can be true.", "Statements:\n{options}\nWhat is known: {story}"),
        Template("Reason from the premises to a conclusion.", "Premises: {story}\nConclude one of:\n{options}"),
        Template("What can you deduce?", "It is known that: {story}\nDeduce one of:\n{options}"),
        Template("Invent a puzzle about an order from which this follows.", "{target}", "{story}"),
    ),
    tokens=150,
)

SOCIAL_IQA = _task(
    "social_iqa",
    "social_iqa",
    _Chosen("question"),
    (
        Template("Read the situation and answer the question about it.", "{question}\nOptions:\n{options}"),
        Template("Which answer fits the situation best?", "Situation: {question}\nAnswers:\n{options}"),
        Template("Use what you know of people to answer.", "{question}\n{options}"),
        Template("Pick the reply that a sensible person would give.", "{question}\nReplies:\n{options}"),
        Template("How are these people likely to feel, think or act?", "A scene: {question}\nLikely:\n{options}"),
        Template("Choose what is most plausible.", "{options}\nThe scene: {question}"),
        Template("Say what the person wants, feels or does.", "{question}"),
        Template("One of the lines is the natural answer. Copy it.", "{question}\nLines:\n{options}"),
        Template("Answer the question about everyday life.", "Everyday life: {question}\nOne of:\n{options}"),
        Template("Tell of a situation, with a question, to which this is the reply.", "Reply: {target}", "{question}"),
    ),
    tokens=65,
    small=True,
)

STRANGE_STORIES = _task(
    "strange_stories",
    "strange_stories",
    _Chosen("story"),
    (
        Template("Read the story and answer the question at its end.", "{story}\nOptions:\n{options}"),
        Template("What is going on in this story? Choose the answer.", "Story: {story}\nAnswers:\n{options}"),
        Template("Think of what each person knows and wants, then answer.", "{story}\n{options}"),
        Template("The story ends in a question. Which reply is right?", "{story}\nReplies:\n{options}"),
        Template("Understand what the people mean, not only what they say.", "{story}\nOne of:\n{options}"),
        Template("Answer the question about the people in the story.", "Story: {story}\nPossible:\n{options}"),
        Template("Choose the reply that makes sense of the story.", "{options}\nThe story: {story}"),
        Template("Reply to what is asked at the end of the story.", "{story}"),
        Template("What would an attentive listener reply?", "A listener hears: {story}\nThe listener says:\n{options}"),
        Template("Tell a story that ends in a question with this reply.", "Reply: {target}", "{story}"),
    ),
    tokens=130,
    small=True,
)

CAUSAL_JUDGMENT = _task(
    "causal_judgment",
    "causal_judgment",
    _Chosen("story"),
    (
        Template(
            "Answer the question about cause or intention as a typical person would.", "{story}\nOptions:\n{options}"
        ),
        Template("What would most people say?", "{story}\nMost people say:\n{options}"),
        Template("Read what happened and judge it.", "What happened: {story}\n{options}"),
        Template("Was it the cause, or was it meant? Say yes or no.", "{story}"),
        Template(
            "Imagine a hundred people who hear this. What do most of them reply?", "They hear: {story}\n{options}"
        ),
        Template("Answer as somebody without training in philosophy would.", "{story}\nOne of:\n{options}"),
        Template("Give the ordinary judgement on the case.", "Case: {story}\nJudgement:\n{options}"),
        Template("Trust your first intuition about who or what brought this about.", "{story}\nIntuition:\n{options}"),
        Template("Decide the question that ends the report.", "Report: {story}\nDecision:\n{options}"),
        Template("Does common sense say yes or no?", "{options}\nAbout this: {story}"),
    ),
    tokens=220,
    small=True,
)

_SWAPS = (
    Template(
        "Follow the swaps and complete the last sentence with one of the options.",
        "{story} ...\nOptions:\n{options}",
    ),
    Template(
        "Keep track of who has what, and give the missing end of the story.",
        "{story} ...\nPossible ends:\n{options}",
    ),
    Template("Complete the text.", "{story} ...\nIt ends with one of:\n{options}"),
    Template("After all the exchanges, which end is right?", "{story} ...\n{options}"),
    Template("Go through the story step by step, then finish it.", "Story: {story} ...\nEnds:\n{options}"),
    Template("What belongs in the gap?", "{story} ___\nFor the gap:\n{options}"),
    Template(
        "Everybody starts with something and trades it. Say how it ends.", "Trades: {story} ...\nOne of:\n{options}"
    ),
    Template("Write the words that finish the story.", "Unfinished: {story} ..."),
    Template("Choose the true end.", "Ends to choose from:\n{options}\nWhat happened: {story} ..."),
    Template("Simulate the exchanges and report the final state.", "{story} ...\nFinal state:\n{options}"),
)

TRACKING_SHUFFLED_OBJECTS = tuple(
    _task(
        # One task for each number of objects, because the number of options is chance.
        f"tracking_shuffled_objects_{number}",
        "tracking_shuffled_objects",
        _Chosen("story", size),
        _SWAPS,
        tokens=60 + 20 * size,
    )
    for number, size in _SIZES.items()
)

TASKS = (
    FIGURE_OF_SPEECH_DETECTION,
    LOGICAL_DEDUCTION,
    SOCIAL_IQA,
    STRANGE_STORIES,
    CAUSAL_JUDGMENT,
    *TRACKING_SHUFFLED_OBJECTS,
)
