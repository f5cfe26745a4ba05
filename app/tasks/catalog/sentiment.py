"""Sentiment: is an opinion for or against its subject?"""

from app.errors import TaskError
from app.tasks.rows import label, labelled, text
from app.tasks.task import Hub, Parsed, Row, Task, Template

_POLES = ("negative", "positive")


def _judged(row: Row, review: str) -> Parsed | None:
    gold = label(row, "label", len(_POLES))
    return None if gold is None else Parsed({"review": " ".join(review.split())}, _POLES, _POLES[gold])


def _imdb(row: Row) -> Parsed | None:
    """A review without the line breaks of the page that it was taken from."""
    return _judged(row, text(row, "text").replace("<br />", " "))


def _yelp(row: Row) -> Parsed | None:
    """A review without the escapes of the file that it was published in: line breaks, and doubled or lone quotes."""
    return _judged(row, text(row, "text").replace("\\n", " ").replace('\\""', '"').replace('\\"', '"'))


def _tweet(row: Row) -> Parsed | None:
    """A tweet for or against something; the neutral ones of the test split have neither answer, and are left out."""
    shown, score = text(row, "text"), row["sentiment"]
    if score not in (0, 2, 4):
        raise TaskError(f"column sentiment holds {score!r}, neither 0 (negative), 2 (neutral) nor 4 (positive)")
    return None if score == 2 else Parsed({"tweet": shown}, _POLES, _POLES[score == 4])


IMDB_REVIEWS = Task(
    name="imdb_reviews",
    cluster="sentiment_analysis",
    role="tune",
    source=Hub("stanfordnlp/imdb", "plain_text", test="test"),
    to_example=_imdb,
    templates=(
        Template(
            "Read the review and say whether it is for or against the film. Give one of the options.",
            "Review: {review}\nOptions:\n{options}",
        ),
        Template("Classify this film review as negative or positive.", "{review}"),
        Template(
            "Would this viewer tell a friend to watch the film? Positive means yes.",
            "A viewer writes: {review}\nOptions:\n{options}",
        ),
        Template("What is the overall judgement?", "{review}\nThe judgement is one of:\n{options}"),
        Template(
            "Sort the letter to a film magazine by whether its writer liked what was shown.",
            "Letter: {review}\nPiles:\n{options}",
        ),
        Template("Name the feeling that prevails in the review, negative or positive.", "Film review: {review}"),
        Template(
            "Somebody went to the cinema. Judge from the account whether it was a good evening.",
            "{review}\nHow was it?\n{options}",
        ),
        Template("Tell the sentiment of the text.", "Text: {review}\nChoose from:\n{options}"),
        Template("Does the critic praise or condemn? Positive is praise, negative is not.", "The critic: {review}"),
        Template("Write a film review of the stated sentiment.", "Sentiment: {target}", "{review}"),
        Template(
            "Say at some length what somebody with this view of a film may write.",
            "View of the film: {target}",
            "{review}",
        ),
    ),
    metric="accuracy",
    licence="not stated (Large Movie Review Dataset)",
    citation="https://aclanthology.org/P11-1015/",
    tokens=300,
    answer_tokens=1,
)

SENTIMENT140 = Task(
    name="sentiment140",
    cluster="sentiment_analysis",
    role="tune",
    source=Hub("stanfordnlp/sentiment140", "sentiment140", test="test", revision="refs/convert/parquet"),
    to_example=_tweet,
    templates=(
        Template(
            "Say whether the writer of the tweet feels good or bad about something. Give one of the options.",
            "Tweet: {tweet}\nOptions:\n{options}",
        ),
        Template("Classify the tweet as negative or positive.", "{tweet}"),
        Template("What mood is this person in?", "Somebody posts: {tweet}\nMoods:\n{options}"),
        Template(
            "The smiley at the end of the message has been lost. Was it a happy (positive) or a sad (negative) one?",
            "{tweet}\nIt was:\n{options}",
        ),
        Template("Judge the tone of the short message.", "Message: {tweet}\nChoose from:\n{options}"),
        Template("Name the sentiment, negative or positive.", "Posted online: {tweet}"),
        Template(
            "A company reads what is said about it. File this under the right heading.",
            '"{tweet}"\nHeadings:\n{options}',
        ),
        Template("Is this a cheerful or a gloomy post? Gloomy counts as negative.", "Post: {tweet}\n{options}"),
        Template("Would you congratulate the writer (positive) or console them (negative)?", "They write: {tweet}"),
        Template("Write a tweet in the given mood.", "Mood: {target}", "{tweet}"),
        Template("Post something short that expresses this feeling.", "Feeling to express: {target}", "{tweet}"),
    ),
    metric="accuracy",
    licence="not stated (Sentiment140; X's terms of service)",
    citation="https://cs.stanford.edu/people/alecmgo/papers/TwitterDistantSupervision09.pdf",
    tokens=35,
    answer_tokens=1,
)

