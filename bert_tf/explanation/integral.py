"""Gradients with respect to inputs, on whichever backend Keras has, and their integral along a line.

Integrated gradients: Sundararajan, Taly, Yan 2017 (https://arxiv.org/abs/1703.01365).
"""

from dataclasses import dataclass

import numpy as np

from bert_tf.backends.backend import Along

INTERVALS = 4  # that the line is cut into at first


NODES = 8  # Gauss-Legendre points of an interval


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
    gains on it. So the stretches with the largest errors of their own are halved, until the whole error is within the
    tolerance of the difference, and the errors of all stretches, none of which may cancel another, are within the tolerance
    of all ups and downs on the way. (Halving each whose error is above an even share of the tolerance took up to three times
    the steps on reviews.)

    Args:
        along: takes positions float64 `(N,)`, 0 = baseline, 1 = input; returns the function's values `(N,)` and, for each
            part of the input, its gradient times the whole way `(N, parts)`.
        tolerance: float, the completeness error to stay below.
        max_steps: int, no more gradients than this; at least `INTERVALS * NODES`.
    Returns: `Integral`.
    """
    edges = np.linspace(0, 1, INTERVALS + 1)
    values = along(edges)[0].astype("float64")
    difference = abs(values[-1] - values[0])
    found = _stretches(along, list(zip(edges[:-1], edges[1:], values[:-1], values[1:], strict=True)))
    steps = NODES * INTERVALS
    while True:
        errors = np.array([stretch.error for stretch in found])
        way = sum(abs(stretch.gain) for stretch in found)
        good = abs(errors.sum()) <= tolerance * difference and abs(errors).sum() <= tolerance * way
        order = np.argsort(-abs(errors))
        worst = int((abs(errors) >= abs(errors).max() / 2).sum())
        worst = min(worst, (max_steps - steps) // (2 * NODES))
        if good or not worst:
            break
        halved = [found[i] for i in order[:worst]]
        middles = np.array([(stretch.low + stretch.high) / 2 for stretch in halved])
        bounds = []
        for stretch, middle, value in zip(halved, middles, along(middles)[0].astype("float64"), strict=True):
            bounds += [(stretch.low, middle, stretch.start, value), (middle, stretch.high, value, stretch.end)]
        found = [found[i] for i in order[worst:]] + _stretches(along, bounds)
        steps += NODES * len(bounds)
    total = np.sum([stretch.attributions for stretch in found], axis=0)
    return Integral(total, float(values[0]), float(values[-1]), steps)


@dataclass(frozen=True)
class _Stretch:
    """A stretch of the line from position `low` to `high`, where the function goes from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float
    attributions: np.ndarray

    @property
    def gain(self) -> float:
        return self.end - self.start

    @property
    def error(self) -> float:
        return float(self.attributions.sum()) - self.gain


def _stretches(along: Along, bounds: list[tuple[float, float, float, float]]) -> list[_Stretch]:
    """Integrates the gradient over stretches, given by the first four fields of `_Stretch`, with `NODES` steps each."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    positions = np.concatenate([low + (high - low) * (nodes + 1) / 2 for low, high, *_ in bounds])
    parts = along(positions)[1].astype("float64").reshape(len(bounds), NODES, -1)
    return [
        _Stretch(low, high, start, end, (high - low) / 2 * (weights @ part))
        for (low, high, start, end), part in zip(bounds, parts, strict=True)
    ]
