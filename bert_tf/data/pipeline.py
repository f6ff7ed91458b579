"""Tokens or features as a `tf.data.Dataset` of padded, length-bucketed batches.

Reviews differ much in length; padding all to the longest doubles or triples the work. Here texts of similar length share a
batch, which is padded to the next of a small set of lengths, so that compiled backends see few shapes.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from bert_tf.data.bucketing import LENGTHS, fits_in_memory, padded_batch, shuffled_batches, split_batches
from bert_tf.data.tokenizer import Tokens


def batches(
    source: Any,
    labels: np.ndarray | None = None,
    *,
    batch_size: int = 32,
    micro_batches: int = 1,
    shuffle: bool = False,
    seed: int = 0,
    first_epoch: int = 0,
    pad_token_id: int = 0,
    weights: np.ndarray | None = None,
) -> tf.data.Dataset:
    """Returns a dataset for `fit`, `evaluate` and `predict`.

    Args:  (N = texts, B = batch, T = tokens, one of `LENGTHS` or the length of the longest text)
        source: `Tokens` of N texts, or their `Features`.
        labels: `(N,)`; None = a dataset of inputs only, for `predict`.
        batch_size: int; the last batch may be smaller.
        micro_batches: int, the number of parts each batch is split into, for an optimizer's `gradient_accumulation_steps`.
        shuffle: bool. True: a new random order each epoch, texts of similar length together. False: the given order.
        seed: int; the order of epoch k depends on `seed` and k only.
        first_epoch: int, the epoch of the first iteration, for a resumed run.
        pad_token_id: int, the padding of `input_ids`.
        weights: float `(N,)`, how much each text counts, Keras' `sample_weight`; None = all the same.
    Returns: `tf.data.Dataset` of `(inputs, labels)`, or `(inputs, labels, weights)`, with known cardinality. The inputs are int32 `(B, T)` `input_ids` and
        `attention_mask`, of pairs of texts `token_type_ids` too; instead of the ids `features` `(B, T, D)`, or if pooled `(B, D)` without a mask.
    Raises: ValueError if the sizes do not fit.

    >>> from bert_tf.data.tokenizer import Tokens
    >>> two = Tokens(np.array([101, 7, 102, 101, 102], "int32"), np.array([3, 5]))
    >>> next(iter(batches(two, np.array([1, 0])))[0]["attention_mask"].numpy()
    array([[1, 1, 1],
           [1, 1, 0]], dtype=int32)
    """
    if labels is not None and len(labels) != len(source):
        raise ValueError(f"Each text needs one label. Received: {len(source)} texts, {len(labels)} labels")
    if weights is not None and (labels is None or len(weights) != len(source)):
        raise ValueError(f"Each text needs a label and a weight. Received: {len(source)} texts, {len(weights)} weights")
    targets = tuple(part for part in (labels, weights) if part is not None)
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be at least 1. Received: batch_size={batch_size}")
    if not 1 <= micro_batches <= batch_size:
        raise ValueError(
            f"`micro_batches` must lie between 1 and `batch_size`. Received: {micro_batches}, batch_size={batch_size}"
        )
    epochs = itertools.count(first_epoch)

    def order() -> list[np.ndarray]:
        """Returns the batches of the next epoch, as indices."""
        if shuffle:
            chosen = shuffled_batches(source.lengths, batch_size, seed, next(epochs))
        else:
            chosen = np.split(np.arange(len(source)), range(batch_size, len(source), batch_size))
        return list(split_batches(chosen, micro_batches)) if micro_batches > 1 else chosen

    if isinstance(source, Tokens):
        dataset = _gathered(order, targets, _token_inputs(source, pad_token_id))
    elif fits_in_memory(source):
        rows = tf.constant(np.stack([source[i] for i in range(len(source))]))  # (N, D)
        dataset = _gathered(order, targets, lambda chosen: {"features": tf.gather(rows, chosen)})
    else:
        dataset = _feature_batches(order, targets, source)
    steps = -(-len(source) // batch_size)
    if micro_batches > 1 and 0 < len(source) % batch_size < micro_batches and steps > 1:
        steps -= 1
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(min(steps * micro_batches, len(source))))
    return dataset.prefetch(tf.data.AUTOTUNE)


def checked_labels(dataset: tf.data.Dataset, classes: int) -> tf.data.Dataset:
    """Returns the same batches; one with a label outside 0 to `classes` - 1 raises an error that says so.

    Args:
        dataset: of `(inputs, labels)` or `(inputs, labels, weights)`; others are returned as they are.
    """
    spec = dataset.element_spec
    if not (
        isinstance(spec, tuple) and len(spec) > 1 and isinstance(spec[1], tf.TensorSpec) and spec[1].dtype.is_integer
    ):
        return dataset

    def check(inputs, labels, *weights):
        problem = (
            f"Labels must lie between 0 and {classes - 1}: the model has {classes} classes (num_labels). Received:"
        )
        fits = tf.reduce_all((labels >= 0) & (labels < classes))
        with tf.control_dependencies([tf.debugging.Assert(fits, [problem, labels])]):
            return (inputs, tf.identity(labels), *weights)

    return dataset.map(check)


def _gathered(order: Callable[[], list[np.ndarray]], targets, inputs_of: Callable) -> tf.data.Dataset:
    """Returns batches that `inputs_of` makes of indices, int64 `(B,)`, in the graph; Python is called once per epoch."""
    columns = [tf.constant(target) for target in targets]

    def epoch() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        chosen = order()
        yield np.concatenate(chosen or [np.zeros(0, "int64")]), np.cumsum([0, *map(len, chosen)])

    def cut(chosen, ends):
        return tf.data.Dataset.range(tf.size(ends, "int64") - 1).map(lambda i: chosen[ends[i] : ends[i + 1]])

    def gather(chosen):
        inputs = inputs_of(chosen)
        return (inputs, *(tf.gather(column, chosen) for column in columns)) if columns else inputs

    spec = tf.TensorSpec([None], "int64")
    indices = tf.data.Dataset.from_generator(epoch, output_signature=(spec, spec)).flat_map(cut)
    return indices.map(gather, num_parallel_calls=tf.data.AUTOTUNE)


def _token_inputs(tokens: Tokens, pad_token_id: int) -> Callable:
    starts, sizes, ids = map(tf.constant, (tokens.ends - tokens.lengths, tokens.lengths, tokens.ids))
    seconds = None if tokens.seconds is None else tf.constant(tokens.seconds)
    # No batch is wider than the longest text: the model may have no positions beyond it.
    widest = int(tokens.lengths.max(initial=0))
    allowed = tf.constant([length for length in LENGTHS if length < widest] + [widest], "int64")

    def inputs(chosen):
        size = tf.gather(sizes, chosen)
        width = allowed[tf.searchsorted(allowed, [tf.reduce_max(size)])[0]]
        positions = tf.range(width)[None, :]  # (1, T)
        real = positions < size[:, None]  # (B, T)
        where = tf.where(real, tf.gather(starts, chosen)[:, None] + positions, 0)
        ids_or_pad = tf.where(real, tf.gather(ids, where), pad_token_id)
        batch = {"input_ids": ids_or_pad, "attention_mask": tf.cast(real, "int32")}
        if seconds is not None:
            batch["token_type_ids"] = tf.cast(real & (positions >= tf.gather(seconds, chosen)[:, None]), "int32")
        return batch

    return inputs


def _feature_batches(order: Callable[[], list[np.ndarray]], targets, features) -> tf.data.Dataset:
    def read() -> Iterator[Any]:
        for chosen in order():
            if features.pooled:
                inputs = {"features": np.stack([features[i] for i in chosen])}
            else:
                inputs = dict(zip(("features", "attention_mask"), padded_batch(features, chosen), strict=True))
            yield (inputs, *(target[chosen] for target in targets)) if targets else inputs

    axes = [None] if features.pooled else [None, None]
    inputs = {"features": tf.TensorSpec([*axes, features.width], tf.as_dtype(features.dtype))}
    if not features.pooled:
        inputs["attention_mask"] = tf.TensorSpec(axes, "int32")
    specs = [tf.TensorSpec([None, *target.shape[1:]], target.dtype) for target in targets]
    return tf.data.Dataset.from_generator(read, output_signature=(inputs, *specs) if specs else inputs)
