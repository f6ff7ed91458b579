"""What a pretrained encoder is held against: counting words, and a small recurrent network that learns from scratch."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from bert_tf.data.examples import Examples
from bert_tf.evaluation.tfidf import train_floor

WORD = re.compile(r"\w+|[^\w\s]")


VOCABULARY = 20_000  # words that the LSTM knows


LONGEST = 256  # words of a text that it reads


PADDING, UNKNOWN = 0, 1


class Classify(Protocol):
    """Texts in, probabilities `(M, C)` out."""

    def __call__(self, texts: Sequence[str], /) -> np.ndarray: ...


@dataclass(frozen=True)
class Baseline:
    """A trained baseline.

    Attributes:
        classify: texts -> probabilities, float `(M, C)`.
        parameters: int.
        size: int, bytes that it takes to keep.
        history: metric -> value of each epoch; empty where there are none.
    """

    classify: Classify
    parameters: int
    size: int
    history: Mapping[str, list[float]] = field(default_factory=dict)


def tfidf(train: Examples, seed: int = 0) -> Baseline:
    """Trains TF-IDF with logistic regression: see `bert_tf.evaluation.tfidf.train_floor`."""
    found = train_floor([*train.texts], train.labels, len(train.label_names), seed)
    return Baseline(found, found.parameters, found.size)


def lstm(train: Examples, validation: Examples, seed: int = 0, epochs: int = 10) -> Baseline:
    """Trains a small bidirectional LSTM on nothing but the training texts, and keeps its best epoch.

    Hochreiter & Schmidhuber 1997; Schuster & Paliwal 1997. Word vectors of 64, 32 units each way, dropout 0.5, Adam at 1e-3,
    stopped after 2 epochs without a lower validation loss: what one would write first.

    Args:
        train, validation: `Examples` with the same classes.
        seed: int, of weights, order and dropout.
        epochs: int, at most.
    Returns: `Baseline`.
    """
    import keras

    from bert_tf import hardware
    from bert_tf.data.bucketing import padded_batch, token_batches
    from bert_tf.data.pipeline import batches

    keras.utils.set_random_seed(seed)
    train_texts = [*train.texts]
    counts = Counter(word for text in train_texts for word in _words(text))
    least = 2 if len(train_texts) >= 1000 else 1
    words = [word for word, count in counts.most_common(VOCABULARY) if count >= least]
    numbers = {word: i for i, word in enumerate(words, UNKNOWN + 1)}

    ids = keras.Input((None,), dtype="int32", name="input_ids")
    mask = keras.Input((None,), dtype="int32", name="attention_mask")
    vectors = keras.layers.Embedding(len(words) + UNKNOWN + 1, 64)(ids)
    read = keras.layers.Bidirectional(keras.layers.LSTM(32))(vectors, mask=keras.ops.cast(mask, "bool"))
    logits = keras.layers.Dense(len(train.label_names))(keras.layers.Dropout(0.5)(read))
    model = keras.Model({"input_ids": ids, "attention_mask": mask}, logits)
    model.compile(
        keras.optimizers.Adam(1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=hardware.jit_compile(),
    )
    stop = keras.callbacks.EarlyStopping("val_loss", patience=2, restore_best_weights=True)
    history = model.fit(
        batches(_tokens(train_texts, numbers), train.labels, shuffle=True, seed=seed),
        validation_data=batches(_tokens(validation.texts, numbers), validation.labels, batch_size=64),
        epochs=epochs,
        callbacks=[stop],
        shuffle=False,  # the batches are
        verbose=0,
    ).history

    def classify(texts: Sequence[str]) -> np.ndarray:
        tokens = _tokens(texts, numbers)
        logits = np.empty((len(texts), len(train.label_names)), "float32")
        for chosen in token_batches(tokens.lengths, 8192, 64):
            input_ids, attention_mask = padded_batch(tokens, chosen)
            logits[chosen] = model.predict_on_batch({"input_ids": input_ids, "attention_mask": attention_mask})
        return keras.ops.convert_to_numpy(keras.ops.softmax(logits))

    size = 4 * model.count_params() + sum(len(word.encode()) + 1 for word in words)
    return Baseline(classify, model.count_params(), size, history)


def _words(text: str) -> list[str]:
    return WORD.findall(text.lower())[:LONGEST]


def _tokens(texts: Iterable[str], numbers: Mapping[str, int]) -> Any:
    from bert_tf.data.tokenizer import Tokens

    rows = [[numbers.get(word, UNKNOWN) for word in _words(text)] or [UNKNOWN] for text in texts]
    return Tokens(np.concatenate(rows).astype("int32"), np.cumsum([len(row) for row in rows]))
