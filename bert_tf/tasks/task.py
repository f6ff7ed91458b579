"""The interface of a task, and where to find one.

A fifth task is a file beside this one with a subclass of `Task`, a row in `TASKS`, and a row in each of the two tables that
need other rooms: how its labels are read (`bert_tf.data.readers.READERS`), and how its head is solved and measured by Keras
(`bert_tf.training.heads.HEADS`). What else depends on the task is a method or a flag of its class; the few other places that ask
for one by name or problem type do what only it has: a regression has no classes to relabel, an ordinal classifier a key in config.json.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Any, ClassVar, NamedTuple

import numpy as np

from bert_tf.evaluation.diagnostics import SHOWN
from bert_tf.formatting import LABELS_JOINED_BY

# Name, as in the option `task` -> module here and class.
TASKS = {
    "classification": ("classification", "Classification"),
    "multi-label": ("multi_label", "MultiLabel"),
    "regression": ("regression", "Regression"),
    "ordinal": ("ordinal", "Ordinal"),
}
ORDINAL = "bert_tf_task"  # key of config.json that tells an ordinal classifier from others
THRESHOLDS = "label_thresholds"  # key of config.json, a threshold for each label of a multi-label classifier


class Measure(NamedTuple):
    """A measure of a model: its key among the scores, its name, its kind (of `format_value`), its name on the hub."""

    key: str
    words: str
    kind: str = "score"
    hub: str | None = None


class Task:
    """What differs between tasks.

    `labels` are what a text is given, `predictions` what `squash` makes of a model's logits `(N, C)`, for the baseline what it
    returns. `thresholds` matter to tasks that decide by them; the others ignore them.

    Attributes:
        name: str, of the option `task`.
        problem_type: str, as in config.json.
        score: str, the key of the measure that a reader looks at first; "val_" before it in histories and metrics.json.
        score_words: str, its name.
        sign: int, 1 where a higher score is better, -1 where a lower one is.
        score_axis, loss_axis: dicts, axes of `bert_tf.reporting.figures`.
        measures: the columns of tables, and what the model card holds.
        figures: measures that stand at the top of a report beside these.
        gain: the difference to the baseline, `Measure`; above 0 the model is better.
        baseline_name: str.
        chance_words: str, what the loss is compared with: "predicting ... for every text".
        listed, listed_columns: str, which of the facts of `examples` lists texts, and what it has of each.
    """

    name: str
    problem_type: str
    score: str
    score_words: str
    sign: int = 1
    score_axis: ClassVar[Mapping[str, Any]]
    loss_axis: ClassVar[Mapping[str, Any]]
    measures: tuple[Measure, ...]
    figures: tuple[Measure, ...] = ()
    gain: Measure
    baseline_name: str
    chance_words: str = "the class frequencies"
    columns: tuple[str, ...] = ("label", "score")  # of `answers`
    nouns = "classes"  # what `label_names` are
    listed: str = "mistakes"
    listed_columns: tuple[str, ...] = ("index", "text", "given", "predicted", "probability")
    has_classes = True  # whether `label_names` are classes, of which a model and its texts must have the same
    one_class = False  # whether a text has exactly one class: classes can then be rare, weighted and compared
    decides = False  # whether `thresholds` are chosen
    blends = False  # whether its logits can be mixed with the baseline's
    config: ClassVar[Mapping[str, Any]] = {}  # keys of config.json beside those of `problem_type`

    @property
    def measure(self) -> Measure:
        """The one of `score`."""
        return next(one for one in self.measures if one.key == self.score)

    def of(self, labels: np.ndarray) -> "Task":
        """Returns the task for training texts with these labels."""
        return self

    # Labels.

    def counts(self, labels: np.ndarray, label_names: Sequence[str]) -> dict[str, int]:
        """Returns the number of texts of each label; empty if there are no labels to count."""
        raise NotImplementedError

    def values(self, labels: np.ndarray, label_names: Sequence[str]) -> list[Any]:
        """Returns the label of each text as a plain value, from which it can be read again."""
        raise NotImplementedError

    def shown(self, labels: np.ndarray, label_names: Sequence[str]) -> Iterator[str]:
        """Yields the label of each text in words."""
        for value in self.values(labels, label_names):
            yield (
                LABELS_JOINED_BY.join(value)
                if isinstance(value, list)
                else value
                if isinstance(value, str)
                else f"{value:g}"
            )

    def described(self, labels: np.ndarray, label_names: Sequence[str]) -> str:
        """Returns what the labels are, in words."""
        return ", ".join(self.counted(labels, label_names))

    def counted(self, labels: np.ndarray, label_names: Sequence[str]) -> list[str]:
        """Returns the number of texts of each class or label in words: "19 good", "19 of class 1"."""
        numbers = all(name.replace(".", "", 1).isdigit() for name in label_names)
        what = ("of class " if self.one_class else "with label ") if numbers else ""
        return [f"{count:,} {what}{label}" for label, count in self.counts(labels, label_names).items()]

    def problem(self, labels: np.ndarray, label_names: Sequence[str]) -> str:
        """Returns why nothing can be learnt of these labels, a sentence; "" = it can."""
        raise NotImplementedError

    def strata(self, labels: np.ndarray) -> np.ndarray:
        """Returns int `(N,)`: texts of one number are spread evenly when texts are split."""
        raise NotImplementedError

    def relabel(self, labels: np.ndarray, places: Sequence[int], count: int) -> np.ndarray:
        """Returns labels whose class `i` is class `places[i]` of `count`."""
        raise NotImplementedError

    def present(self, labels: np.ndarray, count: int) -> np.ndarray:
        """Returns which of `count` classes occur, bool `(count,)`; `labels` may hold -1 for none."""
        raise NotImplementedError

    def without(self, labels: np.ndarray, stays: np.ndarray) -> np.ndarray:
        """Returns labels without the classes that do not stay; no text has them."""
        raise NotImplementedError

    def codes(self, *parts: np.ndarray, label_names: Sequence[str]) -> tuple[list[np.ndarray], list[str]]:
        """Returns int `(N,)` for each part, the same number for the same label, and what to call each number. Texts of equal
        wording whose numbers differ are called contradictory."""
        raise NotImplementedError

    def places(self, own: Sequence[str], wanted: Sequence[str]) -> Any:
        """Returns where the classes `wanted` stand in `own`, an index of the last axis of predictions; ValueError for others."""
        if {*own} != {*wanted}:
            shown = " and ".join(", ".join(map(repr, each)) for each in (wanted, own))
            raise ValueError(f"The two models have different {self.nouns}, {shown}: they cannot be compared.")
        return [own.index(name) for name in wanted]

    # Training.

    def targets(self, labels: np.ndarray) -> np.ndarray:
        """Returns labels as the model learns them."""
        return labels

    def mixed_targets(self, labels: np.ndarray, logits: np.ndarray, weight: float) -> np.ndarray:
        """Returns what a student learns: what its teacher says of texts, mixed with their labels. A loss that takes these is
        `bert_tf.training.heads.HEADS[...].soft_loss`.

        Args:
            labels: of the first of the texts; the others have none.
            logits: float `(N, C)`, the teacher's, of all of them.
            weight: float in [0, 1], of the teacher where there is a label.
        """
        soft, hard = self.soft_targets(logits), self.hard_targets(labels, logits.shape[1])
        known = weight * soft[: len(hard)] + (1 - weight) * hard
        return np.concatenate([known, soft[len(hard) :]]).astype("float32")

    def soft_targets(self, logits: np.ndarray) -> np.ndarray:
        """Returns what a model learns that is to have these logits, float `(N, C)`: probabilities or numbers."""
        return self.squash(logits.astype("float64"))

    def hard_targets(self, labels: np.ndarray, count: int) -> np.ndarray:
        """Returns the labels in the same form."""
        return self.targets(labels)

    def logits(self, raw: np.ndarray) -> np.ndarray:
        """Returns the logits that a saved model gives, from those of the model in training."""
        return raw

    def fold(self, model: Any) -> None:
        """Changes the last layer of a trained model such that it gives what `logits` returns."""

    def unfold(self, model: Any) -> None:
        """Undoes `fold`."""

    def squash(self, logits: np.ndarray) -> np.ndarray:
        """Returns predictions."""
        raise NotImplementedError

    def loss(self, labels: np.ndarray, logits: np.ndarray, weights: np.ndarray | None = None) -> float:
        """Returns the loss that training minimises; `weights`, `(N,)`: how much each text counts."""
        raise NotImplementedError

    def measured(self, labels: np.ndarray, logits: np.ndarray) -> float:
        """Returns the measure `score`."""
        raise NotImplementedError

    def beside(self, labels: np.ndarray, logits: np.ndarray) -> dict[str, float]:
        """Returns more of the `measures`, to stand beside `score` in metrics.json and in the stages."""
        return {}

    def loss_of(self, labels: np.ndarray, predictions: np.ndarray) -> float:
        """Returns the loss of predictions; `loss` is that of logits."""
        raise NotImplementedError

    def temperature(self, labels: np.ndarray, logits: np.ndarray, weights: np.ndarray | None = None) -> float:
        """Returns what to divide logits by for calibrated probabilities; 1 where that means nothing."""
        return 1.0

    def chance(self, labels: np.ndarray, weights: np.ndarray | None = None) -> float:
        """Returns the loss of the best answer that is the same for every text."""
        raise NotImplementedError

    def thresholds(self, labels: np.ndarray, predictions: np.ndarray) -> np.ndarray | None:
        """Returns from which probability on each label is predicted, chosen by these texts; None if nothing is decided so."""
        return None

    # Predictions of new texts.

    def labels_of(self, predictions: np.ndarray, label_names: Sequence[str], thresholds: Any = None) -> list[Any]:
        """Returns the predicted class of each text, or a list of its labels."""
        raise NotImplementedError

    def values_of(self, predictions: np.ndarray, label_names: Sequence[str]) -> list[float]:
        """Returns a number for each text; AttributeError where there is none."""
        raise AttributeError(f"A model for {self.name} gives no numbers, but labels and probabilities.")

    def row(self, prediction: Any, label_names: Sequence[str], thresholds: Any = None) -> dict[str, Any]:
        """Returns one prediction as plain values for JSON."""
        raise NotImplementedError

    def answers(
        self, predictions: np.ndarray, label_names: Sequence[str], thresholds: Any = None
    ) -> dict[str, list[Any]]:
        """Returns the predictions as `columns` of plain values, one a text; several labels joined by |."""
        raise NotImplementedError

    # Results.

    def right(self, labels: np.ndarray, predictions: np.ndarray) -> np.ndarray | None:
        """Returns which texts are answered right, bool `(N,)`, where `score` is their share; None for other scores."""
        return None

    def shares(self, labels: np.ndarray, predictions: np.ndarray, thresholds: Any = None) -> np.ndarray:
        """Returns what each text adds to `score`, float64 `(2, N)`: the score of any texts is the sum of their first numbers
        divided by the sum of their second ones."""
        raise NotImplementedError

    def score_of(self, labels: np.ndarray, predictions: np.ndarray, thresholds: Any = None) -> float:
        """Returns the measure `score` of predictions; `measured` is that of logits, with the best thresholds."""
        above, below = self.shares(labels, predictions, thresholds).sum(axis=1)
        return float(above / below) if below else 0.0

    def evaluate(
        self,
        labels: np.ndarray,
        predictions: np.ndarray,
        label_names: Sequence[str],
        thresholds: Any = None,
        seed: int = 0,
    ) -> dict[str, Any]:
        """Returns what a report shows of a model: `scores`, a dict of `texts` and estimates, and more by task."""
        raise NotImplementedError

    def compare(
        self,
        labels: np.ndarray,
        first: np.ndarray,
        second: np.ndarray,
        names: tuple[str, str],
        thresholds: tuple[Any, Any] = (None, None),
        seed: int = 0,
    ) -> dict[str, Any]:
        """Returns `names`, `difference`, an estimate above 0 where the first is better, and `verdict`, a sentence."""
        raise NotImplementedError

    def examples(
        self,
        texts: Sequence[Any],
        labels: np.ndarray,
        predictions: np.ndarray,
        label_names: Sequence[str],
        thresholds: Any = None,
        most: int = SHOWN,
    ) -> dict[str, Any]:
        """Returns facts that show texts, such as the worst mistakes, at most `most` of them."""
        raise NotImplementedError

    def hints(
        self,
        labels: np.ndarray,
        predictions: np.ndarray,
        label_names: Sequence[str],
        thresholds: Any = None,
        weighted: bool = True,
    ) -> list[str]:
        """Returns what a user should know of the predictions, a sentence each; `weighted`: whether to leave out how rare classes can
        be made to count more."""
        return []

    def train_baseline(
        self,
        texts: Sequence[Any],
        labels: np.ndarray,
        label_names: Sequence[str],
        seed: int = 0,
        weights: Any = None,
        groups: Any = None,
    ) -> Any:
        """Returns the baseline, `texts -> predictions`, with `parameters`, `size` and `thresholds`, chosen out of fold or None;
        ValueError if it cannot be trained."""
        raise NotImplementedError

    def suspects(
        self,
        texts: Sequence[Any],
        labels: np.ndarray,
        baseline: Any,
        label_names: Sequence[str],
        seed: int = 0,
        groups: Any = None,
    ) -> dict[str, Any]:
        """Returns which training texts may have a wrong label (of `diagnostics.suspect_labels`); empty if it is not searched."""
        return {}


@cache
def task_of(name: str) -> Task:
    """Returns a task by its name, a key of `TASKS`."""
    module, kind = TASKS[name]
    return getattr(import_module(f"bert_tf.tasks.{module}"), kind)()


def task_name(problem_type: str, config: Any) -> str:
    """Returns the name of the task that a checkpoint is for.

    Args:
        problem_type: as in config.json.
        config: its config.
    """
    if getattr(config, ORDINAL, None) == "ordinal":
        return "ordinal"
    return next(name for name in TASKS if task_of(name).problem_type == problem_type)


def common_task(names: Sequence[str], tasks: Sequence[Task], classes: Sequence[Sequence[str]]) -> Task:
    """Returns the task of one model, or of two that can be compared.

    Args:
        names, tasks, classes: of each model.
    Raises: ValueError for two models that give a text different things, or have different classes.
    """
    if tasks[0].problem_type != tasks[-1].problem_type:
        raise ValueError(
            f"{names[0]} is a model for {tasks[0].name}, {names[-1]} for {tasks[-1].name}: they cannot be compared."
        )
    tasks[0].places(classes[-1], classes[0])
    return tasks[0]
