"""The integral of a gradient along the line from a baseline to an input, with adaptive steps.

Integrated gradients: Sundararajan, Taly, Yan 2017 (https://arxiv.org/abs/1703.01365).
"""

from dataclasses import dataclass

import numpy as np

from bert_tf.backends.backend import Along

INTERVALS = 4  # the line is cut into at first
NODES = 8  # Gauss-Legendre points per interval


@dataclass(frozen=True)
class Integral:
    """Integrated gradients of one input.

    Attributes:
        attributions: float64, one number per part of the input; their sum is `end - start`, up to `error`.
        start, end: float, the function's value at the baseline and at the input.
        steps: int, number of gradients computed.
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
    """Integrates a gradient from a baseline to an input, with as many steps as the tolerance needs.

    The exact sum is known for every interval: its attributions must add up to the change of the function across it. So the
    intervals with the largest errors are halved until two conditions hold: the total error is within the tolerance of the total
    difference, and the sum of the absolute errors (which cannot cancel) is within the tolerance of all changes, up and down.
    (Halving every interval whose error exceeds an even share of the tolerance took up to three times the steps on reviews.)

    Args:
        along: takes positions float64 `(N,)`, 0 = baseline, 1 = input; returns the function's values `(N,)` and, for each
            part of the input, its gradient times (input - baseline), `(N, parts)`.
        tolerance: float, the largest acceptable completeness error.
        max_steps: int, the most gradients to compute; at least `INTERVALS * NODES`.
    Returns: `Integral`.
    """
    edges = np.linspace(0, 1, INTERVALS + 1)
    values = along(edges)[0].astype("float64")
    difference = abs(values[-1] - values[0])
    intervals = _integrate_each(along, list(zip(edges[:-1], edges[1:], values[:-1], values[1:], strict=True)))
    steps = NODES * INTERVALS
    while True:
        errors = np.array([interval.error for interval in intervals])
        changes = sum(abs(interval.change) for interval in intervals)
        good = abs(errors.sum()) <= tolerance * difference and abs(errors).sum() <= tolerance * changes
        order = np.argsort(-abs(errors))
        worst = min(int((abs(errors) >= abs(errors).max() / 2).sum()), (max_steps - steps) // (2 * NODES))
        if good or not worst:
            break
        halved, bounds = [intervals[i] for i in order[:worst]], []
        middles = np.array([(interval.low + interval.high) / 2 for interval in halved])
        for interval, middle, value in zip(halved, middles, along(middles)[0].astype("float64"), strict=True):
            bounds += [(interval.low, middle, interval.start, value), (middle, interval.high, value, interval.end)]
        intervals = [intervals[i] for i in order[worst:]] + _integrate_each(along, bounds)
        steps += NODES * len(bounds)
    total = np.sum([interval.attributions for interval in intervals], axis=0)
    return Integral(total, float(values[0]), float(values[-1]), steps)


@dataclass(frozen=True)
class _Interval:
    """Part of the line, from position `low` to `high`, where the function goes from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float
    attributions: np.ndarray

    @property
    def change(self) -> float:
        return self.end - self.start

    @property
    def error(self) -> float:
        return float(self.attributions.sum()) - self.change


def _integrate_each(along: Along, bounds: list[tuple[float, float, float, float]]) -> list[_Interval]:
    """Integrates the gradient over intervals, given by the first four fields of `_Interval`, with `NODES` steps each."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    positions = np.concatenate([low + (high - low) * (nodes + 1) / 2 for low, high, *_ in bounds])
    parts = along(positions)[1].astype("float64").reshape(len(bounds), NODES, -1)
    return [
        _Interval(low, high, start, end, (high - low) / 2 * (weights @ part))
        for (low, high, start, end), part in zip(bounds, parts, strict=True)
    ]
