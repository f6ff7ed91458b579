"""Runs the trials of a search, all those of one freeze depth by the same compiled steps."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np

from bert_tf.backends.backend import epochs_in_one_call
from bert_tf.backends.epochs import Epochs
from bert_tf.models.keras_internals import Dial, set_untracked
from bert_tf.settings import Training
from bert_tf.training.backup import Backup, load, state
from bert_tf.training.job import Job
from bert_tf.training.loop import train
from bert_tf.training.optimizer import Schedule, compile_with, total_steps

TRAINING_VALUES = ("learning_rate", "batch_size", "weight_decay", "warmup")  # the values of a trial that `Training` has


class TrialRunner:
    """A classifier that runs the trials of one freeze depth, one after the other, without compiling again.

    What differs between trials (learning rate, weight decay, dropout, length of the schedule) is read from dials.

    Args:
        job, training: what all trials share; a trial replaces values of `training`.
        model: a fork of the job's, frozen to the depth, as trials start.
        **inputs: those of `Job.inputs`: progress, say.
    """

    def __init__(self, job: Job, model: Any, training: Training, **inputs: Any):
        self.job, self.training, self.seed, self.model = job, training, training.seed, model
        self.inputs = job.inputs(self.model, **inputs)
        names = ("learning_rate", "weight_decay", "dropout", "steps", "warmup_steps")
        self.dials = {name: Dial(0.0, name) for name in names}
        set_untracked(self.model.dropout, "rate", self.dials["dropout"])
        self.start = [(v, np.array(v)) for v in state(self.model)]
        self.micro_batches = 0
        self.at_once: int | None = None  # the micro-batch that fits into memory, once one did not
        self.epochs: Epochs | None = None

    def restart(self, model, seed: int) -> None:
        """Lets trials start as `model` does, of the same depth and another seed: with its head and the state of its random
        generators."""
        other = state(model)
        self.start[: len(other)] = [(v, np.array(new)) for (v, _), new in zip(self.start, other, strict=False)]
        self.seed = seed

    def run(self, values: Mapping[str, Any], backup: Backup, until: int, callbacks, verbose) -> int:
        """Runs a trial up to epoch `until`; returns how many texts were computed at once."""
        at_once = self.at_once or self.training.micro_batch_size
        training = replace(training_of(self.training, values), micro_batch_size=at_once)
        size, seed, callbacks = training.texts_per_step, self.seed, [*callbacks, backup, _StopAtNaN()]

        def fit(first_epoch: int, micro_batches: int) -> None:
            if self.epochs and micro_batches == 1:
                self.epochs.fit(size, seed, until, first_epoch, callbacks)
                return
            fitted = {"epochs": until, "callbacks": callbacks, "verbose": verbose}
            self.job.fit(self.model, self.inputs, size, seed, first_epoch, micro_batches, **fitted)

        def reset(micro_batches: int) -> None:
            self._reset(training, values["dropout"], micro_batches)

        at_once = train(self.model, training, reset, fit, backup, lambda *_: None, until)
        if at_once < size and at_once != self.training.micro_batch_size:
            self.at_once = at_once
        return at_once

    def _reset(self, training: Training, dropout: float, micro_batches: int) -> None:
        """Sets model, optimizer and variables to the start of a trial."""
        if micro_batches != self.micro_batches:
            self._compile(training, micro_batches)
        for variable, initial in self.start:
            variable.assign(initial)
        values = (training.learning_rate, training.weight_decay, dropout, *total_steps(training, len(self.job.train)))
        for dial, value in zip(self.dials.values(), values, strict=True):
            dial.assign(value)

    def _compile(self, training: Training, micro_batches: int) -> None:
        dials, falling = self.dials, training.schedule == "linear"
        schedule = Schedule(dials["learning_rate"], dials["steps"], dials["warmup_steps"], falling, micro_batches)
        optimizer, clip = training.optimizer or "adam", training.clip or None
        metrics = self.job.metrics
        compile_with(self.model, optimizer, schedule, dials["weight_decay"], micro_batches, clip, metrics=metrics)
        known = {id(variable) for variable, _ in self.start}
        self.start += [(v, np.array(v)) for v in state(self.model) if id(v) not in known]
        self.micro_batches = micro_batches
        if micro_batches == 1 and (in_one := epochs_in_one_call(self.inputs)):
            if self.epochs:
                self.epochs.compiled()
            else:
                self.epochs = in_one(self.model, *self.job.splits(self.inputs))


def training_of(training: Training, values: Mapping[str, Any]) -> Training:
    """Returns the options of training with the values of a trial."""
    return replace(training, **{name: values[name] for name in TRAINING_VALUES})


def load_trial_weights(model, folder: Path) -> bool:
    """Loads what a trial trained, at its best epoch, into a model; returns whether its folder holds that."""
    file = folder / "best.safetensors"
    if file.is_file():
        load(file, model.trainable_variables)
    return file.is_file()


class _StopAtNaN(keras.callbacks.Callback):
    """Stops a trial when its loss becomes NaN."""

    def on_epoch_end(self, epoch, logs=None):
        for name in ("loss", "val_loss"):
            if not np.isfinite((logs or {}).get(name, 0.0)):
                raise keras_tuner.errors.FailedTrialError(f"diverged: {name} became NaN in epoch {epoch + 1}")


def keras_history(history: Mapping[str, Sequence[float]]) -> keras.callbacks.History:
    """Returns the history of a run as `keras.Model.fit` would return it."""
    callback = keras.callbacks.History()
    callback.history = {name: list(values) for name, values in history.items()}
    callback.epoch = list(range(len(next(iter(history.values()), []))))
    return callback
