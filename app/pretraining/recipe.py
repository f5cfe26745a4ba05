"""How a ladder model is pretrained, in numbers: all that its weights depend on."""

from app.identity import fingerprint
from app.plan import LadderSpec
from app.pretraining import corpus, rungs, vocabulary

LADDER_VERSION = "3"
"""Changes whenever a model of the same specification starts from other weights."""
LOOP_VERSION = "2"
"""Changes whenever the same specification would end with other weights."""
BATCH = 8
"""Sequences in a step, each of `vocabulary.CONTEXT` tokens."""
WARMUP_STEPS = 100
FINAL_RATE = 0.02
"""Share of the peak rate at which the linear decay ends."""
EMBEDDING_RATE, VECTOR_RATE = 4.0, 1.0
"""Rates of the word embeddings and of everything that is no matrix, as multiples of the matrices' rate.

Most facts sit in the embeddings, and each row is met rarely: a high rate there halves the tokens that facts need.
"""
BETAS = (0.9, 0.98)
WEIGHT_DECAY = 0.01
CLIP = 1.0


def rate(spec: LadderSpec) -> float:
    """The peak rate: the given one, else what was measured. Raises InputError for an unknown family or size."""
    measured = rungs.learning_rate(spec.family, spec.width, spec.depth)
    return measured if spec.learning_rate is None else spec.learning_rate


def training_inputs(spec: LadderSpec) -> dict[str, object]:
    """Everything that the weights of `spec` depend on, for fingerprints. Raises InputError as `rate` does."""
    return {
        "family": spec.family,
        "width": spec.width,
        "depth": spec.depth,
        "tokens": spec.tokens,
        "without": sorted(set(spec.without)),
        "seed": spec.seed,
        "learning_rate": rate(spec),
        "batch": BATCH,
        "context": vocabulary.CONTEXT,
        "warmup_steps": WARMUP_STEPS,
        "final_rate": FINAL_RATE,
        "embedding_rate": EMBEDDING_RATE,
        "vector_rate": VECTOR_RATE,
        "betas": list(BETAS),
        "weight_decay": WEIGHT_DECAY,
        "clip": CLIP,
        "vocabulary": fingerprint(list(vocabulary.vocabulary())),
        "versions": {
            "corpus": corpus.VERSION,
            "tokenizer": vocabulary.VERSION,
            "ladder": LADDER_VERSION,
            "loop": LOOP_VERSION,
        },
    }
