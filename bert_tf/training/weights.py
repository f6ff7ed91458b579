"""How much each text counts: the weights of its class and its own, in everything that is fitted or chosen by a loss.

Weighted are the solved head, its strength and temperature, the epochs, what decides which epoch and stage is kept, the final
temperature and the baseline. Accuracy, F1 and the report's log loss are of the texts as they come.

Weights of classes change what a probability means: with "balanced" it is that of a world in which every class is equally
frequent. They are calibrated for that world, as a temperature fitted on the texts as they come would only make the model unsure.
"""

import json
from typing import Any

import numpy as np

from bert_tf.data.classes import key_of, places
from bert_tf.data.examples import Examples
from bert_tf.models.checks import class_weight_by_index

BALANCED = "balanced"


def class_weights(given: str | None, examples: Examples) -> np.ndarray | None:
    """Returns how much the texts of each class count, float64 `(C,)`; None if all count the same.

    Args:
        given: the option `class_weight`: "balanced", N / (C * texts of the class) as in scikit-learn, or JSON of the weights by
            class, in which a class that is missing has 1.
        examples: the training texts.
    Raises: ValueError for a class that the examples do not have.
    """
    if given is None:
        return None
    names = examples.label_names
    if given == BALANCED:
        counts = np.bincount(examples.labels, minlength=len(names))
        return np.where(counts > 0, len(examples) / (np.sum(counts > 0) * np.maximum(counts, 1)), 0.0)
    weights = json.loads(given)
    if isinstance(weights, dict):
        place = places(names)
        known = [names[place[key_of(name)]] if key_of(name) in place else name for name in weights]
        if twice := [name for name in known if known.count(name) > 1]:
            raise ValueError(f"`class_weight`: {twice[0]!r} is given twice.")
        weights = dict(zip(known, weights.values(), strict=True))
    by_index = class_weight_by_index(weights, names) or {}
    found = np.array([by_index.get(i, 1.0) for i in range(len(names))])
    if not found[examples.labels].any():
        raise ValueError(
            f"`class_weight`: every class of {examples.source} has weight 0, so that nothing would be learnt."
        )
    return found


def text_weights(examples: Examples, by_class: np.ndarray | None) -> np.ndarray | None:
    """Returns how much each text counts, float32 `(N,)` of mean 1; None if all count the same."""
    if by_class is None:
        return examples.weights
    weights: Any = by_class[examples.labels] * (1.0 if examples.weights is None else examples.weights)
    return normalised(weights)


def normalised(weights: np.ndarray) -> np.ndarray:
    """Returns weights as float32 of mean 1, so that they change neither learning rate nor regularisation; all 0 stay."""
    mean = float(np.mean(weights, dtype="float64")) if len(weights) else 0.0
    return (np.asarray(weights, "float64") / (mean or 1.0)).astype("float32")