SST2 = Task(
    name="sst2",
    cluster="sentiment_analysis",
    role="tune",
    source=Hub("stanfordnlp/sst2"),
    to_example=labelled("label", _POLES, {"sentence": "sentence"}),
    templates=(
        Template(
            "Say what the reviewer thinks of the film. Give one of the options.",
            "Review: {sentence}\nOptions:\n{options}",
        ),
        Template("Classify the tone of this line from a film review as negative or positive.", "{sentence}"),
        Template("Judge whether the writer liked the film.", "{sentence}\nThe verdict is one of:\n{options}"),
        Template(
            "A poster quotes a critic. Does the quotation speak for the film?",
            'Quoted: "{sentence}"\nPositive if it does:\n{options}',
        ),
        Template("Which sentiment do the words express?", "Words: {sentence}\nChoose from:\n{options}"),
        Template("Decide whether the phrase is praise (positive) or blame (negative).", "Phrase: {sentence}"),
        Template(
            "Sort this fragment of criticism into one of two piles.",
            "Fragment: {sentence}\nPiles:\n{options}",
        ),
        Template("Is the speaker pleased or displeased? Pleased is positive.", "The speaker says: {sentence}"),
        Template(
            "Estimate from one line how the whole review turns out.",
            "One line: {sentence}\nThe whole review:\n{options}",
        ),
        Template("Write a line of a film review with the given tone.", "Tone: {target}", "{sentence}"),
        Template("Comment on a film in a few words.", "Your opinion should be {target}.", "{sentence}"),
    ),
    metric="accuracy",
    licence="not stated (Stanford Sentiment Treebank)",
    citation="https://aclanthology.org/D13-1170/",
    tokens=35,
    answer_tokens=1,
)

YELP_POLARITY_REVIEWS = Task(
    name="yelp_polarity_reviews",
    cluster="sentiment_analysis",
    role="evaluate",
    source=Hub("fancyzhx/yelp_polarity", "plain_text", test="test"),
    to_example=_yelp,
    templates=(
        Template(
            "Read the customer's review and say whether it is good or bad for the business. Give one of the options.",
            "Review: {review}\nOptions:\n{options}",
        ),
        Template("Classify this review of a place as negative or positive.", "{review}"),
        Template("Will this customer come back? Positive means yes.", "A customer: {review}\nOptions:\n{options}"),
        Template(
            "The stars of a review are missing. One or two stars are negative, four or five positive.",
            "{review}\nThe stars were:\n{options}",
        ),
        Template("Tell the owner what the guest thought.", "The guest: {review}\nIn one word:\n{options}"),
        Template("Name the sentiment of the comment, negative or positive.", "Comment: {review}"),
        Template("Was the visit a success?", "About a visit: {review}\nChoose from:\n{options}"),
        Template("Judge whether the text recommends the place.", "Text: {review}\n{options}"),
        Template("Is this a complaint (negative) or a compliment (positive)?", "Somebody writes: {review}"),
        Template("Write a customer's review of the stated sentiment.", "Sentiment: {target}", "{review}"),
        Template("Report on a visit to a shop or restaurant.", "The report should be {target}.", "{review}"),
    ),
    metric="accuracy",
    licence="Yelp dataset licence (research use)",
    citation="https://arxiv.org/abs/1509.01626",
    tokens=190,
    answer_tokens=1,
)

TASKS = (IMDB_REVIEWS, SENTIMENT140, SST2, YELP_POLARITY_REVIEWS)
