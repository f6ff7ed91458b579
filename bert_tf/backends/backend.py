"""What differs between Keras' backends, by the one in use."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from typing import Any

import keras
import numpy as np
from keras import ops

from bert_tf import hardware
from bert_tf.backends import devices
from bert_tf.backends.epochs import Epochs
from bert_tf.data import bucketing

BACKENDS = ("tensorflow", "jax", "torch")  # a module here each

_INFERRING = ContextVar("_INFERRING", default=False)


@contextmanager
def inference(precision: str) -> Iterator[None]:
    """Within it a graph is traced whose results alone are wanted: no gradient, and no other runtime reads it.

    Layers then compute in the operations that TensorFlow hands to oneDNN as one, and in `precision` where training needs float32. Where
    TensorFlow does not use oneDNN, and on other backends, nothing changes.

    Args:
        precision: "float32" or "bfloat16", in which the layers compute.
    """
    native = precision == "float32" or hardware.native_precision() == precision
    token = _INFERRING.set(keras.backend.backend() == "tensorflow" and hardware.onednn() and native)
    try:
        yield
    finally:
        _INFERRING.reset(token)


def inferring() -> bool:
    """Returns whether this is within `inference`, where that changes anything."""
    return _INFERRING.get()


def layer_norm(inputs: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
    """Returns the layer norm over the last axis of float `(N, D)`; None where Keras' own way is as good.

    Args:
        gamma, beta: float32 `(D,)`, the scale and the bias, or None.
    """
    if not inferring() or gamma is None or len(inputs.shape) != 2:
        return None
    return import_module("bert_tf.backends.tensorflow").layer_norm(inputs, gamma, beta, epsilon)


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
    if devices.sharing() > 1 and keras.backend.backend() == "tensorflow":
        import_module("bert_tf.backends.tensorflow").build_metrics(model, labels)
        return
    model.compute_metrics(None, labels, np.zeros((len(labels), model.num_labels), "float32"), None)
    model.reset_metrics()


def epochs_in_one_call(inputs: Any) -> type[Epochs] | None:
    """Returns the `Epochs` that can train on these inputs: the backend has one, and they are pooled features that fit into one tensor."""
    is_features = hasattr(inputs, "pooled")  # else `Tokens`
    name = keras.backend.backend()
    if name not in BACKENDS or devices.sharing() > 1 or not (is_features and bucketing.fits_in_memory(inputs)):
        return None
    return getattr(import_module(f"bert_tf.backends.{name}"), "CompiledEpochs", None)


def adam_update(optimizer: keras.optimizers.Adam) -> Callable:
    """Returns `update_step` of a Keras Adam or AdamW as the one operation a variable that TensorFlow has; the numbers are the same."""
    if keras.backend.backend() != "tensorflow":
        return optimizer.update_step
    return import_module("bert_tf.backends.tensorflow").adam_update(optimizer)


def fused_attention(dropout: keras.layers.Dropout | None) -> Callable | None:
    """Returns attention that writes the probabilities down as seldom as it can; None where the backend has nothing better than
    the usual operations: TensorFlow, and JAX on a processor without dropout.

    Args:
        dropout: of the probabilities, in training; None = there is none.
    Returns: a function of `(query, key, bias, scale, value)`, float `(B, H, T, S)`, the bias `(B, 1, T or 1, T)`; it returns the
        context, `(B, H, T, S)`.
    """
    name = keras.backend.backend()
    if name not in ("jax", "torch"):
        return None
    return import_module(f"bert_tf.backends.{name}").fused_attention(dropout)


def dropped(inputs: Any, rate: float, seed: keras.random.SeedGenerator) -> Any:
    """Returns `inputs` with a share `rate` of them 0 and the others scaled; None where Keras' own way is as good."""
    if keras.backend.backend() != "jax":
        return None
    return import_module("bert_tf.backends.jax").dropped(inputs, rate, seed)


def random_state() -> str:
    """Returns the state of generators that no variable of Keras holds; empty where all random numbers come from variables."""
    if keras.backend.backend() != "torch":
        return ""
    return import_module("bert_tf.backends.torch").random_state()


def set_random_state(state: str) -> None:
    """Sets what `random_state` returned."""
    if state and keras.backend.backend() == "torch":
        import_module("bert_tf.backends.torch").set_random_state(state)


def anew(tensor: Any) -> Any:
    """Returns a tensor of which a gradient computes again what was computed before; None where it is better kept.

    A compiler that sees both would keep it, in float32: on a GPU memory is slower than arithmetic.
    """
    return import_module("bert_tf.backends.jax").anew(tensor) if keras.backend.backend() == "jax" else None
