"""How much each text counts: the weights of its class and its own, in everything that is fitted or chosen by a loss.

Weighted are the solved head, its strength and temperature, the epochs, what decides which epoch and stage is kept, the final
temperature and the baseline. Accuracy, F1 and the report's log loss are of the texts as they come.

Weights of classes change what a probability means: with "balanced" it is that of a world in which every class is equally
frequent. They are calibrated for that world, as a temperature fitted on the texts as they come would only make the model unsure.
"""

import json

import numpy as np

from bert_tf.data.classes import key_of, places
from bert_tf.data.examples import Examples
from bert_tf.data.gates import normalised

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
    from bert_tf.models.checks import class_weight_by_index  # which imports Keras

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
        return None if examples.weights is None else normalised(examples.weights)
    return normalised(by_class[examples.labels] * (1.0 if examples.weights is None else examples.weights))


def check_some(weights: np.ndarray | None, name: str, examples: Examples) -> None:
    """Raises ValueError if no text counts; `name` says what the examples are."""
    if weights is not None and not weights.any():
        raise ValueError(
            f"{examples.source}: every {name} text has weight 0: nothing could be {'learnt from' if name == 'training' else 'chosen by'} "
            "them. Change the weights (--weight-column, --class-weight) or pass validation data with some."
        )
