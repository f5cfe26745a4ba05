"""Closed-book question answering: what does a model know by heart?"""

from app.tasks.rows import Lettered, part, text, texts
from app.tasks.task import Hub, Parsed, Row, Task, Template


def _trivia(row: Row) -> Parsed | None:
    """A question with its answer as the quiz gives it, and every alias, as right; unlabelled rows have <unk> there."""
    answer = part(row, "answer")
    value = text(answer, "value")
    if value in ("", "<unk>"):
        return None
    aliases = tuple(dict.fromkeys(alias for alias in texts(answer, "aliases") if alias and alias != value))
    return Parsed({"question": text(row, "question")}, (), value, aliases)


_EXAM = (
    Template(
        "Answer the question from a science exam with one of the options.",
        "{question}\nOptions:\n{options}",
    ),
    Template("Choose what is right.", "{question}\nChoose from:\n{options}"),
    Template(
        "A pupil at school is asked this and may look nothing up. Give the reply that earns the mark.",
        "The teacher asks: {question}\nReplies:\n{options}",
    ),
    Template("Copy the correct choice.", "Choices:\n{options}\nThey belong to: {question}"),
    Template("Use what you know of nature and science.", "{question}\n{options}"),
    Template("Which of these is it?", "To be answered: {question}\nIt is one of:\n{options}"),
    Template(
        "Set the other choices aside and name the one that holds.",
        "Exam, next item: {question}\nSet aside all but one:\n{options}",
    ),
    Template("Solve the problem without any book.", "Problem: {question}\nPossible solutions:\n{options}"),
    Template(
        "Explain the world to a curious child, in the words of one of the options.",
        "The child wants to know: {question}\nOptions:\n{options}",
    ),
    Template("Write a question for a science exam that has this answer.", "Its answer: {target}", "{question}"),
    Template(
        "A quiz is played backwards: the answer is given, the question is wanted.",
        "Given: {target}",
        "{question}",
    ),
)


def _arc(name: str, config: str) -> Task:
    """One of the two parts of the AI2 Reasoning Challenge, sorted by difficulty for simple programs."""
    return Task(
        name=name,
        cluster="closed_book_qa",
        role="tune",
        source=Hub("allenai/ai2_arc", config, test="test"),
        to_example=Lettered("question"),
        templates=_EXAM,
        metric="accuracy",
        licence="CC BY-SA 4.0",
        citation="https://arxiv.org/abs/1803.05457",
        tokens=65,
        answer_tokens=6,
    )


ARC, ARC_EASY = _arc("arc", "ARC-Challenge"), _arc("arc_easy", "ARC-Easy")

_QUIZ = (
    Template("Answer the quiz question in as few words as possible.", "Asked: {question}"),
    Template("Give a short reply from memory.", "{question}"),
    Template("You are on a quiz show and have no time to look anything up.", "The host asks: {question}"),
    Template("Name the person, place or thing.", "What is wanted: {question}"),
    Template("Reply with a name, a date or a few words. Do not explain.", "Trivia: {question}"),
    Template(
        "What is the solution that stands on the back of the card?",
        "On the front of the card stands: {question}",
    ),
    Template("Show your general knowledge.", "{question}\nThe solution, in a word or two?"),
    Template("Tell a friend who wonders about this.", 'The friend wonders: "{question}"'),
    Template("Fill in the solution of this puzzle for people who know a lot.", "Puzzle: {question}"),
    Template("Write a quiz question to which this is the answer.", "Its answer: {target}", "{question}"),
    Template(
        "Make a trivia card: the back is given, the front is wanted.",
        "Back of the card: {target}",
        "{question}",
    ),
)


def _triviaqa(name: str, config: str) -> Task:
    """TriviaQA without its documents; the hub's test split has no answers."""
    return Task(
        name=name,
        cluster="closed_book_qa",
        role="evaluate",
        source=Hub("mandarjoshi/trivia_qa", config),
        to_example=_trivia,
        templates=_QUIZ,
        metric="trivia_f1",
        also=("trivia_em",),
        licence="not stated (code Apache-2.0)",
        citation="https://aclanthology.org/P17-1147/",
        tokens=25,
        answer_tokens=5,
    )


TRIVIA_QA_FULL = _triviaqa("trivia_qa_full", "rc.nocontext")
TRIVIA_QA_WIKI = _triviaqa("trivia_qa_wiki", "rc.wikipedia.nocontext")

TASKS: tuple[Task, ...] = (ARC, ARC_EASY, TRIVIA_QA_FULL, TRIVIA_QA_WIKI)
