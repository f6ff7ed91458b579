"""bert_tf: fine-tune DistilBERT and BERT for text classification with Keras 3.

Importing it is quick: TensorFlow, Keras and transformers are loaded by the first name that needs them.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOME = {
    # models
    "TFAutoModel": "models.auto",
    "TFAutoModelForSequenceClassification": "models.auto",
    "TFBertForSequenceClassification": "models.families.bert",
    "TFBertLayerMeansForSequenceClassification": "models.families.bert",
    "TFBertModel": "models.families.bert",
    "TFDistilBertForSequenceClassification": "models.families.distilbert",
    "TFDistilBertLayerMeansForSequenceClassification": "models.families.distilbert",
    "TFDistilBertModel": "models.families.distilbert",
    # the job, step by step and in one call
    "Examples": "data.examples",
    "demo_reviews": "data.readers",
    "read_examples": "data.readers",
    "load_tokenizer": "data.tokenizer",
    "tokenize": "data.tokenizer",
    "batches": "data.pipeline",
    "convert": "inference.convert",
    "curve": "comparison.curve",
    "explain": "explanation.explain",
    "faithfulness": "explanation.explain",
    "finetune": "training.finetune",
    "ClassifierHyperModel": "tuning.hypermodel",
    "ladder": "comparison.ladder",
    "plan": "training.plan",
    "race": "comparison.race",
    "search": "tuning.search",
    "predict": "inference.predict",
    # what transformers 4 had beside them
    "AutoConfig": "transformers4.tokenizers",
    "AutoTokenizer": "transformers4.tokenizers",
    "BertConfig": "transformers4.tokenizers",
    "BertTokenizer": "transformers4.tokenizers",
    "BertTokenizerFast": "transformers4.tokenizers",
    "DataCollatorWithPadding": "data.rows",
    "DistilBertConfig": "transformers4.tokenizers",
    "DistilBertTokenizer": "transformers4.tokenizers",
    "DistilBertTokenizerFast": "transformers4.tokenizers",
    "KerasMetricCallback": "transformers4.callbacks",
    "PushToHubCallback": "transformers4.callbacks",
    "WarmUp": "transformers4.optimizer",
    "create_optimizer": "transformers4.optimizer",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'bert_tf' has no attribute {name!r}. It offers: {', '.join(__all__)}")
    value = globals()[name] = getattr(import_module(f"bert_tf.{_HOME[name]}"), name)
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]
