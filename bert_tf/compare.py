"""Answers to "is it worth it": how much to unfreeze (`ladder`), which model (`race`), how much data (`curve`).

Each runs a number of entrants on the same texts, keeps what is finished, and leaves a table, a picture and a page.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bert_tf import checkpoint, compare_plots, entrants, report, scores, verdicts
from bert_tf.contest import Compared, Contest
from bert_tf.families import POOLINGS, encoder_settings
from bert_tf.sections import FLOOR

BASELINES = ("tfidf", "lstm")  # names a race takes in place of a model
EARLY_STOPPING = 5  # epochs without a lower validation loss, for frozen bases: an epoch costs next to nothing there

INTERVALS = "In brackets, 95 % intervals: what other texts and other seeds might have given (bootstrap of both)."


def ladder(
    train: Any,
    validation: Any = None,
    *,
    checkpoint: str | Path = checkpoint.MINILM,
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

    >>> from bert_tf.data import demo_reviews
    >>> found = ladder(*demo_reviews(), rungs=["floor", "layer_means", 1], seeds=2)  # doctest: +SKIP
    """
    contest = Contest(
        "ladder", train, validation, text_column=text_column, label_column=label_column, validation_share=validation_share,
        output_dir=output_dir, models=[checkpoint], overwrite=overwrite, resume=resume, verbose=verbose,
    )  # fmt: skip
    layers = _layers(checkpoint)
    chosen = ["floor", *POOLINGS, *range(1, layers), "all"] if rungs is None else [*rungs]
    common = _training(checkpoint, batch_size, new_head, max_length, precision, cache_dir) | {"seeds": _seeds(seeds)}
    made: list[dict[str, Any]] = []
    for rung in chosen:
        if rung == "floor":
            made.append({"name": FLOOR, "kind": "floor", "seeds": [0], "work": 0.2})
        elif rung in POOLINGS:
            name = f"frozen, {str(rung).replace('_', ' ')}"
            how = {"unfreeze": 0, "head": rung, "epochs": frozen_epochs, "early_stopping": EARLY_STOPPING}
            made.append({"name": name, "kind": "trained", **common, **how, "work": 1.0})
        elif rung == "all" or (type(rung) is int and 0 < rung <= layers):
            name = "all layers" if rung == "all" else f"top {rung} layer{'s' if rung != 1 else ''}"
            how = {"unfreeze": rung, "head": "first_token", "epochs": epochs, "learning_rate": learning_rate}
            work = 1.0 + (layers if rung == "all" else int(rung))
            made.append({"name": name, "kind": "trained", **common, **how, "early_stopping": None, "work": work})
        else:
            raise ValueError(f"A rung is floor, {', '.join(POOLINGS)}, 1 to {layers}, or all. Received: {rung!r}")
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
                "accuracy": verdicts.accuracy(hits),
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
    return contest.finish(
        rows, columns, verdicts.of_ladder(rows, right), notes, compare_plots.of_ladder(rows, histories)
    )


