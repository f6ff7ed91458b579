"""Differences in accuracy between kinds of models that were trained from several seeds and judged on the same texts."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bert_tf.evaluation.scores import RESAMPLES, Estimate, percentiles
from bert_tf.formatting import format_value

Row = Mapping[str, Any]


def accuracy(right: np.ndarray, seed: int = 0) -> Estimate:
    """Returns the mean accuracy over seeds, with a 95 % interval that covers other texts and other seeds.

    Args:  (S = seeds, M = texts)
        right: bool `(S, M)`, whether a seed's model has a text right.
    """
    return gain(right, np.zeros((1, right.shape[1]), bool), seed)


def gain(first: np.ndarray, second: np.ndarray, seed: int = 0) -> Estimate:
    """Returns how much more accurate one kind of model is than another, with a 95 % interval.

    Bootstrap of the texts, the same for both, and of each one's seeds (Efron & Tibshirani 1993, ch. 8). Few seeds understate
    their share of the variation: three of them by about a third.

    Args:  (S = seeds, M = texts)
        first, second: bool `(S, M)`, whether a seed's model has a text right; S may differ, the texts may not.
        seed: int.
    """
    texts = first.shape[1]
    rng = np.random.default_rng(seed)
    draws = min(RESAMPLES, max(200, 2 * 10**7 // texts))
    weights = rng.multinomial(texts, np.full(texts, 1 / texts), draws) / texts  # (draws, M)

    def drawn(right: np.ndarray) -> np.ndarray:
        seeds = rng.multinomial(len(right), np.full(len(right), 1 / len(right)), draws) / len(right)  # (draws, S)
        return np.einsum("ds,sm,dm->d", seeds, right.astype("float64"), weights, optimize=True)

    return percentiles(first.mean() - second.mean(), drawn(first) - drawn(second))


def frontier(costs: Sequence[float], scores: Sequence[float]) -> list[int]:
    """Returns the indices of what is worth its cost, cheapest first: nothing that costs as little scores as high.

    >>> frontier([3.0, 1.0, 2.0], [0.9, 0.7, 0.6])
    [1, 0]
    """
    worthwhile: list[int] = []
    for i in sorted(range(len(costs)), key=lambda i: (costs[i], -scores[i])):
        if not worthwhile or scores[i] > scores[worthwhile[-1]]:
            worthwhile.append(i)
    return worthwhile


def is_significant(difference: Estimate) -> bool:
    """Returns whether the 95 % interval excludes 0."""
    return is_gain(difference) or difference["high"] < 0  # type: ignore[operator]


def is_gain(difference: Estimate) -> bool:
    """Returns whether the 95 % interval is above 0."""
    return difference["low"] > 0  # type: ignore[operator]


def points(difference: Estimate) -> str:
    """Formats a difference without its plus sign: "1.2 [0.3, 2.1] points"."""
    return format_value(difference, "points").replace("+", "") + " points"


def times(ratio: float) -> str:
    return f"{ratio:.1f}" if ratio < 10 else f"{ratio:,.0f}"
