"""What can be checked before Keras and TensorFlow have loaded, which takes seconds; the library checks it again."""

import contextlib
from collections.abc import Sequence
from dataclasses import fields
from types import SimpleNamespace
from typing import Any

from bert_tf.cli.parser import suggestion
from bert_tf.options import Command
from bert_tf.settings import SEARCH, Settings

# Keras' own. A program can register others; the command line cannot.
OPTIMIZERS = (
    "adadelta", "adafactor", "adagrad", "adam", "adamax", "adamw", "ftrl", "lion", "muon", "nadam", "rmsprop", "schedulefreeadamw",
    "sgd",
)  # fmt: skip


def check_model(model: str) -> None:
    """Raises FileNotFoundError or ValueError unless a name is that of a fine-tuned model."""
    from bert_tf.checkpoints import locate
    from bert_tf.checkpoints.folder import check_head

    check_head(locate.resolve(model), model)


def check_run(command: Command, settings: Settings, sources: Sequence[Any]) -> None:
    """Raises ValueError or OSError if a run cannot begin: its optimizer, its output folder, its checkpoint, or how much of that is
    asked for."""
    name = settings.training.optimizer
    if name is not None and name.lower() not in OPTIMIZERS:
        meant = suggestion(name, OPTIMIZERS) or f" Use one of: {', '.join(OPTIMIZERS)}."
        raise ValueError(f"`optimizer`: {name!r} is not one of Keras' optimizers.{meant}")
    _check_space(settings)
    _check_stages(settings)
    if not (command is SEARCH and settings.output.resume):  # a finished search goes on with more trials
        _check_folder(settings, sources)
    if any(option.name == "checkpoint" for option in command.options()):
        _check_checkpoint(settings)


def check_texts(train: Any, settings: Settings) -> None:
    """Raises ValueError if nothing can be learnt of the training texts, or not in the way asked for."""
    from bert_tf.data.examples import check_classes, check_columns
    from bert_tf.training.sources import check_class_weight

    check_columns(train, settings.data)
    check_classes(train)
    check_class_weight(settings, train)


def _check_stages(settings: Settings) -> None:
    from bert_tf.training.recipe import check_blend, check_budget

    staged = settings.training.recipe == "auto"  # whether the head is a new one is known later
    check_budget(settings, staged)
    check_blend(settings, staged and settings.model.unfreeze == 0)


def _check_space(settings: Settings) -> None:
    from bert_tf.tuning.space import checked_space

    for item in fields(settings.space):
        if (value := getattr(settings.space, item.name)) is not None:
            checked_space(item.name, value)


def _check_folder(settings: Settings, sources: Sequence[Any]) -> None:
    from bert_tf.training.run_folder import RunFolder

    output = settings.output
    if output.output_dir is not None and settings.processes.worker is None:
        checked = [source for source in (str(settings.model.checkpoint), *sources) if source is not None]
        RunFolder(output.output_dir, ("",), output.overwrite, output.resume).check(checked)


def _check_checkpoint(settings: Settings) -> None:
    from bert_tf.checkpoints import locate
    from bert_tf.checkpoints.config import read_values
    from bert_tf.checkpoints.families import table
    from bert_tf.data.tokenizer import resolve_max_length

    source, unfreeze, most = str(settings.model.checkpoint), settings.model.unfreeze, settings.data.max_length
    folder = locate.resolve(source)
    if unfreeze in (None, 0, "all") and most is None:
        return
    config = SimpleNamespace(**read_values(folder))  # transformers' own class would take seconds
    with contextlib.suppress(
        AttributeError
    ):  # a value that is not in the file has a default that only transformers knows
        resolve_max_length(most, config, source)
        table.depth(unfreeze or 0, config)
