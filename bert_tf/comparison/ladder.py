"""Answers to "is it worth it": how much to unfreeze (`ladder`), which model (`race`), how much data (`curve`).

Each runs a number of entrants on the same texts, keeps what is finished, and leaves a table, a picture and a page.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bert_tf import files
from bert_tf.checkpoints import config, locate
from bert_tf.checkpoints.families.table import encoder_settings
from bert_tf.checkpoints.heads import HEADS
from bert_tf.comparison import plots, verdicts
from bert_tf.comparison.contest import EARLY_STOPPING, INTERVALS, Compared, Contest, checked_seeds, training_options
from bert_tf.evaluation import paired
from bert_tf.evaluation.tfidf import FLOOR


def ladder(
    train: Any,
    validation: Any = None,
    *,
    checkpoint: str | Path = locate.MINILM,
    output_dir: str | Path = "runs/ladder",
    rungs: Sequence[int | str] | None = None,
    epochs: int = 2,
    frozen_epochs: int = 20,
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
    alone: bool = True,
    overwrite: bool = False,
    resume: bool = False,
    verbose: bool = True,
) -> Compared:
    """Trains the same checkpoint with more and more of it unfrozen, and says what that gains and costs.

    Leaves ladder.csv (a row a rung), epochs.csv (a row an epoch), ladder.png, report.html, compare.json, entrants/.

    Args:
        train, validation, checkpoint, batch_size, new_head, max_length, text_column, label_column, validation_share, precision,
            cache_dir: as for `bert_tf.finetune`.
        output_dir: folder for the results.
        rungs: some of "floor" (counting words), "first_token" and "layer_means" (a frozen base under either head), k (the top k
            layers trained) and "all"; None = all of these, k up to the last but one.
        epochs, frozen_epochs: int, of rungs with and without unfrozen layers; these stop early.
        learning_rate: float, of rungs with unfrozen layers; None = what `bert_tf.finetune` takes. The frozen ones always take that.
        seeds: int, how many runs a rung has: seeds 0, 1, ...
        alone: bool, whether each rung runs in a process of its own, which tells the memory it took.
        overwrite, resume: bool, what to do where `output_dir` already holds a comparison. Resumed, it runs what is not finished.
        verbose: bool, whether to say how it goes.
    Returns: `Compared`; peak memory is that of a rung's process, TensorFlow and the texts included; seconds are of one run
        (median of the seeds), without the features of frozen layers, which are computed once and kept.
    Raises: ValueError, FileNotFoundError or FileExistsError that says what was found and what to do.

    >>> from bert_tf.data.readers import demo_reviews
    >>> found = ladder(*demo_reviews(), rungs=["floor", "layer_means", 1], seeds=2)  # doctest: +SKIP
    """
    contest = Contest(
        "ladder", train, validation, text_column=text_column, label_column=label_column, validation_share=validation_share,
        output_dir=output_dir, models=[checkpoint], overwrite=overwrite, resume=resume, verbose=verbose,
    )  # fmt: skip
    layers = _layers(checkpoint)
    chosen = ["floor", *HEADS, *range(1, layers), "all"] if rungs is None else [*rungs]
    common = training_options(checkpoint, batch_size, new_head, max_length, precision, cache_dir) | {
        "seeds": checked_seeds(seeds)
    }
    made: list[dict[str, Any]] = []
    for rung in chosen:
        if rung == "floor":
            made.append({"name": FLOOR, "kind": "floor", "seeds": [0], "work": 0.2})
        elif rung in HEADS:
            name = f"frozen, {str(rung).replace('_', ' ')}"
            how = {"unfreeze": 0, "head": rung, "epochs": frozen_epochs, "early_stopping": EARLY_STOPPING}
            made.append({"name": name, "kind": "trained", **common, **how, "work": 1.0})
        elif rung == "all" or (type(rung) is int and 0 < rung <= layers):
            name = "all layers" if rung == "all" else f"top {rung} layer{'s' if rung != 1 else ''}"
            how = {"unfreeze": rung, "head": "first_token", "epochs": epochs, "learning_rate": learning_rate}
            work = 1.0 + (layers if rung == "all" else int(rung))
            made.append({"name": name, "kind": "trained", **common, **how, "early_stopping": None, "work": work})
        else:
            raise ValueError(f"A rung is floor, {', '.join(HEADS)}, 1 to {layers}, or all. Received: {rung!r}")
    contest.run(made, alone)
    rows, right, histories = [], {}, {}
    for entrant in made:
        found = contest.found(entrant)
        if found is None:
            continue
        record, runs, hits = found
        name = entrant["name"]
        right[name], histories[name] = hits, [run["history"] for run in runs]
        best = [
            {key: values[run["best_epoch"] - 1] for key, values in run["history"].items()}
            for run in runs
            if run["history"]
        ]
        rows.append(
            {
                "rung": name,
                "kind": "floor" if name == FLOOR else "frozen" if entrant["unfreeze"] == 0 else "unfrozen",
                "accuracy": paired.accuracy(hits),
                "lowest": float(hits.mean(axis=1).min()),
                "highest": float(hits.mean(axis=1).max()),
                "loss": contest.log_loss(runs),
                "gap": float(np.mean([b["val_loss"] - b["loss"] for b in best])) if best else None,
                "best_epoch": float(np.median([run["best_epoch"] for run in runs])) if best else None,
                "epochs": float(np.median([len(run["history"]["loss"]) for run in runs])) if best else None,
                "trainable_parameters": record["trainable_parameters"],
                "memory": record["memory"],
                "seconds": float(np.median([run["seconds"] for run in runs])),
                "texts_per_second": record["texts_per_second"],
            }
        )
    _write_epochs(contest.output_dir / "epochs.csv", histories)
    columns = {
        "rung": "text", "accuracy": "score", "lowest": "score", "highest": "score", "loss": "score", "gap": "score",
        "best_epoch": "plain", "epochs": "plain", "trainable_parameters": "count", "memory": "bytes", "seconds": "seconds", "texts_per_second": "count",
    }  # fmt: skip
    notes = (
        f"{INTERVALS} Lowest and highest: of the seeds ({seeds}). Gap: validation less training loss at the best epoch, the more the "
        "more is learned by heart. Seconds: of one run, without the features of frozen layers, which are computed once and kept. "
        "Memory: the most that the rung's process took, TensorFlow included. Texts a second: at prediction, from text to label."
    )
    return contest.finish(rows, columns, verdicts.of_ladder(rows, right), notes, plots.of_ladder(rows, histories))


def _layers(source: str | Path) -> int:
    return encoder_settings(config.read_config(locate.resolve(source)))["num_hidden_layers"]


def _write_epochs(file: Path, histories: Mapping[str, Sequence[Mapping[str, Sequence[float]]]]) -> None:
    metrics = ("loss", "accuracy", "val_loss", "val_accuracy")
    rows = [
        {"rung": rung, "seed": seed, "epoch": epoch, **dict(zip(metrics, values, strict=True))}
        for rung, runs in histories.items()
        for seed, history in enumerate(runs)
        if history
        for epoch, values in enumerate(zip(*(history[metric] for metric in metrics), strict=True), 1)
    ]
    files.write_csv(file, ["rung", "seed", "epoch", *metrics], rows)
