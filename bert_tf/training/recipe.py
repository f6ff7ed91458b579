"""The numbers that decide a training run, and learning rates that suit."""

from dataclasses import dataclass

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


def total_steps(recipe: Recipe, texts: int) -> tuple[int, int]:
    """Returns how many steps a run over so many texts takes, and how many of them are warm-up."""
    steps = recipe.epochs * -(-texts // recipe.batch_size)
    return steps, round(recipe.warmup * steps)
