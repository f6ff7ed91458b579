"""The head of a frozen base for numbers: ridge regression on its features, in closed form."""

from typing import Any

import numpy as np

from bert_tf.evaluation.resampling import folds
from bert_tf.evaluation.tfidf import one_thread
from bert_tf.training.solver import SolvedHead

# Squared error and features of variance 1: the sum of squared errors + penalty * the sum of squared weights.
PENALTIES = (30.0, 100.0, 300.0, 1000.0, 3000.0, 10000.0, 30000.0)
USUAL_PENALTY = 1000.0  # where there are too few texts to cross-validate
FOLDS = 5


def solve(
    rows: np.ndarray,
    numbers: Any,
    num_labels: int = 1,
    seed: int = 0,
    weights: np.ndarray | None = None,
    groups: Any = None,
) -> SolvedHead:
    """Fits ridge regression; the penalty comes from cross-validation. The temperature is 1: there is nothing to calibrate.

    Args:  (N = texts, D = features)
        rows: float `(N, D)`, standardised.
        numbers: float `(N, 1)`, standardised.
        num_labels: int, 1.
        seed: int, of the folds.
        weights: float `(N,)` of mean 1, how much each text counts; None = all the same.
        groups: int `(N,)`; texts of one group share a fold. None = each text is its own.
    Returns: `SolvedHead`, its strength the inverse of the penalty, its loss the mean squared error of held-out texts.
    Raises: ValueError if all numbers are the same.
    """
    rows, numbers = np.ascontiguousarray(rows, "float32"), np.asarray(numbers, "float64").ravel()
    if len(numbers) == 0 or numbers.min() == numbers.max():
        raise ValueError("The training texts must have at least two different numbers.")
    texts = len(numbers)
    fold = folds(texts, FOLDS, seed, groups)
    weights = np.ones(texts, "float32") if weights is None else np.asarray(weights, "float32")
    with one_thread():
        parts = [_sums(rows[fold == i], numbers[fold == i], weights[fold == i]) for i in range(FOLDS)]
        whole = [sum(each) for each in zip(*parts, strict=True)]
        if texts < 2 * FOLDS or fold.max() < FOLDS - 1:
            penalty, loss, held_out = USUAL_PENALTY, float("nan"), np.zeros((0, 1))
        else:
            logits = np.zeros((len(PENALTIES), texts))
            for i, part in enumerate(parts):
                rest = [all_ - own for all_, own in zip(whole, part, strict=True)]
                for j, each in enumerate(PENALTIES):
                    kernel, bias = _solved(rest, each)
                    logits[j, fold == i] = rows[fold == i] @ kernel + bias
            losses = np.average((logits - numbers) ** 2, axis=1, weights=weights)
            best = int(losses.argmin())
            penalty, loss, held_out = PENALTIES[best], float(losses[best]), logits[best][:, None]
        kernel, bias = _solved(whole, penalty)
    places = np.arange(len(held_out))
    return SolvedHead(kernel[:, None], np.array([bias], "float32"), 1 / penalty, 1.0, loss, (places, held_out))


def _sums(rows: np.ndarray, numbers: np.ndarray, weights: np.ndarray) -> list[Any]:
    """Returns what ridge regression needs of some texts, which can be added up: their number, the sums of rows and numbers,
    and of their products, each by its weight."""
    counted = weights[:, None] * rows
    products = (counted.T @ rows).astype("float64")
    return [
        weights.sum(dtype="float64"),
        counted.sum(axis=0, dtype="float64"),
        weights @ numbers,
        products,
        counted.T @ numbers,
    ]


def _solved(sums: list[Any], penalty: float) -> tuple[np.ndarray, float]:
    """Returns kernel `(D,)`, float32, and bias, which is not penalised."""
    from scipy.linalg import solve as solve_linear

    texts, total, sum_, squares, products = sums
    mean, middle = total / texts, sum_ / texts
    matrix = squares - np.outer(total, mean)
    matrix[np.diag_indices_from(matrix)] += penalty
    kernel = solve_linear(matrix.astype("float32"), products - total * middle, assume_a="pos", overwrite_a=True)
    return kernel.astype("float32"), float(middle - mean @ kernel)
