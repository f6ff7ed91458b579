"""From word pieces back to the words of the text, and from numbers per piece to numbers per word."""

import re
import unicodedata
from dataclasses import dataclass
from typing import Any

import numpy as np

from bert_tf.data.tokenizer import prefixed
from bert_tf.reporting.display import Displayed, shortened

JOINTS = "'\u2019-"  # join letters into one word: don't, well-made
JOINERS = "\u200c\u200d"  # inside words of Persian or Hindi, and inside emoji
# Scripts that put no blanks between words: Thai, Lao, Burmese, Khmer, kana, Chinese characters. A piece is the nearest to a word.
UNSEPARATED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3041-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\ua9e0-\ua9ff\uaa60-\uaa7f\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff]"
)
BEHIND = "\u30fc\uff70\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"  # no word begins so: the bar that lengthens kana, skin tones


@dataclass(frozen=True, repr=False)
class Words(Displayed):
    """The words of a text, and which token belongs to which.

    Attributes:
        text: str.
        names: str, U of them, in token order: words as written in the text, and special tokens such as `[CLS]` and those of a
            prefix.
        spans: int64 `(U, 2)`, start and end of each in `text`; empty for special tokens.
        of_token: int64 `(T,)`, the index in `names` of each token.
        real: bool `(U,)`, False for special tokens.
    """

    text: str
    names: tuple[str, ...]
    spans: np.ndarray
    of_token: np.ndarray
    real: np.ndarray

    def _title(self) -> str:
        return f"Words({int(self.real.sum()):,} of {shortened(self.text)!r})"

    @property
    def real_names(self) -> tuple[str, ...]:
        """The words without the special tokens, W of them."""
        return tuple(name for name, real in zip(self.names, self.real, strict=True) if real)

    @property
    def end(self) -> int:
        """Where the last word ends; the model did not read what follows."""
        return int(self.spans[:, 1].max(initial=0))

    def sum(self, of_tokens: np.ndarray) -> np.ndarray:
        """Sums numbers per token `(T,)` into numbers per real word, float64 `(W,)`."""
        return np.bincount(self.of_token, of_tokens, len(self.names))[self.real]

    def attention(self, of_tokens: np.ndarray) -> np.ndarray:
        """Merges attention between tokens `(..., T, T)` into attention between words `(..., U, U)`; rows still sum to 1.

        Attention to a word is the sum over its pieces, attention from it the mean over them (Clark et al. 2019,
        sec. 4.1, https://arxiv.org/abs/1906.04341).
        """
        belongs = np.eye(len(self.names), dtype="float32")[self.of_token]  # (T, U)
        return (belongs / belongs.sum(0)).T @ (of_tokens @ belongs)


def read_words(text: str, tokenizer: Any, max_length: int, prefix: str = "") -> tuple[np.ndarray, Words]:
    """Tokenizes one text and groups its tokens into words.

    Args:
        text: str.
        tokenizer: a fast tokenizer of transformers.
        max_length: int, the most tokens, special ones included; longer texts are cut.
        prefix: str, what stands before the text; its tokens are no words.
    Returns: `(input_ids, words)`, int32 `(T,)` and `Words`: letters and signs are words apart, except that an apostrophe or hyphen
        between letters joins them, and signs that touch are one (...). Where a script has no blanks, each piece is a word.
    Raises: ValueError if the text has no words.
    """
    whole = prefixed(text, prefix)
    before = len(whole) - len(text)  # 0 for a text that begins with the prefix
    encoded = tokenizer(whole, truncation=True, max_length=max_length, return_offsets_mapping=True)
    names: list[str] = []
    spans: list[tuple[int, int]] = []
    of_token: list[int] = []
    real: list[bool] = []
    last = None
    tokens = zip(encoded.tokens(), encoded["offset_mapping"], encoded.word_ids(), encoded.sequence_ids(), strict=True)
    for token, span, word, sequence in tokens:
        start, end = _trimmed(whole, *span) if sequence is not None else (0, 0)
        inside = sequence is not None and (not prefix or end > len(prefix))
        start, end = (max(start, len(prefix)) - before, end - before) if inside else (0, 0)
        if inside and real and real[-1] and _continues(text, spans[-1], (start, end), word == last):
            if spans[-1][0] == spans[-1][1]:
                spans[-1] = (start, end)
            elif start < end:
                spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
            names[-1] = text[slice(*spans[-1])]
        else:
            real.append(inside)
            names.append(text[start:end] if inside else token)
            spans.append((start, end))
        of_token.append(len(names) - 1)
        last = word
    if not any(start < end for start, end in spans):
        raise ValueError(f"The text has no words. Received: {text!r}")
    words = Words(text, tuple(names), np.array(spans), np.array(of_token), np.array(real))
    return np.asarray(encoded["input_ids"], "int32"), words


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """Returns the span of a token without the blanks that some tokenizers count in, with the accents that some drop."""
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    while end < len(text) and (unicodedata.combining(text[end]) or text[end] in JOINERS):
        end += 1
    return start, end


def _continues(text: str, before: tuple[int, int], after: tuple[int, int], same: bool) -> bool:
    """Returns whether a reader sees a token as part of the word before it.

    Args:
        before, after: the spans of the word so far and of the token.
        same: whether the tokenizer sees one word; of some that is all between two blanks.
    """
    if before[0] == before[1] or after[0] == after[1]:  # a piece that stands for blanks alone
        return True
    if before[1] != after[0]:
        return before[1] > after[0]  # parts of one character, or the mark of a blank, which has the character behind it
    right, left = text[after[0]], _base(text, before)
    if _modifies(right) or text[after[0] - 1] in JOINERS:
        return True
    letters = left.isalnum(), right.isalnum()
    if letters == (True, True):
        return same and not UNSEPARATED.match(left) and not UNSEPARATED.match(right)
    if letters == (False, False):
        return True
    if left in JOINTS:  # don' + t, but not ' + quoted
        return text[before[0]].isalnum() and right.isalnum()
    following = text[after[0] + 1 : after[0] + 2]
    return right in JOINTS and left.isalnum() and following.isalnum()


def _modifies(character: str) -> bool:
    """Returns whether a character belongs to the one before it: an accent, a vowel sign, a mark of length, the colour of an emoji."""
    return unicodedata.category(character) in ("Mn", "Mc", "Me") or character in JOINERS + BEHIND


def _base(text: str, span: tuple[int, int]) -> str:
    """Returns the last character of a span that does not belong to the one before it."""
    start, end = span
    while end - 1 > start and _modifies(text[end - 1]):
        end -= 1
    return text[end - 1]
