"""Tokens to batches: a `tf.data.Dataset` of padded, length-bucketed batches.

Reviews differ much in length; padding all to the longest doubles or triples the work. Here texts of like length share a
batch, and a batch is padded to the next of a small fixed set of lengths, so that compiled backends see few shapes.
"""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from bert_tf.tokenizer import Tokens

# Steps of 8 (rows that are whole vectors) while texts are short, coarser where a step weighs less: 25 shapes up to 512.
LENGTHS = (*range(8, 129, 8), *range(144, 257, 16), *range(288, 513, 32))
WINDOW = 50  # batches that are sorted by length together: large enough for even lengths, small enough to stay random


def batches(
    tokens: Tokens,
    labels: np.ndarray | None = None,
    *,
    batch_size: int = 32,
    shuffle: bool = False,
    seed: int = 0,
    first_epoch: int = 0,
    lengths: Sequence[int] = LENGTHS,
    pad_token_id: int = 0,
) -> tf.data.Dataset:
    """Makes the dataset that `fit`, `evaluate` and `predict` take.

    Args:  (N = texts, B = batch, T = one of `lengths`)
        tokens: `Tokens` of N texts.
        labels: `(N,)`; None = a dataset of inputs alone, for `predict`.
        batch_size: int; the last batch may be smaller.
        shuffle: bool. True: another order each epoch, of batches and in them, texts of like length together.
            False: the given order.
        seed: int; the order of epoch k is decided by `seed` and k alone.
        first_epoch: int, number of the epoch that the first iteration stands for (a resumed run).
        lengths: int, the lengths a batch may have, beside that of the longest text.
        pad_token_id: int, what fills up `input_ids`.
    Returns: `tf.data.Dataset` of `({"input_ids", "attention_mask"}, labels)`, int32 `(B, T)`, with known cardinality.
    Raises: ValueError if the sizes do not fit.

    >>> from bert_tf.tokenizer import Tokens
    >>> two = Tokens(np.array([101, 7, 102, 101, 102], "int32"), np.array([3, 5]))
    >>> next(iter(batches(two, np.array([1, 0])))[0]["attention_mask"].numpy()
    array([[1, 1, 1],
           [1, 1, 0]], dtype=int32)
    """
    if labels is not None and len(labels) != len(tokens):
        raise ValueError(f"One label for each text is needed. Received: {len(tokens)} texts, {len(labels)} labels")
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be at least 1. Received: batch_size={batch_size}")
    epochs = itertools.count(first_epoch)

    def orders() -> Iterator[np.ndarray]:
        if shuffle:
            yield from shuffled_batches(tokens.lengths, batch_size, seed, next(epochs))
        else:
            yield from np.split(np.arange(len(tokens)), range(batch_size, len(tokens), batch_size))

    starts = tf.constant(tokens.ends - tokens.lengths)
    sizes = tf.constant(tokens.lengths)
    ids = tf.constant(tokens.ids)
    # The longest text of all is the widest a batch gets: a model may have no positions beyond it.
    widest = int(tokens.lengths.max(initial=0))
    allowed = tf.constant([length for length in sorted(lengths) if length < widest] + [widest], "int64")
    targets = None if labels is None else tf.constant(labels)

    def gather(chosen):
        size = tf.gather(sizes, chosen)
        width = allowed[tf.searchsorted(allowed, [tf.reduce_max(size)])[0]]
        positions = tf.range(width)[None, :]  # (1, T)
        real = positions < size[:, None]  # (B, T)
        where = tf.where(real, tf.gather(starts, chosen)[:, None] + positions, 0)
        inputs = {
            "input_ids": tf.where(real, tf.gather(ids, where), pad_token_id),
            "attention_mask": tf.cast(real, "int32"),
        }
        return inputs if targets is None else (inputs, tf.gather(targets, chosen))

    dataset = tf.data.Dataset.from_generator(orders, output_signature=tf.TensorSpec([None], "int64"))
    dataset = dataset.map(gather, num_parallel_calls=tf.data.AUTOTUNE)
    return dataset.apply(tf.data.experimental.assert_cardinality(-(-len(tokens) // batch_size))).prefetch(
        tf.data.AUTOTUNE
    )


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


def take(tokens: Tokens, indices: np.ndarray) -> Tokens:
    """Returns the tokens of the texts at `indices`, in that order."""
    chosen = [tokens[i] for i in indices]
    return Tokens(np.concatenate(chosen) if chosen else tokens.ids[:0], np.cumsum(tokens.lengths[indices]))
