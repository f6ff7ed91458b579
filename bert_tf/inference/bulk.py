"""Predictions for a large file: read, classified and written block by block, and continued where a killed run stopped.

Three parts that know nothing of each other: blocks are read (`data.blocks`), a block is classified (`Classifier`), columns are
written (`data.writers`). Between the last two stands the folder OUTPUT.unfinished, which keeps the predictions of each finished
block under its number and a fingerprint of its texts. A run that continues reads the file again, takes the predictions that are
there, and computes the others. The output is written beside them and takes its place, whole, at the end.
"""

import logging
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from keras import ops

from bert_tf import terminal
from bert_tf.data.blocks import Block, Blocks, read_blocks
from bert_tf.data.writers import WRITERS, rounded
from bert_tf.files import START_ANEW, changed, fingerprint, read_json, write_json, written_whole
from bert_tf.formatting import counted
from bert_tf.inference.predict import Classifier, check_kind
from bert_tf.options import with_options
from bert_tf.reporting.display import Displayed
from bert_tf.settings import PREDICT, Settings

log = logging.getLogger("bert_tf")

UNFINISHED = ".unfinished"  # behind the name of the output: the folder of a run that has not ended
RUN, LOCK = "run.json", ".lock"


@dataclass(frozen=True, repr=False)
class Written(Displayed):
    """What `predict_file` or `predict_files` did.

    Attributes:
        file: Path of the output, a file or a folder; of a folder elsewhere its URI, str.
        rows: int, rows in it.
        columns: the names of the columns with predictions.
        resumed: int, rows whose predictions an earlier, interrupted run had left.
    """

    file: Path | str
    rows: int
    columns: tuple[str, ...]
    resumed: int

    def _title(self) -> str:
        return f"Written: {self.file}, {counted(self.rows, 'row')}; predictions: {', '.join(self.columns)}"


@with_options(PREDICT)
def predict_file(
    model: Any,
    source: Any,
    output: str | os.PathLike,
    *,
    tokenizer: Any = None,
    batch_size: int | None = None,
    settings: Settings,
) -> Written:
    """Classifies the texts of a file of any size, and writes all its columns and the predictions.

    Memory does not grow with the file, except for kinds that must be read as a whole: .xlsx, .zip,
    a JSON array, what is in memory anyway. The columns are those of `Predictions.to_columns`; where
    the file has a column of that name, "predicted_" stands before it. The output appears when it is
    complete. Until then a folder beside it, named OUTPUT.unfinished, keeps what has been computed,
    also when the run is killed; with `resume` the result is the same, byte for byte, as without the
    break. The engine is Keras: another one could be chosen by its speed, and change the last digits.

    Args:
        model: one of `bert_tf`'s classifiers, or the folder or hub name of one.
        source: texts without labels, as for `bert_tf.read_examples`.
        output: path of a .csv, .jsonl or .parquet file; an earlier one is replaced. Probabilities
            have 6 digits in text files.
        tokenizer: of a model in memory; None = the one in the folder that it was loaded from.
        batch_size: int, the most texts per batch; None = as suits the machine.
        {options}
    Returns: `Written`.
    Raises: as `bert_tf.predict` and `bert_tf.read_examples`; FileExistsError if an earlier run was
        interrupted and neither `resume` nor `overwrite` is given; ValueError for a run that had
        other settings.
    """
    file = output_path(output)
    unfinished = Unfinished(file, settings.output.resume, settings.output.overwrite)
    blocks = source if isinstance(source, Blocks) else read_blocks(source, settings.data)
    for remark in () if isinstance(source, Blocks) else blocks.remarks:
        log.warning(remark)
    classifier = Classifier(
        model, tokenizer, batch_size=batch_size, max_length=settings.data.max_length, engine="keras"
    )
    check_kind(classifier.model.config, len(blocks.text_names) == 2)  # before there is a folder to resume
    names = _names(classifier, blocks)
    try:
        unfinished.start(_settings(model, classifier, blocks.size))
        resumed = _write(unfinished, blocks, classifier, names)
        unfinished.finish()
    finally:
        unfinished.release()
    return Written(file, len(blocks), tuple(names.values()), resumed)


