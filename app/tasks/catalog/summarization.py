"""Summarization: say it shorter. AG News counts here because FLAN has it in this cluster; it names the subject alone.

Texts stay whole, however long; a prompt is cut to a model's context where it is made.
"""

from dataclasses import dataclass

from app.errors import TaskError
from app.tasks.rows import label, part, text
from app.tasks.task import Hub, Manual, MetricName, Parsed, Row, Task, Template

_ALSO: tuple[MetricName, ...] = ("rouge1", "rouge2")
_SECTIONS = ("World", "Sports", "Business", "Sci/Tech")
_OPINIONS = (
    "Ask for the opinion summaries of Wang and Ling (2016) at https://web.eecs.umich.edu/~wangluxy/data.html "
    "and unpack them there."
)


@dataclass(frozen=True)
class _Summary:
    """A reader of texts with their summary; a row without either has nothing to say and is left out."""

    summary: str
    columns: tuple[tuple[str, str], ...]
    """Field and column of the text to shorten, then of what else is known of it."""

    def __call__(self, row: Row) -> Parsed | None:
        written = {name: _written(row, column) for name, column in self.columns}
        target = _written(row, self.summary)
        if not target or not written[self.columns[0][0]]:
            return None
        # A prompt has no blank line, so what is not known says so.
        return Parsed({name: value or "unknown" for name, value in written.items()}, (), target)


def _written(row: Row, column: str) -> str:
    """A text, empty for null, which is how an empty field of a CSV file arrives."""
    return "" if row[column] is None else text(row, column)


def _collected(row: Row, column: str) -> tuple[str, ...]:
    """Texts that are kept under a number each, in their order. Raises as `part`."""
    return tuple(" ".join(str(item).split()) for item in part(row, column).values() if item)


def _numbered(items: tuple[str, ...]) -> str:
    return " ".join(f"({number}) {item}" for number, item in enumerate(items, 1))


def _ag_news(row: Row) -> Parsed | None:
    # This data set counts its classes from 1.
    gold = label(row, "label", len(_SECTIONS) + 1)
    if gold == 0:
        raise TaskError("column label holds 0, not a label from 1 to 4")
    fields = {"title": text(row, "title"), "text": text(row, "description")}
    return None if gold is None else Parsed(fields, _SECTIONS, _SECTIONS[gold - 1])


def _idebate(row: Row) -> Parsed | None:
    arguments, claim = _collected(row, "_argument_sentences"), _written(row, "_claim")
    fields = {"debate": text(row, "_debate_name"), "arguments": _numbered(arguments)}
    return Parsed(fields, (), claim) if arguments and claim else None


def _movie(row: Row) -> Parsed | None:
    reviews, consensus = _collected(row, "_critics"), _written(row, "_critic_consensus")
    if not reviews or not consensus:
        return None
    fields = {"movie": text(row, "_movie_name"), "reviews": _numbered(reviews), "first_review": reviews[0]}
    return Parsed(fields, (), consensus)


AESLC = Task(
    name="aeslc",
    cluster="summarization",
    role="evaluate",
    source=Hub("Yale-LILY/aeslc", test="test"),
    to_example=_Summary("subject_line", (("email", "email_body"),)),
    templates=(
        Template("Write a short subject line for the e-mail.", "E-mail: {email}\nSubject line?"),
        Template("What is this message about? Reply in a few words.", "{email}"),
        Template("The subject of this mail was lost. Restore it.", "Mail without a subject: {email}"),
        Template("Give the message a title that its reader will understand at once.", "Message: {email}"),
        Template("Sum up the mail in the words of a subject field.", "From: a colleague\nText: {email}\nSubject?"),
        Template("You file letters. Name this one.", "To file: {email}\nName on the folder?"),
        Template("Shorten the e-mail to one phrase.", '"{email}"'),
        Template("Propose what to type above the following text.", "To be sent: {email}"),
        Template("Say the topic of the correspondence.", "Correspondence: {email}\nTopic?"),
        Template("Write an e-mail with this subject.", "Subject: {target}", "{email}"),
        Template("A colleague saw only this line in the inbox. What does the mail say?", "Inbox: {target}", "{email}"),
    ),
    metric="rougeLsum",
    also=_ALSO,
    licence="not stated (Enron mail)",
    citation="https://aclanthology.org/P19-1043/",
    tokens=190,
    answer_tokens=6,
)

