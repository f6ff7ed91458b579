"""The space of a search: which values an option may take, and how a tuner is asked for one."""

from typing import TYPE_CHECKING, Any

from bert_tf.settings import Model, Training
from bert_tf.training.learning_rate import RANGES

if TYPE_CHECKING:  # the command line checks a space before it loads anything
    import keras_tuner

# The usual space; of learning rates `bert_tf.training.learning_rate.RANGES`. `unfreeze` first: it decides which there are.
SPACE: dict[str, Any] = {
    "unfreeze": 0,
    "warmup": [0.0, 0.1],
    "weight_decay": [0.0, 0.01, 0.1],
    "dropout": [0.1, 0.2, 0.3, 0.5],
    "batch_size": [16, 32, 64],
}


def checked_space(name: str, values: Any) -> Any:
    """Returns values of the space as JSON has them: one value, a list of several, or a pair, the ends of a range.

    Raises: ValueError for what is none of these, or a value that the option of that name does not take.
    """
    if isinstance(values, tuple):
        if len(values) != 2 or not all(isinstance(v, (int, float)) for v in values) or not values[0] < values[1]:
            raise ValueError(f"`{name}`: a range is a pair (lowest, highest). Received: {name}={values!r}")
        if name == "unfreeze":
            raise ValueError(f"`unfreeze` must be one value or a list. Received: unfreeze={values!r}")
    elif hasattr(values, "__len__") and not isinstance(values, str):  # a list, or an array
        values = [v.item() if hasattr(v, "item") else v for v in values]
        if not values or len(set(map(str, values))) < len(values):
            raise ValueError(f"`{name}`: the values of a list must differ. Received: {name}={values!r}")
        if len(values) == 1:
            values = values[0]
    group: Any = Model if name in ("unfreeze", "dropout") else Training
    for value in trial_values(values):
        group(**{name: value})  # raises for what is out of range
    return values


def trial_values(values: Any) -> list:
    """Returns the values of an option as a list; of a range its ends."""
    return list(values) if isinstance(values, (list, tuple)) else [values]


def learning_rate_ranges(chosen: Any, depths: list) -> list[tuple[str, Any, list]]:
    """Returns `(name, values, depths)` of the learning rates in the space: one for a frozen base, one otherwise.

    A learning rate that was chosen holds for all depths.
    """
    if chosen is not None:
        return [("learning_rate", chosen, depths)]
    parts = {"frozen": [d for d in depths if d == 0], "unfrozen": [d for d in depths if d != 0]}
    name = "learning_rate_{}" if all(parts.values()) else "learning_rate"
    return [(name.format(kind), RANGES[kind == "frozen"], part) for kind, part in parts.items() if part]


def ask(hp: "keras_tuner.HyperParameters", name: str, values: Any, default: Any) -> Any:
    """Asks a tuner for one value, which declares the option to it."""
    if isinstance(values, tuple):
        default = min(max(default, values[0]), values[1])
        if name == "batch_size":
            return hp.Int(name, *values, default=default)
        log = "log" if name.startswith("learning_rate") else "linear"
        value = hp.Float(name, *map(float, values), sampling=log, default=float(default))
        return None if value is None else float(f"{value:.6g}")  # chief and worker exchange 32-bit floats
    if not isinstance(values, list):
        return values
    if name == "unfreeze":  # KerasTuner wants choices of one type
        choice = hp.Choice(name, [str(value) for value in values], default=str(default))
        return choice if choice == "all" else int(choice)
    kind = int if name == "batch_size" else float
    nearest = min(values, key=lambda value: abs(value - default))
    choice = hp.Choice(name, [kind(value) for value in values], default=kind(nearest))
    return None if choice is None else kind(min(values, key=lambda value: abs(value - choice)))
