"""Small helpers of transformers 4 for TensorFlow."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf


def get_initializer(initializer_range: float = 0.02) -> keras.initializers.Initializer:
    """Returns the initializer of BERT's weights: a normal distribution cut at two standard deviations, which
    `initializer_range` is."""
    return keras.initializers.TruncatedNormal(stddev=initializer_range)


def shape_list(tensor: Any) -> list:
    """Returns a tensor's sizes: int where they are known, else a scalar tensor."""
    static = tensor.shape.as_list() if hasattr(tensor.shape, "as_list") else list(tensor.shape)
    if None not in static:
        return static
    dynamic = tf.shape(tensor)
    return [dynamic[i] if size is None else size for i, size in enumerate(static)]


def set_seed(seed: int, deterministic: bool = False) -> None:
    """Seeds Python's, NumPy's and TensorFlow's generators.

    Args:
        deterministic: bool, whether TensorFlow's operations give the same to the last bit, at a price in speed.
    """
    keras.utils.set_random_seed(seed)
    if deterministic:
        tf.config.experimental.enable_op_determinism()


class GradientAccumulator:
    """Sums the gradients of several batches, for a training loop of one's own.

    Call it with a list of gradients, apply `gradients` divided by `step`, then `reset()`. `compile` takes
    `gradient_accumulation_steps` of a Keras optimizer for the same.
    """

    def __init__(self):
        self._sums: list[tf.Variable | None] = []
        self._step = tf.Variable(0, trainable=False, dtype="int64")

    @property
    def step(self) -> tf.Tensor:
        """Number of batches since the last `reset`, int64."""
        return self._step.value()

    @property
    def gradients(self) -> list:
        """The sums; None where a gradient was None."""
        if not self._sums:
            raise ValueError("No gradients yet: call the accumulator with a list of gradients first.")
        return [None if total is None else total.value() for total in self._sums]

    def __call__(self, gradients: Sequence[Any]) -> None:
        if not self._sums:
            self._sums = [
                None if gradient is None else tf.Variable(tf.zeros_like(gradient), trainable=False)
                for gradient in gradients
            ]
        if len(gradients) != len(self._sums):
            raise ValueError(f"Expected {len(self._sums)} gradients, as at the first call. Received: {len(gradients)}")
        for total, gradient in zip(self._sums, gradients, strict=True):
            if total is not None and gradient is not None:
                total.assign_add(gradient)
        self._step.assign_add(1)

    def reset(self) -> None:
        """Sets sums and `step` to 0."""
        for total in self._sums:
            if total is not None:
                total.assign(tf.zeros_like(total))
        self._step.assign(0)