AG_NEWS = Task(
    name="ag_news",
    cluster="summarization",
    role="evaluate",
    source=Hub("sh0416/ag_news", test="test"),
    to_example=_ag_news,
    templates=(
        Template(
            "Say which section of a newspaper the report belongs to. Give one of the options.",
            "Headline: {title}\nReport: {text}\nOptions:\n{options}",
        ),
        Template(
            "Sort the report: World, Sports, Business or Sci/Tech?",
            "{title}\n{text}",
        ),
        Template("What is this news about?", "{title} {text}\nIt is about one of:\n{options}"),
        Template("Put the cutting into its folder.", "Folders:\n{options}\nCutting: {text} ({title})"),
        Template("Name the subject of the text, as a newspaper would (World, Sports, Business, Sci/Tech).", "{text}"),
        Template("Which desk of the agency wrote this?", "Wire: {title}. {text}\nDesks:\n{options}"),
        Template("Choose a section from the headline alone.", "Only the headline: {title}\nSections:\n{options}"),
        Template("Label the article.", "Text: {text}\nHeadline: {title}\nLabels:\n{options}"),
        Template("On which page would you look for this report?", "Report: {text}\nPages:\n{options}"),
        Template("Write a short news report for this section of the paper.", "Section: {target}", "{text}"),
        Template("Invent a headline for the section.", "A headline under {target}", "{title}"),
    ),
    metric="accuracy",
    licence="not stated (AG's corpus, for non-commercial use)",
    citation="https://arxiv.org/abs/1509.01626",
    tokens=80,
    answer_tokens=2,
)

CNN_DAILYMAIL = Task(
    name="cnn_dailymail",
    cluster="summarization",
    role="evaluate",
    source=Hub("abisee/cnn_dailymail", "3.0.0", test="test"),
    to_example=_Summary("highlights", (("article", "article"),)),
    templates=(
        Template("Summarise the article in three or four short sentences.", "Article: {article}\nSummary?"),
        Template("List the highlights of this story, one sentence each.", "{article}"),
        Template("What should somebody know who has no time to read this?", "No time to read: {article}"),
        Template("Write the points that a news site puts above this text.", "Text: {article}\nPoints above it?"),
        Template("Tell the main events in a few sentences.", "What happened: {article}"),
        Template("Condense the report.", "Report: {article}\nIn short?"),
        Template("Keep what matters and leave out the rest.", "The whole: {article}\nWhat matters?"),
        Template("You read the news on the radio and have fifteen seconds for this.", "Script: {article}"),
        Template("Retell the story for the front page.", '"{article}"'),
        Template("Write a news article from these highlights.", "Highlights: {target}", "{article}"),
        Template(
            "The points below were taken from a longer report. Write it.", "Points: {target}\nReport?", "{article}"
        ),
    ),
    metric="rougeLsum",
    also=_ALSO,
    licence="Apache-2.0",
    citation="https://aclanthology.org/P17-1099/",
    tokens=900,
    answer_tokens=75,
)

GIGAWORD = Task(
    name="gigaword",
    cluster="summarization",
    role="evaluate",
    source=Hub("Harvard/gigaword", test="test", revision="refs/convert/parquet"),
    to_example=_Summary("summary", (("sentence", "document"),)),
    templates=(
        Template("Write a headline in lower case for this sentence.", "Sentence: {sentence}\nHeadline?"),
        Template("Shorten to a headline.", "{sentence}"),
        Template("An agency sends this. What does the headline say?", "Agency: {sentence}"),
        Template("Say it in fewer than ten words.", "Too long: {sentence}\nShorter?"),
        Template("Give the news in the style of a ticker.", "News: {sentence}\nTicker?"),
        Template("Compress the first sentence of a report into its title.", "First sentence: {sentence}"),
        Template("What is the gist?", "{sentence}\nThe gist?"),
        Template("Title this piece of news.", "Untitled: {sentence}"),
        Template("Strip the sentence down to what a reader must know.", '"{sentence}"'),
        Template("Write the first sentence of the report under this headline.", "Headline: {target}", "{sentence}"),
        Template("Turn the headline into a full sentence.", "{target}\nIn full?", "{sentence}"),
    ),
    metric="rougeLsum",
    also=_ALSO,
    licence="MIT on the hub (text of the LDC's Gigaword)",
    citation="https://aclanthology.org/D15-1044/",
    tokens=45,
    answer_tokens=12,
)

