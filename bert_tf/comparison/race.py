"""Which model: several on the same texts, beside the baselines."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bert_tf.checkpoints import locate
from bert_tf.checkpoints.config import label_names, read_config
from bert_tf.checkpoints.folder import has_head
from bert_tf.comparison import entrants, plots, verdicts
from bert_tf.comparison.contest import EARLY_STOPPING, Compared, Contest, training_options
from bert_tf.evaluation import scores
from bert_tf.evaluation.tfidf import FLOOR

BASELINES = ("tfidf", "lstm")  # names a race takes in place of a model


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
        folder = locate.resolve(model)
        config = read_config(folder)
        common = training_options(model, batch_size, False, max_length, precision, cache_dir) | seeds | {"name": name}
        if has_head(folder):
            theirs = label_names(config)
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
    return contest.finish(rows, columns, verdicts.of_race(rows), notes, plots.of_race(rows))


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
