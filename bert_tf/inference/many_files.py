"""Predictions for many files, into a folder of Parquet parts: in this process, or by the workers of a Ray cluster.

What is done is planned once (`bert_tf.data.parts`): which files, in which blocks. A `Worker` reads, classifies and writes single
blocks, wherever it runs, and a block has one part under one name. So whoever does the blocks, in whatever order, after
whatever was killed: the rows are the same, and none is there twice. To resume is to do the blocks whose part is missing.
"""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from bert_tf import terminal
from bert_tf.checkpoints import locate
from bert_tf.checkpoints.config import label_names, problem_type, read_config
from bert_tf.checkpoints.folder import check_head
from bert_tf.data.parts import Folder, Reader, Sources, Started, plan_of, read_sources
from bert_tf.data.places import is_remote
from bert_tf.extras import check_ray
from bert_tf.files import START_ANEW, fingerprint
from bert_tf.inference.bulk import Written, free_names
from bert_tf.inference.predict import Classifier, Predictions, check_kind
from bert_tf.options import with_options
from bert_tf.settings import PREDICT_FILES, Settings
from bert_tf.tasks.task import task_name, task_of

log = logging.getLogger("bert_tf")

Block = tuple[int, int]  # the numbers of a file and of a block in it


@dataclass(frozen=True)
class Work:
    """What a worker must know, in plain values that can be sent to another machine.

    Attributes:
        model: str, a folder, or a name on the hub.
        sources, folder: what is read, and where it is written.
        names: column of the predictions -> its name in the parts.
        max_length, batch_size: as of `bert_tf.predict`.
        policy: str, Keras' dtype policy.
    """

    model: str
    sources: Sources
    folder: Folder
    names: dict[str, str]
    max_length: int | None
    batch_size: int | None
    policy: str


class Worker:
    """Reads, classifies and writes blocks, with one model, loaded once.

    Call arguments:
        file, block: int, the numbers of a file and of a block in it.
        progress: as of `bert_tf.inference.predict.Classifier`.
    Returns of a call: int, the rows of the block; its part is written.
    """

    def __init__(self, work: Work):
        self.work, self.read = work, Reader(work.sources)
        keras.config.set_dtype_policy(work.policy)
        self.classifier = Classifier(work.model, batch_size=work.batch_size, max_length=work.max_length, engine="keras")

    def __call__(self, file: int, block: int, progress: Any = False) -> int:
        rows = self.read(file, block)
        found = self.classifier(rows.texts, progress).to_columns() if len(rows) else {}
        named = {self.work.names[column]: values for column, values in found.items()}
        self.work.folder.write(file, block, {**rows.columns, **named} if found else {})
        return len(rows)


