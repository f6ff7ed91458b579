"""What is searched: names, ranges, defaults."""

from typing import Any

import keras_tuner
import numpy as np

from bert_tf.training.recipe import LEARNING_RATE_RANGES, Recipe

# What is searched unless one says otherwise.
SPACE: dict[str, Any] = {
    "unfreeze": 0,
    "warmup": [0.0, 0.1],
    "weight_decay": [0.0, 0.01, 0.1],
    "dropout": [0.1, 0.2, 0.3, 0.5],
    "batch_size": [16, 32, 64],
}


# The space


def checked_space(name: str, values: Any) -> Any:
    """Returns values of the space in the form that `_ask` takes, as JSON has them: a value, a list, a pair."""
    if isinstance(values, tuple):
        if len(values) != 2 or not all(isinstance(v, (int, float)) for v in values) or not values[0] < values[1]:
            raise ValueError(f"`{name}`: a range is a pair (lowest, highest). Received: {name}={values!r}")
        if name == "unfreeze":
            raise ValueError(f"`unfreeze` is one value or a list. Received: unfreeze={values!r}")
    elif isinstance(values, (list, np.ndarray)):
        values = [v.item() if hasattr(v, "item") else v for v in values]
        if not values or len(set(map(str, values))) < len(values):
            raise ValueError(f"`{name}`: a list of different values is needed. Received: {name}={values!r}")
        if len(values) == 1:
            values = values[0]
    value: Any
    for value in trial_values(values):
        if name == "unfreeze":
            if value != "all" and (not isinstance(value, int) or value < 0):
                raise ValueError(f"`unfreeze` is a number of layers or 'all'. Received: unfreeze={value!r}")
        elif isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f"`{name}` takes numbers. Received: {name}={value!r}")
        elif name == "dropout" and not 0 <= value < 1:
            raise ValueError(f"`dropout` is a share, from 0 to below 1. Received: dropout={value}")
        elif name == "batch_size" and not isinstance(value, int):
            raise ValueError(f"`batch_size` is a number of texts. Received: batch_size={value}")
        elif name != "dropout":
            numbers: dict[str, Any] = {"epochs": 1, "learning_rate": 1.0, name: value}
            Recipe(**numbers)  # raises for what is out of range
    return values


def trial_values(values: Any) -> list:
    return list(values) if isinstance(values, (list, tuple)) else [values]


def learning_rate_range(given: Any, depths: list) -> list[tuple[str, Any, list]]:
    """Returns `(name, values, depths)` of the learning rates in the space: one for a frozen base, one otherwise.

    A learning rate that is given holds for all depths.
    """
    if given is not None:
        return [("learning_rate", given, depths)]
    parts = {"frozen": [d for d in depths if d == 0], "unfrozen": [d for d in depths if d != 0]}
    parts = {name: part for name, part in parts.items() if part}
    return [
        ("learning_rate" if len(parts) == 1 else f"learning_rate_{name}", LEARNING_RATE_RANGES[name == "frozen"], part)
        for name, part in parts.items()
    ]


def ask(hp: keras_tuner.HyperParameters, name: str, values: Any, default: Any) -> Any:
    """Asks for one value of the space."""
    if isinstance(values, tuple):
        default = min(max(default, values[0]), values[1])
        if name == "batch_size":
            return hp.Int(name, *values, default=default)
        log = "log" if name.startswith("learning_rate") else "linear"
        found = hp.Float(name, *map(float, values), sampling=log, default=float(default))
        return None if found is None else float(f"{found:.6g}")  # between chief and worker it is a float of 32 bits
    if not isinstance(values, list):
        return values
    if name == "unfreeze":  # KerasTuner wants choices of one type
        found = hp.Choice(name, [str(value) for value in values], default=str(default))
        return found if found == "all" else int(found)
    kind = int if name == "batch_size" else float
    nearest = min(values, key=lambda value: abs(value - default))
    found = hp.Choice(name, [kind(value) for value in values], default=kind(nearest))
    return None if found is None else kind(min(values, key=lambda value: abs(value - found)))
