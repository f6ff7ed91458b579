"""bert_tf: fine-tune DistilBERT, BERT and their relatives for text classification with Keras 3.

Importing it is quick: Keras, its backend and transformers are loaded by the first name that needs them.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from bert_tf import registration
from bert_tf.checkpoints.families.table import FAMILIES
from bert_tf.checkpoints.heads import class_names
from bert_tf.migrate import modules, table

__version__ = "0.1.0"

# Every public name -> the module that has it.
_HOME = {
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
    "export": "exporting.export",
    "faithfulness": "explanation.explain",
    "finetune": "training.finetune",
    "ClassifierHyperModel": "tuning.hypermodel",
    "ladder": "comparison.ladder",
    "plan": "training.plan",
    "race": "comparison.race",
    "search": "tuning.search",
    "predict": "inference.predict",
    "predict_file": "inference.bulk",
    "predict_files": "inference.many_files",
    "quiet_libraries": "quiet",
    "serve": "serving.server",
    # what transformers 4 offered
    **dict(table.names_with_homes()),
}
for _family in FAMILIES.values():
    _HOME |= dict.fromkeys(class_names(_family).values(), "models.auto")

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = globals()[name] = getattr(import_module(f"bert_tf.{_HOME[name]}"), name)
        registration.register()
        return value
    if not name.startswith("_"):
        if modules.is_old(name):
            return import_module(f"bert_tf.{name}")
        if find_spec(f"bert_tf.{name}") is None and (sentence := table.instead(name)):
            # An ImportError also for an attribute: `from bert_tf import NAME` would drop the text of any other.
            raise ImportError(f"bert_tf has no {name}. {sentence}")
    raise AttributeError(f"module 'bert_tf' has no attribute {name!r}. It offers: {', '.join(__all__)}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]


modules.stand_in()
registration.choose_backend()
registration.when_keras_is_imported()
