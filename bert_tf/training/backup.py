"""The state of a training run on disk after every epoch, so that a killed run resumes exactly where it stopped.

Keras' BackupAndRestore keeps weights and optimizer but not the state of the dropout generators, so a resumed run draws
other masks than one that was never killed; and it writes the frozen weights again in each epoch. This one keeps only what
training changes: trained weights, optimizer, generators and the history, in one file that is replaced atomically.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from bert_tf.backends import backend
from bert_tf.evaluation import history
from bert_tf.models.keras_internals import Dial
from bert_tf.training.optimizer import learning_rate_now

LAST, BEST = "last.safetensors", "best.safetensors"
START_AGAIN = "Start the run again with overwrite (--overwrite)."


class Backup(keras.callbacks.Callback):
    """Keeps the state of a run after each epoch, and the weights of its best epoch.

    Args:
        folder: Path for `last.safetensors` and `best.safetensors`; created with the first epoch.
        monitor: str, the metric that decides which epoch is best, see `history.higher_is_better`.
        early_stopping: int, epochs without improvement after which training stops; None = never.
    Attributes:
        history: dict, metric -> value of each epoch so far, including those before a restart.
        learning_rate: float, the one that the last of them ended with; None before the first.
        stopped: bool, whether a callback ended the training with it, such as a budget's plan.
    """

    def __init__(self, folder: Path, monitor: str = "val_loss", early_stopping: int | None = None):
        super().__init__()
        self.folder, self.monitor, self.early_stopping = folder, monitor, early_stopping
        self.history: dict[str, list[float]] = {}
        self.learning_rate: float | None = None
        self.stopped = False
        self._random = ""

    @property
    def epochs_done(self) -> int:
        return len(next(iter(self.history.values()), []))

    @property
    def epochs_saved(self) -> int:
        """The number of finished epochs in the folder; 0 if there is none."""
        if not (self.folder / LAST).is_file():
            return 0
        return len(next(iter(json.loads(read_metadata(self.folder / LAST)["history"]).values()), []))

    @property
    def should_stop(self) -> bool:
        """Whether early stopping, divergence or another callback has ended the run."""
        if not self.history:
            return False
        if self.stopped:
            return True
        if not np.isfinite(self.history[self.monitor]).any():  # all NaN: no later epoch will be better
            return True
        patience = np.inf if self.early_stopping is None else self.early_stopping
        return self.epochs_done - history.best_epoch(self.history, self.monitor) >= patience

    @property
    def why_stopped(self) -> str:
        """Why early stopping or divergence has ended the run, in words; empty if neither has."""
        if self.stopped or not self.should_stop:
            return ""
        if not np.isfinite(self.history[self.monitor]).any():
            return f"no epoch has a finite {self.monitor}"
        best = history.best_epoch(self.history, self.monitor)
        return f"{self.monitor.removeprefix('val_').replace('_', ' ')} of the validation texts has not improved since epoch {best}"

    def restore(self, model) -> int:
        """Restores a compiled model to its state after the last finished epoch; returns the number of finished epochs."""
        if (file := self.folder / LAST).is_file():
            metadata = load(file, state(model))
            self.history = json.loads(metadata["history"])
            steps = model.optimizer.variables[0]  # the optimizer counts micro-batches
            steps.assign(steps * _micro_batches(model) // int(metadata.get("micro_batches", 1)))
            self._random = metadata.get("random", "")
            self.learning_rate = float(metadata["learning_rate"]) if "learning_rate" in metadata else None
            self.stopped = metadata.get("stopped") == "yes"
        return self.epochs_done

    def on_train_begin(self, logs=None):
        backend.set_random_state(self._random)  # not in `restore`: building a model draws random numbers
        if not self.epochs_done:  # an interrupted epoch starts again from here
            self.folder.mkdir(parents=True, exist_ok=True)
            self._save_state()

    def _save_state(self) -> None:
        metadata = {
            "history": json.dumps(self.history),
            "micro_batches": str(_micro_batches(self.model)),
            "random": backend.random_state(),
            "stopped": "yes" if self.stopped else "no",
        }
        if self.learning_rate is not None:
            metadata["learning_rate"] = repr(self.learning_rate)
        save(self.folder / LAST, state(self.model), metadata)

    def on_epoch_end(self, epoch, logs=None):
        logs = logs or {}
        for name, value in logs.items():
            self.history.setdefault(name, []).append(float(value))
        if self.monitor not in logs:
            raise ValueError(
                f"The best epoch is chosen by {self.monitor!r}, which is not among the metrics: {sorted(logs)}"
            )
        # The best first: killed between the two, the run repeats this epoch and writes the same best again.
        if (
            np.isfinite(float(logs[self.monitor]))
            and history.best_epoch(self.history, self.monitor) == self.epochs_done
        ):
            save(self.folder / BEST, self.model.trainable_variables, {})
        self.learning_rate = learning_rate_now(self.model)
        self.stopped = bool(self.model.stop_training)
        self._save_state()
        if self.should_stop:
            self.model.stop_training = True

    def restore_best(self, model) -> int:
        """Loads the weights of the best epoch; returns its number, from 1."""
        best = history.best_epoch(self.history, self.monitor)  # first: it says so if the training diverged
        load(self.folder / BEST, model.trainable_variables)
        return best


def state(model) -> list:
    """Returns every variable that training changes: trained weights, dropout generators and, once compiled, the optimizer's."""
    weights = {id(variable) for variable in model.weights}
    generators = [
        variable for variable in model.variables if id(variable) not in weights and not isinstance(variable, Dial)
    ]
    if not model.compiled:
        return [*model.trainable_variables, *generators]
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    # Gradients of micro-batches are summed within a step, and zero after it.
    optimizer = [
        variable
        for variable in model.optimizer.variables
        if "gradient_accumulator" not in variable.path and not isinstance(variable, Dial)
    ]
    return [*model.trainable_variables, *generators, *optimizer]


def _micro_batches(model) -> int:
    return model.optimizer.gradient_accumulation_steps or 1


def save(file: Path, variables: list, metadata: dict[str, str]) -> None:
    """Writes the values of variables to a file, completely or not at all."""
    from safetensors.numpy import save_file

    scratch = file.with_name(f".{file.name}.part")
    tensors = {f"{i:05}": np.array(ops.convert_to_numpy(v), order="C") for i, v in enumerate(variables)}
    save_file(tensors, scratch, metadata=metadata)
    os.replace(scratch, file)


def load(file: Path, variables: list) -> dict[str, str]:
    """Assigns the values that `save` wrote; returns the metadata. ValueError if the file is damaged or holds other variables."""
    with _opened(file) as opened:
        arrays = [opened.get_tensor(name) for name in sorted(opened.keys())]
        metadata = opened.metadata() or {}
    if [a.shape for a in arrays] != [tuple(v.shape) for v in variables]:
        raise ValueError(f"{file}: holds the state of another model. {START_AGAIN}")
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
    return metadata


def read_metadata(file: Path) -> dict[str, str]:
    """Returns the metadata that `save` wrote. Raises ValueError if the file is damaged."""
    with _opened(file) as opened:
        return opened.metadata() or {}


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="numpy") as opened:
            yield opened
    except SafetensorError as error:
        raise ValueError(f"{file}: damaged ({error}). {START_AGAIN}") from error
