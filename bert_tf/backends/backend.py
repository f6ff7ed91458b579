"""What differs between Keras' backends, chosen by the one that runs."""

from collections.abc import Callable
from importlib import import_module

import keras
import numpy as np
from keras import ops

BACKENDS = ("tensorflow", "jax", "torch")  # a module each

Along = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def value_and_gradient(function: Callable) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """Returns a function that gives the values of `function` and their gradient with respect to its first argument.

    Args:
        function: of a float `(B, ...)` and other arrays; returns float `(B,)`, row `i` from row `i` of the first.
    Returns: a function of NumPy arrays; returns NumPy arrays `(B,)` and `(B, ...)`. Keep it: compiling takes seconds.
    """
    name = keras.backend.backend()
    if name not in BACKENDS:
        raise ValueError(f"Gradients need one of Keras' backends {', '.join(BACKENDS)}. Received: {name}")
    run = import_module(f"bert_tf.backends.{name}").value_and_gradient(function)

    def as_numpy(*arguments: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values, gradient = run(*arguments)
        return ops.convert_to_numpy(values), ops.convert_to_numpy(gradient)

    return as_numpy
