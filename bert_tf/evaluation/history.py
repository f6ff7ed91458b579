"""The history of a training run: metric -> value of each epoch, and its best epoch."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from bert_tf.files import write_csv

History = Mapping[str, Sequence[float]]  # metric -> value of each epoch, as Keras' history

# Parts of the names that Keras and our tasks give to metrics.
LOWER_IS_BETTER = ("loss", "error", "crossentropy")
HIGHER_IS_BETTER = ("accuracy", "f1", "auc", "precision", "recall", "r2")


def write_history(file: Path, history: History) -> None:
    """Writes one row per epoch: `epoch` from 1, then each metric in full precision."""
    rows = [dict(zip(history, values, strict=True)) for values in zip(*history.values(), strict=True)]
    write_csv(file, ["epoch", *history], [{"epoch": epoch, **row} for epoch, row in enumerate(rows, 1)])


def higher_is_better(metric: str) -> bool:
    """Returns which way a metric gets better, by its name.

    Raises: ValueError if the name does not tell.

    >>> higher_is_better("val_accuracy"), higher_is_better("val_calibrated_loss")
    (True, False)
    """
    if any(part in metric for part in LOWER_IS_BETTER):
        return False
    if any(part in metric for part in HIGHER_IS_BETTER):
        return True
    raise ValueError(f"It is not known whether a higher {metric!r} is better. Use the loss or an accuracy.")


def best_epoch(history: History, monitor: str = "val_loss") -> int:
    """Returns the epoch, from 1, where `monitor` is best (see `higher_is_better`); the earliest of equals.

    Raises: ValueError if no epoch has a finite value: the training diverged.
    """
    sign = -1 if higher_is_better(monitor) else 1
    values = [sign * float(value) for value in history.get(monitor, ())]
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        raise ValueError(
            f"No epoch has a finite {monitor}: the training diverged or has not run. Try a smaller learning rate."
        )
    return values.index(min(finite)) + 1
