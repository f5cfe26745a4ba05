"""Reading comprehension, in FLAN's sense; OpenBookQA is asked here without its book."""

from collections.abc import Mapping

from app.tasks.rows import Lettered, answered, label, labelled, part, text, texts
from app.tasks.task import Hub, Parsed, Row, Task, Template

UNANSWERABLE = "unanswerable"
"""The answer to a question that its text leaves open."""


def _drop(row: Row) -> Parsed | None:
    # The hub puts the annotators' answers and the parts of a list into one column, so any of them counts as right.
    fields = {"passage": text(row, "passage"), "question": text(row, "question")}
    return answered(fields, texts(part(row, "answers_spans"), "spans"))


def _multirc(row: Row) -> Parsed | None:
    place = part(row, "idx")
    gold = label(row, "label", 2)
    fields = {name: text(row, name) for name in ("paragraph", "question", "answer")}
    group = f"{place['paragraph']}-{place['question']}"
    return None if gold is None else Parsed(fields, ("no", "yes"), ("no", "yes")[gold], group=group)


def _squad_fields(row: Row) -> Mapping[str, str]:
    # Titles come as in the address of their page, with underscores.
    return {
        "title": text(row, "title").replace("_", " "),
        "context": text(row, "context"),
        "question": text(row, "question"),
    }


def _squad(row: Row) -> Parsed | None:
    return answered(_squad_fields(row), texts(part(row, "answers"), "text"))


def _squad_v2(row: Row) -> Parsed | None:
    return answered(_squad_fields(row), texts(part(row, "answers"), "text") or (UNANSWERABLE,))


BOOL_Q = Task(
    name="bool_q",
    cluster="reading_comprehension",
    role="tune",
    source=Hub("google/boolq"),
    # The hub's label is a truth value, which counts as 0 or 1; its questions lack their question marks.
    to_example=labelled("answer", ("False", "True"), {"passage": "passage", "question": "question"}),
    templates=(
        Template(
            "Read the passage and decide whether the answer to the question is yes (True) or no (False). "
            "Give one of the options.",
            "Passage: {passage}\nAsked: {question}?\nOptions:\n{options}",
        ),
        Template(
            "Use only the passage. Reply True for yes and False for no.",
            "{passage}\nTrue or False: {question}?",
        ),
        Template(
            "Somebody wants to know something that the text settles. Tell them True or False.",
            "They ask: {question}?\nThe text: {passage}\nOptions:\n{options}",
        ),
        Template("Check the text and settle the question.", "{question}?\n{passage}\nVerdicts:\n{options}"),
        Template(
            "Answer this yes-no question from an encyclopaedia entry, with True for yes and False for no.",
            "Entry: {passage}\nAsked: {question}?",
        ),
        Template(
            "After reading, say what holds.",
            "Read this: {passage}\nNow say: {question}?\nChoose from:\n{options}",
        ),
        Template("Which option answers the question?", "Options:\n{options}\n{passage}\n{question}?"),
        Template(
            "Would the author of the text reply with yes (True) or with no (False)?",
            '"{passage}"\nQ: {question}?',
        ),
        Template(
            "A quiz card has a question on one side and a text on the other. Give the reply, True or False.",
            "Front: {question}?\nBack: {passage}",
        ),
        Template(
            "Write a yes-no question about the passage that has the given answer.",
            "Passage: {passage}\nIts answer shall be: {target}",
            "{question}?",
        ),
        Template(
            "Which question could a reader ask here, so that the reply is as stated?",
            "Reply: {target}\nText: {passage}",
            "{question}?",
        ),
    ),
    metric="accuracy",
    licence="CC BY-SA 3.0",
    citation="https://aclanthology.org/N19-1300/",
    tokens=170,
    answer_tokens=1,
)

