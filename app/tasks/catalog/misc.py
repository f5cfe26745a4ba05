"""Tasks that belong to none of the other clusters; the first study held all of them out."""

from app.errors import TaskError
from app.tasks.catalog.reading_comp import UNANSWERABLE
from app.tasks.rows import answered, labelled, part, text, texts
from app.tasks.task import Hub, Parsed, Row, Task, Template

_CANNOT_ANSWER = "CANNOTANSWER"
"""QuAC's mark of a question that its text leaves open; every text of the hub ends in it."""


def _coqa(row: Row) -> Parsed | None:
    # Later questions of a conversation mean nothing without the earlier ones, so the first alone is asked.
    questions, answers = texts(row, "questions"), texts(part(row, "answers"), "input_text")
    if not questions or not answers:
        return None
    return answered({"story": text(row, "story"), "question": questions[0]}, answers[:1])


def _quac(row: Row) -> Parsed | None:
    questions, given = texts(row, "questions"), part(row, "answers")["texts"]
    if not questions or not given:
        return None
    if not isinstance(given, list) or not isinstance(given[0], list):
        raise TaskError(f"column answers.texts holds {given!r}, not one list of texts for each question")
    # All annotators' answers to the first question, which needs no earlier one to be understood.
    answers = texts({"first": given[0]}, "first")
    fields = {
        "title": text(row, "wikipedia_page_title"),
        "section": text(row, "section_title"),
        "background": text(row, "background"),
        "context": text(row, "context").removesuffix(_CANNOT_ANSWER).rstrip(),
        "question": questions[0],
    }
    return answered(fields, tuple(UNANSWERABLE if answer == _CANNOT_ANSWER else answer for answer in answers))


def _unprinted(row: Row, column: str) -> str:
    """A text that the hub holds as Python prints bytes: b'Solve 2*x = 6 for x.\\n'."""
    shown = text(row, column)
    if shown[:2] in ("b'", 'b"') and shown.endswith(shown[1]):
        shown = shown[2:-1].removesuffix("\\n")
    return shown.strip()


def _math(row: Row) -> Parsed | None:
    return answered({"question": _unprinted(row, "question")}, (_unprinted(row, "answer"),))


def _fix_punct(row: Row) -> Parsed | None:
    whole, bare = text(row, "utterance"), text(row, "corrupted_cased")
    words = [word for word in whole.split() if any(map(str.isalnum, word))]
    # Upstream lost the last word when it took the marks away; nobody could restore it, so it comes back here.
    if words and len(bare.split()) < len(words):
        bare = f"{bare} {words[-1].strip('.,?!')}".strip()
    return answered({"bare": bare}, (whole,))


COQA = Task(
    name="coqa",
    cluster="misc",
    role="evaluate",
    source=Hub("stanfordnlp/coqa"),
    to_example=_coqa,
    templates=(
        Template(
            "Read the story and answer the question in a few words.",
            "Story: {story}\nAsked: {question}",
        ),
        Template("Give a short answer.", "{story}\n{question}"),
        Template("Two friends talk about a text. Reply to the first question.", "Text: {story}\nA friend: {question}"),
        Template("What does the story say on this?", "On this: {question}\nThe story: {story}"),
        Template(
            "Answer as you would in a conversation: briefly.", "You both know this: {story}\nYou hear: {question}"
        ),
        Template("Find the answer in what you have read.", "Read: {story}\nNow tell: {question}"),
        Template("A child asks about the tale. Reply.", "{question}\nThe tale: {story}"),
        Template("Reply from the text, in no more words than needed.", "Q: {question}\nT: {story}"),
        Template("Take the answer from the passage.", '"{story}"\nWhat was asked: {question}'),
        Template(
            "Begin a conversation about the story with a question that has this answer.",
            "Story: {story}\nThe answer to come: {target}",
            "{question}",
        ),
        Template(
            "What was asked about this text, if the reply is the one below?",
            "Reply: {target}\nText: {story}",
            "{question}",
        ),
    ),
    metric="squad_f1",
    also=("squad_em",),
    licence="mixed by source (CC BY-SA 4.0, Apache-2.0, MSR-LA and others)",
    citation="https://aclanthology.org/Q19-1016/",
    tokens=380,
)

