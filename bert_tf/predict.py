"""Labels for new texts, from a saved or a fresh classifier."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from bert_tf import checkpoint
from bert_tf.models import TFAutoModelForSequenceClassification
from bert_tf.pipeline import batches, by_length
from bert_tf.tokenizer import check_max_length, load_tokenizer, tokenize


@dataclass(frozen=True)
class Predictions:
    """What a classifier says of N texts.

    Attributes:
        probabilities: float32 `(N, num_labels)`; rows sum to 1, but not for a multi-label model, whose labels stand alone.
        label_names: str, the classes, in the columns' order.
    """

    probabilities: np.ndarray
    label_names: tuple[str, ...]

    @property
    def labels(self) -> list[str]:
        """The most probable class of each text."""
        return [self.label_names[i] for i in self.probabilities.argmax(axis=1)]

    @property
    def scores(self) -> list[float]:
        """The probability of that class."""
        return [float(p) for p in self.probabilities.max(axis=1)]


def predict(
    model: Any, texts: Sequence[str], tokenizer: Any = None, *, batch_size: int = 32, max_length: int | None = None
) -> Predictions:
    """Classifies texts.

    Args:
        model: one of `bert_tf`'s classifiers, or the folder or hub name of one.
        texts: str, N of them.
        tokenizer: the model's; None = the one in the model's folder.
        batch_size: int.
        max_length: int, longer texts are cut; None = as long as the tokenizer says (finetune notes it there).
    Returns: `Predictions`, in the order of `texts`.
    Raises: TypeError if `texts` is one string; FileNotFoundError, ValueError for a checkpoint that cannot be used.
    """
    if isinstance(texts, str):
        raise TypeError("`texts` must be a list of texts. Received: one string; put it into a list: [text]")
    if isinstance(model, (str, os.PathLike)):
        folder = checkpoint.resolve(model)
        if not checkpoint.has_head(folder):
            raise ValueError(f"{model}: has no classification head yet. Fine-tune it first: bert-tf finetune.")
        tokenizer = tokenizer or load_tokenizer(folder)
        model = TFAutoModelForSequenceClassification.from_pretrained(model)
    if tokenizer is None and not model.name_or_path:
        raise ValueError("The model was not loaded from a folder: pass its tokenizer as well.")
    tokenizer = tokenizer or load_tokenizer(model.name_or_path)
    if model.problem_type == "regression":
        raise ValueError("A regression model has no classes to predict; its numbers are model.predict(...).logits.")
    texts = list(texts)
    if wrong := [type(text).__name__ for text in texts if not isinstance(text, str)]:
        raise TypeError(f"`texts` must be strings. Received among them: {wrong[0]}")
    if max_length is None:
        max_length = min(tokenizer.model_max_length, model.config.max_position_embeddings)
    check_max_length(max_length, model.config, "the model")
    label_names = tuple(model.config.id2label[i] for i in range(model.num_labels))
    if not len(texts):
        return Predictions(np.zeros((0, model.num_labels), "float32"), label_names)
    tokens = tokenize(texts, tokenizer, max_length)
    order = by_length(tokens)
    pad = tokenizer.pad_token_id or 0
    sorted_batches = batches(tokens.take(order), batch_size=batch_size, pad_token_id=pad)
    logits = np.empty((len(tokens), model.num_labels), "float32")
    logits[order] = model.predict(sorted_batches, verbose=0).logits
    squash = ops.sigmoid if model.problem_type == "multi_label_classification" else ops.softmax
    return Predictions(ops.convert_to_numpy(squash(logits)), label_names)
