"""Rows of our own for translated benchmarks, as the user's file has them."""

import json

ROWS: dict[str, list[dict[str, object]]] = {}

NAMES = ["Màiri", "Iain", "Ùna", "Eòghan"]
PLACES = ["dhachaigh", "dhan sgoil", "dhan bhùth", "dhan tràigh", "dhan eaglais", "dhan taigh-òsta", "dhan loch",
          "dhan bheinn", "dhan bhaile", "dhan {eilean}"]  # fmt: skip
FEELINGS = ["Sgìth.", "Toilichte.", "Feargach."]

LINES = [
    {
        "text": f'Chaidh {name} {place} "gun fhios". Ciamar a bha {name} a\' faireachdainn? \nRoghainnean: {FEELINGS}',
        "options": FEELINGS,
        "answer": FEELINGS[(first + second) % 3],
    }
    for first, name in enumerate(NAMES)
    for second, place in enumerate(PLACES)
]
LINES.append({"text": "Dè an uair a tha e?", "options": ["Tràth", "Tràth."], "answer": "Tràth"})

MANUAL: dict[str, str] = {
    "translated/social_iqa_gd.jsonl": "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in LINES)
}