DROP = Task(
    name="drop",
    cluster="reading_comprehension",
    role="tune",
    source=Hub("ucinlp/drop"),
    to_example=_drop,
    templates=(
        Template(
            "Answer the question about the passage. Count, compare or calculate where it is needed, and give only the "
            "number, date or words that were asked for.",
            "Passage: {passage}\nAsked: {question}",
        ),
        Template("Work out the answer from the facts in the text.", "{passage}\n{question}"),
        Template(
            "Find what is asked in the report. The answer is a number, a date or a few words.",
            "{question}\nReport: {passage}",
        ),
        Template(
            "Reason over the text and give a short answer.",
            "Text: {passage}\nWhat we want to know: {question}",
        ),
        Template(
            "Keep to the facts below. You may have to add or sort some of them.",
            "Facts: {passage}\nTask: {question}",
        ),
        Template(
            "A reader of this article has a question. Reply in as few words as you can.", '"{passage}" {question}'
        ),
        Template(
            "Do the sum or the search that the question calls for, and give its result.",
            "Q: {question}\nSource: {passage}",
        ),
        Template("What is the answer?", "Given: {passage}\nSought: {question}"),
        Template(
            "Write a question about the passage that has this answer.",
            "Passage: {passage}\nThe answer: {target}",
            "{question}",
        ),
        Template(
            "Somebody read the text and replied as below. What had they been asked?",
            "Reply: {target}\nText: {passage}",
            "{question}",
        ),
    ),
    metric="squad_f1",
    also=("squad_em",),
    licence="CC BY-SA 4.0",
    citation="https://aclanthology.org/N19-1246/",
    tokens=320,
)

MULTIRC = Task(
    name="multirc",
    cluster="reading_comprehension",
    role="tune",
    source=Hub("aps/super_glue", "multirc", revision="refs/convert/parquet"),
    to_example=_multirc,
    templates=(
        Template(
            "Decide whether the proposed reply to the question is right, going by the paragraph. "
            "A question may have several right replies. Give one of the options.",
            "Paragraph: {paragraph}\nAsked: {question}\nProposed reply: {answer}\nOptions:\n{options}",
        ),
        Template(
            "Mark the reply: yes if it is right, no if it is wrong.",
            "{paragraph}\n{question}\nIs this a right reply? {answer}",
        ),
        Template(
            "Is the pupil right? Check what they wrote against the text.",
            "Text: {paragraph}\nExercise: {question}\nThe pupil wrote: {answer}\nOptions:\n{options}",
        ),
        Template(
            "Compare the reply with the paragraph and say whether it can stand.",
            "Q: {question}\nA: {answer}\nParagraph: {paragraph}\nChoose from:\n{options}",
        ),
        Template(
            "Say yes if the text supports this reply to the question, otherwise no.",
            "Reply: {answer}\nTo the question: {question}\nText: {paragraph}",
        ),
        Template("Does this answer the question correctly?", "{paragraph}\n{question} {answer}\nOptions:\n{options}"),
        Template(
            "Grade one line of a reading test with yes (correct) or no (not correct).",
            "Reading: {paragraph}\nItem: {question}\nLine to grade: {answer}",
        ),
        Template(
            "Judge from the story alone.",
            "Would you accept the reply below?\nStory: {paragraph}\nAsked: {question}\nReply: {answer}\n{options}",
        ),
        Template(
            "Accept or refuse the candidate: yes accepts it, no refuses it.",
            "Candidate: {answer}\nParagraph: {paragraph}\nIt should answer this: {question}",
        ),
        Template(
            "Write a reply to the question: a right one where the mark is yes, a wrong one where it is no.",
            "Paragraph: {paragraph}\nAsked: {question}\nMark: {target}",
            "{answer}",
        ),
        Template(
            "A reply to a question about this text was marked as shown. What was the question?",
            "Text: {paragraph}\nReply: {answer}\nMarked as right: {target}",
            "{question}",
        ),
    ),
    metric="accuracy",
    also=("multirc_f1a", "multirc_em"),
    positive="yes",
    licence="not stated (MultiRC)",
    citation="https://aclanthology.org/N18-1023/",
    tokens=380,
    answer_tokens=1,
)

