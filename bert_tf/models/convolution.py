"""The convolution of DeBERTa-v2-xlarge. Letters in the shape comments are those of `bert_tf.models.layers`."""

import keras
from keras import ops

from bert_tf.models.layers import ACTIVATIONS
from bert_tf.models.parts import Part, arguments


@keras.saving.register_keras_serializable("bert_tf")
class Convolution(Part):
    """What DeBERTa-v2-xlarge adds to the output of its first layer: a convolution over the embeddings of neighbouring tokens.

    Args:
        hidden_size: int, D.
        kernel_size: int, odd, how many tokens are seen at once.
        conv_groups: int, its `groups`, see `keras.layers.Conv1D`.
        activation: str, a key of `bert_tf.models.layers.ACTIVATIONS`.
        dropout: before the activation.
    Call arguments:
        embeddings, hidden_states: float `(B * T, D)`, what entered and what left the first layer.
        attention_mask: int or bool `(B, T)`, 1 = real token.
    Returns: float `(B * T, D)`, 0 at padding.
    Raises: ValueError for an even `kernel_size`.
    """

    def __init__(
        self,
        hidden_size: int,
        kernel_size: int,
        conv_groups: int = 1,
        activation: str = "tanh",
        dropout: float = 0.1,
        layer_norm_eps: float = 1e-7,
        initializer_range: float = 0.02,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self._settings = arguments(locals())
        if kernel_size % 2 == 0:
            raise ValueError(f"`kernel_size` must be odd. Received: kernel_size={kernel_size}")
        self.hidden_size = hidden_size
        self.activation = ACTIVATIONS[activation]
        options = {"padding": "same", "groups": conv_groups, "kernel_initializer": self._initializer()}
        self.conv = self._own(keras.layers.Conv1D, "conv", hidden_size, kernel_size, **options)
        self.dropout = self._own(keras.layers.Dropout, "dropout", dropout)
        self.norm = self._norm("norm")

    def build(self, input_shape=None):
        self.conv.build((None, None, self.hidden_size))
        super().build()

    def call(self, embeddings, hidden_states, attention_mask, training=None):
        real = ops.cast(ops.reshape(attention_mask, (-1, 1)), self.compute_dtype)  # (B * T, 1)
        tokens = ops.reshape(embeddings, (-1, ops.shape(attention_mask)[1], self.hidden_size))
        seen = ops.multiply(ops.reshape(self.conv(tokens), (-1, self.hidden_size)), real)
        seen = self.activation(self.dropout(seen, training=training))
        return ops.multiply(self.norm(ops.add(hidden_states, seen)), real)
