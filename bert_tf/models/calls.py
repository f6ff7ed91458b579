"""The ways in which a model can be called."""

import numpy as np

from bert_tf.data.labels import LABEL_KEYS

INPUT_NAMES = ("input_ids", "attention_mask", "token_type_ids")


class CallForms:
    """Turns every way to call a model that transformers 4 allowed into keyword arguments.

    One tensor; a list in the order of `INPUT_NAMES`; a dict or `BatchEncoding`; keyword arguments; NumPy arrays.
    """

    def __call__(self, inputs=None, *args, **kwargs):
        if hasattr(inputs, "keys") and not hasattr(inputs, "shape"):
            named = dict(inputs)
        elif isinstance(inputs, (list, tuple)) and inputs and hasattr(inputs[0], "shape"):
            named = dict(zip(INPUT_NAMES, inputs, strict=False))
        else:
            named = {} if inputs is None else {"input_ids": inputs}
        named |= dict(zip(INPUT_NAMES[1:], args, strict=False))
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
        return super().__call__(**named)
