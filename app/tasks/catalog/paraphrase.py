"""Paraphrase: do two sentences say the same?"""

from app.errors import TaskError
from app.tasks.rows import labelled, text
from app.tasks.task import Hub, Parsed, Row, Task, Template

_SAME = labelled("label", ("no", "yes"), {"first": "sentence1", "second": "sentence2"})

_SENTENCES = (
    Template(
        "Say whether the second sentence only puts the first one in other words.",
        "{first}\nIn other words: {second}\nIs that so?\n{options}",
    ),
    Template(
        "Would a translator have to render both sentences differently, or do they mean one thing?",
        "(1) {first}\n(2) {second}\nDo they mean one thing? Choose from:\n{options}",
    ),
    Template(
        "An editor wants to cut the second line if it adds nothing to the first. Do both lines tell the same?",
        "{first}\n{second}\nOptions:\n{options}",
    ),
    Template("Do these sentences mean the same?", "Sentence A: {first}\nSentence B: {second}"),
    Template(
        "Look closely at who does what to whom. Are both sentences true in the same cases?",
        "One: {first}\nOther: {second}\nPick one of:\n{options}",
    ),
    Template("Check whether the rewording keeps the meaning.", "Rewording: {second}\nOriginal: {first}"),
    Template(
        "Write a second sentence that means the same as the first, or does not, as asked.",
        "First: {first}\nShould both mean the same? {target}",
        "{second}",
    ),
    Template(
        "Give the sentence that came before, given whether both mean the same.",
        "After: {second}\nDo both mean the same? {target}",
        "{first}",
    ),
)

MRPC = Task(
    name="mrpc",
    cluster="paraphrase",
    role="tune",
    source=Hub("nyu-mll/glue", "mrpc"),
    to_example=_SAME,
    templates=(
        Template(
            "Decide whether the two sentences say the same thing. Give one of the options.",
            "First: {first}\nSecond: {second}\nOptions:\n{options}",
        ),
        Template(
            "Two newspapers report an event. Say whether their sentences could replace each other.",
            "{first}\n{second}",
        ),
        Template(
            "Compare the meaning of both sentences.",
            "{first}\nDoes this mean the same as the following?\n{second}\nOptions:\n{options}",
        ),
        *_SENTENCES,
    ),
    metric="accuracy",
    also=("f1",),
    positive="yes",
    licence="Microsoft research licence",
    citation="https://aclanthology.org/I05-5002/",
    tokens=65,
    answer_tokens=1,
)

QQP = Task(
    name="qqp",
    cluster="paraphrase",
    role="tune",
    source=Hub("nyu-mll/glue", "qqp"),
    to_example=labelled("label", ("no", "yes"), {"first": "question1", "second": "question2"}),
    templates=(
        Template(
            "Decide whether the two questions ask for the same thing. Give one of the options.",
            "First: {first}\nSecond: {second}\nOptions:\n{options}",
        ),
        Template(
            "A forum merges questions that one reply would settle. Should these be merged?",
            "Old: {first}\nNew: {second}\nOptions:\n{options}",
        ),
        Template("Would the same reply satisfy both people?", "One person asks: {first}\nAnother asks: {second}"),
        Template(
            "Tell whether the second question is the first in other words.",
            "{first}\n{second}\nChoose from:\n{options}",
        ),
        Template(
            "Is the later question a duplicate?",
            "Later: {second}\nEarlier: {first}\nA duplicate?\n{options}",
        ),
        Template("Do these questions mean the same?", "(1) {first}\n(2) {second}"),
        Template(
            "Somebody has already put a question. Say whether there is any need to put the other one too, "
            "or whether both are the same.",
            "Put already: {first}\nThe other one: {second}\nAre both the same?\n{options}",
        ),
        Template(
            "Compare what the two askers want to know.",
            "{first}\nDoes whoever asks this want to know the same as the next asker?\n{second}\nOptions:\n{options}",
        ),
        Template("Are these two equivalent?", "{second}\n{first}\n{options}"),
        Template(
            "Ask a second question, the same in other words or another one, as requested.",
            "First: {first}\nShould both ask for the same? {target}",
            "{second}",
        ),
        Template(
            "Guess the question that stood beside this one.",
            "It stood beside: {second}\nDid both ask for the same? {target}",
            "{first}",
        ),
    ),
    metric="accuracy",
    also=("f1",),
    positive="yes",
    licence="not stated (Quora's terms of service)",
    citation="https://quoradata.quora.com/First-Quora-Dataset-Release-Question-Pairs",
    tokens=40,
    answer_tokens=1,
)

