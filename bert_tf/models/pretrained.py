"""What all models share: an encoder built from a config, files, names."""

import copy
import os
import tempfile
import warnings
from typing import Any

import keras
from keras import ops

from bert_tf.checkpoints import hub, locate
from bert_tf.checkpoints.config import read_config
from bert_tf.checkpoints.families.table import FAMILIES, encoder_settings
from bert_tf.checkpoints.folder import has_head, load_weights, save
from bert_tf.checkpoints.heads import HEADS, OWN_KEY, THEIR_KEY, class_name, head_of, pooling_of
from bert_tf.models.calls import CallForms, unpacked
from bert_tf.models.encoder import Encoder
from bert_tf.models.keras_internals import all_layers
from bert_tf.models.parts import weights_from_a_file
from bert_tf.models.retraining import FollowsFreezing
from bert_tf.models.saving import KerasFiles

HUB_OPTIONS = ("revision", "cache_dir", "force_download", "local_files_only", "token", "subfolder")

# Arguments of `from_pretrained` in transformers 4 that no longer have a meaning.
OBSOLETE: tuple[str, ...] = ("from_pt", "from_tf", "torch_dtype", "use_auth_token", "trust_remote_code")
OBSOLETE += ("resume_download", "proxies", "mirror", "tf_to_pt_weight_rename", "weights_only", "attn_implementation")
# And keys of its configs, which mattered to models that write text, to PyTorch or to nothing.
OBSOLETE += ("torchscript", "pruned_heads", "tie_encoder_decoder", "cross_attention_hidden_size", "tf_legacy_loss")
OBSOLETE += ("finetuning_task", "task_specific_params", "use_bfloat16", "sep_token_id", "decoder_start_token_id")
# Arguments of `save_pretrained` in transformers 4 that no longer have a meaning.
NO_EFFECT_WHEN_SAVING = ("save_format", "signatures", "is_main_process", "save_function", "variant", "use_auth_token")


def number_of_weights(layer: keras.layers.Layer, only_trainable: bool = False) -> int:
    return sum(int(ops.size(v)) for v in (layer.trainable_weights if only_trainable else layer.weights))


class _class_property:  # noqa: N801  (used as a decorator)
    """A read-only property of a class and its instances."""

    def __init__(self, method):
        self.method = method

    def __get__(self, instance, owner):
        return self.method(owner)


