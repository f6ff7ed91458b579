"""DeBERTa v2 and v3 (He et al. 2021, https://arxiv.org/abs/2006.03654, https://arxiv.org/abs/2111.09543): one class in transformers,
whose config says which."""

from bert_tf.checkpoints.families.family import ClassificationHead, Family, check_head_size, same


def _settings(config) -> dict:
    """Several keys are no fields of transformers' config class: only files that need them hold them."""

    def value(key, default):
        found = getattr(config, key, None)
        return default if found is None else found

    check_head_size(config, "attention_head_size")
    size = value("embedding_size", config.hidden_size)
    settings = {
        "max_position_embeddings": config.max_position_embeddings if value("position_biased_input", True) else 0,
        "embedding_size": size,
        "projection": None if size == config.hidden_size else "before_norm",
        "positional": _positional(config, value),
    }
    if kernel := value("conv_kernel_size", 0):
        activation = value("conv_act", "tanh")
        settings["convolution"] = {
            "kernel_size": kernel,
            "conv_groups": value("conv_groups", 1),
            "activation": activation,
        }
    return settings


def _positional(config, value) -> dict:
    kinds = value("pos_att_type", [])
    kinds = [kind.strip() for kind in (kinds.lower().split("|") if isinstance(kinds, str) else kinds) if kind.strip()]
    if not value("relative_attention", False):
        if kinds:
            raise ValueError(f"config.json: pos_att_type={kinds} needs relative_attention: true.")
        return {"kind": "disentangled", "kinds": [], "span": 0}
    longest, buckets = value("max_relative_positions", -1), max(value("position_buckets", -1), 0)
    longest = longest if longest > 0 else config.max_position_embeddings
    return {
        "kind": "disentangled",
        "kinds": [kind for kind in ("c2p", "p2c") if kind in kinds],
        "share_keys": bool(value("share_att_key", False)),
        "span": buckets or longest,
        "buckets": buckets,
        "longest": longest,
        "normalised": "layer_norm" in value("norm_rel_ebd", "none").lower(),
    }


FAMILY = Family(
    model_type="deberta-v2",
    name="DebertaV2",
    title="DeBERTa v2 and v3 (He et al. 2021, https://arxiv.org/abs/2006.03654, https://arxiv.org/abs/2111.09543)",
    tokenizers=("DebertaV2Tokenizer", "DebertaV2TokenizerFast"),
    prefix="deberta",
    config=same("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    | same("type_vocab_size", "hidden_act", "layer_norm_eps", "initializer_range")
    | dict.fromkeys(("hidden_dropout", "attention_output_dropout"), "hidden_dropout_prob")
    | {"attention_dropout": "attention_probs_dropout_prob"},
    fixed={"mask_embeddings": True},
    base=same(*(f"embeddings.{kind}_embeddings" for kind in ("word", "position", "token_type")))
    | {
        "embeddings.layer_norm": "embeddings.LayerNorm",
        "embeddings.projection": "embeddings.embed_proj",
        "positional.table": "encoder.rel_embeddings",
        "positional.norm": "encoder.LayerNorm",
        "convolution.conv": "encoder.conv.conv",
        "convolution.norm": "encoder.conv.LayerNorm",
        "blocks.layer.{i}.attention.query": "encoder.layer.{i}.attention.self.query_proj",
        "blocks.layer.{i}.attention.key": "encoder.layer.{i}.attention.self.key_proj",
        "blocks.layer.{i}.attention.value": "encoder.layer.{i}.attention.self.value_proj",
        "blocks.layer.{i}.attention.position_key": "encoder.layer.{i}.attention.self.pos_key_proj",
        "blocks.layer.{i}.attention.position_query": "encoder.layer.{i}.attention.self.pos_query_proj",
        "blocks.layer.{i}.attention.dense": "encoder.layer.{i}.attention.output.dense",
        "blocks.layer.{i}.attention_norm": "encoder.layer.{i}.attention.output.LayerNorm",
        "blocks.layer.{i}.feed_forward.intermediate": "encoder.layer.{i}.intermediate.dense",
        "blocks.layer.{i}.feed_forward.dense": "encoder.layer.{i}.output.dense",
        "blocks.layer.{i}.feed_forward_norm": "encoder.layer.{i}.output.LayerNorm",
    },
    head=ClassificationHead(
        {"dense": "pooler.dense", "classifier": "classifier"},
        dropout=("cls_dropout", "hidden_dropout_prob"),
        first_dropout=("pooler_dropout",),
        activation="pooler_hidden_act",
    ),
    other_heads=("cls.", "lm_predictions.", "mask_predictions.", "qa_outputs."),
    example="microsoft/deberta-v3-small",
    spare=("embeddings.position_embeddings",),
    derived=_settings,
)
