"""Data sets of tensorflow-datasets, streamed: labels are read once, texts in each iteration."""

import os
from collections.abc import Iterator, Mapping
from typing import Any

from bert_tf.data.examples import Stream
from bert_tf.data.tables import LABEL_COLUMNS, TEXT_COLUMNS, Table, find_column
from bert_tf.files import error_reason
from bert_tf.settings import Data


def tfds_table(name: str, data: Data, labelled: bool, data_dir: str | os.PathLike | None) -> tuple[Table, Stream]:
    """Reads "tfds:NAME" or "tfds:NAME@SPLIT".

    Returns: a table of the labels, without the texts, and the stream of the texts. Features inside others are called
        "outer/inner".
    Raises: ValueError if tensorflow-datasets does not have it, or not such columns.
    """
    import tensorflow_datasets as tfds

    dataset, _, split = name.removeprefix("tfds:").partition("@")
    split = split or "train"
    try:
        builder = tfds.builder(dataset, data_dir=data_dir)
        if not builder.is_prepared():
            builder.download_and_prepare()
        length = builder.info.splits[split].num_examples
    except Exception as error:  # unknown name or split, no network: no common class
        raise ValueError(f"{name}: tensorflow-datasets could not load it ({error_reason(error)}).") from error
    features = _flat(builder.info.features)
    names = [*features]
    usual = [key if key in features else None for key in builder.info.supervised_keys or (None, None)]
    text = names[_column(names, data.text_column or usual[0], TEXT_COLUMNS, name, "text")]

    def column(key: str) -> Iterator[Any]:
        outer, *inner = key.split("/")
        only = tfds.decode.PartialDecoding(_nested(key))
        for row in tfds.as_numpy(builder.as_dataset(split=split, decoders=only, shuffle_files=False)):
            value = row[outer]
            for part in inner:
                value = value[part]
            yield value

    def texts() -> Iterator[str]:
        for number, value in enumerate(column(text), 1):
            try:
                yield value.decode("utf-8")
            except (UnicodeDecodeError, AttributeError) as error:
                raise ValueError(f"{name}: row {number}: the text ({text!r}) is not valid UTF-8.") from error

    stream = Stream(texts, length)
    if not labelled:
        return Table(name, [], []), stream
    label = names[_column(names, data.label_column or usual[1], LABEL_COLUMNS, name, "label")]
    labels = list(column(label))
    class_names = getattr(features[label], "names", None)
    if class_names and (unlabelled := sum(int(number) < 0 for number in labels)):
        raise ValueError(
            f"{name}: {unlabelled} of {length} rows have no label (-1). Choose another split: tfds:NAME@SPLIT."
        )
    return Table(name, [label], [labels], class_names={0: class_names} if class_names else {}), stream


def _flat(features: Any, prefix: str = "") -> dict[str, Any]:
    """Returns features by their path, those inside others as "outer/inner"."""
    found: dict[str, Any] = {}
    for name in features:
        feature = features[name]
        if isinstance(feature, Mapping) or (hasattr(feature, "keys") and hasattr(feature, "items")):
            found |= _flat(feature, f"{prefix}{name}/")
        else:
            found[prefix + name] = feature
    return found


def _nested(key: str) -> dict[str, Any]:
    outer, _, inner = key.partition("/")
    return {outer: _nested(inner) if inner else True}


def _column(names: list[str], given: Any, usual: tuple[str, ...], source: str, what: str) -> int:
    """As `find_column`; a feature inside another is found by its own name too."""
    last = [name.rsplit("/", 1)[-1] for name in names]
    if given is not None and given not in names and last.count(str(given)) == 1:
        return last.index(str(given))
    return find_column(last if given is None else names, given, usual, source, what)
