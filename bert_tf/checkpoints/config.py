"""config.json, read as transformers' own config class."""

from pathlib import Path
from typing import Any

from bert_tf.checkpoints.families.table import family_of, type_by_architecture
from bert_tf.checkpoints.heads import OWN_KEY, THEIR_KEY, without_old_key
from bert_tf.files import read_json

# Keys that bert_tf reads but transformers' config classes do not list.
PREFIX = "bert_tf_prefix"  # what stands before each text that the model sees
EXTRA_KEYS: tuple[str, ...] = (OWN_KEY, THEIR_KEY, PREFIX, "bert_tf_task", "label_thresholds", "text_pairs")
EXTRA_KEYS += ("output_attentions", "output_hidden_states", "return_dict")
PROBLEM_TYPES = ("regression", "single_label_classification", "multi_label_classification")
REMEDY = "Fetch or write the checkpoint again."  # for a missing or damaged file of a checkpoint


def read_values(folder: Path) -> dict[str, Any]:
    """Returns what config.json of a checkpoint folder holds, with its `model_type`, which some lack.

    Raises: FileNotFoundError or ValueError naming the file.
    """
    values = read_json(folder / "config.json", hint=REMEDY)
    return values | {"model_type": type_by_architecture(values)}


def read_config(folder: Path, given=None, **overrides):
    """Reads config.json as transformers' own config class.

    Args:
        folder: a checkpoint folder.
        given: a config to use instead of config.json, which is then not read.
        **overrides: config keys that replace those of the file; `num_labels` or `id2label` update all label keys.
    Returns: `transformers.PretrainedConfig`.
    Raises: FileNotFoundError without config.json; ValueError for a damaged one, an unknown `model_type` or an unknown key.
    """
    source = "config" if given is not None else str(folder / "config.json")
    values = read_values(folder) if given is None else given.to_dict()
    family = family_of(values.get("model_type"), source)
    if values.get("position_embedding_type", "absolute") != "absolute" or values.get("is_decoder"):
        raise ValueError(f"{source}: only encoders with absolute position embeddings are supported.")
    import transformers

    config_class = getattr(transformers, family.config_class)
    values["id2label"], values["label2id"] = _labels(values, overrides)
    values.pop("num_labels", None)
    known = {*config_class().to_dict(), *values, *EXTRA_KEYS, *family.head.dropout}
    if unknown := sorted(set(overrides) - known):
        raise ValueError(
            f"Unknown config keys: {', '.join(unknown)}. {family.config_class} has: {', '.join(sorted(known))}."
        )
    values = without_old_key(values) | without_old_key(overrides)
    if values.get("problem_type") not in (None, *PROBLEM_TYPES):
        raise ValueError(
            f"`problem_type` must be one of {', '.join(PROBLEM_TYPES)}. Received: {values['problem_type']!r}"
        )
    return config_class.from_dict(values)


def label_names(config) -> tuple[str, ...]:
    """Returns the names of a config's classes, in the order of its logits."""
    return tuple(config.id2label[i] for i in range(config.num_labels))


def problem_type(config) -> str:
    """Returns one of `PROBLEM_TYPES`, by the config or the number of its labels."""
    return config.problem_type or ("regression" if config.num_labels == 1 else "single_label_classification")


def _labels(values: dict, overrides: dict) -> tuple[dict, dict]:
    """Takes the label keys out of `overrides`; returns an `id2label` and a `label2id` that agree."""
    id2label, label2id = overrides.pop("id2label", None), overrides.pop("label2id", None)
    num_labels = overrides.pop("num_labels", None)
    if num_labels is not None and (
        isinstance(num_labels, (str, bool)) or int(num_labels) != num_labels or num_labels < 1
    ):
        raise ValueError(f"`num_labels` must be a whole number, at least 1. Received: num_labels={num_labels!r}")
    if isinstance(id2label, (list, tuple)):
        id2label = dict(enumerate(id2label))
    if isinstance(label2id, (list, tuple)):
        raise ValueError(f"`label2id` must be a dict, name -> index. Received: label2id={label2id!r}")
    if id2label is None and label2id is not None:
        id2label = {i: name for name, i in label2id.items()}
    if id2label is None:
        id2label = values.get("id2label") or {i: f"LABEL_{i}" for i in range(values.get("num_labels") or 2)}
        if num_labels is not None and num_labels != len(id2label):
            id2label = {i: f"LABEL_{i}" for i in range(num_labels)}
    id2label = {int(i): str(name) for i, name in sorted(id2label.items(), key=lambda item: int(item[0]))}
    if list(id2label) != list(range(len(id2label))) or num_labels not in (None, len(id2label)):
        raise ValueError(
            f"`id2label` must name the labels 0 to {(num_labels or len(id2label)) - 1}. "
            f"Received: id2label={id2label}, num_labels={num_labels}"
        )
    if len(set(id2label.values())) < len(id2label):
        raise ValueError(f"`id2label` must give each label a different name. Received: id2label={id2label}")
    return id2label, {name: i for i, name in id2label.items()}
