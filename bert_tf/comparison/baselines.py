"""A small recurrent network trained from scratch: a baseline beside TF-IDF (`bert_tf.evaluation.tfidf`)."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bert_tf.data.examples import Examples
from bert_tf.formatting import Text, shown_text
from bert_tf.tasks.task import Task, task_of

WORD = re.compile(r"\w+|[^\w\s]")
VOCABULARY = 20_000  # most words that the LSTM knows
LONGEST = 256  # words of a text that it reads
UNKNOWN = 1  # 0 is padding


@dataclass(frozen=True)
class Lstm:
    """The trained network. Call it with texts to get predictions, as the task has them.

    Attributes:
        task: `Task`, for the training texts' labels.
        model: Keras', from ids of words to logits.
        vocabulary: word -> id.
        history: metric -> value of each epoch.
    """

    task: Task
    model: Any
    vocabulary: Mapping[str, int]
    history: Mapping[str, list[float]]

    def __call__(self, texts: Sequence[Text]) -> np.ndarray:
        from bert_tf.data.bucketing import padded_batch, token_batches

        tokens = _tokens(texts, self.vocabulary)
        logits = np.empty((len(texts), self.model.output_shape[-1]), "float32")
        for chosen in token_batches(tokens.lengths, 8192, 64):
            batch = dict(zip(("input_ids", "attention_mask"), padded_batch(tokens, chosen), strict=True))
            logits[chosen] = self.model.predict_on_batch(batch)
        return self.task.squash(self.task.logits(logits))

    @property
    def parameters(self) -> int:
        return self.model.count_params()

    @property
    def size(self) -> int:
        """Bytes to store it: the weights and the words."""
        return 4 * self.parameters + sum(len(word.encode()) + 1 for word in self.vocabulary)


def train_lstm(
    train: Examples, validation: Examples, seed: int = 0, epochs: int = 10, weights: np.ndarray | None = None
) -> Lstm:
    """Trains a small bidirectional LSTM on the training texts alone and keeps its best epoch.

    Hochreiter & Schmidhuber 1997; Schuster & Paliwal 1997. Word vectors of 64, 32 units in each direction, dropout 0.5, Adam
    at 1e-3, stopped after 2 epochs without a lower validation loss: a common first choice.

    Args:
        train, validation: `Examples` with the same classes.
        seed: int, of weights, order and dropout.
        epochs: int, the maximum.
        weights: float `(N,)` of mean 1, how much each training text counts; None = all the same.
    """
    import keras

    from bert_tf import hardware
    from bert_tf.data.pipeline import batches
    from bert_tf.training.heads import HEADS

    task = task_of(train.task).of(train.labels)
    keras.utils.set_random_seed(seed)
    train_texts = [*train.texts]
    counts = Counter(word for text in train_texts for word in _words(text))
    least = 2 if len(train_texts) >= 1000 else 1
    words = [word for word, count in counts.most_common(VOCABULARY) if count >= least]
    vocabulary = {word: i for i, word in enumerate(words, UNKNOWN + 1)}

    ids = keras.Input((None,), dtype="int32", name="input_ids")
    mask = keras.Input((None,), dtype="int32", name="attention_mask")
    vectors = keras.layers.Embedding(len(words) + UNKNOWN + 1, 64)(ids)
    states = keras.layers.Bidirectional(keras.layers.LSTM(32))(vectors, mask=keras.ops.cast(mask, "bool"))
    logits = keras.layers.Dense(len(train.label_names))(keras.layers.Dropout(0.5)(states))
    model = keras.Model({"input_ids": ids, "attention_mask": mask}, logits)
    model.compile(
        keras.optimizers.Adam(1e-3),
        HEADS[task.name].loss(),
        metrics=HEADS[task.name].metrics(task),
        jit_compile=hardware.jit_compile(),
    )
    history = model.fit(
        batches(_tokens(train_texts, vocabulary), task.targets(train.labels), weights=weights, shuffle=True, seed=seed),
        validation_data=batches(_tokens(validation.texts, vocabulary), task.targets(validation.labels), batch_size=64),
        epochs=epochs,
        callbacks=[keras.callbacks.EarlyStopping("val_loss", patience=2, restore_best_weights=True)],
        shuffle=False,  # the batches are shuffled
        verbose=0,
    ).history
    return Lstm(task, model, vocabulary, history)


def _words(text: str | tuple[str, str]) -> list[str]:
    return WORD.findall(shown_text(text).lower())[:LONGEST]


def _tokens(texts: Iterable[Text], vocabulary: Mapping[str, int]) -> Any:
    from bert_tf.data.tokenizer import Tokens

    rows = [[vocabulary.get(word, UNKNOWN) for word in _words(text)] or [UNKNOWN] for text in texts]
    return Tokens(np.concatenate(rows).astype("int32"), np.cumsum([len(row) for row in rows]))
