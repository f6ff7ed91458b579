"""DistilBERT (Sanh et al. 2019, https://arxiv.org/abs/1910.01108): its names in Hugging Face files."""

from bert_tf.checkpoints.families.family import ClassificationHead, Family, same

FAMILY = Family(
    model_type="distilbert",
    name="DistilBert",
    title="DistilBERT (Sanh et al. 2019, https://arxiv.org/abs/1910.01108)",
    tokenizers=("DistilBertTokenizer", "DistilBertTokenizerFast"),
    prefix="distilbert",
    config=same("vocab_size", "max_position_embeddings", "attention_dropout", "initializer_range")
    | {
        "hidden_size": "dim",
        "intermediate_size": "hidden_dim",
        "num_hidden_layers": "n_layers",
        "num_attention_heads": "n_heads",
        "hidden_act": "activation",
        "hidden_dropout": "dropout",
    },
    fixed={"type_vocab_size": 0, "layer_norm_eps": 1e-12, "attention_output_dropout": 0.0},
    base=same("embeddings.word_embeddings", "embeddings.position_embeddings")
    | {
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
    head=ClassificationHead(same("pre_classifier", "classifier"), dropout=("seq_classif_dropout",), activation="relu"),
    other_heads=("vocab_transform.", "vocab_layer_norm.", "vocab_projector.", "qa_outputs."),
    example="distilbert-base-uncased",
)
