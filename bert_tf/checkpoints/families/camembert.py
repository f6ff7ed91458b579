"""CamemBERT (Martin et al. 2019, https://arxiv.org/abs/1911.03894): a RoBERTa in French, the same in its files."""

from bert_tf.checkpoints.families import roberta

FAMILY = roberta.FAMILY._replace(
    model_type="camembert",
    name="Camembert",
    title="CamemBERT (Martin et al. 2019, https://arxiv.org/abs/1911.03894)",
    tokenizers=("CamembertTokenizer", "CamembertTokenizerFast"),
    example="camembert-base",
)
