"""The baseline for numbers: ridge regression on TF-IDF.

scikit-learn is imported when it is needed: that takes a second or two.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from bert_tf.evaluation.resampling import folds
from bert_tf.evaluation.tfidf import CHOICE_FOLDS, one_thread, size_of_terms, tfidf

BASELINE = "TF-IDF + ridge regression"
PENALTIES = (0.1, 0.3, 1.0, 3.0, 10.0)  # to choose from: TF-IDF rows have length 1


@dataclass(frozen=True)
class RidgeBaseline:
    """The trained baseline. Call it with texts to get numbers, float64 `(M,)`.

    Attributes:
        vectorizer, model: scikit-learn's.
    """

    vectorizer: Any
    model: Any
    thresholds: ClassVar[None] = None  # nothing is decided by them

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        return np.asarray(self.model.predict(self.vectorizer.transform(texts)), "float64")

    @property
    def parameters(self) -> int:
        return self.model.coef_.size + 1

    @property
    def size(self) -> int:
        """Bytes to store it: the weights, and each term with its frequency."""
        return 4 * self.parameters + size_of_terms(self.vectorizer)


def train_baseline(
    texts: Sequence[str], numbers: Any, num_labels: int = 1, seed: int = 0, weights: Any = None, groups: Any = None
) -> RidgeBaseline:
    """Trains it; the penalty is chosen from `PENALTIES` by cross-validation.

    Args:
        texts, numbers: str N, float `(N,)`.
        num_labels: int, 1.
        seed: int, of the folds.
        weights: float `(N,)` of mean 1, how much each text counts; None = all the same.
        groups: int `(N,)`; texts of one group share a fold. None = each text is its own.
    Raises: ValueError if the texts have no term in common.
    """
    from sklearn.linear_model import Ridge

    numbers = np.asarray(numbers, "float64")
    rows, fitted = tfidf(texts)
    rows = rows.astype("float64")
    fold = folds(len(numbers), CHOICE_FOLDS, seed, groups)
    weights = np.ones(len(numbers)) if weights is None else np.asarray(weights)

    def trained(penalty: float, chosen: np.ndarray) -> Any:
        model = Ridge(penalty, solver="sparse_cg", max_iter=300, tol=1e-4)
        return model.fit(rows[chosen], numbers[chosen], weights[chosen])

    def loss(penalty: float) -> float:
        errors = np.zeros(len(numbers))
        for i in range(CHOICE_FOLDS):
            held = fold == i
            errors[held] = trained(penalty, ~held).predict(rows[held]) - numbers[held]
        return float((weights * errors**2).sum())

    with one_thread():
        penalty = min(PENALTIES, key=loss) if fold.max() == CHOICE_FOLDS - 1 else 1.0
        return RidgeBaseline(fitted, trained(penalty, np.ones(len(numbers), bool)))
