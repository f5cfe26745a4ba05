"""Rows of our own for reading comprehension with common sense, in the hub's columns."""

Row = dict[str, object]


def _cosmos(number: int, context: str, question: str, answers: list[str], label: int) -> Row:
    return {
        "id": f"id-{number}",
        "context": context,
        "question": question,
        **{f"answer{place}": answer for place, answer in enumerate(answers)},
        "label": label,
    }


def _record(number: int, passage: str, query: str, entities: list[str], answers: list[str]) -> Row:
    return {
        "passage": passage,
        "query": query,
        "entities": entities,
        "entity_spans": {
            "text": entities,
            "start": [passage.find(entity) for entity in entities],
            "end": [passage.find(entity) + len(entity) for entity in entities],
        },
        "answers": answers,
        "idx": {"passage": number, "query": number},
    }


_LOST = "I stood in the rain for an hour , and the last bus drove by without a stop . My shoes are still wet ."
_CAKE = "Mum hid the flour and lit {eleven} candles . I was not allowed into the kitchen all day ."
_NONE = "None of the above choices ."
_FIRE = "A fire broke out in Riga on Monday.\nLena Ozola called the brigade.\n@highlight\nNobody in Riga was hurt"
_CUP = "Oslo met Bergen in the cup.\nEriksen scored for Oslo.\n@highlight\nBergen lost for the first time"

ROWS: dict[str, list[Row]] = {
    "allenai/cosmos_qa/default/train": [
        _cosmos(1, _LOST, "How did I get home ?", ["I flew .", "I walked .", "I swam .", _NONE], 1),
        _cosmos(2, _CAKE, "What is going on ?", ["A birthday .", "A funeral .", "A move .", _NONE], 0),
        _cosmos(3, _CAKE, "Who lit the candles ?", ["Dad .", "Nobody .", "The cat .", _NONE], 3),
        _cosmos(4, _LOST, "What was I in need of ?", ["Salt .", "Sun .", "An umbrella .", "Salt ."], 2),
    ],
    "allenai/cosmos_qa/default/validation": [
        _cosmos(5, _LOST, "What did I wait for ?", ["A letter .", "A dog .", "A bus .", _NONE], 2),
        _cosmos(6, _CAKE, "What did Mum bake ?", ["A cake .", "Bread .", "Fish .", _NONE], 0),
        _cosmos(7, _CAKE, "How do I feel ?", ["Ill .", "Curious .", "Angry .", _NONE], 1),
        _cosmos(8, _LOST, "How old am I ?", ["One .", "Two .", "Three .", _NONE], -1),
    ],
    "aps/super_glue/record/train": [
        _record(1, _FIRE, "It was @placeholder who noticed the smoke", ["Riga", "Lena Ozola"], ["Lena Ozola"]),
        _record(2, _FIRE, "The fires of @placeholder are rare", ["Riga", "Lena Ozola"], ["Riga"]),
        _record(3, _CUP, "The goal of @placeholder decided it", ["Oslo", "Bergen", "Eriksen"], ["Eriksen"]),
        _record(4, _CUP, "There is no joy in @placeholder", ["Oslo", "Bergen", "Eriksen"], ["Bergen"]),
    ],
    "aps/super_glue/record/validation": [
        _record(5, _CUP, "@placeholder won", ["Oslo", "Bergen", "Eriksen"], ["Eriksen", "Oslo"]),
        _record(6, _FIRE, "\"All is well in @placeholder\"", ["Riga", "Lena Ozola"], ["Riga"]),
        _record(7, _FIRE, "@placeholder is thirty", ["Riga", "Lena Ozola"], ["Lena Ozola"]),
        _record(8, _CUP, "@placeholder is unlabelled", ["Oslo", "Bergen"], []),
    ],
}  # fmt: skip
