"""Batches of texts of like length, in plain NumPy."""

import sys
from collections.abc import Iterator

import numpy as np

from bert_tf.data.tokenizer import Tokens

# Steps of 8 (rows that are whole vectors) while texts are short, coarser where a step weighs less: 25 shapes up to 512.
LENGTHS = (*range(8, 129, 8), *range(144, 257, 16), *range(288, 513, 32))


WINDOW = 50  # batches that are sorted by length together: large enough for even lengths, small enough to stay random


def padded(length: int, widest: int) -> int:
    """Returns the length that a batch gets whose longest text has `length` tokens, and the longest of all `widest`."""
    return min(next((step for step in LENGTHS if step >= length), length), widest)


def split_inputs(whole: list[np.ndarray], count: int) -> Iterator[np.ndarray]:
    """Cuts each batch into `count` parts; one too small for that goes along with the batch before it."""
    small = [i for i, batch in enumerate(whole) if len(batch) < count]
    if small and len(whole) > 1:
        (i,) = small
        left = whole.pop(i)
        whole[i - 1] = np.concatenate([whole[i - 1], left])
    for batch in whole:
        yield from (part for part in np.array_split(batch, count) if len(part))


def shuffled_batches(lengths: np.ndarray, batch_size: int, seed: int, epoch: int) -> list[np.ndarray]:
    """Returns the batches of one epoch, as indices: random, and each of like lengths.

    All texts are shuffled, sorted by length within windows of `WINDOW` batches, cut into batches, and these shuffled.

    Args:
        lengths: int `(N,)`.
    Returns: ceil(N / batch_size) arrays, int64, each index once; only one of them may be smaller than `batch_size`.
    """
    generator = np.random.default_rng((seed, epoch))
    order = generator.permutation(len(lengths))
    window = WINDOW * batch_size
    for start in range(0, len(order), window):
        part = order[start : start + window]
        order[start : start + window] = part[np.argsort(lengths[part], kind="stable")]
    found = np.split(order, range(batch_size, len(order), batch_size))
    return [found[i] for i in generator.permutation(len(found))]


def by_length(tokens: Tokens) -> np.ndarray:
    """Returns the indices of the texts from short to long, int64 `(N,)`: evaluated in this order, padding is least."""
    return np.argsort(tokens.lengths, kind="stable")


def token_batches(lengths: np.ndarray, budget: int, most: int = sys.maxsize) -> list[np.ndarray]:
    """Cuts texts into batches of like length and at most `budget` tokens, padding counted; the longest come first.

    The number of rows is decided by the width alone, so that compiled backends see few shapes.

    Args:
        lengths: int `(N,)`.
        budget, most: int, tokens and texts that a batch may have; a text longer than `budget` is one alone.
    Returns: int64 arrays of indices, each index once.
    """
    order = np.argsort(-lengths, kind="stable")
    found, start = [], 0
    widest = int(lengths.max(initial=0))
    while start < len(order):
        rows = min(max(budget // padded(int(lengths[order[start]]), widest), 1), most)
        found.append(order[start : start + rows])
        start += rows
    return found


def padded_batch(tokens: Tokens, texts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns `(input_ids, attention_mask)` of some texts, int32 `(B, T)`."""
    lengths = tokens.lengths[texts]
    width = padded(int(lengths.max()), int(tokens.lengths.max()))
    attention_mask = (np.arange(width) < lengths[:, None]).astype("int32")
    input_ids = np.zeros_like(attention_mask)
    input_ids[attention_mask == 1] = np.concatenate([tokens[i] for i in texts])
    return input_ids, attention_mask
