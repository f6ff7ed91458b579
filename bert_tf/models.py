"""Models with the names they had in transformers 4, as native Keras 3.

    model = TFDistilBertForSequenceClassification.from_pretrained("distilbert-base-uncased", num_labels=2)
    model.distilbert.trainable = False
    model.compile("adam", metrics=["accuracy"])
    model.fit(train, validation_data=validation, epochs=3)
    model.save_pretrained("my-model")

A model is an encoder, and for a classifier a head. Logits are float32 under every dtype policy.
"""

import copy
import operator
import os
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from bert_tf import checkpoint, hardware, hub
from bert_tf.encoder import LABEL_KEYS, CallForms, Encoder
from bert_tf.families import FAMILIES, encoder_settings, family_of, pooling_of
from bert_tf.layers import Dropout, Standardization
from bert_tf.outputs import TFSequenceClassifierOutput

HUB_OPTIONS = ("revision", "cache_dir", "force_download", "local_files_only", "token", "subfolder")
OWN_LOSS = ("auto", "auto_with_warning", "passthrough")  # names transformers 4 had for a model's own loss


# Arguments of from_pretrained in transformers 4 that have nothing left to decide.
OBSOLETE = (
    "from_pt",
    "from_tf",
    "trust_remote_code",
    "resume_download",
    "proxies",
    "mirror",
    "torch_dtype",
    "use_auth_token",
)


class _of_class:  # noqa: N801  (used as a decorator)
    """A property that the class has as well as its instances."""

    def __init__(self, method):
        self.method = method

    def __get__(self, instance, owner):
        return self.method(owner)


