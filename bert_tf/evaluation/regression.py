"""How close predicted numbers are to the given ones. Plain numbers in, plain dicts out, as in `scores.py`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bert_tf.evaluation.resampling import bootstrapped, drawn_weights
from bert_tf.evaluation.scores import Estimate, percentiles, verdict
from bert_tf.formatting import Text, shown_text

DRAWN = 500  # points of a scatter plot; more would hide each other


def evaluate(given: Any, predicted: Any, seed: int = 0) -> dict[str, Any]:
    """Compares predicted numbers with the given ones.

    Args:
        given, predicted: float `(N,)`.
        seed: int, of the bootstrap.
    Returns: dict of `scores`: `texts`, and as estimates (percentile bootstrap over texts) `mae`, the mean absolute error, `rmse`, the root
        of the mean squared error, `pearson`, the correlation, and `r2`, the share of the variance that is explained.
    Raises: ValueError for shapes or values that cannot be numbers of texts.

    >>> evaluate([1.0, 2.0, 4.0], [1.0, 2.0, 3.0])["scores"]["mae"]["value"]
    0.3333333333333333
    """
    given, predicted = checked(given, predicted)
    weights = drawn_weights(len(given), seed)
    return {"scores": {"texts": len(given), **estimates(given, predicted, weights)}}


def estimates(given: np.ndarray, predicted: np.ndarray, weights: np.ndarray) -> dict[str, Estimate]:
    """Returns `mae`, `rmse`, `pearson` and `r2` as estimates; `weights` as of `drawn_weights`."""
    shift = given.mean()  # sums of squares are exact only near 0
    scale = given.std() if given.min() < given.max() else 1.0  # whatever the unit
    x, y = (given - shift) / scale, (predicted - shift) / scale
    sums = np.stack([np.abs(x - y), (x - y) ** 2, x, y, x * x, y * y, x * y])  # (7, N)
    once, drawn = (_measured(part) for part in (sums.mean(axis=1), sums @ weights.T.astype("float64") / len(given)))
    for found in (once, drawn):
        found |= {name: found[name] * scale for name in ("mae", "rmse")}
    return {name: percentiles(once[name], drawn[name]) for name in once}


def _measured(means: np.ndarray) -> dict[str, Any]:
    """Returns the measures from the means `(7, ...)` of a sample."""
    mae, mse, x, y, xx, yy, xy = means
    of_x, of_y = np.maximum(xx - x * x, 0), np.maximum(yy - y * y, 0)
    with np.errstate(divide="ignore", invalid="ignore"):  # numbers that are all the same have no correlation
        pearson = np.where(of_x * of_y > 1e-20, (xy - x * y) / np.sqrt(of_x * of_y), np.nan)
        r2 = np.where(of_x > 1e-20, 1 - mse / of_x, np.nan)
    return {"mae": mae, "rmse": np.sqrt(mse), "pearson": pearson, "r2": r2}


def checked(given: Any, predicted: Any) -> tuple[np.ndarray, np.ndarray]:
    """Returns both as float64 `(N,)`; ValueError if they are not numbers of the same texts."""
    given, predicted = np.asarray(given, "float64"), np.asarray(predicted, "float64")
    if given.ndim != 1 or given.shape != predicted.shape or not len(given):
        raise ValueError(
            f"Expected given and predicted numbers, both (N,), of at least one text. Received: {given.shape}, {predicted.shape}"
        )
    if not (np.isfinite(given).all() and np.isfinite(predicted).all()):
        raise ValueError("Given and predicted numbers must be finite.")
    return given, predicted


def compare(
    given: Any, first: Any, second: Any, names: tuple[str, str] = ("the first", "the second"), seed: int = 0
) -> dict[str, Any]:
    """Compares the mean absolute errors of two models of the same texts by a paired bootstrap.

    Args:
        given, first, second: float `(N,)`.
    Returns: dict of `names`; `difference`, how much smaller the error of the first is, an estimate; `verdict`, a sentence.
    """
    given, first = checked(given, first)
    _, second = checked(given, second)
    errors = np.abs(second - given) - np.abs(first - given)
    drawn = drawn_weights(len(given), seed) @ errors / len(given)
    difference = percentiles(errors.mean(), drawn)
    words = "of mean absolute error"
    return {
        "names": [*names],
        "difference": difference,
        "verdict": verdict(*names, difference, words, "plain", bootstrapped(len(given))),
    }


def largest_errors(texts: Sequence[Text], given: Any, predicted: Any, most: int) -> list[dict[str, Any]]:
    """Lists the texts whose number is missed most: dicts of `index`, `text`, `given` and `predicted`."""
    shown = [shortest(numbers) for numbers in (given, predicted)]
    given, predicted = checked(given, predicted)
    order = np.argsort(-np.abs(given - predicted), kind="stable")[:most]
    return [
        {"index": int(i), "text": shown_text(texts[i]), "given": shown[0][i], "predicted": shown[1][i]} for i in order
    ]


def shortest(numbers: Any) -> list[float]:
    """Returns numbers with no more digits than their type has, float32 or any other: 3.7, not 3.7000000477.

    >>> shortest(np.array([3.7, 16777216], "float32"))
    [3.7, 16777216.0]
    """
    numbers = np.asarray(numbers)
    exact = numbers.astype(str) if numbers.dtype == np.float32 else numbers
    return exact.astype("float64").tolist()


def scatter(given: Any, predicted: Any, seed: int = 0) -> dict[str, list[float]]:
    """Returns the points of a plot of predicted against given numbers: all, or `DRAWN` of them, drawn at random."""
    given, predicted = checked(given, predicted)
    chosen = np.sort(np.random.default_rng(seed).permutation(len(given))[:DRAWN])
    return {"given": given[chosen].tolist(), "predicted": predicted[chosen].tolist()}
