"""Each text has one class, and the classes are numbers: 1 to 5 stars. A classifier, whose answers may be near or far."""

from typing import ClassVar

import numpy as np

from bert_tf.evaluation import ordinal
from bert_tf.formatting import significant
from bert_tf.tasks.classification import Classification
from bert_tf.tasks.task import ORDINAL, Measure


class Ordinal(Classification):
    """Labels are int `(N,)`, predictions probabilities `(N, C)`; the names of the classes are numbers, rising."""

    name = "ordinal"
    measures = (
        *Classification.measures,
        Measure("mae", "mean absolute error", "plain", hub="mae"),
        Measure("kappa", "quadratic weighted kappa", hub="kappa"),
    )
    figures = (Measure("rmse", "root mean squared error", "plain"), Measure("pearson", "correlation (Pearson)"))
    columns = ("label", "value", "score")
    config: ClassVar = {ORDINAL: "ordinal"}

    def problem(self, labels, label_names):
        values = [_number(name) for name in label_names]
        if wrong := [name for name, value in zip(label_names, values, strict=True) if value is None]:
            return (
                f"the classes of an ordinal task must be numbers, such as 1 to 5. Received: {', '.join(map(repr, wrong[:5]))}. "
                "For other classes: task='classification' (--task classification)."
            )
        if sorted(values) != values:
            return f"the classes of an ordinal task must rise. Received: {', '.join(label_names)}"
        return super().problem(labels, label_names)

    def values_of(self, predictions, label_names):
        return (np.asarray(predictions, "float64") @ values_of(label_names)).tolist()

    def answers(self, predictions, label_names, thresholds=None):
        found = super().answers(predictions, label_names, thresholds)
        return {"label": found["label"], "value": self.values_of(predictions, label_names), "score": found["score"]}

    def row(self, prediction, label_names, thresholds=None):
        found = super().row(prediction, label_names, thresholds)
        return {"label": found["label"], "value": significant(self.values_of(prediction[None], label_names)[0])} | found

    def evaluate(self, labels, predictions, label_names, thresholds=None, seed=0):
        found = super().evaluate(labels, predictions, label_names, thresholds, seed)
        found["scores"] |= ordinal.evaluate(labels, predictions, values_of(label_names), seed)
        return found


def values_of(label_names) -> np.ndarray:
    """Returns the number of each class, float64 `(C,)`."""
    return np.array([float(name) for name in label_names])


def _number(name: str) -> float | None:
    try:
        return float(name)
    except ValueError:
        return None