class _Pretrained(CallForms, keras.Model):
    """What all models share: an encoder made from a config, files, names. Documented at the families' classes."""

    model_type: str
    has_head: bool
    pooling = "first_token"  # what a head sees; see `bert_tf.families.POOLINGS`
    main_input_name = "input_ids"

    def __init__(self, config, shares: dict | None = None, **kwargs):
        if getattr(config, "model_type", None) != self.model_type:
            raise TypeError(
                f"{type(self).__name__} takes a {FAMILIES[self.model_type].config_class} as its config. "
                f"Received: {type(config).__name__}. To load a checkpoint use `from_pretrained`."
            )
        if self.has_head and pooling_of(config) != self.pooling:
            config = copy.deepcopy(config)
            config.classifier_pooling = self.pooling
        hardware.keep_memory()
        super().__init__(**kwargs)
        self.config = config
        self.name_or_path = ""
        settings = encoder_settings(config) | {"pooling": self.pooling} | (shares or {})
        encoder = Encoder(**settings, dtype=self.dtype_policy, name=self.base_model_prefix)
        setattr(self, self.base_model_prefix, encoder)
        self._add_head(encoder.hidden_size)
        encoder.build()
        self.built = True

    def _add_head(self, hidden_size: int) -> None:
        """Makes the layers above the encoder, if there are any."""

    # Names

    @_of_class
    def base_model_prefix(cls) -> str:  # noqa: N805
        return FAMILIES[cls.model_type].prefix

    @_of_class
    def config_class(cls) -> type:  # noqa: N805
        import transformers

        return getattr(transformers, FAMILIES[cls.model_type].config_class)

    @property
    def encoder(self) -> Encoder:
        """The base, whatever the family calls it."""
        return getattr(self, self.base_model_prefix)

    @property
    def dummy_inputs(self) -> dict:
        """A small input of the right form, int32 `(3, 5)`."""
        return {"input_ids": ops.array([[7, 6, 0, 0, 1], [1, 2, 3, 0, 0], [0, 0, 0, 4, 5]], "int32")}

    def num_parameters(self, only_trainable: bool = False) -> int:
        """Returns the number of weights, or of those that training changes."""
        return sum(int(ops.size(v)) for v in (self.trainable_weights if only_trainable else self.weights))

    def get_input_embeddings(self) -> keras.layers.Embedding:
        """Returns the layer that turns token ids into vectors."""
        return self.encoder.embeddings.word_embeddings

    def resize_token_embeddings(self, new_num_tokens: int | None = None) -> keras.layers.Embedding:
        """Gives the vocabulary another size, for tokens added to a tokenizer. Compile the model again afterwards.

        Args:
            new_num_tokens: int; what is cut off is lost, what is new is drawn at random. None = no change.
        Returns: the layer that turns token ids into vectors.
        """
        if new_num_tokens is not None and new_num_tokens < 1:
            raise ValueError(f"`new_num_tokens` must be at least 1. Received: new_num_tokens={new_num_tokens}")
        if new_num_tokens is not None and new_num_tokens != self.config.vocab_size:
            self.encoder.resize(new_num_tokens)
            self.config.vocab_size = new_num_tokens
        return self.get_input_embeddings()

    def _asked(self, argument, name: str) -> bool:
        """An argument of a call, or where it is not given what the config says."""
        return bool(getattr(self.config, name, name == "return_dict") if argument is None else argument)

    def _encode(self, attentions: bool | None, hidden_states: bool | None, first_token: bool = False, **inputs):
        """Calls the encoder; `first_token` says that a head looks at nothing else of the last layer."""
        attentions = self._asked(attentions, "output_attentions")
        hidden_states = self._asked(hidden_states, "output_hidden_states")
        return self.encoder(
            **inputs,
            output_attentions=attentions,
            output_hidden_states=hidden_states,
            first_token=first_token and not attentions and not hidden_states,
        )

    # Files

    def prepare_tf_dataset(self, dataset, *args, **kwargs):
        """Makes batches for `fit` from rows of tokenized texts: see `bert_tf.transformers4.prepare_tf_dataset`."""
        from bert_tf.transformers4 import prepare_tf_dataset

        return prepare_tf_dataset(self, dataset, *args, **kwargs)

    @classmethod
    def from_pretrained(
        cls,
        source: str | os.PathLike,
        *,
        config=None,
        ignore_mismatched_sizes: bool = False,
        output_loading_info: bool = False,
        use_safetensors: bool | None = None,
        **kwargs,
    ) -> Any:
        """Builds a model from a Hugging Face folder or hub name.

        Reads model.safetensors, whole or in shards, with PyTorch's names or those that transformers 4 wrote from
        TensorFlow, and tf_model.h5.

        Args:
            source: folder, hub name, or `"minilm"` for the embedded default.
            config: a config in place of the checkpoint's; None = the checkpoint's.
            ignore_mismatched_sizes: bool, whether a head with another number of labels is replaced by a new one.
            output_loading_info: bool, whether to return `(model, info)`, where info names what stayed new or unread.
            use_safetensors: True = read nothing else, False = read tf_model.h5, None = whichever is there.
            **kwargs: `revision`, `cache_dir`, `force_download`, `local_files_only`, `token`, `subfolder` for the hub;
                `name` and `dtype` of the Keras model; anything else replaces a key of the config: `num_labels=3`,
                `id2label={...}`, `dropout=0.2`.
        Returns: the model, its weights loaded. A head that the checkpoint lacks is new, and said so.
        Raises: FileNotFoundError for an unknown checkpoint; ValueError for one of another family or damaged.
        """
        kwargs = {name: value for name, value in kwargs.items() if value is not None and name not in OBSOLETE}
        if isinstance(config, (str, os.PathLike)):
            config = checkpoint.read_config(checkpoint.resolve(config))
        keras_options = {name: kwargs.pop(name) for name in ("name", "dtype") if name in kwargs}
        folder = checkpoint.resolve(source, **{name: kwargs.pop(name) for name in HUB_OPTIONS if name in kwargs})
        config = checkpoint.read_config(folder, given=config, **kwargs)
        if config.model_type != cls.model_type:
            raise ValueError(
                f"{folder} holds a {config.model_type!r} model, {cls.__name__} reads {cls.model_type!r}. Use "
                f"{(classifier_class(config) if cls.has_head else BASES[config.model_type]).__name__}, or `bert-tf convert --to "
                "distilbert` to fold a BERT."
            )
        if cls.has_head and pooling_of(config) != cls.pooling and checkpoint.has_head(folder):
            raise ValueError(
                f"{folder} has a head over {pooling_of(config).replace('_', ' ')}, {cls.__name__} reads one over "
                f"{cls.pooling.replace('_', ' ')}. Use {classifier_class(config).__name__}, or TFAutoModelForSequenceClassification."
            )
        model = cls(config, **keras_options)
        info = checkpoint.load_weights(model, folder, ignore_mismatched_sizes, use_safetensors=use_safetensors)
        model.name_or_path = os.fspath(source)
        return (model, info) if output_loading_info else model

    def save_pretrained(
        self,
        folder: str | os.PathLike,
        max_shard_size: int | str = "5GB",
        push_to_hub: bool = False,
        safe_serialization: bool = True,
        **kwargs,
    ) -> None:
        """Writes config.json and model.safetensors, as `transformers.AutoModel...` reads them.

        Args:
            folder: made if it is not there. Files appear in it only when all are written.
            max_shard_size: bytes, or a string such as "500MB"; larger weights go into several files.
            push_to_hub: bool, whether to upload the folder as well; `kwargs` are those of `push_to_hub`.
            safe_serialization: must be True: nothing else is written.
        """
        if kwargs and not push_to_hub:
            raise TypeError(
                f"save_pretrained has no argument {', '.join(kwargs)}. For a SavedModel: model.export(folder)."
            )
        if not safe_serialization:
            raise ValueError("Weights are only written as safetensors. Received: safe_serialization=False")
        checkpoint.save(self, folder, max_shard_size)
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
        """Uploads the model to the Hugging Face hub; returns the address of the commit.

        Args:
            repo_id: "name" or "organisation/name"; made if it is not there.
            token: None = the one `hf auth login` has kept.
        """
        return hub.push(
            lambda folder: self.save_pretrained(folder, max_shard_size), repo_id, commit_message, private, token
        )

    def create_model_card(self, output_dir: str | os.PathLike, model_name: str | None = None, **metadata) -> None:
        """Writes README.md, the Hugging Face model card: where the model comes from, how it was trained, its results.

        Args:
            output_dir: folder of the model.
            model_name: None = the folder's name.
            **metadata: `language`, `license`, `tags`, `finetuned_from`, `tasks`, `dataset` go into the card's header.
        """
        history = getattr(getattr(self, "history", None), "history", {})
        optimizer = self.optimizer.get_config() if getattr(self, "optimizer", None) else {}
        metadata.setdefault("finetuned_from", self.name_or_path or None)
        hub.write_model_card(output_dir, model_name, history, optimizer, **metadata)

    def export(self, filepath, *args, input_signature=None, **kwargs):
        """As `keras.Model.export`; without `input_signature` the exported model takes a dict of int32 `input_ids` and
        `attention_mask` `(B, T)`, of any B and T."""
        if input_signature is None:
            names = ("input_ids", "attention_mask")
            input_signature = [{name: keras.InputSpec(dtype="int32", shape=(None, None), name=name) for name in names}]
        return super().export(filepath, *args, input_signature=input_signature, **kwargs)

    def get_config(self):
        dtype = keras.saving.serialize_keras_object(self.dtype_policy)
        frozen = [i for i, layer in enumerate(self._flatten_layers(include_self=False)) if not layer.trainable]
        return {"config": self.config.to_dict(), "name": self.name, "dtype": dtype, "frozen": frozen}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        if not isinstance(config, dict):  # transformers 4: from_config(config)
            return cls(config)
        import transformers

        config_class = getattr(transformers, family_of(config["config"].get("model_type")).config_class)
        dtype = keras.saving.deserialize_keras_object(config["dtype"])
        model = cls(config_class.from_dict(config["config"]), name=config["name"], dtype=dtype)
        layers = list(model._flatten_layers(include_self=False))
        for i in config["frozen"]:
            layers[i].trainable = False
        return model


