"""ALBERT (Lan et al. 2019, https://arxiv.org/abs/1909.11942): layers that share their weights, narrow embeddings."""

from bert_tf.checkpoints.families.family import ClassificationHead, Family, same


def _groups(config) -> dict:
    if config.inner_group_num != 1:
        raise ValueError(
            f"config.json: inner_group_num must be 1, one layer for each group. Received: inner_group_num={config.inner_group_num}"
        )
    return {"groups": config.num_hidden_groups}


_LAYER = "encoder.albert_layer_groups.{i}.albert_layers.0"

FAMILY = Family(
    model_type="albert",
    name="Albert",
    title="ALBERT (Lan et al. 2019, https://arxiv.org/abs/1909.11942)",
    tokenizers=("AlbertTokenizer", "AlbertTokenizerFast"),
    prefix="albert",
    config=same("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    | same("max_position_embeddings", "type_vocab_size", "hidden_act", "layer_norm_eps", "initializer_range")
    | dict.fromkeys(("embedding_dropout", "attention_output_dropout"), "hidden_dropout_prob")
    | {"attention_dropout": "attention_probs_dropout_prob", "embedding_size": "embedding_size"},
    # transformers' layer makes a dropout behind its feed-forward part and never calls it.
    fixed={"hidden_dropout": 0.0, "projection": "after_norm"},
    base=same(*(f"embeddings.{kind}_embeddings" for kind in ("word", "position", "token_type")))
    | {
        "embeddings.layer_norm": "embeddings.LayerNorm",
        "embeddings.projection": "encoder.embedding_hidden_mapping_in",
        "blocks.layers_of_groups.{i}.attention.query": f"{_LAYER}.attention.query",
        "blocks.layers_of_groups.{i}.attention.key": f"{_LAYER}.attention.key",
        "blocks.layers_of_groups.{i}.attention.value": f"{_LAYER}.attention.value",
        "blocks.layers_of_groups.{i}.attention.dense": f"{_LAYER}.attention.dense",
        "blocks.layers_of_groups.{i}.attention_norm": f"{_LAYER}.attention.LayerNorm",
        "blocks.layers_of_groups.{i}.feed_forward.intermediate": f"{_LAYER}.ffn",
        "blocks.layers_of_groups.{i}.feed_forward.dense": f"{_LAYER}.ffn_output",
        "blocks.layers_of_groups.{i}.feed_forward_norm": f"{_LAYER}.full_layer_layer_norm",
        "pooler": "pooler",
    },
    head=ClassificationHead(same("classifier"), dropout=("classifier_dropout_prob",)),
    other_heads=("predictions.", "sop_classifier.", "qa_outputs."),
    example="albert-base-v2",
    pooler="classifier",
    derived=_groups,
)
