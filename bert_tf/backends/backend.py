"""What differs between Keras' backends, by the one in use."""

from collections.abc import Callable
from importlib import import_module

import keras
import numpy as np
from keras import ops

BACKENDS = ("tensorflow", "jax", "torch")  # a module here each

Along = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def value_and_gradient(function: Callable) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """Returns a function for the values of `function` and their gradient with respect to its first argument.

    Args:
        function: takes a float `(B, ...)` and other arrays; returns float `(B,)`, row `i` from row `i` of the first.
    Returns: a function of NumPy arrays that returns NumPy arrays `(B,)` and `(B, ...)`. Reuse it: compiling takes seconds.
    """
    name = keras.backend.backend()
    if name not in BACKENDS:
        raise ValueError(f"Gradients need one of the Keras backends {', '.join(BACKENDS)}. Received: {name}")
    run = import_module(f"bert_tf.backends.{name}").value_and_gradient(function)

    def as_numpy(*arguments: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values, gradient = run(*arguments)
        return ops.convert_to_numpy(values), ops.convert_to_numpy(gradient)

    return as_numpy


def create_variables(model, labels: np.ndarray) -> None:
    """Creates the variables of a compiled classifier's optimizer and metrics; those that it has keep their values.

    If a compiled step has to create them, TensorFlow traces it twice: two seconds for a model of six layers.

    Args:
        labels: of a text or more, `(N,)` or `(N, C)`.
    """
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    model.compute_metrics(None, labels, np.zeros((len(labels), model.num_labels), "float32"), None)
    model.reset_metrics()


def adam_update(optimizer: keras.optimizers.Adam) -> Callable:
    """Returns `update_step` of a Keras Adam or AdamW as the one operation a variable that TensorFlow has; the numbers are the same."""
    if keras.backend.backend() != "tensorflow":
        return optimizer.update_step
    return import_module("bert_tf.backends.tensorflow").adam_update(optimizer)
