"""A linear head over the means of every layer."""

from keras import ops

from bert_tf.models.classifier import SequenceClassification
from bert_tf.models.layers import Standardization


class LayerMeansForSequenceClassification(SequenceClassification):
    """An encoder and a linear head over the means of every layer, standardised."""

    pooling = "layer_means"

    def _add_head(self, hidden_size):
        width = hidden_size * (len(self.encoder.blocks.layer) + 1)
        self.standardization = Standardization(dtype="float32", name="standardization")
        self.standardization.build((None, width))
        super()._add_head(width)
        # Convex without anything hidden: it may start from nothing, and random weights on so many features would be in the way.
        self.classifier.kernel.assign(ops.zeros_like(self.classifier.kernel))

    def _head(self, base, training):
        return self.classifier(self.dropout(self.standardization(base.pooler_output), training=training))

    def adapt(self, features) -> None:
        """Measures what the head standardises by; to be called once, before training, with the training texts' features.

        Args:
            features: float `(N, (layers + 1) * D)`, or what `bert_tf.features.extract` gives of a base that is all frozen.
        """
        self.standardization.adapt(features)

    def freeze(self, unfreeze: int | str = 0) -> None:
        super().freeze(unfreeze)
        if self.encoder.pooler is not None:
            self.encoder.pooler.trainable = False  # this head does not look at it

    freeze.__doc__ = SequenceClassification.freeze.__doc__
