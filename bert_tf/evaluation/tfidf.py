"""Logistic regression on TF-IDF: the baseline that a model should beat, and a second opinion on the labels.

scikit-learn is imported when it is needed: that takes a second or two.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from bert_tf.evaluation.scores import log_loss
from bert_tf.evaluation.terms import choose_terms, size_of_terms
from bert_tf.formatting import Text

BASELINE = "TF-IDF + logistic regression"
STRENGTHS = (1.0, 10.0, 100.0)  # inverse regularisation that the baseline chooses from: TF-IDF rows have length 1
USUAL_STRENGTH = 10.0  # beyond `COMPARED_UP_TO` texts, where choosing would take minutes
CHOICE_FOLDS = 3
LABEL_STRENGTH = 3.0  # of 1 to 10 it found the most wrong labels in 2,000 reviews
LABEL_FOLDS = 5


@dataclass(frozen=True)
class TfidfBaseline:
    """The trained baseline. Call it with texts to get probabilities, float64 `(M, C)`.

    Attributes:
        vectorizer, model: scikit-learn's.
        num_labels: int, C. The column of a class without training texts is 0.
        rows: sparse float32 `(N, terms)`, the TF-IDF of the training texts; None in a baseline that was loaded.
        characters: bool, whether it counts runs of characters instead of words.
    """

    vectorizer: Any
    model: Any
    num_labels: int
    rows: Any = None
    characters: bool = False
    thresholds: ClassVar[None] = None  # nothing is decided by them

    def __call__(self, texts: Sequence[Text]) -> np.ndarray:
        probabilities = self.model.predict_proba(self.vectorizer.transform(texts))
        return _in_columns(probabilities, self.model.classes_, self.num_labels)

    @property
    def parameters(self) -> int:
        return self.model.coef_.size + self.model.intercept_.size

    @property
    def size(self) -> int:
        """Bytes to store it: the weights, and each term with its frequency."""
        return 4 * self.parameters + size_of_terms(self.vectorizer)


def train_baseline(
    texts: Sequence[Text], labels: Any, num_labels: int, seed: int = 0, weights: Any = None, groups: Any = None
) -> TfidfBaseline:
    """Trains logistic regression on the TF-IDF of words, punctuation and pairs of them, in seconds on one core.

    It counts runs of characters instead, if cross-validation prefers them (`bert_tf.evaluation.terms`). The regularisation is
    chosen from `STRENGTHS` by cross-validation, if there are at most `COMPARED_UP_TO` texts.

    Args:  (N training texts)
        texts, labels: str N, int `(N,)`.
        num_labels: int, C, the number of columns to return.
        seed: int, of the folds.
        weights: float `(N,)` of mean 1, how much each text counts; None = all the same.
        groups: `(N,)`; texts of one group share a fold. None = each text is its own.
    Raises: ValueError if the texts have fewer than two classes or no term in common.
    """
    from sklearn.linear_model import LogisticRegression

    labels = _at_least_two_classes(labels)

    def judge(rows: Any, places: np.ndarray) -> tuple[float, float]:
        known = labels[places]
        counts, kept = (None if array is None else array[places] for array in (weights, groups))

        def loss(strength: float) -> float:
            by_others = _held_out(rows, known, num_labels, strength, CHOICE_FOLDS, kept, seed, counts)
            return log_loss(known, by_others, counts)

        return min((loss(strength), strength) for strength in STRENGTHS)

    (rows, fitted, characters), strength = choose_terms(texts, judge, 1 if num_labels == 2 else num_labels, seed)
    with one_thread():
        model = LogisticRegression(C=strength or USUAL_STRENGTH, max_iter=300).fit(rows, labels, weights)
    return TfidfBaseline(fitted, model, num_labels, rows, characters)


def held_out(
    baseline: TfidfBaseline, texts: Sequence[Text], labels: Any, seed: int = 0, weights: Any = None, groups: Any = None
) -> np.ndarray:
    """Returns the probabilities of each text by a baseline of the same strength that was not trained on it.

    Args:  (K texts, C classes)
        texts, labels, weights, groups: str K, int `(K,)`, the others `(K,)` or None: training texts of `baseline`.
    Returns: float64 `(K, C)`.
    """
    rows = baseline.vectorizer.transform(texts)
    return _held_out(
        rows, np.asarray(labels), baseline.num_labels, baseline.model.C, LABEL_FOLDS, groups, seed, weights
    )


def out_of_fold(rows: Any, labels: Any, num_labels: int, *, groups: Any = None, seed: int = 0) -> np.ndarray:
    """Returns the probabilities that logistic regression gives each text when trained without its fold.

    Args:  (N = texts, D = terms, C = classes)
        rows: float `(N, D)`, sparse or dense.
        labels: int `(N,)`.
        num_labels: int, C.
        groups: int `(N,)`; texts of one group share a fold (`bert_tf.evaluation.diagnostics.groups`: a copy in another fold
            would reveal the label). None = each text is its own group.
        seed: int, of the folds.
    Returns: float64 `(N, C)`.
    Raises: ValueError if the sizes differ or there are fewer than two classes.
    """
    if rows.shape[0] != len(labels):
        raise ValueError(f"Each row needs one label. Received: {rows.shape[0]} rows, {len(labels)} labels")
    return _held_out(rows, _at_least_two_classes(labels), num_labels, LABEL_STRENGTH, LABEL_FOLDS, groups, seed)


def _held_out(
    rows, labels, num_labels: int, strength: float, folds: int, groups, seed: int, weights: Any = None
) -> np.ndarray:
    """Returns probabilities `(N, C)` from cross-validation; each class is spread evenly over the folds."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_predict

    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    folds = min(folds, int(np.bincount(labels).max()))  # the most that scikit-learn accepts
    if groups is not None:
        folds = min(folds, len(np.unique(groups)))
    if folds < 2:
        raise ValueError(f"The training texts are too few: no label has two. Received: {len(labels)} texts")
    splitter = kind(folds, shuffle=True, random_state=seed)
    model = LogisticRegression(C=strength, max_iter=300)
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a class with a single text is missing in the other folds: probability 0 there
        more = {} if weights is None else {"params": {"sample_weight": weights}}
        probabilities = cross_val_predict(
            model, rows, labels, groups=groups, cv=splitter, method="predict_proba", n_jobs=1, **more
        )
    return _in_columns(probabilities, np.unique(labels), num_labels)


def _at_least_two_classes(labels: Any) -> np.ndarray:
    labels = np.asarray(labels)
    if (classes := len(np.unique(labels))) < 2:
        raise ValueError(f"The training texts must have at least two classes. Received: {classes}")
    return labels


def _in_columns(probabilities: np.ndarray, classes: np.ndarray, num_labels: int) -> np.ndarray:
    """Returns probabilities `(N, C)` with a column for every label, those of `classes` filled."""
    columns = np.zeros((len(probabilities), num_labels))
    columns[:, classes] = probabilities
    return columns


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread: more would wait for each other and for TensorFlow's. No warnings: near the optimum is near enough, and a
    class may have fewer texts than there are folds."""
    from threadpoolctl import threadpool_limits  # scikit-learn's own dependency

    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", UserWarning)  # ConvergenceWarning among them
        warnings.simplefilter("ignore", RuntimeWarning)
        yield
