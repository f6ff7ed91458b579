"""What a training run starts from: texts, tokens, a classifier for their classes, and what its frozen layers give.

    job = prepare("reviews.csv", checkpoint="minilm")
    inputs = job.inputs(job.model)
    job.model.fit(job.training(inputs, batch_size=32, seed=0), validation_data=job.held_back(inputs, 32))

The inputs are features where layers are frozen, else tokens.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np

from bert_tf import hardware
from bert_tf.checkpoints import locate
from bert_tf.checkpoints.config import label_names, read_config
from bert_tf.checkpoints.families.table import FAMILIES
from bert_tf.checkpoints.folder import has_head, load_weights
from bert_tf.checkpoints.heads import HEADS, head_of
from bert_tf.data.bucketing import by_length
from bert_tf.data.examples import Examples, check_classes
from bert_tf.data.pipeline import batches
from bert_tf.data.readers import read_examples
from bert_tf.data.tokenizer import Tokens, join, load_tokenizer, resolve_max_length, tokenize
from bert_tf.evaluation.scores import softmax
from bert_tf.features.cache import default_dir
from bert_tf.features.extraction import Features, extract, feature_dtype
from bert_tf.files import fingerprint
from bert_tf.models.auto import model_class
from bert_tf.models.keras_internals import all_layers
from bert_tf.reporting import tables

Say = Callable[[str], None]


# Of a new head over the means of every layer. On 2,000 product reviews (validation loss at the best epoch) 0.224 where 0.2
# gives 0.232; on as many app reviews 0.302 and 0.301.
LAYER_MEANS_DROPOUT = 0.5


@dataclass(frozen=True)
class Job:
    """Data and model of a run, read and found to belong together.

    Attributes:
        checkpoint: str, where the model comes from.
        train, validation: `Examples`, their classes in the order of the model's.
        tokenizer: the checkpoint's.
        model: the classifier as it starts.
        max_length: int, tokens.
        precision: str, what is computed in: "float32" or "bfloat16".
        asked: str, what was asked for, "auto" as well.
        share: float, of the texts that was held back for validation; None = validation texts were given.
    """

    checkpoint: str
    train: Examples
    validation: Examples
    tokenizer: Any
    model: Any
    max_length: int
    precision: str
    asked: str
    share: float | None

    @cached_property
    def tokens(self) -> Tokens:
        """Training texts, then validation texts.

        Raises: ValueError if the tokenizer is not the model's.
        """
        parts = [tokenize(part.texts, self.tokenizer, self.max_length) for part in (self.train, self.validation)]
        tokens, known = join(*parts), self.model.config.vocab_size
        if tokens.ids.max(initial=0) >= known:
            raise ValueError(
                f"{self.checkpoint}: its tokenizer gives ids up to {tokens.ids.max()}, its model knows {known} tokens. "
                "The two do not belong together."
            )
        return tokens

    def kept_in(self, model, cache: bool | str = True) -> str | None:
        """Returns the dtype of the features that `inputs` gives, None where it gives tokens."""
        return feature_dtype(model.encoder, self.asked) if cache and model.encoder.cacheable else None

    def adapt(self, cache: bool | str = True, cache_dir: str | Path | None = None, say: Say = print) -> None:
        """Gives a head that standardises what it sees mean and variance of the training texts, if it has none yet.

        Args: as of `inputs`.
        """
        if self.model.head == "first_token" or self.model.standardization.adapted:
            return
        trained = [layer.trainable for layer in all_layers(self.model)]
        self.model.freeze(0)  # the means of every layer as training starts
        features = self.inputs(self.model, cache or "memory", cache_dir, say is print, say)
        self.model.adapt(features.take(np.arange(len(self.train))))
        for layer, each in zip(all_layers(self.model), trained, strict=True):
            layer.trainable = each

    def inputs(
        self,
        model,
        cache: bool | str = True,
        cache_dir: str | Path | None = None,
        progress: bool = True,
        say: Say = print,
    ) -> Tokens | Features:
        """Returns what the trained part of a model takes: features of what is frozen, or tokens.

        Args:
            model: `self.model`, or a fork of it.
            cache: True or "disk" = features kept on disk, "memory" = for this process, False = tokens.
            cache_dir: folder for it; None = the user's cache folder.
            progress: bool, whether to show a progress bar on a terminal.
            say: takes a line on what was computed and where it is kept.
        """
        keep, started = self.kept_in(model, cache), time.monotonic()
        if keep is None:
            return self.tokens
        kind = "memory" if cache == "memory" else "disk"
        found = extract(
            model.encoder, self.tokens, cache=kind, cache_dir=cache_dir, keep=keep, checkpoint=self.checkpoint,
            progress=progress,
        )  # fmt: skip
        where = "in memory" if kind == "memory" else f"in {cache_dir or default_dir()}"
        say(
            f"Features of the frozen layers: {found.computed:,} texts computed, the other "
            f"{len(found) - found.computed:,} known; kept {where}. {time.monotonic() - started:.0f} s."
        )
        return found

    def parts(self, inputs: Tokens | Features) -> tuple[tuple[Any, np.ndarray], tuple[Any, np.ndarray]]:
        """Returns what `inputs` gave and the labels, of the training texts and of the validation texts, these from short
        to long."""
        size = len(self.train)
        order = self._short_to_long
        train = inputs.take(np.arange(size)), self.train.labels
        return train, (inputs.take(size + order), self.validation.labels[order])

    def training(self, inputs: Tokens | Features, **options) -> Any:
        """Returns shuffled batches of the training texts; `options` are those of `pipeline.batches`."""
        return batches(*self.parts(inputs)[0], shuffle=True, pad_token_id=self._pad, **options)

    def held_back(self, inputs: Tokens | Features, batch_size: int) -> Any:
        """Returns batches of the validation texts, from short to long."""
        return batches(*self.parts(inputs)[1], batch_size=batch_size, pad_token_id=self._pad)

    def logits(self, model, inputs: Tokens | Features, batch_size: int) -> np.ndarray:
        """Returns what a model says of the validation texts, in their order, float32 `(M, C)`; from the very batches that it
        is measured on in training."""
        logits = model.predict(self.held_back(inputs, batch_size), verbose=0).logits
        found = np.empty_like(logits)
        found[self._short_to_long] = logits
        return found

    def probabilities(self, model, inputs: Tokens | Features, batch_size: int) -> np.ndarray:
        """Returns the same as probabilities, float64 `(M, C)`."""
        return softmax(self.logits(model, inputs, batch_size).astype("float64"))

    def uncut_lengths(self) -> dict[str, np.ndarray]:
        """Returns how many tokens the texts have before they are cut, int64: "training" and "validation"."""
        lengths, size = self.tokens.uncut, len(self.train)
        return {} if lengths is None else {"training": lengths[:size], "validation": lengths[size:]}

    @cached_property
    def _short_to_long(self) -> np.ndarray:
        return by_length(self.tokens.take(np.arange(len(self.train), len(self.tokens))))

    @property
    def _pad(self) -> int:
        return self.tokenizer.pad_token_id or 0

    def settings(self) -> dict[str, Any]:
        """Returns what of this decides a result, as JSON values: names to read, fingerprints to compare."""
        tokens = self.tokens
        return {
            "train": self.train.source,
            "validation": self.validation.source,
            "checkpoint": self.checkpoint,
            "max_length": self.max_length,
            "precision": self.precision,
            "head": self.model.head,
            "data_fingerprint": fingerprint(
                tokens.ids, tokens.ends, self.train.labels, self.validation.labels, self.train.label_names
            ),
            "checkpoint_fingerprint": fingerprint(*map(keras.ops.convert_to_numpy, self.model.encoder.weights)),
        }

    def describe(self, unfreeze: int | str) -> str:
        """Returns what the model is, what of it is trained and what is computed in, as lines to read."""
        start = f"\nFrom {self.checkpoint}, " + ("the base frozen:" if unfreeze == 0 else f"unfrozen: {unfreeze}:")
        if self.asked != "auto":
            precision = f"Computing in {self.precision}, as asked."
        elif self.precision == "bfloat16":
            precision = "Computing in bfloat16, which this machine does natively; trained weights stay float32."
        else:
            precision = "Computing in float32: this machine does no native bfloat16."
        return f"{start}\n{tables.parameter_table(self.model.parameter_table())}\n\n{precision}"


def prepare(
    train: Any,
    validation: Any = None,
    *,
    checkpoint: str | Path,
    unfreeze: int | str = 0,
    max_length: int | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    validation_share: float = 0.2,
    new_head: bool = False,
    head: str | None = None,
    dropout: float | None = None,
    precision: str = "auto",
    seed: int = 0,
    say: Say = print,
) -> Job:
    """Reads data and checkpoint of a run.

    Args: those of `bert_tf.finetune`, which see.
    Returns: `Job`; its model is frozen as `unfreeze` says.
    Raises: ValueError or FileNotFoundError that says what was found and what to do.
    """
    if head is not None and head not in HEADS:
        raise ValueError(f"`head` must be None or one of {', '.join(HEADS)}. Received: head={head!r}")
    source, computed_in = str(checkpoint), hardware.resolve_precision(precision)
    examples, held_back = _read(train, validation, text_column, label_column, validation_share, seed, say)
    keras.utils.set_random_seed(seed)
    tokenizer = load_tokenizer(source)
    model, examples = _classifier(source, examples, new_head, head, unfreeze, dropout, hardware.policy(computed_in))
    held_back = held_back.relabel(examples.label_names)
    max_length = resolve_max_length(max_length, model.config, source)
    model.freeze(unfreeze)
    share = validation_share if validation is None else None
    return Job(source, examples, held_back, tokenizer, model, max_length, computed_in, precision, share)


def _read(train, validation, text_column, label_column, share, seed, say) -> tuple[Examples, Examples]:
    examples = read_examples(train, text_column, label_column)
    check_classes(examples)
    if validation is None:
        examples, held_back = examples.split(share, seed)
        say(
            f"No validation data given: {len(held_back)} of {len(examples) + len(held_back)} texts are held back for it."
        )
    else:
        held_back = read_examples(validation, text_column, label_column)
    for name, part in (("Training", examples), ("Validation", held_back)):
        counts = ", ".join(f"{count} {label}" for label, count in part.counts().items())
        say(f"{name}: {len(part)} texts ({counts}), {part.source}")
    return examples, held_back


def _classifier(
    source: str,
    examples: Examples,
    new_head: bool,
    head: str | None,
    unfreeze: int | str,
    dropout: float | None,
    dtype: str,
) -> tuple[Any, Examples]:
    """Loads the classifier for the classes of `examples`; a head that is there is kept only if it is for the same ones."""
    folder = locate.resolve(source)
    names = examples.label_names
    config = read_config(folder)
    kept = has_head(folder) and not new_head
    if kept and head not in (None, head_of(config)):
        raise ValueError(
            f"{source} has a head over {head_of(config)}, asked for is head={head!r}. For a new one pass new_head=True "
            "(--new-head)."
        )
    if kept:
        theirs = label_names(config)
        if set(theirs) == set(names):
            examples = examples.relabel(theirs)
        elif len(theirs) != len(names) or any(name != f"LABEL_{i}" for i, name in enumerate(theirs)):
            raise ValueError(
                f"{source} has a head for {len(theirs)} labels ({', '.join(theirs)}), the data has {len(names)} "
                f"({', '.join(names)}). For a new head pass new_head=True (--new-head)."
            )
    config = read_config(
        folder,
        id2label=dict(enumerate(examples.label_names)),
        problem_type="single_label_classification",
        **({"classifier_pooling": head} if head else {}),
    )
    if dropout is None and not kept and head_of(config) == "layer_means":
        dropout = LAYER_MEANS_DROPOUT
    if dropout is not None:
        setattr(config, FAMILIES[config.model_type].head_dropout[0], dropout)
    model = model_class(config)(config, dtype=dtype)
    info = load_weights(model, folder, new_head=new_head)
    if unfreeze == 0 and model.head == "first_token" and any("pooler" in name for name in info["missing_keys"]):
        raise ValueError(
            f"{source} has no pooler, and a frozen base would keep a random one. Train it with unfreeze=1 "
            "(--unfreeze 1), or fold the checkpoint: bert-tf convert --to distilbert."
        )
    model.name_or_path = source
    return model, examples
