"""BERT."""

import keras

from bert_tf.models.classifier import SequenceClassification
from bert_tf.models.layer_means import LayerMeansForSequenceClassification
from bert_tf.models.pretrained import BaseModel


@keras.saving.register_keras_serializable("bert_tf")
class TFBertModel(BaseModel):
    """BERT (Devlin et al. 2019, https://arxiv.org/abs/1810.04805) without a head.

    As `TFDistilBertModel`, but takes a `transformers.BertConfig` and `token_type_ids`, and returns
    `TFBaseModelOutputWithPooling`, which also has `pooler_output` `(B, D)`.
    """

    model_type = "bert"


@keras.saving.register_keras_serializable("bert_tf")
class TFBertForSequenceClassification(SequenceClassification):
    """BERT (Devlin et al. 2019, https://arxiv.org/abs/1810.04805) with a classification head.

    First token -> the base's `pooler` (dense, tanh) -> `dropout` -> `classifier`, as in Hugging Face's class of this name.
    Takes a `transformers.BertConfig` and, besides the inputs of `TFDistilBertForSequenceClassification`,
    `token_type_ids` `(B, T)`; returns and raises the same.
    """

    model_type = "bert"

    def _head(self, base, training):
        return self.classifier(self.dropout(base.pooler_output, training=training))


@keras.saving.register_keras_serializable("bert_tf")
class TFBertLayerMeansForSequenceClassification(LayerMeansForSequenceClassification):
    """BERT with a linear head over the means of every layer: see `TFDistilBertLayerMeansForSequenceClassification`.

    The head does not use the base's `pooler`; it is kept so that the saved base is complete.
    """

    model_type = "bert"


CLASSES = (TFBertModel, TFBertForSequenceClassification, TFBertLayerMeansForSequenceClassification)
