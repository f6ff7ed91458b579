"""A classifier and the TF-IDF baseline as one: their log-probabilities, weighted and added.

The two are wrong about different texts, so that a classifier with a frozen base gains from it. One that was trained as a whole
does not. docs/accuracy.md has the figures.

    blend = train_blend(texts, labels, held_out, train_baseline(texts, labels, num_labels=2))
    probabilities = softmax(blend(logits, texts))
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bert_tf.evaluation import terms, tfidf
from bert_tf.evaluation.scores import log_loss, softmax
from bert_tf.files import SECOND_PART, read_json, write_json
from bert_tf.formatting import Text

TERMS, ARRAYS = SECOND_PART
LEAST_PROBABILITY = 1e-7  # a class that the baseline never saw has none


@dataclass(frozen=True)
class Blend:
    """The second part of a two-part classifier, and how much each part counts.

    Attributes:
        weights: two floats of 0 or more, of the classifier's log-probabilities and of the baseline's. They need not add up to
            1: together they calibrate too.
        baseline: `TfidfBaseline`.
        loss_alone, loss: float, log loss (nats) of the held-out texts without and with the baseline.
    """

    weights: tuple[float, float]
    baseline: tfidf.TfidfBaseline
    loss_alone: float
    loss: float

    def __call__(self, logits: np.ndarray, texts: Sequence[Text]) -> np.ndarray:
        """Returns the logits of both parts together, float64 `(N, C)`.

        Args:  (N texts, C classes)
            logits: float `(N, C)`, of the classifier.
            texts: str, N of them.
        """
        return mixed(self.weights, _log(softmax(np.asarray(logits, "float64"))), _log(self.baseline(texts)))


def mixed(weights: Sequence[float], *parts: np.ndarray) -> np.ndarray:
    return sum(weight * part for weight, part in zip(weights, parts, strict=True))  # type: ignore[return-value]


def train_blend(
    texts: Sequence[Text],
    labels: Any,
    held_out: tuple[np.ndarray, np.ndarray],
    baseline: tfidf.TfidfBaseline,
    seed: int = 0,
    weights: Any = None,
    groups: Any = None,
) -> Blend:
    """Finds the weights with the lowest log loss on texts that neither part has seen.

    Args:  (N training texts, C classes)
        texts, labels: str N, int `(N,)`.
        held_out: `(places, logits)`: int `(K,)`, which of the texts, and float `(K, C)`, their logits by a classifier that was
            not trained on them.
        baseline: trained on these texts; others of its strength judge those that were held out.
        seed: int, of the folds.
        weights: float `(N,)`, how much each text counts; None = all the same.
        groups: `(N,)`; texts of one group share a fold. None = each text is its own.
    Raises: ValueError if no texts were held out.
    """
    from scipy.optimize import minimize

    places, logits = held_out
    if not len(places):
        raise ValueError("To weigh the two parts, each class needs at least two texts.")
    known = np.asarray(labels)[places]
    counts, folds = (None if array is None else array[places] for array in (weights, groups))
    by_words = tfidf.held_out(baseline, [texts[i] for i in places], known, seed, counts, folds)
    parts = _log(softmax(logits.astype("float64"))), _log(by_words)

    def loss(shares) -> float:
        return log_loss(known, softmax(mixed(shares, *parts)), counts)

    best = minimize(loss, (0.8, 0.2), bounds=[(0.0, None)] * 2, method="L-BFGS-B").x  # convex
    return Blend((float(best[0]), float(best[1])), baseline, loss((1.0, 0.0)), loss(best))


def save_blend(blend: Blend, folder: Path) -> None:
    """Writes the baseline and the weights into the folder of a model."""
    from safetensors.numpy import save_file

    vectorizer, model = blend.baseline.vectorizer, blend.baseline.model
    arrays = {"idf": vectorizer.idf_, "kernel": model.coef_, "bias": model.intercept_, "classes": model.classes_}
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, folder / ARRAYS)
    content = {
        "weights": {"classifier": blend.weights[0], "tfidf": blend.weights[1]},
        "held_out_log_loss": {"classifier": blend.loss_alone, "both": blend.loss},
        "num_labels": blend.baseline.num_labels,
        "pairs": callable(vectorizer.analyzer),
        "characters": blend.baseline.characters,
        "terms": [str(term) for term in vectorizer.get_feature_names_out()],
    }
    write_json(folder / TERMS, content)


def load_blend(folder: Any) -> Blend | None:
    """Reads what `save_blend` wrote; None if the model is of one part."""
    folder = Path(folder).expanduser()
    if not (folder / TERMS).is_file():
        return None
    from safetensors.numpy import load_file
    from sklearn.linear_model import LogisticRegression

    content, arrays = read_json(folder / TERMS), load_file(folder / ARRAYS)
    characters = content.get("characters", False)
    vectorizer = terms.vectorizer(content.get("pairs", False), characters, vocabulary=content["terms"])
    vectorizer.idf_ = arrays["idf"]
    model = LogisticRegression()
    model.coef_, model.intercept_, model.classes_ = arrays["kernel"], arrays["bias"], arrays["classes"]
    weights, losses = content["weights"], content["held_out_log_loss"]
    baseline = tfidf.TfidfBaseline(vectorizer, model, content["num_labels"], characters=characters)
    return Blend((weights["classifier"], weights["tfidf"]), baseline, losses["classifier"], losses["both"])


def _log(probabilities: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(probabilities, LEAST_PROBABILITY))
