"""Batches of texts of similar length, in plain NumPy, for every backend."""

import sys
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from bert_tf.data.tokenizer import Tokens

# Steps of 8 (rows of whole vectors) for short texts, coarser for long ones, where a step matters less: 25 up to 512.
LENGTHS = (*range(8, 129, 8), *range(144, 257, 16), *range(288, 513, 32))
COMPILED_LENGTHS = (16, 32, 64, 96, 128, 192, 256, 384, 512)  # for JAX, which compiles each anew, for seconds
WINDOW = 50  # batches that are sorted by length together: large enough for even lengths, small enough to stay random
IN_MEMORY = 2**28  # bytes of pooled features that are held as one tensor: gathered in the graph, 3 times as fast


def fits_in_memory(features: Any) -> bool:
    """Returns whether features are pooled and few enough to be held as one tensor."""
    return bool(features.pooled) and len(features) * features.width * features.dtype.itemsize <= IN_MEMORY


def padded(length: int, widest: int) -> int:
    """Returns the tokens to which a batch is padded whose longest text has `length`, and the longest of all `widest`."""
    steps = COMPILED_LENGTHS if keras.backend.backend() == "jax" else LENGTHS
    return min(next((step for step in steps if step >= length), length), widest)


def split_batches(batches: list[np.ndarray], count: int) -> Iterator[np.ndarray]:
    """Splits each batch into `count` parts; a batch too small for that is first joined to the one before it."""
    small = next((i for i, batch in enumerate(batches) if len(batch) < count), None)
    if small is not None and len(batches) > 1:
        rest = batches.pop(small)
        batches[small - 1] = np.concatenate([batches[small - 1], rest])
    for batch in batches:
        yield from (part for part in np.array_split(batch, count) if len(part))


def shuffled_batches(lengths: np.ndarray, batch_size: int, seed: int, epoch: int) -> list[np.ndarray]:
    """Returns the batches of one epoch as indices: random, each of similar lengths.

    Texts are shuffled, sorted by length within windows of `WINDOW` batches, cut into batches, and the batches shuffled.

    Args:
        lengths: int `(N,)`.
    Returns: ceil(N / batch_size) int64 arrays with each index once; at most one is smaller than `batch_size`.
    """
    generator = np.random.default_rng((seed, epoch))
    order = generator.permutation(len(lengths))
    for start in range(0, len(order), WINDOW * batch_size):
        part = order[start : start + WINDOW * batch_size]  # a view
        part[:] = part[np.argsort(lengths[part], kind="stable")]
    batches = np.split(order, range(batch_size, len(order), batch_size))
    return [batches[i] for i in generator.permutation(len(batches))]


def by_length(tokens: Tokens) -> np.ndarray:
    """Returns the indices of the texts from short to long, int64 `(N,)`: the order with the least padding."""
    return np.argsort(tokens.lengths, kind="stable")


def token_batches(lengths: np.ndarray, budget: int, most: int = sys.maxsize) -> list[np.ndarray]:
    """Groups texts into batches of similar length and at most `budget` tokens including padding, the longest first.

    The number of rows depends on the width alone, so that compiled backends see few shapes.

    Args:
        lengths: int `(N,)`.
        budget, most: int, the most tokens and texts in a batch; a text longer than `budget` is a batch of its own.
    Returns: int64 arrays of indices, each index once.
    """
    order = np.argsort(-lengths, kind="stable")
    batches, start, widest = [], 0, int(lengths.max(initial=0))
    while start < len(order):
        rows = min(max(budget // padded(int(lengths[order[start]]), widest), 1), most)
        batches.append(order[start : start + rows])
        start += rows
    return batches


def feature_inputs(features: Any, texts: np.ndarray) -> dict[str, np.ndarray]:
    """Returns some of the `Features` as inputs of a model: `features` `(B, D)` if they are pooled, else `(B, T, D)` and their
    `attention_mask`."""
    if features.pooled:
        return {"features": np.stack([features[i] for i in texts])}
    return dict(zip(("features", "attention_mask"), padded_batch(features, texts), strict=True))


def padded_batch(source: Any, texts: np.ndarray, fill: int = 0) -> tuple[np.ndarray, ...]:
    """Returns some of the `Tokens` or hidden states of `source`, `(B, T, ...)`, and their mask, int32 `(B, T)`; of pairs of texts
    also the token types, int32 `(B, T)`. `fill` stands at padding."""
    lengths = source.lengths[texts]
    mask = np.arange(padded(int(lengths.max()), int(source.lengths.max()))) < lengths[:, None]
    values = np.concatenate([source[i] for i in texts])
    batch = np.full((*mask.shape, *values.shape[1:]), fill, values.dtype)
    batch[mask] = values
    if (seconds := getattr(source, "seconds", None)) is None:
        return batch, mask.astype("int32")
    types = mask & (np.arange(mask.shape[1]) >= seconds[texts][:, None])
    return batch, mask.astype("int32"), types.astype("int32")