QUAC = Task(
    name="quac",
    cluster="misc",
    role="evaluate",
    source=Hub("allenai/quac", "plain_text", revision="refs/convert/parquet"),
    to_example=_quac,
    templates=(
        Template(
            f'Answer the question with a part of the text. Say "{UNANSWERABLE}" where the text does not answer it.',
            "Topic: {title}, {section}\nBackground: {background}\nText: {context}\nAsked: {question}",
        ),
        Template(
            f'Copy what answers the question, or say "{UNANSWERABLE}".',
            "{background}\n{context}\n{question}",
        ),
        Template(
            f'A student who cannot see the text asks about it. Reply from the text, or with "{UNANSWERABLE}".',
            "Text: {context}\nThe student asks: {question}",
        ),
        Template(
            f"Teach somebody about {{title}}: quote what answers them, or say {UNANSWERABLE}.",
            "Notes ({section}): {context}\nThey ask: {question}",
        ),
        Template(
            f"Look in the section for the answer; it is {UNANSWERABLE} if it is not there.",
            "Looked for: {question}\nSection {section} of {title}: {context}",
        ),
        Template(
            f'What does the article say on this? It may leave it open: then reply "{UNANSWERABLE}".',
            "{title}\n{background}\n{context}\nOn this: {question}",
        ),
        Template(
            f"Reply in the words of the source, or admit that it is {UNANSWERABLE}.",
            "Q: {question}\nSource: {context}\nAbout: {background}",
        ),
        Template(
            f"Start the conversation with a good reply ({UNANSWERABLE}: the text does not tell).",
            "We talk about {title}.\nWe know: {context}\nFirst turn: {question}",
        ),
        Template(
            f'Quote the passage that settles the question. If none does, write "{UNANSWERABLE}".',
            '"{context}"\nTo settle: {question}',
        ),
        Template(
            "You want to learn about the topic and have seen its introduction alone. Ask your first question.",
            "Topic: {title}, {section}\nIntroduction: {background}",
            "{question}",
        ),
        Template(
            "Write the question that was answered with these words of the text.",
            "Text: {context}\nWords: {target}",
            "{question}",
        ),
    ),
    metric="squad_f1",
    also=("squad_em",),
    licence="CC BY-SA 4.0 (MIT on the hub)",
    citation="https://aclanthology.org/D18-1241/",
    tokens=650,
    answer_tokens=20,
)

TREC = Task(
    name="trec",
    cluster="misc",
    role="evaluate",
    source=Hub("CogComp/trec", test="test", revision="refs/convert/parquet"),
    # ABBR, ENTY, DESC, HUM, LOC, NUM: the hub's order since 2022.
    to_example=labelled(
        "coarse_label",
        ("abbreviation", "entity", "description", "person", "location", "number"),
        {"question": "text"},
    ),
    templates=(
        Template(
            "Say what kind of answer the question asks for. Give one of the options.",
            "{question}\nWhat kind of answer does this ask for?\nOptions:\n{options}",
        ),
        Template("Do not answer the question; name the type of its answer.", "{question}\nTypes:\n{options}"),
        Template(
            "Sort the question by what it wants: abbreviation, entity, description, person, location or number.",
            "To sort: {question}",
        ),
        Template("Which drawer does this question go into?", "Drawers:\n{options}\nSlip of paper: {question}"),
        Template(
            "A search engine has to know what to look for. Tell it the kind of thing that is wanted.",
            "Somebody types: {question}\nLook for one of:\n{options}",
        ),
        Template("Classify the question.", "Q: {question}\nClasses:\n{options}"),
        Template(
            "Would a good reply be an abbreviation, an entity, a description, a person, a location or a number?",
            '"{question}"',
        ),
        Template("Choose the label for this question.", "Label: one of\n{options}\nFor: {question}"),
        Template(
            "Imagine the right answer, then say what kind of thing it is.",
            "{question}\nThe right answer is a kind of\n{options}",
        ),
        Template("Write a question that asks for this kind of thing.", "Kind of thing: {target}", "{question}"),
        Template(
            "Make up a quiz question. Its answer has to be of the type below.",
            "The answer's type is {target}.",
            "{question}",
        ),
    ),
    metric="accuracy",
    licence="not stated (TREC question classification)",
    citation="https://aclanthology.org/C02-1150/",
)

