"""A classifier as a function from token ids to logits, in float32: what every format is made from, and compared with."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from bert_tf.data.bucketing import padded_batch
from bert_tf.data.tokenizer import Tokens
from bert_tf.exporting.formats import Batch, Runner
from bert_tf.inference.engines import INPUTS, keras_engine
from bert_tf.models.precision import in_float32

IN_A_LAYER = "/layer_"  # in the name of a node of the encoder's layers


class Network:
    """A classifier in memory, with the inputs as Hugging Face names them.

    Attributes:
        model: one of `bert_tf`'s classifiers.
        names: str, of its inputs: `input_ids`, `attention_mask`, and `token_type_ids` where there are at least two types; RoBERTa
            has one, and Hugging Face's tokenizers give it none.
    """

    def __init__(self, model: Any):
        self.model = model
        types = model.encoder.embeddings.token_type_embeddings
        self.names = INPUTS if types is not None and types.input_dim > 1 else INPUTS[:2]

    def logits(self, input_ids: Any, attention_mask: Any, token_type_ids: Any = None) -> Any:
        """Returns the logits, a float tensor `(B, num_labels)`, of int tensors `(B, T)`."""
        inputs = {"attention_mask": attention_mask, "token_type_ids": token_type_ids}
        return self.model(input_ids, **inputs, return_dict=True, training=False).logits

    def function(self, dtype: str = "int32", weights: Mapping[str, Any] | None = None) -> Any:
        """Returns a `tf.function` of the inputs in their order, each `(None, None)` of `dtype`, that gives `{"logits": ...}`.

        Call or trace it within `bert_tf.models.precision.in_float32`.

        Args:
            weights: name -> a variable of the model that is an input too, behind the others; None = none is. A converter that is given
                them as constants copies them again and again: it took 30 times their size.
        """
        import tensorflow as tf

        weights = weights or {}

        def logits(*batch):
            inputs = [ops.cast(value, "int32") for value in batch[: len(self.names)]]
            given = zip(weights.values(), batch[len(self.names) :], strict=True)
            with keras.StatelessScope(state_mapping=given) if weights else contextlib.nullcontext():
                return {"logits": ops.cast(self.logits(*inputs), "float32")}

        signature = [tf.TensorSpec((None, None), dtype, name=name) for name in self.names]
        signature += [tf.TensorSpec(weight.shape, weight.dtype, name=name) for name, weight in weights.items()]
        return tf.function(logits, input_signature=signature, autograph=False)

    def in_keras(self) -> Runner:
        """Returns what runs the model itself, in float32."""
        engine = keras_engine(self.model, self.logits)

        def run(batch: Batch) -> np.ndarray:
            with in_float32(self.model):
                return engine(*(batch[name] for name in self.names)).astype("float32")

        return run

    def batch(self, tokens: Tokens, texts: Sequence[int] | np.ndarray) -> dict[str, np.ndarray]:
        """Returns some texts as inputs, padded, int32 `(B, T)`."""
        arrays = padded_batch(tokens, np.asarray(texts))
        batch = dict(zip(INPUTS, arrays, strict=False))
        batch.setdefault("token_type_ids", np.zeros_like(arrays[0]))
        return {name: batch[name] for name in self.names}
