"""Differences in score between kinds of models that were trained from several seeds and judged on the same texts.

S = seeds, M = texts. `shares` are float `(2, S, M)`, what each text adds to the score of each seed's model, as `Task.shares` has
it: the score is the sum of the first divided by the sum of the second. Where the score is a mean, `(S, M)` will do: whether a
text is right.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bert_tf.evaluation.resampling import drawn_weights
from bert_tf.evaluation.scores import Estimate, percentiles
from bert_tf.formatting import format_value

Row = Mapping[str, Any]
NOTABLY = 1.05  # times as fast, from which it is said


def by_seed(shares: np.ndarray) -> np.ndarray:
    """Returns the score of each seed's model, float64 `(S,)`."""
    return _scores(shares, np.full((1, shares.shape[-1]), 1 / shares.shape[-1]))[0]


def score(shares: np.ndarray, seed: int = 0) -> Estimate:
    """Returns the mean score over seeds, with a 95 % interval that covers other texts and other seeds."""
    return gain(shares, np.zeros((1, shares.shape[-1]), bool), seed=seed)


def gain(first: np.ndarray, second: np.ndarray, sign: int = 1, seed: int = 0) -> Estimate:
    """Returns how much better one kind of model is than another, with a 95 % interval.

    Bootstrap of the texts, the same for both, and of each one's seeds (Efron & Tibshirani 1993, ch. 8). Few seeds understate
    their share of the variation: three of them by about a third.

    Args:
        first, second: shares; S may differ, the texts may not.
        sign: int, 1 where a higher score is better, -1 where a lower one is.
        seed: int.
    """
    texts = first.shape[-1]
    rng = np.random.default_rng(seed)
    weights = drawn_weights(texts, rng).astype("float64") / texts  # (draws, M)

    def drawn(shares: np.ndarray) -> np.ndarray:
        count = shares.shape[-2]
        seeds = rng.multinomial(count, np.full(count, 1 / count), len(weights)) / count  # (draws, S)
        return (seeds * _scores(shares, weights)).sum(axis=1)

    value = by_seed(first).mean() - by_seed(second).mean()
    return percentiles(sign * value, sign * (drawn(first) - drawn(second)))


def _scores(shares: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns the score of each seed's model where texts count as `weights`, `(R, M)`, say: float64 `(R, S)`; 0 of nothing."""
    sums = weights @ np.swapaxes(shares, -1, -2).astype("float64")  # (2, R, S), or (R, S) of means
    return sums if sums.ndim == 2 else sums[0] / np.where(sums[1] > 0, sums[1], 1)


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


def change(gained: Estimate, task: Any) -> str:
    """Formats by how much the score changes, with its sign: "+1.2 [0.3, 2.1] points"; where less is better "-0.12 [-0.2, -0.04]".

    Args:
        gained: of `gain`, above 0 = better.
        task: `bert_tf.tasks.task.Task`.
    """
    if task.gain.kind == "points":
        return format_value(gained, "points") + " points"
    ends = {"value": gained["value"], "low": gained["low"], "high": gained["high"]}
    if task.sign < 0:
        ends = {"value": -ends["value"], "low": -ends["high"], "high": -ends["low"]}  # type: ignore[operator]
    return format_value(ends, "change")


def change_of(gained: Estimate, task: Any) -> str:
    """As `change`, and says of which score, where the unit does not: "-0.12 [-0.2, -0.04] in mean absolute error"."""
    return change(gained, task) + _of(task)


def size_of(gained: Estimate, task: Any) -> str:
    """Formats a difference without its plus sign: "1.2 [0.3, 2.1] points", "0.12 [0.04, 0.2] in mean absolute error"."""
    shown = format_value(gained, task.gain.kind).replace("+", "")
    return shown + (" points" if task.gain.kind == "points" else "") + _of(task)


def _of(task: Any) -> str:
    return "" if task.gain.kind == "points" else f" in {task.score_words}"


def times(ratio: float) -> str:
    return f"{ratio:.1f}" if ratio < 10 else f"{ratio:,.0f}"