COLA = Task(
    name="cola",
    cluster="misc",
    role="evaluate",
    # The hub's test split is not labelled.
    source=Hub("nyu-mll/glue", "cola"),
    to_example=labelled("label", ("unacceptable", "acceptable"), {"sentence": "sentence"}),
    templates=(
        Template(
            "Judge whether the sentence is well-formed English. Give one of the options.",
            "Sentence: {sentence}\nIs this acceptable English?\nOptions:\n{options}",
        ),
        Template("Say whether the grammar of this is acceptable or unacceptable.", "{sentence}"),
        Template(
            "Would a native speaker say this?",
            "{sentence}\nA native speaker finds it one of:\n{options}",
        ),
        Template(
            "You correct an essay. Mark this line.",
            "Line: {sentence}\nMarks:\n{options}",
        ),
        Template("Grammar check: acceptable or unacceptable?", "Check: {sentence}"),
        Template("Which option describes the sentence?", "Options:\n{options}\n{sentence}"),
        Template(
            "Decide on form alone; what the words say does not matter.",
            'Words: "{sentence}"\nTheir form is\n{options}',
        ),
        Template(
            "A linguist made up example sentences, good ones and bad ones. Call a good one acceptable and a bad one "
            "unacceptable.",
            "Example sentence: {sentence}",
        ),
        Template(
            "Does this follow the rules of English syntax?",
            "{sentence}\nChoose from:\n{options}",
        ),
        Template(
            "Write an English sentence whose grammar is as stated.",
            "Grammar: {target}",
            "{sentence}",
        ),
        Template(
            "Give a linguist an example.",
            "Wanted: a sentence that is {target} in English.",
            "{sentence}",
        ),
    ),
    metric="matthews",
    also=("accuracy",),
    licence="not stated (Corpus of Linguistic Acceptability)",
    citation="https://aclanthology.org/Q19-1040/",
    answer_tokens=2,
)

WIC = Task(
    name="wic",
    cluster="misc",
    role="evaluate",
    # The hub's test split is not labelled. 1: the word has one meaning in both sentences.
    source=Hub("aps/super_glue", "wic", revision="refs/convert/parquet"),
    to_example=labelled("label", ("False", "True"), {"word": "word", "first": "sentence1", "second": "sentence2"}),
    templates=(
        Template(
            "Decide whether the word has the same meaning in both sentences. Give one of the options.",
            'First: {first}\nSecond: {second}\nTrue or False: "{word}" means the same in both.\nOptions:\n{options}',
        ),
        Template(
            "Say True if the word is used in one sense, and False if it is used in two.",
            "Word: {word}\n{first}\n{second}",
        ),
        Template(
            "Would a dictionary list both uses under one sense? Reply True or False.",
            "{word}: {first}\n{word}: {second}",
        ),
        Template(
            "Compare how the word is used.",
            '{first}\n{second}\nClaim: "{word}" stays the same in meaning.\n{options}',
        ),
        Template(
            "Is the claim about the two sentences right?",
            "Options:\n{options}\nThe claim: no change in the sense of {word}.\n1. {first}\n2. {second}",
        ),
        Template(
            "A translator wonders whether one foreign word will do for both. Tell them True or False.",
            'Word to translate: {word}\nOnce in "{first}" and once in "{second}"',
        ),
        Template(
            "Check whether a word keeps its meaning.",
            "From: {first}\nTo: {second}\nDoes {word} keep its meaning?\nChoose from:\n{options}",
        ),
        Template(
            "Same sense (True) or another one (False)?",
            "{first} / {second} / {word}",
        ),
        Template(
            "Think of a synonym of the word in the first sentence. Would it fit the second one too?",
            "First sentence: {first}\nSecond sentence: {second}\nWord: {word}\nVerdicts:\n{options}",
        ),
        Template(
            "Write another sentence with the word: in the same sense for True, in another one for False.",
            "Word: {word}\nSentence: {first}\nSame sense: {target}",
            "{second}",
        ),
        Template(
            "Which word do both sentences share, if the remark on its meaning is right?",
            "{first}\n{second}\nRemark: that it means the same in both is {target}.",
            "{word}",
        ),
    ),
    metric="accuracy",
    licence="CC BY-NC 4.0",
    citation="https://aclanthology.org/N19-1128/",
    tokens=45,
    answer_tokens=1,
)

