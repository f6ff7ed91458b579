"""Batches as a `tf.data.Dataset`: what `bert_tf.batches` gives on TensorFlow."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from bert_tf.data.bucketing import LENGTHS, feature_inputs, fits_in_memory
from bert_tf.data.tokenizer import Tokens
from bert_tf.hardware import keep_memory_on

Order = Callable[[], list[np.ndarray]]


def dataset(source: Any, targets: Sequence[np.ndarray], order: Order, count: int, pad_token_id: int) -> tf.data.Dataset:
    """Returns `count` batches of `Tokens` or `Features` and their targets; `order()` gives those of the next epoch, as indices."""
    if isinstance(source, Tokens):
        made = _gathered(order, targets, _token_inputs(source, pad_token_id))
    elif fits_in_memory(source):
        rows = tf.constant(np.stack([source[i] for i in range(len(source))]))  # (N, D)
        made = _gathered(order, targets, lambda chosen: {"features": tf.gather(rows, chosen)})
    else:
        made = _feature_batches(order, targets, source)
    return made.apply(tf.data.experimental.assert_cardinality(count)).prefetch(tf.data.AUTOTUNE)


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


def _gathered(order: Order, targets, inputs_of: Callable) -> tf.data.Dataset:
    """Returns batches that `inputs_of` makes of indices, int64 `(B,)`, in the graph; Python is called once per epoch."""
    columns = [tf.constant(target) for target in targets]

    def epoch() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        keep_memory_on()
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


def _feature_batches(order: Order, targets, features) -> tf.data.Dataset:
    def read() -> Iterator[Any]:
        keep_memory_on()
        for chosen in order():
            inputs = feature_inputs(features, chosen)
            yield (inputs, *(target[chosen] for target in targets)) if targets else inputs

    axes = [None] if features.pooled else [None, None]
    inputs = {"features": tf.TensorSpec([*axes, features.width], tf.as_dtype(features.dtype))}
    if not features.pooled:
        inputs["attention_mask"] = tf.TensorSpec(axes, "int32")
    specs = [tf.TensorSpec([None, *target.shape[1:]], target.dtype) for target in targets]
    return tf.data.Dataset.from_generator(read, output_signature=(inputs, *specs) if specs else inputs)
