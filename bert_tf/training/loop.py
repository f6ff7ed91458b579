"""A training loop that resumes after a kill and continues with less memory."""

from collections.abc import Callable
from typing import Any

from bert_tf import hardware
from bert_tf.settings import Training
from bert_tf.training.backup import Backup


def train(
    model,
    training: Training,
    compile: Callable[[int], None],
    fit: Callable[[int, int], Any],
    backup: Backup,
    say: Callable[[str], None],
    until: int | None = None,
) -> int:
    """Trains from the last finished epoch on; when memory runs out, again with smaller micro-batches.

    Args:
        compile: `(micro_batches) -> None`, compiles the model, its weights as at the start of the run.
        fit: `(first_epoch, micro_batches) -> None`, trains from an epoch on, with `backup` among its callbacks.
        until: int, the epoch that `fit` ends with; None = `training.epochs`.
    Returns: the size of the micro-batches that fit into memory, in texts.
    """
    batch_size, until = training.texts_per_step, until or training.epochs or 0
    micro_batches = -(-batch_size // min(training.micro_batch_size or batch_size, batch_size))
    while True:
        compile(micro_batches)
        at_once = -(-batch_size // micro_batches)
        first_epoch = backup.restore(model)
        if first_epoch:
            say(f"Resumed after epoch {first_epoch} of {until}.")
        if first_epoch >= until or backup.should_stop:
            return at_once
        try:
            fit(first_epoch, micro_batches)
            return at_once
        except Exception as error:
            if not hardware.is_out_of_memory(error) or micro_batches >= batch_size:
                raise
        micro_batches = min(2 * micro_batches, batch_size)
        at_once = -(-batch_size // micro_batches)
        say(f"Out of memory: continuing with micro-batches of {at_once}. The batch size stays {batch_size}.")
