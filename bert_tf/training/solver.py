"""The head of a frozen base as a convex problem: logistic regression on its features, solved instead of trained by epochs.

scikit-learn is imported when it is needed: that takes a second or two.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from bert_tf.evaluation import scores
from bert_tf.evaluation.tfidf import one_thread

# Inverse regularisation to choose from, for a loss that is summed over the texts and features of variance 1. On 2,000 app
# reviews the best of 1e-5 to 1 was 1e-3, on 100 of them 1e-2.
STRENGTHS = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
USUAL_STRENGTH = 1e-3  # where a class has too few texts to cross-validate
CHOSEN_UP_TO = 5_000  # texts to choose the strength on; the head is then solved on all
FOLDS = 5
ABSENT = -20.0  # bias of a class without training texts: no text is assigned to it
TOLERANCE = 1e-3  # of the gradient: ten times as exact changes no prediction


@dataclass(frozen=True)
class SolvedHead:
    """A linear head, calibrated.

    Attributes:
        kernel, bias: float32 `(D, C)`, `(C,)`, of logits that are divided by the temperature already.
        strength: float, the inverse regularisation that cross-validation chose.
        temperature: float, what the held-out logits were divided by.
        held_out_loss: float, log loss (nats), weighted as the texts are, of the calibrated probabilities of each text by a head
            solved without its fold; nan if there were too few texts.
        held_out: `(places, logits)`, int `(K,)` and float64 `(K, C)`: the texts that were held out in turn, and their calibrated
            logits; empty if there were too few.
    """

    kernel: np.ndarray
    bias: np.ndarray
    strength: float
    temperature: float
    held_out_loss: float
    held_out: tuple[np.ndarray, np.ndarray]


def solve(
    rows: np.ndarray, labels: Any, num_labels: int, seed: int = 0, weights: np.ndarray | None = None, groups: Any = None
) -> SolvedHead:
    """Fits multinomial logistic regression with an L2 penalty; strength and temperature come from stratified cross-validation.

    Args:  (N = texts, D = features, C = classes)
        rows: float `(N, D)`, standardised.
        labels: int `(N,)`.
        num_labels: int, C.
        seed: int, of the folds.
        weights: float `(N,)` of mean 1, how much each text counts, in the fit as in what chooses strength and temperature; None =
            all the same.
        groups: int `(N,)`; texts of one group share a fold. None = each text is its own.
    Raises: ValueError for fewer than two classes.
    """
    labels, rows = np.asarray(labels), np.ascontiguousarray(rows, "float32")
    if (present := len(np.unique(labels))) < 2:
        raise ValueError(f"The training texts must have at least two classes. Received: {present}")
    strength, temperature, loss, held_out = _choose(rows, labels, num_labels, seed, weights, groups)
    kernel, bias = _fit(rows, labels, num_labels, [strength], weights)[0]
    return SolvedHead(kernel / temperature, bias / temperature, strength, temperature, loss, held_out)


def _choose(
    rows: np.ndarray, labels: np.ndarray, num_labels: int, seed: int, weights: np.ndarray | None, groups: Any
) -> tuple[float, float, float, Any]:
    """Returns the strength with the lowest held-out loss, the temperature for it, the loss at that temperature, and the
    held-out texts with their logits."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    chosen = np.random.default_rng(seed).permutation(len(labels))[:CHOSEN_UP_TO]
    rows, labels, weights = rows[chosen], labels[chosen], None if weights is None else weights[chosen]
    counts = np.bincount(labels)
    folds = min(FOLDS, int(counts[counts > 0].min()))
    if groups is not None:
        groups = groups[chosen]
        folds = min(folds, len(np.unique(groups)))
    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    splits = [*kind(folds, shuffle=True, random_state=seed).split(rows, labels, groups)] if folds > 1 else []
    if any(len(np.unique(labels[fit])) < 2 or not len(held) for fit, held in splits):  # groups of one class each
        splits = []
    if not splits:
        return USUAL_STRENGTH, 1.0, float("nan"), (chosen[:0], np.zeros((0, num_labels)))
    logits = np.zeros((len(STRENGTHS), len(labels), num_labels))
    for fit, held in splits:
        known = None if weights is None else weights[fit]
        for i, (kernel, bias) in enumerate(_fit(rows[fit], labels[fit], num_labels, STRENGTHS, known)):
            logits[i, held] = rows[held] @ kernel + bias
    found = []
    for i, each in enumerate(logits):
        divisor = scores.temperature(labels, scores.softmax(each), weights)
        found.append((scores.log_loss(labels, scores.softmax(each / divisor), weights), i, divisor))
    loss, best, temperature = min(found)
    return STRENGTHS[best], temperature, loss, (chosen, logits[best] / temperature)


def _fit(
    rows: np.ndarray, labels: np.ndarray, num_labels: int, strengths, weights: np.ndarray | None = None
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns kernel `(D, C)` and bias `(C,)` for each strength, each starting from the one before."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=200, tol=TOLERANCE, warm_start=True)
    heads = []
    with one_thread():
        for strength in strengths:
            model.set_params(C=strength).fit(rows, labels, weights)
            coefficients, bias = model.coef_, model.intercept_
            if len(coefficients) == 1:  # two classes: scikit-learn gives the difference of their logits
                coefficients, bias = (
                    np.stack([-coefficients[0], coefficients[0]]) / 2,
                    np.array([-bias[0], bias[0]]) / 2,
                )
            kernel, full = np.zeros((rows.shape[1], num_labels), "float32"), np.full(num_labels, ABSENT, "float32")
            kernel[:, model.classes_], full[model.classes_] = coefficients.T, bias
            heads.append((kernel, full))
    return heads
