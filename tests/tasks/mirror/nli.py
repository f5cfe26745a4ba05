"""Rows of our own for the tasks of natural language inference, in the hub's columns."""

Row = dict[str, object]


def _texts(*rows: tuple[str, str, int]) -> list[Row]:
    return [{"premise": premise, "hypothesis": statement, "label": label} for premise, statement, label in rows]


def _sentences(*rows: tuple[str, str, int]) -> list[Row]:
    return [
        {"sentence1": first, "sentence2": second, "label": label, "idx": number}
        for number, (first, second, label) in enumerate(rows)
    ]


def _numbered(rows: list[Row]) -> list[Row]:
    return [{**row, "idx": number} for number, row in enumerate(rows)]


def _anli(*rows: tuple[str, str, int]) -> list[Row]:
    return [{"uid": f"u-{number}", **row, "reason": "so it is"} for number, row in enumerate(_texts(*rows))]


def _asked(*rows: tuple[str, str, int]) -> list[Row]:
    return [
        {"question": question, "sentence": sentence, "label": label, "idx": number}
        for number, (question, sentence, label) in enumerate(rows)
    ]


ROWS: dict[str, list[Row]] = {
    "facebook/anli/plain_text/train_r1": _anli(
        ("Lena Holt was born in Bergen in 1911 and died there.", "Lena Holt died in Norway.", 0),
        ("The Ferry is a film of 1954 about a ferryman.", "The Ferry won a prize.", 1),
        ("The band broke up after its second record.", "The band made five records.", 2),
        ("The “Old Mill” stands {empty} since 1990.", "The mill is in use.", 2),
    ),
    "facebook/anli/plain_text/test_r1": _anli(
        ("The bridge was built in 1820 and torn down in 1901.", "The bridge stood for some eighty years.", 0),
        ("The museum shows stones and shells.", "The museum has a café.", 1),
        ("The river Ull flows north into the sea.", "The river Ull flows south.", 2),
        ("Both clubs merged in 1970.", "There was one club after 1970.", 0),
    ),
    "facebook/anli/plain_text/train_r2": _anli(
        ("The school has 300 pupils and 20 teachers.", "The school has more pupils than teachers.", 0),
        ("The song was written on a train.", "The song is about a train.", 1),
        ("No one lives on the island.", "The island has a mayor.", 2),
        ("He sang bass.", "He sang high notes only.", 2),
    ),
    "facebook/anli/plain_text/test_r2": _anli(
        ("The novel was printed in Paris before it was printed in London.", "Paris saw the novel first.", 0),
        ("The lake is 90 metres deep.", "The lake is full of trout.", 1),
        ("The tower fell in the storm of 1703.", "The tower can be climbed today.", 2),
        ("The law was passed and signed.", "The law was passed.", 0),
    ),
    "facebook/anli/plain_text/train_r3": _anli(
        ("HOW TO POT A PLANT. Fill a pot with soil.", "Soil goes into the pot.", 0),
        ("Mum: is it late? Son: it is nine.", "The son is nine.", 1),
        ("The talks failed again on Monday.", "The talks were a success.", 2),
        ("I like this shop, I said.", "Somebody spoke.", 0),
    ),
    "facebook/anli/plain_text/test_r3": _anli(
        ("The firm cut 40 jobs in Leeds.", "Some people in Leeds lost a job.", 0),
        ("She phoned at noon.", "She phoned her sister.", 1),
        ("The road is closed all week.", "The road is open on Friday.", 2),
        ("The cat, black as it was, hid.", "The cat was white.", 2),
    ),
    "nyu-mll/glue/rte/train": _sentences(
        ("Ida sold her red boat in May.", "Ida had a boat.", 0),
        ("The mill burned down.", "The mill was rebuilt.", 1),
        ("Rome is the capital of Italy.", "Italy has a capital.", 0),
        ("Some birds cannot fly.", "No bird can fly.", 1),
    ),
    "nyu-mll/glue/rte/validation": _sentences(
        ("Oslo lies by a fjord.", "Oslo lies by water.", 0),
        ("Tom wrote {two} books.", "Tom wrote {} plays.", 1),
        ("The strike ended on Friday.", "There was a strike.", 0),
        ("The vote is unknown.", "The vote was close.", -1),
    ),
    "stanfordnlp/snli/plain_text/train": _texts(
        ("A boy in a red coat runs.", "A boy is moving.", 0),
        ("Two women talk on a bench.", "The women are sisters.", 1),
        ("A man sleeps on the grass.", "A man is swimming.", 2),
        ("A crowd waits.", "Nobody agreed about this one.", -1),
    ),
    "stanfordnlp/snli/plain_text/test": _texts(
        ("A dog jumps over a log.", "An animal jumps.", 0),
        ("A girl holds a balloon.", "It is her birthday.", 1),
        ("An old man plays the cello.", "The room is silent and empty.", 2),
        ("A cyclist waits at the light.", "A person is waiting.", 0),
        ("Kids \"fly\" a kite.", "No gold label here.", -1),
    ),
    "aps/super_glue/cb/train": _numbered(_texts(
        ("He knew the shop was shut.", "the shop was shut", 0),
        ("It never rained there.", "it rained there", 1),
        ("Do you believe the bus has gone?", "the bus has gone", 2),
        ("She saw that he was tired.", "he was tired", 0),
    )),
    "aps/super_glue/cb/validation": _numbered(_texts(
        ("Did she think the train was late?", "the train was late", 2),
        ("We saw that the lake was frozen.", "the lake was frozen", 0),
        ("They denied that the gate was open.", "the gate was open", 1),
        ("I doubt it.", "it is so", -1),
    )),
    "nyu-mll/glue/mnli/train": _numbered(_texts(
        ("The report was sent on time.", "The report was sent.", 0),
        ("Well, you know, I had a Ford then.", "The Ford was blue.", 1),
        ("All of the guests had left.", "Some guests were still there.", 2),
        ("The gardens close at dusk.", "The gardens never close.", 2),
    )),
    "nyu-mll/glue/mnli/validation_matched": _numbered(_texts(
        ("He poured himself a third cup.", "He had had two cups before.", 0),
        ("The committee met in June.", "The committee met in Rome.", 1),
        ("Nothing was decided.", "Everything was decided.", 2),
        ("uh-huh I see", "The speaker is bored.", 1),
    )),
    "nyu-mll/glue/mnli/validation_mismatched": _numbered(_texts(
        ("The pilot left the plane last.", "The pilot left the plane.", 0),
        ("Your gift helps a child to read.", "You gave fifty dollars.", 1),
        ("The verb stands at the end.", "The verb stands first.", 2),
        ("Sew the seam with {silk} thread.", "The seam is sewn.", 0),
    )),
    "nyu-mll/glue/wnli/train": _sentences(
        ("The jug hit the shelf and it broke.", "The shelf ate.", 0),
        ("Max thanked Eva because she paid.", "Eva paid.", 1),
        ("The bag would not fit the box as it was too big.", "The bag was too big.", 1),
        ("Ann rang Sue but she was out.", "Ann was out.", 0),
    ),
    "nyu-mll/glue/wnli/validation": _sentences(
        ("The box is in the cart; it is full.", "The cart is full.", 1),
        ("Lea called Ben, but he slept.", "Lea slept.", 0),
        ("The cat chased the mouse until it hid.", "The mouse hid.", 1),
        ("Nobody labelled this.", "It was labelled.", -1),
    ),
    "nyu-mll/glue/qnli/train": _asked(
        ("When was the abbey founded?", "The abbey was founded in 1132.", 0),
        ("Who designed the dome?", "The dome is made of copper.", 1),
        ("How long is the canal?", "The canal runs for 12 miles.", 0),
        ("What do the bees make?", "The hives stand in the orchard.", 1),
    ),
    "nyu-mll/glue/qnli/validation": _asked(
        ("Where does the comet come from?", "The comet comes from the far edge of the solar system.", 0),
        ("Which king signed the treaty?", "The treaty had {nine} parts.", 1),
        ("How many voices sing?", "Four voices sing without any instrument.", 0),
        ("Why is the sky dark?", "This row has no label.", -1),
    ),
}  # fmt: skip
