"""Predictions for new texts, from a classifier in memory or on disk."""

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
from bert_tf.data import gates
from bert_tf.data.bucketing import padded_batch, token_batches
from bert_tf.data.gates import Text
from bert_tf.data.tokenizer import Tokens, load_tokenizer, resolve_max_length, tokenize
from bert_tf.evaluation.blend import Blend, load_blend
from bert_tf.formatting import counted
from bert_tf.inference.engines import HalvesOnOutOfMemory, choose, keras_engine
from bert_tf.models.auto import TFAutoModelForSequenceClassification
from bert_tf.models.keras_internals import set_untracked
from bert_tf.reporting.display import MOST_NAMES, Displayed, beginning, names, shortened

Progress = bool | Callable[[int], Any]
SHOW_PROGRESS_FROM = 20  # batches; fewer take a second or two


@dataclass(frozen=True, repr=False)
class Predictions(Displayed):
    """A classifier's predictions for N texts.

    Attributes:
        probabilities: float32 `(N, num_labels)`; rows sum to 1, except for multi-label models, whose labels are independent.
        label_names: str, the classes in the order of the columns.
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

    def to_columns(self) -> dict[str, list]:
        """Returns the predictions as columns of N values, for a DataFrame or a file.

        Returns: `label`, `score`, and for each class `probability_` and its name, in the order of `label_names`. The names of
            the classes differ, and so do these: none of them can be `label` or `score`.

        >>> Predictions(np.array([[0.25, 0.75]]), ("bad", "good")).to_columns()
        {'label': ['good'], 'score': [0.75], 'probability_bad': [0.25], 'probability_good': [0.75]}
        """
        each = {f"probability_{name}": self.probabilities[:, i].tolist() for i, name in enumerate(self.label_names)}
        return {"label": self.labels, "score": self.scores, **each}

    def to_pandas(self) -> Any:
        """Returns a DataFrame of `to_columns()`, a row for each text."""
        import pandas

        return pandas.DataFrame(self.to_columns())

    def __len__(self) -> int:
        return len(self.probabilities)

    def _title(self) -> str:
        return (
            f"Predictions({counted(len(self), 'text')}, {len(self.label_names):,} classes: {names(self.label_names)})"
        )

    def _blocks(self) -> list[dict[str, Any]]:
        columns = self.to_columns()
        if len(self.label_names) > MOST_NAMES:
            columns = {name: columns[name] for name in ("label", "score")}
        kinds = {shortened(name, 30): "text" if name == "label" else "score" for name in columns}
        cells = (
            [shortened(each) if isinstance(each, str) else each for each in row]
            for row in zip(*columns.values(), strict=True)
        )
        return beginning(kinds, cells, len(self))


def predict(
    model: Any,
    texts: Sequence[Text],
    tokenizer: Any = None,
    *,
    batch_size: int | None = None,
    max_length: int | None = None,
    engine: str = "auto",
    blend: Blend | None = None,
) -> Predictions:
    """Classifies texts.

    Args:
        model: one of `bert_tf`'s classifiers, or the folder or hub name of one.
        texts: str, N of them; for a model of pairs N tuples of two str.
        tokenizer: the model's; None = the one in the model's folder.
        batch_size: int, the most texts per batch; None = as suits the machine.
        max_length: int, the most tokens of a text, longer ones are truncated; None = the
            tokenizer's limit, which `finetune` has set.
        engine: str, see `bert_tf.inference.engines.choose`.
        blend: the second part of the model; None = the one in the model's folder, if `model` is
            a folder with one.
    Returns: `Predictions`, in the order of `texts`.
    Raises: TypeError if `texts` are not strings, for example one string or a DataFrame;
        FileNotFoundError, ValueError for a checkpoint that cannot be used.
    """
    texts = list(gates.each_text(texts))
    return Classifier(model, tokenizer, batch_size=batch_size, max_length=max_length, engine=engine, blend=blend)(texts)


class Classifier:
    """A classifier that is loaded once and called with texts again and again; the arguments are those of `predict`.

    Call arguments:
        texts: str, N of them.
        progress: whether many batches show a progress bar on a terminal, or a function that is told the number of texts of each
            batch when it is done.
    Returns of a call: `Predictions`.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any = None,
        *,
        batch_size: int | None = None,
        max_length: int | None = None,
        engine: str = "auto",
        blend: Blend | None = None,
    ):
        if batch_size is not None and batch_size < 1:
            raise ValueError(f"`batch_size` must be at least 1. Received: batch_size={batch_size}")
        self.blend = blend or second_part(model)
        self.model, self.tokenizer = load_classifier(model, tokenizer)
        self.batch_size, self.engine = batch_size, engine
        limit = self.tokenizer.model_max_length
        self.max_length = resolve_max_length(max_length, self.model.config, "the model", limit)

    def __call__(self, texts: Sequence[Text], progress: Progress = True) -> Predictions:
        return self.of_tokens(tokenize(texts, self.tokenizer, self.max_length), texts, progress)

    def of_tokens(self, tokens: Tokens, texts: Sequence[Text], progress: Progress = True) -> Predictions:
        """As a call, for texts that have been tokenized already."""
        check_kind(self.model.config, gates.is_pair(texts[0]) if texts else None)
        if not len(tokens):
            return Predictions(np.zeros((0, self.model.num_labels), "float32"), self.model.label_names)
        squash = ops.sigmoid if self.model.problem_type == "multi_label_classification" else ops.softmax
        logits = logits_of(self.model, tokens, self.batch_size, self.engine, progress)
        if self.blend is not None:
            logits = self.blend(logits, texts).astype("float32")
        return Predictions(ops.convert_to_numpy(squash(logits)), self.model.label_names)