OPENBOOKQA = Task(
    name="openbookqa",
    cluster="reading_comprehension",
    role="tune",
    # The hub's configuration "additional" has the fact behind each question too; "main" asks without it.
    source=Hub("allenai/openbookqa", "main", test="test"),
    to_example=Lettered("question_stem"),
    templates=(
        Template(
            "Answer the question, or complete the sentence, with one of the options.",
            "{question}\nOptions:\n{options}",
        ),
        Template(
            "Use what you know of elementary science to pick the fitting continuation.",
            "{question}\nContinue with one of:\n{options}",
        ),
        Template("Solve this question from a science quiz.", "{question}\n{options}"),
        Template("Which of these fits?", "Choices:\n{options}\n{question}"),
        Template("Answer from what every schoolchild learns about nature.", "Asked in class: {question}"),
        Template(
            "Think of the natural law at work here, then choose.",
            "Situation or question: {question}\nChoose from:\n{options}",
        ),
        Template("Finish the thought in a few words.", "Thought: {question}"),
        Template(
            "Only one of the listed texts makes a true statement with what stands before them. Copy it.",
            "Beginning: {question}\nEnds:\n{options}",
        ),
        Template(
            "A pupil asks you for help with homework. Reply with the right choice.",
            "Homework: {question}\nThe sheet offers:\n{options}",
        ),
        Template("Reply briefly and correctly.", "Q: {question}"),
        Template(
            "Write a question, or the start of a sentence, from elementary science that this text answers or ends.",
            "Text: {target}",
            "{question}",
        ),
    ),
    metric="accuracy",
    licence="not stated (repository Apache-2.0)",
    citation="https://aclanthology.org/D18-1260/",
)

_SQUAD_WORDINGS = (
    Template(
        "Answer the question with the words of the passage that answer it, and with no others.",
        "Title: {title}\nPassage: {context}\nAsked: {question}",
    ),
    Template("Copy the shortest part of the text that answers the question.", "{context}\n{question}"),
    Template("Look up the answer in the article.", "Looked for: {question}\nArticle on {title}: {context}"),
    Template(
        "Reply in a few words taken from the text.",
        "Text: {context}\nSomebody asks: {question}",
    ),
    Template("What does the article say on this?", "{title}\n{context}\nOn this: {question}"),
    Template("Underline the answer in the paragraph.", "Paragraph: {context}\nExercise: {question}"),
    Template("Search the entry for the fact that is asked for.", "Q: {question}\nEntry: {context}"),
    Template(
        "You have just read about {title}. Answer the question of your teacher.",
        "You read: {context}\nThe teacher asks: {question}",
    ),
    Template("Answer with a quotation.", '"{context}"\nQuote what answers this: {question}'),
)

SQUAD = Task(
    name="squad",
    cluster="reading_comprehension",
    role="evaluate",
    source=Hub("rajpurkar/squad", "plain_text"),
    to_example=_squad,
    templates=(
        *_SQUAD_WORDINGS,
        Template(
            "Write a question that the given words of the passage answer.",
            "Passage: {context}\nWords: {target}",
            "{question}",
        ),
        Template(
            "The reply to a question about this article is known. What was the question?",
            "Reply: {target}\nArticle on {title}: {context}",
            "{question}",
        ),
    ),
    metric="squad_f1",
    also=("squad_em",),
    licence="CC BY-SA 4.0",
    citation="https://aclanthology.org/D16-1264/",
    tokens=190,
    answer_tokens=4,
)

SQUAD_V2 = Task(
    name="squad_v2",
    cluster="reading_comprehension",
    role="evaluate",
    source=Hub("rajpurkar/squad_v2", "squad_v2"),
    to_example=_squad_v2,
    templates=(
        *(
            Template(
                f'{template.instruction} Say "{UNANSWERABLE}" where the text gives no answer.'
                if template.instruction.endswith(".")
                else f'{template.instruction} If it says nothing, reply with "{UNANSWERABLE}".',
                template.input,
            )
            for template in _SQUAD_WORDINGS
        ),
        Template(
            "Write a question that the given words of the passage answer. "
            f'For "{UNANSWERABLE}", write one that the passage leaves open.',
            "Passage: {context}\nWords: {target}",
            "{question}",
        ),
        Template(
            f'The reply to a question about this article is known ("{UNANSWERABLE}": the article does not say). '
            "What was the question?",
            "Reply: {target}\nArticle on {title}: {context}",
            "{question}",
        ),
    ),
    metric="squad_f1",
    also=("squad_em",),
    licence="CC BY-SA 4.0",
    citation="https://aclanthology.org/P18-2124/",
    tokens=190,
)

TASKS = (BOOL_Q, DROP, MULTIRC, OPENBOOKQA, SQUAD, SQUAD_V2)
