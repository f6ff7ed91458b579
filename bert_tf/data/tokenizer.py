"""Texts to token ids, with the checkpoint's own fast tokenizer from transformers."""

import operator
import os
from collections.abc import Iterable, Sized
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from bert_tf import terminal
from bert_tf.checkpoints import locate
from bert_tf.checkpoints.config import PREFIX
from bert_tf.checkpoints.families import table as families
from bert_tf.data import gates
from bert_tf.formatting import counted
from bert_tf.reporting.display import Displayed

CHUNK = 1000  # texts tokenized at once: enough for its threads, little memory
SHOW_PROGRESS_FROM = 10_000  # texts; fewer take a second or two
MAX_LENGTH = 256  # tokens, by default


@dataclass(frozen=True, repr=False)
class Tokens(Displayed):
    """The token ids of N texts, without padding.

    Attributes:
        ids: int32 `(total,)`, all texts concatenated.
        ends: int64 `(N,)`, where each text ends in `ids`.
        uncut: int64 `(N,)`, the number of tokens of each text before truncation; None = unknown.
        seconds: int64 `(N,)`, of pairs of texts the number of tokens before the second, whose token type is 1; None = single
            texts, or a tokenizer without token types.
    """

    ids: np.ndarray
    ends: np.ndarray
    uncut: np.ndarray | None = None
    seconds: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.ends)

    def _title(self) -> str:
        longest = f", the longest {self.lengths.max():,}" if len(self) else ""
        cut = f", {int((self.uncut > self.lengths).sum()):,} cut" if self.uncut is not None else ""
        return f"Tokens({counted(len(self), 'text')}: {counted(len(self.ids), 'token')}{longest}{cut})"

    def __getitem__(self, i: int) -> np.ndarray:
        """Returns the ids of text `i`, int32 `(length,)`."""
        return self.ids[self.ends[i - 1] if i else 0 : self.ends[i]]

    @cached_property
    def lengths(self) -> np.ndarray:
        """Number of tokens of each text, int64 `(N,)`."""
        return np.diff(self.ends, prepend=0)

    def take(self, indices: np.ndarray) -> "Tokens":
        """Returns the tokens of the texts at `indices`, in that order."""
        ids = np.concatenate([self.ids[:0], *(self[i] for i in indices)])
        uncut, seconds = (None if array is None else array[indices] for array in (self.uncut, self.seconds))
        return Tokens(ids, np.cumsum(self.lengths[indices]), uncut, seconds)

    def fitting(self, encoder: Any) -> "Tokens":
        """Returns the same for an encoder: without `seconds`, if it has no token types to tell the texts of a pair apart."""
        has_types = self.seconds is None or encoder.embeddings.token_type_embeddings is not None
        return self if has_types else replace(self, seconds=None)


def join(*parts: Tokens) -> Tokens:
    """Concatenates several `Tokens`."""
    uncut = [part.uncut for part in parts if part.uncut is not None]
    seconds = [part.seconds for part in parts if len(part) and part.seconds is not None]
    if seconds and len(seconds) < sum(len(part) > 0 for part in parts):
        raise ValueError("Single texts and pairs of texts cannot be joined.")
    return Tokens(
        np.concatenate([part.ids for part in parts]),
        np.cumsum(np.concatenate([part.lengths for part in parts]), dtype="int64"),
        np.concatenate(uncut) if len(uncut) == len(parts) else None,
        np.concatenate(seconds) if seconds else None,
    )


def load_tokenizer(source: str | os.PathLike, **hub):
    """Loads the tokenizer of a checkpoint.

    Args:
        source: folder, hub name or `"minilm"`.
        **hub: options of `bert_tf.checkpoints.locate.resolve`.
    Returns: a fast tokenizer of transformers.
    Raises: FileNotFoundError if the checkpoint has no tokenizer; ImportError if it needs the package sentencepiece; ValueError
        if it has no fast one.
    """
    from transformers import AutoTokenizer

    folder = locate.resolve(source, **hub)
    quick = any((folder / name).is_file() for name in ("tokenizer.json", "vocab.txt", "merges.txt"))
    pieces = [*folder.glob("*.model")]
    if not quick and not pieces:
        advice = "Save it with the model: tokenizer.save_pretrained(folder)."
        names = "tokenizer.json, vocab.txt, vocab.json with merges.txt, or a SentencePiece file such as spm.model"
        raise FileNotFoundError(f"{folder}: no tokenizer found ({names}). {advice}")
    if not quick and find_spec("sentencepiece") is None:
        raise ImportError(
            f"{folder}: the tokenizer is a SentencePiece file ({pieces[0].name}), which needs the package sentencepiece: "
            "pip install 'bert-tf[sentencepiece]'"
        )
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if not tokenizer.is_fast:
        problem = "the tokenizer has no fast version (tokenizer.json)"
        raise ValueError(f"{folder}: {problem}. Save it again with a newer transformers.")
    return tokenizer


