"""bert_tf: fine-tune DistilBERT and BERT for text classification with Keras 3.

Importing it is quick: TensorFlow, Keras and transformers are loaded by the first name that needs them.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

__version__ = "0.1.0"

_HOME = {
    # models
    "TFAutoModel": "models",
    "TFAutoModelForSequenceClassification": "models",
    "TFBertForSequenceClassification": "models",
    "TFBertLayerMeansForSequenceClassification": "models",
    "TFBertModel": "models",
    "TFDistilBertForSequenceClassification": "models",
    "TFDistilBertLayerMeansForSequenceClassification": "models",
    "TFDistilBertModel": "models",
    # the job, step by step and in one call
    "Examples": "data",
    "demo_reviews": "data",
    "read_examples": "data",
    "load_tokenizer": "tokenizer",
    "tokenize": "tokenizer",
    "batches": "pipeline",
    "convert": "convert",
    "curve": "compare",
    "explain": "explain",
    "faithfulness": "explain",
    "finetune": "finetune",
    "ClassifierHyperModel": "hypermodel",
    "ladder": "compare",
    "plan": "plan",
    "race": "compare",
    "search": "search",
    "predict": "predict",
    # what transformers 4 had beside them
    "AutoConfig": "transformers4",
    "AutoTokenizer": "transformers4",
    "BertConfig": "transformers4",
    "BertTokenizer": "transformers4",
    "BertTokenizerFast": "transformers4",
    "DataCollatorWithPadding": "transformers4",
    "DistilBertConfig": "transformers4",
    "DistilBertTokenizer": "transformers4",
    "DistilBertTokenizerFast": "transformers4",
    "KerasMetricCallback": "transformers4",
    "PushToHubCallback": "transformers4",
    "WarmUp": "transformers4",
    "create_optimizer": "transformers4",
}

__all__ = sorted(_HOME)


class _Package(ModuleType):
    """Keeps `bert_tf.finetune` the function: importing the module of that name would put the module in its place."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'bert_tf' has no attribute {name!r}. It offers: {', '.join(__all__)}")
    value = globals()[name] = getattr(import_module(f"bert_tf.{_HOME[name]}"), name)
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]
