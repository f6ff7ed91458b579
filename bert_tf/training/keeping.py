"""The end of a run: the best model is kept, written and reported."""

import time
from pathlib import Path
from typing import Any

import numpy as np

from bert_tf.checkpoints.folder import load_weights
from bert_tf.evaluation.blend import Blend
from bert_tf.evaluation.history import write_history
from bert_tf.files import write_json
from bert_tf.formatting import format_value
from bert_tf.reporting import figures, sections
from bert_tf.training import run_report, stages
from bert_tf.training.run import Run
from bert_tf.training.run_folder import versions
from bert_tf.training.stages import Stage


def keep(run: Run, inputs: Any) -> tuple[dict[str, Any], Stage]:
    """Writes the best model, its curves and history; returns the numbers for metrics.json, and the stage that is kept."""
    job, backup, folder = run.job, run.backup, run.folder
    model, history = job.model, backup.history
    found, kept = _best(run, inputs)
    metrics = {
        **found,
        **{f"val_{name}": value for name, value in job.task.beside(kept.labels, kept.logits).items()},
        **({"stages": [stage.row() for stage in run.results]} if job.staged else {}),
        "parameters": model.num_parameters(),
        "trainable_parameters": model.num_parameters(only_trainable=True),
        "train_examples": job.train.counts() or len(job.train),
        "validation_examples": job.validation.counts() or len(job.validation),
        "seconds": round(time.monotonic() - run.started, 2),
        **({"resumed": True} if folder.resumed else {}),
        "settings": run.used,
        "versions": versions("bert-tf", "keras", "transformers"),
    }
    if history or run.blend is not None or not run.results:  # else the first stage is saved already
        save(run, kept)
    if history:
        write_history(folder / "history.csv", history)
        trained = f"{metrics['trainable_parameters']:,} of {metrics['parameters']:,} parameters trained"
        plots = sections.curves(history, metrics["best_epoch"], job.task)
        figures.draw_png(folder / "curves.png", plots, f"{Path(job.checkpoint).name}, {trained}")
    best = metrics["best_epoch"]
    name = f"epoch {best} of {backup.epochs_done}" if best else f"the {run.kept.name}"
    run.say(f"\nKept {name}: {run_report.measured(job, metrics)}. {format_value(metrics['seconds'], 'seconds')}.")
    return metrics, kept


def stage_of(run: Run, name: str, logits: np.ndarray, blend: Blend | None = None) -> Stage:
    """Returns a stage that the run has just reached, by its logits of the validation texts."""
    job, seconds = run.job, time.monotonic() - run.started
    return Stage(name, job.task, logits, job.validation.labels, seconds, blend, job.validation_weights)


def save(run: Run, stage: Stage) -> None:
    """Writes the model as it is, its tokenizer, the stage's thresholds and its second part."""
    job = run.job
    job.tokenizer.model_max_length = job.max_length
    stage.give_thresholds(job.model)
    run.folder.save_model(job.model, job.tokenizer, stage.blend, job.kept_pieces)


def _best(run: Run, inputs: Any) -> tuple[dict[str, Any], Stage]:
    """Leaves the best weights in the model, as they are saved: of an epoch or, if it is better or the training diverged, of
    the first stage. Returns their numbers and the stage.

    After the first stage the last epoch is kept, if the learning rate has fallen to 0: until then the loss of other texts
    falls, whatever a few validation texts say (docs/accuracy.md).
    """
    job, backup, labels = run.job, run.backup, run.job.validation.labels
    history, model, task = backup.history, job.model, job.task
    trained = bool(history) and not (job.staged and not np.isfinite(history[stages.MONITOR]).any())
    if trained:
        last = job.staged and backup.learning_rate == 0 and bool(np.isfinite(history[stages.MONITOR][-1]))
        best = backup.restore(model) if last else backup.restore_best(model)
        numbers: dict[str, Any] = {"best_epoch": best, "last_kept": last, "epochs": backup.epochs_done}
        numbers |= {name: v[best - 1] for name, v in history.items()}
        logits = run.logits.get(best)
        if logits is None:  # not of this process, or of training by epochs alone
            logits = job.logits(model, inputs, run.training.texts_per_step)
        temperature = stages.calibrate(model, task, labels, logits, job.validation_weights) if job.staged else 1.0
        name = f"{backup.epochs_done} epoch{'s' * (backup.epochs_done != 1)} of training"
        stage = stage_of(run, name, logits / temperature)
        if not job.staged:
            task.fold(model)
            decided = stage.thresholds is not None  # the epochs were measured at 0.5
            return numbers | ({f"val_{task.score}": stage.score} if decided else {}), stage
        run.results.append(stage)
        if run.kept is stage:
            task.fold(model)
            return numbers | {**stage.numbers(), "temperature": temperature}, stage
    if history:
        load_weights(model, run.folder / "model")
    else:
        task.fold(model)
    return {"best_epoch": None, "last_kept": False, "epochs": backup.epochs_done, **run.kept.numbers()}, run.kept


def report(run: Run, kept: Stage, metrics: dict[str, Any]) -> dict[str, Any]:
    """Writes report.html and the model card, and their numbers into metrics.json; returns these."""
    job = run.job
    whole = "since it was resumed" if run.folder.resumed else "all of it"
    numbers = run_report.write(
        run.folder.path,
        job,
        lambda: kept.predictions,
        results=metrics,
        history=run.backup.history,
        settings=run.used,
        parameters=job.model.parameter_table(),
        command=run_report.command(job, run.asked, run.command, run.test.source if run.test else None),
        seconds={f"{whole}, this report aside": metrics["seconds"], **run.seconds},
    )
    write_json(run.folder / "metrics.json", metrics | numbers)
    return numbers
