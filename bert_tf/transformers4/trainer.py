"""`TFTrainer` and `TFTrainingArguments`: thin faces over `fit`, for scripts older than transformers 4.20."""

import dataclasses
import logging
import os
import warnings
from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from bert_tf.transformers4.optimizer import create_optimizer

log = logging.getLogger("bert_tf")


class EvalPrediction(NamedTuple):
    """What `compute_metrics` gets: `predictions`, the logits, and `label_ids`, the labels."""

    predictions: np.ndarray
    label_ids: np.ndarray


class PredictionOutput(NamedTuple):
    """What `TFTrainer.predict` returns: logits, labels (None if the dataset has none) and metrics by name."""

    predictions: np.ndarray
    label_ids: np.ndarray | None
    metrics: dict[str, float]


NO_EFFECT = frozenset(
    [
        "overwrite_output_dir",
        "do_train",
        "do_eval",
        "do_predict",
        "evaluate_during_training",
        "prediction_loss_only",
        "logging_strategy",
        "logging_first_step",
        "logging_steps",
        "save_strategy",
        "save_steps",
        "save_total_limit",
        "no_cuda",
        "fp16",
        "fp16_opt_level",
        "local_rank",
        "tpu_num_cores",
        "tpu_name",
        "tpu_zone",
        "gcp_project",
        "debug",
        "eval_steps",
        "past_index",
        "run_name",
        "disable_tqdm",
        "max_grad_norm",
        "load_best_model_at_end",
        "metric_for_best_model",
        "greater_is_better",
        "report_to",
        "push_to_hub",
        "remove_unused_columns",
        "label_names",
        "dataloader_num_workers",
        "lr_scheduler_type",
        "per_gpu_train_batch_size",
        "per_gpu_eval_batch_size",
    ]
)


@dataclasses.dataclass(init=False)
class TFTrainingArguments:
    """The settings of a `TFTrainer`, those of transformers 4 that have an effect here.

    Attributes:
        output_dir: the folder of `save_model`.
        num_train_epochs: float; `max_steps`, if it is not -1, counts instead.
        per_device_train_batch_size, per_device_eval_batch_size: int.
        gradient_accumulation_steps: int, batches per step.
        learning_rate, weight_decay, adam_beta1, adam_beta2, adam_epsilon, poly_power: as for `create_optimizer`.
        warmup_steps: int; None = `warmup_ratio` of all steps.
        evaluation_strategy, eval_strategy: "no", or "epoch" or "steps" for an evaluation after each epoch.
        logging_dir: the folder of TensorBoard's logs; None = none.
        seed: int.
        dataloader_drop_last: bool, whether a smaller last batch is left out.
        xla: bool.

    Raises: TypeError for an argument that transformers 4 had not; those that have no effect here are logged.
    """

    output_dir: str | os.PathLike = "."
    num_train_epochs: float = 3.0
    max_steps: int = -1
    per_device_train_batch_size: int = 8
    per_device_eval_batch_size: int = 8
    gradient_accumulation_steps: int = 1
    learning_rate: float = 5e-5
    weight_decay: float = 0.0
    adam_beta1: float = 0.9
    adam_beta2: float = 0.999
    adam_epsilon: float = 1e-8
    poly_power: float = 1.0
    warmup_steps: int | None = None
    warmup_ratio: float = 0.0
    evaluation_strategy: str = "no"
    eval_strategy: str | None = None
    logging_dir: str | os.PathLike | None = None
    seed: int = 42
    dataloader_drop_last: bool = False
    xla: bool = False

    def __init__(self, output_dir: str | os.PathLike = ".", **settings):
        names = [field.name for field in dataclasses.fields(self)]
        if unknown := sorted(set(settings) - set(names) - NO_EFFECT):
            raise TypeError(f"TFTrainingArguments has no argument {', '.join(unknown)}. It has: {', '.join(names)}.")
        if without := sorted(set(settings) & NO_EFFECT):
            log.info("TFTrainingArguments: without an effect here: %s.", ", ".join(without))
        self.output_dir = output_dir
        for name, value in settings.items():
            if name in names:
                setattr(self, name, value)

    @cached_property
    def strategy(self) -> tf.distribute.Strategy:
        """Every GPU if there are several, else TensorFlow's default."""
        several = len(tf.config.list_physical_devices("GPU")) > 1
        return tf.distribute.MirroredStrategy() if several else tf.distribute.get_strategy()

    @property
    def n_replicas(self) -> int:
        """Number of devices."""
        return self.strategy.num_replicas_in_sync

    @property
    def train_batch_size(self) -> int:
        """Texts per batch, over all devices."""
        return self.per_device_train_batch_size * self.n_replicas

    @property
    def eval_batch_size(self) -> int:
        """Texts per batch of an evaluation, over all devices."""
        return self.per_device_eval_batch_size * self.n_replicas


