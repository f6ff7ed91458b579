"""What a model family calls things."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Family:
    """What one `model_type` calls things.

    Attributes:
        config_class: name of its config class in transformers.
        prefix: what stands before the base's tensors in a checkpoint with a head; also the attribute of our model.
        config: our setting -> its key in config.json.
        head_dropout: keys of config.json with the head's dropout, the first that is not None counts.
        fixed: our settings that its config does not hold.
        base: our part of the encoder -> its name in the files, `{i}` = layer number.
        head: the same for the classification head.
        other_heads: beginnings of tensor names that belong to other tasks (the masked-word head of a pretrained
            checkpoint) or are constants; they are not read, and that is said.
        example: a checkpoint name to suggest.
    """

    config_class: str
    prefix: str
    config: dict[str, str]
    head_dropout: tuple[str, ...]
    fixed: dict[str, object]
    base: dict[str, str]
    head: dict[str, str]
    other_heads: tuple[str, ...]
    example: str
    optional: tuple[str, ...] = field(default=())  # parts of the base that some base-only files lack
