"""transformers' tokenizers with the calls that transformers 5 dropped, its config classes and other names handed on."""

import functools
import logging
import os
from collections.abc import Callable
from typing import Any

from bert_tf.checkpoints import locate
from bert_tf.data.rows import as_tensor

log = logging.getLogger("bert_tf")


class _OldCalls:
    """Adds to a tokenizer what transformers 4 had: `return_tensors="tf"` (int32 tensors), `encode_plus`, `batch_encode_plus` and
    `pad_to_max_length=True`."""

    @classmethod
    def from_pretrained(cls, source, *args, **kwargs):
        return super().from_pretrained(_folder(source), *args, **_settings(cls, kwargs))  # type: ignore[misc]

    def __call__(self, *args, **kwargs):
        return _tensors(super().__call__, *args, **_padded(kwargs))  # type: ignore[misc]

    def encode(self, *args, **kwargs):
        return _tensors(super().encode, *args, **_padded(kwargs))  # type: ignore[misc]

    def pad(self, *args, **kwargs):
        return _tensors(super().pad, *args, **kwargs)  # type: ignore[misc]

    def encode_plus(self, text, text_pair=None, **kwargs) -> Any:
        """Encodes one text, or a pair: the same as `tokenizer(text, text_pair, ...)`."""
        return self(text, text_pair, **kwargs)

    def batch_encode_plus(self, batch_text_or_text_pairs, **kwargs) -> Any:
        """Encodes a list of texts, or of pairs of texts: the same as `tokenizer(texts, ...)`."""
        texts = list(batch_text_or_text_pairs)
        if texts and isinstance(texts[0], (list, tuple)) and not kwargs.get("is_split_into_words"):
            first, second = map(list, zip(*texts, strict=True))
            return self(first, second, **kwargs)
        return self(texts, **kwargs)


def _folder(source: Any) -> Any:
    return locate.minilm() if source == locate.MINILM else source


def _settings(kind: type, kwargs: dict) -> dict:
    """Leaves out of the arguments of `from_pretrained` those that would hide a method of the tokenizer: `add_special_tokens=True`,
    an argument of its calls, is also a method's name. Older versions ignored them there."""
    hiding = [name for name in kwargs if callable(getattr(kind, name, None))]
    if hiding:
        log.warning("%s: ignored by from_pretrained, pass it to tokenizer(...).", ", ".join(hiding))
    return {name: value for name, value in kwargs.items() if name not in hiding}


def _padded(kwargs: dict) -> dict:
    """Translates `pad_to_max_length=True`, which also cut texts to `max_length`; transformers 5 ignores it in silence."""
    if kwargs.pop("pad_to_max_length", False):
        kwargs = {"padding": "max_length", "truncation": True, **kwargs}
    return kwargs


def _tensors(method: Callable, *args, return_tensors=None, **kwargs):
    to_tf = getattr(return_tensors, "value", return_tensors) == "tf"  # also TensorType.TENSORFLOW
    encoding = method(*args, return_tensors="np" if to_tf else return_tensors, **kwargs)
    if not to_tf:
        return encoding
    if not hasattr(encoding, "items"):
        return as_tensor(encoding)
    for name, array in encoding.items():
        encoding[name] = as_tensor(array)
    return encoding


@functools.cache
def _with_old_calls(kind: type) -> Any:
    """Returns the class of a tokenizer with the old calls; one for each, so that its instances can be pickled."""
    documentation = f"`transformers.{kind.__name__}`, which also takes the calls of transformers 4. {_OldCalls.__doc__}"
    return type(kind.__name__, (_OldCalls, kind), {"__doc__": documentation})


class AutoTokenizer:
    """`transformers.AutoTokenizer`, whose tokenizers also take the calls of transformers 4: `return_tensors="tf"`, `encode_plus`,
    `batch_encode_plus`, `pad_to_max_length=True`."""

    @classmethod
    def from_pretrained(cls, source: str | os.PathLike, *args, **kwargs) -> Any:
        """Loads the tokenizer of a folder, hub name or `"minilm"`, with the arguments of transformers."""
        import transformers

        kwargs = _settings(transformers.PreTrainedTokenizerFast, kwargs)
        tokenizer = transformers.AutoTokenizer.from_pretrained(_folder(source), *args, **kwargs)
        tokenizer.__class__ = _with_old_calls(type(tokenizer))  # type: ignore[arg-type]
        return tokenizer


def __getattr__(name: str) -> Any:
    if not name.startswith("_"):
        import transformers

        kind = getattr(transformers, name, None)
        if isinstance(kind, type) and issubclass(kind, transformers.PreTrainedTokenizerBase):
            return _with_old_calls(kind)
        if kind is not None:
            return kind
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
