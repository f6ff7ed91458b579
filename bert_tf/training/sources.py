"""The texts of a run: read, split, checked against each other, described."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from bert_tf.data.examples import Examples, check_classes, check_columns, check_kinds, remarks_of, with_leaks
from bert_tf.data.readers import read
from bert_tf.settings import Settings
from bert_tf.tasks.task import task_of

Say = Callable[[str], None]


def read_both(train: Any, validation: Any, settings: Settings, say: Say) -> tuple[Examples, Examples]:
    """Reads training and validation texts and checks them against each other.

    Args:
        train, validation: sources; without the latter a share of the training texts is held out.
        settings: of the run.
        say: takes what was guessed and what there is.
    Raises: ValueError, TypeError or FileNotFoundError that says what is wrong and what to do.
    """
    data = settings.data
    examples = read(train, data)
    check_columns(examples, data)
    check_classes(examples)
    check_class_weight(settings, examples)
    if validation is None:
        total = len(examples)
        examples, validation = examples.split(data.validation_share, settings.training.seed)
        say(f"No validation data given: {len(validation):,} of {total:,} texts are held out for validation.")
    else:
        validation = with_leaks(examples, read(validation, replace(data, task=examples.task)))
    check_kinds(examples, validation, "validation")
    for remark in remarks_of(examples, validation):
        say(remark)
    for name, part in (("Training", examples), ("Validation", validation)):
        say(part.described(name))
    return examples, validation


def check_class_weight(settings: Settings, examples: Examples) -> None:
    """Raises ValueError for weights of classes where a text does not have exactly one."""
    if settings.training.class_weight and not task_of(examples.task).one_class:
        raise ValueError(
            f"`class_weight` (--class-weight) is for one class a text. Received: it with {examples.task} ({examples.source})"
        )


def absent_classes(examples: Examples, held: Examples) -> str:
    """Says which classes have no validation text."""
    counts = examples.counts()
    absent = [name for name, count in held.counts().items() if not count and counts[name]]
    if not absent:
        return ""
    words = ", ".join(f"{name!r} ({counts[name]:,} for training)" for name in absent)
    return f"No validation text has the label {words}: how well it is recognised is not measured."
