"""Rows of our own for the tasks of summarization, in the columns of the hub and of the files that users fetch."""

import json

Row = dict[str, object]


def _pairs(text: str, summary: str, pairs: list[tuple[str | None, str | None]]) -> list[Row]:
    return [{text: one, summary: other} for one, other in pairs]


def _numbered(text: str, summary: str, pairs: list[tuple[str | None, str | None]]) -> list[Row]:
    return [{"id": str(place), **row} for place, row in enumerate(_pairs(text, summary, pairs))]


def _news(title: str, description: str, label: int) -> Row:
    return {"label": label, "title": title, "description": description}


def _released(place: str, count: int) -> str:
    """Lines as in Newsroom's release, with some of its other columns."""
    rows: list[Row] = [
        {
            "url": f"https://example.org/{place}/{number}",
            "title": None if number == 3 else f"{place} votes, part {number}",
            "text": f"{place} went to the polls.\n\nIn ward {number} the {{greens}} won.",
            "summary": None if number == 2 else f"The greens won ward {number} of {place}.",
            "density": 1.5,
        }
        for number in range(count)
    ]
    return "".join(f"{json.dumps(row)}\n" for row in rows)


_THINGS = ("zoos", "cars", "exams", "taxes", "homework", "flights", "coins")
_FILMS = ("The Long Tide", "Paper Moths", "Café {Noir}", "Night Bus", "“Salt”", "Two Rivers", "The Clerk")

_DEBATES: list[Row] = [
    {
        "_debate_name": f"This House would ban {_THINGS[number % 7]}",
        "_debate_id": number,
        "_claim": f"To ban {_THINGS[number % 7]} would save {number + 3} towns much money .",
        "_argument_sentences": {
            str(10 * number + place): f"In town {number + place} , {_THINGS[number % 7]} {what} ."
            for place, what in enumerate(("cost too much", "serve {few}", "do harm"))
        },
    }
    for number in range(42)
]
_CONSENSUSES: list[Row] = [
    {
        "_movie_id": f"film_{number}",
        "_movie_name": f"{_FILMS[number % 7]} {number // 7 + 1}",
        "_critic_consensus": f"Well played, but {number + 4} minutes too long.",
        "_critics": {
            str(10 * number + place): f"Critic {number + place}: {what}"
            for place, what in enumerate(("I nearly slept.", "A fine cast.", "Cut it!"))
        },
    }
    for number in range(42)
]

ROWS: dict[str, list[Row]] = {
    "Yale-LILY/aeslc/default/train": _pairs("email_body", "subject_line", [
        ("Please send me the gas figures.\n\nThanks, Ann", "Gas figures"),
        ("We meet at 3 in room {12}.", "Meeting at 3"),
        ("The contract is signed.\nBo", "Contract"),
        ("", "Lost mail"),
    ]),
    "Yale-LILY/aeslc/default/test": _pairs("email_body", "subject_line", [
        ("Lunch on Friday?\nI pay.", "Lunch"),
        ("Your “leave” is granted.", "Leave"),
        ("The server is down until noon.", "Server down"),
        ("See below.", "Fw: price list"),
    ]),
    "sh0416/ag_news/default/train": [
        _news("Peace talks open in Geneva", "Envoys of both sides met on Monday.", 1),
        _news("Late goal saves United", "A penalty in the last minute made it 2-2.", 2),
        _news("Oil falls again", "Prices lost \\$2 a barrel in London.", 3),
        _news("Probe lands on comet", "The craft sent its first {pictures}.", 4),
    ],
    "sh0416/ag_news/default/test": [
        _news("Flood hits delta", "Thousands fled their homes.", 1),
        _news("New chip doubles speed", "The maker showed it on Tuesday.", 4),
        _news("Bank buys rival", "The deal is worth 3 billion.", 3),
        _news("Sprinter sets record", "She ran the 100 m in “10.5”.", 2),
    ],
    "abisee/cnn_dailymail/3.0.0/train": _numbered("article", "highlights", [
        ("(CNN) -- A ferry sank off Bari. All 60 on board were saved.", "Ferry sinks off Bari .\nAll were saved ."),
        ("The mayor of Lund will step down in May. He is {70}.", "Mayor of Lund to go .\nHe is 70 ."),
        ("A bear walked into a shop in Anchorage and left with a cake.", "Bear takes cake from shop ."),
        ("Snow closed the pass for a week.", "Pass closed for a week ."),
    ]),
    "abisee/cnn_dailymail/3.0.0/test": _numbered("article", "highlights", [
        ("(CNN) -- Voters in Malta chose a new house.\n\nTurnout was high.", "Malta votes .\nTurnout high ."),
        ("A lost dog came home after two years.", "Dog home after two years ."),
        ("The “oldest” tree of the park fell in a storm.", "Storm fells oldest tree ."),
        ("Teachers strike for a third day.", "Strike goes on ."),
    ]),
    "Harvard/gigaword/default/train": _pairs("document", "summary", [
        ("the dollar fell against the yen on tuesday .", "dollar falls"),
        ("a UNK quake shook northern chile , killing ## people .", "quake kills ## in chile"),
        ("rain stopped play at lord 's .", "rain stops play"),
        ("the minister did not say a word .", ""),
    ]),
    "Harvard/gigaword/default/test": _pairs("document", "summary", [
        ("envoys met in oslo for talks on fish .", "fish talks open"),
        ("stocks closed higher in tokyo .", "tokyo stocks close higher"),
        ("a train hit a bus near lyon .", "train hits bus"),
        ("the {president} left for cairo .", "president leaves for cairo"),
    ]),
    "knkarthick/samsum/default/train": _numbered("dialogue", "summary", [
        ("Ann: Are you home?\r\nBo: No, at the gym.\r\nAnn: ok", "Bo is at the gym."),
        ("Cleo: I lost my keys :(\nDag: Again? lol", "Cleo has lost her keys again."),
        ("Eve: {pic}\nFinn: wow!", "Eve sends Finn a picture."),
        (None, "problem with the chat"),
    ]),
    "knkarthick/samsum/default/test": _numbered("dialogue", "summary", [
        ("Gro: Dinner at 8?\r\nHal: Make it 9.", "Gro and Hal have dinner at 9."),
        ("Ida: Who has the “file”?\nJon: Me.", "Jon has the file."),
        ("Kai: I passed!\nLiv: Congrats!", "Kai has passed."),
        ("Max: Bus is late.\nNia: I wait.", "Nia waits for Max, whose bus is late."),
    ]),
    "knkarthick/xsum/default/train": _numbered("dialogue", "summary", [
        ("The club has sold its goalkeeper.\nHe goes to Spain.", "A goalkeeper moves to Spain."),
        ("Police found the {painting} in a barn.", "A stolen painting has been found."),
        ("The bridge will be shut for repairs until June.", "A bridge is to close."),
        (None, "A report without a text."),
    ]),
    "knkarthick/xsum/default/test": _numbered("dialogue", "summary", [
        ("The council voted 12 to 4.\nWork starts in spring.", "A council has agreed to build."),
        ("Two divers saw the whale near Skye.", "A whale has been seen off Skye."),
        ("“We are sorry”, said the bank.", "A bank has apologised."),
        ("The festival drew 9,000 people.", "A festival had a record crowd."),
    ]),
}  # fmt: skip

MANUAL: dict[str, str] = {
    "newsroom/train.jsonl": _released("Aarhus", 6),
    "newsroom/test.jsonl": _released("Bergen", 5),
    "opinion_abstracts/idebate.json": json.dumps(_DEBATES),
    "opinion_abstracts/rottentomatoes.json": json.dumps(_CONSENSUSES),
}
