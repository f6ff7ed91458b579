"""The whole job in one call: labelled texts and a checkpoint in, a fine-tuned classifier and its record out."""

import functools
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras

from bert_tf.evaluation.history import write_history
from bert_tf.files import write_json
from bert_tf.formatting import format_value
from bert_tf.options import with_options
from bert_tf.reporting import figures, sections
from bert_tf.settings import FINETUNE, Settings
from bert_tf.training import learning_rate, run_report
from bert_tf.training.backup import Backup
from bert_tf.training.job import Job, Say, prepare
from bert_tf.training.loop import train as train_model
from bert_tf.training.optimizer import compile_model
from bert_tf.training.run_folder import RUN, RunFolder, versions

OUTPUTS = ("report.html", "model", "history.csv", "curves.png", "tensorboard", "state", RUN, "metrics.json")


@dataclass(frozen=True)
class Finetuned:
    """The result of `finetune`.

    Attributes:
        model, tokenizer: the classifier, with the weights of its best epoch, and the checkpoint's tokenizer.
        history: dict, metric -> value of each epoch.
        metrics: dict, the content of metrics.json.
        output_dir: Path of the run.
    """

    model: Any
    tokenizer: Any
    history: dict[str, list[float]]
    metrics: dict[str, Any]
    output_dir: Path


@dataclass(frozen=True)
class _Run:
    """A run that has been read and checked; `seconds` fills up as it goes."""

    job: Job
    settings: Settings
    recorded: dict[str, Any]
    folder: RunFolder
    backup: Backup
    say: Say
    started: float
    seconds: dict[str, float] = field(default_factory=dict)


@with_options(FINETUNE)
def finetune(
    train: Any, validation: Any = None, *, callbacks: Sequence[keras.callbacks.Callback] = (), settings: Settings
) -> Finetuned:
    """Fine-tunes a checkpoint on labelled texts and keeps the best epoch.

    The base is frozen unless `unfreeze` says otherwise: only the head is trained. The frozen layers run once per text,
    without dropout; their output is kept for all epochs and later runs. With `cache=False` they run in every epoch with
    dropout, as in plain `model.fit` and in transformers 4.

    Leaves in `output_dir`: report.html, model/ (a Hugging Face folder with tokenizer and model card), history.csv,
    metrics.json, curves.png, tensorboard/. Nothing is written before data and checkpoint have been read and checked.

    Args:
        train, validation: a source that `bert_tf.read_examples` reads (path, `"tfds:NAME@SPLIT"`, DataFrame, dict of
            lists, pair). Without `validation`, `validation_share` of the training texts is held out, stratified.
        callbacks: Keras callbacks, beside those that keep the best weights, the history and the TensorBoard logs. What
            they add to the logs goes into the history; `resume` does not restore a state of their own.
        {options}
    Returns: `Finetuned`.
    Raises: ValueError, TypeError, FileNotFoundError or FileExistsError that says what is wrong and what to do.

    >>> from bert_tf.data.readers import demo_reviews
    >>> run = finetune(*demo_reviews(), epochs=1, output_dir="runs/demo")  # doctest: +SKIP
    """
    run = _read(train, validation, settings)
    inputs = _train(run, callbacks)
    metrics = _keep(run)
    if settings.output.report:
        metrics |= _report(run, inputs, metrics)
    for line in run_report.verdicts(metrics):
        run.say(line)
    run.say(run.folder.contents())
    return Finetuned(run.job.model, run.job.tokenizer, run.backup.history, metrics, run.folder.path)


def _read(train: Any, validation: Any, settings: Settings) -> _Run:
    """Reads and checks everything; writes nothing."""
    started = time.monotonic()
    output = settings.output
    say: Say = functools.partial(print, flush=True) if output.verbose else (lambda _: None)
    folder = RunFolder(output.output_dir or "", OUTPUTS, output.overwrite, output.resume)
    folder.check(sources=(str(settings.model.checkpoint), train, validation))
    job = prepare(train, validation, settings=settings, say=say)
    model, unfreeze = job.model, settings.model.unfreeze
    rate = settings.training.learning_rate or learning_rate.usual_learning_rate(unfreeze, model.head)
    settings = job.settings.replace(learning_rate=rate)
    say(job.describe())
    if warning := learning_rate.warning(rate, settings.training.optimizer, unfreeze):
        say(warning)
    recorded = {
        **FINETUNE.recorded(settings),
        **job.recorded(),
        "dropout": float(model.dropout.rate),
        "features": job.feature_dtype(model),
    }
    compile_model(model, settings.training, len(job.train))  # an unknown optimizer fails here, before the long work
    folder.check_resumable(recorded)
    backup = Backup(folder / "state", early_stopping=settings.training.early_stopping)
    return _Run(job, settings, recorded, folder, backup, say, started)


