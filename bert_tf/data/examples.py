"""Labelled texts, split and relabelled. `readers.py` reads them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress
from typing import Any

import numpy as np

from bert_tf.data.classes import key_of, places
from bert_tf.data.gates import Text, is_pair, normalised, parts
from bert_tf.data.tables import find_column
from bert_tf.formatting import counted, shown_text
from bert_tf.reporting.display import Displayed, beginning, names, shortened
from bert_tf.settings import Data
from bert_tf.tasks.task import Task, task_of

PER_TEXT = ("labels", "weights", "groups")  # arrays of `Examples` with a value a text


@dataclass(frozen=True, repr=False)
class Examples(Displayed):
    """Texts and their labels.

    Attributes:
        texts: str, N of them, or N pairs, tuples of two str that are classified together; they can be iterated repeatedly: a list, or
            a stream that is never in memory as a whole.
        labels: NumPy int32 `(N,)`, indices into `label_names`; with several labels a text 0 or 1, float32 `(N, C)`; numbers
            of a regression, float32 `(N,)`; None for unlabelled texts.
        label_names: str, the classes or labels; of a regression one, what the number is.
        source: str, their origin, for messages.
        weights: NumPy float32 `(N,)` of mean 1, how much each text counts; a part of the texts has mean 1 again. None = all the same.
        groups: NumPy str `(N,)`; texts of one group stay on one side of every split. None = each text is its own.
        columns: the names of the text's and the label's column; `other_columns` those that are not read.
        remarks: what was guessed of the source, a sentence each.
        skipped: rows that are left out because they cannot be read or lack text or label, a phrase each.
        kept: name -> N values, of the other columns that were asked for.
        read_with: the options that they were read with, where they are not the defaults; the columns of weights and groups too.
        task: str, what a text is given: a key of `bert_tf.tasks.task.TASKS`.
    """

    texts: Iterable[Text]
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
    weights: Any = None
    groups: Any = None

    def __len__(self) -> int:
        return len(self.labels) if self.labels is not None else len(self.texts)  # type: ignore[arg-type]

    @property
    def pairs(self) -> bool:
        """Whether the texts are pairs of texts."""
        return is_pair(next(iter(self.texts), ""))

    def __repr__(self) -> str:
        return self._title()  # a line: examples often come in pairs

    def _title(self) -> str:
        classes = names([] if self.labels is None else self._task.counted(self.labels, self.label_names))
        return f"Examples({counted(len(self), 'text')}{f': {classes}' if classes else ''}; {shortened(self.source)})"

    def _blocks(self) -> list[dict[str, Any]]:
        labels: Iterable[Any] = [] if self.labels is None else self._task.shown(self.labels, self.label_names)
        columns = {"text": "text"} if self.labels is None else {"label": "text", "text": "text"}
        texts = (shortened(shown_text(text)) for text in self.texts)
        rows = ((text,) for text in texts) if self.labels is None else zip(map(shortened, labels), texts, strict=True)
        return beginning(columns, rows, len(self))

    def to_pandas(self) -> Any:
        """Returns a DataFrame of `text`, of pairs `text_pair` too, and `label`, the names of the classes, if there are labels."""
        import pandas

        labels = {} if self.labels is None else {"label": self._task.values(self.labels, self.label_names)}
        columns = dict(zip(("text", "text_pair"), map(list, zip(*map(parts, self.texts), strict=True)), strict=False))
        return pandas.DataFrame({**(columns or {"text": []}), **labels})

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
        return f"{name}: {len(self):,} texts ({counts}), {self.source}{columns}"

    def take(self, indices: np.ndarray) -> "Examples":
        """Returns the examples at `indices`, in the source's order."""
        chosen = np.zeros(len(self), bool)
        chosen[indices] = True
        stream = Stream(lambda: compress(self.texts, chosen), int(chosen.sum()))
        texts = [*stream] if isinstance(self.texts, list) else stream
        kept = {name: [*compress(values, chosen)] for name, values in self.kept.items()}
        changed: dict[str, Any] = {
            name: array[chosen] for name in PER_TEXT if (array := getattr(self, name)) is not None
        }
        if self.weights is not None:
            changed["weights"] = normalised(changed["weights"])
        return replace(self, texts=texts, kept=kept, **changed)

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
        return self if count >= len(self) else self.take(np.flatnonzero(self._drawn(count / len(self), seed, None)))

    def split(self, share: float, seed: int) -> tuple["Examples", "Examples"]:
        """Splits the examples in two at random, with the same proportions of classes in both (stratified), as nearly as whole
        groups allow.

        Args:
            share: float in (0, 1), of the second part; each part has at least one example of each class, except that the only
                example of a class stays in the first, and groups stay whole.
        Raises: ValueError if no class has two examples, all texts are one group, or whole groups leave one class in the first part.
        """
        second = self._drawn(share, seed, self.groups)
        rest = self.take(np.flatnonzero(~second))
        lost = self._task.problem(rest.labels, self.label_names)
        if self.groups is not None and lost and not self._task.problem(self.labels, self.label_names):
            raise ValueError(
                f"{self.source}: groups stay whole, and the texts that are left when some are held out all have the same label. "
                "Pass validation data, or leave out group_column (--group-column)."
            )
        return rest, self.take(np.flatnonzero(second))

    def _drawn(self, share: float, seed: int, groups: np.ndarray | None) -> np.ndarray:
        """Returns which examples are drawn, bool `(N,)`; arguments and errors are those of `split`."""
        if not 0 < share < 1:
            raise ValueError(f"`share` must lie between 0 and 1. Received: share={share}")
        if self.labels is None:
            raise ValueError(f"{self.source}: cannot be split: the texts have no labels.")
        strata, counts = np.unique(self._strata(), return_inverse=True, return_counts=True)[1:]
        if counts.max(initial=0) < 2:
            raise ValueError(
                f"{self.source}: too few examples to hold some out for validation: no label has two. "
                "Add examples or pass validation data."
            )
        generator = np.random.default_rng(seed)
        if groups is not None:
            return self._drawn_groups(share, generator, strata, groups)
        drawn = np.zeros(len(self), bool)
        for stratum in range(len(counts)):
            members = generator.permutation(np.flatnonzero(strata == stratum))
            drawn[members[: min(max(1, round(share * len(members))), len(members) - 1)]] = True
        return drawn

    def _drawn_groups(self, share: float, generator: Any, strata: np.ndarray, groups: np.ndarray) -> np.ndarray:
        """Draws whole groups in random order, each that brings the shares of the classes nearer to `share`."""
        names, group = np.unique(groups, return_inverse=True)
        if len(names) < 2:
            raise ValueError(
                f"{self.source}: all texts are of one group, {str(names[0])!r}: none can be held out. Pass validation data, or "
                "leave out group_column (--group-column)."
            )
        table = np.zeros((len(names), strata.max() + 1))
        np.add.at(table, (group, strata), 1)
        shares = table / table.sum(axis=0)  # of each class, by group
        left = np.full(table.shape[1], share)
        drawn = np.zeros(len(names), bool)
        for i in generator.permutation(len(names)):
            if ((left - shares[i]) ** 2).sum() < (left**2).sum():
                drawn[i], left = True, left - shares[i]
        if not drawn.any():  # few and large groups
            drawn[((left - shares) ** 2).sum(axis=1).argmin()] = True
        return drawn[group]

    def _strata(self) -> np.ndarray:
        """Returns int `(N,)`, the same number for texts that are spread evenly when the examples are split."""
        return self._task.strata(self.labels)


