"""Labels among the inputs of a model, moved to where Keras expects them."""

from collections.abc import Mapping

import numpy as np

LABEL_KEYS = ("labels", "label", "label_ids")  # transformers' names for labels among the inputs


def labels_to_y(x, y=None) -> tuple:
    """Moves labels from the inputs, where transformers has them, to `y`, where Keras needs them for sample weights.

    Args:
        x: dict or `BatchEncoding` of arrays, or a `tf.data.Dataset`; anything else is returned unchanged.
        y: labels; if given, labels inside `x` are dropped.
    Returns: `(x, y)`.
    """
    if hasattr(x, "element_spec") and hasattr(x, "map"):
        inputs = x.element_spec[0] if isinstance(x.element_spec, tuple) else x.element_spec
        if isinstance(inputs, dict) and any(key in inputs for key in LABEL_KEYS):
            x = x.map(lambda x, y=None, *weights: (*labels_to_y(x, y), *weights))
    elif hasattr(x, "keys"):
        x = {name: np.asarray(value) if isinstance(value, list) else value for name, value in dict(x).items()}
        inside = [x.pop(key) for key in LABEL_KEYS if key in x]
        y = inside[0] if y is None and inside else y
    return x, np.asarray(y) if isinstance(y, list) else y


def labels_of(x, y=None):
    """Returns the labels of a batch, from `y` or `x`, for batches that have not passed through `labels_to_y`."""
    if y is None and isinstance(x, Mapping):
        return next((x[key] for key in LABEL_KEYS if key in x), None)
    return y
