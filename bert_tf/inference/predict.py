"""Predictions for new texts, from a classifier in memory or on disk."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bert_tf import hardware, terminal
from bert_tf.checkpoints import locate
from bert_tf.checkpoints.folder import check_head
from bert_tf.data import gates
from bert_tf.data.bucketing import padded_batch, token_batches
from bert_tf.data.gates import Text
from bert_tf.data.tokenizer import Tokens, load_tokenizer, prefix_of, resolve_max_length, tokenize
from bert_tf.evaluation.blend import Blend, load_blend
from bert_tf.files import SECOND_PART
from bert_tf.formatting import counted
from bert_tf.inference.engines import HalvesOnOutOfMemory, choose, keras_engine
from bert_tf.models.auto import TFAutoModelForSequenceClassification
from bert_tf.models.keras_internals import set_untracked
from bert_tf.reporting.display import MOST_NAMES, Displayed, beginning, names, shortened
from bert_tf.tasks.task import THRESHOLDS, Task, task_name, task_of

Progress = bool | Callable[[int], Any]
SHOW_PROGRESS_FROM = 20  # batches; fewer take a second or two


@dataclass(frozen=True, repr=False)
class Predictions(Displayed):
    """A model's predictions for N texts.

    Attributes:
        outputs: what the task makes of the logits: probabilities, or for a regression numbers, float32 `(N,)`.
        label_names: str, the classes in the order of the columns; of a regression one, what the number is.
        task: str, what a text is given, a key of `bert_tf.tasks.task.TASKS`.
        thresholds: float `(num_labels,)`, from which probability on each label of a multi-label model is predicted; None
            otherwise.
    """

    outputs: np.ndarray
    label_names: tuple[str, ...]
    task: str = "classification"
    thresholds: np.ndarray | None = None

    @property
    def probabilities(self) -> np.ndarray:
        """float32 `(N, num_labels)`; rows sum to 1, except for multi-label models, whose labels are independent.

        Raises: AttributeError for a regression, which has `values`.
        """
        if self.task == "regression":
            raise AttributeError("A regression model has no classes and no probabilities. Its numbers: .values")
        return self.outputs

    @property
    def labels(self) -> list[Any]:
        """The most probable class of each text; of a multi-label model a list of labels, from the most probable on."""
        return task_of(self.task).labels_of(self.probabilities, self.label_names, self.thresholds)

    @property
    def scores(self) -> list[float]:
        """The probability of that class; of a multi-label model of the most probable label."""
        return [float(p) for p in self.probabilities.max(axis=1)]

    @property
    def values(self) -> list[float]:
        """The number of each text: a regression's, or of an ordinal model the mean of its classes weighted by probability.

        Raises: AttributeError for models of other tasks.
        """
        return task_of(self.task).values_of(self.outputs, self.label_names)

    def to_columns(self) -> dict[str, list]:
        """Returns the predictions as columns of N values, for a DataFrame or a file.

        Returns: `label` and `score`; of a multi-label model `labels`, joined by |, and `score`; of a regression `value`; then for
            each class `probability_` and its name, in the order of `label_names`. The names of the classes differ, and so do these:
            none of them can be one of the first.

        >>> Predictions(np.array([[0.25, 0.75]]), ("bad", "good")).to_columns()
        {'label': ['good'], 'score': [0.75], 'probability_bad': [0.25], 'probability_good': [0.75]}
        """
        task = task_of(self.task)
        columns = task.answers(self.outputs, self.label_names, self.thresholds)
        if self.outputs.ndim > 1:
            columns |= {f"probability_{name}": self.outputs[:, i].tolist() for i, name in enumerate(self.label_names)}
        return columns

    def rows(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        """Returns plain values for JSON, a dict a text: `text`, and what `Task.row` has of its prediction."""
        task = task_of(self.task)
        return [
            {"text": text, **task.row(output, self.label_names, self.thresholds)}
            for text, output in zip(texts, self.outputs, strict=True)
        ]

    def to_pandas(self) -> Any:
        """Returns a DataFrame of `to_columns()`, a row for each text."""
        import pandas

        return pandas.DataFrame(self.to_columns())

    def __len__(self) -> int:
        return len(self.outputs)

    def __getitem__(self, place: int | slice) -> Any:
        """Returns the prediction of one text, a dict as of `rows`; of a slice `Predictions`.

        >>> Predictions(np.array([[0.25, 0.75]]), ("bad", "good"))[0]
        {'label': 'good', 'score': 0.75, 'scores': {'bad': 0.25, 'good': 0.75}}
        """
        if isinstance(place, slice):
            return replace(self, outputs=self.outputs[place])
        return task_of(self.task).row(self.outputs[place], self.label_names, self.thresholds)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[i] for i in range(len(self)))

    def _title(self) -> str:
        what = f"{len(self.label_names):,} {task_of(self.task).nouns}: {names(self.label_names)}"
        return f"Predictions({counted(len(self), 'text')}, {what})"

    def _blocks(self) -> list[dict[str, Any]]:
        columns = self.to_columns()
        if len(self.label_names) > MOST_NAMES:
            columns = {name: columns[name] for name in task_of(self.task).columns}
        others = {"label": "text", "labels": "text", "value": "plain"}
        kinds = {shortened(name, 30): others.get(name, "score") for name in columns}
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
    """Classifies texts, or gives each a number.

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
        progress: whether to show how far many batches are, or a function that is told the number of texts of each batch when it
            is done.
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
        return self.of_tokens(self.tokenize(texts), texts, progress)

    def tokenize(self, texts: Iterable[Text]) -> Tokens:
        """Returns the tokens of texts, as the model sees them."""
        return tokenize(texts, self.tokenizer, self.max_length, prefix_of(self.model.config))

    def of_tokens(self, tokens: Tokens, texts: Sequence[Text], progress: Progress = True) -> Predictions:
        """As a call, for texts that have been tokenized already."""
        check_kind(self.model.config, gates.is_pair(texts[0]) if texts else None)
        logits = np.zeros((0, self.model.num_labels), "float32")
        if len(tokens):
            logits = logits_of(self.model, tokens, self.batch_size, self.engine, progress)
            if self.blend is not None:
                logits = self.blend(logits, texts).astype("float32")
        task, thresholds = task_of_model(self.model), getattr(self.model.config, THRESHOLDS, None)
        chosen = None if thresholds is None else np.asarray(thresholds, "float64")
        return Predictions(task.squash(logits), self.model.label_names, task.name, chosen)


