"""The head of a frozen base for any number of labels a text: logistic regression for each label, all solved at once.

Each label has a strength of its own. In the principal axes of the features, scaled by the curvature of each label's loss, the problem is nearly
round: L-BFGS needs a tenth of the steps, and one matrix product serves all labels.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bert_tf.evaluation import multi_label
from bert_tf.evaluation.resampling import folds
from bert_tf.evaluation.tfidf import one_thread
from bert_tf.training.solver import ABSENT, CHOSEN_UP_TO, USUAL_STRENGTH, SolvedHead

# As in solver.py. On 8,000 comments with 28 emotions the best for all together was 1.5e-3; with one for each label macro F1 of
# other texts rose from 0.382 to 0.396, micro F1 from 0.505 to 0.507.
STRENGTHS = (5e-4, 1.5e-3, 4e-3, 1e-2)
FOLDS = 3
MOST_STEPS = 100
TOLERANCE = 1e-4  # of the gradient a text: rare labels have small ones
NEGLIGIBLE = 1e-2  # share of the penalty below which an axis' curvature, hence its weight, comes to nothing


def solve(
    rows: np.ndarray, labels: Any, num_labels: int, seed: int = 0, weights: np.ndarray | None = None, groups: Any = None
) -> SolvedHead:
    """Fits logistic regression with an L2 penalty for each label; strengths and temperature come from cross-validation.

    Args:  (N = texts, D = features, C = labels)
        rows: float `(N, D)`, standardised.
        labels: 0 or 1, `(N, C)`.
        num_labels: int, C.
        seed: int, of the folds.
        weights: float `(N,)` of mean 1, how much each text counts; None = all the same.
        groups: int `(N,)`; texts of one group share a fold. None = each text is its own.
    Returns: `SolvedHead`; its strength is the best for all labels together. Labels with fewer texts than
        `multi_label.LEAST_POSITIVES` have that one.
    Raises: ValueError if no label has a text.
    """
    labels, rows = np.asarray(labels, "float32"), np.ascontiguousarray(rows, "float32")
    if not labels.any():
        raise ValueError("The training texts must have at least one label. Received: none")
    weights = np.ones(len(rows), "float32") if weights is None else np.asarray(weights, "float32")
    with one_thread():
        axes, squares = principal_axes(rows)
        turned = rows @ axes
        strengths, shared, temperature, loss, held_out = _choose(turned, squares, labels, seed, weights, groups)
        kernel, bias = fit(turned, squares, labels, [strengths], weights)[0]
        kernel = axes @ kernel
    return SolvedHead(kernel / temperature, bias / temperature, shared, temperature, loss, held_out)


def principal_axes(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the axes that matter under any of the penalties, float32 `(D, K)`, and the rows' sum of squares along each, `(K,)`."""
    from scipy.linalg import eigh

    wide = rows.shape[1] > rows.shape[0]
    gram = rows @ rows.T if wide else rows.T @ rows
    squares, vectors = eigh(gram, overwrite_a=True, check_finite=False, driver="evd")
    matter = squares > max(NEGLIGIBLE / max(STRENGTHS), 1e-6 * squares[-1])
    squares, vectors = squares[matter], vectors[:, matter]
    return (rows.T @ vectors / np.sqrt(squares) if wide else vectors), squares