class _BaseModel(_Pretrained):
    """An encoder alone, as a model."""

    has_head = False

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
        output = self._encode(
            output_attentions,
            output_hidden_states,
            input_ids=input_ids,
            attention_mask=attention_mask,
            token_type_ids=token_type_ids,
            inputs_embeds=inputs_embeds,
            training=training,
        )
        return output if self._asked(return_dict, "return_dict") else output.to_tuple()


class _SequenceClassification(_Pretrained):
    """An encoder and a classification head; a family adds the head.

    A head computes in float32 under every dtype policy: it costs next to nothing, and logits are exact to rounding.
    """

    has_head = True

    def _add_head(self, hidden_size):
        keys = FAMILIES[self.model_type].head_dropout
        rate = next(rate for rate in (getattr(self.config, key) for key in keys) if rate is not None)
        self.dropout = Dropout(rate, dtype="float32", name="dropout")
        self.classifier = self._dense(self.config.num_labels, hidden_size, "classifier")

    def _dense(self, units: int, inputs: int, name: str, **options) -> keras.layers.Dense:
        initializer = keras.initializers.TruncatedNormal(stddev=self.config.initializer_range)
        dense = keras.layers.Dense(units, kernel_initializer=initializer, name=name, dtype="float32", **options)
        dense.build((None, inputs))
        return dense

    def _head(self, base, training):
        raise NotImplementedError

    @property
    def num_labels(self) -> int:
        return self.config.num_labels

    @property
    def problem_type(self) -> str:
        """ "regression", "single_label_classification" or "multi_label_classification": the config's, or by its labels."""
        if self.config.problem_type:
            return self.config.problem_type
        return "regression" if self.num_labels == 1 else "single_label_classification"

    def call(
        self,
        input_ids=None,
        attention_mask=None,
        token_type_ids=None,
        inputs_embeds=None,
        features=None,
        labels=None,
        output_attentions=None,
        output_hidden_states=None,
        return_dict=None,
        training=None,
    ):
        base = self._encode(
            output_attentions,
            output_hidden_states,
            first_token=True,
            input_ids=input_ids,
            attention_mask=attention_mask,
            token_type_ids=token_type_ids,
            inputs_embeds=inputs_embeds,
            features=features,
            training=training,
        )
        logits = self._head(base, training)
        output = TFSequenceClassifierOutput(
            loss=None if labels is None else self.hf_compute_loss(labels, logits),
            logits=logits,
            hidden_states=base.hidden_states,
            attentions=base.attentions,
        )
        return output if self._asked(return_dict, "return_dict") else output.to_tuple()

    def hf_compute_loss(self, labels, logits):
        """Returns the loss of each example, float32 `(B,)`: what `compile(loss="auto")` takes the mean of."""
        return self._own_loss(reduction="none")(labels, logits)

    def _own_loss(self, **options) -> keras.losses.Loss:
        if self.problem_type == "regression":
            return keras.losses.MeanSquaredError(**options)
        if self.problem_type == "multi_label_classification":
            return keras.losses.BinaryCrossentropy(from_logits=True, **options)
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True, **options)

    # Training

    def freeze(self, unfreeze: int | str = 0) -> None:
        """Decides how much of the base is trained; the head always is.

        Args:
            unfreeze: 0 = nothing of the base, k = its top k layers, "all" = everything.
        Raises: ValueError if `unfreeze` is none of these, or more than the model has layers.
        """
        trained, layers = self._layers_to_train(unfreeze), self.encoder.blocks.layer
        self.encoder.trainable = False  # first, since Keras skips setting True where True stands, parts included
        self.encoder.trainable = trained > 0
        if unfreeze != "all" and trained:
            self.encoder.embeddings.trainable = False
            for layer in layers[: len(layers) - trained]:
                layer.trainable = False

    def _layers_to_train(self, unfreeze: int | str) -> int:
        """Returns how many of the top layers `unfreeze` names; raises ValueError as `freeze` does."""
        layers = len(self.encoder.blocks.layer)
        if hasattr(unfreeze, "__index__") and not isinstance(unfreeze, bool):
            unfreeze = operator.index(unfreeze)  # NumPy's integers too
        if unfreeze == "all":
            return layers
        if type(unfreeze) is not int or unfreeze not in range(layers + 1):
            raise ValueError(f"`unfreeze` must be 0 to {layers} (layers) or 'all'. Received: unfreeze={unfreeze!r}")
        return unfreeze

    def fork(self, unfreeze: int | str = 0, dropout: float | None = None) -> Any:
        """Returns a classifier with the same weights that can be trained without changing this one.

        Layers that stay frozen are not copied, both models have them, frozen: with a frozen base only the head is new.

        Args:
            unfreeze: how much of the base will be trained, as in `freeze`.
            dropout: float in [0, 1), the head's; None = this model's.
        """
        config = copy.deepcopy(self.config)
        if dropout is not None:
            setattr(config, FAMILIES[self.model_type].head_dropout[0], dropout)
        shared = 0 if unfreeze == "all" else len(self.encoder.blocks.layer) - self._layers_to_train(unfreeze)
        shares = {"shares": self.encoder, "shared_layers": shared} if shared else None
        other = type(self)(config, shares=shares, dtype=self.dtype_policy)
        other.freeze(unfreeze)
        other.name_or_path = self.name_or_path
        for mine, its in zip(_own_variables(self), _own_variables(other), strict=True):
            if mine is not its:
                its.assign(mine)
        return other

    def parameter_table(self) -> list[tuple[str, int, int]]:
        """Returns `(part, parameters, trainable parameters)` for embeddings, each layer and the head, in the data's way."""
        encoder = self.encoder
        parts = [("embeddings", encoder.embeddings)]
        parts += [(f"layer {i}", layer) for i, layer in enumerate(encoder.blocks.layer)]
        if encoder.pooler is not None:
            parts.append(("pooler", encoder.pooler))

        def size(variables) -> int:
            return sum(int(ops.size(v)) for v in variables)

        rows = [(name, size(part.weights), size(part.trainable_weights)) for name, part in parts]
        total = self.num_parameters() - sum(row[1] for row in rows)
        trainable = self.num_parameters(only_trainable=True) - sum(row[2] for row in rows)
        return [*rows, ("head", total, trainable)]

    def compile(self, optimizer="rmsprop", loss="auto", metrics=None, **kwargs):
        """As `keras.Model.compile`; `loss="auto"` is the model's own, by its `problem_type`, on the logits.

        "accuracy" counts, for multi-label models, logits above 0 as yes.
        """
        if isinstance(loss, str) and loss in OWN_LOSS:
            loss = self._own_loss()
        if self.problem_type == "multi_label_classification" and isinstance(metrics, (list, tuple)):
            metrics = [
                keras.metrics.BinaryAccuracy(name=m, threshold=0.0) if m in ("accuracy", "acc") else m for m in metrics
            ]
        super().compile(optimizer=optimizer, loss=loss, metrics=metrics, **kwargs)

    # Keras wants these beside an overridden `compile`, to compile a loaded .keras file.
    def get_compile_config(self):
        return super().get_compile_config()

    def compile_from_config(self, config):
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def fit(self, x=None, y=None, *args, **kwargs):
        """As `keras.Model.fit`; labels stand in `y`, or under "labels", "label" or "label_ids" inside `x`.

        A dataset shuffles itself; arrays are shuffled unless `shuffle=False`.
        """
        if kwargs.get("class_weight") and isinstance(x, keras.utils.PyDataset) and isinstance(x[0], (dict, tuple)):
            batch = x[0] if isinstance(x[0], tuple) else (x[0],)
            if len(batch) == 1:
                raise ValueError(
                    "`class_weight` needs batches of (inputs, labels). Received: a PyDataset of inputs alone."
                )
        x, y = labels_to_y(x, y)
        if not isinstance(x, (dict, list, tuple)) and not hasattr(x, "shape"):
            kwargs.setdefault("shuffle", False)
        if (validation := kwargs.get("validation_data")) is not None:
            held_x, held_y, *weights = (
                (*validation, None)[:3] if isinstance(validation, (tuple, list)) else (validation, None)
            )
            held_x, held_y = labels_to_y(held_x, held_y)
            weights = [weight for weight in weights if weight is not None]
            kwargs["validation_data"] = held_x if held_y is None else (held_x, held_y, *weights)
        return super().fit(x, y, *args, **kwargs)

    def evaluate(self, x=None, y=None, *args, **kwargs):
        """As `keras.Model.evaluate`; labels stand in `y`, or inside `x` as for `fit`."""
        return super().evaluate(*labels_to_y(x, y), *args, **kwargs)

    def predict(self, x, *args, **kwargs):
        """As `keras.Model.predict`; returns a `TFSequenceClassifierOutput` of NumPy arrays. Labels in `x` are not used."""
        return super().predict(labels_to_y(x, None)[0], *args, **kwargs)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        y = _labels(x, y)
        if y is None:
            raise ValueError(f"There are no labels: neither in `y` nor under {', '.join(LABEL_KEYS)} in `x`.")
        return super().compute_loss(x, y, _logits(y_pred), sample_weight, training)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        return super().compute_metrics(x, _labels(x, y), _logits(y_pred), sample_weight)