def _write(unfinished: "Unfinished", blocks: Blocks, classifier: Classifier, names: Mapping[str, str]) -> int:
    """Classifies and writes every block; returns how many rows had been classified already."""
    resumed, suffix = 0, unfinished.file.suffix.lower()
    with (
        Output(unfinished.scratch, suffix, blocks, names) as written,
        terminal.Bar("Predicting", len(blocks), "text") as bar,
    ):
        for number, block in enumerate(blocks):
            found = unfinished.get(number, block)
            if found is None:
                found = classifier(block.texts, progress=bar.update).to_columns()
                unfinished.put(number, block, found)
            else:
                resumed += len(block)
                bar.skip(len(block))
            written.write(block, found)
    return resumed


def output_path(output: str | os.PathLike) -> Path:
    """Returns the file to write; raises ValueError or FileNotFoundError if it cannot be."""
    file = Path(output).expanduser()
    if file.suffix.lower() not in WRITERS:
        raise ValueError(f"`output` must end in {', '.join(WRITERS)}. Received: output={str(output)!r}")
    if file.is_dir():
        raise FileExistsError(f"{file}: is a folder. Name a file.")
    if not file.absolute().parent.is_dir():
        raise FileNotFoundError(f"{file}: there is no folder {file.parent}.")
    return file


def _names(classifier: Classifier, blocks: Blocks) -> dict[str, str]:
    """Returns the columns of the predictions -> their names in the output, none of which the source has."""
    return free_names(classifier(()).to_columns(), blocks.names, blocks.source)


def free_names(columns: Iterable[str], others: Iterable[str], source: str) -> dict[str, str]:
    """Returns the columns of predictions -> their names beside other columns, with "predicted_" where the name is taken; says
    which differ."""
    taken, names = set(others), {}
    for column in columns:
        name = column
        while name in taken:
            name = f"predicted_{name}"
        names[column] = name
        taken.add(name)
    if changed := [(column, name) for column, name in names.items() if column != name]:
        shown = ", ".join(f"{name!r} is the predicted {column}" for column, name in changed)
        log.warning("%s: has columns of the same names: %s.", source, shown)
    return names


def _settings(model: Any, classifier: Classifier, size: int) -> dict[str, Any]:
    """Returns what decides a prediction, as JSON values."""
    weights = (ops.convert_to_numpy(weight).tobytes() for weight in classifier.model.weights)
    words = classifier.tokenizer.backend_tokenizer.to_str().encode()
    parts: list[Any] = [(each for each in (*weights, words)), classifier.model.config.to_json_string()]
    if classifier.blend is not None:
        baseline = classifier.blend.baseline
        arrays = [np.ascontiguousarray(each) for each in (baseline.model.coef_, baseline.model.intercept_)]
        parts += [classifier.blend.weights, *arrays]
    return {
        "model": str(model) if isinstance(model, (str, os.PathLike)) else "in memory",
        "model_fingerprint": fingerprint(*parts),
        "max_length": classifier.max_length,
        "batch_size": classifier.batch_size,
        "block_size": size,
        "precision": classifier.model.compute_dtype,
    }


class Output:
    """Rows of a source and their predictions, written to a file."""

    def __init__(self, file: Path, suffix: str, blocks: Blocks, names: Mapping[str, str]):
        self.file, self.kind, self.blocks, self.names = file, WRITERS[suffix], blocks, names
        self.writer: Any = None

    def __enter__(self) -> "Output":
        return self

    def __exit__(self, *error: Any) -> None:
        if self.writer is not None:
            self.writer.close()

    def write(self, block: Block, predictions: Mapping[str, Sequence[Any]]) -> None:
        predictions = predictions if self.kind.exact else rounded(predictions)
        named = {self.names[column]: values for column, values in predictions.items()}
        if self.writer is None:
            own = {name: self.blocks.types.get(name) for name in self.blocks.names}
            self.writer = self.kind(self.file, {**own, **_types(named)})
        self.writer.write({**block.columns, **named})


