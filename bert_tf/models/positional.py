"""What the distance of two tokens does to their attention, by kind.

A kind has two halves. A layer of the encoder computes, once a call, what all its layers need; each layer's attention, a subclass
of `bert_tf.models.attention.SelfAttention`, adds that to its scores.
"""

from typing import NamedTuple

from bert_tf.models.disentangled import DisentangledAttention, RelativeEmbeddings
from bert_tf.models.parts import Part
from bert_tf.models.relative_bias import BiasedAttention, RelativeBias
from bert_tf.models.rotary import RotaryAttention, Rotations


class Positional(NamedTuple):
    """One kind.

    Attributes:
        once: layer that the encoder calls with the attention mask `(B, T)`, which says how many tokens there are. Its constructor
            takes any of the encoder's settings, by their names, and the settings of the kind.
        attention: the class of each layer's attention; it gets the result as `positional`.
    """

    once: type[Part]
    attention: type[Part]


POSITIONAL = {
    "disentangled": Positional(RelativeEmbeddings, DisentangledAttention),
    "rotary": Positional(Rotations, RotaryAttention),
    "table": Positional(RelativeBias, BiasedAttention),
}
