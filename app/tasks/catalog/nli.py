"""Natural language inference: does one text follow from another?

The hub numbers the answers of most sets entailment, neutral, contradiction, but those of CB entailment, contradiction,
neutral: the order of the names below is each set's own. WNLI is Winograd schemas in the clothes of inference.
"""

from app.tasks.rows import labelled
from app.tasks.task import Hub, Task, Template

_TEXTS = {"premise": "premise", "hypothesis": "hypothesis"}
_SENTENCES = {"premise": "sentence1", "hypothesis": "sentence2"}
_THREE = ("yes", "maybe", "no")
"""Entailment, neutral, contradiction."""

_WORDINGS = (
    Template(
        "Read the text and decide whether the statement follows from it. Give one of the options.",
        "Text: {premise}\nStatement: {hypothesis}\nOptions:\n{options}",
    ),
    Template(
        "Decide whether somebody who believes the first text must also believe the second.",
        "{premise}\nMust this be true as well? {hypothesis}\nOptions:\n{options}",
    ),
    Template(
        "Say whether the claim is backed by the evidence.",
        "Evidence: {premise}\nClaim: {hypothesis}",
    ),
    Template(
        "Check the sentence against its source.",
        "Sentence: {hypothesis}\nSource: {premise}\nPick from:\n{options}",
    ),
    Template(
        "A reader knows nothing but the passage. May this reader draw the conclusion below it?",
        "{premise}\nConclusion: {hypothesis}\nOptions:\n{options}",
    ),
    Template(
        "Take what is given as a fact and judge the second sentence by it.",
        "Given: {premise}\nDoes it then hold that this is so?\n{hypothesis}\nThe possible verdicts are:\n{options}",
    ),
    Template("Is the second line true if the first one is?", "{premise}\n{hypothesis}"),
    Template(
        "Somebody has summed up a passage in one line. Tell whether the line is right.",
        "Summed up: {hypothesis}\nThe passage itself: {premise}",
    ),
    Template(
        "What does the report let us say about the question under it? Reply with a word from the list.",
        "Report: {premise}\nCan we infer this from it? {hypothesis}\nList:\n{options}",
    ),
    Template(
        "Write a statement for which the text gives the stated verdict.",
        "Text: {premise}\nVerdict on whether the statement follows: {target}",
        "{hypothesis}",
    ),
    Template(
        "Make up a text that leads to the stated verdict on the claim.",
        "Claim: {hypothesis}\nShould the text make it true? {target}",
        "{premise}",
    ),
)


def _anli(number: int) -> Task:
    """One of the three rounds of ANLI, each with splits of its own; its test splits are labelled."""
    return Task(
        name=f"anli_r{number}",
        cluster="natural_language_inference",
        role="tune",
        source=Hub("facebook/anli", "plain_text", train=f"train_r{number}", test=f"test_r{number}"),
        to_example=labelled("label", _THREE, _TEXTS),
        templates=_WORDINGS,
        metric="accuracy",
        licence="CC BY-NC 4.0",
        citation="https://arxiv.org/abs/1910.14599",
        tokens=110,
        answer_tokens=1,
    )


ANLI_R1, ANLI_R2, ANLI_R3 = _anli(1), _anli(2), _anli(3)

RTE = Task(
    name="rte",
    cluster="natural_language_inference",
    role="tune",
    source=Hub("nyu-mll/glue", "rte"),
    to_example=labelled("label", ("yes", "no"), _SENTENCES),
    templates=_WORDINGS,
    metric="accuracy",
    licence="not stated (PASCAL RTE challenges)",
    citation="https://arxiv.org/abs/1804.07461",
    tokens=85,
    answer_tokens=1,
)

SNLI = Task(
    name="snli",
    cluster="natural_language_inference",
    role="tune",
    source=Hub("stanfordnlp/snli", "plain_text", test="test"),
    to_example=labelled("label", _THREE, _TEXTS),
    templates=_WORDINGS,
    metric="accuracy",
    licence="CC BY-SA 4.0",
    citation="https://aclanthology.org/D15-1075/",
    tokens=40,
    answer_tokens=1,
)

CB = Task(
    name="cb",
    cluster="natural_language_inference",
    role="tune",
    source=Hub("aps/super_glue", "cb", revision="refs/convert/parquet"),
    # The hub numbers entailment, contradiction, neutral; most other inference sets have neutral in the middle.
    to_example=labelled("label", ("yes", "no", "maybe"), _TEXTS),
    templates=_WORDINGS,
    metric="accuracy",
    also=("macro_f1",),
    licence="not stated (CommitmentBank)",
    citation="https://github.com/mcdm/CommitmentBank",
    tokens=90,
    answer_tokens=1,
)


def _mnli(name: str, genres: str) -> Task:
    """MNLI with the validation split of its `genres`: matched with those of the train split, or mismatched.

    The hub's configurations mnli_matched and mnli_mismatched hold no train split; that of mnli serves both.
    """
    return Task(
        name=name,
        cluster="natural_language_inference",
        role="tune" if name == "mnli" else "evaluate",
        source=Hub("nyu-mll/glue", "mnli", test=f"validation_{genres}"),
        to_example=labelled("label", _THREE, _TEXTS),
        templates=_WORDINGS,
        metric="accuracy",
        licence="mixed (OANC licence, CC BY 3.0, CC BY-SA 3.0)",
        citation="https://aclanthology.org/N18-1101/",
        tokens=55,
        answer_tokens=1,
    )


