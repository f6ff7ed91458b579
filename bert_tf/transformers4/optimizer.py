"""`create_optimizer` and `WarmUp`, as in transformers 4."""

import re
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from bert_tf.training.optimizer import spare_from_decay


@keras.saving.register_keras_serializable("bert_tf")
class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """Raises the learning rate from 0 over the first steps, then hands over to another schedule.

    Goyal et al. 2017, sec. 2.2 (https://arxiv.org/abs/1706.02677).

    Args:
        initial_learning_rate: float, reached at the end of the warm-up.
        decay_schedule_fn: schedule for the steps after it, counted from 0 again.
        warmup_steps: int.
        power: float, 1 = linear.
    """

    def __init__(self, initial_learning_rate, decay_schedule_fn, warmup_steps, power=1.0, name="warm_up"):
        super().__init__()
        self.initial_learning_rate = initial_learning_rate
        self.decay_schedule_fn = decay_schedule_fn
        self.warmup_steps = warmup_steps
        self.power = power
        self.name = name

    def __call__(self, step):
        step = ops.cast(step, "float32")
        rising = self.initial_learning_rate * ops.power(step / self.warmup_steps, self.power)
        after = self.decay_schedule_fn(ops.maximum(step - self.warmup_steps, 0.0))
        return ops.where(step < self.warmup_steps, rising, after)

    def get_config(self):
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_schedule_fn": keras.saving.serialize_keras_object(self.decay_schedule_fn),
            "warmup_steps": self.warmup_steps,
            "power": self.power,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config):
        config["decay_schedule_fn"] = keras.saving.deserialize_keras_object(config["decay_schedule_fn"])
        return cls(**config)


def create_optimizer(
    init_lr: float,
    num_train_steps: int,
    num_warmup_steps: int,
    min_lr_ratio: float = 0.0,
    adam_beta1: float = 0.9,
    adam_beta2: float = 0.999,
    adam_epsilon: float = 1e-8,
    adam_clipnorm: float | None = None,
    adam_global_clipnorm: float | None = None,
    weight_decay_rate: float = 0.0,
    power: float = 1.0,
    include_in_weight_decay: Sequence[str] | None = None,
) -> tuple[keras.optimizers.Optimizer, keras.optimizers.schedules.LearningRateSchedule]:
    """Returns Adam with a warm-up, a polynomial (by default linear) decay of the learning rate, and decoupled weight decay.

    Loshchilov & Hutter 2019 (https://arxiv.org/abs/1711.05101). Biases and layer norms have no weight decay.

    Args:
        init_lr: float, the highest learning rate.
        num_train_steps, num_warmup_steps: int, the total number of steps, and how many of them are warm-up.
        min_lr_ratio: float, the final learning rate as a fraction of `init_lr`.
        adam_beta1, adam_beta2, adam_epsilon, adam_clipnorm, adam_global_clipnorm: Adam's settings.
        weight_decay_rate: float, 0 = plain Adam.
        power: float, of the polynomial.
        include_in_weight_decay: patterns such as "LayerNorm" or "bias" of weights that decay nevertheless.
    Returns: `(optimizer, schedule)`.
    """
    schedule: Any = keras.optimizers.schedules.PolynomialDecay(
        init_lr, num_train_steps - num_warmup_steps, end_learning_rate=init_lr * min_lr_ratio, power=power
    )
    if num_warmup_steps:
        schedule = WarmUp(init_lr, schedule, num_warmup_steps)
    adam: dict[str, Any] = {"beta_1": adam_beta1, "beta_2": adam_beta2, "epsilon": adam_epsilon}
    adam |= {"clipnorm": adam_clipnorm, "global_clipnorm": adam_global_clipnorm}
    if not weight_decay_rate:
        return keras.optimizers.Adam(schedule, **adam), schedule
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=weight_decay_rate, **adam)
    old = {"bias": "bias", "gamma": "LayerNorm/gamma", "beta": "LayerNorm/beta"}
    included = include_in_weight_decay or ()
    spared = [name for name in old if not any(re.search(pattern, old[name]) for pattern in included)]
    spare_from_decay(optimizer, spared)
    return optimizer, schedule