def _types(columns: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    import pyarrow

    return {name: pyarrow.array(values).type for name, values in columns.items()}


class Unfinished:
    """The folder of a run that has not ended: predictions by block, and the output as far as it is written.

    Args:
        file: the output.
        resume, overwrite: bool, what to do if there is such a folder already.
    """

    def __init__(self, file: Path, resume: bool, overwrite: bool):
        self.file, self.folder, self.resume = file, file.with_name(file.name + UNFINISHED), resume
        if resume and overwrite:
            raise ValueError("`overwrite` and `resume` exclude each other.")
        self.lock: Any = None
        there = self.folder.is_dir()
        foreign = there and any(not each.name.startswith(".") for each in self.folder.iterdir())
        if foreign and not (self.folder / RUN).is_file():
            raise FileExistsError(f"{self.folder}: is not of an interrupted run. Choose another output.")
        if there and not (resume or overwrite):
            raise FileExistsError(
                f"{self.folder}: an earlier run was interrupted. Continue it with resume=True (--resume), or start anew with "
                "overwrite=True (--overwrite)."
            )
        if resume and not there and file.exists():
            raise FileExistsError(f"{file}: is complete, there is nothing to resume. Start anew without --resume.")

    @property
    def scratch(self) -> Path:
        return self.folder / self.file.name

    def start(self, settings: Mapping[str, Any]) -> None:
        """Makes the folder, or checks that the run in it had the same settings; raises ValueError if not.

        Raises: FileExistsError if another process is writing there: only one may, until `release`, or its end, however it ends.
        """
        from filelock import FileLock, Timeout

        self.folder.mkdir(exist_ok=True)
        self.lock = FileLock(self.folder / LOCK)
        try:
            self.lock.acquire(timeout=0)
        except Timeout as error:
            raise FileExistsError(f"{self.folder}: another process is writing there. Wait for it to end.") from error
        if self.resume and (self.folder / RUN).is_file():
            before = read_json(self.folder / RUN, START_ANEW)
            if others := changed(before, settings, ("model",)):  # the fingerprint says what it is
                raise ValueError(
                    f"{self.folder}: cannot be resumed with other settings: {others}. Give the same ones. {START_ANEW}"
                )
            return
        for each in self.folder.iterdir():
            if each.name != LOCK:
                each.unlink()
        write_json(self.folder / RUN, settings)

    def release(self) -> None:
        """Lets other processes continue what is unfinished."""
        if self.lock is not None:
            self.lock.release()

    def _part(self, number: int, block: Block) -> Path:
        texts = (f"{len(text)}:{text}".encode() for text in block.texts)
        return self.folder / f"{number:08}-{fingerprint(texts)}.parquet"

    def get(self, number: int, block: Block) -> dict[str, list[Any]] | None:
        """Returns the predictions of a block; None if they are not there, or of other texts."""
        from pyarrow import parquet

        part = self._part(number, block)
        try:
            return parquet.read_table(part).to_pydict() if part.is_file() else None
        except (OSError, ValueError):  # damaged, as after a power cut: it is computed again
            return None

    def put(self, number: int, block: Block, predictions: Mapping[str, Sequence[Any]]) -> None:
        """Keeps the predictions of a block."""
        import pyarrow
        from pyarrow import parquet

        with written_whole(self._part(number, block)) as scratch:
            parquet.write_table(pyarrow.table(dict(predictions)), scratch)

    def finish(self) -> None:
        """Puts the output in its place and removes the folder."""
        os.replace(self.scratch, self.file)
        self.release()
        shutil.rmtree(self.folder)
