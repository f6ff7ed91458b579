"""Word pieces back to the words of the text they came from, and numbers of pieces to numbers of words."""

import unicodedata
from dataclasses import dataclass
from typing import Any

import numpy as np

JOINTS = "'\u2019-"  # between letters they make one word: don't, well-made


@dataclass(frozen=True)
class Words:
    """The words of a text, and which token belongs to which.

    Attributes:
        text: str.
        names: str, U of them, in the tokens' order: words as the text has them, and special tokens such as `[CLS]`.
        spans: int64 `(U, 2)`, where in `text` each starts and ends; empty for special tokens.
        of_token: int64 `(T,)`, the place in `names` of each token.
        real: bool `(U,)`, False for special tokens.
    """

    text: str
    names: tuple[str, ...]
    spans: np.ndarray
    of_token: np.ndarray
    real: np.ndarray

    @property
    def real_names(self) -> tuple[str, ...]:
        """The words without the special tokens, W of them."""
        return tuple(name for name, real in zip(self.names, self.real, strict=True) if real)

    @property
    def end(self) -> int:
        """Where the last word ends: what follows in the text was not read."""
        return int(self.spans[:, 1].max(initial=0))

    def sum(self, of_tokens: np.ndarray) -> np.ndarray:
        """Sums numbers of tokens `(T,)` to numbers of the real words, float64 `(W,)`."""
        return np.bincount(self.of_token, of_tokens, len(self.names))[self.real]

    def attention(self, of_tokens: np.ndarray) -> np.ndarray:
        """Merges attention `(..., T, T)`, from rows to columns, to `(..., U, U)`, in which rows sum to 1 as before.

        What a word is attended to is the sum over its pieces, what it attends to the mean over them (Clark et al. 2019,
        sec. 4.1, https://arxiv.org/abs/1906.04341).
        """
        belongs = np.eye(len(self.names), dtype="float32")[self.of_token]  # (T, U)
        return (belongs / belongs.sum(0)).T @ (of_tokens @ belongs)


def read_words(text: str, tokenizer: Any, max_length: int) -> tuple[np.ndarray, Words]:
    """Tokenizes one text and finds its words.

    Args:
        text: str.
        tokenizer: a fast tokenizer of transformers.
        max_length: int, the most tokens, the special ones counted; what is longer is cut.
    Returns: `(input_ids, words)`, int32 `(T,)` and `Words`. A word is what the tokenizer takes for one; two of them are
        one where an apostrophe or a hyphen joins them, or where both are punctuation (...).
    Raises: ValueError if the text has no words.
    """
    encoded = tokenizer(text, truncation=True, max_length=max_length, return_offsets_mapping=True)
    names: list[str] = []
    spans: list[tuple[int, int]] = []
    of_token: list[int] = []
    real: list[bool] = []
    last = None
    tokens = zip(encoded.tokens(), encoded["offset_mapping"], encoded.word_ids(), encoded.sequence_ids(), strict=True)
    for token, (start, end), word, sequence in tokens:
        while sequence is not None and end < len(text) and unicodedata.combining(text[end]):
            end += 1  # accents of their own, which the tokenizer drops
        if sequence is None:
            names.append(token)
            spans.append((0, 0))
            real.append(False)
        elif real and real[-1] and (word == last or _joined(text, spans[-1], (start, end))):
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
            names[-1] = text[slice(*spans[-1])]
        else:
            names.append(text[start:end])
            spans.append((start, end))
            real.append(True)
        of_token.append(len(names) - 1)
        last = word
    if not any(real):
        raise ValueError(f"The text has no words. Received: {text!r}")
    words = Words(text, tuple(names), np.array(spans), np.array(of_token), np.array(real))
    return np.asarray(encoded["input_ids"], "int32"), words


def _joined(text: str, before: tuple[int, int], after: tuple[int, int]) -> bool:
    """Returns whether a word and the one behind it are one for a reader."""
    if before[1] != after[0]:
        return False
    left, right = text[slice(*before)], text[slice(*after)]
    if not any(map(str.isalnum, left + right)):
        return True
    if left[-1] in JOINTS:  # don' + t, but not ' + quoted
        return left[:1].isalnum() and right[:1].isalnum()
    return right in JOINTS and left[-1].isalnum() and text[after[1] : after[1] + 1].isalnum()
