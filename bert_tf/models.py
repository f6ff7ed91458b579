"""Text classifiers with the names they had in transformers 4, as native Keras 3 models.

    model = TFDistilBertForSequenceClassification.from_pretrained("distilbert-base-uncased", num_labels=2)
    model.distilbert.trainable = False
    model.compile("adam", metrics=["accuracy"])
    model.fit(train, validation_data=validation, epochs=3)
    model.save_pretrained("my-model")

A model is an encoder and a head. Logits are float32 under every dtype policy.
"""

import os

import keras
from keras import ops

from bert_tf import checkpoint
from bert_tf.encoder import CallForms, Encoder
from bert_tf.families import FAMILIES, encoder_settings, family_of
from bert_tf.outputs import TFSequenceClassifierOutput

HUB_OPTIONS = ("revision", "cache_dir", "force_download", "local_files_only", "token", "subfolder")


class _SequenceClassification(CallForms, keras.Model):
    """What the classifiers of all families share; a family adds its head. Documented at the families' classes."""

    model_type: str
    has_head = True
    main_input_name = "input_ids"

    def __init__(self, config, **kwargs):
        if getattr(config, "model_type", None) != self.model_type:
            raise TypeError(
                f"{type(self).__name__} takes a {FAMILIES[self.model_type].config_class} as its config. "
                f"Received: {type(config).__name__}. To load a checkpoint use `from_pretrained`."
            )
        super().__init__(**kwargs)
        self.config = config
        self.name_or_path = ""
        encoder = Encoder(**encoder_settings(config), dtype=self.dtype_policy, name=self.base_model_prefix)
        setattr(self, self.base_model_prefix, encoder)
        self._add_head(encoder.hidden_size)
        encoder.build()
        self.built = True

    def _dense(self, units: int, inputs: int, name: str, **options) -> keras.layers.Dense:
        initializer = keras.initializers.TruncatedNormal(stddev=self.config.initializer_range)
        dense = keras.layers.Dense(units, kernel_initializer=initializer, name=name, **options)
        dense.build((None, inputs))
        return dense

    def _add_head(self, hidden_size: int) -> None:
        raise NotImplementedError

    def _head(self, base, training):
        raise NotImplementedError

    # Names

    @property
    def base_model_prefix(self) -> str:
        return FAMILIES[self.model_type].prefix

    @property
    def encoder(self) -> Encoder:
        """The base, whatever the family calls it."""
        return getattr(self, self.base_model_prefix)

    @property
    def num_labels(self) -> int:
        return self.config.num_labels

    def num_parameters(self, only_trainable: bool = False) -> int:
        """Returns the number of weights, or of those that training changes."""
        return sum(int(ops.size(v)) for v in (self.trainable_weights if only_trainable else self.weights))

    # Call

    def call(
        self,
        input_ids=None,
        attention_mask=None,
        token_type_ids=None,
        inputs_embeds=None,
        labels=None,
        output_attentions=None,
        output_hidden_states=None,
        return_dict=None,
        training=None,
    ):
        base = self.encoder(
            input_ids,
            attention_mask,
            token_type_ids,
            inputs_embeds=inputs_embeds,
            output_hidden_states=_asked(output_hidden_states, self.config.output_hidden_states),
            output_attentions=_asked(output_attentions, self.config.output_attentions),
            training=training,
        )
        logits = self._head(base, training)
        loss = None if labels is None else self.hf_compute_loss(labels, logits)
        output = TFSequenceClassifierOutput(
            loss=loss, logits=logits, hidden_states=base.hidden_states, attentions=base.attentions
        )
        return output if _asked(return_dict, getattr(self.config, "return_dict", True)) else output.to_tuple()

    def hf_compute_loss(self, labels, logits):
        """Returns the loss of each example, float32 `(B,)`: what `compile(loss="auto")` takes the mean of."""
        return self._default_loss(reduction="none")(labels, logits)

    def _default_loss(self, **options) -> keras.losses.Loss:
        if self.num_labels == 1:
            return keras.losses.MeanSquaredError(**options)
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True, **options)

    # Training

    def freeze(self, unfreeze: int | str = 0) -> None:
        """Decides how much of the base is trained; the head always is.

        Args:
            unfreeze: 0 = nothing of the base, k = its top k layers, "all" = everything.
        Raises: ValueError if `unfreeze` is none of these, or more than the model has layers.
        """
        layers = self.encoder.blocks.layer
        if unfreeze != "all" and (isinstance(unfreeze, bool) or unfreeze not in range(len(layers) + 1)):
            raise ValueError(
                f"`unfreeze` must be 0 to {len(layers)} (layers) or 'all'. Received: unfreeze={unfreeze!r}"
            )
        self.encoder.trainable = False  # first, since Keras skips setting True where True stands, parts included
        self.encoder.trainable = unfreeze != 0
        if isinstance(unfreeze, int) and unfreeze:
            self.encoder.embeddings.trainable = False
            for layer in layers[: len(layers) - unfreeze]:
                layer.trainable = False

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
        """As `keras.Model.compile`; `loss="auto"` is the model's own (cross-entropy on the logits)."""
        if isinstance(loss, str) and loss in ("auto", "auto_with_warning", "passthrough"):
            loss = self._default_loss()
        super().compile(optimizer=optimizer, loss=loss, metrics=metrics, **kwargs)

    # Keras wants these beside an overridden `compile`, to compile a loaded .keras file.
    def get_compile_config(self):
        return super().get_compile_config()

    def compile_from_config(self, config):
        super().compile_from_config(config)

    def fit(self, x=None, *args, **kwargs):
        """As `keras.Model.fit`. A dataset shuffles itself; arrays are shuffled unless `shuffle=False`."""
        if not isinstance(x, (dict, list, tuple)) and not hasattr(x, "shape"):
            kwargs.setdefault("shuffle", False)
        return super().fit(x, *args, **kwargs)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return super().compute_loss(x, y, _logits(y_pred), sample_weight, training)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        return super().compute_metrics(x, y, _logits(y_pred), sample_weight)

    # Files

    @classmethod
    def from_pretrained(cls, source: str | os.PathLike, *, ignore_mismatched_sizes: bool = False, **kwargs):
        """Builds a model from a Hugging Face folder or hub name.

        Args:
            source: folder, hub name, or `"minilm"` for the embedded default.
            ignore_mismatched_sizes: bool, whether a head with another number of labels is replaced by a new one.
            **kwargs: `revision`, `cache_dir`, `force_download`, `local_files_only`, `token`, `subfolder` for the hub;
                anything else replaces a key of the config: `num_labels=3`, `id2label={...}`, `dropout=0.2`.
        Returns: the model, its weights loaded. A head that the checkpoint lacks is new, and said so.
        Raises: FileNotFoundError for an unknown checkpoint; ValueError for one of another family or damaged.
        """
        hub = {name: kwargs.pop(name) for name in HUB_OPTIONS if name in kwargs}
        folder = checkpoint.resolve(source, **hub)
        config = checkpoint.read_config(folder, **kwargs)
        if config.model_type != cls.model_type:
            raise ValueError(
                f"{folder} holds a {config.model_type!r} model, {cls.__name__} reads {cls.model_type!r}. Use "
                f"{CLASSES[config.model_type].__name__}, or `bert-tf convert --to distilbert` to fold a BERT."
            )
        model = cls(config)
        checkpoint.load_weights(model, folder, ignore_mismatched_sizes)
        model.name_or_path = os.fspath(source)
        return model

    def save_pretrained(self, folder: str | os.PathLike, max_shard_size: int | str = "5GB") -> None:
        """Writes config.json and model.safetensors, as `transformers.AutoModelForSequenceClassification` reads them.

        Args:
            folder: made if it is not there. Files appear in it only when all are written.
            max_shard_size: bytes, or a string such as "500MB"; larger weights go into several files.
        """
        checkpoint.save(self, folder, max_shard_size)

    def get_config(self):
        return {
            "config": self.config.to_dict(),
            "name": self.name,
            "dtype": keras.saving.serialize_keras_object(self.dtype_policy),
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        import transformers

        config = dict(config)
        config_class = getattr(transformers, family_of(config["config"].get("model_type")).config_class)
        dtype = keras.saving.deserialize_keras_object(config["dtype"])
        return cls(config_class.from_dict(config["config"]), name=config["name"], dtype=dtype)


def _asked(argument, default: bool) -> bool:
    return bool(default if argument is None else argument)


def _logits(outputs):
    return outputs.logits if hasattr(outputs, "logits") else outputs


@keras.saving.register_keras_serializable("bert_tf")
class TFDistilBertForSequenceClassification(_SequenceClassification):
    """DistilBERT (Sanh et al. 2019, https://arxiv.org/abs/1910.01108) with a classification head.

    First token -> `pre_classifier` (dense, ReLU) -> `dropout` -> `classifier`, as in Hugging Face's class of this name.

    Args:
        config: `transformers.DistilBertConfig`. To load a checkpoint use `from_pretrained`.
    Call arguments:  (B = batch, T = tokens, D = hidden_size, H = heads)
        inputs: `input_ids`, or a dict, `BatchEncoding` or list of inputs. `input_ids`, `attention_mask` (1 = real
            token, None = all real): int `(B, T)`; `inputs_embeds`: float `(B, T, D)`; `labels`: int `(B,)`.
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
        self.pre_classifier = self._dense(
            hidden_size, hidden_size, "pre_classifier", activation="relu", dtype=self.dtype_policy
        )
        self.dropout = keras.layers.Dropout(self.config.seq_classif_dropout, dtype=self.dtype_policy, name="dropout")
        self.classifier = self._dense(self.config.num_labels, hidden_size, "classifier", dtype="float32")

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

    def _add_head(self, hidden_size):
        rate = self.config.classifier_dropout
        rate = self.config.hidden_dropout_prob if rate is None else rate
        self.dropout = keras.layers.Dropout(rate, dtype=self.dtype_policy, name="dropout")
        self.classifier = self._dense(self.config.num_labels, hidden_size, "classifier", dtype="float32")

    def _head(self, base, training):
        return self.classifier(self.dropout(base.pooler_output, training=training))


CLASSES = {
    "distilbert": TFDistilBertForSequenceClassification,
    "bert": TFBertForSequenceClassification,
}


class TFAutoModelForSequenceClassification:
    """The classifier of whichever family a checkpoint belongs to: `from_pretrained(folder_or_name, num_labels=2)`."""

    @classmethod
    def from_pretrained(cls, source: str | os.PathLike, **kwargs) -> _SequenceClassification:
        """Reads the checkpoint's `model_type` and calls `from_pretrained` of the class for it, which see."""
        hub = {name: kwargs[name] for name in HUB_OPTIONS if name in kwargs}
        config = checkpoint.read_config(checkpoint.resolve(source, **hub))
        return CLASSES[config.model_type].from_pretrained(source, **kwargs)
