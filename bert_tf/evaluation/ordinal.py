"""What the order of classes such as 1 to 5 stars adds to the scores of a classifier: how far its answers are from the given ones."""

from typing import Any

import numpy as np

from bert_tf.evaluation.regression import estimates
from bert_tf.evaluation.resampling import drawn_weights
from bert_tf.evaluation.scores import Estimate, checked, confusion_matrix, percentiles

CELLS = 10**7  # of all resampled confusion matrices together


def evaluate(labels: Any, probabilities: Any, values: Any, seed: int = 0) -> dict[str, Estimate]:
    """Measures a classifier of numbers.

    Args:  (N = texts, C = classes)
        labels: int `(N,)`.
        probabilities: float `(N, C)`.
        values: float `(C,)`, the number of each class, rising.
        seed: int, of the bootstrap.
    Returns: as estimates `mae`, `rmse` and `pearson` of the expected value, the mean of the numbers weighted by their
        probabilities, and `kappa`, the quadratic weighted kappa (Cohen 1968) of the predicted classes.
    """
    labels, probabilities = checked(labels, probabilities)
    values = np.asarray(values, "float64")
    weights = drawn_weights(len(labels), seed)
    found = estimates(values[labels], probabilities @ values, weights)
    confusion = confusion_matrix(labels, probabilities).astype("float64")
    cells = confusion.ravel() / confusion.sum()
    draws = max(100, min(len(weights), CELLS // cells.size))
    drawn = np.random.default_rng(seed).multinomial(len(labels), cells, draws).reshape(draws, *confusion.shape)
    kappa = percentiles(quadratic_kappa(confusion), quadratic_kappa(drawn.astype("float64")))
    return {name: found[name] for name in ("mae", "rmse", "pearson")} | {"kappa": kappa}


def quadratic_kappa(confusion: np.ndarray) -> np.ndarray:
    """Returns the quadratic weighted kappa of confusion matrices `(..., C, C)`; nan where only one class occurs.

    >>> float(quadratic_kappa(np.array([[2.0, 0.0], [0.0, 3.0]])))
    1.0
    """
    classes, texts = confusion.shape[-1], confusion.sum(axis=(-2, -1))
    distance = (np.arange(classes)[:, None] - np.arange(classes)) ** 2.0
    rows, columns = confusion.sum(axis=-1), confusion.sum(axis=-2)
    by_chance = np.einsum("...i,ij,...j->...", rows, distance, columns) / texts
    seen = (confusion * distance).sum(axis=(-2, -1))
    return np.where(by_chance > 0, 1 - seen / np.where(by_chance > 0, by_chance, 1), np.nan)