@with_options(PREDICT_FILES)
def predict_files(
    model: str | os.PathLike,
    source: Any,
    output: str | os.PathLike,
    *,
    batch_size: int | None = None,
    settings: Settings,
) -> Written:
    """Classifies the texts of many files, and writes all their columns and the predictions as a folder of Parquet files.

    Memory does not grow with the files, except for kinds that must be read as a whole: .xlsx, .zip,
    a JSON array. The columns are those of `predict_file`. The folder gets a part for each block of
    2,000 rows, in the order of the files; `pandas.read_parquet(folder)` reads them as one table. A
    part is written whole or not at all. `_SUCCESS` is there when all are. A run that was killed, or
    lost a worker, continues with `resume`: no row is lost, none is there twice. `_plan.json` says what
    the folder is made of; a run with another model, other files or other settings does not continue it.

    Args:
        model: folder or hub name of a classifier: each worker loads it.
        source: the texts: a file, a folder, a pattern such as "texts/*.parquet", or a list of these.
            Parquet files may also be elsewhere: "s3://bucket/texts/*.parquet", gs://, hdfs://.
        output: the folder, a path or URI; it is made. With Ray on several machines it, the files and
            the model must be where all of them reach it.
        batch_size: int, the most texts per batch; None = as suits the machine.
        {options}
    Returns: `Written`.
    Raises: as `predict_file`; ImportError if Ray is asked for and not installed.

    >>> predict_files("runs/reviews/model", "texts/*.parquet", "predicted", engine="ray", workers=2)
    """
    run, options = _runner(settings.bulk.engine, settings.bulk.workers), settings.output
    if options.resume and options.overwrite:
        raise ValueError("`overwrite` and `resume` exclude each other.")
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"`batch_size` must be at least 1. Received: batch_size={batch_size}")
    if not isinstance(model, (str, os.PathLike)):
        raise TypeError(
            f"`model` must be a folder or a name on the hub. Received: {type(model).__name__}. Save it: save_pretrained."
        )
    columns, marks = _of_model(model)
    sources = source if isinstance(source, Sources) else read_sources(source, settings.data)
    for remark in () if isinstance(source, Sources) else sources.remarks:
        log.warning(remark)
    check_kind(read_config(locate.resolve(model)), len(sources.text_names) == 2)
    names, policy = free_names(columns, sources.types, sources.files[0].file), keras.config.dtype_policy().name
    decides = {"max_length": settings.data.max_length, "batch_size": batch_size, "precision": policy}
    plan, short = plan_of(sources, {**marks, **decides, "predictions": names})
    types = {**sources.types, **{names[column]: kind for column, kind in columns.items()}}
    folder = Folder(os.fspath(output), short, types)
    started = Started(folder.where, plan, options.resume, options.overwrite)
    try:
        place = str(locate.resolve(model).absolute())
        work = Work(place, sources, folder, names, settings.data.max_length, batch_size, policy)
        resumed = _do(work, run)
        started.succeed()
    finally:
        started.end()
    where = folder.where if is_remote(folder.where) else Path(folder.where)
    return Written(where, sources.rows, tuple(names.values()), resumed)


def _runner(engine: str, workers: int | None) -> Callable[[Work, Sequence[Block], Any], None]:
    """Returns the function that does blocks."""
    if engine != "ray":
        if workers is not None:
            raise ValueError(f"`workers` are those of Ray: engine='ray' (--engine ray). Received: workers={workers}")
        return _here
    check_ray()
    from bert_tf.inference.on_ray import on_ray

    return lambda work, blocks, bar: on_ray(work, blocks, bar, workers)


def _here(work: Work, blocks: Sequence[Block], bar: Any) -> None:
    """Does blocks in this process."""
    worker = Worker(work)
    for file, block in blocks:
        worker(file, block, bar.update)


def _do(work: Work, run: Callable[[Work, Sequence[Block], Any], None]) -> int:
    """Does the blocks whose parts are missing, and checks that every row is there; returns how many rows were already."""
    sources, folder = work.sources, work.folder
    there = folder.found(sources)
    missing = [block for block in sources.blocks() if block not in there]
    resumed = sum(there.values())
    with terminal.Bar("Predicting", sources.rows, "text", done=resumed) as bar:
        if missing:
            run(work, missing, bar)
    there = folder.found(sources)
    if changed := sources.changed():
        raise ValueError(f"{changed}: was changed while it was read. {START_ANEW}")
    if (rows := sum(there.values())) != sources.rows:
        raise ValueError(
            f"{folder.where}: has {rows:,} rows instead of {sources.rows:,}: parts are missing. Continue with resume=True (--resume)."
        )
    return resumed


def _of_model(model: str | os.PathLike) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns pyarrow's type of each column of a model's predictions, and what the model is: its name and the fingerprint of its
    files. The model itself is not loaded: that would take memory, on a GPU all of it, which the workers need."""
    import pyarrow

    folder = locate.resolve(model)
    check_head(folder, model)
    config = read_config(folder)
    task, classes = task_of(task_name(problem_type(config), config)), label_names(config)
    one = Predictions(task.squash(np.zeros((1, len(classes)), "float32")), classes, task.name)
    types = {name: pyarrow.array(values).type for name, values in one.to_columns().items()}
    files = sorted(
        file for file in folder.iterdir() if file.suffix in (".json", ".txt", ".model", ".safetensors", ".h5")
    )
    contents = fingerprint(*(part for file in files for part in (file.name, _bytes(file))))
    return types, {"model": os.fspath(model), "model_fingerprint": contents}


def _bytes(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while part := stream.read(1 << 22):
            yield part
