"""Base classes and main layers, for models of one's own: `class Mine(TFBertPreTrainedModel)` with a `TFBertMainLayer` in it."""

from typing import Any

import keras

from bert_tf.checkpoints.families.family import Family
from bert_tf.checkpoints.families.table import FAMILIES, encoder_settings
from bert_tf.checkpoints.weights import PYTORCH_NAMES
from bert_tf.models.encoder import Encoder
from bert_tf.models.keras_internals import all_layers
from bert_tf.models.pretrained import Pretrained

TFPreTrainedModel = Pretrained


class Subclassed(Pretrained):
    """What a model of one's own inherits: `from_pretrained`, `save_pretrained`, the forms of calls.

    Its constructor makes the layers, a main layer of the family under the family's name among them: `self.bert =
    TFBertMainLayer(config, name="bert")`. `from_pretrained` fills that, and layers of one's own whose names and sizes are in the
    checkpoint; others are newly initialised, which the log says. `save_pretrained` writes them all.

    Args:
        config: the family's config.
    """

    def _add_layers(self, shares, without):
        """Adds nothing: the subclass does."""

    @property
    def encoder(self) -> Encoder:
        """The main layer."""
        found = getattr(self, self.base_model_prefix, None)
        if not isinstance(found, Encoder):
            name = FAMILIES[self.model_type].name
            raise NotImplementedError(  # of an AttributeError PyTorch would make a sentence of its own
                f"{type(self).__name__} has no main layer: self.{self.base_model_prefix} = "
                f'TF{name}MainLayer(config, name="{self.base_model_prefix}") in its constructor.'
            )
        return found

    def own_variables(self) -> dict[str, tuple]:
        found = {}
        for layer in all_layers(self, recursive=False):
            for variable in () if isinstance(layer, (Encoder, keras.Metric)) else layer.weights:
                *parts, last = variable.path.rpartition(f"{layer.name}/")[2].split("/")
                transposed = last == "kernel" and len(variable.shape) == 2
                name = ".".join([layer.name, *parts, PYTORCH_NAMES.get(last, last)])
                found[name] = (variable, transposed, getattr(layer, f"{last}_initializer", None))
        return found


class MainLayer(Encoder):
    """The encoder of a family, made from its config: what stands below the head, as a layer.

    Args:
        config: the family's config; its `output_hidden_states` and `output_attentions` hold for every call that does not say.
        add_pooling_layer: bool, whether it has the family's pooler, if the family has one.
    Call arguments, Returns: those of `bert_tf.models.encoder.Encoder`.
    """

    model_type: str

    def __init__(self, config: Any, add_pooling_layer: bool = True, **kwargs):
        settings = encoder_settings(config, headed=False)
        super().__init__(**settings | ({} if add_pooling_layer else {"pooler": False}), **kwargs)
        self.config, self.add_pooling_layer = config, add_pooling_layer
        self.build()

    def __call__(self, inputs=None, *args, **kwargs):
        for name in ("output_hidden_states", "output_attentions"):
            kwargs[name] = kwargs[name] if kwargs.get(name) is not None else bool(getattr(self.config, name, False))
        kwargs.pop("return_dict", None)
        return super().__call__(inputs, *args, **kwargs)

    def get_config(self):
        dtype = keras.saving.serialize_keras_object(self.dtype_policy)
        own = {"config": self.config.to_dict(), "add_pooling_layer": self.add_pooling_layer}
        return {"name": self.name, "trainable": self.trainable, "dtype": dtype, **own}

    @classmethod
    def from_config(cls, config):
        import transformers

        values = dict(config)
        kind = getattr(transformers, FAMILIES[cls.model_type].config_class)
        values["dtype"] = keras.saving.deserialize_keras_object(values["dtype"])
        return cls(kind.from_dict(values.pop("config")), **values)


def _made(family: Family, base: type, ending: str) -> type:
    """Makes a family's class."""
    documentation = f"{family.title}. {base.__doc__}"
    attributes = {"__module__": __name__, "__doc__": documentation, "model_type": family.model_type}
    return keras.saving.register_keras_serializable("bert_tf")(type(f"TF{family.name}{ending}", (base,), attributes))


for _family in FAMILIES.values():
    for _base, _ending in ((Subclassed, "PreTrainedModel"), (MainLayer, "MainLayer")):
        globals()[f"TF{_family.name}{_ending}"] = _made(_family, _base, _ending)
