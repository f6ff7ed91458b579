"""Tokens or features as padded, length-bucketed batches: a `tf.data.Dataset` on TensorFlow, else a `keras.utils.PyDataset`.

Reviews differ much in length; padding all to the longest doubles or triples the work. Here texts of similar length share a
batch, which is padded to the next of a small set of lengths, so that compiled backends see few shapes.
"""

import itertools
from typing import Any

import keras
import numpy as np

from bert_tf.data.bucketing import shuffled_batches, split_batches
from bert_tf.data.numpy_batches import Batches


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
) -> Any:
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
    Returns: `(inputs, labels)`, or `(inputs, labels, weights)`, as a `tf.data.Dataset` with known cardinality; on JAX and PyTorch a
        `keras.utils.PyDataset` of NumPy arrays. The inputs are int32 `(B, T)` `input_ids` and `attention_mask`, of pairs of texts `token_type_ids` too; instead of the ids `features` `(B, T, D)`, or if pooled `(B, D)` without a mask.
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

    def order(epoch: int) -> list[np.ndarray]:
        """Returns the batches of an epoch, as indices."""
        if shuffle:
            chosen = shuffled_batches(source.lengths, batch_size, seed, epoch)
        else:
            chosen = np.split(np.arange(len(source)), range(batch_size, len(source), batch_size))
        return list(split_batches(chosen, micro_batches)) if micro_batches > 1 else chosen

    steps = -(-len(source) // batch_size)
    if micro_batches > 1 and 0 < len(source) % batch_size < micro_batches and steps > 1:
        steps -= 1
    count = min(steps * micro_batches, len(source))
    if keras.backend.backend() == "tensorflow":
        from bert_tf.data.tensorflow_batches import dataset

        return dataset(source, targets, lambda: order(next(epochs)), count, pad_token_id)
    return Batches(source, targets, order, count, first_epoch, pad_token_id)
