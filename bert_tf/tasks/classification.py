"""Each text has one class."""

from typing import ClassVar

import numpy as np

from bert_tf.evaluation import diagnostics, scores, tfidf
from bert_tf.tasks.task import Measure, Task


class Classification(Task):
    """Labels are int `(N,)`, predictions probabilities `(N, C)` whose rows sum to 1."""

    name = "classification"
    problem_type = "single_label_classification"
    score, score_words = "accuracy", "accuracy"
    score_axis: ClassVar = {"label": "accuracy (share of texts)", "kind": "score"}
    loss_axis: ClassVar = {"label": "cross-entropy loss (nats)", "kind": "score"}
    measures: tuple[Measure, ...] = (
        Measure("accuracy", "accuracy", hub="accuracy"),
        Measure("macro_f1", "macro F1", hub="f1"),
        Measure("log_loss", "log loss", hub="log_loss"),
    )
    gain = Measure("difference", "accuracy above baseline (points)", "points")
    baseline_name = tfidf.BASELINE
    blends = one_class = True

    def counts(self, labels, label_names):
        return dict(zip(label_names, np.bincount(labels, minlength=len(label_names)).tolist(), strict=True))

    def values(self, labels, label_names):
        return [label_names[i] for i in labels]

    def problem(self, labels, label_names):
        present = [name for name, count in self.counts(labels, label_names).items() if count]
        if len(present) > 1:
            return ""
        return (
            f"all {len(labels)} rows have the same label, {present[0]!r}. "
            "A classifier needs at least two classes; is label_column (--label-column) right?"
        )

    def strata(self, labels):
        return labels

    def relabel(self, labels, places, count):
        return np.asarray(places, "int32")[labels]

    def present(self, labels, count):
        return np.isin(range(count), labels)

    def without(self, labels, stays):
        return (np.cumsum(stays) - 1)[labels].astype("int32")

    def codes(self, *parts, label_names):
        return [*parts], [*label_names]

    def squash(self, logits):
        return scores.softmax(logits)

    def hard_targets(self, labels, count):
        return np.eye(count)[labels]

    def loss(self, labels, logits, weights=None):
        return scores.log_loss(labels, scores.softmax(logits.astype("float64")), weights)

    def beside(self, labels, logits):
        return {"macro_f1": scores.macro_f1(labels, logits)}

    def measured(self, labels, logits):
        return float((logits.argmax(axis=1) == labels).mean())

    def loss_of(self, labels, predictions):
        return scores.log_loss(labels, predictions)

    def temperature(self, labels, logits, weights=None):
        return scores.temperature(labels, scores.softmax(logits.astype("float64")), weights)

    def chance(self, labels, weights=None):
        return diagnostics.chance_loss(labels, weights)

    def labels_of(self, predictions, label_names, thresholds=None):
        return [label_names[i] for i in predictions.argmax(axis=1)]

    def answers(self, predictions, label_names, thresholds=None):
        best = predictions.max(axis=1, initial=0.0)
        return {"label": self.labels_of(predictions, label_names), "score": [float(p) for p in best]}

    def row(self, prediction, label_names, thresholds=None):
        best = int(prediction.argmax())
        scores_of = dict(zip(label_names, map(float, prediction), strict=True))
        return {"label": label_names[best], "score": round(float(prediction[best]), 6), "scores": scores_of}

    def right(self, labels, predictions):
        return predictions.argmax(axis=1) == labels

    def shares(self, labels, predictions, thresholds=None):
        return np.stack([self.right(labels, predictions), np.ones(len(labels))]).astype("float64")

    def evaluate(self, labels, predictions, label_names, thresholds=None, seed=0):
        return scores.evaluate(labels, predictions, label_names, seed)

    def compare(self, labels, first, second, names, thresholds=(None, None), seed=0):
        return scores.compare(labels, first, second, names, seed)

    def examples(self, texts, labels, predictions, label_names, thresholds=None, most=diagnostics.SHOWN):
        return {"mistakes": diagnostics.mistakes(texts, labels, predictions, label_names, most)}

    def hints(self, labels, predictions, label_names, thresholds=None, weighted=True):
        return diagnostics.unpredicted(scores.confusion_matrix(labels, predictions), label_names, weighted)

    def train_baseline(self, texts, labels, label_names, seed=0, weights=None, groups=None):
        return tfidf.train_baseline(texts, labels, len(label_names), seed, weights, groups)

    def suspects(self, texts, labels, baseline, label_names, seed=0, groups=None):
        """Searches with TF-IDF. In 2,000 reviews with 5 % of the labels flipped it found 10 times as many as chance; MiniLM's
        [CLS] vectors found 7 times, the means of all its layers 12 times as many."""
        groups = diagnostics.groups(texts) if groups is None else groups
        held_out = tfidf.out_of_fold(baseline.rows, labels, len(label_names), groups=groups, seed=seed)
        return diagnostics.suspect_labels(texts, labels, held_out, label_names)
