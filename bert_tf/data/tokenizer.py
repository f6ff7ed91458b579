"""Texts to token ids, by the checkpoint's own fast tokenizer from transformers."""

import operator
import os
from collections.abc import Iterable, Sequence, Sized
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from bert_tf.checkpoints import locate

CHUNK = 1000  # texts handed to the tokenizer at once: enough for its threads, little to hold


SHOW_PROGRESS_FROM = 10_000  # texts; fewer take a second or two


@dataclass(frozen=True)
class Tokens:
    """The token ids of N texts, without padding.

    Attributes:
        ids: int32 `(total,)`, all texts one after the other.
        ends: int64 `(N,)`, where each text ends in `ids`.
        uncut: int64 `(N,)`, how many tokens each text had before it was cut; None = not known.
    """

    ids: np.ndarray
    ends: np.ndarray
    uncut: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, i: int) -> np.ndarray:
        """Returns the ids of text `i`, int32 `(length,)`."""
        return self.ids[self.ends[i - 1] if i else 0 : self.ends[i]]

    @cached_property
    def lengths(self) -> np.ndarray:
        """Number of tokens of each text, int64 `(N,)`."""
        return np.diff(self.ends, prepend=0)

    def take(self, indices: np.ndarray) -> "Tokens":
        """Returns the tokens of the texts at `indices`, in that order."""
        chosen = [self[i] for i in indices]
        return Tokens(
            np.concatenate(chosen) if chosen else self.ids[:0],
            np.cumsum(self.lengths[indices]),
            None if self.uncut is None else self.uncut[indices],
        )


def join(*parts: Tokens) -> Tokens:
    """Returns the texts of several `Tokens`, one after the other, as one."""
    uncut = [part.uncut for part in parts if part.uncut is not None]
    return Tokens(
        np.concatenate([part.ids for part in parts]),
        np.cumsum(np.concatenate([part.lengths for part in parts]), dtype="int64"),
        np.concatenate(uncut) if len(uncut) == len(parts) else None,
    )


def load_tokenizer(source: str | os.PathLike, **hub):
    """Loads the tokenizer of a checkpoint.

    Args:
        source: folder, hub name or `"minilm"`.
        **hub: options of `bert_tf.checkpoints.locate.resolve`.
    Returns: a fast tokenizer of transformers.
    Raises: FileNotFoundError if the checkpoint has no tokenizer; ValueError if it has no fast one.
    """
    from transformers import AutoTokenizer

    folder = locate.resolve(source, **hub)
    if not any((folder / name).is_file() for name in ("tokenizer.json", "vocab.txt")):
        raise FileNotFoundError(
            f"{folder}: no tokenizer here (tokenizer.json or vocab.txt). Save it beside the model: "
            "tokenizer.save_pretrained(folder)."
        )
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if not tokenizer.is_fast:
        raise ValueError(
            f"{folder}: its tokenizer has no fast form (tokenizer.json). Save it with a newer transformers."
        )
    return tokenizer


def tokenize(texts: Iterable[str], tokenizer, max_length: int) -> Tokens:
    """Turns texts into ids, `[CLS]` and `[SEP]` added, cut at `max_length`. Reads `texts` as a stream.

    Args:
        texts: str, N of them.
        tokenizer: a fast tokenizer of transformers.
        max_length: int, the most tokens of a text, the two special ones counted.
    Returns: `Tokens` of N texts.
    """
    from tqdm import tqdm

    total = len(texts) if isinstance(texts, Sized) else None
    chunks: list[np.ndarray] = []
    lengths: list[int] = []
    uncut: list[int] = []
    with tqdm(total=total, desc="Tokenizing", unit=" texts", disable=(total or 0) < SHOW_PROGRESS_FROM) as progress:
        remaining = iter(texts)
        while chunk := list(islice(remaining, CHUNK)):
            found = tokenizer(chunk, truncation=True, max_length=max_length, return_attention_mask=False)
            rows = found["input_ids"]
            lengths += [len(row) for row in rows]
            uncut += [len(row) + _cut_off(row, found.encodings[i], max_length) for i, row in enumerate(rows)]
            chunks.append(np.concatenate([np.asarray(row, "int32") for row in rows]))
            progress.update(len(chunk))
    ids = np.concatenate(chunks) if chunks else np.zeros(0, "int32")
    return Tokens(ids, np.cumsum(lengths, dtype="int64"), np.array(uncut, "int64"))


def _cut_off(row: Sequence[int], encoding: Any, max_length: int) -> int:
    """Returns how many tokens of a text were cut: the tokenizer keeps them, in parts with special tokens of their own."""
    if len(row) < max_length:
        return 0
    return sum(len(part.ids) - sum(part.special_tokens_mask) for part in encoding.overflowing)


def resolve_max_length(max_length: int | None, config, source: str | Path) -> int:
    """Returns `max_length`, or for None 256 or as many as the model has positions; raises as `check_max_length`."""
    positions = config.max_position_embeddings
    max_length = min(256, positions) if max_length is None else operator.index(max_length)
    check_max_length(max_length, config, source)
    return max_length


def check_max_length(max_length: int, config, source: str | Path) -> None:
    """Raises ValueError unless the model of `config` has positions for `max_length` tokens."""
    positions = config.max_position_embeddings
    if not 3 <= max_length <= positions:
        raise ValueError(
            f"`max_length` must lie between 3 and {positions}, the positions of {source}. "
            f"Received: max_length={max_length}"
        )