def _own_variables(model) -> list:
    """Weights and the state of dropout's generators; what `compile` adds is left out."""
    layers = [layer for layer in model._flatten_layers(include_self=False) if not isinstance(layer, keras.Metric)]
    generators = [layer.seed_generator.state for layer in layers if hasattr(layer, "seed_generator")]
    return [*model.weights, *generators]


def labels_to_y(x, y=None) -> tuple:
    """Takes labels out of inputs: transformers' way to pass them, where Keras wants them in `y` for its weights.

    Args:
        x: dict or `BatchEncoding` of arrays, or a `tf.data.Dataset`; anything else is left as it is.
        y: labels; where they are given, those inside `x` are dropped.
    Returns: `(x, y)`.
    """
    if hasattr(x, "element_spec") and hasattr(x, "map"):
        spec = x.element_spec
        parts = spec if isinstance(spec, tuple) else (spec,)
        if isinstance(parts[0], dict) and any(key in parts[0] for key in LABEL_KEYS):
            x = x.map(lambda *batch: _regrouped(*batch))
    elif hasattr(x, "keys"):
        x = {name: np.asarray(value) if isinstance(value, list) else value for name, value in dict(x).items()}
        inside = [x.pop(key) for key in LABEL_KEYS if key in x]
        y = inside[0] if y is None and inside else y
    return x, np.asarray(y) if isinstance(y, list) else y


