"""Whether more data would help: one model on more and more texts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bert_tf.checkpoints import locate
from bert_tf.comparison import plots, verdicts
from bert_tf.comparison.contest import EARLY_STOPPING, INTERVALS, Compared, Contest, checked_seeds, training_options
from bert_tf.evaluation import paired
from bert_tf.evaluation.tfidf import FLOOR


def curve(
    train: Any,
    validation: Any = None,
    *,
    sizes: Sequence[int | str] = (100, 300, 1000, "all"),
    checkpoint: str | Path = locate.MINILM,
    output_dir: str | Path = "runs/curve",
    unfreeze: int | str = 0,
    head: str | None = None,
    epochs: int | None = None,
    learning_rate: float | None = None,
    seeds: int = 3,
    batch_size: int = 32,
    new_head: bool = False,
    max_length: int | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    validation_share: float = 0.2,
    precision: str = "auto",
    cache_dir: str | Path | None = None,
    alone: bool = False,
    overwrite: bool = False,
    resume: bool = False,
    verbose: bool = True,
) -> Compared:
    """Trains on more and more of the texts, and says whether still more would help.

    Leaves curve.csv, curve.png, report.html, compare.json, entrants/. Beside the model learns the floor, TF-IDF with logistic
    regression, of the same texts.

    Args:
        sizes: numbers of training texts, "all" for all there are; each seed draws its own, each class by its share.
        unfreeze: as for `bert_tf.finetune`.
        head: None = "layer_means" for a frozen base, else "first_token".
        epochs: int; None = 20 with early stopping for a frozen base, else 2.
        train, validation, checkpoint, output_dir, learning_rate, batch_size, new_head, max_length, text_column, label_column,
            validation_share, precision, cache_dir: as for `bert_tf.finetune`.
        seeds, alone, overwrite, resume, verbose: as for `ladder`.
    Returns: `Compared`.
    Raises: as `ladder`.
    """
    contest = Contest(
        "curve", train, validation, text_column=text_column, label_column=label_column, validation_share=validation_share,
        output_dir=output_dir, models=[checkpoint], overwrite=overwrite, resume=resume, verbose=verbose,
    )  # fmt: skip
    every = len(contest.train)
    if wrong := [size for size in sizes if size != "all" and not (type(size) is int and size >= 2)]:
        raise ValueError(f"`sizes` are numbers of texts, from 2, or all. Received: {wrong[0]!r}")
    wanted = sorted({every if size == "all" else min(int(size), every) for size in sizes})
    frozen = unfreeze == 0
    common = training_options(checkpoint, batch_size, new_head, max_length, precision, cache_dir) | {
        "seeds": checked_seeds(seeds), "unfreeze": unfreeze, "head": head or ("layer_means" if frozen else "first_token"),
        "epochs": epochs or (20 if frozen else 2), "early_stopping": EARLY_STOPPING if frozen else None,
        "learning_rate": learning_rate,
    }  # fmt: skip
    made: list[dict[str, Any]] = []
    for size in reversed(wanted):  # the largest first: it computes the features of all
        made.append({"name": f"{size} texts", "kind": "trained", **common, "texts": size, "work": 1.0 + size / every})
        made.append(
            {"name": f"{size} texts, floor", "kind": "floor", "seeds": checked_seeds(seeds), "texts": size, "work": 0.2}
        )
    contest.run(made, alone)
    right: dict[int, np.ndarray] = {}
    floor: dict[int, np.ndarray] = {}
    losses: dict[int, float] = {}
    for entrant in made:
        found = contest.found(entrant)
        if found is not None:
            (floor if entrant["kind"] == "floor" else right)[entrant["texts"]] = found[2]
            if entrant["kind"] == "trained":
                losses[entrant["texts"]] = contest.log_loss(found[1])
    kept = [size for size in wanted if size in right and size in floor]
    rows = [
        {
            "texts": size,
            "accuracy": paired.accuracy(right[size]),
            "loss": losses[size],
            "floor": paired.accuracy(floor[size]),
            "above_floor": paired.gain(right[size], floor[size]),
        }
        for size in kept
    ]
    if not kept:
        raise ValueError(f"{contest.output_dir}: nothing to show: at no size did both the model and the floor finish.")
    said = verdicts.of_curve({size: right[size] for size in kept}, {size: floor[size] for size in kept})
    columns = {"texts": "count", "accuracy": "score", "loss": "score", "floor": "score", "above_floor": "points"}
    return contest.finish(
        rows, columns, said, f"{INTERVALS} The floor: {FLOOR} on the same texts.", plots.of_curve(rows)
    )