@dataclass(frozen=True)
class Stream:
    """Texts that are read anew in each iteration; their number is known."""

    start: Callable[[], Iterator[Text]]
    length: int

    def __iter__(self) -> Iterator[Text]:
        return self.start()

    def __len__(self) -> int:
        return self.length


def remarks_of(*parts: Examples | None) -> list[str]:
    """Returns what was guessed of several sources, each sentence once; None is no source."""
    return [*dict.fromkeys(remark for part in parts if part is not None for remark in part.remarks)]


def check_columns(examples: Examples, data: Data) -> None:
    """Raises ValueError if training texts lack a column that was asked for beside text and label; others may lack it."""
    for what, given in (("weight", data.weight_column), ("group", data.group_column)):
        option = f"{what}_column"
        known, there = examples.read_with.get(option), getattr(examples, f"{what}s") is not None
        if given is None or (there and known == given):
            continue
        if not there and not examples.columns:
            raise ValueError(
                f"{examples.source}: has no {what}s. Pass a table with a column for them, read with "
                f"{option}={given!r} (--{what}-column)."
            )
        if there:
            problem = f"has {what}s already{'' if known is None else f', of the column {known!r}'}"
        else:
            find_column([*examples.columns, *examples.other_columns], given, (), examples.source, what)
            problem = f"was read without {what}s"
        raise ValueError(
            f"{examples.source}: {problem}. Received: {option}={given!r}. Pass it where it is read: "
            f"read_examples(..., {option}={given!r})"
        )


def check_kinds(train: Examples, judged: Examples, name: str) -> None:
    """Raises ValueError if one of both has pairs of texts and the other single ones; `name` says what the second are."""
    if train.pairs != judged.pairs:
        kinds = [f"{part.source}: {'pairs of texts' if part.pairs else 'single texts'}" for part in (train, judged)]
        raise ValueError(f"Training and {name} texts must be of one kind. Received: {'; '.join(kinds)}.")


LEAK = "a leak, so the scores may be too optimistic"


def with_leaks(train: Examples, judged: Examples) -> Examples:
    """Returns examples that a model is judged by, with a remark if some are of a group that it has learnt from."""
    if train.groups is None or judged.groups is None:
        return judged
    known = np.isin(judged.groups, train.groups)
    if not known.any():
        return judged
    shared = np.unique(judged.groups[known])
    shown = ", ".join(map(repr, shared[:3].tolist())) + (", ..." if len(shared) > 3 else "")
    remark = (
        f"{judged.source}: {int(known.sum()):,} of {len(judged):,} texts are of groups that the model learns from too ({shown}): "
        f"{LEAK}."
    )
    return replace(judged, remarks=(*judged.remarks, remark))


def check_classes(examples: Examples) -> None:
    """Raises ValueError unless something can be learnt of the examples: at least two classes, or two numbers."""
    if problem := task_of(examples.task).problem(examples.labels, examples.label_names):
        raise ValueError(f"{examples.source}: {problem}")
