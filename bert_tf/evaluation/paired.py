"""What comparisons mean, worked out from plain numbers: how sure a difference is, what is worth its cost, in a sentence or two."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bert_tf.evaluation.scores import RESAMPLES, Estimate
from bert_tf.formatting import format_value

Row = Mapping[str, Any]


def accuracy(right: np.ndarray, seed: int = 0) -> Estimate:
    """Returns the mean accuracy over seeds, with a 95 % interval: other texts and other seeds might have given that.

    Args:  (S = seeds, M = texts)
        right: bool `(S, M)`, whether a seed's model has a text right.
    """
    return gain(right, np.zeros((1, right.shape[1]), bool), seed)


def gain(first: np.ndarray, second: np.ndarray, seed: int = 0) -> Estimate:
    """Returns by how much one kind of model is more accurate than another, with a 95 % interval.

    By bootstrap of the texts, the same for both, and of each one's seeds (Efron & Tibshirani 1993, ch. 8). With few seeds their
    part is underestimated: of 3, by about a third.

    Args:  (S = seeds, M = texts)
        first, second: bool `(S, M)`, whether a seed's model has a text right; their S may differ, their texts may not.
        seed: int.
    """
    texts = first.shape[1]
    rng = np.random.default_rng(seed)
    draws = min(RESAMPLES, max(200, 2 * 10**7 // texts))
    weights = rng.multinomial(texts, np.full(texts, 1 / texts), draws) / texts  # (draws, M)

    def drawn(right: np.ndarray) -> np.ndarray:
        seeds = rng.multinomial(len(right), np.full(len(right), 1 / len(right)), draws) / len(right)  # (draws, S)
        return np.einsum("ds,sm,dm->d", seeds, right.astype("float64"), weights, optimize=True)

    low, high = np.percentile(drawn(first) - drawn(second), [2.5, 97.5])
    return {"value": float(first.mean() - second.mean()), "low": float(low), "high": float(high)}


def frontier(costs: Sequence[float], scores: Sequence[float]) -> list[int]:
    """Returns which are worth their cost, the cheapest first: nothing cheaper, or as cheap, is as good.

    >>> frontier([3.0, 1.0, 2.0], [0.9, 0.7, 0.6])
    [1, 0]
    """
    found: list[int] = []
    for i in sorted(range(len(costs)), key=lambda i: (costs[i], -scores[i])):
        if not found or scores[i] > scores[found[-1]]:
            found.append(i)
    return found


def is_sure(difference: Estimate) -> bool:
    return bool(difference["low"] > 0 or difference["high"] < 0)  # type: ignore[operator]


def points(difference: Estimate) -> str:
    return format_value(difference, "points").replace("+", "") + " points"


def times(ratio: float) -> str:
    return f"{ratio:.1f}" if ratio < 10 else f"{ratio:,.0f}"
