"""bert_tf: fine-tune DistilBERT and BERT for text classification with Keras 3.

Importing it is quick: TensorFlow, Keras and transformers are loaded by the first name that needs them.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "TFAutoModelForSequenceClassification": "models",
    "TFBertForSequenceClassification": "models",
    "TFDistilBertForSequenceClassification": "models",
    "Examples": "data",
    "demo_reviews": "data",
    "read_examples": "data",
    "load_tokenizer": "tokenizer",
    "tokenize": "tokenizer",
    "batches": "pipeline",
    "convert": "checkpoint",
    "finetune": "finetune",
    "predict": "predict",
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
