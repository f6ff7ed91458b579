"""The model families that bert_tf knows, by `model_type`.

A new family is two files of one name, checkpoints/families/NAME.py (its row) and models/families/NAME.py (its classes),
and a line here and in models/auto.py. Everything else, public names included, follows from the row.
"""

from bert_tf.checkpoints.families import bert, distilbert
from bert_tf.checkpoints.families.family import Family

FAMILIES: dict[str, Family] = {family.model_type: family for family in (distilbert.FAMILY, bert.FAMILY)}


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


def encoder_settings(config) -> dict:
    """Returns the arguments of `bert_tf.models.encoder.Encoder` for a transformers config of a known family."""
    family = family_of(config.model_type)
    return {argument: getattr(config, key) for argument, key in family.config.items()} | family.fixed
