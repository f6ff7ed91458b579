"""What transformers 4 offered TensorFlow users beside its models, and transformers 5 dropped.

Tokenizers and a collator that give tensors for `return_tensors="tf"`, `prepare_tf_dataset`, `create_optimizer` with its
`WarmUp`, and two callbacks. Same names, same arguments; each docstring says where it differs.
"""

import os
from collections.abc import Callable
from typing import Any

from bert_tf.checkpoints import locate
from bert_tf.data.rows import as_tensor

# Tokenizers


class _TensorFlowTensors:
    """Adds `return_tensors="tf"` to a tokenizer: int32 tensors, as transformers 4 gave."""

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
    found = method(*args, return_tensors="np" if return_tensors == "tf" else return_tensors, **kwargs)
    if return_tensors != "tf":
        return found
    if not hasattr(found, "items"):
        return as_tensor(found)
    for name, array in found.items():
        found[name] = as_tensor(array)
    return found


def _with_tensors(kind: type) -> Any:
    documentation = f'`transformers.{kind.__name__}`, which also takes `return_tensors="tf"`.'
    return type(kind.__name__, (_TensorFlowTensors, kind), {"__doc__": documentation})


class AutoTokenizer:
    """`transformers.AutoTokenizer`, whose tokenizers also take `return_tensors="tf"`."""

    @classmethod
    def from_pretrained(cls, source: str | os.PathLike, *args, **kwargs) -> Any:
        """Loads the tokenizer of a folder, hub name or `"minilm"`; arguments are those of transformers."""
        import transformers

        tokenizer = transformers.AutoTokenizer.from_pretrained(_folder(source), *args, **kwargs)
        tokenizer.__class__ = _with_tensors(type(tokenizer))
        return tokenizer


TOKENIZERS = ("BertTokenizer", "BertTokenizerFast", "DistilBertTokenizer", "DistilBertTokenizerFast")


CONFIGS = ("AutoConfig", "BertConfig", "DistilBertConfig")


def __getattr__(name: str) -> Any:
    if name in TOKENIZERS + CONFIGS:
        import transformers

        return getattr(transformers, name) if name in CONFIGS else _with_tensors(getattr(transformers, name))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
