"""The classification heads that a model can have, by the value of config.json's `classifier_pooling`."""

from typing import NamedTuple

from bert_tf.checkpoints.families.family import Family, same
from bert_tf.checkpoints.families.table import family_of


class Head(NamedTuple):
    """One kind of head.

    Attributes:
        class_part: what its classes have in their name, TFBert...ForSequenceClassification.
        parts: its parts, attribute -> name in the weight files; None = the family's, as in Hugging Face's classes.
        every_layer: whether it needs the states of every layer, not just the first token of the last one.
        sees: what it looks at, in words.
    """

    class_part: str
    parts: dict[str, str] | None
    every_layer: bool
    sees: str


HEADS = {
    "first_token": Head("", None, False, sees="the first token"),
    "layer_means": Head("LayerMeans", same("standardization", "classifier"), True, sees="the means of every layer"),
}


def head_of(config) -> str:
    """Returns the kind of head a config asks for, a key of `HEADS`.

    Raises: ValueError for an unknown `classifier_pooling`.
    """
    kind = getattr(config, "classifier_pooling", None) or "first_token"
    if kind not in HEADS:
        raise ValueError(f"config.json: classifier_pooling must be one of {', '.join(HEADS)}. Received: {kind!r}")
    return kind


def in_head(name: str, family: Family) -> bool:
    """Returns whether a tensor belongs to a head of any kind, by its name in a weight file."""
    parts = {part for head in HEADS.values() for part in (head.parts or family.head).values()}
    return name.startswith(tuple(f"{part}." for part in parts))


def class_names(family: Family) -> dict[str | None, str]:
    """Returns the names of a family's classes by their kind of head; None = the model without a head."""
    headed: dict[str | None, str] = {
        kind: f"TF{family.name}{head.class_part}ForSequenceClassification" for kind, head in HEADS.items()
    }
    return {None: f"TF{family.name}Model", **headed}


def class_name(config, headed: bool) -> str:
    """Returns the name of the class for a config: of a classifier, or of the model without a head."""
    return class_names(family_of(config.model_type))[head_of(config) if headed else None]
