"""The plots of comparisons, as descriptions for `bert_tf.reporting.figures`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bert_tf.evaluation import paired
from bert_tf.reporting.sections import interval

Plot = dict[str, Any]
Rows = Sequence[dict[str, Any]]

ACCURACY = {"label": "accuracy (share of texts)", "kind": "score"}


def of_ladder(rows: Rows, histories: Mapping[str, Sequence[Mapping]]) -> list[Plot]:
    """Describes accuracy by rung and against time and, of the rungs with a history, validation loss and overfitting."""
    trained = [row for row in rows if row["gap"] is not None]
    by_time = {
        "name": "rungs",
        "x": [row["seconds"] for row in rows],
        "y": [row["accuracy"]["value"] for row in rows],
        "labels": [row["rung"] for row in rows],
        "as_": "points",
    }
    plots = [
        {
            "title": "Accuracy by rung",
            "description": "Mean over the seeds; bars are 95 % intervals.",
            "x": {"label": "", "names": [row["rung"] for row in rows]},
            "y": ACCURACY,
            "series": [{"name": "validation", **_accuracy(rows), "x": [*range(len(rows))], "as_": "points"}],
        },
        {
            "title": "Accuracy against time",
            "description": "Seconds per run, not counting the computation of cached features. Up and to the left is better.",
            "x": {"label": "seconds per run", "log": True, "kind": "seconds"},
            "y": ACCURACY,
            "series": [by_time],
        },
    ]
    if not trained:
        return plots
    gaps = {"name": "gap", "x": [*range(len(trained))], "y": [row["gap"] for row in trained], "as_": "points"}
    return [
        *plots,
        {
            "title": "Validation loss by epoch",
            "description": "Mean over the seeds.",
            "x": {"label": "epoch", "whole": True},
            "y": {"label": "cross-entropy loss (nats)", "kind": "score"},
            "series": [_mean_loss(row["rung"], histories[row["rung"]]) for row in trained],
        },
        {
            "title": "Overfitting by rung",
            "description": "Validation loss minus training loss at the best epoch; a larger gap means more overfitting.",
            "x": {"label": "", "names": [row["rung"] for row in trained]},
            "y": {"label": "gap (nats)", "kind": "score"},
            "series": [gaps],
        },
    ]


def _mean_loss(name: str, histories: Sequence[Mapping]) -> dict[str, Any]:
    losses = [history["val_loss"] for history in histories]
    epochs = min(map(len, losses))  # seeds may stop at different epochs
    mean = np.mean([loss[:epochs] for loss in losses], axis=0).tolist()
    return {"name": name, "x": [*range(1, epochs + 1)], "y": mean}


def of_race(rows: Rows) -> list[Plot]:
    """Describes accuracy against latency and against size, the models worth their cost on a line."""
    accuracy = [row["accuracy"]["value"] for row in rows]
    plots = []
    for cost, label, unit in (("latency", "milliseconds for one text", 1e-3), ("size", "size on disk (MB)", 1e6)):
        costs = [row[cost] / unit for row in rows]
        front = paired.frontier(costs, accuracy)
        others = [i for i in range(len(rows)) if i not in front]
        series = [
            {
                "name": name,
                **_accuracy([rows[i] for i in chosen]),
                "x": [costs[i] for i in chosen],
                "labels": [rows[i]["name"] for i in chosen],
                "as_": as_,
            }
            for name, chosen, as_ in (("worth its cost", front, "line"), ("others", others, "points"))
            if chosen
        ]
        plots.append(
            {
                "title": f"Accuracy against {cost}",
                "description": "No model costs less than one on the line and is as accurate. Bars are 95 % intervals.",
                "x": {"label": label, "log": True},
                "y": ACCURACY,
                "series": series,
            }
        )
    return plots


def of_curve(rows: Rows) -> list[Plot]:
    """Describes accuracy by number of training texts, the model beside the baseline."""
    sizes = [row["texts"] for row in rows]
    series = [
        {"name": name, "x": sizes, **interval([row[key] for row in rows])}
        for name, key in (("model", "accuracy"), ("baseline", "floor"))
    ]
    return [
        {
            "title": "Accuracy by number of training texts",
            "description": "Mean over the seeds; bars are 95 % intervals.",
            "x": {"label": "training texts", "log": True, "kind": "count"},
            "y": ACCURACY,
            "series": series,
        }
    ]


def _accuracy(rows: Rows) -> dict[str, list]:
    return interval([row["accuracy"] for row in rows])
