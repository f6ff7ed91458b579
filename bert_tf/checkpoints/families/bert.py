"""BERT (Devlin et al. 2019, https://arxiv.org/abs/1810.04805): its names in Hugging Face files."""

from bert_tf.checkpoints.families.family import ClassificationHead, Family, same

FAMILY = Family(
    model_type="bert",
    name="Bert",
    title="BERT (Devlin et al. 2019, https://arxiv.org/abs/1810.04805)",
    tokenizers=("BertTokenizer", "BertTokenizerFast"),
    prefix="bert",
    config=same("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    | same("max_position_embeddings", "type_vocab_size", "hidden_act", "layer_norm_eps", "initializer_range")
    | dict.fromkeys(("hidden_dropout", "attention_output_dropout"), "hidden_dropout_prob")
    | {"attention_dropout": "attention_probs_dropout_prob"},
    fixed={},
    base=same(*(f"embeddings.{kind}_embeddings" for kind in ("word", "position", "token_type")))
    | {
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
    head=ClassificationHead(same("classifier"), dropout=("classifier_dropout", "hidden_dropout_prob")),
    other_heads=("cls.", "qa_outputs."),
    example="bert-base-uncased",
    pooler="classifier",
)
