"""Rows of tokenized texts, collated into batches as in transformers 4."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bert_tf.data.labels import LABEL_KEYS, labels_of

if TYPE_CHECKING:
    import tensorflow as tf


def as_tensor(array) -> "tf.Tensor":
    import tensorflow as tf

    array = np.asarray(array)
    return tf.constant(array.astype("int32") if array.dtype.kind == "i" else array)


class DataCollatorWithPadding:
    """Collates tokenized texts into a batch, padded to the longest.

    Differs from transformers: `return_tensors` is "tf" by default.

    Args:
        tokenizer: the tokenizer of the texts.
        padding, max_length, pad_to_multiple_of: as for its `pad`.
        return_tensors: "tf" or "np".
    Call arguments:
        features: list of dicts, one per text; "label" and "label_ids" become "labels".
    Returns: dict of tensors `(B, T)`, and `labels`.
    """

    def __init__(self, tokenizer, padding=True, max_length=None, pad_to_multiple_of=None, return_tensors="tf"):
        self.tokenizer = tokenizer
        self.padding = {"padding": padding, "max_length": max_length, "pad_to_multiple_of": pad_to_multiple_of}
        self.return_tensors = return_tensors

    def __call__(self, features: Sequence[Mapping]) -> dict:
        texts = [{name: value for name, value in row.items() if name not in LABEL_KEYS} for row in features]
        batch = dict(self.tokenizer.pad(texts, **self.padding, return_tensors="np"))
        labels = [labels_of(row) for row in features]
        if labels and labels[0] is not None:
            batch["labels"] = np.asarray(labels)
        return {name: as_tensor(array) for name, array in batch.items()} if self.return_tensors == "tf" else batch


def _stack(features: Sequence[Mapping]) -> dict:
    """Collates rows of equal length into a batch."""
    names = {name: "labels" if name in LABEL_KEYS else name for name in features[0]}
    try:
        return {new: np.stack([np.asarray(row[name]) for row in features]) for name, new in names.items()}
    except ValueError as error:
        problem = f"The texts of a batch differ in length ({error})."
        raise ValueError(f"{problem} Pass tokenizer=... to have them padded.") from error


def prepare_tf_dataset(
    model,
    dataset,
    batch_size: int = 8,
    shuffle: bool = True,
    tokenizer=None,
    collate_fn: Callable | None = None,
    collate_fn_args: Mapping | None = None,
    drop_remainder: bool | None = None,
    prefetch: bool = True,
) -> "tf.data.Dataset":
    """Returns batches for `fit` from rows of tokenized texts, such as a `datasets.Dataset`.

    For code that has such rows; `bert_tf.batches` gives batches with less padding.

    Args:
        model: columns that its `call` does not take are dropped.
        dataset: a sequence of dicts.
        batch_size: int.
        shuffle: whether each epoch has a new random order, from NumPy's global generator.
        tokenizer: pads each batch to its longest text; None = all rows have the same length.
        collate_fn: turns a list of rows into a batch, instead of padding; `collate_fn_args` are its keyword arguments.
        drop_remainder: whether a smaller last batch is dropped; None = if shuffling, as in transformers 4.
        prefetch: bool.
    Returns: `tf.data.Dataset` of (inputs, labels), or of inputs if there are no labels.
    Raises: ValueError if there are no rows, or rows of different lengths without a tokenizer.
    """
    import tensorflow as tf

    if not len(dataset):
        raise ValueError("`dataset` has no rows.")
    accepted = {"input_ids", "attention_mask", "inputs_embeds", *LABEL_KEYS}
    if model.encoder.embeddings.token_type_embeddings is not None:
        accepted.add("token_type_ids")
    collate = collate_fn or (_stack if tokenizer is None else DataCollatorWithPadding(tokenizer, return_tensors="np"))
    drop_remainder = shuffle if drop_remainder is None else drop_remainder
    if batch_size < 1 or (drop_remainder and len(dataset) < batch_size):
        raise ValueError(
            f"No batch is possible: {len(dataset)} rows, batch_size={batch_size}, drop_remainder={drop_remainder}."
        )
    if not accepted & set(dataset[0]):
        raise ValueError(f"The model takes none of the columns {', '.join(dataset[0])}. Tokenize the texts first.")
    steps = len(dataset) // batch_size if drop_remainder else -(-len(dataset) // batch_size)

    def batch(indices) -> Any:
        rows = [{name: value for name, value in dataset[int(i)].items() if name in accepted} for i in indices]
        collated = dict(collate(rows, **(collate_fn_args or {})))
        inputs = {name: np.asarray(value) for name, value in collated.items()}
        labels = next((inputs.pop(key) for key in LABEL_KEYS if key in inputs), None)
        return inputs if labels is None else (inputs, labels)

    def batches() -> Iterator:
        order = np.random.permutation(len(dataset)) if shuffle else np.arange(len(dataset))
        for step in range(steps):
            yield batch(order[step * batch_size : (step + 1) * batch_size])

    example = batch(range(min(batch_size, len(dataset))))
    spec = tf.nest.map_structure(lambda array: tf.TensorSpec([None] * array.ndim, array.dtype), example)
    batched = tf.data.Dataset.from_generator(batches, output_signature=spec)
    batched = batched.apply(tf.data.experimental.assert_cardinality(steps))
    return batched.prefetch(tf.data.AUTOTUNE) if prefetch else batched
