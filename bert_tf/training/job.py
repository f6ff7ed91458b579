"""What a training run starts from: texts, tokens, a classifier for their labels, and the output of its frozen layers.

    job = prepare("reviews.csv", settings=FINETUNE.settings(checkpoint="minilm"))
    inputs = job.inputs(job.model)
    job.model.fit(job.training_batches(inputs, batch_size=32, seed=0), validation_data=job.validation_batches(inputs, 32))

Inputs are features if layers are frozen, else tokens.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import keras
import numpy as np

from bert_tf import hardware, terminal
from bert_tf.backends.backend import create_variables
from bert_tf.checkpoints.config import PREFIX
from bert_tf.checkpoints.families.table import family_of
from bert_tf.checkpoints.heads import HEADS
from bert_tf.data.bucketing import by_length
from bert_tf.data.examples import Examples
from bert_tf.data.pipeline import batches
from bert_tf.data.tokenizer import MAX_LENGTH, Tokens, join, load_tokenizer, prefix_of, resolve_max_length, tokenize
from bert_tf.evaluation import diagnostics, facts
from bert_tf.features.cache import default_dir
from bert_tf.features.extraction import Features, extract, feature_dtype
from bert_tf.files import fingerprint
from bert_tf.formatting import Text
from bert_tf.inference.predict import check_kind
from bert_tf.reporting import tables
from bert_tf.settings import Settings
from bert_tf.tasks.task import Task, task_of
from bert_tf.training import recipe, weights
from bert_tf.training.heads import HEADS as HEADS_OF_TASKS
from bert_tf.training.sources import Say, absent_classes, read_both
from bert_tf.training.starting import classifier_for
from bert_tf.training.teacher import Teacher


@dataclass(frozen=True)
class Job:
    """Data and model of a run, read and checked against each other.

    Attributes:
        train, validation: `Examples`, their labels in the order of the model's.
        tokenizer, model: the checkpoint's, and the classifier as training starts, frozen as the settings say.
        settings: `Settings`, with all that the recipe and the checkpoint decide filled in.
        precision: str, "float32" or "bfloat16".
        held_out: bool, whether the validation texts were held out of the training texts.
        solves: bool, whether the head is new and solved before anything is trained.
        task: `Task`, what the texts are given; for the training texts' labels.
        teacher: `Teacher`, whose answers the model learns beside the labels; None = it learns the labels.
        kept_pieces: int64 `(V,)`, which word pieces of the checkpoint the model keeps; None = all.
        announced: of which features it was said where they are from: whether the teacher's, and of how many layers.
        in_memory: features that are to be kept there; the key says also of how many texts.
    """

    train: Examples
    validation: Examples
    tokenizer: Any
    model: Any
    settings: Settings
    precision: str
    held_out: bool
    solves: bool
    task: Task
    teacher: Teacher | None = None
    kept_pieces: np.ndarray | None = None
    announced: set[tuple[bool, int]] = field(default_factory=set, compare=False, repr=False)
    in_memory: dict[tuple[bool, int, int], Features] = field(default_factory=dict, compare=False, repr=False)

    @property
    def staged(self) -> bool:
        """Whether there is a model worth keeping before anything is trained; then both are compared after calibration."""
        return self.solves or self.teacher is not None

    @property
    def texts_to_learn(self) -> int:
        """The number of texts in an epoch: the training texts and those without labels."""
        return len(self.train) + (len(self.teacher.unlabelled) if self.teacher else 0)

    @property
    def loss(self) -> Any:
        """The loss of the model, as `compile` takes it."""
        return HEADS_OF_TASKS[self.task.name].soft_loss() if self.teacher else "auto"

    @property
    def metrics(self) -> list[Any]:
        """What Keras measures in training, as `compile` takes it."""
        return HEADS_OF_TASKS[self.task.name].metrics(self.task)

    @property
    def checkpoint(self) -> str:
        return str(self.settings.model.checkpoint)

    @property
    def max_length(self) -> int:
        return self.settings.data.max_length or 0

    @property
    def _parts(self) -> list[Iterable[Text]]:
        """Training texts, validation texts, and with a teacher those without labels."""
        return [self.train.texts, self.validation.texts, *([self.teacher.unlabelled.texts] if self.teacher else [])]

    @cached_property
    def tokens(self) -> Tokens:
        """Tokens of the training texts, the validation texts, then of texts without labels; ValueError if the tokenizer is not
        the model's."""
        before = prefix_of(self.model.config)
        parts = [tokenize(part, self.tokenizer, self.max_length, before) for part in self._parts]
        tokens, vocab_size = join(*parts).fitting(self.model.encoder), self.model.config.vocab_size
        if tokens.ids.max(initial=0) >= vocab_size:
            raise ValueError(
                f"{self.checkpoint}: its tokenizer gives ids up to {tokens.ids.max()}, its model has {vocab_size} tokens. "
                "They do not belong together."
            )
        return tokens

    @cached_property
    def _by_class(self) -> np.ndarray | None:
        return weights.class_weights(self.settings.training.class_weight, self.train)

    @cached_property
    def weights(self) -> np.ndarray | None:
        """How much each training text counts, by class and by itself, float32 `(N,)` of mean 1; None if all count the same."""
        return weights.text_weights(self.train, self._by_class)

    @cached_property
    def validation_weights(self) -> np.ndarray | None:
        """The same of the validation texts, `(M,)`, by the classes' weights of the training texts: for what is chosen by a loss."""
        return weights.text_weights(self.validation, self._by_class)

    @property
    def groups(self) -> np.ndarray | None:
        """Which training texts stay together, int `(N,)`; None = each is its own group."""
        return None if self.train.groups is None else np.unique(self.train.groups, return_inverse=True)[1]

    @property
    def imbalance(self) -> dict[str, Any] | None:
        """What there is to say about rare classes, see `diagnostics.imbalance`."""
        if not self.task.one_class:  # of labels and numbers it means nothing
            return None
        return diagnostics.imbalance(self.train.counts(), self.validation.counts(), self.weights is not None)

    @cached_property
    def baseline(self) -> Any:
        """The baseline, trained once on the training texts, or on as many of them as a report takes; ValueError if it cannot be."""
        seed, train = self.settings.training.seed, self.train
        places, texts, labels = facts.drawn(train.texts, train.labels, seed)
        counts, groups = (None if array is None else array[places] for array in (self.weights, self.groups))
        return self.task.train_baseline(texts, labels, train.label_names, seed, counts, groups)

    @cached_property
    def baseline_thresholds(self) -> np.ndarray | None:
        """The baseline's, chosen by the validation texts as the model's are."""
        return self.task.thresholds(self.validation.labels, self.baseline([*self.validation.texts]))

    def feature_dtype(self, model) -> str | None:
        """Returns the dtype of the features that `inputs` gives; None if it gives tokens."""
        compute = self.settings.compute
        return feature_dtype(model.encoder, compute.precision) if compute.cache and model.encoder.cacheable else None

    def adapt(self, progress: bool = True, say: Say = terminal.say) -> None:
        """Measures mean and variance of the training texts for a head that standardises its inputs, unless it has them."""
        if self.model.head == "first_token" or self.model.standardization.adapted:
            return
        features = self.frozen_features(progress, say)
        self.model.adapt(features.take(np.arange(len(self.train))))

    def ask_teacher(self, progress: bool = True, say: Say = terminal.say) -> None:
        """Computes what the teacher says of every text, from features that are kept as those of the frozen layers are."""
        assert self.teacher is not None
        model = self.teacher.model
        model.freeze(0)
        say("The teacher reads the texts.")
        features = self._features(model, self.tokens, self.settings.compute.cache or "memory", progress, say)
        pad = self.tokenizer.pad_token_id or 0
        logits = model.predict(batches(features, batch_size=1024, pad_token_id=pad), verbose=0).logits
        if self.teacher.blend:
            logits = self.teacher.blend(logits, [text for part in self._parts for text in part])
        self.teacher.logits = logits

    def frozen_features(self, progress: bool = True, say: Say = terminal.say) -> Features:
        """Returns what the head sees of the training and validation texts as training starts: features of all layers, kept in
        memory without a cache."""
        labelled = self.tokens.take(np.arange(len(self.train) + len(self.validation))) if self.teacher else self.tokens
        self.model.freeze(0)
        try:
            features = self._features(self.model, labelled, self.settings.compute.cache or "memory", progress, say)
        finally:
            self.model.freeze(self.settings.model.unfreeze)
        return features

    def inputs(self, model, progress: bool = True, say: Say = terminal.say) -> Tokens | Features:
        """Returns what the trained part of a model takes: the features of its frozen layers, or tokens.

        Args:
            model: `self.model`, or a fork of it.
            progress: bool, whether to show how far it is.
            say: takes a line about what was computed and where it is kept.
        """
        if self.feature_dtype(model) is None:
            return self.tokens
        return self._features(model, self.tokens, self.settings.compute.cache, progress, say)

    def _features(self, model, tokens: Tokens, cache: bool | str, progress: bool, say: Say) -> Features:
        started, compute = time.monotonic(), self.settings.compute
        dtype = feature_dtype(model.encoder, compute.precision)
        kind = "memory" if cache == "memory" else "disk"
        kept: dict[str, Any] = {
            "cache": kind,
            "cache_dir": compute.cache_dir,
            "keep": dtype,
            "checkpoint": self.checkpoint,
        }
        which = (self.teacher is not None and model is self.teacher.model, model.encoder.boundary)
        kept_as = (*which, len(tokens))
        if kept_as in self.in_memory:
            return self.in_memory[kept_as]
        features = extract(model.encoder, tokens, **kept, progress=progress)
        if compute.cache == "memory":
            self.in_memory[kept_as] = features
        if not features.computed and which in self.announced:
            return features
        self.announced.add(which)
        where = "in memory" if kind == "memory" else f"in {compute.cache_dir or default_dir()}"
        say(
            f"Features of the frozen layers: {features.computed:,} texts computed, {len(features) - features.computed:,} "
            f"read from the cache; kept {where}. {time.monotonic() - started:.0f} s."
        )
        return features

    def splits(self, inputs: Tokens | Features) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Returns `(inputs, labels)` of the training texts and of the validation texts, the latter from short to long; if texts
        count differently `(inputs, labels, weights)`.

        With a teacher the training texts are followed by those without labels, which count 1 each, and float targets stand for
        the labels.
        """
        every = (self._to_learn(inputs), self._to_validate(inputs))
        return tuple(tuple(part for part in parts if part is not None) for parts in every)  # type: ignore[return-value]

    def _to_learn(self, inputs: Tokens | Features) -> tuple[Any, np.ndarray, np.ndarray | None]:
        size = len(self.train)
        learnt = np.arange(size)
        if self.teacher:
            learnt = np.concatenate([learnt, np.arange(size + len(self.validation), len(inputs))])
        counts = self.weights
        if counts is not None:
            counts = np.concatenate([counts, np.ones(self.texts_to_learn - size, "float32")])
        return inputs.take(learnt), self._targets, counts

    def _to_validate(self, inputs: Tokens | Features) -> tuple[Any, np.ndarray, np.ndarray | None]:
        order, counts = self._short_to_long, self.validation_weights
        labels = self.task.targets(self.validation.labels)[order]
        return inputs.take(len(self.train) + order), labels, None if counts is None else counts[order]

    @property
    def _targets(self) -> np.ndarray:
        """What is learnt of each text, `(N,)`, `(N, C)` or `(N + U, C)`."""
        labels, task = self.train.labels, self.task
        return self.teacher.targets(labels, task) if self.teacher else task.targets(labels)

    def training_batches(self, inputs: Tokens | Features, **options) -> Any:
        """Returns shuffled batches of the training texts; `options` are those of `bert_tf.batches`."""
        taken, targets, counts = self._to_learn(inputs)
        pad = self.tokenizer.pad_token_id or 0
        return batches(taken, targets, weights=counts, shuffle=True, pad_token_id=pad, **options)

    def validation_batches(self, inputs: Tokens | Features, batch_size: int) -> Any:
        """Returns batches of the validation texts, from short to long."""
        pad = self.tokenizer.pad_token_id or 0
        taken, labels, counts = self._to_validate(inputs)
        return batches(taken, labels, weights=counts, batch_size=batch_size, pad_token_id=pad)

    def fit(
        self,
        model,
        inputs: Tokens | Features,
        batch_size: int,
        seed: int,
        first_epoch: int,
        micro_batches: int,
        validate: bool = True,
        **more,
    ) -> None:
        """Trains a compiled model from an epoch on; `more` are arguments of `keras.Model.fit`."""
        create_variables(model, self._targets[:1])
        model.fit(
            self.training_batches(
                inputs, batch_size=batch_size, micro_batches=micro_batches, seed=seed, first_epoch=first_epoch
            ),
            validation_data=self.validation_batches(inputs, batch_size) if validate else None,
            initial_epoch=first_epoch,
            **more,
        )

    def logits(self, model, inputs: Tokens | Features, batch_size: int) -> np.ndarray:
        """Returns a model's logits of the validation texts in their order, float32 `(M, C)`, from the batches that it is
        validated on in training; the model is as in training, before `Task.fold`."""
        by_size = model.predict(self.validation_batches(inputs, batch_size), verbose=0).logits
        logits = np.empty_like(by_size)
        logits[self._short_to_long] = by_size
        return self.task.logits(logits)

    def uncut_lengths(self) -> dict[str, np.ndarray]:
        """Returns the numbers of tokens before texts are cut, int64: "training" and "validation"."""
        lengths, size = self.tokens.uncut, len(self.train)
        if lengths is None:
            return {}
        return {"training": lengths[:size], "validation": lengths[size : size + len(self.validation)]}

    @cached_property
    def _short_to_long(self) -> np.ndarray:
        size = len(self.train)
        return by_length(self.tokens.take(np.arange(size, size + len(self.validation))))

    def recorded(self) -> dict[str, Any]:
        """Returns what decides a result beside the options, as JSON values: names to read, fingerprints to compare."""
        tokens, train = self.tokens, self.train
        labels = (train.labels, self.validation.labels, train.label_names)
        return {
            "train": train.source,
            "validation": self.validation.source,
            "checkpoint": self.checkpoint,
            "max_length": self.max_length,
            "precision": self.precision,
            "head": self.model.head,
            **({"task": self.task.name} if self.task.name != "classification" else {}),
            **({"teacher_fingerprint": _fingerprint(self.teacher.model)} if self.teacher else {}),
            "data_fingerprint": fingerprint(tokens.ids, tokens.ends, *labels),
            "weights_fingerprint": None if self.weights is None else fingerprint(self.weights),
            "validation_weights_fingerprint": (
                None if self.validation_weights is None else fingerprint(self.validation_weights)
            ),
            "groups_fingerprint": None if self.groups is None else fingerprint(self.groups),
            "checkpoint_fingerprint": _fingerprint(self.model.encoder),
        }

    def describe(self) -> str:
        """Returns what the model is, what of it is trained and in which precision, as lines to read."""
        layers = (
            f"layer{'s' * (len(self.teacher.chosen) > 1)} {', '.join(map(str, self.teacher.chosen))} of "
            if self.teacher
            else ""
        )
        start = f"\nFrom {layers}{self.checkpoint}, {what_is_trained(self.model, self.settings.model.unfreeze)}:"
        if self.settings.compute.precision != "auto":
            precision = f"Precision: {self.precision}, as requested."
        elif self.precision == "bfloat16":
            precision = "Precision: bfloat16, which this machine supports natively; trained weights stay float32."
        else:
            precision = "Precision: float32; bfloat16 would be no faster here."
        return f"{start}\n{tables.parameter_table(self.model.parameter_table())}\n\n{precision}"


def what_is_trained(model, unfreeze: int | str | None) -> str:
    """Returns how much of a model is trained, in words."""
    usual = {0: "the base frozen", len(model.encoder.blocks.layer): "all layers trained", "all": "everything trained"}
    return usual.get(unfreeze, "the top layer trained" if unfreeze == 1 else f"the top {unfreeze} layers trained")  # type: ignore[call-overload]


def _fingerprint(layer: keras.layers.Layer) -> str:
    return fingerprint(*map(keras.ops.convert_to_numpy, layer.weights))


def prepare(
    train: Any, validation: Any = None, *, settings: Settings, say: Say = terminal.say, teacher: Teacher | None = None
) -> Job:
    """Reads the data and the checkpoint of a run; sources and errors are those of `bert_tf.finetune`.

    Args:
        teacher: whose student is trained; None = the checkpoint is.
    """
    precision = hardware.resolve_precision(settings.compute.precision)
    examples, held = read_both(train, validation, settings, say)
    keras.utils.set_random_seed(settings.training.seed)
    if teacher:
        tokenizer, model = teacher.tokenizer, teacher.student()
        examples, held = teacher.relabel(examples), teacher.relabel(held)
        new_head, limit = HEADS[model.head].every_layer, tokenizer.model_max_length
    else:
        tokenizer, limit = load_tokenizer(settings.model.checkpoint), MAX_LENGTH
        model, examples, new_head = classifier_for(settings, examples, hardware.policy(precision))
        held = held.relabel(examples.label_names)
    task = task_of(examples.task).of(examples.labels)
    if teacher:
        check_kind(model.config, examples.pairs)
    if not new_head:
        task.unfold(model)
    model.config.text_pairs = examples.pairs
    if settings.model.prefix is not None:
        setattr(model.config, PREFIX, settings.model.prefix)
    settings = settings.replace(prefix=prefix_of(model.config) or None)
    if absent := absent_classes(examples, held):
        say(absent)
    max_length = resolve_max_length(settings.data.max_length, model.config, str(settings.model.checkpoint), limit)
    solves = recipe.solves(settings, model.head, new_head)
    settings = recipe.filled_in(settings.replace(max_length=max_length), model, new_head, solves or teacher is not None)
    if settings.model.dropout is not None:
        model.dropout.rate = settings.model.dropout
        setattr(model.config, family_of(model.model_type).head.dropout[0], settings.model.dropout)
    model.freeze(settings.model.unfreeze)
    job = Job(examples, held, tokenizer, model, settings, precision, validation is None, solves, task, teacher)
    weights.check_some(job.weights, "training", examples)
    weights.check_some(job.validation_weights, "validation", held)
    if job.imbalance:
        say(job.imbalance["verdict"])
    return job
