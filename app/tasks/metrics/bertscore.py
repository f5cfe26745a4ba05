"""The option that BERTScore finds nearest to a written answer (Zhang et al. 2020, arXiv 1904.09675).

bert-score computes the scores; it loads late, because it brings matplotlib along. The encoder is loaded here: the
package's own loader takes pickled weights, guesses the architecture from the folder's name and leaves the length of a
text unlimited where a tokenizer states none. Scores are plain: no idf weights; and no rescaling by a baseline, which
could not change a choice.
"""

import contextlib
from collections import defaultdict
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import AutoConfig, AutoModel, AutoTokenizer
from transformers.utils import logging

from app.errors import CellError

TIE = 1e-5
"""F1 scores nearer than this are equal: the order of float32 sums alone changes them by about 1e-6."""

_AT_ONCE = 1_024  # pairs whose embeddings are held together
_POSITIONS = 512  # tokens of a text where an encoder states no limit: BERT's
_POOLER = "pooler"  # made for classification, absent from many checkpoints, not used


class _Embedded(NamedTuple):
    """A text as the encoder sees it."""

    vectors: torch.Tensor
    """Shape (tokens, width)."""
    weights: torch.Tensor
    """Shape (tokens): 1, or 0 for the tokens that open and close a text."""


class Chooser:
    """An encoder in memory, and the choices that it makes."""

    def __init__(self, model: str, layers: int | None = None, device: str = "cpu", batch: int = 64) -> None:
        """Load the encoder: a folder or an OWNER/NAME of the hub, with weights in safetensors; no code of it is run.

        `layers`: how many of its layers the texts pass; None: as many as bert-score recommends for that name, else
        all. Raises CellError for a missing encoder, missing weights or more layers than there are.
        """
        logging.disable_progress_bar()
        self._device, self._batch = device, batch
        self.layers, self._model = _encoder(model, layers, device)
        self._tokenizer = _tokenizer(model, self._model.config)

    def choose(self, pairs: Sequence[tuple[str, tuple[str, ...]]]) -> list[str | None]:
        """For each answer and its options the option of the highest F1.

        None for an answer without a token and for a tie of the first place; an option without a token is never
        chosen. Each distinct pair of answer and option is scored once.
        """
        texts = {text for answer, options in pairs for text in (answer, *options)}
        told = {text for text in texts if self._tokens(text)}
        wanted = dict.fromkeys(
            (answer, option) for answer, options in pairs if answer in told for option in options if option in told
        )
        scores = self._scores(list(wanted))
        return [
            _first({option: scores[answer, option] for option in options if (answer, option) in scores})
            for answer, options in pairs
        ]

    def _tokens(self, text: str) -> list[int]:
        longest = self._tokenizer.model_max_length
        return self._tokenizer.encode(text.strip(), add_special_tokens=False, truncation=True, max_length=longest)

    def _scores(self, pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], float]:
        """F1 of each pair, none of whose texts is empty: bert-score 0.3.13 fails on those under transformers 5."""
        found: dict[tuple[str, str], float] = {}
        for start in range(0, len(pairs), _AT_ONCE):
            some = pairs[start : start + _AT_ONCE]
            embedded = self._embedded(
                sorted({text for pair in some for text in pair}, key=lambda text: (len(text), text))
            )
            # Padding would count as a token of similarity 0, above any negative one: pairs of one shape need none.
            shapes = defaultdict[tuple[int, int], list[tuple[str, str]]](list)
            for answer, option in some:
                shapes[len(embedded[answer].weights), len(embedded[option].weights)].append((answer, option))
            for alike in shapes.values():
                for first in range(0, len(alike), self._batch):
                    found |= _matched(alike[first : first + self._batch], embedded)
        return found

    def _embedded(self, texts: Sequence[str]) -> dict[str, _Embedded]:
        from bert_score.utils import get_bert_embedding

        weights = defaultdict[int | None, float](lambda: 1.0)
        weights[self._tokenizer.sep_token_id] = weights[self._tokenizer.cls_token_id] = 0.0
        found: dict[str, _Embedded] = {}
        for start in range(0, len(texts), self._batch):
            some = texts[start : start + self._batch]
            vectors, mask, weighed = get_bert_embedding(
                some, self._model, self._tokenizer, weights, device=self._device
            )
            for row, text in enumerate(some):
                size = int(mask[row].sum())
                found[text] = _Embedded(vectors[row, :size], weighed[row, :size])
        return found


