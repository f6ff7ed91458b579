"""Classifiers with a linear head over the means of every layer."""

from keras import ops

from bert_tf.models.classifier import SequenceClassification
from bert_tf.models.encoder import layer_means
from bert_tf.models.outputs import TFBaseModelOutputWithPooling
from bert_tf.models.parts import Standardization


class LayerMeansForSequenceClassification(SequenceClassification):
    """An encoder and a linear head over the standardised means of every layer."""

    head = "layer_means"

    def _add_head(self, hidden_size):
        width = hidden_size * (len(self.encoder.blocks.layer) + 1)
        self.standardization = Standardization(dtype="float32", name="standardization")
        self.standardization.build((None, width))
        self._add_classifier(width)
        # A convex problem can start from zero; random weights on so many features would only be in the way.
        self.classifier.kernel.assign(ops.zeros(self.classifier.kernel.shape))

    def _encode(self, inputs, attentions, hidden_states, training, first_token=False):
        """Calls the encoder for all hidden states; their means become `pooler_output`."""
        _, attention_mask, _, _, features = inputs
        if features is not None:  # the means, computed once
            if not self.encoder.all_frozen:
                raise ValueError(
                    "This head needs the states of every layer, `features` are those of one: freeze all layers, or pass "
                    "`input_ids`."
                )
            return TFBaseModelOutputWithPooling(pooler_output=ops.cast(features, "float32"))
        base = super()._encode(inputs, attentions, True, training)
        if attention_mask is None:
            attention_mask = ops.ones(ops.shape(base.hidden_states[0])[:2], "int32")
        return TFBaseModelOutputWithPooling(
            pooler_output=layer_means(base.hidden_states, attention_mask),
            hidden_states=base.hidden_states if self._or_config(hidden_states, "output_hidden_states") else None,
            attentions=base.attentions,
        )

    def _head(self, base, attention_mask, features, training):
        return self.classifier(self.dropout(self.standardization(base.pooler_output), training=training))

    def _copy_head(self, other, chosen):
        """Copies nothing: without the other layers the chosen ones see other states, so that this head would misjudge them."""

    def adapt(self, features) -> None:
        """Measures mean and variance for the standardisation; call it once, before training, on the training texts.

        Args:
            features: float `(N, (layers + 1) * D)`, or the result of `bert_tf.features.extract` with all layers frozen.
        """
        self.standardization.adapt(features)

    def freeze(self, unfreeze: int | str = 0) -> None:
        super().freeze(unfreeze)
        if self.encoder.pooler is not None:
            self.encoder.pooler.trainable = False  # this head does not use it

    freeze.__doc__ = SequenceClassification.freeze.__doc__
