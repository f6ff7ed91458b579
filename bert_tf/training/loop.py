"""How a model is trained: the numbers that decide it, optimizer and schedule, and a `fit` that copes with little memory."""

from collections.abc import Callable
from typing import Any

from bert_tf import hardware
from bert_tf.training.backup import Backup
from bert_tf.training.recipe import Recipe


def train(
    model,
    recipe: Recipe,
    ready: Callable[[int], None],
    fit: Callable[[int, int], Any],
    backup: Backup,
    say: Callable[[str], None],
    until: int | None = None,
) -> int:
    """Trains from the last finished epoch on; where memory does not suffice, again with fewer texts at once.

    Args:
        ready: `(micro_batches) -> None`, compiles the model, its weights as at the start of the run.
        fit: `(first_epoch, micro_batches) -> None`, trains from an epoch on, `backup` among its callbacks.
        until: int, the epoch that `fit` ends with; None = `recipe.epochs`.
    Returns: the number of texts that were computed at once.
    """
    batch_size, until = recipe.batch_size, until or recipe.epochs
    micro_batches = -(-batch_size // min(recipe.micro_batch_size or batch_size, batch_size))
    while True:
        ready(micro_batches)
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
        say(f"Memory did not suffice: going on with {at_once} texts at once. A step is still of {batch_size} texts.")
