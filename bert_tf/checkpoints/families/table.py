"""The model families: one row per Hugging Face `model_type`, data only.

A row says what the family calls our settings in its config.json and our parts in its weight files. It is read in both
directions: loading and saving use the same row. A new family is a new row (and, where its block has another shape, a
new setting of `bert_tf.models.encoder.Encoder`).
"""

from bert_tf.checkpoints.families.family import Family

FAMILIES: dict[str, Family] = {
    "distilbert": Family(
        config_class="DistilBertConfig",
        prefix="distilbert",
        config={
            "vocab_size": "vocab_size",
            "hidden_size": "dim",
            "intermediate_size": "hidden_dim",
            "num_hidden_layers": "n_layers",
            "num_attention_heads": "n_heads",
            "max_position_embeddings": "max_position_embeddings",
            "hidden_act": "activation",
            "hidden_dropout": "dropout",
            "attention_dropout": "attention_dropout",
            "initializer_range": "initializer_range",
        },
        head_dropout=("seq_classif_dropout",),
        fixed={"type_vocab_size": 0, "layer_norm_eps": 1e-12, "attention_output_dropout": 0.0, "pooler": False},
        base={
            "embeddings.word_embeddings": "embeddings.word_embeddings",
            "embeddings.position_embeddings": "embeddings.position_embeddings",
            "embeddings.layer_norm": "embeddings.LayerNorm",
            "blocks.layer.{i}.attention.query": "transformer.layer.{i}.attention.q_lin",
            "blocks.layer.{i}.attention.key": "transformer.layer.{i}.attention.k_lin",
            "blocks.layer.{i}.attention.value": "transformer.layer.{i}.attention.v_lin",
            "blocks.layer.{i}.attention.dense": "transformer.layer.{i}.attention.out_lin",
            "blocks.layer.{i}.attention_norm": "transformer.layer.{i}.sa_layer_norm",
            "blocks.layer.{i}.feed_forward.intermediate": "transformer.layer.{i}.ffn.lin1",
            "blocks.layer.{i}.feed_forward.dense": "transformer.layer.{i}.ffn.lin2",
            "blocks.layer.{i}.feed_forward_norm": "transformer.layer.{i}.output_layer_norm",
        },
        head={"pre_classifier": "pre_classifier", "classifier": "classifier"},
        other_heads=("vocab_transform.", "vocab_layer_norm.", "vocab_projector.", "qa_outputs."),
        example="distilbert-base-uncased",
    ),
    "bert": Family(
        config_class="BertConfig",
        prefix="bert",
        config={
            "vocab_size": "vocab_size",
            "hidden_size": "hidden_size",
            "intermediate_size": "intermediate_size",
            "num_hidden_layers": "num_hidden_layers",
            "num_attention_heads": "num_attention_heads",
            "max_position_embeddings": "max_position_embeddings",
            "type_vocab_size": "type_vocab_size",
            "hidden_act": "hidden_act",
            "hidden_dropout": "hidden_dropout_prob",
            "attention_dropout": "attention_probs_dropout_prob",
            "attention_output_dropout": "hidden_dropout_prob",
            "layer_norm_eps": "layer_norm_eps",
            "initializer_range": "initializer_range",
        },
        head_dropout=("classifier_dropout", "hidden_dropout_prob"),
        fixed={"pooler": True},
        base={
            "embeddings.word_embeddings": "embeddings.word_embeddings",
            "embeddings.position_embeddings": "embeddings.position_embeddings",
            "embeddings.token_type_embeddings": "embeddings.token_type_embeddings",
            "embeddings.layer_norm": "embeddings.LayerNorm",
            "blocks.layer.{i}.attention.query": "encoder.layer.{i}.attention.self.query",
            "blocks.layer.{i}.attention.key": "encoder.layer.{i}.attention.self.key",
            "blocks.layer.{i}.attention.value": "encoder.layer.{i}.attention.self.value",
            "blocks.layer.{i}.attention.dense": "encoder.layer.{i}.attention.output.dense",
            "blocks.layer.{i}.attention_norm": "encoder.layer.{i}.attention.output.LayerNorm",
            "blocks.layer.{i}.feed_forward.intermediate": "encoder.layer.{i}.intermediate.dense",
            "blocks.layer.{i}.feed_forward.dense": "encoder.layer.{i}.output.dense",
            "blocks.layer.{i}.feed_forward_norm": "encoder.layer.{i}.output.LayerNorm",
            "pooler": "pooler.dense",
        },
        head={"classifier": "classifier"},
        other_heads=("cls.", "qa_outputs.", "embeddings.position_ids", "bert.embeddings.position_ids"),
        example="bert-base-uncased",
        optional=("pooler",),
    ),
}


