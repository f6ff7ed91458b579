"""Optimizers, schedules and weight decay, and a model compiled with them."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from bert_tf import hardware
from bert_tf.backends.backend import adam_update
from bert_tf.backends.devices import sum_gradients_first
from bert_tf.models.keras_internals import Dial, give_dials, set_untracked
from bert_tf.settings import Training


@keras.saving.register_keras_serializable("bert_tf")
class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises linearly during the warm-up, then stays constant or falls linearly to 0.

    Numbers may be `Dial`s, which can change without compiling again.

    Args:
        peak: float, the highest learning rate.
        steps, warmup_steps: int, all steps, and how many of them are warm-up.
        falling: bool, whether it falls after the warm-up.
        micro_batches: int, micro-batches per step, each of which the optimizer counts.
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


def learning_rate_now(model) -> float:
    """Returns the learning rate of a compiled model after the steps that it has done."""
    return float(ops.convert_to_numpy(model.optimizer.learning_rate))


def total_steps(training: Training, texts: int) -> tuple[int, int]:
    """Returns the number of steps of a run over so many texts, and how many of them are warm-up."""
    steps = (training.epochs or 0) * -(-texts // training.texts_per_step)
    return steps, round((training.warmup or 0) * steps)


def compile_model(
    model,
    training: Training,
    texts: int,
    micro_batches: int = 1,
    loss: Any = "auto",
    metrics: Sequence[Any] = ("accuracy",),
) -> Schedule | None:
    """Compiles a model for a run over so many training texts; `training.learning_rate` must not be None.

    Returns: the schedule of the learning rate; None if that is constant.
    """
    learning_rate: Any = training.learning_rate
    if training.warmup or training.schedule == "linear":
        falling = training.schedule == "linear"
        # Dials: a run with a budget changes the plan as it goes.
        steps, warmup_steps = (Dial(n) for n in total_steps(training, texts))
        learning_rate = Schedule(learning_rate, steps, warmup_steps, falling, micro_batches)
    name, decay = training.optimizer or "adam", training.weight_decay or None
    compile_with(model, name, learning_rate, decay, micro_batches, training.clip or None, loss, metrics)
    return learning_rate if isinstance(learning_rate, Schedule) else None


def compile_with(
    model,
    name: str,
    learning_rate,
    weight_decay,
    micro_batches: int = 1,
    clip: float | None = None,
    loss: Any = "auto",
    metrics: Sequence[Any] = ("accuracy",),
) -> None:
    """Compiles a model with a Keras optimizer; the numbers of a `Schedule`, and the weight decay, may be dials."""
    config = {"learning_rate": learning_rate}
    if micro_batches > 1:
        config["gradient_accumulation_steps"] = micro_batches
    if clip:
        config["global_clipnorm"] = clip
    try:
        optimizer = keras.optimizers.get({"class_name": name, "config": config})
    except ValueError as error:
        raise ValueError(
            f"`optimizer` must be the name of a Keras optimizer, such as adamw. Received: {name!r}"
        ) from error
    if weight_decay is not None:
        set_untracked(optimizer, "weight_decay", weight_decay)  # it may be a dial
        spare_from_decay(optimizer)
    give_dials(
        optimizer, [weight_decay, *(vars(learning_rate).values() if isinstance(learning_rate, Schedule) else ())]
    )
    if isinstance(optimizer, keras.optimizers.Adam):
        set_untracked(optimizer, "update_step", adam_update(optimizer))
    sum_gradients_first(optimizer)
    model.compile(optimizer, loss, metrics=[*metrics], jit_compile=hardware.jit_compile())


def spare_from_decay(optimizer: keras.optimizers.Optimizer, names: Sequence[str] = ("bias", "gamma", "beta")) -> None:
    """Excludes variables of these names from weight decay: by default biases and layer norms."""
    # Keras matches these against "bias" or, inside fit, against TensorFlow's ".../query/bias:0", on a second device
    # ".../query/bias/replica_1:0".
    optimizer.exclude_from_weight_decay(var_names=[rf"(^|/){name}(/replica_\d+)?(:0)?$" for name in names])
