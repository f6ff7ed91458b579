"""Labels for new texts, from a saved or a fresh classifier."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops
from tqdm import tqdm

from bert_tf import hardware
from bert_tf.checkpoints import locate
from bert_tf.checkpoints.folder import has_head
from bert_tf.data.bucketing import padded_batch, token_batches
from bert_tf.data.tokenizer import Tokens, check_max_length, load_tokenizer, tokenize
from bert_tf.inference.engines import Careful, Engine, choose, keras_engine
from bert_tf.models.auto import TFAutoModelForSequenceClassification

SHOW_PROGRESS_FROM = 20  # batches; fewer take a second or two


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
    model: Any,
    texts: Sequence[str],
    tokenizer: Any = None,
    *,
    batch_size: int | None = None,
    max_length: int | None = None,
    engine: str = "auto",
) -> Predictions:
    """Classifies texts.

    Args:
        model: one of `bert_tf`'s classifiers, or the folder or hub name of one.
        texts: str, N of them.
        tokenizer: the model's; None = the one in the model's folder.
        batch_size: int, the most texts at once; None = as many as suit the machine.
        max_length: int, longer texts are cut; None = as long as the tokenizer says (finetune notes it there).
        engine: str, who computes; see `bert_tf.inference.engines.choose`.
    Returns: `Predictions`, in the order of `texts`.
    Raises: TypeError if `texts` is one string; FileNotFoundError, ValueError for a checkpoint that cannot be used.
    """
    if isinstance(texts, str):
        raise TypeError("`texts` must be a list of texts. Received: one string; put it into a list: [text]")
    model, tokenizer = load_classifier(model, tokenizer)
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"`batch_size` must be at least 1. Received: batch_size={batch_size}")
    texts = list(texts)
    if wrong := [type(text).__name__ for text in texts if not isinstance(text, str)]:
        raise TypeError(f"`texts` must be strings. Received among them: {wrong[0]}")
    max_length = longest(model, tokenizer, max_length)
    label_names = tuple(model.config.id2label[i] for i in range(model.num_labels))
    if not len(texts):
        return Predictions(np.zeros((0, model.num_labels), "float32"), label_names)
    tokens = tokenize(texts, tokenizer, max_length)
    squash = ops.sigmoid if model.problem_type == "multi_label_classification" else ops.softmax
    logits = logits_of(model, tokens, batch_size, engine)
    return Predictions(ops.convert_to_numpy(squash(logits)), label_names)


def load_classifier(model: Any, tokenizer: Any = None) -> tuple[Any, Any]:
    """Returns a classifier and its tokenizer, read from a folder or the hub where they are not given.

    Args:
        model: one of `bert_tf`'s classifiers, or the folder or hub name of one.
        tokenizer: the model's; None = the one in the model's folder.
    Raises: ValueError for a model without classes, or one that was made here and comes without its tokenizer.
    """
    if isinstance(model, (str, os.PathLike)):
        folder = locate.resolve(model)
        if not has_head(folder):
            raise ValueError(f"{model}: has no classification head yet. Fine-tune it first: bert-tf finetune.")
        tokenizer = tokenizer or load_tokenizer(folder)
        model = TFAutoModelForSequenceClassification.from_pretrained(model)
    if tokenizer is None and not model.name_or_path:
        raise ValueError("The model was not loaded from a folder: pass its tokenizer as well.")
    tokenizer = tokenizer or load_tokenizer(model.name_or_path)
    if model.problem_type == "regression":
        raise ValueError("A regression model has no classes to predict; its numbers are model.predict(...).logits.")
    return model, tokenizer


def longest(model: Any, tokenizer: Any, max_length: int | None) -> int:
    """Returns `max_length`, or for None what the tokenizer says (finetune notes it there), if the model takes as many."""
    if max_length is None:
        max_length = min(tokenizer.model_max_length, model.config.max_position_embeddings)
    check_max_length(max_length, model.config, "the model")
    return max_length


def logits_of(model: Any, tokens: Tokens, batch_size: int | None = None, engine: str = "auto") -> np.ndarray:
    """Returns the logits of tokenized texts, float32 `(N, num_labels)`; arguments as of `predict`."""
    found = token_batches(tokens.lengths, hardware.token_budget(), batch_size or len(tokens))
    run = Careful(choose(engine, model, _method(model), padded_batch(tokens, found[0]), len(found), _ours(model)))
    logits = np.empty((len(tokens), model.num_labels), "float32")
    hidden = len(found) < SHOW_PROGRESS_FROM or not sys.stderr.isatty()
    with tqdm(total=len(tokens), desc="Predicting", unit=" texts", disable=hidden) as progress:
        for chosen in found:
            logits[chosen] = run(tokens, chosen)
            progress.update(len(chosen))
    return logits


def _method(model):
    """Returns the model's logits as a function of ids and mask."""
    return lambda ids, mask: model(ids, attention_mask=mask, return_dict=True, training=False).logits


def _ours(model) -> Engine:
    """Returns Keras' engine for a model, the same at every call, so that it is traced once."""
    return kept(model, "_predicts", lambda: keras_engine(model, _method(model)))


def kept(model: Any, name: str, make: Callable[[], Any]) -> Any:
    """Returns what `make` gives, kept with the model under `name` for as long as its weights are the same variables."""
    weights = [id(weight) for weight in model.weights]
    if getattr(model, name, (None,))[0] != weights:
        object.__setattr__(model, name, (weights, make()))  # past Keras' tracking
    return getattr(model, name)[1]