class TFTrainer:
    """Trains with `fit` and evaluates with `predict`. New code: `compile` and `fit`, or `bert_tf.finetune`.

    Args:
        model: a model of bert_tf.
        args: `TFTrainingArguments`; None = the defaults.
        train_dataset, eval_dataset: `tf.data.Dataset` of (inputs, label), not batched.
        compute_metrics: takes an `EvalPrediction`, returns a dict of floats; None = the loss alone.
        tb_writer: ignored; `args.logging_dir` turns TensorBoard on.
        optimizers: `(optimizer, schedule)` as `create_optimizer` returns them; None = made from `args`.
    """

    def __init__(
        self,
        model: Any,
        args: TFTrainingArguments | None = None,
        train_dataset: tf.data.Dataset | None = None,
        eval_dataset: tf.data.Dataset | None = None,
        compute_metrics: Callable[[EvalPrediction], dict] | None = None,
        tb_writer: Any = None,
        optimizers: tuple = (None, None),
    ):
        self.model, self.args = model, args or TFTrainingArguments()
        self.train_dataset, self.eval_dataset = train_dataset, eval_dataset
        self.compute_metrics = compute_metrics
        self.optimizer, self.lr_scheduler = optimizers
        keras.utils.set_random_seed(self.args.seed)

    def create_optimizer_and_scheduler(self, num_training_steps: int) -> None:
        """Makes the optimizer of `args`, unless one was given."""
        args = self.args
        warmup = round(args.warmup_ratio * num_training_steps) if args.warmup_steps is None else args.warmup_steps
        if self.optimizer is None:
            self.optimizer, self.lr_scheduler = create_optimizer(
                args.learning_rate,
                num_training_steps,
                min(warmup, num_training_steps - 1),
                adam_beta1=args.adam_beta1,
                adam_beta2=args.adam_beta2,
                adam_epsilon=args.adam_epsilon,
                weight_decay_rate=args.weight_decay,
                power=args.poly_power,
            )
            if args.gradient_accumulation_steps > 1:
                self.optimizer.gradient_accumulation_steps = args.gradient_accumulation_steps

    def train(self) -> keras.callbacks.History:
        """Trains; returns Keras' history.

        Raises: ValueError without a `train_dataset`, or if its size is unknown.
        """
        if self.train_dataset is None:
            raise ValueError("TFTrainer.train needs `train_dataset`.")
        args, texts = self.args, int(self.train_dataset.cardinality())
        if texts < 1:
            raise ValueError(
                "The size of `train_dataset` is unknown: dataset.apply(tf.data.experimental.assert_cardinality(n))"
            )
        batches = self.train_dataset.shuffle(texts, seed=args.seed)
        batches = batches.batch(args.train_batch_size, drop_remainder=args.dataloader_drop_last)
        per_epoch = max(int(batches.cardinality()), 1)
        accumulated = max(args.gradient_accumulation_steps, 1)
        steps = args.max_steps if args.max_steps > 0 else max(round(args.num_train_epochs * per_epoch / accumulated), 1)
        self.create_optimizer_and_scheduler(steps)
        self.model.compile(self.optimizer, jit_compile=args.xla)
        evaluated = self.eval_dataset if (args.eval_strategy or args.evaluation_strategy) != "no" else None
        with warnings.catch_warnings():
            # The last epoch is shorter, if the steps are not those of whole epochs.
            warnings.filterwarnings("ignore", message="Your input ran out of data")
            return self.model.fit(
                batches.repeat().take(steps * accumulated),
                epochs=-(-steps * accumulated // per_epoch),
                steps_per_epoch=min(per_epoch, steps * accumulated),
                validation_data=None if evaluated is None else evaluated.batch(args.eval_batch_size),
                callbacks=[keras.callbacks.TensorBoard(args.logging_dir)] if args.logging_dir else None,
            )

    def evaluate(self, eval_dataset: tf.data.Dataset | None = None) -> dict[str, float]:
        """Returns `eval_loss` and, with `compute_metrics`, its metrics by names that begin with `eval_`."""
        dataset = self.eval_dataset if eval_dataset is None else eval_dataset
        if dataset is None:
            raise ValueError("TFTrainer.evaluate needs `eval_dataset`.")
        return self.predict(dataset).metrics

    def predict(self, test_dataset: tf.data.Dataset) -> PredictionOutput:
        """Predicts the texts of a dataset, and measures where it has labels."""
        # Kept, so that labels are read in the order of the predictions, also of a dataset that is shuffled anew each time.
        batches = test_dataset.batch(self.args.eval_batch_size).cache()
        logits = np.asarray(self.model.predict(batches, verbose=0).logits)
        if not isinstance(test_dataset.element_spec, tuple):
            return PredictionOutput(logits, None, {})
        labels = np.concatenate([np.asarray(batch[1]) for batch in batches])
        metrics = {"eval_loss": float(np.mean(self.model.hf_compute_loss(labels, logits)))}
        if self.compute_metrics is not None:
            found = self.compute_metrics(EvalPrediction(logits, labels))
            metrics |= {f"eval_{name.removeprefix('eval_')}": float(value) for name, value in found.items()}
        return PredictionOutput(logits, labels, metrics)

    def save_model(self, output_dir: str | os.PathLike | None = None) -> None:
        """Saves the model to a folder; None = `args.output_dir`."""
        self.model.save_pretrained(output_dir or self.args.output_dir)