def _regrouped(x, y=None, *weights):
    x, y = labels_to_y(x, y)
    return (x, y, *weights)


def _labels(x, y):
    """Labels of a batch, from `y` or from inside `x`, for whatever gives batches without `labels_to_y`."""
    if y is None and isinstance(x, dict):
        return next((x[key] for key in LABEL_KEYS if key in x), None)
    return y


def _logits(outputs):
    if hasattr(outputs, "logits"):
        return outputs.logits
    if isinstance(outputs, tuple):  # return_dict=False: a loss of one dimension comes first, if there is one
        return outputs[1] if len(outputs[0].shape) == 1 else outputs[0]
    return outputs


@keras.saving.register_keras_serializable("bert_tf")
class TFDistilBertModel(_BaseModel):
    """DistilBERT (Sanh et al. 2019, https://arxiv.org/abs/1910.01108) without a head: text features.

    Args:
        config: `transformers.DistilBertConfig`. To load a checkpoint use `from_pretrained`.
    Call arguments: as of `TFDistilBertForSequenceClassification`, without `labels`.
    Returns: `TFBaseModelOutput`: `last_hidden_state` `(B, T, D)`, and where asked for `hidden_states`, `attentions`.

    >>> model = TFDistilBertModel.from_pretrained("minilm")
    >>> model({"input_ids": keras.ops.ones((3, 7), "int32")}).last_hidden_state.shape
    TensorShape([3, 7, 384])
    """

    model_type = "distilbert"


