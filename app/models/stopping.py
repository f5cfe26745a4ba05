"""Where a continuation ends: at an end token, or at a stop string in its text, whichever comes first."""

from collections.abc import Sequence
from typing import NamedTuple

from transformers import PreTrainedModel, PreTrainedTokenizerBase


class Written(NamedTuple):
    """A continuation as text."""

    text: str
    """Without the stop string, without special tokens."""
    finished: bool
    """Whether an end token or the stop string ended it."""


class Ending:
    """Tells after each new token whether it ends its row, and reads the row's text in the end.

    Only the last tokens are decoded anew at each step. A stop string that this misses (a tokenizer may write a token
    otherwise in its place) costs steps and no more: `read` decodes the whole and cuts at the stop string.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, ends: set[int], stop: str) -> None:
        self._tokenizer, self.ends, self.stop = tokenizer, ends, stop
        self._reach = len(stop.encode()) + 2
        """Tokens that hold the stop string: a token writes a byte at least, and the first may lose its blank."""
        self._closing: dict[int, bool] = {}

    def __call__(self, text: Sequence[int]) -> bool:
        """Whether the last of the new tokens `text` ends the row."""
        if text[-1] in self.ends:
            return True
        if not self.stop or not self._closes(text[-1]):
            return False
        return self.stop in self._decode(text[-self._reach :]) and self.stop in self._decode(text)

    def read(self, text: Sequence[int]) -> Written:
        """The text of the new tokens of a row, which end with the one that ended it."""
        length = next((place for place, token in enumerate(text) if token in self.ends), len(text))
        whole = self._decode(text[:length])
        head, found, _ = whole.partition(self.stop) if self.stop else (whole, "", "")
        return Written(head, bool(found) or length < len(text))

    def _closes(self, token: int) -> bool:
        """Whether the stop string may end within `token`: it holds the last character, or a part of some character."""
        if token not in self._closing:
            written = self._decode([token, token])  # twice: the first of a text may lose its blank
            self._closing[token] = self.stop[-1] in written or "\ufffd" in written
        return self._closing[token]

    def _decode(self, ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))


def end_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """The tokenizer's EOS and those that the checkpoint adds to it, such as the end of a chat turn."""
    stated = getattr(model.generation_config, "eos_token_id", None)
    extra = stated if isinstance(stated, list) else [stated]
    return {token for token in [tokenizer.eos_token_id, *extra] if isinstance(token, int)}