PAWS_WIKI = Task(
    name="paws_wiki",
    cluster="paraphrase",
    role="tune",
    source=Hub("google-research-datasets/paws", "labeled_final", test="test"),
    to_example=_SAME,
    templates=(
        Template(
            "The two sentences use almost the same words. Decide whether they have the same meaning. "
            "Give one of the options.",
            "First: {first}\nSecond: {second}\nOptions:\n{options}",
        ),
        Template(
            "Words have been swapped or reordered. Has the meaning survived?",
            "Before: {first}\nAfter: {second}\nOptions:\n{options}",
        ),
        *_SENTENCES,
    ),
    metric="accuracy",
    also=("f1",),
    positive="yes",
    licence="free for any purpose (Google's own terms)",
    citation="https://aclanthology.org/N19-1131/",
    tokens=65,
    answer_tokens=1,
)

_GRADES = ("0", "1", "2", "3", "4", "5")


def _similarity(row: Row) -> Parsed | None:
    """A pair with its mean human score, rounded to a whole grade; halves go to the even grade, as in FLAN."""
    score = row["label"]
    if score is None or score == -1:
        return None
    if not isinstance(score, int | float) or not 0 <= score <= 5:
        raise TaskError(f"column label holds {score!r}, not a score from 0 to 5")
    fields = {"first": text(row, "sentence1"), "second": text(row, "sentence2")}
    return Parsed(fields, _GRADES, str(round(score)))


STSB = Task(
    name="stsb",
    cluster="paraphrase",
    role="evaluate",
    source=Hub("nyu-mll/glue", "stsb"),
    to_example=_similarity,
    templates=(
        Template(
            "Rate how close the two sentences are in meaning, from 0 (nothing in common) to 5 (the same). "
            "Give one of the options.",
            "First: {first}\nSecond: {second}\nOptions:\n{options}",
        ),
        Template(
            "Grade the likeness of both sentences. The higher the number, the more they mean the same.",
            "{first}\n{second}\nGrades:\n{options}",
        ),
        Template(
            "Give a whole number from 0 to 5 for how much the sentences agree in meaning.",
            "(1) {first}\n(2) {second}",
        ),
        Template(
            "How well could the second sentence stand in for the first?",
            "{first}\nStand-in: {second}\n0 is not at all, 5 is perfectly:\n{options}",
        ),
        Template(
            "On a scale that ends at 5, where 5 is equal in meaning, how similar are these?",
            "One: {first}\nOther: {second}\nScale:\n{options}",
        ),
        Template("Score the pair for sameness of meaning between 0 and 5.", "Pair: {first} / {second}"),
        Template(
            "Two people describe what they see. Say how likely it is the same scene, 5 being certain.",
            "She says: {first}\nHe says: {second}\nOptions:\n{options}",
        ),
        Template(
            "Judge by the sense and not by the words: how near is the one to the other?",
            "The one: {second}\nThe other: {first}\nFrom far (0) to near (5):\n{options}",
        ),
        Template(
            "Replace the first sentence by the second. Give 5 if no meaning is lost, 0 if all is, or a grade between.",
            "First: {first}\nReplaced by: {second}",
        ),
        Template(
            "Write a sentence that is as close in meaning to the given one as the grade from 0 to 5 says.",
            "Given: {first}\nGrade: {target}",
            "{second}",
        ),
        Template(
            "Which sentence was compared with this one, if 5 is the grade for the same meaning and 0 for another?",
            "This one: {second}\nIts grade: {target}",
            "{first}",
        ),
    ),
    metric="pearson",
    also=("spearman", "accuracy"),
    licence="CC BY-SA 4.0 and others (by source)",
    citation="https://aclanthology.org/S17-2001/",
    tokens=65,
    answer_tokens=1,
)

TASKS = (MRPC, QQP, PAWS_WIKI, STSB)
