"""What the models return: fields that are read by attribute, key or position, as in transformers 4.

An output is a named tuple of the fields present, so that every backend's tree functions (tf.nest, JAX, optree) and Keras'
functional API accept it; the attribute of an absent field is None.
"""

from collections import namedtuple
from functools import cache

import numpy as np


class _ModelOutput:
    """The common part: `Output(logits=...)` gives a named tuple of the fields that are not None."""

    __slots__ = ()
    FIELDS: tuple[str, ...] = ()

    def __new__(cls, *values, **fields):
        if issubclass(cls, tuple):  # a class from `_with_fields`
            return super().__new__(cls, *values, **fields)
        fields = dict(zip(cls.FIELDS, values, strict=False)) | fields
        if unknown := set(fields) - set(cls.FIELDS):
            raise TypeError(f"{cls.__name__} has the fields {', '.join(cls.FIELDS)}. Received: {sorted(unknown)}")
        present = {name: fields[name] for name in cls.FIELDS if fields.get(name) is not None}
        return _with_fields(cls, tuple(present))(**present)

    def __getattr__(self, name):  # reached only for absent fields
        if name in self.FIELDS:
            return None
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __getitem__(self, key):
        if isinstance(key, str):
            if key not in self._fields:
                raise KeyError(f"{key!r} is not in this output. It holds: {', '.join(self._fields)}")
            return getattr(self, key)
        return super().__getitem__(key)

    def __contains__(self, key) -> bool:
        return isinstance(key, str) and key in self._fields

    def __reduce__(self):
        return type(self).__bases__[0], tuple(self.get(name) for name in self.FIELDS)

    def keys(self) -> list[str]:
        return list(self._fields)

    def values(self) -> list:
        return list(self.to_tuple())

    def items(self) -> list[tuple]:
        return list(zip(self._fields, self.to_tuple(), strict=True))

    def get(self, key: str, default=None):
        return self[key] if key in self._fields else default

    def to_tuple(self) -> tuple:
        """Returns the fields present, in order: the loss, if there is one, is first."""
        return tuple(self)


@cache
def _with_fields(kind: type, names: tuple[str, ...]) -> type:
    return type(kind.__name__, (kind, namedtuple(kind.__name__, names)), {"__slots__": ()})


class TFBaseModelOutput(_ModelOutput):
    """`last_hidden_state` (B, T, D); `hidden_states`, layers + 1 of (B, T, D); `attentions`, layers of (B, H, T, T)."""

    __slots__ = ()
    FIELDS = ("last_hidden_state", "hidden_states", "attentions")


class TFBaseModelOutputWithPooling(_ModelOutput):
    """As `TFBaseModelOutput`, with `pooler_output` (B, D) second."""

    __slots__ = ()
    FIELDS = ("last_hidden_state", "pooler_output", "hidden_states", "attentions")


class TFSequenceClassifierOutput(_ModelOutput):
    """`loss` (B,) if labels were given; `logits` float32 (B, num_labels); the rest as in `TFBaseModelOutput`.

    As an array it is its logits: `np.argmax(model.predict(x), axis=1)` gives classes.
    """

    __slots__ = ()
    FIELDS = ("loss", "logits", "hidden_states", "attentions")

    def __array__(self, dtype=None, copy=None):
        from keras import ops

        # NumPy alone refuses a tensor of PyTorch's that requires a gradient.
        logits = np.asarray(ops.convert_to_numpy(self.logits), dtype)
        return logits.copy() if copy else logits
