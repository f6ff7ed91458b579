"""How the head of each task is solved on a frozen base, and what Keras measures of it in training. A row a task."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import keras
from keras import ops

from bert_tf.tasks.task import Task
from bert_tf.training import solver, solver_multi_label, solver_regression


class HeadOf(NamedTuple):
    """What a task's head needs.

    Attributes:
        solve: as `bert_tf.training.solver.solve`, with the targets of the task.
        metrics: `task -> metrics` for `compile`, their names as in `Task.score`.
        loss: `() -> loss` of the targets and logits; `soft_loss`, the same of `Task.mixed_targets`.
    """

    solve: Callable[..., solver.SolvedHead]
    metrics: Callable[[Task], list[Any]]
    loss: Callable[[], keras.losses.Loss]
    soft_loss: Callable[[], keras.losses.Loss]


class MicroF1(keras.metrics.Metric):
    """F1 over all labels of all texts, a label predicted where its logit is above 0."""

    def __init__(self, name: str = "micro_f1"):
        super().__init__(name=name)
        self.right = self.add_variable((), "zeros", name="right")
        self.both = self.add_variable((), "zeros", name="both")

    def update_state(self, y_true, y_pred, sample_weight=None):
        given = ops.cast(y_true, "float32")
        said = ops.cast(y_pred > 0, "float32")
        self.right.assign_add(ops.sum(given * said))
        self.both.assign_add(ops.sum(given + said))

    def result(self):
        return ops.divide_no_nan(2 * self.right, self.both)


class AbsoluteError(keras.metrics.Mean):
    """Mean absolute error, in the unit of the numbers before they were standardised.

    Args:
        scale: float, their standard deviation.
    """

    def __init__(self, scale: float, name: str = "mae"):
        super().__init__(name=name)
        self.scale = scale

    def update_state(self, y_true, y_pred, sample_weight=None):
        errors = ops.abs(ops.cast(y_true, "float32") - ops.reshape(y_pred, ops.shape(y_true)))
        super().update_state(self.scale * ops.mean(errors, axis=-1), sample_weight)


def _accuracy(task: Task) -> list[Any]:
    return ["accuracy"]


def _absolute_error(task: Task) -> list[Any]:
    return [AbsoluteError(task.scale)]  # type: ignore[attr-defined]


_OF_ONE = partial(keras.losses.SparseCategoricalCrossentropy, from_logits=True)
_OF_ONE_SOFT = partial(keras.losses.CategoricalCrossentropy, from_logits=True)
_OF_SEVERAL = partial(keras.losses.BinaryCrossentropy, from_logits=True)
_SQUARED = keras.losses.MeanSquaredError
HEADS = {
    "classification": HeadOf(solver.solve, _accuracy, _OF_ONE, _OF_ONE_SOFT),
    "ordinal": HeadOf(solver.solve, _accuracy, _OF_ONE, _OF_ONE_SOFT),
    "multi-label": HeadOf(solver_multi_label.solve, lambda task: [MicroF1()], _OF_SEVERAL, _OF_SEVERAL),
    "regression": HeadOf(solver_regression.solve, _absolute_error, _SQUARED, _SQUARED),
}
