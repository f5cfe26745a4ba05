"""Rows of our own for the tasks of paraphrase, in the hub's columns."""

Row = dict[str, object]


def _pairs(*rows: tuple[str, str, float]) -> list[Row]:
    return [
        {"sentence1": first, "sentence2": second, "label": label, "idx": number}
        for number, (first, second, label) in enumerate(rows)
    ]


def _questions(*rows: tuple[str, str, int]) -> list[Row]:
    return [
        {"question1": first, "question2": second, "label": label, "idx": number}
        for number, (first, second, label) in enumerate(rows)
    ]


def _swapped(*rows: tuple[str, str, int]) -> list[Row]:
    return [
        {"id": number, "sentence1": first, "sentence2": second, "label": label}
        for number, (first, second, label) in enumerate(rows, 1)
    ]


ROWS: dict[str, list[Row]] = {
    "nyu-mll/glue/mrpc/train": _pairs(
        ("Sales rose .", "Sales went up .", 1),
        ("Rain fell .", "Snow fell .", 0),
        ("The mayor resigned on Monday .", "On Monday the mayor stepped down .", 1),
        ("Shares fell 2 % .", "Shares fell 9 % .", 0),
    ),
    "nyu-mll/glue/mrpc/validation": _pairs(
        ("The bank closed early .", "The bank shut early .", 1),
        ("Two ships left .", "Two ships sank .", 0),
        ("Police found the {stolen} car .", "The {stolen} car was found by police .", 1),
        ("No label .", "None at all .", -1),
    ),
    "nyu-mll/glue/qqp/train": _questions(
        ("How do I learn to swim?", "What is the way to learn swimming?", 1),
        ("How old is the moon?", "How far is the moon?", 0),
        ("Is tea good for me?", "Is drinking tea healthy?", 1),
        ("What is a “gerund”?", "What is a noun?", 0),
    ),
    "nyu-mll/glue/qqp/validation": _questions(
        ("How can I sleep better?", "What helps one to sleep well?", 1),
        ("Which bike should I buy?", "Where can I sell my bike?", 0),
        ("Why do cats purr?", "What makes cats purr?", 1),
        ("Why?", "Why not?", -1),
    ),
    "google-research-datasets/paws/labeled_final/train": _swapped(
        ("The road runs from Ayr to Perth .", "The road runs from Perth to Ayr .", 1),
        ("Anna taught Bob .", "Bob taught Anna .", 0),
        ("In 1950 he moved to Rome .", "He moved to Rome in 1950 .", 1),
        ("The old mill has a new wheel .", "The new mill has an old wheel .", 0),
    ),
    "google-research-datasets/paws/labeled_final/test": _swapped(
        ("Both Ida and Max sang .", "Both Max and Ida sang .", 1),
        ("The Danes beat the Swedes .", "The Swedes beat the Danes .", 0),
        ("Born in {Ulm} , she died in Graz .", "Born in Graz , she died in {Ulm} .", 0),
        ("The town also has a school .", "The town has a school , too .", 1),
    ),
    "nyu-mll/glue/stsb/train": _pairs(
        ("A man plays a flute.", "A man is playing a flute.", 5.0),
        ("A dog runs.", "A bird sings.", 0.2),
        ("A woman cuts an onion.", "A woman cuts a tomato.", 2.6),
        ("Two boys ride a bike.", "A boy rides a bike.", 3.4),
    ),
    "nyu-mll/glue/stsb/validation": _pairs(
        ("A plane takes off.", "An aeroplane is taking off.", 4.8),
        ("A cat sleeps on a sofa.", "A cat lies on a bed.", 2.0),
        ("Stocks fall in Tokyo.", "A child eats soup.", 0.0),
        ("The court said \"no\".", "The court refused.", 4.2),
        ("No score.", "None.", -1.0),
    ),
}  # fmt: skip
