"""The classification heads that a model can have, by the value of config.json's `bert_tf_pooling`."""

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


OWN_KEY = "bert_tf_pooling"
THEIR_KEY = "classifier_pooling"  # transformers' own in some families; bert_tf wrote it too, for a kind of head

HEADS = {
    "first_token": Head("", None, False, sees="the first token"),
    "layer_means": Head("LayerMeans", same("standardization", "classifier"), True, sees="the means of every layer"),
}


def head_of(config) -> str:
    """Returns the kind of head a config asks for, a key of `HEADS`.

    Raises: ValueError for an unknown one.
    """
    own, theirs = (getattr(config, key, None) for key in (OWN_KEY, THEIR_KEY))
    kind = own or (theirs if theirs in HEADS else "first_token")
    if kind not in HEADS:
        raise ValueError(f"config.json: {OWN_KEY} must be one of {', '.join(HEADS)}. Received: {kind!r}")
    return kind


def pooling_of(config) -> str:
    """Returns what the head that a config asks for sees: "layer_means", "first_token", or "mean" of the last layer.

    Raises: ValueError for an unknown `classifier_pooling`.
    """
    theirs = getattr(config, THEIR_KEY, None)
    known = {"cls": "first_token", "mean": "mean"} | dict.fromkeys(HEADS, "first_token")
    if theirs not in (None, *known):
        raise ValueError(f"config.json: {THEIR_KEY} must be one of {', '.join(known)}. Received: {theirs!r}")
    kind = head_of(config)
    return known[theirs] if kind == "first_token" and theirs else kind


def without_old_key(values: dict) -> dict:
    """Returns the values of config.json with the kind of head under bert_tf's own key, which older versions wrote as
    transformers' key."""
    if values.get(THEIR_KEY) not in HEADS:
        return values
    return {name: value for name, value in values.items() if name != THEIR_KEY} | {OWN_KEY: values[THEIR_KEY]}


def in_head(name: str, family: Family) -> bool:
    """Returns whether a tensor belongs to a head of any kind, by its name in a weight file."""
    parts = {part for kind in HEADS for part in head_parts(kind, family).values()}
    return name.startswith(tuple(f"{part}." for part in parts))


def head_parts(kind: str | None, family: Family) -> dict[str, str]:
    """Returns the parts of a head, attribute -> name in the weight files; none for the model without a head."""
    return (HEADS[kind].parts or family.head.parts) if kind else {}


def gives_logits(name: str, family: Family) -> bool:
    """Returns whether a tensor belongs to the last layer of a head of any kind: a checkpoint without one has no trained head."""
    parts = {head_parts(kind, family)["classifier"] for kind in HEADS}
    return name.rpartition(".")[0] in parts


def class_names(family: Family) -> dict[str | None, str]:
    """Returns the names of a family's classes by their kind of head; None = the model without a head."""
    headed: dict[str | None, str] = {
        kind: f"TF{family.name}{head.class_part}ForSequenceClassification" for kind, head in HEADS.items()
    }
    return {None: f"TF{family.name}Model", **headed}


def class_name(config, headed: bool) -> str:
    """Returns the name of the class for a config: of a classifier, or of the model without a head."""
    return class_names(family_of(config.model_type))[head_of(config) if headed else None]