NEWSROOM = Task(
    name="newsroom",
    cluster="summarization",
    role="evaluate",
    source=Manual(
        "newsroom/train.jsonl",
        "Ask for the release at https://lil.nlp.cornell.edu/newsroom/, which has a form, and unpack its train and test "
        "files there.",
        test="newsroom/test.jsonl",
    ),
    to_example=_Summary("summary", (("text", "text"), ("title", "title"))),
    templates=(
        Template("Summarise the article in one or two sentences.", "Title: {title}\nArticle: {text}\nSummary?"),
        Template("What does this report say, in brief?", "{text}"),
        Template("Write the teaser that a search engine shows below the title.", "{title}\n{text}"),
        Template("Tell a friend what the article is about.", "The article: {text}\nIts title: {title}"),
        Template("Give the core of the story.", "Story: {text}\nCore?"),
        Template("Write the description of this page.", "Page titled {title}: {text}\nDescription?"),
        Template("Boil it down.", "Long: {text}\nBoiled down?"),
        Template("State the news in a sentence.", "Under the heading {title} we read: {text}"),
        Template("An editor needs a short version for the newsletter.", "Full version: {text}\nShort version?"),
        Template("Write the article that was summed up like this.", "Summary: {target}", "{text}"),
        Template("Fill the page below its title and its teaser.", "Title: {title}\nTeaser: {target}", "{text}"),
    ),
    metric="rougeLsum",
    also=_ALSO,
    licence="research use only (signed form)",
    citation="https://aclanthology.org/N18-1065/",
    tokens=850,
    answer_tokens=40,
)

SAMSUM = Task(
    name="samsum",
    cluster="summarization",
    role="evaluate",
    source=Hub("knkarthick/samsum", test="test"),
    to_example=_Summary("summary", (("dialogue", "dialogue"),)),
    templates=(
        Template("Summarise the chat in one or two sentences.", "Chat: {dialogue}\nSummary?"),
        Template("What did they talk about?", "{dialogue}"),
        Template("You missed these messages. What do you have to know?", "Messages: {dialogue}"),
        Template("Report the conversation in the third person.", "Conversation: {dialogue}\nReport?"),
        Template("Write minutes of this talk, as short as you can.", "Talk: {dialogue}\nMinutes?"),
        Template("Say who wants, does or tells what.", "They write: {dialogue}"),
        Template("Retell the exchange to somebody who was not there.", '"{dialogue}"'),
        Template("Put the dialogue into a few plain words.", "Dialogue: {dialogue}\nIn plain words?"),
        Template("How does this conversation end, and why?", "From first to last message: {dialogue}"),
        Template("Write a chat between friends that fits the summary.", "Summary: {target}", "{dialogue}"),
        Template("Make a dialogue of this.", "What they talked about: {target}\nTheir messages?", "{dialogue}"),
    ),
    metric="rougeLsum",
    also=_ALSO,
    licence="CC BY-NC-ND 4.0",
    citation="https://aclanthology.org/D19-5409/",
    tokens=150,
    answer_tokens=28,
)

XSUM = Task(
    name="xsum",
    cluster="summarization",
    role="evaluate",
    # The hub's copy of this collection calls its articles dialogues.
    source=Hub("knkarthick/xsum", test="test"),
    to_example=_Summary("summary", (("text", "dialogue"),)),
    templates=(
        Template("Summarise the article in a single sentence.", "Article: {text}\nOne sentence?"),
        Template("What is this about?", "{text}"),
        Template("Write the opening sentence that was taken from this report.", "The rest of the report: {text}"),
        Template("Say the news in one sentence of your own.", "News: {text}\nIn your own words?"),
        Template("Give the extreme summary: one sentence, no details.", "With all details: {text}"),
        Template("Read it all, then say the one thing that a listener has to know.", "Read: {text}\nSay?"),
        Template("Introduce this piece to its readers.", "Piece: {text}\nIntroduction?"),
        Template("A single line is free on the front page. Fill it.", "Inside: {text}\nFront page?"),
        Template("Compress the text as far as it goes.", '"{text}"'),
        Template("Write the article that begins with this sentence.", "Begins with: {target}", "{text}"),
        Template("Expand this into a full report.", "In one sentence: {target}\nIn full?", "{text}"),
    ),
    metric="rougeLsum",
    also=_ALSO,
    licence="not stated (BBC articles)",
    citation="https://aclanthology.org/D18-1206/",
    tokens=500,
    answer_tokens=28,
)

