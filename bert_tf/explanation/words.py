"""From word pieces back to the words of the text, and from numbers per piece to numbers per word."""

import unicodedata
from dataclasses import dataclass
from typing import Any

import numpy as np

from bert_tf.reporting.display import Displayed, shortened

JOINTS = "'\u2019-"  # join letters into one word: don't, well-made


@dataclass(frozen=True, repr=False)
class Words(Displayed):
    """The words of a text, and which token belongs to which.

    Attributes:
        text: str.
        names: str, U of them, in token order: words as written in the text, and special tokens such as `[CLS]`.
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


def read_words(text: str, tokenizer: Any, max_length: int) -> tuple[np.ndarray, Words]:
    """Tokenizes one text and groups its tokens into words.

    Args:
        text: str.
        tokenizer: a fast tokenizer of transformers.
        max_length: int, the most tokens, special ones included; longer texts are cut.
    Returns: `(input_ids, words)`, int32 `(T,)` and `Words`: those of the tokenizer, except that an apostrophe or hyphen
        between letters joins two, and so does punctuation (...).
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
            end += 1  # combining accents, which the tokenizer drops
        if real and real[-1] and sequence is not None and (word == last or _joined(text, spans[-1], (start, end))):
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
            names[-1] = text[slice(*spans[-1])]
        else:
            real.append(sequence is not None)
            names.append(text[start:end] if real[-1] else token)
            spans.append((start, end) if real[-1] else (0, 0))
        of_token.append(len(names) - 1)
        last = word
    if not any(real):
        raise ValueError(f"The text has no words. Received: {text!r}")
    words = Words(text, tuple(names), np.array(spans), np.array(of_token), np.array(real))
    return np.asarray(encoded["input_ids"], "int32"), words


def _joined(text: str, before: tuple[int, int], after: tuple[int, int]) -> bool:
    """Returns whether a reader sees two neighbouring words as one."""
    if before[1] != after[0]:
        return False
    left, right = text[slice(*before)], text[slice(*after)]
    if not any(map(str.isalnum, left + right)):
        return True
    if left[-1] in JOINTS:  # don' + t, but not ' + quoted
        return left[:1].isalnum() and right[:1].isalnum()
    return right in JOINTS and left[-1].isalnum() and text[after[1] : after[1] + 1].isalnum()
