"""A bias for the distance of two tokens, learnt for each head and the same in every layer: MPNet's, and before it T5's.

Raffel et al. 2019, sec. 2.1 (https://arxiv.org/abs/1910.10683); Song et al. 2020 (https://arxiv.org/abs/2004.09297).
"""

import math

import keras
import numpy as np
from keras import ops

from bert_tf.models.attention import SelfAttention, shifted
from bert_tf.models.parts import Embedding, Part, arguments

FARTHEST = 128  # tokens apart, from which all distances share a bucket


def bucket_of(distance: np.ndarray, buckets: int) -> np.ndarray:
    """Returns the bucket of each distance, of the token attended to minus the one that attends.

    Half of the buckets are for tokens behind, half for those before; in each half the first half is for one distance each, and
    the others grow as their logarithm.
    """
    half, exact = buckets // 2, buckets // 4
    apart = np.abs(distance)
    # In float32, as PyTorch counts: a distance at the border of two buckets must fall on the same side.
    far = (
        np.log(np.maximum(apart, 1).astype("float32") / exact) / np.float32(math.log(FARTHEST / exact)) * (half - exact)
    )
    bucket = np.where(apart < exact, apart, np.minimum(exact + far.astype("int32"), half - 1))
    return (bucket + np.where(distance > 0, half, 0)).astype("int32")


@keras.saving.register_keras_serializable("bert_tf")
class RelativeBias(Part):
    """The table, and what it says of a batch.

    Args:
        num_attention_heads, buckets: int, the sizes of the table.
        max_position_embeddings: int, the most tokens.
    Call arguments:
        attention_mask: `(B, T)`, for its length.
    Returns: float32 `(1, H, T, T)`, a bias for each token that attends and each one attended to.
    """

    def __init__(
        self,
        num_attention_heads: int,
        max_position_embeddings: int,
        buckets: int = 32,
        initializer_range: float = 0.02,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self._settings = arguments(locals())
        self.most = max_position_embeddings
        self.table = Embedding(buckets, num_attention_heads, self._initializer(), dtype="float32", name="table")
        self._buckets = bucket_of(np.arange(1 - self.most, self.most), buckets)

    def build(self, input_shape=None):
        if not self.table.built:
            self.table.build()

    def call(self, attention_mask, training=None):
        tokens = ops.shape(attention_mask)[1]
        buckets = ops.convert_to_tensor(self._buckets)[self.most - tokens : self.most + tokens - 1]
        biases = ops.transpose(self.table(buckets))  # (H, 2T - 1), from the farthest behind to the farthest before
        # A row for each token, shifted into place: no look-up of T * T numbers.
        rows = ops.tile(ops.pad(biases, ((0, 0), (0, 1)))[None, :, None], (1, 1, tokens, 1))  # (1, H, T, 2T)
        return shifted(rows, tokens, tokens - 1)


@keras.saving.register_keras_serializable("bert_tf")
class BiasedAttention(SelfAttention):
    """Self-attention with a bias for each distance: `positional` is the result of `RelativeBias`."""

    def masked(self, scores, attention_mask, positional=None):
        bias = ops.cast(positional[:, :, : ops.shape(scores)[2]], scores.dtype)
        return super().masked(scores, attention_mask) + bias

    def terms(self, query, key, attention_mask, positional=None):
        return None  # the bias is learnt
