"""The ways in which a model can be called."""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from bert_tf.data.labels import LABEL_KEYS, named_inputs

INPUT_NAMES = ("input_ids", "attention_mask", "token_type_ids")
FLAGS = ("output_attentions", "output_hidden_states", "return_dict", "first_token", "training")


class CallForms:
    """Turns every way to call a model that transformers 4 allowed into keyword arguments.

    One tensor; a list in the order of the arguments of `call`; a dict, `BatchEncoding` or its `.values()`; keyword arguments;
    NumPy arrays. A subclass whose `call` takes `inputs` gets what was given.
    """

    def __call__(self, inputs=None, *args, **kwargs):
        order = _order(type(self).call)  # type: ignore[attr-defined]
        if order[:1] != INPUT_NAMES[:1]:
            return super().__call__(inputs, *args, **kwargs)
        return super().__call__(**arguments(order, inputs, args, kwargs))


def unpacked(call: Callable) -> Callable:
    """Lets a subclass pass a dict or list on: `super().call(inputs)`, as transformers 4 allowed it."""
    order = _order(call)

    @functools.wraps(call)
    def call_unpacked(self, input_ids=None, *args, **kwargs):
        if isinstance(input_ids, (Mapping, list, tuple)):
            return call(self, **arguments(order, input_ids, args, kwargs))
        return call(self, input_ids, *args, **kwargs)

    return call_unpacked


@functools.cache
def _order(call: Callable) -> tuple[str, ...]:
    """Returns the names of the arguments of `call`, without `self`."""
    return tuple(inspect.signature(call).parameters)[1:]


def arguments(order: tuple[str, ...], inputs: Any, args: Iterable, kwargs: Mapping) -> dict:
    """Returns the inputs of a call by name.

    Args:
        order: names of the arguments of `call`.
        inputs: the first argument, a tensor or several; `args` and `kwargs` are the others.
    Raises: ValueError for a list with something where no input belongs, or without token ids.
    """
    inputs = named_inputs(inputs)
    if hasattr(inputs, "keys") and not hasattr(inputs, "shape"):
        named = dict(inputs)
    elif isinstance(inputs, (list, tuple)) and inputs and hasattr(inputs[0], "shape"):
        named = _by_place(order, inputs)
    else:
        named = {} if inputs is None else {"input_ids": inputs}
    named |= dict(zip(order[1:], args, strict=False))
    named |= {name: value for name, value in kwargs.items() if value is not None or name not in named}
    for key in LABEL_KEYS[1:]:
        if key in named:
            named.setdefault("labels", named.pop(key))
    for key in ("head_mask", "position_ids"):
        if named.pop(key, None) is not None:
            raise NotImplementedError(
                f"`{key}` is not supported. To prune attention heads set rows of attention.dense to zero."
            )
    named = {name: np.asarray(value) if isinstance(value, list) else value for name, value in named.items()}
    if all(named.get(key) is None for key in ("input_ids", "inputs_embeds", "features")):
        raise ValueError(f"A model needs `input_ids` or `inputs_embeds`. Received: {sorted(named) or 'nothing'}")
    return named


def _by_place(order: tuple[str, ...], inputs: list | tuple) -> dict:
    misplaced = len(inputs) > len(order) or any(
        name in FLAGS and hasattr(value, "shape") for name, value in zip(order, inputs, strict=False)
    )
    if misplaced:
        raise ValueError(
            f"A list of inputs is read in this order: {', '.join(name for name in order if name not in FLAGS)}. "
            f"Received: {len(inputs)} of them. Pass a dict, which names them."
        )
    return dict(zip(order, inputs, strict=False))