def prefix_of(config: Any) -> str:
    """Returns what is put before each text that a model sees, "" for nothing; ValueError if its config.json says nonsense."""
    found = getattr(config, PREFIX, None) or ""
    if not isinstance(found, str):
        raise ValueError(f"config.json: {PREFIX} must be a text. Received: {found!r}")
    return found


def prefixed(text: str, prefix: str) -> str:
    """Returns a text with a prefix before it; as it is, if it begins with that."""
    return text if text.startswith(prefix) else prefix + text


def tokenize(texts: Iterable[gates.Text], tokenizer, max_length: int, prefix: str = "") -> Tokens:
    """Turns texts into token ids with `[CLS]` and `[SEP]`, truncated to `max_length`. Reads `texts` as a stream.

    A pair becomes `[CLS] a [SEP] b [SEP]`, of which the longer text is cut first, as by the tokenizer's `longest_first`.

    Args:
        texts: str, N of them, or N pairs of str.
        tokenizer: a fast tokenizer of transformers.
        max_length: int, the most tokens of a text, including the two special ones.
        prefix: str, put before each text, of pairs before both.
    Returns: `Tokens` of N texts.
    Raises: TypeError if `texts` are not strings, for example one string or a DataFrame;
        ValueError for half a character.
    """
    total = len(texts) if isinstance(texts, Sized) else None
    chunks = [np.zeros(0, "int32")]
    lengths: list[int] = []
    uncut: list[int] = []
    seconds: list[int] = []
    with terminal.Bar("Tokenizing", total, "text", shown=(total or 0) >= SHOW_PROGRESS_FROM) as bar:
        remaining = gates.each_text(texts)
        while chunk := list(islice(remaining, CHUNK)):
            pairs = gates.is_pair(chunk[0])
            columns: list[Any] = [[*column] for column in zip(*chunk, strict=True)] if pairs else [chunk]
            columns = [[prefixed(text, prefix) for text in column] for column in columns]
            encoded = tokenizer(*columns, truncation=True, max_length=max_length, return_attention_mask=False)
            lengths += map(len, encoded["input_ids"])
            if pairs:
                uncut += _uncut_pairs(encoded, columns, tokenizer, max_length)
                if "token_type_ids" in tokenizer.model_input_names:  # else transformers gives none either
                    seconds += [len(row.ids) - sum(row.type_ids) for row in encoded.encodings]
            else:
                uncut += [len(row.ids) + _cut_off(row) for row in encoded.encodings]
            chunks.append(np.concatenate([np.asarray(row, "int32") for row in encoded["input_ids"]]))
            bar.update(len(chunk))
    ends, before = np.cumsum(lengths, dtype="int64"), np.array(seconds, "int64")
    return Tokens(np.concatenate(chunks), ends, np.array(uncut, "int64"), before if seconds else None)


def _uncut_pairs(encoded: Any, columns: list[list[str]], tokenizer: Any, max_length: int) -> list[int]:
    """Returns the tokens of pairs before truncation: those that reach `max_length` are tokenized again, whole."""
    lengths = [len(row) for row in encoded["input_ids"]]
    full = [i for i, length in enumerate(lengths) if length == max_length]
    if full:
        whole = tokenizer(
            *([column[i] for i in full] for column in columns), return_attention_mask=False, verbose=False
        )
        for i, ids in zip(full, whole["input_ids"], strict=True):
            lengths[i] = len(ids)
    return lengths


def _cut_off(encoding: Any) -> int:
    """Returns how many tokens of a text were cut off: the tokenizer keeps them, in parts with special tokens of their own."""
    return sum(len(part.ids) - sum(part.special_tokens_mask) for part in encoding.overflowing)


def resolve_max_length(max_length: int | None, config, source: str | Path, default: int = MAX_LENGTH) -> int:
    """Returns `max_length`, or if it is None the default, reduced to the model's number of positions if that is smaller.

    Raises: ValueError unless the model of `config` has positions for `max_length` tokens; `source` names the model.
    """
    positions = families.positions(config)
    max_length = min(default, positions) if max_length is None else operator.index(max_length)
    if not 3 <= max_length <= positions:
        raise ValueError(
            f"`max_length` must lie between 3 and {positions}, the number of positions of {source}. "
            f"Received: max_length={max_length}"
        )
    return max_length
