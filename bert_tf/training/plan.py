"""What a run will need, before it is begun: parameters, memory, room on disk and time, from a probe of a few seconds."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import keras
import numpy as np

from bert_tf import hardware
from bert_tf.checkpoints import locate
from bert_tf.checkpoints.config import read_config
from bert_tf.checkpoints.folder import load_weights
from bert_tf.data.bucketing import padded_batch, token_batches
from bert_tf.data.pipeline import batches
from bert_tf.data.readers import read_examples
from bert_tf.data.tokenizer import Tokens, load_tokenizer, resolve_max_length, tokenize
from bert_tf.features.extraction import Features, extract, feature_dtype, numpy_dtype
from bert_tf.inference.engines import keras_engine
from bert_tf.models.auto import model_class
from bert_tf.training.recipe import Recipe

PROBE = 2.0  # seconds that each speed is measured for


@dataclass(frozen=True)
class Plan:
    """What `finetune` with the same settings will need.

    Attributes:
        texts, tokens: int, of all texts, cut to `max_length`; twice the same text counts twice.
        longest: int, tokens of the longest text.
        parameters, trainable_parameters: int.
        precision: str, what is computed in.
        weights_bytes: int, weights, gradients and the state of Adam.
        activations_bytes: int, what a step on `batch_size` of the longest texts keeps for the backward pass, estimated
            from the sizes of the layers that are trained.
        cache_bytes: int, the features on disk; 0 without a cache.
        features_seconds: float, computing them, once.
        epoch_seconds: float, each epoch after that, validation included.
        seconds: float, all epochs and the features.
    """

    texts: int
    tokens: int
    longest: int
    parameters: int
    trainable_parameters: int
    precision: str
    weights_bytes: int
    activations_bytes: int
    cache_bytes: int
    features_seconds: float
    epoch_seconds: float
    seconds: float


def plan(
    train: Any,
    validation: Any = None,
    *,
    checkpoint: str | Path = locate.MINILM,
    unfreeze: int | str = 0,
    head: str | None = None,
    epochs: int = 3,
    batch_size: int = 32,
    max_length: int | None = None,
    precision: str = "auto",
    cache: bool = True,
    text_column: str | None = None,
    label_column: str | None = None,
    validation_share: float = 0.2,
) -> Plan:
    """Says what `finetune` with the same arguments will need, without training anything that is kept.

    The time is measured on this machine, on texts of typical length, for `PROBE` seconds each for the frozen and the
    trained part.

    Args: those of `bert_tf.finetune`, which see.
    Returns: `Plan`.
    Raises: ValueError or FileNotFoundError as `finetune` does.
    """
    Recipe(epochs=epochs, learning_rate=1.0, batch_size=batch_size)  # refuses what is no number of epochs or texts
    source = str(checkpoint)
    computed_in = hardware.resolve_precision(precision)
    parts = [read_examples(part, text_column, label_column) for part in (train, validation) if part is not None]
    share = validation_share if validation is None else len(parts[1]) / (len(parts[0]) + len(parts[1]))
    model = _model(source, len(parts[0].label_names), head, hardware.policy(computed_in))
    max_length = resolve_max_length(max_length, model.config, source)
    model.freeze(unfreeze)
    tokens = tokenize(chain(*(part.texts for part in parts)), load_tokenizer(source), max_length)
    total = int(tokens.lengths.sum())
    encoder = model.encoder
    cached = bool(cache and encoder.cacheable)
    kept_bytes = numpy_dtype(feature_dtype(encoder, precision)).itemsize

    typical = _typical(tokens, batch_size)
    inputs: Tokens | Features = extract(encoder, typical, cache="memory", engine="keras") if cached else typical
    step = next(iter(batches(inputs, np.zeros(len(typical), "int32"), batch_size=batch_size)))
    model.compile(keras.optimizers.Adam(1e-6), jit_compile=hardware.jit_compile())
    per_token = _seconds(lambda: model.train_on_batch(*step)) / int(typical.lengths.sum())
    trained = len(encoder.blocks.layer) - encoder.boundary
    above = trained + 1 if cached else len(encoder.blocks.layer)
    forward = above / (above + 2 * trained + 1)  # of a step's time; backwards costs twice, and only what is trained
    epoch_seconds = total * per_token * ((1 - share) + share * forward)
    features_seconds = 0.0
    if cached:
        features_seconds = total * _features_seconds_per_token(encoder, tokens)
    trainable = model.num_parameters(only_trainable=True)
    return Plan(
        texts=len(tokens),
        tokens=total,
        longest=int(tokens.lengths.max()),
        parameters=model.num_parameters(),
        trainable_parameters=trainable,
        precision=computed_in,
        weights_bytes=4 * model.num_parameters() + 12 * trainable,
        activations_bytes=_activations(model, batch_size, int(tokens.lengths.max()), computed_in),
        cache_bytes=(len(tokens) if encoder.all_frozen else total) * encoder.feature_size * kept_bytes if cached else 0,
        features_seconds=features_seconds,
        epoch_seconds=epoch_seconds,
        seconds=features_seconds + epochs * epoch_seconds,
    )


def _model(source: str, num_labels: int, head: str | None, dtype: str):
    folder = locate.resolve(source)
    config = read_config(
        folder,
        num_labels=num_labels,
        problem_type="single_label_classification",
        **({"classifier_pooling": head} if head else {}),
    )
    model = model_class(config)(config, dtype=dtype)
    load_weights(model, folder, new_head=True)
    return model


def _typical(tokens: Tokens, batch_size: int) -> Tokens:
    """Returns `batch_size` texts about as long as the mean."""
    middle = np.argsort(np.abs(tokens.lengths - tokens.lengths.mean()), kind="stable")
    return tokens.take(middle[:batch_size])


def _features_seconds_per_token(encoder, tokens: Tokens) -> float:
    """Times the frozen part on one batch of the kind that `extract` makes, from the middle of them."""
    found = token_batches(tokens.lengths, hardware.token_budget())
    middle = found[len(found) // 2]
    batch = padded_batch(tokens, middle)
    engine = keras_engine(encoder, encoder.features)
    return _seconds(lambda: engine(*batch)) / int(tokens.lengths[middle].sum())


def _seconds(run: Callable[[], Any]) -> float:
    """Returns the median time of a run, from as many as fit into `PROBE` seconds; the first, which builds, is not counted."""
    run()
    times: list[float] = []
    while sum(times) < PROBE:
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return float(np.median(times))


def _activations(model, batch_size: int, longest: int, precision: str) -> int:
    """Estimates what a training step keeps: for each trained layer 9 rows of `hidden_size` and 2 of
    `intermediate_size` a token, and the attention's scores and probabilities, in and behind the softmax."""
    encoder = model.encoder
    settings = encoder.get_config()
    layers = len(encoder.blocks.layer) - encoder.boundary
    size = 2 if precision == "bfloat16" else 4
    row = 9 * settings["hidden_size"] + 2 * settings["intermediate_size"]
    attention = settings["num_attention_heads"] * longest * (8 + 2 * size)
    return batch_size * longest * layers * (row * size + attention)
