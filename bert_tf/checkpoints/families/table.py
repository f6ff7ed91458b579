"""The model families that bert_tf knows, by `model_type`.

A new family is a file, its row, and its name here. Everything else, public names included, follows from the row.
"""

import operator
import re

from bert_tf.checkpoints.families import (
    albert,
    bert,
    camembert,
    deberta_v2,
    distilbert,
    electra,
    modernbert,
    mpnet,
    nomic_bert,
    roberta,
    xlm_roberta,
)
from bert_tf.checkpoints.families.family import Family

_FILES = (distilbert, bert, roberta, xlm_roberta, camembert, mpnet, deberta_v2, modernbert, nomic_bert, electra, albert)
FAMILIES: dict[str, Family] = {module.FAMILY.model_type: module.FAMILY for module in _FILES}


def family_of(model_type: str | None, where: str = "config.json") -> Family:
    """Returns the row of a `model_type`.

    Args:
        where: what named it, for the error message.
    Raises: ValueError, with the known types, for any other.
    """
    if model_type not in FAMILIES:
        raise ValueError(
            f"{where}: unknown model_type {model_type!r}. Known: {', '.join(sorted(FAMILIES))}. "
            "Use a checkpoint of one of these. How to add a family: bert_tf/checkpoints/families/table.py."
        )
    return FAMILIES[model_type]


def type_by_architecture(values: dict) -> str | None:
    """Returns the `model_type` of what config.json holds; where it is missing, that of the class which wrote the checkpoint."""
    if values.get("model_type") is None:
        for written in values.get("architectures") or ():
            for family in FAMILIES.values():
                if re.fullmatch(rf"(TF)?{family.name}(Model|PreTrainedModel|(LayerMeans)?For\w+)", str(written)):
                    return family.model_type
    return values.get("model_type")


def encoder_settings(config, headed: bool = True) -> dict:
    """Returns the arguments of `bert_tf.models.encoder.Encoder` for a transformers config of a known family.

    Args:
        headed: whether the model has a classification head; some families have a pooler only without one.
    """
    family = family_of(config.model_type)
    settings = {argument: getattr(config, family.key(argument, config)) for argument in family.config} | family.fixed
    settings["pooler"] = family.pooler == "classifier" or (family.pooler == "base" and not headed)
    return settings | (family.derived(config) if family.derived else {})


def positions(config) -> int:
    """Returns the most tokens that a text can have: all of a model's positions that are not for padding, or without a table of
    them, what it was trained on."""
    settings = encoder_settings(config)
    if not settings["max_position_embeddings"]:
        return config.max_position_embeddings
    after = settings.get("positions_after")
    return settings["max_position_embeddings"] - (0 if after is None else after + 1)


def distinct_layers(layers: int, groups: int | None) -> list[int]:
    """Returns which of the distinct layers each layer is: ALBERT's share their weights in groups of equal size."""
    # Divided as transformers divides, whose rounding moves a layer in groups of unequal size.
    return [int(i / (layers / groups)) if groups else i for i in range(layers)]


def depths(config) -> list[int]:
    """Returns how many of a model's top layers can be trained: any number, but layers that share their weights all or none."""
    settings = encoder_settings(config)
    which = distinct_layers(settings["num_hidden_layers"], settings.get("groups"))
    below = [i for i in range(len(which) + 1) if i in (0, len(which)) or which[i] != which[i - 1]]
    return [len(which) - i for i in reversed(below)]


def depth(unfreeze: int | str, config) -> int:
    """Returns the number of top layers of a model that `unfreeze` stands for, which may be "all".

    Raises: ValueError if the model does not have so many, or cannot train them alone.
    """
    possible = depths(config)
    layers = possible[-1]
    if hasattr(unfreeze, "__index__") and not isinstance(unfreeze, bool):
        unfreeze = operator.index(unfreeze)  # also NumPy's integers
    if unfreeze == "all":
        return layers
    if type(unfreeze) is not int or unfreeze not in range(layers + 1):
        raise ValueError(f"`unfreeze` must be 0 to {layers} (layers) or 'all'. Received: unfreeze={unfreeze!r}")
    if unfreeze not in possible:
        raise ValueError(
            f"`unfreeze` must be {', '.join(map(str, possible))} (layers) or 'all': the other layers of this model share their "
            f"weights. Received: unfreeze={unfreeze}"
        )
    return unfreeze
