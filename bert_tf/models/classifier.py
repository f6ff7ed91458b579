"""Classifiers: an encoder and a classification head, with losses, labels and freezing."""

import copy
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from bert_tf.backends.devices import by_share
from bert_tf.checkpoints.config import label_names, problem_type
from bert_tf.checkpoints.families.table import depth, family_of
from bert_tf.data.labels import LABEL_KEYS, labels_of, labels_to_y
from bert_tf.models import checks
from bert_tf.models.calls import unpacked
from bert_tf.models.encoder import layer_means
from bert_tf.models.keras_internals import all_layers
from bert_tf.models.layers import ACTIVATIONS
from bert_tf.models.outputs import TFSequenceClassifierOutput
from bert_tf.models.parts import Dropout
from bert_tf.models.pretrained import Pretrained, number_of_weights

MODELS_LOSS = ("auto", "auto_with_warning", "passthrough")  # transformers 4's names for a model's own loss


class SequenceClassification(Pretrained):
    """An encoder and the classification head of its family's row, in most families over the first token.

    The head computes in float32 under every dtype policy: that costs next to nothing, and logits are exact to rounding.
    """

    head = "first_token"

    def _add_head(self, hidden_size):
        row, settings = family_of(self.model_type).head, self.encoder.get_config()
        if row.dense:
            activation = ACTIVATIONS[getattr(self.config, row.activation, row.activation)]
            bias = getattr(self.config, row.dense_bias) if isinstance(row.dense_bias, str) else row.dense_bias
            options = {"activation": activation, "use_bias": bias}
            setattr(self, row.dense, self._dense(hidden_size, hidden_size, row.dense, **options))
        if "norm" in row.parts:
            options = {"epsilon": settings["layer_norm_eps"], "center": settings["norm_bias"]}
            self.norm = keras.layers.LayerNormalization(**options, name="norm", dtype="float32")
            self.norm.build((None, hidden_size))
        self._add_classifier(hidden_size)
        if row.first_dropout:
            same = row.first_dropout == row.dropout
            self.first_dropout = self.dropout if same else self._dropout(row.first_dropout, "first_dropout")

    def _add_classifier(self, width):
        self.dropout = self._dropout(family_of(self.model_type).head.dropout, "dropout")
        self.classifier = self._dense(self.config.num_labels, width, "classifier")

    def _dropout(self, keys, name) -> Dropout:
        rate = next(rate for rate in (getattr(self.config, key, None) for key in keys) if rate is not None)
        return Dropout(rate, dtype="float32", name=name)

    def _dense(self, units: int, inputs: int, name: str, **options) -> keras.layers.Dense:
        initializer = keras.initializers.TruncatedNormal(stddev=self.config.initializer_range)
        dense = keras.layers.Dense(units, kernel_initializer=initializer, name=name, dtype="float32", **options)
        dense.build((None, inputs))
        return dense

    def _head(self, base, attention_mask, features, training):
        """Returns the logits, from the output of the encoder."""
        row, states = family_of(self.model_type).head, base.last_hidden_state
        if self.encoder.pooler is not None:
            pooled = base.pooler_output
        elif self.encoder.pooling == "mean" and (features is None or not self.encoder.all_frozen):
            mask = ops.ones(ops.shape(states)[:2], "int32") if attention_mask is None else attention_mask
            pooled = layer_means([states], mask)
        else:
            pooled = states[:, 0]
        if row.first_dropout:
            pooled = self.first_dropout(pooled, training=training)
        if row.dense:
            pooled = getattr(self, row.dense)(pooled)
        if "norm" in row.parts:
            pooled = self.norm(pooled)
        return self.classifier(self.dropout(pooled, training=training))

    @property
    def num_labels(self) -> int:
        return self.config.num_labels

    @property
    def label_names(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the logits."""
        return label_names(self.config)

    @property
    def problem_type(self) -> str:
        """ "regression", "single_label_classification" or "multi_label_classification", by the config or its labels."""
        return problem_type(self.config)

    @unpacked
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
        inputs = (input_ids, attention_mask, token_type_ids, inputs_embeds, features)
        base = self._encode(inputs, output_attentions, output_hidden_states, training, first_token=True)
        logits = self._head(base, attention_mask, features, training)
        loss = None if labels is None else self.hf_compute_loss(labels, logits)
        output = TFSequenceClassifierOutput(loss, logits, base.hidden_states, base.attentions)
        return output if self._or_config(return_dict, "return_dict") else output.to_tuple()

    def hf_compute_loss(self, labels, logits):
        """Returns the loss of each example, float32 `(B,)`; `compile(loss="auto")` takes its mean."""
        return self._model_loss(reduction="none")(labels, logits)

    def _model_loss(self, **options) -> keras.losses.Loss:
        if self.problem_type == "regression":
            return keras.losses.MeanSquaredError(**options)
        if self.problem_type == "multi_label_classification":
            return keras.losses.BinaryCrossentropy(from_logits=True, **options)
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True, **options)

    def freeze(self, unfreeze: int | str = 0) -> None:
        """Sets which layers of the base are trained; the head always is.

        Args:
            unfreeze: 0 = none, k = the top k layers, "all" = everything.
        Raises: ValueError for any other value, or more layers than the model has.
        """
        trained, layers = self._layers_to_train(unfreeze), self.encoder.blocks.layer
        self.encoder.trainable = False  # first: Keras ignores setting True where it is True already, sublayers included
        self.encoder.trainable = trained > 0
        if unfreeze != "all" and trained:
            for part in self.encoder.lowest:
                part.trainable = False
            for layer in layers[: len(layers) - trained]:
                layer.trainable = False

    def _layers_to_train(self, unfreeze: int | str) -> int:
        """Returns the number of top layers that `unfreeze` stands for; raises ValueError as `freeze` does."""
        return depth(unfreeze, self.config)

    def fork(self, unfreeze: int | str = 0, dropout: float | None = None) -> Any:
        """Returns a classifier with the same weights that can be trained without changing this one.

        Both models share the layers that stay frozen; with a frozen base only the head is copied.

        Args:
            unfreeze: how much of the base will be trained, as in `freeze`.
            dropout: float in [0, 1), of the head; None = as in this model.
        """
        config = copy.deepcopy(self.config)
        if dropout is not None:
            setattr(config, family_of(self.model_type).head.dropout[0], dropout)
        shared = 0 if unfreeze == "all" else len(self.encoder.blocks.layer) - self._layers_to_train(unfreeze)
        shares = {"shares": self.encoder, "shared_layers": shared} if shared else None
        other = type(self)(config, shares=shares, dtype=self.dtype_policy)
        other.freeze(unfreeze)
        other.name_or_path = self.name_or_path
        for variable, copied in zip(_variables(self), _variables(other), strict=True):
            if variable is not copied:
                copied.assign(ops.copy(variable))
        return other

    def with_layers(self, chosen: Sequence[int]) -> Any:
        """Returns a classifier with only some of this one's layers: copies of their weights, of the embeddings and of the head.

        A head over the means of every layer is not copied but new.

        Args:
            chosen: int, the layers in their order, 0 = the lowest.
        """
        config = copy.deepcopy(self.config)
        setattr(config, family_of(self.model_type).key("num_hidden_layers", config), len(chosen))
        if getattr(config, "layer_types", None):
            config.layer_types = [config.layer_types[i] for i in chosen]
        other = type(self)(config, dtype=self.dtype_policy)
        ours, theirs = self.encoder, other.encoder
        for part, copied in zip(ours.lowest, theirs.lowest, strict=True):
            copy_weights(part, copied)
        sources: dict[int, Any] = {}
        for i, layer in zip(chosen, theirs.blocks.layer, strict=True):
            if sources.setdefault(id(layer), ours.blocks.layer[i]) is not ours.blocks.layer[i]:
                raise ValueError(
                    "The layers of this model share their weights in groups, and the chosen ones do not make the same groups. "
                    f"Received: layers {[*chosen]}"
                )
            if len(layer.weights) != len(ours.blocks.layer[i].weights):
                raise ValueError(
                    "The lowest layer of this model is made differently from the others: it must be the first of the chosen ones. "
                    f"Received: layers {[*chosen]}"
                )
            copy_weights(ours.blocks.layer[i], layer)
        for name in ("pooler", "final_norm"):
            if getattr(ours, name) is not None:
                copy_weights(getattr(ours, name), getattr(theirs, name))
        self._copy_head(other, chosen)
        return other

    def _copy_head(self, other: Any, chosen: Sequence[int]) -> None:
        """Copies the head to a classifier that has only the layers `chosen`."""
        for name in family_of(self.model_type).head.parts:
            copy_weights(getattr(self, name), getattr(other, name))

    def parameter_table(self) -> list[tuple[str, int, int]]:
        """Returns `(part, parameters, trainable parameters)` for the embeddings, each layer and the head."""
        encoder = self.encoder
        parts: list[tuple[str, Any]] = [("embeddings", encoder.embeddings)]
        parts += [("positions", encoder.positional), ("convolution", encoder.convolution)]
        parts += [(f"layer {i}", layer) for i, layer in enumerate(encoder.blocks.layers_of_groups)]
        parts += [("final norm", encoder.final_norm), ("pooler", encoder.pooler)]
        parts = [(name, part) for name, part in parts if part is not None and part.weights]

        rows = [(name, number_of_weights(part), number_of_weights(part, only_trainable=True)) for name, part in parts]
        total = self.num_parameters() - sum(row[1] for row in rows)
        trainable = self.num_parameters(only_trainable=True) - sum(row[2] for row in rows)
        return [*rows, ("head", total, trainable)]

    def compile(self, optimizer="rmsprop", loss="auto", metrics=None, **kwargs):
        """Compiles as `keras.Model.compile`; `loss="auto"` is the loss for the model's `problem_type`, on the logits.

        `loss=None` trains with the same, and Keras then has no loss of its own. `metrics` may be a single one.

        For multi-label models "accuracy" counts a logit above 0 as a yes.
        """
        if (
            isinstance(loss, str) and loss in MODELS_LOSS
        ) or loss == self.compute_loss:  # as transformers 4 documents it
            loss = self._model_loss()
        checks.warn_of_probabilities(loss)
        metrics = checks.metric_list(metrics)
        if self.problem_type == "multi_label_classification" and isinstance(metrics, (list, tuple)):
            metrics = [
                keras.metrics.BinaryAccuracy(name=m, threshold=0.0) if m in ("accuracy", "acc") else m for m in metrics
            ]
        super().compile(optimizer=optimizer, loss=loss, metrics=metrics, **kwargs)

    def fit(self, x=None, y=None, *args, **kwargs):
        """Trains as `keras.Model.fit`; labels are in `y`, or in `x` as "labels", "label" or "label_ids".

        Arrays are shuffled unless `shuffle=False`; a dataset decides its order itself. `class_weight` is a dict by index or by
        the name of the class, or a weight for each class, as scikit-learn gives them.

        Raises: ValueError for a label that is no class, a dataset without batches; TypeError for texts or labels as words.
        """
        if kwargs.get("class_weight") is not None:
            kwargs["class_weight"] = checks.class_weight_by_index(kwargs["class_weight"], self.label_names)
        if kwargs.get("class_weight") and isinstance(x, keras.utils.PyDataset) and _inputs_only(x[0]):
            raise ValueError("`class_weight` needs batches of (inputs, labels). Received: a PyDataset of inputs only.")
        x, y = self._checked(x, y)
        if not isinstance(x, (dict, list, tuple)) and not hasattr(x, "shape"):
            kwargs.setdefault("shuffle", False)
        if (validation := kwargs.get("validation_data")) is not None:
            parts = validation if isinstance(validation, (tuple, list)) else (validation,)
            val_x, val_y, *weights = (*parts, None)[:3]
            val_x, val_y = self._checked(val_x, val_y)
            weights = [weight for weight in weights if weight is not None]
            kwargs["validation_data"] = val_x if val_y is None else (val_x, val_y, *weights)
        history = super().fit(x, y, *args, **kwargs)
        if not history.history and history.epoch:
            raise ValueError(checks.NO_BATCH)
        return history

    def _checked(self, x, y):
        """Moves labels from `x` to `y` and checks both."""
        checks.check_inputs(x)
        x, y = labels_to_y(x, y)
        loss = getattr(self, "loss", None)
        if checks.takes_class_numbers(loss):
            checks.check_labels(y, self.num_labels)
            x = checks.with_checked_labels(x, self.num_labels)
        return x, y

    def evaluate(self, x=None, y=None, *args, **kwargs):
        """Evaluates as `keras.Model.evaluate`; labels are in `y`, or in `x` as for `fit`."""
        return super().evaluate(*self._checked(x, y), *args, **kwargs)

    def predict(self, x, *args, **kwargs):
        """Predicts as `keras.Model.predict`; returns a `TFSequenceClassifierOutput` of NumPy arrays. Labels in `x` are ignored."""
        checks.check_inputs(x)
        return super().predict(labels_to_y(x, None)[0], *args, **kwargs)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        y = labels_of(x, y)
        if y is None:
            raise ValueError(f"No labels found: neither `y` nor {', '.join(LABEL_KEYS)} in `x`.")
        logits = _logits(y_pred)
        if getattr(self, "loss", None) is None:  # compile(loss=None): the model's own, as in transformers 4
            loss = self._model_loss()(y, logits, sample_weight)
        else:
            loss = super().compute_loss(x, y, logits, sample_weight, training)
        return by_share(loss, ops.shape(logits)[0])

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        return super().compute_metrics(x, labels_of(x, y), _logits(y_pred), sample_weight)


def _variables(model) -> list:
    """Returns the weights and the state of dropout's generators, without what `compile` adds."""
    layers = [layer for layer in all_layers(model) if not isinstance(layer, keras.Metric)]
    generators = [layer.seed_generator.state for layer in layers if hasattr(layer, "seed_generator")]
    return [*model.weights, *generators]


def copy_weights(layer: keras.layers.Layer, other: keras.layers.Layer) -> None:
    """Copies the weights of a layer to another one of the same sizes.

    As real copies: on JAX both would else hold one array, which the first training step of one of them gives away.
    """
    for variable, copied in zip(layer.weights, other.weights, strict=True):
        copied.assign(ops.copy(variable))


def _inputs_only(batch) -> bool:
    return isinstance(batch, dict) or (isinstance(batch, tuple) and len(batch) == 1)


def _logits(outputs):
    if hasattr(outputs, "logits"):
        return outputs.logits
    if isinstance(outputs, tuple):  # return_dict=False: a loss, of one dimension, comes first if there is one
        return outputs[1] if len(outputs[0].shape) == 1 else outputs[0]
    return outputs
