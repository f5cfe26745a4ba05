"""Rows of our own for the tasks of word problems, in the hub's columns."""

Row = dict[str, object]

ROWS: dict[str, list[Row]] = {
    "openai/gsm8k/main/train": [
        {"question": "Nia has 3 bags of 12 nuts.  How many nuts has she?",
         "answer": "She has 3 * 12 = <<3*12=36>>36 nuts.\n#### 36"},
        {"question": "A farm had 1,500 hens and sold 300. How many are left?",
         "answer": "There are 1,500 - 300 = <<1500-300=1200>>1,200 hens left.\n#### 1,200"},
    ],
    "openai/gsm8k/main/test": [
        {"question": "Leo reads 7 pages a day for 2 weeks. How many pages is that?",
         "answer": "2 weeks are 2*7=<<2*7=14>>14 days.\nThat is 14*7=<<14*7=98>>98 pages.\n#### 98"},
        {"question": "It was 2 degrees and fell by 5. What is it now?", "answer": "2 - 5 = <<2-5=-3>>-3\n#### -3"},
    ],
}  # fmt: skip
