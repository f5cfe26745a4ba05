"""Rows of our own for the tasks of closed-book question answering, in the hub's columns."""

Row = dict[str, object]


def _exam(*rows: tuple[str, list[str], str]) -> list[Row]:
    """Questions of an exam; a key that is a digit goes with numbered choices."""
    return [
        {
            "id": f"own_{number}", "question": question,
            "choices": {"text": choices, "label": list(("12345" if key.isdigit() else "ABCDE")[: len(choices)])},
            "answerKey": key,
        }
        for number, (question, choices, key) in enumerate(rows)
    ]  # fmt: skip


def _trivia(*rows: tuple[str, str, list[str]]) -> list[Row]:
    return [
        {
            "question": question, "question_id": f"own_{number}", "question_source": "our own",
            "entity_pages": {"doc_source": [], "filename": [], "title": [], "wiki_context": []},
            "search_results": {
                "description": [], "filename": [], "rank": [], "title": [], "url": [], "search_context": [],
            },
            "answer": {
                "aliases": aliases, "normalized_aliases": [alias.lower() for alias in aliases],
                "matched_wiki_entity_name": "", "normalized_matched_wiki_entity_name": "",
                "normalized_value": value.lower(), "type": "WikipediaEntity", "value": value,
            },
        }
        for number, (question, value, aliases) in enumerate(rows)
    ]  # fmt: skip


ROWS: dict[str, list[Row]] = {
    "allenai/ai2_arc/ARC-Challenge/train": _exam(
        ("Which force pulls a ball down?", ["gravity", "friction", "light", "sound"], "A"),
        ("What do roots take up?", ["sunlight", "water", "pollen"], "B"),
        ("Which one is a gas?", ["iron", "oxygen", "sand", "iron"], "2"),
        ("What wears away rock?", ["a song", "shade", "running water", "paper", "a name"], "C"),
    ),
    "allenai/ai2_arc/ARC-Challenge/test": _exam(
        ("Why does ice float on {water}?", ["It is less dense.", "It is wet.", "It is old.", "It is red."], "A"),
        ("Which organ pumps blood?", ["the lung", "the skin", "the heart", "the ear"], "3"),
        ("A shadow is longest at", ["noon", "dusk", "midday", "lunch"], "B"),
        ("Nobody knows this.", ["one", "two", "three", "four"], ""),
    ),
    "allenai/ai2_arc/ARC-Easy/train": _exam(
        ("Which animal lays eggs?", ["a hen", "a cow", "a dog", "a horse"], "A"),
        ("Where do fish live?", ["in trees", "in water", "in sand", "in fire"], "B"),
        ("What melts in the sun?", ["a stone", "a nail", "snow", "glass"], "C"),
        ("What do we see with?", ["ears", "hands", "toes", "eyes"], "4"),
    ),
    "allenai/ai2_arc/ARC-Easy/test": _exam(
        ("Which season is coldest?", ["winter", "summer", "spring", "autumn"], "A"),
        ("What is “steam” made of?", ["dust", "water", "oil", "smoke"], "B"),
        ("Which is a planet?", ["the moon", "the sun", "Mars", "a comet"], "C"),
        ("Which one burns?", ["ash", "dry wood", "water", "clay"], "2"),
    ),
    "mandarjoshi/trivia_qa/rc.nocontext/train": _trivia(
        ("Which river flows through Vienna?", "Danube", ["Danube", "The Danube", "Donau"]),
        ("How many strings has a violin?", "4", ["4", "four"]),
        ("Which metal has the symbol Fe?", "Iron", ["Iron", "Fe"]),
        ("Who wrote “Emma”?", "Jane Austen", ["Jane Austen", "Austen"]),
    ),
    "mandarjoshi/trivia_qa/rc.nocontext/validation": _trivia(
        ("What is the capital of Peru?", "Lima", ["Lima", "Lima (Peru)", "Lima"]),
        ("In which {sport} is a shuttlecock hit?", "Badminton", ["Badminton", ""]),
        ("Which planet has the great red spot?", "Jupiter", ["Jupiter", "Planet Jupiter"]),
        ("This one has no answer.", "<unk>", []),
    ),
    "mandarjoshi/trivia_qa/rc.wikipedia.nocontext/train": _trivia(
        ("Which sea lies east of Italy?", "Adriatic Sea", ["Adriatic Sea", "The Adriatic"]),
        ("What is a young swan called?", "Cygnet", ["Cygnet", "cygnets"]),
        ("Which gas do plants take in?", "Carbon dioxide", ["Carbon dioxide", "CO2"]),
        ("Who painted the “Mona Lisa”?", "Leonardo da Vinci", ["Leonardo da Vinci", "Leonardo"]),
    ),
    "mandarjoshi/trivia_qa/rc.wikipedia.nocontext/validation": _trivia(
        ("Which bird is on the dollar's seal?", "Bald eagle", ["Bald eagle", "American eagle"]),
        ("How many sides has a hexagon?", "Six", ["Six", "6"]),
        ("Which {language} is spoken in Brazil?", "Portuguese", ["Portuguese", "Portuguese language"]),
        ("In which country is Petra?", "Jordan", ["Jordan"]),
    ),
}  # fmt: skip