# What a head sees of the encoder, by config.json's `classifier_pooling`: the last layer's state of the first token, as in
# Hugging Face's classes, or the means over the tokens of every layer's states.
POOLINGS = ("first_token", "layer_means")


# The parts of the head over the means of every layer, ours -> theirs: the same for all families.
LAYER_MEANS_HEAD = {"standardization": "standardization", "classifier": "classifier"}


# Names of single tensors inside a part, ours -> theirs; True where theirs is transposed.
TENSORS: dict[str, dict[str, tuple[str, bool]]] = {
    "Dense": {"kernel": ("weight", True), "bias": ("bias", False)},
    "Embedding": {"embeddings": ("weight", False)},
    "LayerNormalization": {"gamma": ("weight", False), "beta": ("bias", False)},
    "Standardization": {
        "mean": ("running_mean", False),
        "variance": ("running_var", False),
    },  # as in PyTorch's BatchNorm1d
}


def family_of(model_type: str | None, where: str = "config.json") -> Family:
    """Returns the row of a `model_type`.

    Raises: ValueError, with the known types, for any other.
    """
    if model_type not in FAMILIES:
        raise ValueError(
            f"{where}: model_type {model_type!r} is not one that bert_tf knows. Known: {', '.join(sorted(FAMILIES))}. "
            "A checkpoint of one of these works; a new family is one row in bert_tf/families.py."
        )
    return FAMILIES[model_type]


def encoder_settings(config) -> dict:
    """Translates a transformers config into the arguments of `bert_tf.models.encoder.Encoder`.

    Args:
        config: `transformers.PretrainedConfig` of a known `model_type`.
    Returns: dict, our names -> values.
    """
    family = family_of(config.model_type)
    return {ours: getattr(config, theirs) for ours, theirs in family.config.items()} | family.fixed


def class_name(config, head: bool) -> str:
    """Returns the name of the class for a config: of a classifier, or of the model without a head."""
    means = "LayerMeans" if pooling_of(config) == "layer_means" else ""
    kind = family_of(config.model_type).config_class.removesuffix("Config")
    return f"TF{kind}{means}ForSequenceClassification" if head else f"TF{kind}Model"


def pooling_of(config) -> str:
    """Returns what a config says that the head sees, one of `POOLINGS`.

    Raises: ValueError for anything else.
    """
    found = getattr(config, "classifier_pooling", None) or POOLINGS[0]
    if found not in POOLINGS:
        raise ValueError(f"config.json: classifier_pooling must be one of {', '.join(POOLINGS)}. Received: {found!r}")
    return found


def head_of(config) -> dict[str, str]:
    """Returns the parts of the head that a config asks for, ours -> theirs."""
    return LAYER_MEANS_HEAD if pooling_of(config) == "layer_means" else family_of(config.model_type).head


def part_names(family: Family, num_hidden_layers: int, head: dict[str, str] | None = None) -> dict[str, str]:
    """Returns every part, ours -> theirs, with layers numbered and the base's prefix as in a file with a head.

    Args:
        head: the parts of the head, of `head_of`; None = the base alone.

    Our names are attribute paths from the model (`distilbert.blocks.layer.0.attention.query`).
    """
    names: dict[str, str] = {}
    for ours, theirs in family.base.items():
        layers = range(num_hidden_layers) if "{i}" in ours else (0,)
        for i in layers:
            names[f"{family.prefix}.{ours.format(i=i)}"] = f"{family.prefix}.{theirs.format(i=i)}"
    return names | (head or {})
