"""RoBERTa (Liu et al. 2019, https://arxiv.org/abs/1907.11692): BERT's layers, positions counted after padding's id, another head."""

from bert_tf.checkpoints.families import bert
from bert_tf.checkpoints.families.family import ClassificationHead

FAMILY = bert.FAMILY._replace(
    model_type="roberta",
    name="Roberta",
    title="RoBERTa (Liu et al. 2019, https://arxiv.org/abs/1907.11692)",
    tokenizers=("RobertaTokenizer", "RobertaTokenizerFast"),
    prefix="roberta",
    config={**bert.FAMILY.config, "positions_after": "pad_token_id"},
    head=ClassificationHead(
        {"dense": "classifier.dense", "classifier": "classifier.out_proj"},
        dropout=("classifier_dropout", "hidden_dropout_prob"),
        first_dropout=("classifier_dropout", "hidden_dropout_prob"),
    ),
    other_heads=("lm_head.", "qa_outputs."),
    example="roberta-base",
    pooler="base",
)
