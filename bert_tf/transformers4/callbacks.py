"""Keras callbacks of transformers 4."""

import os
from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np

from bert_tf.checkpoints import folder, hub
from bert_tf.data.labels import LABEL_KEYS

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
        if folder:
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
