"""Rows of our own for the tasks of BIG-bench, in the hub's columns."""

from collections.abc import Callable

Row = dict[str, object]

PREAMBLE = "Each text gives an order. The statements are logically consistent within each paragraph.\n\n"


def _deduction(place: str, things: list[str], gold: int) -> Row:
    options = [f"The {thing} is the first." for thing in things]
    return {
        "inputs": f"{PREAMBLE}{place} stand {', '.join(things)}. The {things[gold]} is before all others.",
        "targets": [options[gold]],
        "multiple_choice_targets": options,
        "multiple_choice_scores": [int(number == gold) for number in range(len(things))],
        "idx": 0,
    }


def _tracking(place: str, things: list[str], gold: int) -> Row:
    return {
        "inputs": f"In {place}, Ann has the {things[0]}. \n\nShe swaps it for the {things[gold]}. Ann has the",
        "targets": [f"{things[gold]}."],
        "multiple_choice_targets": [f"{thing}." for thing in things],
        "multiple_choice_scores": [int(number == gold) for number in range(len(things))],
        "idx": 0,
    }


THINGS = ["lamp", "pen", "cup", "jar", "key", "map", "fan"]


def _puzzles(make: Callable[[str, list[str], int], Row], places: list[str]) -> list[Row]:
    return [make(place, THINGS[:size], gold) for size in (3, 5, 7) for gold, place in enumerate(places)]


def _asked(prompt: str, options: list[str], gold: int) -> Row:
    return {
        "inputs": prompt,
        "targets": [options[gold]],
        "multiple_choice_targets": options,
        "multiple_choice_scores": [int(number == gold) for number in range(len(options))],
        "idx": 0,
    }


def _listed(prompt: str, options: list[str], gold: int) -> Row:
    return _asked(f"{prompt}{''.join(f'{CHOICE}{option}' for option in reversed(options))}\nA:", options, gold)


CHOICE = "\n  choice: "
FIGURES = ["Simile", "Metaphor", "Hyperbole", "Pun"]
SPEECH = (
    "Please identify the figure of speech embodied by the following English sentences.\nSentence: {}\nFigure of speech:"
)
CAUSE = "How would a typical person answer each of the following questions about causation?\n\n\nQ: {}\nA:"

ROWS: dict[str, list[Row]] = {
    "tasksource/bigbench/logical_deduction/train": _puzzles(_deduction, ["On a desk", "In a box"]),
    "tasksource/bigbench/logical_deduction/validation": _puzzles(_deduction, ["On a wall", "In a shop"]),
    "tasksource/bigbench/tracking_shuffled_objects/train": _puzzles(_tracking, ["May", "June"]),
    "tasksource/bigbench/tracking_shuffled_objects/validation": _puzzles(_tracking, ["July", "August"]),
    "tasksource/bigbench/figure_of_speech_detection/train": [
        _asked(SPEECH.format("Her smile was like the sun."), FIGURES, 0),
        _asked(SPEECH.format("The {office} is a beehive."), FIGURES, 1),
        _asked(SPEECH.format("I told you “a million times”."), FIGURES, 2),
        _asked(SPEECH.format("Q: What do bakers need? A: Dough."), FIGURES, 3),
    ],
    "tasksource/bigbench/figure_of_speech_detection/validation": [
        _asked(SPEECH.format("He eats like a horse."), FIGURES, 0),
        _asked(SPEECH.format("Time is a thief."), FIGURES, 1),
        _asked(SPEECH.format("This bag weighs a ton."), FIGURES, 2),
        _asked(SPEECH.format("A bicycle is two-tired to stand."), FIGURES, 3),
    ],
    "tasksource/bigbench/social_iqa/train": [
        _listed("Q: Kai lost his keys. How did Kai feel? ", ["Annoyed", "Like a {king}", "Proud"], 0),
        _listed("Q: Ada fixed the roof for Bo. What will Bo want to do? ", ["Break it", "Thank Ada", "Sleep"], 1),
        _listed("Q: Jun baked “a” cake. Why did Jun do this? ", ["To nap", "To swim", "For a party"], 2),
        _listed("Q: Lee ran home. What happens next? ", ["Rests", "Flies"], 0),
    ],
    "tasksource/bigbench/social_iqa/validation": [
        _listed("Q: Mo won the race. How did Mo feel? ", ["Glad", "Sad", "Cold"], 0),
        _listed("Q: Ro broke a vase. What will Ro do? ", ["Sing", "Say sorry", "Dance"], 1),
        _listed("Q: Sy hid. Why did Sy do this? ", ["To eat", "To read", "To play"], 2),
        _listed("Q: Ty left early. How would you describe Ty? ", ["Late", "Tired", "Tall"], 1),
    ],
    "tasksource/bigbench/strange_stories/train": [
        _listed("Context: It poured. Al said, \"Lovely day!\"\nQ: Is it true what Al said?", ["no", "yes"], 0),
        _listed("Context: Bea hid the gift from Cy.\nDoes Cy know of the gift?", ["yes", "no"], 1),
        _listed("Context: Dot gave Ed a {sock}. Ed said he loved it.\nQ:Why did Ed say that?",
                ["to be kind.", "to be cold.", "to be loud.", "to be late."], 0),
        _listed("Context: Flo saw “a bear”.\nQ: Is Flo alone?", ["no", "yes"], 0),
    ],
    "tasksource/bigbench/strange_stories/validation": [
        _listed("Context: Gus lied to Hal.\nQ: Is it true what Gus said?", ["no", "yes"], 0),
        _listed("Context: Ivy told Jo all.\nDoes Jo know?", ["yes", "no"], 0),
        _listed("Context: Kit wept.\nQ: How did Kit feel?", ["sad", "glad", "bored", "calm"], 0),
        _listed("Context: Lu said it was raining cats.\nQ:Why?", ["a joke", "a lie", "a pun", "a test"], 2),
    ],
    "tasksource/bigbench/causal_judgment/train": [
        _asked(CAUSE.format("Max pushed the {cart}. It rolled off. Did Max cause it to roll off?"), ["Yes", "No"], 0),
        _asked(CAUSE.format("A “gust” shut the gate. Did Pia intentionally shut the gate?"), ["Yes", "No"], 1),
        _asked(CAUSE.format("Rae lit a match. The barn burned. Did Rae cause the fire?"), ["Yes", "No"], 0),
        _asked(CAUSE.format("Sol slept. It rained. Did Sol cause the rain?"), ["No", "Yes"], 0),
    ],
    "tasksource/bigbench/causal_judgment/validation": [
        _asked(CAUSE.format("Una cut the rope. The boat left. Did Una cause it to leave?"), ["Yes", "No"], 0),
        _asked(CAUSE.format("Vic tripped. Did Vic intentionally fall?"), ["Yes", "No"], 1),
        _asked(CAUSE.format("Wim sang. The sun rose. Did Wim cause the sunrise?"), ["Yes", "No"], 1),
        _asked(CAUSE.format("Xia threw a stone. The pane broke. Did Xia break the pane?"), ["Yes", "No"], 0),
    ],
}  # fmt: skip
