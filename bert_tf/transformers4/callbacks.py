"""The Keras callbacks of transformers 4."""

import os
from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np

from bert_tf.checkpoints import hub
from bert_tf.data.labels import LABEL_KEYS


class KerasMetricCallback(keras.callbacks.Callback):
    """Computes metrics in plain Python after each epoch, over all predictions at once, and adds them to the logs.

    Args:
        metric_fn: takes `(predictions, labels)`, NumPy arrays over the whole dataset; returns a dict of floats.
        eval_dataset: `tf.data.Dataset` of (inputs, labels), or of inputs that contain the labels.
        output_cols: names of the outputs to pass; None = only the logits.
        label_cols: name or names of the labels among the inputs; None = the usual ones.
        batch_size: int, for a dataset that is not batched.
    """

    def __init__(self, metric_fn, eval_dataset, output_cols=None, label_cols=None, batch_size=None, **kwargs):
        super().__init__()
        if kwargs.get("predict_with_generate"):
            raise ValueError("predict_with_generate is for models that generate text; bert_tf has none.")
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
                raise ValueError(f"`eval_dataset` has no labels: its batches contain none of {self.label_cols}.")
            outputs = self.model.predict_on_batch(inputs)
            predictions.append({name: np.asarray(outputs[name]) for name in self.output_cols or ["logits"]})
            labels.append(np.asarray(target))
        joined = {name: np.concatenate([part[name] for part in predictions]) for name in predictions[0]}
        metrics = self.metric_fn((joined if len(joined) > 1 else next(iter(joined.values())), np.concatenate(labels)))
        if not isinstance(metrics, Mapping):
            raise TypeError(f"`metric_fn` must return a dict of metrics. Received: {type(metrics).__name__}")
        if logs is not None:
            logs.update({name: float(value) for name, value in metrics.items()})


class PushToHubCallback(keras.callbacks.Callback):
    """Saves the model after each epoch, with its tokenizer and card, and uploads the folder to the hub.

    Args:
        output_dir: folder; gives the repository its name if `hub_model_id` is None.
        save_strategy: "epoch", "steps" (every `save_steps` batches) or "no" (only at the end of training).
        tokenizer: saved with the model; None = none.
        hub_model_id: the repository; None = named as the folder.
        hub_token: None = the one stored by `hf auth login`.
        **model_card_kwargs: the card's header, as for `create_model_card`.
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
            raise ValueError(
                "checkpoint=True is not supported: use keras.callbacks.BackupAndRestore for training state."
            )
        self.output_dir = Path(output_dir)
        self.save_strategy, self.save_steps = save_strategy, save_steps
        self.tokenizer, self.token, self.card = tokenizer, hub_token, model_card_kwargs
        self.repo_id = hub_model_id or self.output_dir.resolve().name

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
