"""Rows of our own for the tasks of commonsense, in the hub's columns."""

Row = dict[str, object]


def _copa(*rows: tuple[str, str, str, str, int]) -> list[Row]:
    return [
        {"premise": premise, "choice1": one, "choice2": two, "question": kind, "idx": number, "label": label}
        for number, (premise, one, two, kind, label) in enumerate(rows)
    ]


def _scenes(split: str, *rows: tuple[str, list[str], str]) -> list[Row]:
    return [
        {
            "ind": number, "activity_label": "Doing things", "ctx_a": context, "ctx_b": "", "ctx": context,
            "endings": endings, "source_id": f"own~{number}", "split": split, "split_type": "indomain", "label": label,
        }
        for number, (context, endings, label) in enumerate(rows)
    ]  # fmt: skip


def _goals(*rows: tuple[str, str, str, int]) -> list[Row]:
    return [{"goal": goal, "sol1": one, "sol2": two, "label": label} for goal, one, two, label in rows]


STORY_COLUMNS = (
    "InputStoryid", *(f"InputSentence{number}" for number in (1, 2, 3, 4)),
    "RandomFifthSentenceQuiz1", "RandomFifthSentenceQuiz2", "AnswerRightEnding",
)  # fmt: skip


def _stories(*rows: tuple[str, str, str, int]) -> str:
    """A file of stories; the four sentences of a story are parted by slashes."""
    lines = [",".join(STORY_COLUMNS)]
    for number, (story, one, two, right) in enumerate(rows):
        cells = [part.replace('"', '""') for part in (*story.split("/"), one, two)]
        lines.append(",".join([f"own-{number}", *(f'"{cell}"' for cell in cells), str(right)]))
    return "\r\n".join(lines) + "\r\n"


ROWS: dict[str, list[Row]] = {
    "aps/super_glue/copa/train": _copa(
        ("The ice melted.", "It was warm.", "It was night.", "cause", 0),
        ("I dropped the egg.", "It flew.", "It broke.", "effect", 1),
        ("The lights went out.", "The storm cut a cable.", "The cat sneezed.", "cause", 0),
        ("She watered the seeds.", "They turned to stone.", "They sprouted.", "effect", 1),
    ),
    "aps/super_glue/copa/validation": _copa(
        ("The dog barked.", "The cat ran.", "The moon rose.", "effect", 0),
        ("He wore boots.", "He was late.", "It was muddy.", "cause", 1),
        ("The {alarm} rang.", "There was smoke.", "There was tea.", "cause", 0),
        ("It is unknown.", "One.", "Two.", "effect", -1),
    ),
    "Rowan/hellaswag/default/train": _scenes(
        "train",
        ("A man kneads dough. he", ["shapes it into a loaf.", "sails away.", "paints it.", "reads it aloud."], "0"),
        ("A girl ties her skates. she", ["eats them.", "glides over the ice.", "digs a hole.", "sleeps."], "1"),
        ("[header] How to dry herbs [title] Tie them.",
         ["Boil them.", "Throw them away.", "Hang them in the shade.", "Boil them."], "2"),
        ("A dog sees a stick. it", ["drives off.", "sings.", "knits.", "fetches the stick."], "3"),
    ),
    "Rowan/hellaswag/default/validation": _scenes(
        "val",
        ("Two women row a boat. they", ["reach the shore.", "bake it.", "fold it up.", "marry it."], "0"),
        ("A boy lights a {candle}. the candle", ["barks.", "walks.", "burns.", "votes."], "2"),
        ("The “diver” stands on the board. he", ["melts.", "dives in.", "sows corn.", "irons."], "1"),
        ("A cook chops onions. she", ["flies.", "plants them.", "wears them.", "wipes her eyes."], "3"),
        ("No label here. it", ["is a.", "is b.", "is c.", "is d."], ""),
    ),
    "baber/piqa/default/train": _goals(
        ("Keep soup hot.", "Put it into a flask.", "Put it into a sieve.", 0),
        ("Cut a cake.", "Use a spoon handle.", "Use a long knife.", 1),
        ("Dry wet shoes.", "Stuff them with paper.", "Stuff them with snow.", 0),
        ("Hang a picture", "with a grape.", "with a nail.", 1),
    ),
    "baber/piqa/default/validation": _goals(
        ("Open a tight jar.", "Warm the lid.", "Freeze the {lid} in oil.", 0),
        ("How do I sharpen a pencil?", "Boil it.", "Turn it in a sharpener.", 1),
        ("Catch rain water.", "Set out a bucket.", "Set out a net.", 0),
        ("Nobody solved this.", "One.", "Two.", -1),
        ("Say \"thanks\".", "Frown.", "Smile and say it.", 1),
    ),
}  # fmt: skip

MANUAL: dict[str, str] = {
    "story_cloze/spring2016_validation.csv": _stories(
        ("Ida bought a kite./The wind was strong./She let the kite go up./The string broke.",
         "The kite flew away.", "Ida ate the kite.", 1),
        ("Tom was hungry./He opened the fridge./It was empty./He put on his coat.",
         "He went to sleep in the fridge.", "He went out to buy food.", 2),
        ("May lost a tooth./She put it under her pillow./She slept./Morning came.",
         "She found a coin.", "She found a bear.", 1),
        ("It was hot./Ben went to the lake./He forgot his trunks./He looked around.",
         "He flew to the moon.", "He paddled in his shorts.", 2),
    ),
    "story_cloze/spring2016_test.csv": _stories(
        ("Eva studied all week./The test was on Friday./She felt ready./She knew every answer.",
         "She failed.", "She got a good mark.", 2),
        ("Max said, \"I can cook\"./He burned the rice./He burned the beans./The guests waited.",
         "They ordered pizza.", "They praised the {rice}.", 1),
        ("The bus was late./Ann ran to work./She slipped on ice./Her knee hurt.",
         "She danced all day.", "She limped into the office.", 2),
        ("Leo planted a bean./He watered it daily./A shoot came up./It grew and grew.",
         "Leo was proud.", "Leo sold his bus.", 1),
    ),
}  # fmt: skip
