"""transformers' tokenizers with `return_tensors="tf"`, which transformers 5 dropped, and its config classes."""

import os
from collections.abc import Callable
from typing import Any

from bert_tf.checkpoints import locate
from bert_tf.checkpoints.families.table import FAMILIES
from bert_tf.data.rows import as_tensor


class _TensorFlowTensors:
    """Adds `return_tensors="tf"` to a tokenizer: int32 tensors, as in transformers 4."""

    @classmethod
    def from_pretrained(cls, source, *args, **kwargs):
        return super().from_pretrained(_folder(source), *args, **kwargs)  # type: ignore[misc]

    def __call__(self, *args, return_tensors=None, **kwargs):
        return _tensors(super().__call__, return_tensors, *args, **kwargs)  # type: ignore[misc]

    def pad(self, *args, return_tensors=None, **kwargs):
        return _tensors(super().pad, return_tensors, *args, **kwargs)  # type: ignore[misc]

    def encode(self, *args, return_tensors=None, **kwargs):
        return _tensors(super().encode, return_tensors, *args, **kwargs)  # type: ignore[misc]


def _folder(source: Any) -> Any:
    return locate.minilm() if source == locate.MINILM else source


def _tensors(method: Callable, return_tensors: str | None, *args, **kwargs):
    encoding = method(*args, return_tensors="np" if return_tensors == "tf" else return_tensors, **kwargs)
    if return_tensors != "tf":
        return encoding
    if not hasattr(encoding, "items"):
        return as_tensor(encoding)
    for name, array in encoding.items():
        encoding[name] = as_tensor(array)
    return encoding


def _with_tensors(kind: type) -> Any:
    documentation = f'`transformers.{kind.__name__}`, which also takes `return_tensors="tf"`.'
    return type(kind.__name__, (_TensorFlowTensors, kind), {"__doc__": documentation})


class AutoTokenizer:
    """`transformers.AutoTokenizer`, whose tokenizers also take `return_tensors="tf"`."""

    @classmethod
    def from_pretrained(cls, source: str | os.PathLike, *args, **kwargs) -> Any:
        """Loads the tokenizer of a folder, hub name or `"minilm"`, with the arguments of transformers."""
        import transformers

        tokenizer = transformers.AutoTokenizer.from_pretrained(_folder(source), *args, **kwargs)
        tokenizer.__class__ = _with_tensors(type(tokenizer))
        return tokenizer


TOKENIZERS = tuple(name for family in FAMILIES.values() for name in family.tokenizers)
CONFIGS = ("AutoConfig", *(family.config_class for family in FAMILIES.values()))


def __getattr__(name: str) -> Any:
    if name in TOKENIZERS + CONFIGS:
        import transformers

        return getattr(transformers, name) if name in CONFIGS else _with_tensors(getattr(transformers, name))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
