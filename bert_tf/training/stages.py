"""The stages of the auto recipe: a head that is solved on the frozen base, then training from it, within a budget if there is one.

Stage 1 takes seconds and its model is saved at once. Stage 2 is training as any other (`loop.py`) with two callbacks:
`Validation` measures each epoch after calibration, `Pace` plans how long it lasts.
"""

import time
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from bert_tf.evaluation.blend import Blend
from bert_tf.formatting import duration
from bert_tf.tasks.task import THRESHOLDS, Task
from bert_tf.training import solver
from bert_tf.training.heads import HEADS
from bert_tf.training.job import Job, Say
from bert_tf.training.optimizer import Schedule

MONITOR = "val_calibrated_loss"  # a trained model is overconfident: its raw loss rises while it still gets better
MOST_EPOCHS = 10  # of a budget
PROBE = (2, 6)  # batches: the clock runs between them; the first ones compile
REPLAN = 4  # batches between plans


@dataclass(frozen=True)
class Stage:
    """What one stage reached on the validation texts.

    Attributes:
        name: str, to show.
        task: `Task`.
        logits: float `(M, C)`, of the validation texts in their order.
        labels: theirs, as of `Examples`.
        seconds: float, since the run began.
        blend: the second part of the model, which the logits contain; None = it has one part.
        weights: float `(M,)`, how much each text counts in the loss; None = all the same.
    """

    name: str
    task: Task
    logits: np.ndarray
    labels: np.ndarray
    seconds: float
    blend: Blend | None = None
    weights: np.ndarray | None = None

    @property
    def loss(self) -> float:
        return self.task.loss(self.labels, self.logits, self.weights)

    @property
    def score(self) -> float:
        """The task's measure, such as accuracy."""
        return self.task.measured(self.labels, self.logits)

    @property
    def predictions(self) -> np.ndarray:
        """What the task makes of the logits: float64 probabilities `(M, C)`, or numbers `(M,)`."""
        return self.task.squash(self.logits.astype("float64"))

    @property
    def thresholds(self) -> np.ndarray | None:
        return self.task.thresholds(self.labels, self.predictions)

    def give_thresholds(self, *models: Any) -> None:
        """Writes the thresholds into the models' configs, with as many digits as mean something; nothing without any."""
        if (thresholds := self.thresholds) is not None:
            for model in models:
                setattr(model.config, THRESHOLDS, [round(float(each), 6) for each in thresholds])

    def numbers(self) -> dict[str, Any]:
        """Returns loss and score by the names that histories have."""
        more = self.task.beside(self.labels, self.logits)
        return {
            f"val_{self.task.score}": self.score,
            **{f"val_{name}": value for name, value in more.items()},
            "val_loss": self.loss,
        }

    def row(self) -> dict[str, Any]:
        """Returns the numbers as JSON values."""
        return {"stage": self.name, **self.numbers(), "seconds": round(self.seconds, 2)}


def standardised_rows(job: Job, progress: bool, say: Say) -> np.ndarray:
    """Returns what the head sees of the training texts, then of the validation texts, float32 `(N + M, D)`."""
    model, features = job.model, job.frozen_features(progress, say)
    if not model.standardization.adapted:
        model.adapt(features.take(np.arange(len(job.train))))
    rows = np.stack([features[i] for i in range(len(features))])
    return keras.ops.convert_to_numpy(model.standardization(rows.astype("float32")))


def solve_head(job: Job, rows: np.ndarray) -> tuple[solver.SolvedHead, np.ndarray]:
    """Returns the solved head and its logits of the validation texts, float32 `(M, C)`; `rows` are `standardised_rows`."""
    head = _solved(job, rows)
    return head, job.task.logits(rows[len(job.train) :] @ head.kernel + head.bias)


def starting_head(job: Job, rows: np.ndarray) -> solver.SolvedHead:
    """Returns the head that layers are trained from: solved on the mean of the last layer alone, 0 for the layers below; `rows` are
    `standardised_rows`.

    On a frozen base the head over every layer is the better one, but training from it changes little above what it reads
    already (docs/accuracy.md).
    """
    width = job.model.encoder.hidden_size
    last = _solved(job, rows[:, -width:])
    below = np.zeros((rows.shape[1] - width, last.kernel.shape[1]), "float32")
    return replace(last, kernel=np.concatenate([below, last.kernel]))


def _solved(job: Job, rows: np.ndarray) -> solver.SolvedHead:
    """Returns the head over columns of `standardised_rows`."""
    targets, seed, task = job.task.targets(job.train.labels), job.settings.training.seed, job.task
    rows = rows[: len(job.train)]
    return HEADS[task.name].solve(rows, targets, job.model.num_labels, seed, job.weights, job.groups)


def give_head(model, head: solver.SolvedHead) -> None:
    """Puts a solved head into a classifier over the same features."""
    model.classifier.kernel.assign(head.kernel)
    model.classifier.bias.assign(head.bias)


