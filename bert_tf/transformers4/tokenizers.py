"""transformers' tokenizers with `return_tensors="tf"`, which transformers 5 dropped, and its config classes."""

import functools
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


@functools.cache
def _with_tensors(kind: type) -> Any:
    """Returns the class of a tokenizer with tensors; one for each, so that its instances can be pickled."""
    documentation = f'`transformers.{kind.__name__}`, which also takes `return_tensors="tf"`.'
    return type(kind.__name__, (_TensorFlowTensors, kind), {"__doc__": documentation})


class AutoTokenizer:
    """`transformers.AutoTokenizer`, whose tokenizers also take `return_tensors="tf"`."""

    @classmethod
    def from_pretrained(cls, source: str | os.PathLike, *args, **kwargs) -> Any:
        """Loads the tokenizer of a folder, hub name or `"minilm"`, with the arguments of transformers."""
        import transformers

        tokenizer = transformers.AutoTokenizer.from_pretrained(_folder(source), *args, **kwargs)
        tokenizer.__class__ = _with_tensors(type(tokenizer))  # type: ignore[arg-type]
        return tokenizer


CONFIGS = ("AutoConfig", *(family.config_class for family in FAMILIES.values()))


def __getattr__(name: str) -> Any:
    if not name.startswith("_"):
        import transformers

        kind = getattr(transformers, name, None)
        if name in CONFIGS:
            return kind
        if isinstance(kind, type) and issubclass(kind, transformers.PreTrainedTokenizerBase):
            return _with_tensors(kind)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
