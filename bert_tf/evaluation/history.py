"""The history of a training run: metric -> value of each epoch, and its best epoch."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from bert_tf.files import write_csv

History = Mapping[str, Sequence[float]]  # metric -> value of each epoch, as Keras' history


def write_history(file: Path, history: History) -> None:
    """Writes one row per epoch: `epoch` from 1, then each metric in full precision."""
    rows = [dict(zip(history, values, strict=True)) for values in zip(*history.values(), strict=True)]
    write_csv(file, ["epoch", *history], [{"epoch": epoch, **row} for epoch, row in enumerate(rows, 1)])


def best_epoch(history: History, monitor: str = "val_loss") -> int:
    """Returns the epoch, from 1, where `monitor` is lowest (highest for an accuracy); the earliest of equals.

    Raises: ValueError if no epoch has a finite value: the training diverged.
    """
    values = [float(value) if "accuracy" not in monitor else -float(value) for value in history.get(monitor, ())]
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        raise ValueError(
            f"No epoch has a finite {monitor}: the training diverged or has not run. Try a smaller learning rate."
        )
    return values.index(min(finite)) + 1
