"""Labelled texts, split and relabelled. `readers.py` reads them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress
from typing import Any

import numpy as np

from bert_tf.data.classes import key_of, places
from bert_tf.formatting import counted
from bert_tf.reporting.display import Displayed, beginning, names, shortened
from bert_tf.tasks.task import Task, task_of


@dataclass(frozen=True, repr=False)
class Examples(Displayed):
    """Texts and their labels.

    Attributes:
        texts: str, N of them, that can be iterated repeatedly: a list, or a stream that is never in memory as a whole.
        labels: NumPy int32 `(N,)`, indices into `label_names`; with several labels a text 0 or 1, float32 `(N, C)`; numbers
            of a regression, float32 `(N,)`; None for unlabelled texts.
        label_names: str, the classes or labels; of a regression one, what the number is.
        source: str, their origin, for messages.
        columns: the names of the text's and the label's column; `other_columns` those that are not read.
        remarks: what was guessed of the source, a sentence each.
        skipped: rows that are left out because they cannot be read or lack text or label, a phrase each.
        kept: name -> N values, of the other columns that were asked for.
        read_with: the options that they were read with, where they are not the defaults.
        task: str, what a text is given: a key of `bert_tf.tasks.task.TASKS`.
    """

    texts: Iterable[str]
    labels: Any
    label_names: tuple[str, ...]
    source: str
    columns: tuple[str, ...] = ()
    other_columns: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    kept: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    read_with: Mapping[str, Any] = field(default_factory=dict)
    task: str = "classification"

    def __len__(self) -> int:
        return len(self.labels) if self.labels is not None else len(self.texts)  # type: ignore[arg-type]

    def __repr__(self) -> str:
        return self._title()  # a line: examples often come in pairs

    def _title(self) -> str:
        classes = names(f"{count:,} {label}" for label, count in self.counts().items())
        return f"Examples({counted(len(self), 'text')}{f': {classes}' if classes else ''}; {shortened(self.source)})"

    def _blocks(self) -> list[dict[str, Any]]:
        labels: Iterable[Any] = [] if self.labels is None else self._task.shown(self.labels, self.label_names)
        columns = {"text": "text"} if self.labels is None else {"label": "text", "text": "text"}
        texts = (shortened(text) for text in self.texts)
        rows = ((text,) for text in texts) if self.labels is None else zip(map(shortened, labels), texts, strict=True)
        return beginning(columns, rows, len(self))

    def to_pandas(self) -> Any:
        """Returns a DataFrame of `text` and `label`, the name of the class, the list of labels or the number; without labels of
        `text` alone."""
        import pandas

        labels = {} if self.labels is None else {"label": self._task.values(self.labels, self.label_names)}
        return pandas.DataFrame({"text": [*self.texts], **labels})

    def counts(self) -> dict[str, int]:
        """Returns the number of examples of each class or label; empty for numbers."""
        return {} if self.labels is None else self._task.counts(self.labels, self.label_names)

    @property
    def _task(self) -> Task:
        return task_of(self.task)

    def described(self, name: str) -> str:
        """Returns what there is, in a line: "Training: 2 texts (1 bad, 1 good), reviews.csv"."""
        counts = "" if self.labels is None else self._task.described(self.labels, self.label_names)
        unused = f" (not used: {', '.join(map(repr, self.other_columns))})" if self.other_columns else ""
        columns = f"; text: {self.columns[0]!r}, label: {self.columns[1]!r}{unused}" if unused else ""
        return f"{name}: {len(self)} texts ({counts}), {self.source}{columns}"

    def take(self, indices: np.ndarray) -> "Examples":
        """Returns the examples at `indices`, in the source's order."""
        chosen = np.zeros(len(self), bool)
        chosen[indices] = True
        stream = Stream(lambda: compress(self.texts, chosen), int(chosen.sum()))
        texts = [*stream] if isinstance(self.texts, list) else stream
        kept = {name: [*compress(values, chosen)] for name, values in self.kept.items()}
        return replace(self, texts=texts, labels=None if self.labels is None else self.labels[chosen], kept=kept)

    def relabel(self, label_names: Sequence[str], of: str = "The training data") -> "Examples":
        """Returns the same examples with the classes in the order of `label_names`; ValueError if they have another.

        `of` names what these classes belong to, for the message. Labels agree by value: "1.0" and "True" are "1"; "01" is not.
        """
        if self._task.problem_type == "regression":  # whatever the column is called
            return replace(self, label_names=tuple(label_names))
        place = places(label_names)
        if unknown := [name for name in self.label_names if key_of(name) not in place]:
            folded = {name.casefold(): name for name in label_names}
            near = next((folded[name.casefold()] for name in unknown if name.casefold() in folded), None)
            hint = f" Is it {near!r}? Then read both with fold_case=True (--fold-case)." if near else ""
            raise ValueError(
                f"{self.source}: unknown labels {', '.join(map(repr, unknown))}. "
                f"{of} has: {', '.join(map(repr, label_names))}.{hint}"
            )
        order = [place[key_of(name)] for name in self.label_names]
        labels = None if self.labels is None else self._task.relabel(self.labels, order, len(label_names))
        return replace(self, labels=labels, label_names=tuple(label_names))

    def sample(self, count: int, seed: int) -> "Examples":
        """Returns `count` examples drawn at random, with the same proportions of classes (stratified); all if there are no more."""
        return self if count >= len(self) else self.split(count / len(self), seed)[1]

    def split(self, share: float, seed: int) -> tuple["Examples", "Examples"]:
        """Splits the examples in two at random, with the same proportions of classes in both (stratified).

        Args:
            share: float in (0, 1), of the second part; each part has at least one example of each class, except that the only
                example of a class stays in the first.
        Raises: ValueError if no class has two examples.
        """
        if not 0 < share < 1:
            raise ValueError(f"`share` must lie between 0 and 1. Received: share={share}")
        if self.labels is None:
            raise ValueError(f"{self.source}: cannot be split: the texts have no labels.")
        strata = self._strata()
        if np.bincount(strata).max(initial=0) < 2:
            raise ValueError(
                f"{self.source}: too few examples to hold some out for validation: no label has two. "
                "Add examples or pass validation data."
            )
        generator = np.random.default_rng(seed)
        second = np.zeros(len(self), bool)
        for stratum in range(int(strata.max()) + 1):
            members = generator.permutation(np.flatnonzero(strata == stratum))
            second[members[: min(max(1, round(share * len(members))), len(members) - 1)]] = True
        return self.take(np.flatnonzero(~second)), self.take(np.flatnonzero(second))

    def _strata(self) -> np.ndarray:
        """Returns int `(N,)`, the same number for texts that are spread evenly when the examples are split."""
        return self._task.strata(self.labels)


@dataclass(frozen=True)
class Stream:
    """Texts that are read anew in each iteration; their number is known."""

    start: Callable[[], Iterator[str]]
    length: int

    def __iter__(self) -> Iterator[str]:
        return self.start()

    def __len__(self) -> int:
        return self.length


def remarks_of(*parts: Examples | None) -> list[str]:
    """Returns what was guessed of several sources, each sentence once; None is no source."""
    return [*dict.fromkeys(remark for part in parts if part is not None for remark in part.remarks)]


def check_classes(examples: Examples) -> None:
    """Raises ValueError unless something can be learnt of the examples: at least two classes, or two numbers."""
    if problem := task_of(examples.task).problem(examples.labels, examples.label_names):
        raise ValueError(f"{examples.source}: {problem}")
