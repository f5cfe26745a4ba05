"""Rows of our own for the tasks of sentiment analysis, in the hub's columns."""

Row = dict[str, object]


def _reviews(*rows: tuple[str, int]) -> list[Row]:
    return [{"text": text, "label": label} for text, label in rows]


def _tweets(*rows: tuple[str, int]) -> list[Row]:
    return [
        {"text": text, "date": "Mon Jan 1 00:00:00 UTC 2029", "user": "ann", "sentiment": score, "query": "NO_QUERY"}
        for text, score in rows
    ]


def _phrases(*rows: tuple[str, int]) -> list[Row]:
    return [{"idx": number, "sentence": text, "label": label} for number, (text, label) in enumerate(rows)]


ROWS: dict[str, list[Row]] = {
    "stanfordnlp/imdb/plain_text/train": _reviews(
        ("I fell asleep twice.<br /><br />The third time I left.", 0),
        ("What a joy from start to end!", 1),
        ("The acting is wooden, and so is the set.", 0),
        ("A quiet film that stays with you.", 1),
    ),
    "stanfordnlp/imdb/plain_text/test": _reviews(
        ("Two hours I will never get back.", 0),
        ("See it<br />with a friend, and see it {twice}.", 1),
        ("Not one joke is funny.", 0),
        ("The “best” thing I saw all year.", 1),
    ),
    "stanfordnlp/sentiment140/sentiment140/train": _tweets(
        ("@bea my bus is late again", 0),
        ("sun is out, off to the beach", 4),
        ("lost my keys   and my phone", 0),
        ("thank you all for the kind words", 4),
    ),
    "stanfordnlp/sentiment140/sentiment140/test": _tweets(
        ("this new phone is great", 4),
        ("the queue took 3 hours {sigh}", 0),
        ("the shop opens at nine", 2),
        ("so proud of my sister", 4),
        ("the soup was cold & salty", 0),
    ),
    "stanfordnlp/sst2/default/train": _phrases(
        ("a dull two hours ", 0),
        ("warm and very funny ", 1),
        ("never finds its tone ", 0),
        ("a feast for the eyes ", 1),
    ),
    "stanfordnlp/sst2/default/validation": _phrases(
        ("the plot leaks like a sieve .", 0),
        ("a small , bright wonder .", 1),
        ("nobody seems to {care} .", 0),
        ("without a label .", -1),
    ),
    "fancyzhx/yelp_polarity/plain_text/train": _reviews(
        ("The soup was cold.\\nSo was the waiter.", 0),
        ("Best bread in town, and friendly people.", 1),
        ("They lost my coat and shrugged.", 0),
        ("We come here \\\"every\\\" week.", 1),
    ),
    "fancyzhx/yelp_polarity/plain_text/test": _reviews(
        ("My car came back with a new dent.", 0),
        ("A lovely room with a view of the {harbour}.", 1),
        ("I was told to wait \\\"\"a minute\\\"\" and waited an hour.", 0),
        ("Quick, clean and cheap.\\n\\nThank you!", 1),
    ),
}  # fmt: skip