class Pretrained(CallForms, KerasFiles, FollowsFreezing, keras.Model):
    """What all models share: an encoder built from a config, files, names. Its classes are made in `bert_tf.models.auto`."""

    model_type: str
    head: str | None = None  # a key of `bert_tf.checkpoints.heads.HEADS`; None = no head
    main_input_name = "input_ids"

    def __init__(self, config, *inputs, shares: dict | None = None, add_pooling_layer: bool = True, **kwargs):
        if getattr(config, "model_type", None) != self.model_type:
            raise TypeError(
                f"{type(self).__name__} takes a {FAMILIES[self.model_type].config_class} as its config. "
                f"Received: {type(config).__name__}. To load a checkpoint use `from_pretrained`."
            )
        if getattr(config, "is_decoder", False):
            raise ValueError("is_decoder=True: only encoders are supported. Set it to False in the config.")
        if self.head and head_of(config) != self.head:
            config = copy.deepcopy(config)
            if getattr(config, THEIR_KEY, None) in HEADS:  # as older versions wrote it
                delattr(config, THEIR_KEY)
            setattr(config, OWN_KEY, self.head)
        super().__init__(**kwargs)
        self.config = config
        self.name_or_path = ""
        self._add_layers(shares or {}, {} if add_pooling_layer else {"pooler": False})

    def _add_layers(self, shares: dict, without: dict) -> None:
        """Makes the layers: the encoder, with `without` for what the config does not say, and the head."""
        settings = encoder_settings(self.config, headed=self.head is not None) | shares | without
        if self.head:
            settings["pooling"] = pooling_of(self.config)
        encoder = Encoder(**settings, dtype=self.dtype_policy, name=self.base_model_prefix)
        setattr(self, self.base_model_prefix, encoder)
        self._add_head(encoder.hidden_size)
        encoder.build()
        self.built = True

    def _add_head(self, hidden_size: int) -> None:
        """Adds the layers above the encoder, if there are any."""

    def own_variables(self) -> dict[str, tuple]:
        """Returns what a subclass adds to be saved: name in the file -> (variable, whether it is transposed, initializer)."""
        return {}

    @_class_property
    def base_model_prefix(cls) -> str:  # noqa: N805
        return FAMILIES[cls.model_type].prefix

    @_class_property
    def config_class(cls) -> type:  # noqa: N805
        import transformers

        return getattr(transformers, FAMILIES[cls.model_type].config_class)

    @property
    def encoder(self) -> Encoder:
        """The base, whatever attribute name the family gives it."""
        return getattr(self, self.base_model_prefix)

    @property
    def dummy_inputs(self) -> dict:
        """A small valid input, int32 `(3, 5)`."""
        return {"input_ids": ops.array([[7, 6, 0, 0, 1], [1, 2, 3, 0, 0], [0, 0, 0, 4, 5]], "int32")}

    def num_parameters(self, only_trainable: bool = False) -> int:
        """Returns the number of weights, or of trainable weights."""
        return number_of_weights(self, only_trainable)

    def get_input_embeddings(self) -> keras.layers.Embedding:
        """Returns the layer that turns token ids into vectors."""
        return self.encoder.embeddings.word_embeddings

    def get_output_embeddings(self) -> None:
        """Returns None: there is no head that predicts words; nor for `get_lm_head` and `get_bias`."""

    get_lm_head = get_bias = get_output_embeddings

    def resize_token_embeddings(self, new_num_tokens: int | None = None) -> keras.layers.Embedding:
        """Changes the size of the vocabulary, for tokens added to a tokenizer. Compile the model again afterwards.

        Args:
            new_num_tokens: int; embeddings beyond it are dropped, additional ones are random. None = no change.
        Returns: the layer that turns token ids into vectors.
        """
        if new_num_tokens not in (None, self.config.vocab_size):
            if new_num_tokens < 1:
                raise ValueError(f"`new_num_tokens` must be at least 1. Received: new_num_tokens={new_num_tokens}")
            self.encoder.resize(new_num_tokens)
            self.config.vocab_size = new_num_tokens
        return self.get_input_embeddings()

    def _or_config(self, argument: bool | None, name: str) -> bool:
        """Returns an argument of a call, or if it is None the config's value."""
        return bool(getattr(self.config, name, name == "return_dict") if argument is None else argument)

    def _encode(self, inputs: tuple, attentions: bool | None, hidden_states: bool | None, training, first_token=False):
        """Calls the encoder; `inputs` are in the order of its `call`, `first_token` says that the head needs no more."""
        attentions = self._or_config(attentions, "output_attentions")
        hidden_states = self._or_config(hidden_states, "output_hidden_states")
        first_token = first_token and self.encoder.pooling == "first_token" and not attentions and not hidden_states
        outputs = {"output_attentions": attentions, "output_hidden_states": hidden_states, "first_token": first_token}
        # Past `CallForms`, which has named the inputs already.
        return keras.layers.Layer.__call__(self.encoder, *inputs, **outputs, training=training)

    def prepare_tf_dataset(self, dataset, *args, **kwargs):
        """Returns batches for `fit` from rows of tokenized texts: see `bert_tf.data.rows.prepare_tf_dataset`."""
        from bert_tf.data.rows import prepare_tf_dataset

        return prepare_tf_dataset(self, dataset, *args, **kwargs)

    @classmethod
    def from_pretrained(
        cls,
        source: str | os.PathLike,
        *inputs,
        config=None,
        ignore_mismatched_sizes: bool = False,
        output_loading_info: bool = False,
        use_safetensors: bool | None = None,
        **kwargs,
    ) -> Any:
        """Loads a model from a Hugging Face folder or hub name.

        Reads model.safetensors, single or sharded, with PyTorch's names or those that transformers 4 wrote from
        TensorFlow, and tf_model.h5.

        Args:
            source: folder, hub name, `"minilm"` for the embedded default, or a file of weights (.h5, .safetensors), with its
                config.json beside it or a `config`.
            config: a config to use instead of the checkpoint's; None = the checkpoint's.
            ignore_mismatched_sizes: bool, whether what has other sizes in the model, such as a head with another number of
                labels, is initialised newly.
            output_loading_info: bool, whether to return `(model, info)`; info names what was not loaded or not read.
            use_safetensors: True = only safetensors, False = only tf_model.h5, None = whichever is there.
            **kwargs: `revision`, `cache_dir`, `force_download`, `local_files_only`, `token`, `subfolder` for the hub;
                `name` and `dtype` for the Keras model; `add_pooling_layer=False` leaves out BERT's pooler; anything else replaces a key of the config: `num_labels=3`,
                `id2label={...}`, `dropout=0.2`.
        Returns: the model with its weights. A head that the checkpoint lacks is newly initialised; a warning says so.
        Raises: FileNotFoundError for an unknown checkpoint; ValueError if it is damaged or of another family.
        """
        kwargs = {name: value for name, value in kwargs.items() if value is not None and name not in OBSOLETE}
        if isinstance(config, (str, os.PathLike)):
            config = read_config(locate.resolve(config))
        options = {name: kwargs.pop(name) for name in ("name", "dtype", "add_pooling_layer") if name in kwargs}
        file = locate.weights_file(source)
        hub_options = {name: kwargs.pop(name) for name in HUB_OPTIONS if name in kwargs}
        folder = file.parent if file else locate.resolve(source, **hub_options)
        files = {"file": file.name} if file else {"use_safetensors": use_safetensors}
        config = read_config(folder, given=config, **kwargs)
        if config.model_type != cls.model_type:
            raise ValueError(
                f"{folder} holds a {config.model_type!r} model, {cls.__name__} reads {cls.model_type!r}. Use "
                f"{class_name(config, cls.head is not None)}, or `bert-tf convert --to distilbert` to fold a BERT."
            )
        if cls.head and head_of(config) != cls.head and has_head(folder, **files):
            raise ValueError(
                f"{folder} has a head over {HEADS[head_of(config)].sees}, {cls.__name__} reads one over "
                f"{HEADS[cls.head].sees}. Use {class_name(config, True)}, or TFAutoModelForSequenceClassification."
            )
        with weights_from_a_file():
            model = cls(config, *inputs, **options)
            if not model.built:  # a subclass: its layers are built by a call
                model(model.dummy_inputs)
        info = load_weights(model, folder, ignore_mismatched_sizes, **files)
        model.name_or_path = os.fspath(source)
        return (model, info) if output_loading_info else model

    def save_pretrained(
        self,
        folder: str | os.PathLike,
        max_shard_size: int | str = "5GB",
        push_to_hub: bool = False,
        safe_serialization: bool = True,
        saved_model: bool = False,
        **kwargs,
    ) -> None:
        """Writes config.json and model.safetensors, which `transformers.AutoModel...` reads.

        Args:
            folder: created if necessary. Files appear in it only once all are written.
            max_shard_size: bytes, or a string such as "500MB"; larger weights are split into several files.
            push_to_hub: bool, whether to upload the folder too; `kwargs` are then those of `push_to_hub`.
            safe_serialization: ignored: it is always safetensors that is written; False is answered with a warning.
            saved_model: bool, whether to export a SavedModel too, to saved_model/1 in the folder (`version=2`: saved_model/2).
        """
        version = kwargs.pop("version", 1)
        kwargs = {name: value for name, value in kwargs.items() if name not in NO_EFFECT_WHEN_SAVING}
        if kwargs and not push_to_hub:
            raise TypeError(f"save_pretrained has no argument {', '.join(kwargs)}.")
        if not safe_serialization:
            warnings.warn(
                "safe_serialization=False: the weights are saved all the same, but as model.safetensors, which transformers, "
                "PyTorch and bert_tf read; tf_model.h5 and pickles are not written. Leave the argument out.",
                stacklevel=2,
            )
        save(self, folder, max_shard_size)
        if saved_model:
            self.export(os.path.join(folder, "saved_model", str(version)), verbose=False)
        if push_to_hub:
            hub.upload(folder, kwargs.pop("repo_id", None) or os.path.basename(os.path.abspath(folder)), **kwargs)

    def push_to_hub(
        self,
        repo_id: str,
        commit_message: str = "Upload model",
        private: bool | None = None,
        token: str | bool | None = None,
        max_shard_size: int | str = "5GB",
    ) -> str:
        """Uploads the model to the Hugging Face hub; returns the URL of the commit.

        Args:
            repo_id: "name" or "organisation/name"; created if necessary.
            token: None = the one stored by `hf auth login`.
        """
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder, max_shard_size)
            return hub.upload(folder, repo_id, commit_message, private, token)

    def create_model_card(self, output_dir: str | os.PathLike, model_name: str | None = None, **metadata) -> None:
        """Writes README.md, the Hugging Face model card: the model's origin, how it was trained, its results.

        Args:
            output_dir: the model's folder.
            model_name: None = the folder's name.
            **metadata: `language`, `license`, `tags`, `finetuned_from`, `tasks`, `dataset` for the card's header.
        """
        history = getattr(getattr(self, "history", None), "history", {})
        optimizer = self.optimizer.get_config() if getattr(self, "optimizer", None) else {}
        metadata.setdefault("finetuned_from", self.name_or_path or None)
        from bert_tf.reporting import card

        card.write_model_card(output_dir, model_name, history, optimizer, **metadata)

    def get_config(self):
        dtype = keras.saving.serialize_keras_object(self.dtype_policy)
        frozen = [i for i, layer in enumerate(all_layers(self)) if not layer.trainable]
        values = {"config": self.config.to_dict(), "name": self.name, "dtype": dtype, "frozen": frozen}
        pooled = encoder_settings(self.config, headed=self.head is not None)["pooler"] and self.encoder.pooler is None
        return values | ({"add_pooling_layer": False} if pooled else {})

    @classmethod
    def from_config(cls, config, custom_objects=None):
        if not isinstance(config, dict):  # transformers 4: from_config(config)
            return cls(config)
        if "config" not in config:
            raise ValueError(
                f"{cls.__name__}: a whole model that transformers 4 saved with Keras 2, which Keras 3 cannot build from its file. "
                "Build it again as the script did, then model.load_weights(file): weights as .h5 load."
            )
        dtype = keras.saving.deserialize_keras_object(config["dtype"])
        options = {"add_pooling_layer": False} if config.get("add_pooling_layer") is False else {}
        model = cls(cls.config_class.from_dict(config["config"]), name=config["name"], dtype=dtype, **options)
        if any(not layer.built for layer in all_layers(model)):  # layers that a subclass adds
            model(model.dummy_inputs)
        layers = all_layers(model)
        for i in config["frozen"]:
            layers[i].trainable = False
        return model


class BaseModel(Pretrained):
    """An encoder without a head, as a model."""

    @unpacked
    def call(
        self,
        input_ids=None,
        attention_mask=None,
        token_type_ids=None,
        inputs_embeds=None,
        output_attentions=None,
        output_hidden_states=None,
        return_dict=None,
        training=None,
    ):
        inputs = (input_ids, attention_mask, token_type_ids, inputs_embeds)
        output = self._encode(inputs, output_attentions, output_hidden_states, training)
        return output if self._or_config(return_dict, "return_dict") else output.to_tuple()
