"""The data classes and collators of transformers 4: one example, its features, and lists of either as batches."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from bert_tf.data.labels import LABEL_KEYS
from bert_tf.data.rows import as_tensor

# The tasks of GLUE (Wang et al. 2019, https://arxiv.org/abs/1804.07461): the columns with texts, and the labels; none = a number.
GLUE: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "cola": (("sentence",), ("0", "1")),
    "sst-2": (("sentence",), ("0", "1")),
    "mrpc": (("sentence1", "sentence2"), ("0", "1")),
    "sts-b": (("sentence1", "sentence2"), ()),
    "qqp": (("question1", "question2"), ("0", "1")),
    "mnli": (("premise", "hypothesis"), ("contradiction", "entailment", "neutral")),
    "mnli-mm": (("premise", "hypothesis"), ("contradiction", "entailment", "neutral")),
    "qnli": (("question", "sentence"), ("entailment", "not_entailment")),
    "rte": (("sentence1", "sentence2"), ("entailment", "not_entailment")),
    "wnli": (("sentence1", "sentence2"), ("0", "1")),
}
glue_tasks_num_labels = {task: len(labels) or 1 for task, (_, labels) in GLUE.items()}
glue_output_modes = {task: "classification" if labels else "regression" for task, (_, labels) in GLUE.items()}


@dataclasses.dataclass
class InputExample:
    """A text, or a pair of texts, with its label.

    Attributes:
        guid: an id of its own.
        text_a, text_b: str; `text_b` is None for single texts.
        label: str, the class; None = unknown.
    """

    guid: str
    text_a: str
    text_b: str | None = None
    label: Any = None

    def to_json_string(self) -> str:
        """Returns the fields as JSON."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"


@dataclasses.dataclass(frozen=True)
class InputFeatures:
    """The inputs of a model for one text.

    Attributes:
        input_ids, attention_mask, token_type_ids: int, of each token.
        label: int, the class, or float for regression.
    """

    input_ids: list[int]
    attention_mask: list[int] | None = None
    token_type_ids: list[int] | None = None
    label: Any = None

    def to_json_string(self) -> str:
        """Returns the fields as JSON."""
        return json.dumps(dataclasses.asdict(self)) + "\n"


def glue_convert_examples_to_features(
    examples: Any,
    tokenizer: Any,
    max_length: int | None = None,
    task: str | None = None,
    label_list: Sequence[str] | None = None,
    output_mode: str | None = None,
) -> Any:
    """Tokenizes examples, all padded or cut to `max_length` tokens.

    Args:
        examples: list of `InputExample`, or a `tf.data.Dataset` with the columns of a GLUE task, as tensorflow_datasets has it.
        tokenizer: a tokenizer of bert_tf.
        max_length: int; None = the tokenizer's most.
        task: a GLUE task, such as "mrpc"; a `tf.data.Dataset` needs one.
        label_list: str, the classes; None = the task's.
        output_mode: "classification" or "regression"; None = the task's.
    Returns: list of `InputFeatures`; for a dataset a `tf.data.Dataset` of (inputs, label), not batched.
    Raises: ValueError for an unknown task or label, or if the task of a dataset is not given.
    """
    if task is not None and task not in GLUE:
        raise ValueError(f"`task` must be one of {', '.join(GLUE)}. Received: task={task!r}")
    if isinstance(examples, tf.data.Dataset):
        if task is None:
            raise ValueError("A tf.data.Dataset needs `task`, the name of a GLUE task such as 'mrpc'.")
        return _as_dataset(examples, tokenizer, max_length, task)
    mode = output_mode or glue_output_modes.get(task or "", "classification")
    classes = list(label_list or GLUE.get(task or "", ((), ()))[1])
    labels = [_label(example.label, classes, mode) for example in examples]
    texts = [example.text_a for example in examples]
    pairs = [example.text_b for example in examples]
    options = {"max_length": max_length or tokenizer.model_max_length, "padding": "max_length", "truncation": True}
    encoded = tokenizer(texts, None if None in pairs else pairs, **options)
    rows = [{name: encoded[name][i] for name in encoded} for i in range(len(texts))]
    return [InputFeatures(**row, label=label) for row, label in zip(rows, labels, strict=True)]


def _label(label: Any, classes: list[str], mode: str) -> Any:
    if label is None or mode == "regression":
        return None if label is None else float(label)
    if label not in classes:
        raise ValueError(f"The label {label!r} is none of `label_list`: {', '.join(map(repr, classes))}.")
    return classes.index(label)


def _as_dataset(rows: tf.data.Dataset, tokenizer: Any, max_length: int | None, task: str) -> tf.data.Dataset:
    columns, classes = GLUE[task]
    examples = []
    for i, row in enumerate(rows.as_numpy_iterator()):
        texts = [row[column].decode() for column in columns]
        label = classes[int(row["label"])] if classes else float(row["label"])
        examples.append(InputExample(str(row.get("idx", i)), texts[0], texts[1] if len(texts) > 1 else None, label))
    features = glue_convert_examples_to_features(examples, tokenizer, max_length, task)
    kept = [
        name for name in ("input_ids", "attention_mask", "token_type_ids") if getattr(features[0], name) is not None
    ]
    inputs = {name: np.array([getattr(row, name) for row in features], "int32") for name in kept}
    labels = np.array([row.label for row in features], "int64" if classes else "float32")
    return tf.data.Dataset.from_tensor_slices((inputs, labels))


class DefaultDataCollator:
    """Stacks rows of equal length into a batch, without padding.

    Differs from transformers: `return_tensors` is "tf" by default.

    Args:
        return_tensors: "tf" or "np".
    Call arguments:
        features: list of dicts or `InputFeatures`, one per text; "label" and "label_ids" become "labels", texts are left out.
    Returns: dict of tensors.
    """

    def __init__(self, return_tensors: str = "tf"):
        self.return_tensors = return_tensors

    def __call__(self, features: Sequence[Any], return_tensors: str | None = None) -> dict:
        rows = [row if isinstance(row, Mapping) else vars(row) for row in features]
        batch = {}
        for name, value in rows[0].items():
            if value is not None and not isinstance(value, str):
                array = np.array([row[name] for row in rows])
                wide = array.dtype == "float64"  # what Python's floats become
                batch["labels" if name in LABEL_KEYS else name] = array.astype("float32") if wide else array
        if (return_tensors or self.return_tensors) == "tf":
            return {name: as_tensor(array) for name, array in batch.items()}
        return batch


def default_data_collator(features: Sequence[Any], return_tensors: str = "tf") -> dict:
    """Stacks rows of equal length into a batch: `DefaultDataCollator` as a function."""
    return DefaultDataCollator(return_tensors)(features)
