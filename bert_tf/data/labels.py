"""Labels among the inputs of a model, moved to where Keras expects them."""

from collections.abc import Mapping, ValuesView
from typing import Any

import numpy as np

LABEL_KEYS = ("labels", "label", "label_ids")  # transformers' names for labels among the inputs


def named_inputs(x: Any) -> Any:
    """Returns `encoding.values()` as the dict that it is a view of, so that each tensor keeps its name; anything else as it is.

    Tokenizers put token types second, models take them third: as a list they would be mixed up.
    """
    if not isinstance(x, ValuesView):
        return x
    # The mapping of a dict's view, or of that of any other mapping.
    return dict(getattr(x, "mapping", None) or getattr(x, "_mapping"))  # noqa: B009


def _only_labels(y: Any) -> Any:
    """Returns the labels of a dict `{"labels": y}`, as transformers 4 allowed them; anything else as it is."""
    if not isinstance(y, Mapping):
        return y
    if len(y) == 1:
        return next(iter(y.values()))
    return next((y[key] for key in LABEL_KEYS if key in y), y)


def labels_to_y(x, y=None) -> tuple:
    """Moves labels from the inputs, where transformers has them, to `y`, where Keras needs them for sample weights.

    Args:
        x: dict, `BatchEncoding` or its `.values()`, or a `tf.data.Dataset`; anything else is returned unchanged.
        y: labels, or a dict of them alone; if given, labels inside `x` are dropped.
    Returns: `(x, y)`.
    """
    x, y = named_inputs(x), _only_labels(y)
    if hasattr(x, "element_spec") and hasattr(x, "map"):
        inputs, labels = (*x.element_spec, None)[:2] if isinstance(x.element_spec, tuple) else (x.element_spec, None)
        if isinstance(labels, dict) or (isinstance(inputs, dict) and any(key in inputs for key in LABEL_KEYS)):
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
    return _only_labels(y)