def _train(run: _Run, callbacks: Sequence[keras.callbacks.Callback]) -> Any:
    """Computes the features and trains; returns the inputs of the trained part."""
    job, training, output = run.job, run.settings.training, run.settings.output
    model, progress, began = job.model, bool(output.verbose), time.monotonic()
    job.adapt(progress, run.say)
    inputs = job.inputs(model, progress, run.say)
    run.seconds["features of the frozen layers"] = time.monotonic() - began
    run.folder.start(run.recorded)
    verbose = (1 if sys.stdout.isatty() else 2) if output.verbose == "auto" else output.verbose

    def compile(micro_batches: int) -> None:
        compile_model(model, training, len(job.train), micro_batches)

    def write(epoch: int, logs: Any) -> None:
        write_history(run.folder / "history.csv", run.backup.history)

    def fit(first_epoch: int, micro_batches: int) -> None:
        files = keras.callbacks.LambdaCallback(
            on_epoch_end=write
        )  # after the backup, which has the epochs before a restart
        board = keras.callbacks.TensorBoard(run.folder / "tensorboard", write_graph=False)
        fitted = {"epochs": training.epochs, "callbacks": [*callbacks, run.backup, files, board], "verbose": verbose}
        job.fit(model, inputs, training.batch_size, training.seed, first_epoch, micro_batches, **fitted)

    began = time.monotonic()
    train_model(model, training, compile, fit, run.backup, run.say)
    run.seconds["training"] = time.monotonic() - began
    return inputs


def _keep(run: _Run) -> dict[str, Any]:
    """Writes the best epoch's model and all numbers; returns the metrics, which are written last."""
    job, backup, folder = run.job, run.backup, run.folder
    model, history = job.model, backup.history
    best = backup.restore_best(model)
    job.tokenizer.model_max_length = job.max_length
    metrics = {
        "best_epoch": best,
        "epochs": backup.epochs_done,
        **{name: values[best - 1] for name, values in history.items()},
        "parameters": model.num_parameters(),
        "trainable_parameters": model.num_parameters(only_trainable=True),
        "train_examples": job.train.counts(),
        "validation_examples": job.validation.counts(),
        "seconds": round(time.monotonic() - run.started, 2),
        "settings": run.recorded,
        "versions": versions("bert-tf", "keras", "transformers"),
    }
    folder.save_model(model, job.tokenizer)
    write_history(folder / "history.csv", history)
    trained = f"{metrics['trainable_parameters']:,} of {metrics['parameters']:,} parameters trained"
    figures.draw_png(folder / "curves.png", sections.curves(history, best), f"{Path(job.checkpoint).name}, {trained}")
    write_json(folder / "metrics.json", metrics)
    shutil.rmtree(backup.folder, ignore_errors=True)
    run.say(
        f"\nKept epoch {best} of {backup.epochs_done}: validation loss {format_value(metrics['val_loss'], 'score')}, "
        f"validation accuracy {format_value(metrics['val_accuracy'], 'score')}. {format_value(metrics['seconds'], 'seconds')}."
    )
    return metrics


def _report(run: _Run, inputs: Any, metrics: dict[str, Any]) -> dict[str, Any]:
    """Writes report.html and the model card, and their numbers into metrics.json; returns these."""
    job = run.job
    numbers = run_report.write(
        run.folder.path,
        job,
        lambda: job.probabilities(job.model, inputs, run.settings.training.batch_size),
        results=metrics,
        history=run.backup.history,
        settings=run.recorded,
        parameters=job.model.parameter_table(),
        command=run_report.command(job, run.settings),
        seconds={"all of it, this report aside": metrics["seconds"], **run.seconds},
    )
    write_json(run.folder / "metrics.json", metrics | numbers)
    return numbers
