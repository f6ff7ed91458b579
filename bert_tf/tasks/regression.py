"""Each text has a number: stars, a price, a year."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from bert_tf.evaluation import diagnostics, regression, tfidf_regression
from bert_tf.formatting import significant
from bert_tf.tasks.task import Measure, Task

STRATA = 10


@dataclass(frozen=True)
class Regression(Task):
    """Labels are float32 `(N,)`, predictions float `(N,)`.

    The model learns standardised numbers, so that learning rates and losses mean the same whatever the unit; then `fold` puts
    mean and scale into the weights of its last layer, and the logit is the number. The loss is the mean squared error of the
    standardised number: 1 = always predicting the mean of the training texts.

    Attributes:
        mean, scale: float, mean and standard deviation of the training texts' numbers.
    """

    mean: float = 0.0
    scale: float = 1.0

    name = "regression"
    problem_type = "regression"
    score, score_words = "mae", "mean absolute error"
    sign = -1
    score_axis: ClassVar = {"label": "mean absolute error", "kind": "plain"}
    loss_axis: ClassVar = {"label": "squared error (1 = always the mean)", "kind": "score"}
    measures = (
        Measure("mae", "mean absolute error", "plain", hub="mae"),
        Measure("rmse", "root mean squared error", "plain", hub="rmse"),
        Measure("pearson", "correlation (Pearson)", hub="pearsonr"),
        Measure("r2", "R2", hub="r_squared"),
    )
    gain = Measure("difference", "mean absolute error below baseline", "plain")
    baseline_name = tfidf_regression.BASELINE
    chance_words = "the mean"
    columns = ("value",)
    nouns = "number"
    has_classes = False
    listed, listed_columns = "largest_errors", ("index", "text", "given", "predicted")

    def of(self, labels):
        return replace(
            self, mean=float(np.mean(labels, dtype="float64")), scale=float(np.std(labels, dtype="float64")) or 1.0
        )

    def counts(self, labels, label_names):
        return {}

    def values(self, labels, label_names):
        return regression.shortest(labels)

    def described(self, labels, label_names):
        if not len(labels):
            return "no numbers"
        return f"{label_names[0]} from {labels.min():g} to {labels.max():g}, mean {labels.mean(dtype='float64'):.4g}"

    def problem(self, labels, label_names):
        if len(labels) and labels.min() < labels.max():
            return ""
        return f"all {len(labels)} rows have the same number. Nothing can be learnt of that; is label_column (--label-column) right?"

    def strata(self, labels):
        """Bins of about the same number of texts."""
        bins = max(1, min(STRATA, len(labels) // 4))
        edges = np.quantile(labels, np.arange(1, bins) / bins)
        return np.unique(np.searchsorted(edges, labels, side="right"), return_inverse=True)[1].astype("int32")

    def relabel(self, labels, places, count):
        return labels

    def present(self, labels, count):
        return np.ones(count, bool)

    def without(self, labels, stays):
        return labels

    def places(self, own, wanted):
        """Whatever the numbers are called."""
        return slice(None)

    def codes(self, *parts, label_names):
        """All the same: two readers may well give a text different numbers."""
        return [np.zeros(len(part), int) for part in parts], [*label_names]

    def targets(self, labels):
        return ((labels - self.mean) / self.scale).astype("float32")[:, None]

    def soft_targets(self, logits):
        return self.targets(self.squash(logits))

    def logits(self, raw):
        return raw * self.scale + self.mean

    def fold(self, model):
        kernel, bias = model.classifier.weights
        kernel.assign(kernel * self.scale)
        bias.assign(bias * self.scale + self.mean)

    def unfold(self, model):
        kernel, bias = model.classifier.weights
        kernel.assign(kernel / self.scale)
        bias.assign((bias - self.mean) / self.scale)

    def squash(self, logits):
        return np.asarray(logits)[:, 0]

    def loss(self, labels, logits, weights=None):
        return float(np.average(((np.asarray(logits, "float64")[:, 0] - labels) / self.scale) ** 2, weights=weights))

    def measured(self, labels, logits):
        return float(np.abs(np.asarray(logits, "float64")[:, 0] - labels).mean())

    def loss_of(self, labels, predictions):
        return self.loss(labels, np.asarray(predictions)[:, None])

    def chance(self, labels, weights=None):
        labels = np.asarray(labels, "float64")
        mean = np.average(labels, weights=weights)
        return float(np.average((labels - mean) ** 2, weights=weights) / self.scale**2)

    def labels_of(self, predictions, label_names, thresholds=None):
        raise AttributeError("A regression model has no classes. Its numbers: .values")

    def values_of(self, predictions, label_names):
        return [float(number) for number in predictions]

    def answers(self, predictions, label_names, thresholds=None):
        return {"value": self.values_of(predictions, label_names)}

    def row(self, prediction, label_names, thresholds=None):
        return {"value": significant(float(prediction))}

    def shares(self, labels, predictions, thresholds=None):
        return np.stack([np.abs(np.asarray(predictions, "float64") - labels), np.ones(len(labels))])

    def evaluate(self, labels, predictions, label_names, thresholds=None, seed=0):
        return {"label_names": [*label_names], **regression.evaluate(labels, predictions, seed)}

    def compare(self, labels, first, second, names, thresholds=(None, None), seed=0):
        return regression.compare(labels, first, second, names, seed)

    def examples(self, texts, labels, predictions, label_names, thresholds=None, most=diagnostics.SHOWN):
        return {
            "scatter": regression.scatter(labels, predictions),
            "largest_errors": regression.largest_errors(texts, labels, predictions, most),
        }

    def train_baseline(self, texts, labels, label_names, seed=0, weights=None, groups=None):
        return tfidf_regression.train_baseline(texts, labels, 1, seed, weights, groups)
