"""Models with the names they had in transformers 4, as native Keras 3.

    model = TFDistilBertForSequenceClassification.from_pretrained("distilbert-base-uncased", num_labels=2)
    model.distilbert.trainable = False
    model.compile("adam", metrics=["accuracy"])
    model.fit(train, validation_data=validation, epochs=3)
    model.save_pretrained("my-model")

A model is an encoder, and for a classifier a head. Logits are float32 under every dtype policy.
"""

import copy
import os
from collections.abc import Callable
from typing import Any

from bert_tf.checkpoints import locate
from bert_tf.checkpoints.config import read_config
from bert_tf.checkpoints.families.table import family_of, pooling_of
from bert_tf.models.families.bert import (
    TFBertForSequenceClassification,
    TFBertLayerMeansForSequenceClassification,
    TFBertModel,
)
from bert_tf.models.families.distilbert import (
    TFDistilBertForSequenceClassification,
    TFDistilBertLayerMeansForSequenceClassification,
    TFDistilBertModel,
)
from bert_tf.models.pretrained import HUB_OPTIONS

CLASSES: dict[str, Any] = {
    "distilbert": TFDistilBertForSequenceClassification,
    "bert": TFBertForSequenceClassification,
}


LAYER_MEANS: dict[str, Any] = {
    "distilbert": TFDistilBertLayerMeansForSequenceClassification,
    "bert": TFBertLayerMeansForSequenceClassification,
}


BASES: dict[str, Any] = {"distilbert": TFDistilBertModel, "bert": TFBertModel}


def classifier_class(config) -> Any:
    """Returns the class of the classifier that a config describes, by its `model_type` and `classifier_pooling`."""
    family_of(config.model_type, "config")
    return (LAYER_MEANS if pooling_of(config) == "layer_means" else CLASSES)[config.model_type]


def base_class(config) -> Any:
    """Returns the class of the model without a head that a config describes, by its `model_type`."""
    family_of(config.model_type, "config")
    return BASES[config.model_type]


class _Auto:
    """Chooses the class by a checkpoint's config."""

    class_of: Callable[[Any], Any]

    @classmethod
    def from_pretrained(cls, source: str | os.PathLike, **kwargs) -> Any:
        """Reads the checkpoint's config and calls `from_pretrained` of the class for it, which see."""
        options = {name: kwargs[name] for name in HUB_OPTIONS if kwargs.get(name) is not None}
        config = kwargs.get("config")
        if config is None or isinstance(config, (str, os.PathLike)):
            config = read_config(locate.resolve(config or source, **options))
        if kwargs.get("classifier_pooling"):
            config = copy.deepcopy(config)
            config.classifier_pooling = kwargs["classifier_pooling"]
        return cls.class_of(config).from_pretrained(source, **kwargs)

    @classmethod
    def from_config(cls, config) -> Any:
        """Builds a model with fresh weights from a transformers config."""
        return cls.class_of(config)(config)


class TFAutoModelForSequenceClassification(_Auto):
    """The classifier of whichever family a checkpoint belongs to: `from_pretrained(folder_or_name, num_labels=2)`."""

    class_of = staticmethod(classifier_class)


class TFAutoModel(_Auto):
    """The model without a head of whichever family a checkpoint belongs to: `from_pretrained(folder_or_name)`."""

    class_of = staticmethod(base_class)
