"""The whole job in one call: labelled texts and a checkpoint in, a fine-tuned classifier and its record out."""

import operator
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import keras

from bert_tf.checkpoints import locate
from bert_tf.evaluation.history import write_history
from bert_tf.files import write_json
from bert_tf.formatting import format_value
from bert_tf.training import run_folder, run_report
from bert_tf.training.backup import Backup
from bert_tf.training.job import prepare
from bert_tf.training.loop import train as train_model
from bert_tf.training.optimizer import compile_model
from bert_tf.training.recipe import Recipe, usual_learning_rate


@dataclass(frozen=True)
class Finetuned:
    """What `finetune` leaves.

    Attributes:
        model: the classifier, with the weights of its best epoch.
        tokenizer: the checkpoint's.
        history: dict, metric -> value of each epoch.
        metrics: dict, what metrics.json holds.
        output_dir: Path of the run.
    """

    model: Any
    tokenizer: Any
    history: dict[str, list[float]]
    metrics: dict[str, Any]
    output_dir: Path


def finetune(
    train: Any,
    validation: Any = None,
    *,
    checkpoint: str | Path = locate.MINILM,
    output_dir: str | Path = "runs/finetune",
    unfreeze: int | str = 0,
    epochs: int = 3,
    learning_rate: float | None = None,
    batch_size: int = 32,
    max_length: int | None = None,
    optimizer: str = "adam",
    weight_decay: float = 0.0,
    warmup: float = 0.0,
    schedule: str = "constant",
    dropout: float | None = None,
    early_stopping: int | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    text_column: str | None = None,
    label_column: str | None = None,
    validation_share: float = 0.2,
    new_head: bool = False,
    head: str | None = None,
    cache: bool | str = True,
    cache_dir: str | Path | None = None,
    precision: str = "auto",
    micro_batch_size: int | None = None,
    seed: int = 0,
    overwrite: bool = False,
    resume: bool = False,
    report: bool = True,
    verbose: str | int = "auto",
) -> Finetuned:
    """Fine-tunes a checkpoint on labelled texts and keeps the best epoch.

    The base is frozen unless `unfreeze` says otherwise: only the head learns. What is frozen is run once for each text,
    and kept for all epochs and later runs; it then drops nothing out. With `cache=False` it is run in every epoch, as by
    plain `model.fit` and in transformers 4, dropout included.

    Args:
        train, validation: a source that `bert_tf.read_examples` reads (path, `"tfds:NAME@SPLIT"`, DataFrame, dict of
            lists, pair). Without `validation`, `validation_share` of the training texts is held back, stratified.
        checkpoint: folder or hub name; `"minilm"` is the embedded default.
        output_dir: folder for report.html, model/ (Hugging Face folder with tokenizer and model card), history.csv,
            metrics.json, curves.png, tensorboard/. Nothing is written before the data and the checkpoint have been read and found good.
        unfreeze: layers of the base to train: 0 = none, k = the top k, "all".
        epochs: int, the most passes over the data.
        learning_rate: float; None = 1e-3 with a frozen base (3e-4 under the head over the means of every layer), else 5e-5.
        batch_size: int, texts a step.
        max_length: int, tokens; longer texts are cut. None = 256, or as many as the model has positions.
        optimizer: str, the name of a Keras optimizer.
        weight_decay, warmup, schedule: see `bert_tf.training.recipe.Recipe`: decoupled weight decay, the share of steps in which
            the learning rate rises, and whether it is "constant" after that or "linear", falling to 0.
        dropout: float in [0, 1), the head's; None = the checkpoint's, for a new head over the means of every layer 0.5.
        early_stopping: int, epochs without a lower validation loss after which to stop; None = never.
        callbacks: Keras callbacks, beside those that keep the best weights, the history and the TensorBoard logs. What
            they add to the logs goes into the history; a state of their own is not part of what `resume` restores.
        text_column, label_column: columns of the sources; None = found by their usual names.
        new_head: bool, whether to replace the head a checkpoint already has.
        head: "first_token", Hugging Face's head over the last layer's state of the first token, or "layer_means", a linear head
            over the means of every layer, which suits a frozen base (and with unfrozen layers is not cached): see
            `bert_tf.TFDistilBertLayerMeansForSequenceClassification`. None = the checkpoint's, "first_token" for a new one.
        cache: True = keep what the frozen layers give on disk, "memory" = for this run only, False = do not keep it.
        cache_dir: folder for it; None = the user's cache folder.
        precision: "float32" or "bfloat16", what is computed in: trained weights are float32 under both. "auto" =
            bfloat16 where the hardware has it, else float32 with the hidden states on disk in half precision.
        micro_batch_size: int, texts whose gradients are computed at once; `batch_size` of them make a step. None =
            `batch_size`, and less as soon as memory does not suffice.
        seed: int, decides the split, the new head, the order of the texts and dropout.
        overwrite, resume: bool, what to do where `output_dir` already holds a run: start anew, or go on after the last
            finished epoch.
        report: bool, whether to write report.html and the model card (model/README.md). They take some seconds, and want
            scikit-learn for the floor and for labels that are likely wrong.
        verbose: as in `keras.Model.fit`; "auto" = a progress bar on a terminal, else a line an epoch; 0 = silent.
    Returns: `Finetuned`.
    Raises: ValueError, FileNotFoundError or FileExistsError that says what was found and what to do.

    >>> from bert_tf.data.readers import demo_reviews
    >>> run = finetune(*demo_reviews(), epochs=1, output_dir="runs/demo")  # doctest: +SKIP
    """
    started = time.monotonic()
    source, output_dir = str(checkpoint), Path(output_dir).expanduser()
    epochs, batch_size, seed = map(operator.index, (epochs, batch_size, seed))
    unfreeze = unfreeze if isinstance(unfreeze, str) else operator.index(unfreeze)
    if cache not in (True, False, "disk", "memory"):
        raise ValueError(f"`cache` must be True, False or 'memory'. Received: cache={cache!r}")
    recipe = Recipe(
        epochs=epochs,
        learning_rate=1.0 if learning_rate is None else float(learning_rate),  # the usual one when the head is known
        batch_size=batch_size,
        optimizer=optimizer,
        weight_decay=weight_decay,
        warmup=warmup,
        schedule=schedule,
        early_stopping=early_stopping,
        micro_batch_size=None if micro_batch_size is None else operator.index(micro_batch_size),
    )
    say: Any = _say if verbose != 0 else (lambda *_: None)
    run_folder.check_folder(output_dir, overwrite, resume, sources=(source, train, validation))
    job = prepare(
        train, validation, checkpoint=source, unfreeze=unfreeze, max_length=max_length, text_column=text_column,
        label_column=label_column, validation_share=validation_share, new_head=new_head, head=head,
        dropout=dropout, precision=precision, seed=seed, say=say,
    )  # fmt: skip
    model = job.model
    if learning_rate is None:
        recipe = replace(recipe, learning_rate=usual_learning_rate(unfreeze, model.head))
    say(job.describe(unfreeze))
    if remark := recipe.remark(unfreeze):
        say(remark)
    settings = {
        **job.settings(), **asdict(recipe), "unfreeze": unfreeze, "dropout": float(model.dropout.rate), "seed": seed,
        "features": job.kept_in(model, cache),
    }  # fmt: skip
    settings.pop("micro_batch_size")  # decides no result
    compile_model(model, recipe, len(job.train))  # a wrong optimizer is to be known before the long work
    run_folder.check_resumable(output_dir, settings, resume)
    began = time.monotonic()
    job.adapt(cache, cache_dir, say)
    inputs = job.inputs(model, cache, cache_dir, verbose != 0, say)
    seconds = {"features of the frozen layers": time.monotonic() - began}
    run_folder.start(output_dir, settings, overwrite, resume)

    backup = Backup(output_dir / "state", early_stopping=early_stopping)
    validation_data = job.held_back(inputs, batch_size)

    def fit(first_epoch: int, micro_batches: int) -> None:
        model.fit(
            job.training(
                inputs, batch_size=batch_size, micro_batches=micro_batches, seed=seed, first_epoch=first_epoch
            ),
            validation_data=validation_data,
            epochs=epochs,
            initial_epoch=first_epoch,
            callbacks=[
                *callbacks,
                backup,
                _HistoryFile(backup, output_dir / "history.csv"),
                keras.callbacks.TensorBoard(output_dir / "tensorboard", write_graph=False),
            ],
            verbose=(1 if sys.stdout.isatty() else 2) if verbose == "auto" else verbose,
        )

    def ready(micro_batches: int) -> None:
        compile_model(model, recipe, len(job.train), micro_batches)

    began = time.monotonic()
    train_model(model, recipe, ready, fit, backup, say)
    seconds["training"] = time.monotonic() - began

    history = backup.history
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
        "seconds": round(time.monotonic() - started, 2),
        "settings": settings,
        "versions": run_folder.versions("bert-tf", "keras", "transformers"),
    }
    run_folder.finish(output_dir, model, job.tokenizer, history, metrics)
    backup.remove()
    say(
        f"\nKept epoch {best} of {backup.epochs_done}: validation loss {format_value(metrics['val_loss'], 'score')}, "
        f"validation accuracy {format_value(metrics['val_accuracy'], 'score')}. {format_value(metrics['seconds'], 'seconds')}."
    )
    if report:
        options = {
            **asdict(recipe), "unfreeze": unfreeze, "dropout": dropout, "precision": precision, "seed": seed,
            "text_column": text_column, "label_column": label_column, "new_head": new_head, "head": head,
            "no_cache": cache is False,
        }  # fmt: skip
        metrics |= run_report.write(
            output_dir, job, lambda: job.probabilities(model, inputs, batch_size), results=metrics, history=history,
            settings=settings, parameters=model.parameter_table(), command=run_report.command(job, options),
            seconds={"all of it, this report aside": metrics["seconds"], **seconds},
        )  # fmt: skip
        write_json(output_dir / "metrics.json", metrics)
    for remark in run_report.remarks(metrics):
        say(remark)
    say(f"In {output_dir}/:")
    say("  " + ", ".join(name for name in run_folder.OUTPUTS if (output_dir / name).exists()))
    if not (output_dir / "curves.png").exists():
        say("  (for curves.png: pip install 'bert-tf[plots]')")
    return Finetuned(model, job.tokenizer, history, metrics, output_dir)


class _HistoryFile(keras.callbacks.Callback):
    """Writes history.csv after each epoch, those before a restart included."""

    def __init__(self, backup: Backup, file: Path):
        super().__init__()
        self.backup, self.file = backup, file

    def on_epoch_end(self, epoch, logs=None):
        write_history(self.file, self.backup.history)


def _say(text: str) -> None:
    print(text, flush=True)