def check_kind(config: Any, pairs: bool | None) -> None:
    """Raises ValueError if a model was trained on single texts and is given pairs, or the other way round.

    Args:
        config: the model's; with bert_tf's key `text_pairs`, which other libraries do not write.
        pairs: whether it is given pairs; None = nothing.
    """
    wanted = getattr(config, "text_pairs", None)
    if pairs is None or wanted is None or wanted == pairs:
        return
    if wanted:
        raise ValueError(
            "The model was trained on pairs of texts. Received: single texts. Pass pairs, [(a, b), ...] (--text A --text-pair B, or "
            "--text-column A,B of a file)."
        )
    raise ValueError(
        "The model was trained on single texts. Received: pairs of texts. Pass a list of strings (--text)."
    )


def second_part(model: Any) -> Blend | None:
    """Returns the TF-IDF part of a classifier in a folder or on the hub; None if it has none, or for a model in memory."""
    return load_blend(locate.resolve(model)) if isinstance(model, (str, os.PathLike)) else None


def load_classifier(model: Any, tokenizer: Any = None) -> tuple[Any, Any]:
    """Returns a classifier and its tokenizer, loaded from a folder or the hub where necessary; arguments as of `predict`.

    Raises: ValueError for a model without classes, or one that was not loaded from a folder and comes without tokenizer.
    """
    if isinstance(model, (str, os.PathLike)):
        folder = locate.resolve(model)
        if not has_head(folder):
            raise ValueError(f"{model}: has no classification head. Fine-tune it first: bert-tf finetune.")
        tokenizer = tokenizer or load_tokenizer(folder)
        model = TFAutoModelForSequenceClassification.from_pretrained(model)
    if tokenizer is None and not model.name_or_path:
        raise ValueError("The model was not loaded from a folder: pass its tokenizer too.")
    tokenizer = tokenizer or load_tokenizer(model.name_or_path)
    if model.problem_type == "regression":
        raise ValueError("A regression model has no classes to predict. Its numbers are in model.predict(...).logits.")
    return model, tokenizer


def logits_of(
    model: Any, tokens: Tokens, batch_size: int | None = None, engine: str = "auto", progress: Progress = True
) -> np.ndarray:
    """Returns the logits of tokenized texts, float32 `(N, num_labels)`; the arguments are those of `predict`."""
    tokens = tokens.fitting(model.encoder)
    batches = token_batches(tokens.lengths, hardware.token_budget(), batch_size or len(tokens))
    probe = padded_batch(tokens, batches[0])

    def method(ids, mask, types=None):
        return model(ids, attention_mask=mask, token_type_ids=types, return_dict=True, training=False).logits

    on_keras = cached_on_model(model, "_predicts", lambda: keras_engine(model, method))  # so that it is traced once
    run = HalvesOnOutOfMemory(choose(engine, model, method, probe, len(batches), on_keras))
    logits = np.empty((len(tokens), model.num_labels), "float32")
    hidden = progress is not True or len(batches) < SHOW_PROGRESS_FROM or not sys.stderr.isatty()
    with tqdm(total=len(tokens), desc="Predicting", unit=" texts", disable=hidden) as bar:
        for chosen in batches:
            logits[chosen] = run(tokens, chosen)
            (progress if callable(progress) else bar.update)(len(chosen))
    return logits


def cached_on_model(model: Any, name: str, make: Callable[[], Any]) -> Any:
    """Returns the result of `make`, cached on the model under `name` as long as its weights are the same variables."""
    weights = [id(weight) for weight in model.weights]
    if getattr(model, name, (None,))[0] != weights:
        set_untracked(model, name, (weights, make()))
    return getattr(model, name)[1]