def _choose(
    rows: np.ndarray, squares: np.ndarray, labels: np.ndarray, seed: int, weights: np.ndarray, groups: Any
) -> tuple[Any, float, float, float, Any]:
    """Returns the strength with the lowest held-out loss for each label, and for all together, the temperature for these, the
    loss at that temperature, and the held-out texts with their logits."""
    chosen = np.random.default_rng(seed).permutation(len(labels))[:CHOSEN_UP_TO]
    fold = folds(len(chosen), FOLDS, seed, None if groups is None else np.asarray(groups)[chosen])
    if len(chosen) < 2 * FOLDS or fold.max() < FOLDS - 1:
        return USUAL_STRENGTH, USUAL_STRENGTH, 1.0, float("nan"), (chosen[:0], np.zeros((0, labels.shape[1])))
    share = (1 - 1 / FOLDS) * len(chosen) / len(rows)
    rows, labels, weights = rows[chosen], labels[chosen], weights[chosen]
    logits = np.zeros((len(STRENGTHS), *labels.shape))
    for own in range(FOLDS):
        held = fold == own
        heads = fit(rows[~held], share * squares, labels[~held], STRENGTHS, weights[~held])
        for i, (kernel, bias) in enumerate(heads):
            logits[i, held] = rows[held] @ kernel + bias
    losses = np.stack([np.average(np.logaddexp(0, each) - labels * each, axis=0, weights=weights) for each in logits])
    shared = int(losses.mean(axis=1).argmin())
    best = np.where(labels.sum(axis=0) >= multi_label.LEAST_POSITIVES, losses.argmin(axis=0), shared)  # (C,)
    held_out = np.take_along_axis(logits, best[None, None], axis=0)[0]
    temperature = multi_label.temperature(labels, held_out, weights)
    held_out /= temperature
    loss = multi_label.logit_loss(labels, held_out, weights)
    return np.asarray(STRENGTHS)[best], STRENGTHS[shared], temperature, loss, (chosen, held_out)


def fit(
    rows: np.ndarray,
    squares: np.ndarray,
    labels: np.ndarray,
    strengths: Sequence[Any],
    weights: np.ndarray | None = None,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns kernel `(K, C)` and bias `(C,)` for each strength, each starting from the one before.

    Args:
        rows: float `(N, K)`, in their principal axes.
        squares: float `(K,)`, about their sum of squares along each.
        labels: 0 or 1, `(N, C)`. A label without texts gets no weights and the bias `ABSENT`.
        strengths: inverse penalties of a loss that is summed over the texts: each a float, or float `(C,)`.
        weights: float32 `(N,)`, how much each text counts; None = all the same.
    """
    from scipy.optimize import minimize

    (texts, width), count = rows.shape, labels.shape[1]
    present = labels.any(axis=0)
    counts = np.ones((texts, 1), "float32") if weights is None else weights[:, None]
    shares = np.clip((counts * labels).mean(axis=0) / counts.mean(), 0.5 / texts, 1 - 0.5 / texts)
    curvature = shares * (1 - shares)  # of a loss whose logits are still the bias
    kernel, bias = np.zeros((width, count)), np.log(shares / (1 - shares))
    heads = []

    def loss(flat: np.ndarray, scale: np.ndarray, penalty: Any) -> tuple[float, np.ndarray]:
        weights = (flat.reshape(scale.shape) * scale).astype("float32")
        kernel = weights[:-1]
        logits = rows @ kernel + weights[-1]
        small = np.exp(-np.abs(logits))
        value = (counts * (np.maximum(logits, 0) + np.log1p(small) - labels * logits)).sum(dtype="float64")
        errors = counts * (np.where(logits >= 0, 1 / (1 + small), small / (1 + small)) - labels)
        gradient = np.concatenate([rows.T @ errors + penalty * kernel, errors.sum(axis=0)[None]])
        value += float((penalty / 2 * (kernel.astype("float64") ** 2).sum(axis=0)).sum())
        return value / texts, (gradient * scale / texts).ravel()

    for strength in strengths:
        penalty = 1 / np.asarray(strength)
        # In these units the Hessian is nearly the identity, which L-BFGS starts from.
        hessian = np.vstack([np.outer(squares, curvature) + penalty, texts * curvature]) / texts
        scale = 1 / np.sqrt(hessian)
        start = (np.vstack([kernel, bias]) / scale).ravel()
        options = {"maxiter": MOST_STEPS, "gtol": TOLERANCE, "ftol": 1e-8}
        done = minimize(loss, start, (scale, penalty), method="L-BFGS-B", jac=True, options=options)
        found = done.x.reshape(scale.shape) * scale
        kernel, bias = found[:-1], found[-1]
        heads.append(
            (np.where(present, kernel, 0).astype("float32"), np.where(present, bias, ABSENT).astype("float32"))
        )
    return heads
