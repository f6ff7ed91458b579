"""The whole job in one call: labelled texts and a checkpoint in, a fine-tuned classifier and its record out."""

import hashlib
import operator
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np

from bert_tf import checkpoint, hardware, report, run_folder
from bert_tf.backup import Backup
from bert_tf.cache import default_dir
from bert_tf.data import Examples, check_classes, read_examples
from bert_tf.features import Features, extract, kept_in
from bert_tf.models import CLASSES
from bert_tf.pipeline import batches, by_length
from bert_tf.tokenizer import Tokens, join, load_tokenizer, resolve_max_length, tokenize

# Learning rates that suit Adam: a fresh head on a frozen base, and pretrained layers that should move little.
LEARNING_RATE_FROZEN = 1e-3
LEARNING_RATE_UNFROZEN = 5e-5


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
    checkpoint: str | Path = checkpoint.MINILM,
    output_dir: str | Path = "runs/finetune",
    unfreeze: int | str = 0,
    epochs: int = 3,
    learning_rate: float | None = None,
    batch_size: int = 32,
    max_length: int | None = None,
    optimizer: str = "adam",
    early_stopping: int | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    text_column: str | None = None,
    label_column: str | None = None,
    validation_share: float = 0.2,
    new_head: bool = False,
    cache: bool | str = True,
    cache_dir: str | Path | None = None,
    precision: str = "auto",
    micro_batch_size: int | None = None,
    seed: int = 0,
    overwrite: bool = False,
    resume: bool = False,
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
        output_dir: folder for model/ (Hugging Face folder with tokenizer), history.csv, metrics.json, curves.png,
            tensorboard/. Nothing is written before the data and the checkpoint have been read and found good.
        unfreeze: layers of the base to train: 0 = none, k = the top k, "all".
        epochs: int, the most passes over the data.
        learning_rate: float; None = 1e-3 with a frozen base, else 5e-5.
        batch_size: int, texts a step.
        max_length: int, tokens; longer texts are cut. None = 256, or as many as the model has positions.
        optimizer: str, the name of a Keras optimizer.
        early_stopping: int, epochs without a lower validation loss after which to stop; None = never.
        callbacks: Keras callbacks, beside those that keep the best weights, the history and the TensorBoard logs. What
            they add to the logs goes into the history; a state of their own is not part of what `resume` restores.
        text_column, label_column: columns of the sources; None = found by their usual names.
        new_head: bool, whether to replace the head a checkpoint already has.
        cache: True = keep what the frozen layers give on disk, "memory" = for this run only, False = do not keep it.
        cache_dir: folder for it; None = the user's cache folder.
        precision: "float32" or "bfloat16", what is computed in: trained weights are float32 under both. "auto" =
            bfloat16 where the hardware has it, else float32 with the hidden states on disk in half precision.
        micro_batch_size: int, texts whose gradients are computed at once; `batch_size` of them make a step. None =
            `batch_size`, and less as soon as memory does not suffice.
        seed: int, decides the split, the new head, the order of the texts and dropout.
        overwrite, resume: bool, what to do where `output_dir` already holds a run: start anew, or go on after the last
            finished epoch.
        verbose: as in `keras.Model.fit`; "auto" = a progress bar on a terminal, else a line an epoch; 0 = silent.
    Returns: `Finetuned`.
    Raises: ValueError, FileNotFoundError or FileExistsError that says what was found and what to do.

    >>> from bert_tf.data import demo_reviews
    >>> run = finetune(*demo_reviews(), epochs=1, output_dir="runs/demo")  # doctest: +SKIP
    """
    started = time.monotonic()
    source, output_dir = str(checkpoint), Path(output_dir).expanduser()
    epochs, batch_size, seed = map(operator.index, (epochs, batch_size, seed))
    unfreeze = unfreeze if isinstance(unfreeze, str) else operator.index(unfreeze)
    check_numbers(
        epochs=epochs, batch_size=batch_size, early_stopping=early_stopping, learning_rate=learning_rate,
        micro_batch_size=micro_batch_size,
    )  # fmt: skip
    if cache not in (True, False, "disk", "memory"):
        raise ValueError(f"`cache` must be True, False or 'memory'. Received: cache={cache!r}")
    computed_in = hardware.resolve_precision(precision)
    if learning_rate is None:
        learning_rate = LEARNING_RATE_FROZEN if unfreeze == 0 else LEARNING_RATE_UNFROZEN
    say = _say if verbose != 0 else (lambda *_: None)
    learning_rate = float(learning_rate)
    run_folder.check_folder(output_dir, overwrite, resume, sources=(source, train, validation))

    train_examples, validation_examples = _read(
        train, validation, text_column, label_column, validation_share, seed, say
    )
    keras.utils.set_random_seed(seed)
    tokenizer = load_tokenizer(source)
    model, train_examples = _classifier(source, train_examples, new_head, unfreeze, hardware.policy(computed_in))
    validation_examples = validation_examples.relabel(train_examples.label_names)
    max_length = resolve_max_length(max_length, model.config, source)
    model.freeze(unfreeze)
    say(f"\nFrom {source}, " + ("the base frozen:" if unfreeze == 0 else f"unfrozen: {unfreeze}:"))
    say(report.parameter_table(model.parameter_table()) + "\n")
    say(_precision_line(precision, computed_in))

    train_tokens = tokenize(train_examples.texts, tokenizer, max_length)
    validation_tokens = tokenize(validation_examples.texts, tokenizer, max_length)
    highest = max(int(tokens.ids.max()) for tokens in (train_tokens, validation_tokens))
    if highest >= model.config.vocab_size:
        raise ValueError(
            f"{source}: its tokenizer gives ids up to {highest}, its model knows {model.config.vocab_size} tokens. The two "
            "do not belong together."
        )
    cached = bool(cache and model.encoder.boundary)
    keep = kept_in(model.encoder, precision)
    settings = {
        "train": train_examples.source, "validation": validation_examples.source, "checkpoint": source,
        "unfreeze": unfreeze, "epochs": epochs, "learning_rate": learning_rate, "batch_size": batch_size,
        "max_length": max_length, "optimizer": optimizer, "early_stopping": early_stopping, "seed": seed,
        "precision": computed_in, "features": keep if cached else None,
        "data_fingerprint": _fingerprint(
            *(a for t in (train_tokens, validation_tokens) for a in (t.ids, t.ends)),
            train_examples.labels, validation_examples.labels, train_examples.label_names,
        ),
        "checkpoint_fingerprint": _fingerprint(*map(keras.ops.convert_to_numpy, model.encoder.weights)),
    }  # fmt: skip
    _compile(model, optimizer, learning_rate)  # a wrong optimizer is to be known before the long work
    run_folder.check_resumable(output_dir, settings, resume)
    tokens = join(train_tokens, validation_tokens)
    inputs: Tokens | Features = tokens
    if cached:
        inputs = extract(
            model.encoder,
            tokens,
            cache="memory" if cache == "memory" else "disk",
            cache_dir=cache_dir,
            keep=keep,
            checkpoint=source,
            progress=verbose != 0,
        )
        say(_features_line(inputs, cache, cache_dir, time.monotonic() - started))
    train_inputs = inputs.take(np.arange(len(train_tokens)))
    order = by_length(validation_tokens)
    pad = tokenizer.pad_token_id or 0
    validation_data = batches(
        inputs.take(len(train_tokens) + order),
        validation_examples.labels[order],
        batch_size=batch_size,
        pad_token_id=pad,
    )
    run_folder.start(output_dir, settings, overwrite, resume)

    backup = Backup(output_dir / "state", early_stopping=early_stopping)
    _train(
        model,
        lambda epoch, micro_batches: batches(
            train_inputs, train_examples.labels, batch_size=batch_size, micro_batches=micro_batches, shuffle=True,
            seed=seed, first_epoch=epoch, pad_token_id=pad,
        ),
        lambda micro_batches: _compile(model, optimizer, learning_rate, micro_batches),
        backup,
        batch_size,
        batch_size if micro_batch_size is None else operator.index(micro_batch_size),
        say,
        epochs=epochs,
        validation_data=validation_data,
        callbacks=[
            *callbacks,
            backup,
            _HistoryFile(backup, output_dir / "history.csv"),
            keras.callbacks.TensorBoard(output_dir / "tensorboard", write_graph=False),
        ],
        verbose=(1 if sys.stdout.isatty() else 2) if verbose == "auto" else verbose,
    )  # fmt: skip

    history = backup.history
    best = backup.restore_best(model)
    tokenizer.model_max_length = max_length
    metrics = {
        "best_epoch": best,
        "epochs": backup.epochs_done,
        **{name: values[best - 1] for name, values in history.items()},
        "parameters": model.num_parameters(),
        "trainable_parameters": model.num_parameters(only_trainable=True),
        "train_examples": train_examples.counts(),
        "validation_examples": validation_examples.counts(),
        "seconds": round(time.monotonic() - started, 2),
        "settings": settings,
        "versions": {name: version(name) for name in ("bert-tf", "keras", "transformers")},
    }
    run_folder.finish(output_dir, model, tokenizer, history, metrics)
    backup.remove()
    say(
        f"\nKept epoch {best} of {backup.epochs_done}: validation loss {metrics['val_loss']:.4f}, "
        f"validation accuracy {metrics['val_accuracy']:.4f}. {metrics['seconds']:.0f} s. In {output_dir}/:"
    )
    say("  " + ", ".join(name for name in run_folder.OUTPUTS if (output_dir / name).exists()))
    if not (output_dir / "curves.png").exists():
        say("  (for curves.png: pip install 'bert-tf[plots]')")
    return Finetuned(model, tokenizer, history, metrics, output_dir)


# Data and model


def _read(train, validation, text_column, label_column, share, seed, say) -> tuple[Examples, Examples]:
    examples = read_examples(train, text_column, label_column)
    check_classes(examples)
    if validation is None:
        examples, held_back = examples.split(share, seed)
        say(
            f"No validation data given: {len(held_back)} of {len(examples) + len(held_back)} texts are held back for it."
        )
    else:
        held_back = read_examples(validation, text_column, label_column)
    for name, part in (("Training", examples), ("Validation", held_back)):
        counts = ", ".join(f"{count} {label}" for label, count in part.counts().items())
        say(f"{name}: {len(part)} texts ({counts}), {part.source}")
    return examples, held_back


def _classifier(
    source: str, examples: Examples, new_head: bool, unfreeze: int | str, dtype: str
) -> tuple[Any, Examples]:
    """Loads the classifier for the classes of `examples`; a head that is there is kept only if it is for the same ones."""
    folder = checkpoint.resolve(source)
    names = examples.label_names
    if checkpoint.has_head(folder) and not new_head:
        id2label = checkpoint.read_config(folder).id2label
        theirs = tuple(id2label[i] for i in sorted(id2label))
        if set(theirs) == set(names):
            examples = examples.relabel(theirs)
        elif len(theirs) != len(names) or any(name != f"LABEL_{i}" for i, name in enumerate(theirs)):
            raise ValueError(
                f"{source} has a head for {len(theirs)} labels ({', '.join(theirs)}), the data has {len(names)} "
                f"({', '.join(names)}). For a new head pass new_head=True (--new-head)."
            )
    config = checkpoint.read_config(
        folder, id2label=dict(enumerate(examples.label_names)), problem_type="single_label_classification"
    )
    model = CLASSES[config.model_type](config, dtype=dtype)
    info = checkpoint.load_weights(model, folder, new_head=new_head)
    if unfreeze == 0 and any("pooler" in name for name in info["missing_keys"]):
        raise ValueError(
            f"{source} has no pooler, and a frozen base would keep a random one. Train it with unfreeze=1 "
            "(--unfreeze 1), or fold the checkpoint: bert-tf convert --to distilbert."
        )
    model.name_or_path = source
    return model, examples


def _fingerprint(*parts: Any) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.tobytes() if hasattr(part, "tobytes") else repr(part).encode())
    return digest.hexdigest()[:16]


def check_numbers(**numbers) -> None:
    """Raises ValueError for a number that is not greater than 0; None is not looked at."""
    for name, value in numbers.items():
        if value is not None and not value > 0:
            raise ValueError(f"`{name}` must be greater than 0. Received: {name}={value}")


def _precision_line(asked: str, computed_in: str) -> str:
    if asked != "auto":
        return f"Computing in {computed_in}, as asked."
    if computed_in == "bfloat16":
        return "Computing in bfloat16, which this machine does natively; trained weights stay float32."
    return "Computing in float32: this machine does no native bfloat16."


def _features_line(features: Features, cache: bool | str, cache_dir: str | Path | None, seconds: float) -> str:
    where = "in memory" if cache == "memory" else f"in {cache_dir or default_dir()}"
    return (
        f"Features of the frozen layers: {features.computed:,} texts computed, the other {len(features) - features.computed:,} "
        f"known; kept {where}. {seconds:.0f} s so far."
    )


def _compile(model, optimizer: str, learning_rate: float, micro_batches: int = 1) -> None:
    config = {"learning_rate": learning_rate}
    if micro_batches > 1:
        config["gradient_accumulation_steps"] = micro_batches
    model.compile(
        keras.optimizers.get({"class_name": optimizer, "config": config}),
        metrics=["accuracy"],
        jit_compile=hardware.jit_compile(),
    )


def _train(model, train_data, compile_model, backup, batch_size, micro_batch_size, say, epochs, **options) -> None:
    """Trains from the last finished epoch on; where memory does not suffice, again with fewer texts at once.

    Args:
        train_data: `(first_epoch, micro_batches) -> tf.data.Dataset`.
        compile_model: `(micro_batches) -> None`.
        **options: those of `fit`.
    """
    micro_batches = -(-batch_size // min(micro_batch_size, batch_size))
    while True:
        compile_model(micro_batches)
        first_epoch = backup.restore(model)
        if first_epoch:
            say(f"Resumed after epoch {first_epoch} of {epochs}.")
        if first_epoch >= epochs or backup.should_stop:
            return
        try:
            model.fit(train_data(first_epoch, micro_batches), epochs=epochs, initial_epoch=first_epoch, **options)
            return
        except Exception as error:
            if not hardware.is_out_of_memory(error) or micro_batches >= batch_size:
                raise
        micro_batches = min(2 * micro_batches, batch_size)
        at_once = -(-batch_size // micro_batches)
        say(f"Memory did not suffice: going on with {at_once} texts at once. A step is still of {batch_size} texts.")


class _HistoryFile(keras.callbacks.Callback):
    """Writes history.csv after each epoch, those before a restart included."""

    def __init__(self, backup: Backup, file: Path):
        super().__init__()
        self.backup, self.file = backup, file

    def on_epoch_end(self, epoch, logs=None):
        report.write_history(self.file, self.backup.history)


def _say(text: str) -> None:
    print(text, flush=True)
