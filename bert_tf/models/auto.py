"""The class of a model, found by its config."""

import copy
import os
from typing import Any

from bert_tf.checkpoints import locate
from bert_tf.checkpoints.config import read_config
from bert_tf.checkpoints.families.table import family_of
from bert_tf.checkpoints.heads import head_of
from bert_tf.models.families import bert, distilbert
from bert_tf.models.pretrained import HUB_OPTIONS

# By model_type and kind of head; None = the model without a head.
CLASSES: dict[tuple[str, str | None], Any] = {
    (model.model_type, model.head): model for model in (*distilbert.CLASSES, *bert.CLASSES)
}


def model_class(config, headed: bool = True) -> Any:
    """Returns the class for a config: of the classifier it describes, or of the model without a head.

    Raises: ValueError for an unknown `model_type` or `classifier_pooling`.
    """
    return CLASSES[family_of(config.model_type, "config").model_type, head_of(config) if headed else None]


class _Auto:
    """Chooses the class by a checkpoint's config."""

    headed: bool

    @classmethod
    def from_pretrained(cls, source: str | os.PathLike, **kwargs) -> Any:
        """Reads the checkpoint's config and calls `from_pretrained` of its class, with the same arguments."""
        options = {name: kwargs[name] for name in HUB_OPTIONS if kwargs.get(name) is not None}
        config = kwargs.get("config")
        if config is None or isinstance(config, (str, os.PathLike)):
            config = read_config(locate.resolve(config or source, **options))
        if kwargs.get("classifier_pooling"):
            config = copy.deepcopy(config)
            config.classifier_pooling = kwargs["classifier_pooling"]
        return model_class(config, cls.headed).from_pretrained(source, **kwargs)

    @classmethod
    def from_config(cls, config) -> Any:
        """Builds a model with random weights from a transformers config."""
        return model_class(config, cls.headed)(config)


class TFAutoModelForSequenceClassification(_Auto):
    """The classifier for any checkpoint, whatever its family: `from_pretrained(folder_or_name, num_labels=2)`."""

    headed = True


class TFAutoModel(_Auto):
    """The model without a head for any checkpoint, whatever its family: `from_pretrained(folder_or_name)`."""

    headed = False
