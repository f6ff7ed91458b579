"""BERT."""

import keras

from bert_tf.models.classifier import SequenceClassification
from bert_tf.models.layer_means import LayerMeansForSequenceClassification
from bert_tf.models.pretrained import BaseModel


@keras.saving.register_keras_serializable("bert_tf")
class TFBertModel(BaseModel):
    """BERT (Devlin et al. 2019, https://arxiv.org/abs/1810.04805) without a head: text features.

    As `TFDistilBertModel`, from a `transformers.BertConfig`, with `token_type_ids`; returns
    `TFBaseModelOutputWithPooling`, which has `pooler_output` `(B, D)` as well.
    """

    model_type = "bert"


@keras.saving.register_keras_serializable("bert_tf")
class TFBertForSequenceClassification(SequenceClassification):
    """BERT (Devlin et al. 2019, https://arxiv.org/abs/1810.04805) with a classification head.

    First token -> the base's `pooler` (dense, tanh) -> `dropout` -> `classifier`, as in Hugging Face's class of this name.
    Takes a `transformers.BertConfig` and, beside the inputs of `TFDistilBertForSequenceClassification`,
    `token_type_ids` `(B, T)`; returns and raises the same.
    """

    model_type = "bert"

    def _head(self, base, training):
        return self.classifier(self.dropout(base.pooler_output, training=training))


@keras.saving.register_keras_serializable("bert_tf")
class TFBertLayerMeansForSequenceClassification(LayerMeansForSequenceClassification):
    """BERT with a linear classifier over the means of every layer: see `TFDistilBertLayerMeansForSequenceClassification`.

    The base's `pooler` is kept for whoever reads the base, and not looked at.
    """

    model_type = "bert"
