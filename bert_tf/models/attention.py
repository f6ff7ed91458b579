"""Self-attention. What makes it depend on the distance of two tokens are its subclasses, in files of their own.

Letters in the shape comments are those of `bert_tf.models.layers`.
"""

import math

import keras
from keras import ops

from bert_tf.backends.backend import fused_attention, inferring
from bert_tf.models.parts import LayerDropout, Part, arguments, projected


@keras.saving.register_keras_serializable("bert_tf")
class SelfAttention(Part):
    """Multi-head scaled dot-product self-attention over padded sequences.

    Vaswani et al. 2017, sec. 3.2 (https://arxiv.org/abs/1706.03762), with biases as in BERT.
    Differs from `keras.layers.MultiHeadAttention`: 2-D kernels, so that Hugging Face
    weights need only a transpose, and one numeric path whatever `dropout` is. The
    softmax runs in float32 under every dtype policy, but for `bert_tf.backends.backend.inference`, where it is oneDNN's: that takes
    and gives the compute dtype, and computes in float32 itself.

    Args:  (B = batch, T = tokens, D = hidden_size)
        hidden_size, num_heads: int. `hidden_size` is a multiple of `num_heads`.
        dropout: on the attention probabilities.
        positional: dict, the settings of a subclass; see `bert_tf.models.positional`.
        attention_bias: bool, whether the dense layers have biases.
    Call arguments:
        hidden_states: float `(B * T, D)`, compute dtype, to attend to.
        attention_mask: int or bool `(B, T)`, 1 = real token.
        queries: float `(B, D)`, the first tokens' states, if only they attend, Q = 1; None = all, Q = T.
        positional: what the encoder computed once for all layers, for `scores`.
        probabilities: bool, whether they are needed; if not, a backend with a kernel that never writes them down uses it.
    Returns: `(context, probabilities)`: float `(B * Q, D)`, where rows at padding are finite and
        meaningless, and float32 `(B, H, Q, T)`, or None where a kernel did not write them down.
    Raises: ValueError if `hidden_size` is not a multiple of `num_heads`.
    """

    def __init__(
        self,
        hidden_size: int,
        num_heads: int,
        dropout: float = 0.1,
        initializer_range: float = 0.02,
        positional: dict | None = None,
        attention_bias: bool = True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self._settings = arguments(locals())
        self.autocast = False  # `positional` keeps its dtype; the dense layers cast the states
        if hidden_size % num_heads:
            raise ValueError(
                "`hidden_size` must be a multiple of `num_heads`. "
                f"Received: hidden_size={hidden_size}, num_heads={num_heads}"
            )
        self.hidden_size = hidden_size
        self.num_heads = num_heads
        self.head_size = hidden_size // num_heads
        self.query, self.key, self.value, self.dense = (
            self._dense(name, hidden_size, use_bias=attention_bias) for name in ("query", "key", "value", "dense")
        )
        self.dropout = self._own(LayerDropout, "dropout", dropout)

    def call(self, hidden_states, attention_mask, queries=None, positional=None, probabilities=True, training=None):
        tokens = ops.shape(attention_mask)[1]
        every = queries is None
        query = self.heads(projected(self.query, hidden_states if every else queries), tokens if every else 1)
        value = self.heads(projected(self.value, hidden_states), tokens)
        attend = self._kernel(training) if every and not probabilities else None
        key = self.heads(self._keys(hidden_states, (attend is not None or inferring()) and not training), tokens)
        if attend and (terms := self.terms(query, key, attention_mask, positional)):
            return self._out(attend(*terms, value)), None
        scores = self.scores(query, key, positional, training=training)
        if probabilities:
            scores = ops.cast(scores, "float32")
        if isinstance(tokens, int) and tokens == 1:  # Keras warns at a softmax over one score
            probabilities = ops.ones_like(scores)
        else:
            probabilities = ops.softmax(self.masked(scores, attention_mask, positional), axis=-1)
        dropped = self.dropout(ops.cast(probabilities, self.compute_dtype), training=training)
        return self._out(ops.matmul(dropped, value)), probabilities

    def _out(self, context):  # (B, H, Q, S) -> (B * Q, D)
        flat = ops.reshape(ops.transpose(context, (0, 2, 1, 3)), (-1, self.hidden_size))
        return projected(self.dense, flat)

    def _kernel(self, training):
        """Returns a kernel of the backend for the whole attention, or None."""
        dropout = self.dropout if training and self.dropout.rate else None
        return fused_attention(dropout)

    def _keys(self, hidden_states, scores_stay_inside):
        # A bias adds the same to all scores of a token, which the softmax does not see; on a GPU it takes 2 % of the time.
        if scores_stay_inside and type(self).terms is SelfAttention.terms:
            return ops.matmul(hidden_states, ops.cast(self.key.kernel, self.compute_dtype))
        return projected(self.key, hidden_states)

    def heads(self, states, tokens):  # (B * T, D) -> (B, H, T, S)
        return ops.transpose(ops.reshape(states, (-1, tokens, self.num_heads, self.head_size)), (0, 2, 1, 3))

    def scores(self, query, key, positional=None, training=None):
        """Returns how much each token attends to each other one, before the softmax: the step for subclasses to change.

        Args:
            query, key: float `(B, H, Q, S)` and `(B, H, T, S)`; Q = 1, the first token's, or T.
            positional: the argument of the call.
        Returns: float `(B, H, Q, T)`, scaled.
        """
        scores = self._wide(ops.matmul(query, ops.transpose(key, (0, 1, 3, 2))))
        return scores * (1 / math.sqrt(self.head_size))

    def _wide(self, products):
        """Returns products in float32; for results alone as they are, because each cast costs as much as a product."""
        return products if inferring() else ops.cast(products, "float32")

    def terms(self, query, key, attention_mask, positional=None):
        """Returns the same as `scores` and `masked` for a fused kernel, which adds and scales on its own.

        Returns: `(query, key, bias, scale)`: the first two `(B, H, T, S)`; float32 `(B, 1, T or 1, T)`, which gets no gradient;
            the factor of the products. None where that does not say it all.
        """
        return query, key, attention_bias(attention_mask), 1 / math.sqrt(self.head_size)

    def masked(self, scores, attention_mask, positional=None):
        """Returns the scores `(B, H, Q, T)`, negative and large where a token must not look: padding, in subclasses more."""
        return scores + ops.cast(attention_bias(attention_mask), scores.dtype)


FAR = -1e9  # and not the smallest float: a row of padding alone must stay finite after the addition


def attention_bias(attention_mask):
    """Returns float32 `(B, 1, 1, T)`: 0 at real tokens, a large negative number at padding of `(B, T)`."""
    padding = ops.cast(ops.equal(attention_mask, 0), "float32")
    return ops.expand_dims(ops.expand_dims(padding, 1), 1) * FAR  # not [:, None, None]: LiteRT has no such slice


def shifted(scores, tokens, start):
    """Returns `(B, H, T, T)` of `(B, H, T, 2 * T)`, scores by distance: row i begins i places before `start`."""
    (batch, heads), width = ops.shape(scores)[:2], 2 * tokens
    flat = ops.reshape(scores, (batch, heads, tokens * width))
    # In rows of one place less, each begins one place further left than the one above.
    flat = flat[:, :, start : start + tokens * (width - 1)]
    return ops.reshape(flat, (batch, heads, tokens, width - 1))[:, :, :, :tokens]
