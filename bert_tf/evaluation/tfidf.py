"""Logistic regression by scikit-learn: the floor that a model should beat, and a second opinion on labels.

scikit-learn is the extra `report` and is imported only when something here is called.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

STRENGTHS = (1.0, 10.0, 100.0)  # inverse regularisation of the floor: TF-IDF rows have length 1


CHEAP = 10_000  # texts up to which the floor's strength is chosen by cross-validation


FOLDS = 5


@contextmanager
def _scikit_learn() -> Iterator[None]:
    try:
        from sklearn.exceptions import ConvergenceWarning
        from threadpoolctl import threadpool_limits  # scikit-learn's own dependency
    except ImportError as error:
        raise ImportError("This needs scikit-learn, which is not installed: pip install 'bert-tf[report]'") from error
    with warnings.catch_warnings(), threadpool_limits(1):  # more threads wait for each other, and for TensorFlow's
        warnings.simplefilter("ignore", ConvergenceWarning)  # near the optimum is near enough here
        yield


@dataclass(frozen=True)
class Floor:
    """TF-IDF with logistic regression, trained: call it with texts to get probabilities, float64 `(M, C)`.

    Attributes:
        vectorizer, model: scikit-learn's.
        num_labels: int, C; columns of classes that no training text had are 0.
    """

    vectorizer: Any
    model: Any
    num_labels: int

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        return _predict(self.model, self.vectorizer.transform(texts), self.num_labels)

    @property
    def parameters(self) -> int:
        return self.model.coef_.size + self.model.intercept_.size

    @property
    def size(self) -> int:
        """Bytes that it takes to keep: weights, and each word with its frequency."""
        words = sum(len(word.encode()) + 5 for word in self.vectorizer.vocabulary_)
        return 4 * self.parameters + words


def train_floor(train_texts: Sequence[str], train_labels: Any, num_labels: int, seed: int = 0) -> Floor:
    """Learns to classify texts by their words alone: TF-IDF of words, signs and pairs of them, logistic regression.

    What a fine-tuned model should beat, in seconds on one core. Words that occur once are left out where there are 1,000
    texts or more; counts enter by their logarithm. The strength of the regularisation is chosen from `STRENGTHS` within the
    training texts, where these are at most `CHEAP`.

    Args:  (N training texts)
        train_texts, train_labels: str N, int `(N,)`.
        num_labels: int, C, the columns to return.
        seed: int, of the folds in which the strength is chosen.
    Returns: `Floor`.
    Raises: ImportError without scikit-learn; ValueError if the training texts have fewer than two classes, or all are blank.
    """
    labels = np.asarray(train_labels)
    with _scikit_learn():
        rows, vectorizer = tfidf(train_texts)
        strength = 10.0
        if len(labels) <= CHEAP:
            strength = min(
                STRENGTHS, key=lambda tried: _loss(labels, _by_fold(rows, labels, num_labels, 3, tried, None, seed))
            )
        return Floor(vectorizer, _fit(rows, labels, strength), num_labels)


def floor(
    train_texts: Sequence[str], train_labels: Any, texts: Sequence[str], num_labels: int, seed: int = 0
) -> np.ndarray:
    """Classifies texts by what `train_floor` learns, which see.

    Args:
        texts: str M, to classify.
    Returns: probabilities, float64 `(M, C)`; 0 for a class that no training text has.
    """
    return train_floor(train_texts, train_labels, num_labels, seed)(texts)


def tfidf(texts: Sequence[str]) -> tuple[Any, Any]:
    """Returns the TF-IDF of words, signs and pairs of them, sparse float32 `(N, words)`, and what makes it for other texts."""
    with _scikit_learn():
        from sklearn.feature_extraction.text import TfidfVectorizer

        vectorizer = TfidfVectorizer(
            ngram_range=(1, 2),
            sublinear_tf=True,
            min_df=2 if len(texts) >= 1000 else 1,
            token_pattern=r"\w+|[^\w\s]",  # signs too: "!", an emoji; on two sets of reviews better than words alone
            dtype=np.float32,
        )
        return vectorizer.fit_transform(texts), vectorizer


def out_of_fold(
    features: Any,
    labels: Any,
    num_labels: int,
    *,
    groups: Any = None,
    strength: float | None = None,
    seed: int = 0,
) -> np.ndarray:
    """Returns what models say of texts they have not seen: logistic regression on features, in `FOLDS` folds.

    Args:  (N = texts, D = features, C = classes)
        features: float `(N, D)`, standardised here by the training folds; or sparse, taken as it is.
        labels: int `(N,)`.
        num_labels: int, C.
        groups: int `(N,)`, texts of one group share a fold (`bert_tf.evaluation.diagnostics.groups`: copies would give the answer
            away); None = each text alone.
        strength: float, inverse regularisation (scikit-learn's C). None = 0.001, or 3 for a sparse matrix: on 2,000
            reviews these found the most wrong labels of what was tried (0.0001 to 0.1; 1 to 10).
        seed: int, of the folds.
    Returns: probabilities, float64 `(N, C)`.
    Raises: ImportError without scikit-learn; ValueError if the sizes do not fit or there are fewer than two classes.
    """
    labels = np.asarray(labels)
    if features.shape[0] != len(labels):
        raise ValueError(f"One label for each row is needed. Received: {features.shape[0]} rows, {len(labels)} labels")
    if strength is None:
        strength = 0.001 if isinstance(features, np.ndarray) else 3.0
    with _scikit_learn():
        return _by_fold(features, labels, num_labels, FOLDS, strength, groups, seed)


def folds(labels: np.ndarray, count: int, groups: Any = None, seed: int = 0) -> np.ndarray:
    """Returns the fold of each text, int64 `(N,)` from 0: at random, each class spread evenly, groups kept together."""
    order = np.random.default_rng(seed).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    fold = np.empty(len(labels), "int64")
    fold[order] = np.arange(len(labels)) % count
    if groups is not None:
        _, first, group = np.unique(groups, return_index=True, return_inverse=True)
        fold = fold[first][group]
    return fold


def _by_fold(rows, labels, num_labels, count, strength, groups, seed) -> np.ndarray:
    fold = folds(labels, count, groups, seed)
    found = np.zeros((len(labels), num_labels))
    for i in np.unique(fold):
        held = fold == i
        found[held] = _probabilities(rows[~held], labels[~held], rows[held], num_labels, strength)
    return found


def _probabilities(train, labels: np.ndarray, rows, num_labels: int, strength: float) -> np.ndarray:
    if isinstance(train, np.ndarray):
        mean, scale = train.mean(axis=0), train.std(axis=0) + 1e-6
        train, rows = (train - mean) / scale, (rows - mean) / scale
    return _predict(_fit(train, labels, strength), rows, num_labels)


def _fit(rows, labels: np.ndarray, strength: float) -> Any:
    from sklearn.linear_model import LogisticRegression

    classes = np.unique(labels)
    if len(classes) < 2:
        raise ValueError(f"At least two classes must be there to learn from. Received: {len(classes)}")
    return LogisticRegression(C=strength, max_iter=300).fit(rows, labels)


def _predict(model, rows, num_labels: int) -> np.ndarray:
    found = np.zeros((rows.shape[0], num_labels))
    found[:, model.classes_] = model.predict_proba(rows)
    return found


def _loss(labels: np.ndarray, probabilities: np.ndarray) -> float:
    return float(-np.log(np.maximum(probabilities[np.arange(len(labels)), labels], 1e-7)).mean())


FLOOR = "TF-IDF + logistic regression"
