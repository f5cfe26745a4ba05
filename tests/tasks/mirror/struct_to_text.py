"""Rows of our own for the tasks that put data into words, in the hub's columns."""

Row = dict[str, object]


def _lex(*pairs: tuple[str, str]) -> Row:
    return {
        "comment": [comment for _, comment in pairs],
        "lid": [f"Id{number}" for number, _ in enumerate(pairs, 1)],
        "text": [sentence for sentence, _ in pairs],
        "lang": ["" for _ in pairs],
    }


def _webnlg(number: int, place: str, river: str) -> Row:
    triple = f"{place}_Bridge | crosses | {river}"
    return {
        "category": "Building",
        "size": 1,
        "eid": str(number),
        "original_triple_sets": {"otriple_set": [[triple], [f"{place} | other | {river}"]]},
        "modified_triple_sets": {"mtriple_set": [[triple]]},
        "shape": "",
        "shape_type": "",
        "lex": _lex(
            (f"{place} Bridge crosses the {river}.", "good"), (f"The {river} lies under {place} Bridge.", "good")
        ),
        "test_category": "",
        "dbpedia_links": [],
        "links": [],
    }


RIVERS = ["Arn", "Bode", "Čer", "Dal", "Esk"]
PLACES = ["Nor", "Ost", "Pil", "Quen", "Rov", "Sul", "Tam", "Ulm"]

ROWS: dict[str, list[Row]] = {
    "allenai/common_gen/default/train": [
        {"concept_set_idx": 0, "concepts": ["dog", "park", "run"], "target": "A dog runs in the park."},
        {"concept_set_idx": 0, "concepts": ["dog", "park", "run"], "target": "The dog loves to run through a park."},
        {"concept_set_idx": 1, "concepts": ["boat", "row", "lake"], "target": "Two men row a boat on the lake."},
        {"concept_set_idx": 2, "concepts": ["{cup}", "tea", "pour"], "target": "She pours tea into a “{cup}”."},
    ],
    "allenai/common_gen/default/validation": [
        {"concept_set_idx": 0, "concepts": ["snow", "shovel", "path"], "target": "He shovels snow off the path."},
        {"concept_set_idx": 1, "concepts": ["bird", "sing", "roof"], "target": "A bird sings on the roof."},
        {"concept_set_idx": 1, "concepts": ["bird", "sing", "roof"], "target": "On the roof a bird is singing."},
        {"concept_set_idx": 2, "concepts": [], "target": ""},
        {"concept_set_idx": 3, "concepts": ["ball", "throw"], "target": "The girl throws a ball."},
    ],
    "Yale-LILY/dart/default/train": [
        {"tripleset": [["Ida Berg", "TEAM", "Lions"]], "subtree_was_extended": False,
         "annotations": {"source": ["made_up"], "text": ["Ida Berg plays for the Lions."]}},
        {"tripleset": [["Omo", "AREA", "12 km²"], ["Omo", "RIVER", "Vei"]], "subtree_was_extended": True,
         "annotations": {"source": ["made_up", "made_up"], "text": ["Omo, on the Vei, has 12 km².", "Omo is on Vei."]}},
        {"tripleset": [["[TABLECONTEXT]", "YEAR", "1990"]], "subtree_was_extended": None,
         "annotations": {"source": ["made_up"], "text": ["The year was 1990."]}},
        {"tripleset": [["The Inn", "FOOD", "French"]], "subtree_was_extended": False,
         "annotations": {"source": ["made_up"], "text": ["The Inn serves French food."]}},
    ],
    "Yale-LILY/dart/default/test": [
        {"tripleset": [["Leo Hart", "BORN", "1901"], ["Leo Hart", "JOB", "{poet}"]], "subtree_was_extended": False,
         "annotations": {"source": ["made_up", "made_up"],
                         "text": ["Leo Hart, a \"{poet}\", was born in 1901.", "The {poet} Leo Hart is from 1901."]}},
        {"tripleset": [["Mill_House", "BUILT", "1820"]], "subtree_was_extended": None,
         "annotations": {"source": ["made_up"], "text": ["Mill House was built in 1820."]}},
        {"tripleset": [["Tarn", "DEPTH", "9 m"]], "subtree_was_extended": False,
         "annotations": {"source": ["made_up"], "text": ["The Tarn is 9 m deep."]}},
        {"tripleset": [["Zug", "COLOUR", "blue"]], "subtree_was_extended": False,
         "annotations": {"source": ["made_up"], "text": ["Zug is blue."]}},
    ],
    "tuetschek/e2e_nlg/default/train": [
        {"meaning_representation": "name[The Oak], food[Thai]", "human_reference": "The Oak serves Thai food."},
        {"meaning_representation": "name[Bay Bar], area[riverside]", "human_reference": "Bay Bar is by the river."},
        {"meaning_representation": "name[Nero], familyFriendly[no]", "human_reference": "Nero is not for children."},
        {"meaning_representation": "name[Café {Ö}], near[Zoo]", "human_reference": "Café {Ö} is \"near\" the zoo."},
    ],
    "tuetschek/e2e_nlg/default/test": [
        {"meaning_representation": "name[Sun Inn], eatType[pub]", "human_reference": "The Sun Inn is a pub."},
        {"meaning_representation": "name[Sun Inn], eatType[pub]", "human_reference": "There is a pub, the Sun Inn."},
        {"meaning_representation": "name[Lido], priceRange[£20-25]", "human_reference": "Lido costs £20-25."},
        {"meaning_representation": "name[Fig], food[Greek]", "human_reference": "Fig is a Greek place."},
    ],
    "webnlg-challenge/web_nlg/release_v1/full": [
        *(_webnlg(number, place, river) for number, (place, river) in
          enumerate((place, river) for place in PLACES for river in RIVERS)),
        {**_webnlg(90, "Vau", "Wye"), "lex": _lex(("Vau Bridge.", "bad"), ("Vau Bridge spans the “Wye”.", "good"))},
        {**_webnlg(91, "Xan", "Yar"), "lex": _lex()},
    ],
}  # fmt: skip
