"""Texts in pieces that a tokenizer reads one by one: prompts share most of their lines, and each is read once.

A tokenizer cuts a text into words by a pattern before its model sees them, and the model never joins two words. Where a
letter or digit stands before a line break, the patterns known here end a word in any case, and nothing on either side
depends on the other: reading both sides apart gives the same tokens. Tokenizers with other patterns read texts whole.
"""

import json
import re
import weakref
from collections.abc import Mapping, Sequence
from typing import Any, cast

_PLACE = re.compile(r"(?<=[A-Za-z0-9])(?=\n)")
_LAST = re.compile(rf"(?s:.*){_PLACE.pattern}")
_RULES = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+"
)
_WORDS = frozenset((_RULES % r"\p{N}{1,3}", _RULES % r"\p{N}", r"\n"))
"""Patterns of Llama 3, of Qwen 2 and of the ladder; GPT-2's stands in ByteLevel itself."""
_HARMLESS = frozenset(("Digits", "Punctuation", "Whitespace", "WhitespaceSplit"))
_BLANKS = r"[^\S\n]+"
_BREAKS = r"\s*\n\s*"
_MOST = 2**16
"""Pieces that are remembered for a tokenizer."""

_known: weakref.WeakKeyDictionary[Any, dict[str, list[int]] | None] = weakref.WeakKeyDictionary()


def encode(tokenizer: Any, texts: Sequence[str]) -> list[list[int]] | None:
    """Token ids of each text without special tokens; None where the tokenizer must read its texts whole.

    `tokenizer`: one of transformers; with a backend of the tokenizers library, if it is to read pieces.
    """
    known = _pieces(tokenizer)
    if known is None:
        return None
    cut = [_PLACE.split(text) for text in texts]
    fresh = list({piece: None for pieces in cut for piece in pieces if piece not in known})
    if len(known) + len(fresh) > _MOST:
        known.clear()
        fresh = list({piece: None for pieces in cut for piece in pieces})
    read = tokenizer.backend_tokenizer.encode_batch_fast(fresh, add_special_tokens=False)
    known.update((piece, one.ids) for piece, one in zip(fresh, read, strict=True))
    return [[token for piece in pieces for token in known[piece]] for pieces in cut]


def last_cut(tokenizer: Any, text: str) -> int:
    """The end of what reads the same however `text` goes on behind it; 0 where the tokenizer must read texts whole."""
    found = _LAST.match(text) if _pieces(tokenizer) is not None else None
    return found.end() if found else 0


def separable(backend: Any) -> bool:
    """Whether a tokenizer reads the two sides of a cut apart as it reads them together."""
    marks = backend.get_added_tokens_decoder().values()
    if any(mark.rstrip or "\n" in mark.content for mark in marks):
        return False
    words = _parts(backend.pre_tokenizer, "pretokenizers")
    return (
        all(_keeps(part) for part in _parts(backend.normalizer, "normalizers"))
        and all(_cuts(part) or _harmless(part) for part in words)
        and any(_cuts(part) for part in words)
    )


def _pieces(tokenizer: Any) -> dict[str, list[int]] | None:
    """What the tokenizer has read so far."""
    if tokenizer not in _known:
        backend = getattr(tokenizer, "backend_tokenizer", None)
        _known[tokenizer] = {} if backend is not None and separable(backend) else None
    return _known[tokenizer]


def _parts(component: Any, inner: str) -> list[Mapping[str, Any]]:
    """What a normaliser or pre-tokeniser consists of, as it is written to a file."""
    if component is None:
        return []
    told = cast(Mapping[str, Any], json.loads(component.__getstate__()))
    return cast(list[Mapping[str, Any]], told[inner]) if told["type"] == "Sequence" else [told]


def _keeps(part: Mapping[str, Any]) -> bool:
    """Whether a normaliser changes no side of a cut by what stands on the other."""
    return part["type"] in ("NFC", "Lowercase") or (part["type"] == "Replace" and _pattern(part) == _BREAKS)


def _cuts(part: Mapping[str, Any]) -> bool:
    if part["type"] == "ByteLevel":
        return part["use_regex"] and not part["add_prefix_space"]
    return (
        part["type"] == "Split" and part["behavior"] == "Isolated" and not part["invert"] and _pattern(part) in _WORDS
    )


def _harmless(part: Mapping[str, Any]) -> bool:
    if part["type"] == "ByteLevel":
        return not part["add_prefix_space"]
    return part["type"] in _HARMLESS or (part["type"] == "Split" and _pattern(part) == _BLANKS)


def _pattern(part: Mapping[str, Any]) -> str | None:
    return part["pattern"].get("Regex")


def forget() -> None:
    """Read every piece anew from here on: who measures must not find what an earlier round has read."""
    _known.clear()
