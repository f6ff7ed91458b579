"""ELECTRA (Clark et al. 2020, https://arxiv.org/abs/2003.10555): BERT's layers, narrower embeddings in small ones, another head."""

from bert_tf.checkpoints.families import bert
from bert_tf.checkpoints.families.family import ClassificationHead


def _projection(config) -> dict:
    return {"projection": None if config.embedding_size == config.hidden_size else "after_norm"}


FAMILY = bert.FAMILY._replace(
    model_type="electra",
    name="Electra",
    title="ELECTRA (Clark et al. 2020, https://arxiv.org/abs/2003.10555)",
    tokenizers=("ElectraTokenizer", "ElectraTokenizerFast"),
    prefix="electra",
    config={**bert.FAMILY.config, "embedding_size": "embedding_size"},
    base={part: name for part, name in bert.FAMILY.base.items() if part != "pooler"}
    | {"embeddings.projection": "embeddings_project"},
    head=ClassificationHead(
        {"dense": "classifier.dense", "classifier": "classifier.out_proj"},
        dropout=("classifier_dropout", "hidden_dropout_prob"),
        first_dropout=("classifier_dropout", "hidden_dropout_prob"),
        activation="gelu",
    ),
    other_heads=("discriminator_predictions.", "generator_predictions.", "generator_lm_head.", "qa_outputs."),
    example="google/electra-small-discriminator",
    pooler=None,
    derived=_projection,
)
