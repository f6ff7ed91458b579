"""The baseline for any number of labels a text: logistic regression on TF-IDF, one for each label.

scikit-learn is imported when it is needed: that takes a second or two.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bert_tf.evaluation.multi_label import choose_thresholds, text_losses
from bert_tf.evaluation.resampling import folds
from bert_tf.evaluation.terms import choose_terms, counted, size_of_terms
from bert_tf.evaluation.tfidf import CHOICE_FOLDS, STRENGTHS, USUAL_STRENGTH, one_thread

BASELINE = "TF-IDF + one-vs-rest logistic regression"


@dataclass(frozen=True)
class MultiLabelBaseline:
    """The trained baseline. Call it with texts to get probabilities, float64 `(M, C)`.

    Attributes:
        vectorizer: scikit-learn's.
        kernel, bias: float `(terms, C)`, `(C,)`.
        thresholds: float `(C,)`, chosen on predictions for the training texts by models that had not seen them; None, for 0.5, if
            there are too many texts to train such models.
        characters: bool, whether it counts runs of characters instead of words.
    """

    vectorizer: Any
    kernel: np.ndarray
    bias: np.ndarray
    thresholds: np.ndarray | None = None
    characters: bool = False

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        return _probabilities(self.vectorizer.transform(texts), self.kernel, self.bias)

    @property
    def parameters(self) -> int:
        return self.kernel.size + self.bias.size

    @property
    def size(self) -> int:
        """Bytes to store it: the weights, and each term with its frequency."""
        return 4 * self.parameters + size_of_terms(self.vectorizer)


def train_baseline(
    texts: Sequence[str], labels: Any, num_labels: int, seed: int = 0, weights: Any = None, groups: Any = None
) -> MultiLabelBaseline:
    """Trains it; one strength for all labels is chosen as for `bert_tf.evaluation.tfidf.train_baseline`.

    Args:  (N training texts, C labels)
        texts, labels: str N; 0 or 1, `(N, C)`.
        num_labels: int, C.
        seed: int, of the folds.
        weights: float `(N,)` of mean 1, how much each text counts; None = all the same.
        groups: int `(N,)`; texts of one group share a fold. None = each text is its own.
    Raises: ValueError if the texts have no term in common.
    """
    labels = np.asarray(labels)
    fold = folds(len(labels), CHOICE_FOLDS, seed, groups)
    weights = np.ones(len(labels)) if weights is None else np.asarray(weights)

    def held_out(rows: Any, places: np.ndarray, strength: float) -> np.ndarray:
        known, counts, parts = labels[places], weights[places], fold[places]
        found = np.zeros(known.shape)
        for i in range(CHOICE_FOLDS):
            held = parts == i
            found[held] = _probabilities(rows[held], *_fit(rows[~held], known[~held], strength, counts[~held]))
        return found

    def judge(rows: Any, places: np.ndarray) -> tuple[float, tuple[float, np.ndarray]]:
        def loss(one: tuple[float, np.ndarray]) -> float:
            return float(np.average(text_losses(labels[places], one[1]), weights=weights[places]))

        best = min(((each, held_out(rows, places, each)) for each in STRENGTHS), key=loss)
        return loss(best), best

    many_folds = fold.max() == CHOICE_FOLDS - 1
    (rows, fitted, characters), choice = (
        choose_terms(texts, judge, num_labels, seed) if many_folds else (counted(texts), None)
    )
    strength, thresholds = USUAL_STRENGTH, None
    if choice:
        strength, found = choice
        thresholds = choose_thresholds(labels, found)
    return MultiLabelBaseline(fitted, *_fit(rows, labels, strength, weights), thresholds, characters)


def _fit(rows: Any, labels: np.ndarray, strength: float, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns kernel and bias; a label that all texts have, or none, has no weights."""
    from sklearn.linear_model import LogisticRegression

    kernel, bias = np.zeros((rows.shape[1], labels.shape[1]), "float32"), np.zeros(labels.shape[1])
    rows = rows.astype("float64")  # as liblinear wants them
    # liblinear solves the dual of each label in some hundredths of a second.
    model = LogisticRegression(C=strength, solver="liblinear", dual=True, max_iter=200, random_state=0)
    with one_thread():
        for i, column in enumerate(labels.T > 0):
            if column.all() or not column.any():
                bias[i] = 20.0 if column.all() else -20.0
                continue
            model.fit(rows, column, weights)
            kernel[:, i], bias[i] = model.coef_[0], model.intercept_[0]
    return kernel, bias


def _probabilities(rows: Any, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(np.asarray(rows @ kernel, "float64") + bias, -500, 500)))
