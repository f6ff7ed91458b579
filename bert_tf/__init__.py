"""bert_tf: fine-tune DistilBERT, BERT and their relatives for text classification with Keras 3.

Importing it is quick: TensorFlow, Keras and transformers are loaded by the first name that needs them.
"""

from importlib import import_module
from typing import Any

from bert_tf import registration
from bert_tf.checkpoints.families.table import FAMILIES
from bert_tf.checkpoints.heads import class_names

__version__ = "0.1.0"

# Every public name -> the module that has it.
_HOME = {
    # models of any family
    "TFAutoModel": "models.auto",
    "TFAutoModelForSequenceClassification": "models.auto",
    # fine-tuning, step by step and in one call
    "Examples": "data.examples",
    "demo_reviews": "data.readers",
    "read_examples": "data.readers",
    "load_tokenizer": "data.tokenizer",
    "tokenize": "data.tokenizer",
    "batches": "data.pipeline",
    "convert": "inference.convert",
    "distill": "training.distill",
    "curve": "comparison.curve",
    "evaluate": "judging.evaluate",
    "explain": "explanation.explain",
    "faithfulness": "explanation.explain",
    "finetune": "training.finetune",
    "ClassifierHyperModel": "tuning.hypermodel",
    "ladder": "comparison.ladder",
    "plan": "training.plan",
    "race": "comparison.race",
    "search": "tuning.search",
    "predict": "inference.predict",
    "predict_file": "inference.bulk",
    # what transformers 4 offered besides its models
    "AutoConfig": "transformers4.tokenizers",
    "AutoTokenizer": "transformers4.tokenizers",
    "DataCollatorWithPadding": "data.rows",
    "KerasMetricCallback": "transformers4.callbacks",
    "PushToHubCallback": "transformers4.callbacks",
    "WarmUp": "transformers4.optimizer",
    "create_optimizer": "transformers4.optimizer",
}
for _family in FAMILIES.values():
    _HOME |= dict.fromkeys(class_names(_family).values(), "models.auto")
    _HOME |= dict.fromkeys((_family.config_class, *_family.tokenizers), "transformers4.tokenizers")

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'bert_tf' has no attribute {name!r}. It offers: {', '.join(__all__)}")
    value = globals()[name] = getattr(import_module(f"bert_tf.{_HOME[name]}"), name)
    registration.register()
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]


registration.when_keras_is_imported()
