"""XLM-RoBERTa (Conneau et al. 2019, https://arxiv.org/abs/1911.02116): RoBERTa in a hundred languages, the same in its files."""

from bert_tf.checkpoints.families import roberta

FAMILY = roberta.FAMILY._replace(
    model_type="xlm-roberta",
    name="XLMRoberta",
    title="XLM-RoBERTa (Conneau et al. 2019, https://arxiv.org/abs/1911.02116)",
    tokenizers=("XLMRobertaTokenizer", "XLMRobertaTokenizerFast"),
    example="xlm-roberta-base",
)