MNLI, MNLI_MATCHED = _mnli("mnli", "matched"), _mnli("mnli_matched", "matched")
MNLI_MISMATCHED = _mnli("mnli_mismatched", "mismatched")

WNLI = Task(
    name="wnli",
    cluster="natural_language_inference",
    # Its schemas recur in every Winograd-like set, so it is held out with them too.
    kin=("coreference_resolution",),
    role="tune",
    source=Hub("nyu-mll/glue", "wnli"),
    to_example=labelled("label", ("no", "yes"), {"text": "sentence1", "reading": "sentence2"}),
    templates=(
        Template(
            "Work out what each pronoun in the text means and decide whether the reading is right. "
            "Give one of the options.",
            "Text: {text}\nReading: {reading}\nOptions:\n{options}",
        ),
        Template(
            "Somebody has restated part of a text without its pronoun. Say whether that is what the text means.",
            "{text}\nRestated: {reading}",
        ),
        Template(
            "Decide whether the first sentence says what the second one says.",
            "First sentence: {text}\nSecond sentence: {reading}\nOptions:\n{options}",
        ),
        Template(
            "A pronoun was replaced by a name or a thing. Was it the right one?",
            "Before: {text}\nAfter: {reading}\nChoose from:\n{options}",
        ),
        Template(
            "Tell whether the line below the story is true in the story.",
            "{text}\n{reading}\nOptions:\n{options}",
        ),
        Template("Is the reading justified by the text?", "Reading: {reading}\nText: {text}"),
        Template(
            "Judge whether a careful reader would agree.",
            "{text}\nWould a careful reader say that this is meant? {reading}\nThe reply is one of:\n{options}",
        ),
        Template(
            "Find out whom or what the text speaks of, and check the claim about it.",
            "Claim: {reading}\nMade about: {text}\n{options}",
        ),
        Template("If the text is true, must the other sentence be true?", "The text: {text}\nThe other: {reading}"),
        Template(
            "Restate part of the text without its pronoun, rightly or wrongly as asked.",
            "Text: {text}\nShould the reading be right? {target}",
            "{reading}",
        ),
        Template(
            "Write a text with a pronoun, so that the reading of it is judged as given.",
            "Reading: {reading}\nIs it right? {target}",
            "{text}",
        ),
    ),
    metric="accuracy",
    licence="CC BY 4.0 (Winograd schemas)",
    citation="https://cs.nyu.edu/~davise/papers/WinogradSchemas/WS.html",
    tokens=45,
    answer_tokens=1,
)

QNLI = Task(
    name="qnli",
    cluster="natural_language_inference",
    role="evaluate",
    source=Hub("nyu-mll/glue", "qnli"),
    to_example=labelled("label", ("yes", "no"), {"question": "question", "sentence": "sentence"}),
    templates=(
        Template(
            "Decide whether the sentence contains the answer to what is asked. Give one of the options.",
            "Asked: {question}\nSentence: {sentence}\nOptions:\n{options}",
        ),
        Template(
            "Somebody looks something up and finds a sentence. Was the search a success?",
            "Looked up: {question}\nFound: {sentence}\nOptions:\n{options}",
        ),
        Template("Can the question be answered from the sentence alone?", '"{sentence}"\n"{question}"'),
        Template(
            "Tell whether the second line settles the first.",
            "{question}\n{sentence}\nChoose from:\n{options}",
        ),
        Template(
            "Check whether the passage is of use to the person who asks.",
            "Passage: {sentence}\nA person asks: {question}\n{options}",
        ),
        Template(
            "A pupil answers a teacher with a line from the textbook. Does the line give what was wanted?",
            "Teacher: {question}\nTextbook: {sentence}\nThe verdict is one of:\n{options}",
        ),
        Template("Say whether this sentence is a reply to the question.", "{sentence}\nIs that a reply to: {question}"),
        Template(
            "Would you know what is asked after reading the sentence?",
            "What is asked: {question}\nWhat you read: {sentence}\nOptions:\n{options}",
        ),
        Template(
            "An encyclopedia may or may not answer the query. Judge from the extract.",
            "Query: {question}\nExtract: {sentence}",
        ),
        Template(
            "Write a sentence that gives the answer, or fails to, as the verdict says.",
            "Asked: {question}\nDoes the sentence contain the answer? {target}",
            "{sentence}",
        ),
        Template(
            "Ask something about the sentence, so that the verdict is as stated.",
            "Sentence: {sentence}\nIs the question answered by it? {target}",
            "{question}",
        ),
    ),
    metric="accuracy",
    licence="CC BY-SA 4.0 (SQuAD)",
    citation="https://arxiv.org/abs/1804.07461",
    tokens=60,
    answer_tokens=1,
)

TASKS = (ANLI_R1, ANLI_R2, ANLI_R3, RTE, SNLI, CB, MNLI, MNLI_MATCHED, MNLI_MISMATCHED, WNLI, QNLI)
