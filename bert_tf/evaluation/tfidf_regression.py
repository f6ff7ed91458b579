"""The baseline for numbers: ridge regression on TF-IDF.

scikit-learn is imported when it is needed: that takes a second or two.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from bert_tf.evaluation.resampling import folds
from bert_tf.evaluation.terms import choose_terms, counted, size_of_terms
from bert_tf.evaluation.tfidf import CHOICE_FOLDS, one_thread

BASELINE = "TF-IDF + ridge regression"
PENALTIES = (0.1, 0.3, 1.0, 3.0, 10.0)  # to choose from: TF-IDF rows have length 1
USUAL_PENALTY = 1.0


@dataclass(frozen=True)
class RidgeBaseline:
    """The trained baseline. Call it with texts to get numbers, float64 `(M,)`.

    Attributes:
        vectorizer, model: scikit-learn's.
        characters: bool, whether it counts runs of characters instead of words.
    """

    vectorizer: Any
    model: Any
    characters: bool = False
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
    fold = folds(len(numbers), CHOICE_FOLDS, seed, groups)
    weights = np.ones(len(numbers)) if weights is None else np.asarray(weights)

    def trained(rows: Any, penalty: float, places: Any) -> Any:
        model = Ridge(penalty, solver="sparse_cg", max_iter=300, tol=1e-4)
        return model.fit(rows.astype("float64"), numbers[places], weights[places])

    def judge(rows: Any, places: np.ndarray) -> tuple[float, float]:
        parts = fold[places]

        def loss(penalty: float) -> float:
            errors = np.zeros(len(places))
            for i in range(CHOICE_FOLDS):
                held = parts == i
                errors[held] = trained(rows[~held], penalty, places[~held]).predict(rows[held]) - numbers[places[held]]
            return float((weights[places] * errors**2).sum())

        return min((loss(penalty), penalty) for penalty in PENALTIES)

    every, many_folds = np.arange(len(numbers)), fold.max() == CHOICE_FOLDS - 1
    with one_thread():
        (rows, fitted, characters), penalty = (
            choose_terms(texts, judge, seed=seed) if many_folds else (counted(texts), USUAL_PENALTY)
        )
        penalty = penalty or judge(rows, every)[1]
        return RidgeBaseline(fitted, trained(rows, penalty, every), characters)
