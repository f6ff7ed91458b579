"""How a model is trained: the numbers that decide it, optimizer and schedule, and a `fit` that copes with little memory."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from bert_tf import hardware
from bert_tf.backup import Backup
from bert_tf.transformers4 import spare_from_decay

SCHEDULES = ("constant", "linear")

# Learning rates that suit Adam and its relatives, by whether the base is frozen: the usual one, and a range to search in.
# A fresh head has far to go, pretrained layers should move little (Devlin et al. 2019, app. A.3: 2e-5 to 5e-5).
# The head over the means of every layer has few weights a feature, which all begin to move at once: 3e-4 rather than 1e-3.
LEARNING_RATES = {True: 1e-3, False: 5e-5}
LAYER_MEANS_LEARNING_RATE = 3e-4
LEARNING_RATE_RANGES = {True: (1e-4, 1e-2), False: (1e-5, 3e-4)}
FAR_OFF = {True: (5e-5, 5e-2), False: (2e-6, 1e-3)}
LIKE_ADAM = ("adam", "adamw", "nadam", "adamax", "rmsprop", "lamb")


def usual_learning_rate(unfreeze: int | str, pooling: str = "first_token") -> float:
    """Returns the learning rate that suits so much unfrozen under a head of this kind."""
    return LAYER_MEANS_LEARNING_RATE if unfreeze == 0 and pooling == "layer_means" else LEARNING_RATES[unfreeze == 0]


@dataclass(frozen=True)
class Recipe:
    """What decides a training run, beside the data and what is frozen.

    Attributes:
        epochs: int, the most passes over the data; a schedule spans all of them.
        learning_rate: float, the highest.
        batch_size: int, texts a step.
        optimizer: str, the name of a Keras optimizer.
        weight_decay: float, decoupled (Loshchilov & Hutter 2019, https://arxiv.org/abs/1711.05101); biases and layer
            norms are spared.
        warmup: float in [0, 1), share of all steps in which the learning rate rises from 0.
        schedule: str, what it does after that: "constant" or "linear", falling to 0.
        early_stopping: int, epochs without a better one after which to stop; None = never.
        micro_batch_size: int, texts whose gradients are computed at once; None = `batch_size`.
    Raises: ValueError for a number out of range, or an unknown schedule.
    """

    epochs: int
    learning_rate: float
    batch_size: int = 32
    optimizer: str = "adam"
    weight_decay: float = 0.0
    warmup: float = 0.0
    schedule: str = "constant"
    early_stopping: int | None = None
    micro_batch_size: int | None = None

    def __post_init__(self):
        for name in ("epochs", "learning_rate", "batch_size", "early_stopping", "micro_batch_size"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"`{name}` must be greater than 0. Received: {name}={value}")
        if not self.weight_decay >= 0:
            raise ValueError(f"`weight_decay` must be at least 0. Received: weight_decay={self.weight_decay}")
        if not 0 <= self.warmup < 1:
            raise ValueError(f"`warmup` is a share of the steps, from 0 to below 1. Received: warmup={self.warmup}")
        if self.schedule not in SCHEDULES:
            raise ValueError(f"`schedule` must be 'constant' or 'linear'. Received: schedule={self.schedule!r}")

    def remark(self, unfreeze: int | str) -> str | None:
        """Returns why the learning rate may not learn, if it is far from what suits that much unfrozen."""
        frozen = unfreeze == 0
        low, high = FAR_OFF[frozen]
        if low <= self.learning_rate <= high or self.optimizer not in LIKE_ADAM:
            return None
        small = self.learning_rate < low
        why = {
            (True, True): "a head that starts at random moves by about this much a step, and hardly leaves its start",
            (True, False): "the head's steps are larger than its weights, and the loss may jump about or become NaN",
            (False, True): "the pretrained layers will hardly move",
            (False, False): "the pretrained layers may lose what they know, and accuracy stay at chance",
        }[frozen, small]
        suits = "about 1e-3 suits a frozen base" if frozen else "about 2e-5 to 1e-4 suits unfrozen layers"
        return (
            f"A learning rate of {self.learning_rate:.3g} is very {'small' if small else 'large'} here: {why}; {suits}."
        )


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises over the first steps, then stays or falls to 0 in a straight line.

    Numbers may be `keras.Variable`s, to be changed without compiling anew.

    Args:
        peak: float, the highest learning rate.
        steps, warmup_steps: int, all steps and those of the warm-up among them.
        falling: bool, whether it falls after the warm-up.
        micro_batches: int, how often the optimizer counts in a step.
    """

    def __init__(self, peak: Any, steps: Any, warmup_steps: Any = 0, falling: bool = False, micro_batches: int = 1):
        super().__init__()
        self.peak, self.steps, self.warmup_steps = peak, steps, warmup_steps
        self.falling, self.micro_batches = falling, micro_batches

    def __call__(self, step):
        step = ops.cast(step // self.micro_batches, "float32")
        steps, warmup_steps = ops.cast(self.steps, "float32"), ops.cast(self.warmup_steps, "float32")
        share = ops.minimum(step / ops.maximum(warmup_steps, 1.0), 1.0)
        share = ops.where(warmup_steps > 0, share, 1.0)
        if self.falling:
            left = (steps - step) / ops.maximum(steps - warmup_steps, 1.0)
            share = ops.where(step < warmup_steps, share, ops.clip(left, 0.0, 1.0))
        return ops.cast(self.peak, "float32") * share

    def get_config(self):
        numbers = {name: float(getattr(self, name)) for name in ("peak", "steps", "warmup_steps")}
        return {**numbers, "falling": self.falling, "micro_batches": self.micro_batches}


def total_steps(recipe: Recipe, texts: int) -> tuple[int, int]:
    """Returns how many steps a run over so many texts takes, and how many of them are warm-up."""
    steps = recipe.epochs * -(-texts // recipe.batch_size)
    return steps, round(recipe.warmup * steps)


def compile_model(model, recipe: Recipe, texts: int, micro_batches: int = 1) -> None:
    """Compiles a model for a run over so many training texts."""
    learning_rate: Any = recipe.learning_rate
    if recipe.warmup or recipe.schedule != "constant":
        falling = recipe.schedule == "linear"
        learning_rate = Schedule(learning_rate, *total_steps(recipe, texts), falling, micro_batches)
    compile_with(model, recipe.optimizer, learning_rate, recipe.weight_decay or None, micro_batches)


def compile_with(model, name: str, learning_rate, weight_decay, micro_batches: int = 1, **options) -> None:
    """Compiles a model with an optimizer of a name; learning rate and weight decay may be read from variables.

    Args:
        **options: more for `keras.Model.compile`.
    """
    config = {"learning_rate": learning_rate}
    if micro_batches > 1:
        config["gradient_accumulation_steps"] = micro_batches
    optimizer = keras.optimizers.get({"class_name": name, "config": config})
    if weight_decay is not None:
        object.__setattr__(optimizer, "weight_decay", weight_decay)  # past Keras' tracking, should it be a variable
        spare_from_decay(optimizer)
    model.compile(optimizer, metrics=["accuracy"], jit_compile=hardware.jit_compile(), **options)


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
