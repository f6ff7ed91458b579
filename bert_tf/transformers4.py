"""What transformers 4 offered TensorFlow users beside its models, and transformers 5 dropped.

Tokenizers and a collator that give tensors for `return_tensors="tf"`, `prepare_tf_dataset`, `create_optimizer` with its
`WarmUp`, and two callbacks. Same names, same arguments; each docstring says where it differs.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from bert_tf import checkpoint, hub
from bert_tf.encoder import LABEL_KEYS

# Tokenizers


class _TensorFlowTensors:
    """Adds `return_tensors="tf"` to a tokenizer: int32 tensors, as transformers 4 gave."""

    @classmethod
    def from_pretrained(cls, source, *args, **kwargs):
        return super().from_pretrained(_folder(source), *args, **kwargs)  # type: ignore[misc]

    def __call__(self, *args, return_tensors=None, **kwargs):
        return _tensors(super().__call__, return_tensors, *args, **kwargs)  # type: ignore[misc]

    def pad(self, *args, return_tensors=None, **kwargs):
        return _tensors(super().pad, return_tensors, *args, **kwargs)  # type: ignore[misc]

    def encode(self, *args, return_tensors=None, **kwargs):
        return _tensors(super().encode, return_tensors, *args, **kwargs)  # type: ignore[misc]


def _folder(source: Any) -> Any:
    return checkpoint.minilm() if source == checkpoint.MINILM else source


def _tensors(method: Callable, return_tensors: str | None, *args, **kwargs):
    found = method(*args, return_tensors="np" if return_tensors == "tf" else return_tensors, **kwargs)
    if return_tensors != "tf":
        return found
    if not hasattr(found, "items"):
        return _tensor(found)
    for name, array in found.items():
        found[name] = _tensor(array)
    return found


def _tensor(array) -> tf.Tensor:
    array = np.asarray(array)
    return tf.constant(array.astype("int32") if array.dtype.kind == "i" else array)


def _with_tensors(kind: type) -> Any:
    documentation = f'`transformers.{kind.__name__}`, which also takes `return_tensors="tf"`.'
    return type(kind.__name__, (_TensorFlowTensors, kind), {"__doc__": documentation})


class AutoTokenizer:
    """`transformers.AutoTokenizer`, whose tokenizers also take `return_tensors="tf"`."""

    @classmethod
    def from_pretrained(cls, source: str | os.PathLike, *args, **kwargs) -> Any:
        """Loads the tokenizer of a folder, hub name or `"minilm"`; arguments are those of transformers."""
        import transformers

        tokenizer = transformers.AutoTokenizer.from_pretrained(_folder(source), *args, **kwargs)
        tokenizer.__class__ = _with_tensors(type(tokenizer))
        return tokenizer


TOKENIZERS = ("BertTokenizer", "BertTokenizerFast", "DistilBertTokenizer", "DistilBertTokenizerFast")
CONFIGS = ("AutoConfig", "BertConfig", "DistilBertConfig")


def __getattr__(name: str) -> Any:
    if name in TOKENIZERS + CONFIGS:
        import transformers

        return getattr(transformers, name) if name in CONFIGS else _with_tensors(getattr(transformers, name))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class DataCollatorWithPadding:
    """Makes a batch of tokenized texts: padded to the longest, labels beside them.

    Differs from transformers: `return_tensors` is "tf" unless said otherwise.

    Args:
        tokenizer: the tokenizer that made them.
        padding, max_length, pad_to_multiple_of: as for its `pad`.
        return_tensors: "tf" or "np".
    Call arguments:
        features: list of dicts, one a text; "label" and "label_ids" become "labels".
    Returns: dict of tensors `(B, T)`, and `labels`.
    """

    def __init__(self, tokenizer, padding=True, max_length=None, pad_to_multiple_of=None, return_tensors="tf"):
        self.tokenizer = tokenizer
        self.padding = {"padding": padding, "max_length": max_length, "pad_to_multiple_of": pad_to_multiple_of}
        self.return_tensors = return_tensors

    def __call__(self, features: Sequence[Mapping]) -> dict:
        texts = [{name: value for name, value in row.items() if name not in LABEL_KEYS} for row in features]
        batch = dict(self.tokenizer.pad(texts, **self.padding, return_tensors="np"))
        labels = [next((row[key] for key in LABEL_KEYS if key in row), None) for row in features]
        if labels and labels[0] is not None:
            batch["labels"] = np.asarray(labels)
        return {name: _tensor(array) for name, array in batch.items()} if self.return_tensors == "tf" else batch


def _stack(features: Sequence[Mapping]) -> dict:
    """Makes a batch of rows that are all of one length."""
    names = {name: "labels" if name in LABEL_KEYS else name for name in features[0]}
    try:
        return {ours: np.stack([np.asarray(row[name]) for row in features]) for name, ours in names.items()}
    except ValueError as error:
        raise ValueError(
            f"Texts of one batch have different lengths ({error}). Pass tokenizer=... so that they are padded."
        ) from error


def prepare_tf_dataset(
    model,
    dataset,
    batch_size: int = 8,
    shuffle: bool = True,
    tokenizer=None,
    collate_fn: Callable | None = None,
    collate_fn_args: Mapping | None = None,
    drop_remainder: bool | None = None,
    prefetch: bool = True,
) -> tf.data.Dataset:
    """Makes batches for `fit` from rows of tokenized texts, such as a `datasets.Dataset`.

    `bert_tf.batches` does more with less padding; this is for code that has the rows already.

    Args:
        model: columns that its `call` does not take are left out.
        dataset: rows by index, each a dict; with a length.
        batch_size, shuffle: as they say; another order each epoch, by NumPy's global generator.
        tokenizer: pads each batch to its longest text; None = all rows have one length.
        collate_fn: makes a batch of a list of rows, in place of padding; `collate_fn_args` are its keyword arguments.
        drop_remainder: whether a smaller last batch is left out; None = when shuffling, as transformers 4 did.
        prefetch: bool.
    Returns: `tf.data.Dataset` of (inputs, labels), or of inputs where there are no labels.
    Raises: ValueError if there are no rows, or rows of different lengths without a tokenizer.
    """
    if not len(dataset):
        raise ValueError("`dataset` has no rows.")
    taken = {"input_ids", "attention_mask", "inputs_embeds", *LABEL_KEYS}
    if model.encoder.embeddings.token_type_embeddings is not None:
        taken.add("token_type_ids")
    collate = collate_fn or (_stack if tokenizer is None else DataCollatorWithPadding(tokenizer, return_tensors="np"))
    drop_remainder = shuffle if drop_remainder is None else drop_remainder
    if batch_size < 1 or (drop_remainder and len(dataset) < batch_size):
        raise ValueError(
            f"No batch can be made: {len(dataset)} rows, batch_size={batch_size}, drop_remainder={drop_remainder}."
        )
    if not taken & set(dataset[0]):
        raise ValueError(
            f"No column is one that the model takes. Columns: {', '.join(dataset[0])}. Tokenize the texts first."
        )
    steps = len(dataset) // batch_size if drop_remainder else -(-len(dataset) // batch_size)

    def batch(indices) -> Any:
        rows = [dataset[int(i)] for i in indices]
        rows = [{name: value for name, value in row.items() if name in taken} for row in rows]
        made = {name: np.asarray(value) for name, value in dict(collate(rows, **(collate_fn_args or {}))).items()}
        labels = next((made.pop(key) for key in LABEL_KEYS if key in made), None)
        return made if labels is None else (made, labels)

    def batches() -> Iterator:
        order = np.random.permutation(len(dataset)) if shuffle else np.arange(len(dataset))
        for step in range(steps):
            yield batch(order[step * batch_size : (step + 1) * batch_size])

    def signature(array: np.ndarray) -> tf.TensorSpec:
        return tf.TensorSpec([None] * array.ndim, array.dtype)

    example = batch(range(min(batch_size, len(dataset))))
    made = tf.data.Dataset.from_generator(batches, output_signature=tf.nest.map_structure(signature, example))
    made = made.apply(tf.data.experimental.assert_cardinality(steps))
    return made.prefetch(tf.data.AUTOTUNE) if prefetch else made


# Optimizer


@keras.saving.register_keras_serializable("bert_tf")
class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """Raises the learning rate from 0 over the first steps, then hands over to another schedule.

    Goyal et al. 2017, sec. 2.2 (https://arxiv.org/abs/1706.02677).

    Args:
        initial_learning_rate: float, reached at the end of the warm-up.
        decay_schedule_fn: schedule for the steps behind it, counted from 0 again.
        warmup_steps: int.
        power: float, 1 = a straight line.
    """

    def __init__(self, initial_learning_rate, decay_schedule_fn, warmup_steps, power=1.0, name="warm_up"):
        super().__init__()
        self.initial_learning_rate = initial_learning_rate
        self.decay_schedule_fn = decay_schedule_fn
        self.warmup_steps = warmup_steps
        self.power = power
        self.name = name

    def __call__(self, step):
        step = ops.cast(step, "float32")
        rising = self.initial_learning_rate * ops.power(step / self.warmup_steps, self.power)
        behind = self.decay_schedule_fn(ops.maximum(step - self.warmup_steps, 0.0))
        return ops.where(step < self.warmup_steps, rising, behind)

    def get_config(self):
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_schedule_fn": keras.saving.serialize_keras_object(self.decay_schedule_fn),
            "warmup_steps": self.warmup_steps,
            "power": self.power,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config):
        config["decay_schedule_fn"] = keras.saving.deserialize_keras_object(config["decay_schedule_fn"])
        return cls(**config)


def create_optimizer(
    init_lr: float,
    num_train_steps: int,
    num_warmup_steps: int,
    min_lr_ratio: float = 0.0,
    adam_beta1: float = 0.9,
    adam_beta2: float = 0.999,
    adam_epsilon: float = 1e-8,
    adam_clipnorm: float | None = None,
    adam_global_clipnorm: float | None = None,
    weight_decay_rate: float = 0.0,
    power: float = 1.0,
    include_in_weight_decay: Sequence[str] | None = None,
) -> tuple[keras.optimizers.Optimizer, keras.optimizers.schedules.LearningRateSchedule]:
    """Makes Adam with a warm-up and a polynomial (by default linear) decay, and decoupled weight decay.

    Loshchilov & Hutter 2019 (https://arxiv.org/abs/1711.05101). Biases and layer norms do not decay.

    Args:
        init_lr: float, the highest learning rate.
        num_train_steps, num_warmup_steps: int, all steps and those of the warm-up among them.
        min_lr_ratio: float, the last learning rate as a share of `init_lr`.
        adam_beta1, adam_beta2, adam_epsilon, adam_clipnorm, adam_global_clipnorm: of Adam.
        weight_decay_rate: float, 0 = plain Adam.
        power: float, of the decay.
        include_in_weight_decay: patterns such as "LayerNorm" or "bias" of what decays all the same.
    Returns: `(optimizer, schedule)`.
    """
    schedule: Any = keras.optimizers.schedules.PolynomialDecay(
        init_lr, num_train_steps - num_warmup_steps, end_learning_rate=init_lr * min_lr_ratio, power=power
    )
    if num_warmup_steps:
        schedule = WarmUp(init_lr, schedule, num_warmup_steps)
    adam = {
        "learning_rate": schedule,
        "beta_1": adam_beta1,
        "beta_2": adam_beta2,
        "epsilon": adam_epsilon,
        "clipnorm": adam_clipnorm,
        "global_clipnorm": adam_global_clipnorm,
    }
    if not weight_decay_rate:
        return keras.optimizers.Adam(**adam), schedule
    optimizer = keras.optimizers.AdamW(weight_decay=weight_decay_rate, **adam)
    old = {"bias": "bias", "gamma": "LayerNorm/gamma", "beta": "LayerNorm/beta"}
    included = include_in_weight_decay or ()
    spare_from_decay(
        optimizer, [name for name in old if not any(re.search(pattern, old[name]) for pattern in included)]
    )
    return optimizer, schedule


def spare_from_decay(optimizer: keras.optimizers.Optimizer, names: Sequence[str] = ("bias", "gamma", "beta")) -> None:
    """Tells an optimizer not to let variables of these names decay: by default biases and layer norms."""
    # Keras matches these against "bias" or, inside fit, against TensorFlow's ".../query/bias:0".
    optimizer.exclude_from_weight_decay(var_names=[rf"(^|/){name}(:0)?$" for name in names])


# Callbacks


class KerasMetricCallback(keras.callbacks.Callback):
    """Computes a metric in plain Python after each epoch, over all predictions at once, and adds it to the logs.

    Args:
        metric_fn: takes `(predictions, labels)`, NumPy arrays over the whole dataset; returns a dict of floats.
        eval_dataset: `tf.data.Dataset` of (inputs, labels), or of inputs with labels inside.
        output_cols: names of the outputs to hand over; None = the logits alone.
        label_cols: name or names of the labels inside inputs; None = the usual ones.
        batch_size: int, for a dataset that is not batched yet.
    """

    def __init__(self, metric_fn, eval_dataset, output_cols=None, label_cols=None, batch_size=None, **kwargs):
        super().__init__()
        if kwargs.get("predict_with_generate"):
            raise ValueError("predict_with_generate is for models that write text; bert_tf has none.")
        self.metric_fn = metric_fn
        self.eval_dataset = eval_dataset.batch(batch_size) if batch_size else eval_dataset
        self.output_cols = output_cols
        self.label_cols = [label_cols] if isinstance(label_cols, str) else list(label_cols or LABEL_KEYS)

    def on_epoch_end(self, epoch, logs=None):
        predictions, labels = [], []
        for batch in self.eval_dataset:
            inputs, target = (batch[0], batch[1]) if isinstance(batch, (tuple, list)) else (dict(batch), None)
            if target is None:
                target = next((inputs.pop(name) for name in self.label_cols if name in inputs), None)
            if target is None:
                raise ValueError(f"`eval_dataset` has no labels: none of {self.label_cols} is in its batches.")
            outputs = self.model.predict_on_batch(inputs)
            predictions.append({name: np.asarray(outputs[name]) for name in self.output_cols or ["logits"]})
            labels.append(np.asarray(target))
        joined = {name: np.concatenate([part[name] for part in predictions]) for name in predictions[0]}
        found = self.metric_fn((joined if len(joined) > 1 else next(iter(joined.values())), np.concatenate(labels)))
        if not isinstance(found, Mapping):
            raise TypeError(f"`metric_fn` must return a dict of metrics. Received: {type(found).__name__}")
        if logs is not None:
            logs.update({name: float(value) for name, value in found.items()})


class PushToHubCallback(keras.callbacks.Callback):
    """Saves the model after each epoch, with its tokenizer and card, and uploads the folder to the hub.

    Args:
        output_dir: folder; its name is the repository's where `hub_model_id` is None.
        save_strategy: "epoch", "steps" (each `save_steps` batches) or "no" (at the end alone).
        tokenizer: saved beside the model; None = none.
        hub_model_id, hub_token: the repository and the key to it; None = the one `hf auth login` has kept.
        **model_card_kwargs: the header of the card, as for `create_model_card`.
    """

    def __init__(
        self,
        output_dir: str | os.PathLike,
        save_strategy: str = "epoch",
        save_steps: int | None = None,
        tokenizer=None,
        hub_model_id: str | None = None,
        hub_token: str | None = None,
        checkpoint: bool = False,
        **model_card_kwargs,
    ):
        super().__init__()
        save_strategy = str(getattr(save_strategy, "value", save_strategy))
        if save_strategy not in ("epoch", "steps", "no") or (save_strategy == "steps" and not save_steps):
            raise ValueError(
                "`save_strategy` must be 'epoch', 'no', or 'steps' with `save_steps`. "
                f"Received: save_strategy={save_strategy!r}, save_steps={save_steps}"
            )
        if checkpoint:
            raise ValueError("checkpoint=True is not supported: keras.callbacks.BackupAndRestore keeps training state.")
        self.output_dir = Path(output_dir)
        self.save_strategy, self.save_steps = save_strategy, save_steps
        self.tokenizer = tokenizer
        self.repo_id = hub_model_id or self.output_dir.resolve().name
        self.token = hub_token
        self.card = model_card_kwargs

    def _push(self, message: str) -> None:
        self.model.save_pretrained(self.output_dir)
        if self.tokenizer is not None:
            self.tokenizer.save_pretrained(self.output_dir)
        self.model.create_model_card(self.output_dir, self.repo_id.rpartition("/")[2], **self.card)
        hub.upload(self.output_dir, self.repo_id, message, token=self.token)

    def on_train_batch_end(self, batch, logs=None):
        if self.save_strategy == "steps" and (batch + 1) % self.save_steps == 0:
            self._push(f"Training in progress, step {batch + 1}")

    def on_epoch_end(self, epoch, logs=None):
        if self.save_strategy == "epoch":
            self._push(f"Training in progress, epoch {epoch + 1}")

    def on_train_end(self, logs=None):
        self._push("End of training")
