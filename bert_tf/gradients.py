"""Gradients with respect to inputs, on whichever backend Keras has, and their integral along a line.

Integrated gradients: Sundararajan, Taly, Yan 2017 (https://arxiv.org/abs/1703.01365).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

Along = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]

INTERVALS = 4  # that the line is cut into at first
NODES = 8  # Gauss-Legendre points of an interval


def value_and_gradient(function: Callable) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """Returns a function that gives the values of `function` and their gradient with respect to its first argument.

    Args:
        function: of a float `(B, ...)` and other arrays; returns float `(B,)`, row `i` from row `i` of the first.
    Returns: a function of NumPy arrays; returns NumPy arrays `(B,)` and `(B, ...)`. Keep it: compiling takes seconds.
    """
    runs = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}
    if keras.backend.backend() not in runs:
        raise ValueError(
            f"Gradients are to be had with Keras' backends {', '.join(runs)}. Received: {keras.backend.backend()}"
        )
    run = runs[keras.backend.backend()](function)

    def as_numpy(*arguments: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values, gradient = run(*arguments)
        return ops.convert_to_numpy(values), ops.convert_to_numpy(gradient)

    return as_numpy


def _tensorflow(function: Callable) -> Callable:
    import tensorflow as tf

    compiled: list[Any] = []

    def value_and_grad(first, *others):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(first)
            values = function(first, *others)
        return values, tape.gradient(values, first)

    def run(*arguments):
        tensors = [tf.convert_to_tensor(argument) for argument in arguments]
        if not compiled:  # only the width is fixed, so that one trace serves all batches and lengths
            fixed = tensors[0].shape[-1]
            shapes = [[*[None] * (len(tensors[0].shape) - 1), fixed], *([None] * len(t.shape) for t in tensors[1:])]
            signature = [tf.TensorSpec(shape, t.dtype) for shape, t in zip(shapes, tensors, strict=True)]
            compiled.append(tf.function(value_and_grad, input_signature=signature))
        return compiled[0](*tensors)

    return run


def _jax(function: Callable) -> Callable:
    import jax

    def total(*arguments):
        values = function(*arguments)
        return values.sum(), values

    compiled = jax.jit(jax.value_and_grad(total, has_aux=True))

    def run(*arguments):
        (_, values), gradient = compiled(*map(ops.convert_to_tensor, arguments))
        return values, gradient

    return run


def _torch(function: Callable) -> Callable:
    import torch

    def run(*arguments):
        first, *others = map(ops.convert_to_tensor, arguments)
        first = first.detach().clone().requires_grad_()
        values = function(first, *others)
        return values, torch.autograd.grad(values.sum(), first)[0]

    return run


@dataclass(frozen=True)
class Integral:
    """Integrated gradients of one input.

    Attributes:
        attributions: float64, one number for each part of the input; their sum is `difference`, up to `error`.
        start, end: float, the function's value at the baseline and at the input.
        steps: int, gradients that were computed.
    """

    attributions: np.ndarray
    start: float
    end: float
    steps: int

    @property
    def error(self) -> float:
        """The completeness error: |sum of attributions - (end - start)| / |end - start|."""
        difference = self.end - self.start
        missed = abs(float(self.attributions.sum()) - difference)
        return missed / abs(difference) if difference else float("inf") if missed else 0.0


def integrate(along: Along, tolerance: float, max_steps: int) -> Integral:
    """Integrates a gradient from a baseline to an input, with as many steps as the tolerance takes.

    On every stretch of the line the exact answer is known: the attributions of a stretch must sum to what the function
    gains on it. So a stretch whose own error is more than its share is halved, and the others are left as they are. It is
    enough when the whole error is within the tolerance of the difference, and the errors of all stretches, none of which
    may cancel another, are within the tolerance of all ups and downs on the way.

    Args:
        along: takes positions float64 `(N,)`, 0 = baseline, 1 = input; returns the function's values `(N,)` and, for each
            part of the input, its gradient times the whole way `(N, parts)`.
        tolerance: float, the completeness error to stay below.
        max_steps: int, no more gradients than this; at least `INTERVALS * NODES`.
    Returns: `Integral`.
    """
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    edges = np.linspace(0, 1, INTERVALS + 1)
    values = along(edges)[0].astype("float64")
    difference = abs(values[-1] - values[0])
    new = [(edges[i], edges[i + 1], values[i], values[i + 1]) for i in range(INTERVALS)]
    done: list[tuple[tuple, np.ndarray, float]] = []  # stretch, its attributions, its error
    steps = 0
    while new:
        positions = np.concatenate([low + (high - low) * (nodes + 1) / 2 for low, high, *_ in new])
        parts = along(positions)[1].astype("float64").reshape(len(new), NODES, -1)
        steps += len(positions)
        for stretch, part in zip(new, parts, strict=True):
            low, high, value_low, value_high = stretch
            attributions = (high - low) / 2 * (weights @ part)
            done.append((stretch, attributions, float(attributions.sum()) - (value_high - value_low)))
        done.sort(key=lambda stretch: -abs(stretch[2]))
        errors = np.array([error for *_, error in done])
        way = sum(abs(high - low) for (_, _, low, high), *_ in done)
        if abs(errors.sum()) <= tolerance * difference and abs(errors).sum() <= tolerance * way:
            break
        wrong = int((abs(errors) > tolerance * difference / len(done)).sum())
        wrong = min(wrong, (max_steps - steps) // (2 * NODES))
        halved, done = [stretch for stretch, *_ in done[:wrong]], done[wrong:]
        middles = np.array([(low + high) / 2 for low, high, *_ in halved])
        at_middles = along(middles)[0].astype("float64") if halved else ()
        new = []
        for (low, high, value_low, value_high), middle, value in zip(halved, middles, at_middles, strict=True):
            new += [(low, middle, value_low, value), (middle, high, value, value_high)]
    total = np.sum([attributions for _, attributions, _ in done], axis=0)
    return Integral(total, float(values[0]), float(values[-1]), steps)