OPIN_IDEBATE = Task(
    name="opin_idebate",
    cluster="summarization",
    role="evaluate",
    source=Manual("opinion_abstracts/idebate.json", _OPINIONS),
    to_example=_idebate,
    templates=(
        Template(
            "State in one sentence the claim that all of these arguments support.",
            "Debate: {debate}\nArguments: {arguments}\nClaim?",
        ),
        Template("What do the arguments come to?", "{arguments}"),
        Template("Somebody argues in a debate. Give their point in short.", "About: {debate}\nThey say: {arguments}"),
        Template("Sum up this side of the debate.", "{debate}\nThis side: {arguments}"),
        Template("Write the claim above the list.", "The list: {arguments}\nIt belongs to the debate {debate}."),
        Template("Which conclusion do the reasons lead to?", "Reasons: {arguments}\nConclusion?"),
        Template("The speaker forgot to say the point itself. Add it.", "Motion: {debate}\nSpeech: {arguments}"),
        Template("Give the position that is defended here.", "Defended with: {arguments}\nThe topic: {debate}"),
        Template("Make one statement of many.", "Many: {arguments}\nOne?"),
        Template(
            "Give arguments, numbered and in one paragraph, for the claim.",
            "Debate: {debate}\nClaim: {target}",
            "{arguments}",
        ),
        Template("To which debate does the claim belong?", "Claim: {target}\nReasons given: {arguments}", "{debate}"),
    ),
    metric="rougeLsum",
    also=_ALSO,
    licence="not stated (idebate.org)",
    citation="https://aclanthology.org/N16-1007/",
    tokens=250,
    answer_tokens=20,
)

OPIN_MOVIE = Task(
    name="opin_movie",
    cluster="summarization",
    role="evaluate",
    source=Manual("opinion_abstracts/rottentomatoes.json", _OPINIONS),
    to_example=_movie,
    templates=(
        Template(
            "Say in one sentence what the critics as a whole think of the film.",
            "Film: {movie}\nReviews: {reviews}\nConsensus?",
        ),
        Template("What do these reviews agree on?", "{reviews}"),
        Template("Write the verdict on the film that stands above its reviews.", "{movie}\nBelow: {reviews}"),
        Template("Summarise the press on a new film.", "The press on {movie}: {reviews}"),
        Template("How was it received? Answer in a sentence.", "It: {movie}\nVoices: {reviews}"),
        Template("Make one opinion of many.", "Opinions: {reviews}\nOne opinion?"),
        Template(
            "Guess from a single review what the critics agree on.", "{movie}, reviewed by one critic: {first_review}"
        ),
        Template("A cinema needs one honest sentence for its programme.", "Critics: {reviews}\nShown tonight: {movie}"),
        Template("Tell a friend what the critics say.", "Your friend asks about {movie}.\nYou have read: {reviews}"),
        Template("Which film is it?", "Consensus: {target}\nReviews: {reviews}", "{movie}"),
        Template(
            "Write one critic's review that fits the consensus.",
            "Film: {movie}\nConsensus: {target}",
            "{first_review}",
        ),
    ),
    metric="rougeLsum",
    also=_ALSO,
    licence="not stated (Rotten Tomatoes)",
    citation="https://aclanthology.org/N16-1007/",
    tokens=2500,
    answer_tokens=30,
)

TASKS = (AESLC, AG_NEWS, CNN_DAILYMAIL, GIGAWORD, NEWSROOM, SAMSUM, XSUM, OPIN_IDEBATE, OPIN_MOVIE)