def calibrate(model, task: Task, labels: np.ndarray, logits: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Divides a classifier's logits by the temperature that fits labels best, inside the weights of its last layer, so that
    every reader of the checkpoint gets calibrated probabilities; returns the temperature.

    Guo et al. 2017, https://arxiv.org/abs/1706.04599. Predicted labels stay the same. `weights` are those of the training
    (`weights.py` says why).
    """
    temperature = task.temperature(labels, logits, weights)
    for variable in model.classifier.weights if temperature != 1 else ():
        variable.assign(variable / temperature)
    return temperature


class Validation(keras.callbacks.Callback):
    """Measures an epoch on the validation texts: adds `val_loss`, the task's score and the loss at the best temperature.

    Args:
        job, inputs: of the run.
        logits: takes those of each epoch, from 1: who keeps the best one need not compute them again.
    Attributes:
        seconds: float, how long the last one took; 0 before the first.
    """

    def __init__(self, job: Job, inputs: Any, logits: dict[int, np.ndarray]):
        super().__init__()
        self.job, self.inputs, self.logits, self.seconds = job, inputs, logits, 0.0

    def on_epoch_end(self, epoch, logs=None):
        if logs is None:
            return
        started = time.monotonic()
        task, labels, weights = self.job.task, self.job.validation.labels, self.job.validation_weights
        logits = self.job.logits(self.model, self.inputs, self.job.settings.training.texts_per_step)
        self.logits[epoch + 1] = logits
        finite = np.isfinite(logits).all()
        stage = Stage("", task, logits, labels, 0.0, weights=weights)
        names = ("val_loss", f"val_{task.score}")
        logs |= (
            {name: value for name, value in stage.numbers().items() if name in names}
            if finite
            else dict.fromkeys(names, float("nan"))
        )
        calibrated = logits / task.temperature(labels, logits, weights) if finite else logits
        logs[MONITOR] = replace(stage, logits=calibrated).loss if finite else float("nan")
        self.seconds = time.monotonic() - started


class Pace(keras.callbacks.Callback):
    """Says after a few batches how long training will take; with a deadline plans how much of it fits, again and again.

    The learning rate falls to 0 with the last planned step, whatever the pace turns out to be (Li et al. 2020, Budgeted
    Training, https://arxiv.org/abs/1905.04753).

    Args:
        batches, epochs: int, batches in an epoch, and the most epochs.
        validation: `Validation`, whose time counts too.
        schedule: of the learning rate; None = it does not depend on the plan.
        warmup: float, the fraction of the steps that are warm-up.
        deadline: float, of `time.monotonic()`; None = all epochs.
        say: takes the plan.
    """

    def __init__(
        self,
        batches: int,
        epochs: int,
        validation: Validation,
        schedule: Schedule | None,
        warmup: float,
        deadline: float | None,
        say: Say,
    ):
        super().__init__()
        self.schedule = schedule
        self.batches, self.epochs, self.validation = batches, epochs, validation
        self.warmup, self.deadline, self.say = warmup, deadline, say
        self.total = batches * epochs
        self._done, self._timed, self._spent, self._began, self._compiling = 0, 0, 0.0, 0.0, 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self._done, self._began = epoch * self.batches, time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        self._done += 1
        self._timed += 1
        if self._timed > PROBE[0]:
            self._spent += time.monotonic() - self._began
        else:
            self._compiling += time.monotonic() - self._began
        self._began = time.monotonic()
        if self._timed == PROBE[1] or (self.deadline and self._timed > PROBE[1] and self._timed % REPLAN == 0):
            self._plan(first=self._timed == PROBE[1])
        if self._done >= self.total:
            self.model.stop_training = True

    def _plan(self, first: bool) -> None:
        each = self._spent / (self._timed - PROBE[0])
        job = self.validation.job
        # Forwards is about a third of a step, and as much of what it takes to compile one.
        first_time = (each * self.batches * len(job.validation) / job.texts_to_learn + self._compiling) / 3
        measuring = self.validation.seconds or first_time
        now = time.monotonic()
        if self.deadline:
            self.total = planned(self._done, self.batches, self.epochs, each, measuring, self.deadline - now)
            self._reschedule(first)
        if first:
            left = self.total - self._done
            seconds = left * each + -(-left // self.batches) * measuring
            epochs = f"{self.total / self.batches:.3g}"
            plan = f"{epochs} epoch{'s' * (epochs != '1')}, {self.total:,} steps"
            self.say(f"Training for {plan}: about {duration(seconds)} left.")

    def _reschedule(self, first: bool) -> None:
        if self.schedule is not None:
            if hasattr(self.model, "jax_state_sync"):
                self.model.jax_state_sync()  # else JAX continues with the numbers that the epoch began with
            steps = max(1, self.total // self.schedule.micro_batches)
            self.schedule.steps.assign(float(steps))
            if first:
                self.schedule.warmup_steps.assign(float(round(self.warmup * steps)))


def planned(done: int, batches: int, epochs: int, each: float, measuring: float, left: float) -> int:
    """Returns how many batches a run can do in all.

    Args:
        done: batches that are done.
        batches, epochs: batches in an epoch, the most epochs.
        each, measuring, left: seconds for a batch, for a validation, and until the deadline.
    """
    total = done
    while total < batches * epochs:
        rest = batches - total % batches
        if left < rest * each + measuring:
            return total + max(0, int((left - measuring) / each))
        total, left = total + rest, left - rest * each - measuring
    return total