def _matched(pairs: Sequence[tuple[str, str]], embedded: dict[str, _Embedded]) -> dict[tuple[str, str], float]:
    """F1 of pairs whose answers, and whose options, have one length."""
    from bert_score.utils import greedy_cos_idf

    answers = _stacked([embedded[answer] for answer, _ in pairs])
    options = _stacked([embedded[option] for _, option in pairs])
    _, _, scores = greedy_cos_idf(*options, *answers)
    return dict(zip(pairs, scores.tolist(), strict=True))


def _stacked(texts: Sequence[_Embedded]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Vectors, mask and weights of texts of one length: all copies, because bert-score scales them in place."""
    weights = torch.stack([text.weights for text in texts])
    return torch.stack([text.vectors for text in texts]), torch.ones_like(weights, dtype=torch.bool), weights


def _first(scores: dict[str, float]) -> str | None:
    best = max(scores.values(), default=0.0)
    near = [option for option, score in scores.items() if score >= best - TIE]
    return near[0] if len(near) == 1 else None


def _encoder(model: str, layers: int | None, device: str) -> tuple[int, Any]:
    """The number of layers, and the encoder without those above."""
    from bert_score.utils import model2layers

    if not Path(model).is_dir() and (Path(model).is_absolute() or model.startswith(".") or model.count("/") > 1):
        raise CellError(f"the BERTScore encoder {model} is missing: there is no such folder")
    try:
        config = AutoConfig.from_pretrained(model, trust_remote_code=False)
        depth = int(config.num_hidden_layers)
        kept = layers if layers is not None else model2layers.get(model, depth)
        if not 1 <= kept <= depth:
            raise CellError(f"the BERTScore encoder {model} has {depth} layers, not {kept}: give 1 to {depth}")
        config.num_hidden_layers = kept
        with _quiet():
            loaded, report = AutoModel.from_pretrained(
                model,
                config=config,
                use_safetensors=True,
                trust_remote_code=False,
                dtype=torch.float32,
                output_loading_info=True,
            )
    except (OSError, ValueError, ImportError, AttributeError) as fault:
        raise _unusable(model, fault) from fault
    missing = sorted(name for name in report["missing_keys"] if _POOLER not in name)
    if missing:
        raise CellError(f"the BERTScore encoder {model} lacks the weights {', '.join(missing[:3])}: fetch it again")
    encoder = loaded.get_encoder() if config.is_encoder_decoder else loaded
    return kept, encoder.to(device).eval().requires_grad_(False)


def _tokenizer(model: str, config: Any) -> Any:
    """The tokenizer, which cuts a text where the encoder's positions end."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(model, trust_remote_code=False)
    except (OSError, ValueError, ImportError) as fault:
        raise _unusable(model, fault) from fault
    if tokenizer.pad_token_id is None:
        raise CellError(f"the BERTScore model {model} pads no batches: name an encoder, such as roberta-large")
    stated = getattr(config, "max_position_embeddings", None)
    positions = stated if stated and stated > 0 else _POSITIONS
    # RoBERTa and its kin number positions from behind the padding token.
    if "roberta" in config.model_type or config.model_type in ("camembert", "xmod", "data2vec-text"):
        positions -= tokenizer.pad_token_id + 1
    tokenizer.model_max_length = min(tokenizer.model_max_length, positions)
    return tokenizer


@contextlib.contextmanager
def _quiet() -> Generator[None]:
    """Without the report on weights that were left unused: those of the layers above are meant to be."""
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


def _unusable(model: str, fault: Exception) -> CellError:
    first = str(fault).strip().split("\n", 1)[0]
    return CellError(f"the BERTScore encoder {model} cannot be loaded: {first}")
