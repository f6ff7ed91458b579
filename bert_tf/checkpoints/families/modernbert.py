"""ModernBERT (Warner et al. 2024, https://arxiv.org/abs/2412.13663), of which mmBERT is one: rotary positions, windows, gates."""

from bert_tf.checkpoints.families.family import ClassificationHead, Family, rotary, same


def _settings(config) -> dict:
    layers, every = config.num_hidden_layers, getattr(config, "global_attn_every_n_layers", None) or 3
    types = getattr(config, "layer_types", None) or [
        "sliding_attention" if i % every else "full_attention" for i in range(layers)
    ]
    rope = getattr(config, "rope_parameters", None) or {}
    old = {"full_attention": "global_rope_theta", "sliding_attention": "local_rope_theta"}  # of transformers 4
    whole = getattr(config, old["full_attention"], None) or 160_000.0
    kinds = []
    for kind in types[:layers]:
        parameters = rope.get(kind) or {"rope_theta": getattr(config, old[kind], None) or whole}
        kinds.append((parameters, None if kind == "full_attention" else config.local_attention // 2))
    return {"positional": rotary(kinds)}


FAMILY = Family(
    model_type="modernbert",
    name="ModernBert",
    title="ModernBERT (Warner et al. 2024, https://arxiv.org/abs/2412.13663)",
    tokenizers=(),
    prefix="model",
    config=same("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    | same("initializer_range", "embedding_dropout", "attention_dropout", "attention_bias", "norm_bias")
    | {"hidden_act": "hidden_activation", "layer_norm_eps": "norm_eps", "attention_output_dropout": "attention_dropout"}
    | {"inner_dropout": "mlp_dropout", "feed_forward_bias": "mlp_bias"},
    fixed={"max_position_embeddings": 0, "type_vocab_size": 0, "hidden_dropout": 0.0, "norm": "pre", "gated": True},
    base={
        "embeddings.word_embeddings": "embeddings.tok_embeddings",
        "embeddings.layer_norm": "embeddings.norm",
        "blocks.layer.{i}.attention_norm": "layers.{i}.attn_norm",
        "blocks.layer.{i}.attention.query": "layers.{i}.attn.Wqkv[0/3]",
        "blocks.layer.{i}.attention.key": "layers.{i}.attn.Wqkv[1/3]",
        "blocks.layer.{i}.attention.value": "layers.{i}.attn.Wqkv[2/3]",
        "blocks.layer.{i}.attention.dense": "layers.{i}.attn.Wo",
        "blocks.layer.{i}.feed_forward_norm": "layers.{i}.mlp_norm",
        "blocks.layer.{i}.feed_forward.intermediate": "layers.{i}.mlp.Wi[0/2]",
        "blocks.layer.{i}.feed_forward.gate": "layers.{i}.mlp.Wi[1/2]",
        "blocks.layer.{i}.feed_forward.dense": "layers.{i}.mlp.Wo",
        "final_norm": "final_norm",
    },
    head=ClassificationHead(
        {"dense": "head.dense", "norm": "head.norm", "classifier": "classifier"},
        dropout=("classifier_dropout",),
        activation="classifier_activation",
        dense_bias="classifier_bias",
    ),
    other_heads=("decoder.",),
    example="answerdotai/ModernBERT-base",
    derived=_settings,
)
