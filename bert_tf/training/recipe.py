"""What a run does with the options that are left to its recipe.

auto: a new head over the means of every layer is solved on the frozen base (`solver.py`), then the layers are trained, from a
head solved on the last layer alone: linear probing before fine-tuning, so that the first steps do not spoil what the base knows
(Kumar et al. 2022, https://arxiv.org/abs/2202.10054). docs/accuracy.md has what was measured. plain: one training from a random
head.
"""

from typing import Any

from bert_tf.settings import Settings
from bert_tf.training.learning_rate import usual_learning_rate

PLAIN = {
    "batch_size": 32, "optimizer": "adam", "weight_decay": 0.0, "warmup": 0.0, "schedule": "constant", "clip": 0.0
}  # fmt: skip
STAGED = {
    "batch_size": 16, "optimizer": "adamw", "weight_decay": 0.01, "warmup": 0.1, "schedule": "linear", "clip": 1.0
}  # fmt: skip
STAGED_LEARNING_RATE = 1e-4
OF_EPOCHS = (*PLAIN, "learning_rate", "early_stopping", "micro_batch_size")  # what matters where epochs are trained
EPOCHS = 3

# Of a new head over the means of every layer. On a frozen base the validation loss at the best epoch, against a dropout of
# 0.2: 0.224 and 0.232 on 2,000 product reviews, 0.302 and 0.301 on as many app reviews.
FROZEN_DROPOUT, STAGED_DROPOUT = 0.5, 0.1


def solves(settings: Settings, head: str, new_head: bool) -> bool:
    """Returns whether the head is solved first: a new one over the means of every layer, unless the epochs of a frozen base
    are asked for."""
    training = settings.training
    by_epochs = settings.model.unfreeze == 0 and training.epochs is not None
    return training.recipe == "auto" and new_head and head == "layer_means" and not by_epochs


def check_budget(settings: Settings, staged: bool) -> None:
    """Raises ValueError for a budget where no first stage is there to be kept."""
    if settings.training.budget and not staged:
        raise ValueError('`budget` needs recipe="auto" and a new head over layer_means, which is solved first.')


def check_blend(settings: Settings, frozen: bool) -> None:
    """Raises ValueError for a blend where no solved head stays as it is."""
    if settings.training.blend and not frozen:
        raise ValueError(
            '`blend` needs recipe="auto" and unfreeze=0 (--unfreeze 0): only a frozen base gains from TF-IDF.'
        )


def unused(settings: Settings) -> list[str]:
    """Returns the options that were given and decide nothing, as the head is solved and nothing else trained."""
    return [name for name in (*OF_EPOCHS, "budget") if getattr(settings.training, name)]


def filled_in(settings: Settings, model: Any, new_head: bool, solved: bool) -> Settings:
    """Returns settings with a value for every option that was left to the recipe; `epochs` stays None if nothing is trained
    after the head was solved."""
    training, unfreeze = settings.training, settings.model.unfreeze
    if unfreeze is None:
        unfreeze = len(model.encoder.blocks.layer) if training.recipe == "auto" else 0
    usual: dict[str, Any] = {**(STAGED if solved else PLAIN), "unfreeze": unfreeze}
    usual["learning_rate"] = STAGED_LEARNING_RATE if solved else usual_learning_rate(unfreeze, model.head)
    if unfreeze or not solved:
        usual["epochs"] = EPOCHS
    if new_head and model.head == "layer_means":
        usual["dropout"] = FROZEN_DROPOUT if not solved and unfreeze == 0 else STAGED_DROPOUT
    values = {"unfreeze": settings.model.unfreeze, "dropout": settings.model.dropout}
    values |= {name: getattr(training, name) for name in (*PLAIN, "learning_rate", "epochs")}
    return settings.replace(**{name: value for name, value in usual.items() if values[name] is None})
