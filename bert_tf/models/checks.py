"""What `fit`, `evaluate` and `predict` are given, checked before Keras turns a mistake into NaN or an error of its own."""

import warnings
from collections.abc import Mapping
from types import GeneratorType
from typing import Any

import keras
import numpy as np

from bert_tf.data.gates import class_numbers
from bert_tf.data.labels import labels_of, named_inputs


def check_inputs(x: Any) -> None:
    """Raises TypeError for raw texts, ValueError for a dataset without batches."""
    x = named_inputs(x)
    spec = getattr(x, "element_spec", None)
    if spec is not None:
        _check_batches(x, spec[0] if isinstance(spec, tuple) else spec)
        return
    first: Any = next(iter(x.values()), None) if isinstance(x, Mapping) else x
    if hasattr(first, "iloc") and len(first):  # a Series
        first = first.iloc[0]
    if isinstance(first, str) or (isinstance(first, (list, tuple)) and first and isinstance(first[0], str)):
        raise TypeError(RAW_TEXTS)
    if str(getattr(first, "dtype", "")).lstrip("<|")[:1] in ("U", "S") or "string" in str(getattr(first, "dtype", "")):
        raise TypeError(RAW_TEXTS)


RAW_TEXTS = (
    "A model takes token ids, not texts. Tokenize first: "
    "model.fit(dict(tokenizer(texts, padding=True, truncation=True, return_tensors='np')), labels)"
)


def _check_batches(dataset: Any, inputs: Any) -> None:
    ids = inputs.get("input_ids") if isinstance(inputs, Mapping) else inputs
    shape = getattr(ids, "shape", None)
    if "string" in str(getattr(ids, "dtype", "")):
        raise TypeError(RAW_TEXTS)
    if shape is not None and shape.rank is not None and shape.rank < 2:
        raise ValueError(
            f"A dataset must give batches, `input_ids` of shape (batch, tokens). Received: shape {tuple(shape)}. "
            "Batch it first: dataset.batch(32)"
        )
    if hasattr(dataset, "cardinality") and int(dataset.cardinality()) == 0:
        raise ValueError(NO_BATCH)


NO_BATCH = (
    "The dataset has not a single batch. With drop_remainder=True it needs at least as many texts as a batch has: lower the "
    "batch size."
)


def check_labels(y: Any, classes: int) -> None:
    """Raises ValueError for a label outside 0 to `classes` - 1, TypeError for words; only looks at arrays and lists."""
    if y is None or isinstance(y, Mapping) or not (isinstance(y, (list, tuple)) or hasattr(y, "shape")):
        return
    if hasattr(y, "shape") and not isinstance(y, np.ndarray):
        y = keras.ops.convert_to_numpy(y) if keras.ops.is_tensor(y) else np.asarray(y)
    class_numbers(y, classes)


def metric_list(metrics: Any) -> Any:
    """Returns a single metric as a list of it, which Keras wants; anything else as it is."""
    return metrics if metrics is None or isinstance(metrics, (list, tuple, dict)) else [metrics]


def takes_class_numbers(loss: Any) -> bool:
    """Whether a loss takes labels as class numbers, every one of them a class."""
    if isinstance(loss, str):
        return loss == "sparse_categorical_crossentropy"
    sparse = isinstance(loss, keras.losses.SparseCategoricalCrossentropy)
    return sparse and loss.get_config().get("ignore_class") is None


def with_checked_labels(x: Any, classes: int) -> Any:
    """Returns a `tf.data.Dataset`, PyDataset or generator that fails at the first label outside 0 to `classes` - 1; anything
    else as it is.

    Compiled by XLA a wrong label gives a NaN loss and ruins the weights, without an error.
    """
    if isinstance(x, keras.utils.PyDataset):
        return _CheckedBatches(x, classes)
    if isinstance(x, GeneratorType):
        return (_checked_batch(batch, classes) for batch in x)
    if not (hasattr(x, "element_spec") and hasattr(x, "map")):
        return x
    from bert_tf.data.tensorflow_batches import checked_labels

    return checked_labels(x, classes)


class _CheckedBatches(keras.utils.PyDataset):
    """A PyDataset with its labels checked."""

    def __init__(self, batches: keras.utils.PyDataset, classes: int):
        names = ("workers", "use_multiprocessing", "max_queue_size")
        super().__init__(**{name: getattr(batches, name) for name in names})
        self.batches, self.classes = batches, classes
        self.on_epoch_begin, self.on_epoch_end = batches.on_epoch_begin, batches.on_epoch_end

    @property
    def num_batches(self) -> int | None:
        return self.batches.num_batches

    def __getitem__(self, i: int) -> Any:
        return _checked_batch(self.batches[i], self.classes)


def _checked_batch(batch: Any, classes: int) -> Any:
    given = batch if isinstance(batch, (tuple, list)) else (batch,)
    check_labels(labels_of(*given[:2]), classes)
    return batch


def warn_of_probabilities(loss: Any) -> None:
    """Warns of a loss that takes probabilities: the models give logits."""
    names = ("sparse_categorical_crossentropy", "categorical_crossentropy", "binary_crossentropy")
    config = loss.get_config() if isinstance(loss, keras.losses.Loss) and hasattr(loss, "get_config") else {}
    if (isinstance(loss, str) and loss in names) or config.get("from_logits") is False:
        name = loss if isinstance(loss, str) else type(loss).__name__
        warnings.warn(
            f"The loss {name} takes probabilities, but the model gives logits: it will hardly learn. Leave `loss` out, or pass "
            "keras.losses.SparseCategoricalCrossentropy(from_logits=True).",
            stacklevel=3,
        )


def class_weight_by_index(given: Any, label_names: tuple[str, ...]) -> dict[int, float] | None:
    """Returns `class_weight` as Keras takes it, index -> weight.

    Args:
        given: a dict by index, by the name of the class, or, unless names are numbers, by index as text; or an array with a weight for each class, as
            scikit-learn's `compute_class_weight` gives.
        label_names: str, the classes.
    Raises: TypeError or ValueError that names what is no class.
    """
    if given is None:
        return None
    if not isinstance(given, Mapping):
        weights = np.asarray(given, dtype="object")
        if weights.shape != (len(label_names),):
            raise ValueError(
                f"`class_weight` must be a dict, class -> weight, or a weight for each of the {len(label_names)} classes. "
                f"Received: {type(given).__name__} of shape {weights.shape}"
            )
        return {i: float(weight) for i, weight in enumerate(weights)}
    found: dict[int, float] = {}
    for name, weight in given.items():
        place = _place(name, label_names)
        if place is None or place in found:
            problem = "is no class" if place is None else "is given twice"
            numbered = "" if _are_numbers(label_names) else f"0 to {len(label_names) - 1}: "
            raise ValueError(
                f"`class_weight`: {name!r} {problem}. The classes are {numbered}{', '.join(map(repr, label_names))}."
            )
        found[place] = float(weight)
    return found


def _place(name: Any, label_names: tuple[str, ...]) -> int | None:
    if isinstance(name, str):
        if name in label_names:
            return label_names.index(name)
        name = int(name) if name.strip().isdecimal() and not _are_numbers(label_names) else -1
    number = int(name) if hasattr(name, "__index__") or (hasattr(name, "is_integer") and name.is_integer()) else -1
    return number if 0 <= number < len(label_names) else None


def _are_numbers(label_names: tuple[str, ...]) -> bool:
    """Whether a class is called by a number, so that a number as text is a name and no index."""
    return any(name.strip().lstrip("+-").replace(".", "", 1).isdecimal() for name in label_names)
