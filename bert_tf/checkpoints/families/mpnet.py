"""MPNet (Song et al. 2020, https://arxiv.org/abs/2004.09297): RoBERTa's positions and head, and a bias for the distance of tokens."""

from bert_tf.checkpoints.families.family import ClassificationHead, Family, same

FAMILY = Family(
    model_type="mpnet",
    name="MPNet",
    title="MPNet (Song et al. 2020, https://arxiv.org/abs/2004.09297)",
    tokenizers=("MPNetTokenizer", "MPNetTokenizerFast"),
    prefix="mpnet",
    config=same("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    | same("max_position_embeddings", "hidden_act", "layer_norm_eps", "initializer_range")
    | dict.fromkeys(("hidden_dropout", "attention_output_dropout"), "hidden_dropout_prob")
    | {"attention_dropout": "attention_probs_dropout_prob"},
    # Constants of transformers' class, whatever config.json says.
    fixed={"type_vocab_size": 0, "positions_after": 1, "positional": {"kind": "table", "buckets": 32}},
    base=same("embeddings.word_embeddings", "embeddings.position_embeddings")
    | {
        "embeddings.layer_norm": "embeddings.LayerNorm",
        "positional.table": "encoder.relative_attention_bias",
        "blocks.layer.{i}.attention.query": "encoder.layer.{i}.attention.attn.q",
        "blocks.layer.{i}.attention.key": "encoder.layer.{i}.attention.attn.k",
        "blocks.layer.{i}.attention.value": "encoder.layer.{i}.attention.attn.v",
        "blocks.layer.{i}.attention.dense": "encoder.layer.{i}.attention.attn.o",
        "blocks.layer.{i}.attention_norm": "encoder.layer.{i}.attention.LayerNorm",
        "blocks.layer.{i}.feed_forward.intermediate": "encoder.layer.{i}.intermediate.dense",
        "blocks.layer.{i}.feed_forward.dense": "encoder.layer.{i}.output.dense",
        "blocks.layer.{i}.feed_forward_norm": "encoder.layer.{i}.output.LayerNorm",
        "pooler": "pooler.dense",
    },
    head=ClassificationHead(
        {"dense": "classifier.dense", "classifier": "classifier.out_proj"},
        dropout=("hidden_dropout_prob",),
        first_dropout=("hidden_dropout_prob",),
    ),
    other_heads=("lm_head.", "qa_outputs."),
    example="microsoft/mpnet-base",
    pooler="base",
)
