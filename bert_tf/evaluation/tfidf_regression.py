"""The baseline for numbers: ridge regression on TF-IDF.

scikit-learn is imported when it is needed: that takes a second or two.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

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

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        return np.asarray(self.model.predict(self.vectorizer.transform(texts)), "float64")

    @property
    def parameters(self) -> int:
        return self.model.coef_.size + 1

    @property
    def size(self) -> int:
        """Bytes to store it: the weights, and each term with its frequency."""
        return 4 * self.parameters + size_of_terms(self.vectorizer)


def train_baseline(texts: Sequence[str], numbers: Any, num_labels: int = 1, seed: int = 0) -> RidgeBaseline:
    """Trains it; the penalty is chosen from `PENALTIES` by cross-validation.

    Args:
        texts, numbers: str N, float `(N,)`.
        num_labels: int, 1.
        seed: int, of the folds.
    Raises: ValueError if the texts have no term in common.
    """
    from sklearn.linear_model import Ridge

    numbers = np.asarray(numbers, "float64")
    rows, fitted = tfidf(texts)
    rows = rows.astype("float64")
    fold = np.random.default_rng(seed).permutation(len(numbers)) % CHOICE_FOLDS

    def ridge(penalty: float) -> Any:
        return Ridge(penalty, solver="sparse_cg", max_iter=300, tol=1e-4)

    def loss(penalty: float) -> float:
        errors = [
            (
                (ridge(penalty).fit(rows[fold != i], numbers[fold != i]).predict(rows[fold == i]) - numbers[fold == i])
                ** 2
            ).sum()
            for i in range(CHOICE_FOLDS)
        ]
        return float(sum(errors))

    with one_thread():
        penalty = min(PENALTIES, key=loss) if len(numbers) >= CHOICE_FOLDS else 1.0
        return RidgeBaseline(fitted, ridge(penalty).fit(rows, numbers))