def task_of_model(model: Any) -> Task:
    """Returns what a model gives a text.

    Raises: ValueError for a regression of several numbers.
    """
    task = task_of(task_name(model.problem_type, model.config))
    if task.problem_type == "regression" and model.num_labels != 1:
        raise ValueError(
            f"A regression model must give one number. Received: {model.num_labels}; they are in model.predict(...).logits."
        )
    return task


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


def has_second_part(model: Any) -> bool:
    """Returns whether the folder that a classifier is in, or was loaded from, holds a TF-IDF part."""
    named = isinstance(model, (str, os.PathLike))
    folder = locate.resolve(model) if named else Path(str(model.name_or_path or ""))
    return all((folder / name).is_file() for name in SECOND_PART)


def load_classifier(model: Any, tokenizer: Any = None) -> tuple[Any, Any]:
    """Returns a classifier and its tokenizer, loaded from a folder or the hub where necessary; arguments as of `predict`.

    Raises: ValueError for a model without classes, or one that was not loaded from a folder and comes without tokenizer.
    """
    if isinstance(model, (str, os.PathLike)):
        folder = locate.resolve(model)
        check_head(folder, model)
        tokenizer = tokenizer or load_tokenizer(folder)
        model = TFAutoModelForSequenceClassification.from_pretrained(model)
    if tokenizer is None and not model.name_or_path:
        raise ValueError("The model was not loaded from a folder: pass its tokenizer too.")
    return model, tokenizer or load_tokenizer(model.name_or_path)


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
    shown, cost = progress is True and len(batches) >= SHOW_PROGRESS_FROM, int(tokens.lengths.sum())
    with terminal.Bar("Predicting", len(tokens), "text", work=cost, shown=shown) as bar:
        for chosen in batches:
            logits[chosen] = run(tokens, chosen)
            bar.update(len(chosen), work=int(tokens.lengths[chosen].sum()))
            if callable(progress):
                progress(len(chosen))
    return logits


def cached_on_model(model: Any, name: str, make: Callable[[], Any]) -> Any:
    """Returns the result of `make`, cached on the model under `name` as long as its weights are the same variables."""
    weights = [id(weight) for weight in model.weights]
    if getattr(model, name, (None,))[0] != weights:
        set_untracked(model, name, (weights, make()))
    return getattr(model, name)[1]
