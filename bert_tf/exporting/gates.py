"""What can be said of an export before TensorFlow has loaded."""

import os
from pathlib import Path
from typing import Any

from bert_tf.checkpoints import locate
from bert_tf.exporting import formats
from bert_tf.exporting.formats import PARITY
from bert_tf.files import SECOND_PART, read_json
from bert_tf.settings import Settings

RUN = "run.json"


def check(model: Any, folder: str | os.PathLike, settings: Settings, texts: Any = None) -> Any:
    """Checks what an export needs; returns the source of its texts.

    Raises: ImportError for a package that is missing; ValueError for a format without an 8-bit form, a model of two parts or a lack
        of texts; FileExistsError for a folder that must not be written to.
    """
    formats.check(settings.export.to, settings.export.int8)
    check_folder(Path(folder), settings.output.overwrite)
    named = isinstance(model, (str, os.PathLike))
    home = locate.resolve(model) if named else Path(str(model.name_or_path or ""))
    if all((home / name).is_file() for name in SECOND_PART) and not settings.export.without_tfidf:
        raise ValueError(
            f"{home}: the model is blended with TF-IDF ({SECOND_PART[0]}), which is no network and cannot be exported. "
            "without_tfidf=True (--without-tfidf) exports the first part alone; its answers differ from those of both."
        )
    return texts if texts is not None else _texts_of_run(home)


def check_folder(folder: Path, overwrite: bool) -> None:
    """Raises FileExistsError unless a bundle may be written to a folder."""
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder}: is a file. Choose another folder.")
    if folder.is_dir() and any(folder.iterdir()):
        if not (folder / PARITY).is_file():
            raise FileExistsError(f"{folder}: holds files that are not an export of bert_tf. Choose another folder.")
        if not overwrite:
            raise FileExistsError(
                f"{folder}: holds another export. Choose another folder, or overwrite=True (--overwrite)."
            )


def _texts_of_run(home: Path) -> Any:
    """Returns the source of the validation texts of the run that a model's folder belongs to."""
    advice = "Name texts to judge the export by: texts (--texts FILE), if possible labelled."
    run = home.resolve().parent / RUN
    if not run.is_file():
        raise ValueError(f"{home}: is not the model of a run ({RUN}) that names its validation texts. {advice}")
    source = read_json(run).get("validation")
    if source is None:
        raise ValueError(f"{run}: the run held out some of its training texts for validation. {advice}")
    known = source.startswith(("demo", "tfds:", "hf:")) or Path(source).is_file()
    if not known:
        raise ValueError(f"{run}: its validation texts, {source}, are no file here. {advice}")
    return source
