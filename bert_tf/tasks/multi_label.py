"""Each text has any number of labels, none included."""

from typing import ClassVar

import numpy as np
from scipy.special import expit

from bert_tf.evaluation import diagnostics, multi_label, tfidf_multi_label
from bert_tf.formatting import LABELS_JOINED_BY
from bert_tf.tasks.task import Measure, Task


class MultiLabel(Task):
    """Labels are 0 or 1, float32 `(N, C)`; predictions probabilities `(N, C)`, each label by itself."""

    name = "multi-label"
    problem_type = "multi_label_classification"
    score, score_words = "micro_f1", "micro F1"
    score_axis: ClassVar = {"label": "micro F1", "kind": "score"}
    loss_axis: ClassVar = {"label": "log loss (nats, mean over labels)", "kind": "score"}
    measures = (
        Measure("micro_f1", "micro F1", hub="f1"),
        Measure("macro_f1", "macro F1", hub="f1"),
        Measure("subset_accuracy", "all labels right", hub="accuracy"),
        Measure("log_loss", "log loss", hub="log_loss"),
    )
    gain = Measure("difference", "micro F1 above baseline (points)", "points")
    baseline_name = tfidf_multi_label.BASELINE
    chance_words = "the label frequencies"
    columns = ("labels", "score")
    nouns = "labels"
    listed, listed_columns = "label_mistakes", ("index", "text", "given", "predicted", "loss")
    decides = True

    def counts(self, labels, label_names):
        return dict(zip(label_names, labels.sum(axis=0).astype(int).tolist(), strict=True))

    def values(self, labels, label_names):
        return [[label_names[i] for i in np.flatnonzero(row)] for row in labels]

    def described(self, labels, label_names):
        none = int((~labels.any(axis=1)).sum())
        said = super().described(labels, label_names) + (f", {none:,} without a label" if none else "")
        return f"{labels.sum() / max(len(labels), 1):.2f} labels a text: {said}"

    def problem(self, labels, label_names):
        if labels.any() and not labels.all():
            return ""
        return (
            f"{'no row has a label' if not labels.any() else 'every row has every label'}. Nothing can be learnt of that; is "
            "label_column (--label-column) right?"
        )

    def strata(self, labels):
        """The rarest label of each text, so that a rare one is in both parts; C for none."""
        rank = np.argsort(np.argsort(labels.sum(axis=0), kind="stable"))  # 0 = the rarest
        ranked = np.where(labels > 0, rank, labels.shape[1])
        return ranked.min(axis=1, initial=labels.shape[1]).astype("int32")

    def relabel(self, labels, places, count):
        found = np.zeros((len(labels), count), "float32")
        found[:, np.asarray(places, int)] = labels
        return found

    def present(self, labels, count):
        return labels.any(axis=0)

    def without(self, labels, stays):
        return labels[:, stays]

    def codes(self, *parts, label_names):
        every, codes = np.unique(np.concatenate(parts), axis=0, return_inverse=True)
        ends = np.cumsum([len(part) for part in parts])[:-1]
        names = [multi_label.joined(row, label_names) or "no label" for row in every]
        return np.split(codes.ravel(), ends), names

    def squash(self, logits):
        return expit(logits)

    def loss(self, labels, logits, weights=None):
        return multi_label.logit_loss(labels, logits, weights)

    def measured(self, labels, logits):
        probabilities = expit(logits.astype("float64"))
        return multi_label.micro_f1(labels, probabilities, multi_label.choose_thresholds(labels, probabilities))

    def loss_of(self, labels, predictions):
        return float(multi_label.text_losses(labels, predictions).mean())

    def temperature(self, labels, logits, weights=None):
        return multi_label.temperature(labels, logits, weights)

    def chance(self, labels, weights=None):
        shares = np.average(labels, axis=0, weights=weights)
        losses = multi_label.text_losses(labels, np.broadcast_to(shares, labels.shape))
        return float(np.average(losses, weights=weights))

    def thresholds(self, labels, predictions):
        return multi_label.choose_thresholds(labels, predictions)

    def labels_of(self, predictions, label_names, thresholds=None):
        return [self.row(each, label_names, thresholds)["labels"] for each in predictions]

    def row(self, prediction, label_names, thresholds=None):
        said = multi_label.predicted(prediction, thresholds)
        labels = [label_names[i] for i in np.argsort(-prediction, kind="stable") if said[i]]
        return {"labels": labels, "scores": dict(zip(label_names, map(float, prediction), strict=True))}

    def answers(self, predictions, label_names, thresholds=None):
        labels = self.labels_of(predictions, label_names, thresholds)
        best = predictions.max(axis=1, initial=0.0)
        return {"labels": [*map(LABELS_JOINED_BY.join, labels)], "score": [float(p) for p in best]}

    def shares(self, labels, predictions, thresholds=None):
        said = multi_label.predicted(predictions, thresholds)
        right, given, decided = ((part.sum(axis=1)) for part in (labels * said, labels, said))
        return np.stack([2 * right, given + decided]).astype("float64")

    def evaluate(self, labels, predictions, label_names, thresholds=None, seed=0):
        return multi_label.evaluate(labels, predictions, label_names, thresholds, seed)

    def compare(self, labels, first, second, names, thresholds=(None, None), seed=0):
        said = [multi_label.predicted(each, chosen) for each, chosen in zip((first, second), thresholds, strict=True)]
        return multi_label.compare(labels, *said, names, seed)

    def examples(self, texts, labels, predictions, label_names, thresholds=None, most=diagnostics.SHOWN):
        return {"label_mistakes": multi_label.mistakes(texts, labels, predictions, label_names, thresholds, most)}

    def hints(self, labels, predictions, label_names, thresholds=None, weighted=True):
        said = multi_label.predicted(predictions, thresholds).any(axis=0)
        never = [name for i, name in enumerate(label_names) if labels[:, i].any() and not said[i]]
        if not never:
            return []
        shown = ", ".join(map(repr, never[:5])) + (", ..." if len(never) > 5 else "")
        return [
            f"{shown} {'is' if len(never) == 1 else 'are'} never predicted, though there are texts of {'it' if len(never) == 1 else 'them'}."
        ]

    def train_baseline(self, texts, labels, label_names, seed=0, weights=None, groups=None):
        return tfidf_multi_label.train_baseline(texts, labels, len(label_names), seed, weights, groups)