def race(
    models: Sequence[str | Path],
    train: Any,
    validation: Any = None,
    *,
    output_dir: str | Path = "runs/race",
    baselines: Sequence[str] = BASELINES,
    head: str | None = "layer_means",
    epochs: int = 20,
    learning_rate: float | None = None,
    batch_size: int = 32,
    max_length: int | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    validation_share: float = 0.2,
    precision: str = "auto",
    cache_dir: str | Path | None = None,
    seed: int = 0,
    alone: bool = True,
    overwrite: bool = False,
    resume: bool = False,
    verbose: bool = True,
) -> Compared:
    """Lets models and baselines classify the same texts, and says who is best and who is worth the cost.

    Leaves race.csv, race.png, report.html, compare.json, entrants/ (with the models that were fine-tuned).

    Args:
        models: folders or hub names. A classifier takes part as it is; a checkpoint without a head is fine-tuned first, its base
            frozen, by `bert_tf.finetune` with `head`, `epochs` (stopped early), `learning_rate` and `seed`.
        train, validation: as for `bert_tf.finetune`. Everything is judged on the validation texts.
        baselines: some of "tfidf" (with logistic regression) and "lstm" (bidirectional, small, from scratch).
        alone: bool, whether each runs in a process of its own, which tells the memory it took.
        output_dir, batch_size, max_length, text_column, label_column, validation_share, precision, cache_dir, seed: as for
            `bert_tf.finetune`.
        overwrite, resume, verbose: as for `ladder`.
    Returns: `Compared`; latency is the median of single texts, from text to label; memory is the most that the process took,
        training included where it trained.
    Raises: as `ladder`; ValueError for a classifier of other labels.
    """
    contest = Contest(
        "race", train, validation, text_column=text_column, label_column=label_column, validation_share=validation_share,
        output_dir=output_dir, models=models, overwrite=overwrite, resume=resume, verbose=verbose,
    )  # fmt: skip
    if unknown := [name for name in baselines if name not in BASELINES]:
        raise ValueError(f"`baselines` are {', '.join(BASELINES)}. Received: {', '.join(unknown)}")
    made: list[dict[str, Any]] = []
    seeds = {"seeds": [seed], "latency": True}
    for model, name in zip(models, _short_names(models), strict=True):
        folder = checkpoint.resolve(model)
        config = checkpoint.read_config(folder)
        common = _training(model, batch_size, False, max_length, precision, cache_dir) | seeds | {"name": name}
        if checkpoint.has_head(folder):
            theirs = [config.id2label[i] for i in range(len(config.id2label))]
            entrants.label_columns(theirs, contest.train.label_names, str(model))
            made.append({**common, "kind": "finetuned", "work": 1.0})
        else:
            how = {
                "unfreeze": 0,
                "head": head,
                "epochs": epochs,
                "early_stopping": EARLY_STOPPING,
                "learning_rate": learning_rate,
            }
            made.append({**common, "kind": "tuned", **how, "work": 3.0})
    if "tfidf" in baselines:
        made.append({"name": FLOOR, "kind": "floor", **seeds, "work": 0.3})
    if "lstm" in baselines:
        made.append({"name": "bidirectional LSTM", "kind": "lstm", "epochs": 10, **seeds, "work": 2.0})
    if len(made) < 2:
        raise ValueError(
            f"A race needs two entrants at least. Received: {', '.join(e['name'] for e in made) or 'none'}"
        )
    contest.run(made, alone)
    labels, names = contest.validation.labels, contest.validation.label_names
    rows: list[dict[str, Any]] = []
    probabilities = {}
    for entrant in made:
        found = contest.found(entrant)
        if found is None:
            continue
        record, (run,), _ = found
        judged = scores.evaluate(labels, run["probabilities"], names)
        probabilities[entrant["name"]] = run["probabilities"]
        rows.append(
            {
                "name": entrant["name"],
                **{key: judged["scores"][key] for key in ("accuracy", "macro_f1", "log_loss")},
                "calibration_error": judged["calibration"]["error"],
                **{key: record[key] for key in ("latency", "texts_per_second", "size", "memory", "parameters")},
            }
        )
    rows.sort(key=lambda row: -row["accuracy"]["value"])
    best = rows[0]["name"]
    for row in rows[1:]:
        against = scores.compare(labels, probabilities[best], probabilities[row["name"]])
        row |= {"difference": against["difference"], "p_value": against["p_value"]}
    rows[0] |= {"difference": None, "p_value": None}
    columns = {
        "name": "text", "accuracy": "score", "macro_f1": "score", "log_loss": "score", "calibration_error": "score",
        "difference": "points", "p_value": "p", "latency": "milliseconds", "texts_per_second": "count", "size": "bytes",
        "memory": "bytes", "parameters": "count",
    }  # fmt: skip
    notes = (
        f"On {len(labels):,} validation texts; in brackets, 95 % intervals. Difference: points of accuracy that the best has more, paired "
        "bootstrap; p: McNemar's exact test. Latency: of a single text, from text to label, median. Memory: the most that the "
        "process took, training included where it trained. Whoever was trained here chose its best epoch by these very texts."
    )
    return contest.finish(rows, columns, verdicts.of_race(rows), notes, compare_plots.of_race(rows))