@keras.saving.register_keras_serializable("bert_tf")
class TFBertModel(_BaseModel):
    """BERT (Devlin et al. 2019, https://arxiv.org/abs/1810.04805) without a head: text features.

    As `TFDistilBertModel`, from a `transformers.BertConfig`, with `token_type_ids`; returns
    `TFBaseModelOutputWithPooling`, which has `pooler_output` `(B, D)` as well.
    """

    model_type = "bert"


@keras.saving.register_keras_serializable("bert_tf")
class TFDistilBertForSequenceClassification(_SequenceClassification):
    """DistilBERT (Sanh et al. 2019, https://arxiv.org/abs/1910.01108) with a classification head.

    First token -> `pre_classifier` (dense, ReLU) -> `dropout` -> `classifier`, as in Hugging Face's class of this name.

    Args:
        config: `transformers.DistilBertConfig`. To load a checkpoint use `from_pretrained`.
    Call arguments:  (B = batch, T = tokens, D = hidden_size, H = heads)
        inputs: `input_ids`, or a dict, `BatchEncoding` or list of inputs. `input_ids`, `attention_mask` (1 = real
            token, None = all real): int `(B, T)`; `inputs_embeds`: float `(B, T, D)`; `features`: what a frozen lower
            part gave, see `bert_tf.features`; `labels`: int `(B,)`, for regression float `(B,)`, for multi-label models
            float `(B, num_labels)`.
        output_attentions, output_hidden_states, return_dict: bool, None = as the config says.
        training: bool, whether dropout is active.
    Returns: `TFSequenceClassifierOutput`: `logits` float32 `(B, num_labels)`, and where asked for `loss` `(B,)`,
        `hidden_states` (layers + 1 of `(B, T, D)`), `attentions` (layers of `(B, H, T, T)`).
    Raises: TypeError if `config` is another class; ValueError if a text has more tokens than the model has positions.

    >>> model = TFDistilBertForSequenceClassification.from_pretrained("minilm", num_labels=2)
    >>> model({"input_ids": keras.ops.ones((3, 7), "int32")}).logits.shape
    TensorShape([3, 2])
    """

    model_type = "distilbert"

    def _add_head(self, hidden_size):
        self.pre_classifier = self._dense(hidden_size, hidden_size, "pre_classifier", activation="relu")
        super()._add_head(hidden_size)

    def _head(self, base, training):
        pooled = self.pre_classifier(base.last_hidden_state[:, 0])
        return self.classifier(self.dropout(pooled, training=training))


