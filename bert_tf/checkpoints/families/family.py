"""The form of a row: how one model family is named in Hugging Face's config.json and weight files."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple


def same(*names: str) -> dict[str, str]:
    """Returns entries of a mapping whose two sides agree."""
    return {name: name for name in names}


def rotary(layers: Iterable[tuple[dict[str, Any], int | None]]) -> dict[str, Any]:
    """Returns the argument `positional` of an encoder with rotary positions.

    Args:
        layers: of each layer what config.json calls its rope parameters, and how many tokens each way a token sees; None = all.
    Raises: ValueError for another `rope_type` than "default".
    """
    kinds: list[list] = []
    of_layers = []
    for parameters, window in layers:
        if (rope_type := parameters.get("rope_type", "default")) != "default":
            raise ValueError(
                f"config.json: rope_type={rope_type!r}, rotary positions stretched for longer texts, is not supported. Use a checkpoint "
                "whose rope_type is 'default'."
            )
        kind = [float(parameters["rope_theta"]), window]
        if kind not in kinds:
            kinds.append(kind)
        of_layers.append(kinds.index(kind))
    return {"kind": "rotary", "kinds": kinds, "of_layers": of_layers}


def check_head_size(config, key: str) -> None:
    """Raises ValueError where config.json gives attention heads, as `key`, another size than the width shared out among them."""
    size, heads = getattr(config, key, None), config.num_attention_heads
    if size is not None and size * heads != config.hidden_size:
        raise ValueError(
            f"config.json: {key} must be hidden_size / num_attention_heads. Received: "
            f"{key}={size}, hidden_size={config.hidden_size}, num_attention_heads={heads}"
        )


class ClassificationHead(NamedTuple):
    """Hugging Face's classification head of a family: what stands between the first token and the logits.

    The first token's state, or what the base's pooler makes of it -> a dropout of its own, if the family has it -> a dense layer
    and its activation, unless the pooler was that -> a norm, if `parts` has one -> `dropout` -> `classifier`.

    Attributes:
        parts: attribute of the model -> name in the weight files. The last one gives the logits; "norm" is a norm; any other one
            is the dense layer.
        dropout: keys in config.json; the first that is not None applies.
        first_dropout: the same for a dropout before the dense layer; where the keys agree it is one and the same layer.
        activation: of the dense layer, a key of `bert_tf.models.layers.ACTIVATIONS`, or the key in config.json that holds it.
        dense_bias: whether the dense layer has a bias, or the key in config.json that says so.
    """

    parts: dict[str, str]
    dropout: tuple[str, ...]
    first_dropout: tuple[str, ...] = ()
    activation: str = "tanh"
    dense_bias: bool | str = True

    @property
    def dense(self) -> str | None:
        """The attribute of the dense layer; None = the head has none of its own."""
        return next((name for name in self.parts if name not in ("norm", "classifier")), None)


class Family(NamedTuple):
    """One `model_type`, as data. Each mapping is read in both directions: loading and saving use the same row.

    Attributes:
        model_type: as in config.json.
        name: as in class names: "Bert" of TFBertModel here and BertConfig in transformers.
        title: its name and its paper, for documentation.
        tokenizers: names of its tokenizer classes in transformers.
        prefix: what precedes the base's tensors in a file with a head; also the attribute that holds the encoder.
        config: argument of `bert_tf.models.encoder.Encoder` -> key in config.json, or several of which the first that is there
            counts.
        fixed: arguments of the encoder that its config.json does not hold.
        base: part of the encoder -> name in the weight files; `{i}` is the layer's number. A part that a model does not have is
            skipped, so that a row names all that a family can have. `[i/n]` at the end of a name: the i-th of n equal parts of
            that tensor, along its first axis.
        head: Hugging Face's classification head.
        other_heads: prefixes of tensors that belong to other tasks (the masked-word head of a pretrained checkpoint); they are
            not read, and the log says so.
        example: a checkpoint name to suggest.
        pooler: whose part the base's pooler is: "classifier" = of every model, "base" = of the model without a head alone, None =
            the family has none.
        spare: parts of the base that files may hold although the model that their config.json describes has no such part: not read.
        derived: arguments of the encoder that no single key holds: takes the config, returns them by name.
    """

    model_type: str
    name: str
    title: str
    tokenizers: tuple[str, ...]
    prefix: str
    config: Mapping[str, str | tuple[str, ...]]
    fixed: dict[str, object]
    base: dict[str, str]
    head: ClassificationHead
    other_heads: tuple[str, ...]
    example: str
    pooler: str | None = None
    spare: tuple[str, ...] = ()
    derived: Callable[[Any], dict[str, Any]] | None = None

    @property
    def config_class(self) -> str:
        """The name of its config class in transformers."""
        return f"{self.name}Config"

    def key(self, argument: str, config: Any = None) -> str:
        """Returns the key in config.json that holds an argument of the encoder: of several the first that `config` has."""
        keys = self.config[argument]
        several = (keys,) if isinstance(keys, str) else keys
        return next((key for key in several if getattr(config, key, None) is not None), several[0])

    def part_names(self, layers: int, head: dict[str, str] | None = None) -> dict[str, str]:
        """Returns all parts that a model can have, attribute path -> name in a file with a head.

        Attribute paths start at the model: `distilbert.blocks.layer.0.attention.query`.

        Args:
            layers: the number of distinct ones.
            head: the parts of the head, attribute -> name; None = the base alone.
        """
        names: dict[str, str] = {}
        for attribute, file_name in self.base.items():
            for i in range(layers) if "{i}" in attribute else (0,):
                names[f"{self.prefix}.{attribute.format(i=i)}"] = f"{self.prefix}.{file_name.format(i=i)}"
        return names | (head or {})
