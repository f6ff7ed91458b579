"""The classes of models: made from the rows of the families, and found by a config."""

import copy
import os
from typing import Any

import keras

from bert_tf.checkpoints import locate
from bert_tf.checkpoints.config import read_config
from bert_tf.checkpoints.families.family import Family
from bert_tf.checkpoints.families.table import FAMILIES, family_of
from bert_tf.checkpoints.heads import OWN_KEY, THEIR_KEY, class_names, head_of
from bert_tf.models.classifier import SequenceClassification
from bert_tf.models.layer_means import LayerMeansForSequenceClassification
from bert_tf.models.pretrained import HUB_OPTIONS, BaseModel

KINDS: dict[str | None, type] = {
    None: BaseModel,
    "first_token": SequenceClassification,
    "layer_means": LayerMeansForSequenceClassification,
}


def _made(family: Family, kind: str | None) -> type:
    """Makes a family's class for a kind of head; None = without one."""
    name = class_names(family)[kind]
    texts = {"family": family, "name": name, "headed": class_names(family)["first_token"]}
    attributes = {
        "__module__": __name__,
        "__doc__": DOCUMENTATION[kind].format(**texts) + (DOCUMENTATION_OF_CALLS if kind else ""),
        "model_type": family.model_type,
    }
    return keras.saving.register_keras_serializable("bert_tf")(type(name, (KINDS[kind],), attributes))


DOCUMENTATION = {
    None: """{family.title} without a head.

    Args:
        config: `transformers.{family.config_class}`. To load a checkpoint use `from_pretrained`.
    Call arguments: those of `{headed}`, without `features` and `labels`.
    Returns: `TFBaseModelOutput`: `last_hidden_state` `(B, T, D)`, and on request `hidden_states`, `attentions`; if the family
        has a pooler, `TFBaseModelOutputWithPooling`, which also has `pooler_output` `(B, D)`.

    >>> model = {name}.from_pretrained({family.example!r})  # doctest: +SKIP
    """,
    "first_token": """{family.title} with a classification head, as Hugging Face's class of this name has it.

    Args:
        config: `transformers.{family.config_class}`. To load a checkpoint use `from_pretrained`.""",
    "layer_means": """{family.title} with a linear head over the means of every layer, for a base that stays frozen.

    Means of the embeddings and of each layer's states over the real tokens, concatenated -> standardised by mean and
    variance of the training texts (`adapt`) -> `dropout` -> `classifier`. A frozen first token was never trained to summarise
    a text; the means of all layers hold far more: 0.90 accuracy on product reviews with MiniLM, where it reaches 0.80.

    transformers has no class with this head: `transformers.AutoModel` reads the base of a saved model, but nothing there
    reads the head. In config.json `"bert_tf_pooling": "layer_means"` tells `TFAutoModelForSequenceClassification` and the
    rest of bert_tf. `features` are float `(B, (layers + 1) * D)` and need all layers frozen.

    Args:
        config: `transformers.{family.config_class}`. To load a checkpoint use `from_pretrained`.""",
}
DOCUMENTATION_OF_CALLS = """
    Call arguments:  (B = batch, T = tokens, D = hidden_size, H = heads)
        inputs: `input_ids`, or a dict, `BatchEncoding` or list of inputs. `input_ids`, `attention_mask` (1 = real
            token, None = all real), `token_type_ids` (None = all 0; ignored by a family without them): int `(B, T)`;
            `inputs_embeds`: float `(B, T, D)`; `features`: the result of frozen layers, see `bert_tf.features.extract`;
            `labels`: int `(B,)`, for regression float `(B,)`, for multi-label models float `(B, num_labels)`.
        output_attentions, output_hidden_states, return_dict: bool, None = the config's value.
        training: bool, whether dropout is active.
    Returns: `TFSequenceClassifierOutput`: `logits` float32 `(B, num_labels)`, and on request `loss` `(B,)`,
        `hidden_states` (layers + 1 of `(B, T, D)`), `attentions` (layers of `(B, H, T, T)`).
    Raises: TypeError if `config` is another class; ValueError if a text has more tokens than the model has positions.
    """

# By model_type and kind of head; None = the model without a head.
CLASSES: dict[tuple[str, str | None], Any] = {
    (family.model_type, kind): _made(family, kind) for family in FAMILIES.values() for kind in KINDS
}
globals().update({made.__name__: made for made in CLASSES.values()})


def model_class(config, headed: bool = True) -> Any:
    """Returns the class for a config: of the classifier it describes, or of the model without a head.

    Raises: ValueError for an unknown `model_type` or kind of head.
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
        if kind := kwargs.get(OWN_KEY) or kwargs.get(THEIR_KEY):
            config = copy.copy(config)
            setattr(config, OWN_KEY if kind in KINDS else THEIR_KEY, kind)
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
