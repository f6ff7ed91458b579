"""`create_optimizer`, `AdamWeightDecay` and `WarmUp`, as in transformers 4."""

import re
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from bert_tf.models.keras_internals import Dial, give_dials
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


@keras.saving.register_keras_serializable("bert_tf")
class Settable(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule that a fixed learning rate can replace at any time, also in the middle of `fit`.

    Args:
        schedule: a schedule.
        rate: float, the rate that replaces it; None = none yet.
    """

    def __init__(self, schedule: Any, rate: float | None = None):
        super().__init__()
        self.schedule = schedule
        # Not a number: no rate set. A dial, so that a compiled step sees the change.
        self.rate = Dial(float("nan") if rate is None else rate)

    def __call__(self, step):
        rate = ops.convert_to_tensor(self.rate)
        return ops.where(ops.isnan(rate), ops.cast(self.schedule(step), "float32"), rate)

    def get_config(self):
        rate = float(ops.convert_to_numpy(self.rate))
        return {"schedule": keras.saving.serialize_keras_object(self.schedule), "rate": None if rate != rate else rate}

    @classmethod
    def from_config(cls, config):
        return cls(keras.saving.deserialize_keras_object(config["schedule"]), config["rate"])


NOT_DECAYED = ("LayerNorm", "layer_norm", "bias")
# What a variable is called here -> in transformers 4, where patterns were written for.
OLD_NAMES = {"bias": "bias", "gamma": "LayerNorm/gamma layer_norm/gamma", "beta": "LayerNorm/beta layer_norm/beta"}


def _matches(patterns: Sequence[str], name: str) -> bool:
    return any(re.search(pattern, name) for pattern in patterns)


class _RateCanBeSet:
    """Lets `optimizer.learning_rate = 1e-5` and `ReduceLROnPlateau` replace a schedule, as in transformers 4. In Keras 3 they
    are an error."""

    def __init__(self, learning_rate: Any, **kwargs):
        super().__init__(_settable(learning_rate), **kwargs)  # type: ignore[call-arg]
        give_dials(self, [getattr(self._learning_rate, "rate", None)])  # type: ignore[attr-defined]

    @property
    def learning_rate(self):
        return super().learning_rate  # type: ignore[misc]

    @learning_rate.setter
    def learning_rate(self, value):
        if isinstance(self._learning_rate, Settable) and not callable(value):
            self._learning_rate.rate.assign(value)
        else:
            keras.optimizers.Optimizer.learning_rate.fset(self, value)


def _settable(learning_rate: Any) -> Any:
    schedule = isinstance(learning_rate, keras.optimizers.schedules.LearningRateSchedule)
    return Settable(learning_rate) if schedule and not isinstance(learning_rate, Settable) else learning_rate


@keras.saving.register_keras_serializable("bert_tf")
class Adam(_RateCanBeSet, keras.optimizers.Adam):
    """`keras.optimizers.Adam`, whose schedule a fixed learning rate can replace."""

    def __init__(self, learning_rate: Any = 0.001, **kwargs):
        super().__init__(learning_rate, **kwargs)


@keras.saving.register_keras_serializable("bert_tf")
class AdamWeightDecay(_RateCanBeSet, keras.optimizers.AdamW):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, https://arxiv.org/abs/1711.05101), as in transformers 4.

    Args:
        learning_rate: float or schedule. A schedule can be replaced: `optimizer.learning_rate = 1e-5`.
        weight_decay_rate: float, 0 = plain Adam.
        include_in_weight_decay: names of weights that decay although `exclude_from_weight_decay` has them.
        exclude_from_weight_decay: names of weights that do not: "LayerNorm", "layer_norm", "bias".
        **kwargs: those of `keras.optimizers.Adam`: `beta_1`, `beta_2`, `epsilon`, `clipnorm` and so on.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        weight_decay_rate: float = 0.0,
        include_in_weight_decay: Sequence[str] | None = None,
        exclude_from_weight_decay: Sequence[str] | None = None,
        **kwargs,
    ):
        kwargs.pop("weight_decay", None)
        super().__init__(learning_rate, weight_decay=weight_decay_rate, **kwargs)
        self.included, self.excluded = list(include_in_weight_decay or ()), list(exclude_from_weight_decay or ())
        if weight_decay_rate and self.excluded:
            spared = [
                name
                for name, old in OLD_NAMES.items()
                if _matches(self.excluded, old) and not _matches(self.included, old)
            ]
            spare_from_decay(self, spared)

    def get_config(self):
        patterns = {"include_in_weight_decay": list(self.included), "exclude_from_weight_decay": list(self.excluded)}
        return {**super().get_config(), "weight_decay_rate": self.weight_decay, **patterns}


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
        return Adam(schedule, **adam), schedule
    patterns = {"include_in_weight_decay": include_in_weight_decay, "exclude_from_weight_decay": NOT_DECAYED}
    return AdamWeightDecay(schedule, weight_decay_rate, **patterns, **adam), schedule
