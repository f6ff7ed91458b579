"""Features: the output of frozen layers, computed once, cached and reused.

What computes them is loaded when it is asked for: the cache can be listed and pruned without Keras.
"""

from importlib import import_module
from typing import Any

__all__ = ["Features", "extract"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("bert_tf.features.extraction"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