MATH_DATASET = Task(
    name="math_dataset",
    cluster="misc",
    role="evaluate",
    source=Hub("deepmind/math_dataset", "algebra__linear_1d", test="test", revision="refs/convert/parquet"),
    to_example=_math,
    templates=(
        Template("Solve the equation and give only the number.", "{question}"),
        Template("Find the value of the unknown.", "{question}"),
        Template("What is the solution? Reply with a whole number.", "{question}\nThe solution is a whole number."),
        Template("Do this exercise from an algebra book.", "Exercise: {question}"),
        Template("Work it out in your head and write down the result.", "To work out: {question}"),
        Template("Isolate the variable.", "Task: {question}\nWanted: the value of the variable."),
        Template("For which number does the equation hold?", "Task: {question}"),
        Template("You sit a test in mathematics. Fill in the result.", "Test item: {question}\nResult?"),
        Template("Check your arithmetic before you reply.", "Q: {question}"),
        Template(
            "Write a linear equation to be solved for one letter, with this solution.",
            "Solution: {target}",
            "{question}",
        ),
        Template(
            "Make up an algebra exercise for a pupil.",
            "Its result has to be {target}.",
            "{question}",
        ),
    ),
    metric="exact_match",
    licence="Apache-2.0",
    citation="https://arxiv.org/abs/1904.01557",
    answer_tokens=2,
)

FIX_PUNCT = Task(
    name="fix_punct",
    cluster="misc",
    role="evaluate",
    # The only split there is.
    source=Hub("nbroad/fix_punctuation", test="train"),
    to_example=_fix_punct,
    templates=(
        Template(
            "Restore the punctuation of the text. Change nothing else.",
            "Without punctuation: {bare}\nWith punctuation?",
        ),
        Template("Put in the missing full stops, commas and other marks.", "{bare}"),
        Template("This was typed in a hurry. Punctuate it.", "Typed: {bare}"),
        Template("Write the line again, with its marks in the right places.", "Line: {bare}\nAgain:"),
        Template("A machine wrote down what was said, but no punctuation. Add it.", "Said: {bare}"),
        Template("Proofread the text: only its punctuation is wrong.", "To proofread: {bare}"),
        Template("Where do the commas and stops go? Give the whole text.", '"{bare}"'),
        Template("Make this easier to read by punctuating it.", "Hard to read: {bare}\nEasier to read:"),
        Template("Copy the text with correct punctuation.", "Copy this: {bare}"),
        Template("Strip all punctuation marks from the text.", "Text: {target}", "{bare}"),
        Template(
            "Write the text as a speech recogniser without punctuation would.",
            "Spoken: {target}\nRecognised:",
            "{bare}",
        ),
    ),
    metric="word_edit_similarity",
    also=("word_edit_distance", "exact_match"),
    licence="not stated (fix_punctuation)",
    citation="https://huggingface.co/datasets/nbroad/fix_punctuation",
    answer_tokens=30,
)

TASKS = (COQA, QUAC, TREC, COLA, WIC, MATH_DATASET, FIX_PUNCT)