def curve(
    train: Any,
    validation: Any = None,
    *,
    sizes: Sequence[int | str] = (100, 300, 1000, "all"),
    checkpoint: str | Path = checkpoint.MINILM,
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
    common = _training(checkpoint, batch_size, new_head, max_length, precision, cache_dir) | {
        "seeds": _seeds(seeds), "unfreeze": unfreeze, "head": head or ("layer_means" if frozen else "first_token"),
        "epochs": epochs or (20 if frozen else 2), "early_stopping": EARLY_STOPPING if frozen else None,
        "learning_rate": learning_rate,
    }  # fmt: skip
    made: list[dict[str, Any]] = []
    for size in reversed(wanted):  # the largest first: it computes the features of all
        made.append({"name": f"{size} texts", "kind": "trained", **common, "texts": size, "work": 1.0 + size / every})
        made.append(
            {"name": f"{size} texts, floor", "kind": "floor", "seeds": _seeds(seeds), "texts": size, "work": 0.2}
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
            "accuracy": verdicts.accuracy(right[size]),
            "loss": losses[size],
            "floor": verdicts.accuracy(floor[size]),
            "above_floor": verdicts.gain(right[size], floor[size]),
        }
        for size in kept
    ]
    if not kept:
        raise ValueError(f"{contest.output_dir}: nothing to show: at no size did both the model and the floor finish.")
    said = verdicts.of_curve({size: right[size] for size in kept}, {size: floor[size] for size in kept})
    columns = {"texts": "count", "accuracy": "score", "loss": "score", "floor": "score", "above_floor": "points"}
    return contest.finish(
        rows, columns, said, f"{INTERVALS} The floor: {FLOOR} on the same texts.", compare_plots.of_curve(rows)
    )


def _training(source, batch_size: int, new_head: bool, max_length, precision: str, cache_dir) -> dict[str, Any]:
    """Returns what an entrant that is trained needs, as JSON values."""
    cache = None if cache_dir is None else str(cache_dir)
    return {"checkpoint": str(source), "batch_size": batch_size, "new_head": new_head, "max_length": max_length, "precision": precision,
            "cache_dir": cache, "learning_rate": None}  # fmt: skip


def _seeds(count: int) -> list[int]:
    if count < 1:
        raise ValueError(f"`seeds` must be at least 1. Received: seeds={count}")
    return [*range(count)]


def _layers(source: str | Path) -> int:
    return encoder_settings(checkpoint.read_config(checkpoint.resolve(source)))["num_hidden_layers"]


def _short_names(models: Sequence[str | Path]) -> list[str]:
    """Returns a name for each model that a folder can have: the last part of its path ("model" aside, as all are called that
    `finetune` leaves), with as many before it as tell them apart."""
    parts = []
    for model in models:
        folder = Path(model).expanduser()
        part = [*folder.resolve().parts[1:]] if folder.is_dir() else str(model).split("/")
        parts.append(part[:-1] if part[-1] == "model" and len(part) > 1 else part)
    for count in range(1, max(map(len, parts), default=1) + 1):
        names = ["-".join(part[-count:]) for part in parts]
        if len(set(names)) == len(names):
            break
    return names


def _write_epochs(file: Path, histories: Mapping[str, Sequence[Mapping[str, Sequence[float]]]]) -> None:
    metrics = ("loss", "accuracy", "val_loss", "val_accuracy")
    rows = [
        {"rung": rung, "seed": seed, "epoch": epoch, **dict(zip(metrics, values, strict=True))}
        for rung, runs in histories.items()
        for seed, history in enumerate(runs)
        if history
        for epoch, values in enumerate(zip(*(history[metric] for metric in metrics), strict=True), 1)
    ]
    report.write_csv(file, ["rung", "seed", "epoch", *metrics], rows)