@keras.saving.register_keras_serializable("bert_tf")
class TFBertForSequenceClassification(_SequenceClassification):
    """BERT (Devlin et al. 2019, https://arxiv.org/abs/1810.04805) with a classification head.

    First token -> the base's `pooler` (dense, tanh) -> `dropout` -> `classifier`, as in Hugging Face's class of this name.
    Takes a `transformers.BertConfig` and, beside the inputs of `TFDistilBertForSequenceClassification`,
    `token_type_ids` `(B, T)`; returns and raises the same.
    """

    model_type = "bert"

    def _head(self, base, training):
        return self.classifier(self.dropout(base.pooler_output, training=training))


class _LayerMeansForSequenceClassification(_SequenceClassification):
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

    freeze.__doc__ = _SequenceClassification.freeze.__doc__


@keras.saving.register_keras_serializable("bert_tf")
class TFDistilBertLayerMeansForSequenceClassification(_LayerMeansForSequenceClassification):
    """DistilBERT with a linear classifier over the means of every layer, for a base that stays frozen.

    The mean over the real tokens of the embeddings and of each layer's states, side by side -> standardised by mean and
    variance of the training texts (`adapt`) -> `dropout` -> `classifier`. A frozen first token was never trained to sum up a
    text; these means, of all layers, say much more: on 2,000 product reviews and MiniLM 0.90 right instead of 0.80.

    No class of transformers has this head: `transformers.AutoModel` reads the base of what is saved, nothing there reads the
    classifier. Its config.json says `"classifier_pooling": "layer_means"`, by which `TFAutoModelForSequenceClassification` and all
    of bert_tf know it. Takes, returns and raises the same as `TFDistilBertForSequenceClassification`; `features` are
    `(B, (layers + 1) * D)`.

    >>> model = TFDistilBertLayerMeansForSequenceClassification.from_pretrained("minilm", num_labels=2)
    >>> model({"input_ids": keras.ops.ones((3, 7), "int32")}).logits.shape
    TensorShape([3, 2])
    """

    model_type = "distilbert"


@keras.saving.register_keras_serializable("bert_tf")
class TFBertLayerMeansForSequenceClassification(_LayerMeansForSequenceClassification):
    """BERT with a linear classifier over the means of every layer: see `TFDistilBertLayerMeansForSequenceClassification`.

    The base's `pooler` is kept for whoever reads the base, and not looked at.
    """

    model_type = "bert"


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
            config = checkpoint.read_config(checkpoint.resolve(config or source, **options))
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
