"""The pictures of comparisons, as descriptions: `bert_tf.reporting.plots` draws them on a page, `bert_tf.reporting.figures.draw_png` into a file."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bert_tf.evaluation import paired

Plot = dict[str, Any]


def of_ladder(rows: Sequence[dict[str, Any]], histories: Mapping[str, Sequence[Mapping]]) -> list[Plot]:
    names = [row["rung"] for row in rows]
    by_rung = {"label": "", "names": names}
    score = {"label": "accuracy (share of texts)", "kind": "score"}
    trained = [row for row in rows if row["gap"] is not None]
    found = [
        {
            "title": "Accuracy by rung",
            "description": "Mean over the seeds; bars are 95 % intervals.",
            "x": by_rung,
            "y": score,
            "series": [{"name": "validation", "x": [*range(len(rows))], **_interval(rows, "accuracy"), "as_": "points"}],
        },
        {
            "title": "Accuracy against time",
            "description": "Seconds of one run, without the features of frozen layers. Up and to the left is better.",
            "x": {"label": "seconds a run", "log": True, "kind": "seconds"},
            "y": score,
            "series": [{"name": "rungs", "x": [row["seconds"] for row in rows], "y": [row["accuracy"]["value"] for row in rows],
                        "labels": names, "as_": "points"}],
        },
    ]  # fmt: skip
    if not trained:
        return found
    curves = []
    for row in trained:
        runs = [history["val_loss"] for history in histories[row["rung"]]]
        epochs = min(map(len, runs))  # seeds may stop at different epochs
        mean = np.mean([values[:epochs] for values in runs], axis=0).tolist()
        curves.append({"name": row["rung"], "x": [*range(1, epochs + 1)], "y": mean})
    return [
        *found,
        {
            "title": "Validation loss by epoch",
            "description": "Mean over the seeds.",
            "x": {"label": "epoch", "whole": True},
            "y": {"label": "cross-entropy loss (nats)", "kind": "score"},
            "series": curves,
        },
        {
            "title": "Overfitting by rung",
            "description": "Validation loss less training loss at the best epoch: the more, the more is learned by heart.",
            "x": {"label": "", "names": [row["rung"] for row in trained]},
            "y": {"label": "gap (nats)", "kind": "score"},
            "series": [
                {"name": "gap", "x": [*range(len(trained))], "y": [row["gap"] for row in trained], "as_": "points"}
            ],
        },
    ]


def of_race(rows: Sequence[dict[str, Any]]) -> list[Plot]:
    accuracy = [row["accuracy"]["value"] for row in rows]
    plots = []
    for cost, label, unit in (("latency", "milliseconds for a single text", 1e-3), ("size", "size on disk (MB)", 1e6)):
        costs = [row[cost] / unit for row in rows]
        front = paired.frontier(costs, accuracy)
        others = [i for i in range(len(rows)) if i not in front]
        series = [
            {
                "name": name,
                "x": [costs[i] for i in chosen],
                **_interval([rows[i] for i in chosen], "accuracy"),
                "labels": [rows[i]["name"] for i in chosen],
                "as_": as_,
            }
            for name, chosen, as_ in (("worth its cost", front, "line"), ("others", others, "points"))
            if chosen
        ]
        plots.append(
            {
                "title": f"Accuracy against {cost}",
                "description": "On the line: nothing that costs as little is as accurate. Bars are 95 % intervals.",
                "x": {"label": label, "log": True},
                "y": {"label": "accuracy (share of texts)", "kind": "score"},
                "series": series,
            }
        )
    return plots


def of_curve(rows: Sequence[dict[str, Any]]) -> list[Plot]:
    sizes = [row["texts"] for row in rows]
    series = [
        {"name": name, "x": sizes, **_interval(rows, key)} for name, key in (("model", "accuracy"), ("floor", "floor"))
    ]
    return [
        {
            "title": "Accuracy by training texts",
            "description": "Mean over the seeds; bars are 95 % intervals.",
            "x": {"label": "training texts", "log": True, "kind": "count"},
            "y": {"label": "accuracy (share of texts)", "kind": "score"},
            "series": series,
        }
    ]


def _interval(rows: Sequence[Mapping[str, Any]], name: str) -> dict[str, list]:
    return {end: [row[name][of] for row in rows] for end, of in (("y", "value"), ("low", "low"), ("high", "high"))}
