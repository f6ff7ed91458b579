"""The form of a row: how one model family is named in Hugging Face's config.json and weight files."""

from typing import NamedTuple


def same(*names: str) -> dict[str, str]:
    """Returns entries of a mapping whose two sides agree."""
    return {name: name for name in names}


class Family(NamedTuple):
    """One `model_type`, as data. Each mapping is read in both directions: loading and saving use the same row.

    Attributes:
        model_type: as in config.json.
        name: as in class names: "Bert" of TFBertModel here and BertConfig in transformers.
        tokenizers: names of its tokenizer classes in transformers.
        prefix: what precedes the base's tensors in a file with a head; also the attribute that holds the encoder.
        config: argument of `bert_tf.models.encoder.Encoder` -> key in config.json.
        head_dropout: keys in config.json for the head's dropout; the first that is not None applies.
        fixed: arguments of the encoder that its config.json does not hold.
        base: part of the encoder -> name in the weight files; `{i}` is the layer's number.
        head: the same for the parts of Hugging Face's classification head.
        other_heads: prefixes of tensors that belong to other tasks (the masked-word head of a pretrained checkpoint)
            or are constants; they are not read, and the log says so.
        example: a checkpoint name to suggest.
        optional: parts of the base that some files without a head lack.
    """

    model_type: str
    name: str
    tokenizers: tuple[str, ...]
    prefix: str
    config: dict[str, str]
    head_dropout: tuple[str, ...]
    fixed: dict[str, object]
    base: dict[str, str]
    head: dict[str, str]
    other_heads: tuple[str, ...]
    example: str
    optional: tuple[str, ...] = ()

    @property
    def module(self) -> str:
        """The name of its two files, in checkpoints/families and models/families."""
        return self.model_type.replace("-", "_")

    @property
    def config_class(self) -> str:
        """The name of its config class in transformers."""
        return f"{self.name}Config"

    def part_names(self, num_hidden_layers: int, head: dict[str, str] | None = None) -> dict[str, str]:
        """Returns all parts of a model, attribute path -> name in a file with a head.

        Attribute paths start at the model: `distilbert.blocks.layer.0.attention.query`.

        Args:
            head: the parts of the head, as in `head`; None = the base alone.
        """
        names: dict[str, str] = {}
        for attribute, file_name in self.base.items():
            for i in range(num_hidden_layers) if "{i}" in attribute else (0,):
                names[f"{self.prefix}.{attribute.format(i=i)}"] = f"{self.prefix}.{file_name.format(i=i)}"
        return names | (head or {})
