"""Runs one trial of a search."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np

from bert_tf.backends.tensorflow import Epochs, fits_in_memory
from bert_tf.models.keras_internals import set_untracked
from bert_tf.training.backup import Backup, load, state
from bert_tf.training.job import Job
from bert_tf.training.loop import train
from bert_tf.training.optimizer import Schedule, compile_with
from bert_tf.training.recipe import Recipe, total_steps


class Worker:
    """A classifier that runs the trials of one freeze depth, one after the other, by the same compiled steps.

    Args:
        job, recipe, seed: what all trials share; a trial replaces values of the recipe.
        unfreeze: the freeze depth.
        **inputs: those of `Job.inputs`: cache_dir, progress, say.

    What differs between trials (learning rate, weight decay, dropout, lengths of the schedule) is read from variables.
    """

    def __init__(self, job: Job, recipe: Recipe, seed: int, unfreeze: int | str, **inputs: Any):
        self.job, self.recipe, self.seed = job, recipe, seed
        self.unfreeze = unfreeze
        self.model = self.job.model.fork(unfreeze)
        self.inputs = job.inputs(self.model, **inputs)
        names = ("learning_rate", "weight_decay", "dropout", "steps", "warmup_steps")
        self.dials = {name: keras.Variable(0.0, trainable=False, dtype="float32", name=name) for name in names}
        set_untracked(self.model.dropout, "rate", self.dials["dropout"])
        self.start = [(v, np.array(v)) for v in state(self.model)]
        self.micro_batches = 0
        self.at_once: int | None = None  # found to fit into memory
        self.epochs: Epochs | None = None

    def restart(self, model, seed: int) -> None:
        """Takes over how a model of another seed starts: its new head and the state of its random generators."""
        fresh = state(model.fork(self.unfreeze))
        self.start[: len(fresh)] = [(mine, np.array(its)) for (mine, _), its in zip(self.start, fresh, strict=False)]
        self.seed = seed

    def run(self, values: Mapping[str, Any], backup: Backup, until: int, callbacks, verbose) -> int:
        """Runs a trial up to an epoch; returns how many texts were computed at once."""
        recipe = replace(
            self.recipe,
            learning_rate=values["learning_rate"],
            batch_size=values["batch_size"],
            weight_decay=values["weight_decay"],
            warmup=values["warmup"],
            micro_batch_size=self.at_once or self.recipe.micro_batch_size,
        )
        size, seed, callbacks = recipe.batch_size, self.seed, [*callbacks, backup, _StopAtNaN()]

        def fit(first_epoch: int, micro_batches: int) -> None:
            if self.epochs and micro_batches == 1:
                self.epochs.fit(size, seed, until, first_epoch, callbacks)
                return
            self.model.fit(
                self.job.training(
                    self.inputs, batch_size=size, micro_batches=micro_batches, seed=seed, first_epoch=first_epoch
                ),
                validation_data=self.job.held_back(self.inputs, size),
                epochs=until,
                initial_epoch=first_epoch,
                callbacks=callbacks,
                verbose=verbose,
            )

        def ready(micro_batches: int) -> None:
            self._ready(recipe, values["dropout"], micro_batches)

        at_once = train(self.model, recipe, ready, fit, backup, lambda *_: None, until)
        if at_once < size and at_once != self.recipe.micro_batch_size:
            self.at_once = at_once
        return at_once

    def _ready(self, recipe: Recipe, dropout: float, micro_batches: int) -> None:
        """Puts model, optimizer and variables to the start of a trial."""
        if micro_batches != self.micro_batches:
            self._compile(recipe, micro_batches)
        for variable, value in self.start:
            variable.assign(value)
        values = (recipe.learning_rate, recipe.weight_decay, dropout, *total_steps(recipe, len(self.job.train)))
        for dial, number in zip(self.dials.values(), values, strict=True):
            dial.assign(number)

    def _compile(self, recipe: Recipe, micro_batches: int) -> None:
        dials, falling = self.dials, recipe.schedule == "linear"
        schedule = Schedule(dials["learning_rate"], dials["steps"], dials["warmup_steps"], falling, micro_batches)
        compile_with(self.model, recipe.optimizer, schedule, dials["weight_decay"], micro_batches)
        started = {id(variable) for variable, _ in self.start}
        self.start += [(v, np.array(v)) for v in state(self.model) if id(v) not in started]
        self.micro_batches = micro_batches
        if micro_batches == 1 and fits_in_memory(self.inputs):
            if self.epochs:
                self.epochs.compiled()
            else:
                self.epochs = Epochs(self.model, *self.job.parts(self.inputs))


def reads_trials(model) -> None:
    """Lets a model read what a trial has kept where a tuner tells it to read the weights that KerasTuner would write."""
    load_weights = model.load_weights

    def load_kept(filepath, *args, **kwargs):
        kept = Path(filepath).parent / "best.safetensors"
        if Path(filepath).name == "checkpoint.weights.h5" and kept.is_file():
            load(kept, model.trainable_variables)
        else:
            load_weights(filepath, *args, **kwargs)

    model.load_weights = load_kept


class _StopAtNaN(keras.callbacks.Callback):
    """Ends a trial whose loss is no number any more."""

    def on_epoch_end(self, epoch, logs=None):
        for name in ("loss", "val_loss"):
            if not np.isfinite((logs or {}).get(name, 0.0)):
                raise keras_tuner.errors.FailedTrialError(f"diverged: {name} became NaN in epoch {epoch + 1}")


def history_of(history: Mapping[str, Sequence[float]]) -> keras.callbacks.History:
    made = keras.callbacks.History()
    made.history = {name: list(values) for name, values in history.items()}
    made.epoch = list(range(len(next(iter(history.values()), []))))
    return made
