"""Nomic BERT (Nussbaum et al. 2024, https://arxiv.org/abs/2402.01613): BERT with rotary positions and gated layers without biases."""

from bert_tf.checkpoints.families.family import ClassificationHead, Family, check_head_size, rotary, same


def _settings(config) -> dict:
    check_head_size(config, "head_dim")
    return {"positional": rotary([(config.rope_parameters, None)] * config.num_hidden_layers)}


FAMILY = Family(
    model_type="nomic_bert",
    name="NomicBert",
    title="Nomic BERT (Nussbaum et al. 2024, https://arxiv.org/abs/2402.01613)",
    tokenizers=(),
    prefix="nomic_bert",
    config=same("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    | same("type_vocab_size", "hidden_act", "layer_norm_eps", "initializer_range")
    | dict.fromkeys(("hidden_dropout", "attention_output_dropout"), "hidden_dropout_prob")
    | {"attention_dropout": "attention_probs_dropout_prob"},
    fixed={"max_position_embeddings": 0, "gated": True, "attention_bias": False, "feed_forward_bias": False},
    base=same("embeddings.word_embeddings", "embeddings.token_type_embeddings")
    | {
        "embeddings.layer_norm": "emb_ln",
        "blocks.layer.{i}.attention.query": "encoder.layers.{i}.attn.Wqkv[0/3]",
        "blocks.layer.{i}.attention.key": "encoder.layers.{i}.attn.Wqkv[1/3]",
        "blocks.layer.{i}.attention.value": "encoder.layers.{i}.attn.Wqkv[2/3]",
        "blocks.layer.{i}.attention.dense": "encoder.layers.{i}.attn.out_proj",
        "blocks.layer.{i}.attention_norm": "encoder.layers.{i}.norm1",
        "blocks.layer.{i}.feed_forward.intermediate": "encoder.layers.{i}.mlp.fc12",
        "blocks.layer.{i}.feed_forward.gate": "encoder.layers.{i}.mlp.fc11",
        "blocks.layer.{i}.feed_forward.dense": "encoder.layers.{i}.mlp.fc2",
        "blocks.layer.{i}.feed_forward_norm": "encoder.layers.{i}.norm2",
    },
    # Hugging Face's base has a pooler only below a head: it is a part of that.
    head=ClassificationHead(
        {"dense": "nomic_bert.pooler.dense", "classifier": "classifier"},
        dropout=("classifier_dropout", "hidden_dropout_prob"),
    ),
    other_heads=("cls.",),
    example="nomic-ai/nomic-embed-text-v1.5",
    derived=_settings,
)
