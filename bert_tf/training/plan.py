"""What a run will need, before it begins: parameters, memory, disk space and time, from a probe of a few seconds."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from bert_tf import hardware
from bert_tf.data.bucketing import padded_batch, token_batches
from bert_tf.data.pipeline import batches
from bert_tf.data.tokenizer import Tokens
from bert_tf.features.extraction import Features, extract, numpy_dtype
from bert_tf.formatting import duration, megabytes
from bert_tf.inference.engines import keras_engine
from bert_tf.options import with_options
from bert_tf.reporting.display import Displayed, table
from bert_tf.settings import PLAN, Settings
from bert_tf.training.job import prepare

PROBE = 2.0  # seconds that each speed is measured for


@dataclass(frozen=True, repr=False)
class Plan(Displayed):
    """What `finetune` with the same settings will need.

    Attributes:
        texts, tokens: int, of all texts, cut to `max_length`; a text that occurs twice counts twice.
        longest: int, tokens of the longest text.
        parameters, trainable_parameters: int.
        precision: str, of the computation.
        weights_bytes: int, weights, gradients and the state of Adam.
        activations_bytes: int, what a step on `batch_size` of the longest texts keeps for the backward pass, estimated
            from the sizes of the trained layers.
        cache_bytes: int, the features on disk; 0 without a cache.
        features_seconds: float, to compute them, once.
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

    def _title(self) -> str:
        return "What a run will need"

    def _blocks(self) -> list[dict[str, Any]]:
        rows = [
            ("texts, tokens", f"{self.texts:,}, {self.tokens:,} (longest text: {self.longest})"),
            ("parameters, trained", f"{self.parameters:,}, {self.trainable_parameters:,}"),
            ("precision, device", f"{self.precision}, {hardware.description()}"),
            ("weights, gradients, optimizer", megabytes(self.weights_bytes)),
            ("activations of a step, about", megabytes(self.activations_bytes)),
            ("features on disk", megabytes(self.cache_bytes) if self.cache_bytes else "none"),
            ("time for the features, once", duration(self.features_seconds)),
            ("time per epoch", duration(self.epoch_seconds)),
            ("time in all", duration(self.seconds)),
        ]
        return [table({"what": "text", "how much": "plain"}, rows)]


@with_options(PLAN)
def plan(train: Any, validation: Any = None, *, settings: Settings) -> Plan:
    """Says what `finetune` with the same arguments will need; no result of training is kept.

    The time is measured on this machine, on texts of typical length, for `PROBE` seconds each
    for the frozen and the trained part.

    Args:
        train, validation: as for `bert_tf.finetune`.
        {options}
    Returns: `Plan`.
    Raises: as `bert_tf.finetune`.
    """
    job = prepare(train, validation, settings=settings, say=lambda _: None)
    training = job.settings.training
    model, tokens, encoder = job.model, job.tokens, job.model.encoder
    share = len(job.validation) / len(tokens)
    total, longest = int(tokens.lengths.sum()), int(tokens.lengths.max())
    dtype = job.feature_dtype(model)

    nearest = np.argsort(np.abs(tokens.lengths - tokens.lengths.mean()), kind="stable")
    typical = tokens.take(nearest[: training.texts_per_step])
    inputs: Tokens | Features = extract(encoder, typical, cache="memory", engine="keras") if dtype else typical
    targets = job.splits(job.tokens)[0][1]
    some = np.resize(targets, (len(typical), *targets.shape[1:]))  # any will do
    step = next(iter(batches(inputs, some, batch_size=training.texts_per_step)))
    model.compile(keras.optimizers.Adam(1e-6), jit_compile=hardware.jit_compile())
    per_token = _seconds(lambda: model.train_on_batch(*step)) / int(typical.lengths.sum())
    trained = len(encoder.blocks.layer) - encoder.boundary
    above = trained + 1 if dtype else len(encoder.blocks.layer)
    forward = above / (above + 2 * trained + 1)  # of a step's time; backwards costs twice, and only for what is trained
    epoch_seconds = total * per_token * ((1 - share) + share * forward)
    features_seconds = total * _features_seconds_per_token(encoder, tokens) if dtype else 0.0
    rows = len(tokens) if encoder.all_frozen else total
    trainable = model.num_parameters(only_trainable=True)
    return Plan(
        texts=len(tokens),
        tokens=total,
        longest=longest,
        parameters=model.num_parameters(),
        trainable_parameters=trainable,
        precision=job.precision,
        weights_bytes=4 * model.num_parameters() + 12 * trainable,
        activations_bytes=_activations(model, training.texts_per_step, longest, job.precision),
        cache_bytes=rows * encoder.feature_size * numpy_dtype(dtype).itemsize if dtype else 0,
        features_seconds=features_seconds,
        epoch_seconds=epoch_seconds,
        seconds=features_seconds + (training.epochs or 0) * epoch_seconds,
    )


def _features_seconds_per_token(encoder, tokens: Tokens) -> float:
    """Times the frozen part on a batch as `extract` makes them, one with texts of middling length."""
    by_size = token_batches(tokens.lengths, hardware.token_budget())
    middle = by_size[len(by_size) // 2]
    batch = padded_batch(tokens, middle)
    engine = keras_engine(encoder, encoder.features)
    return _seconds(lambda: engine(*batch)) / int(tokens.lengths[middle].sum())


def _seconds(run: Callable[[], Any]) -> float:
    """Returns the median time of the runs that fit into `PROBE` seconds; the first, which compiles, does not count."""
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
