"""A fine-tuned model as a folder for another runtime, proven on real texts to say what the model says."""

import logging
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bert_tf import terminal
from bert_tf.checkpoints import locate
from bert_tf.data.examples import Examples
from bert_tf.data.readers import read
from bert_tf.data.tokenizer import Tokens, prefix_of, resolve_max_length, tokenize
from bert_tf.exporting import bundle, gates, parity
from bert_tf.exporting.formats import FORMATS, Runner, converter
from bert_tf.exporting.network import Network
from bert_tf.inference.predict import check_kind, load_classifier, task_of_model
from bert_tf.options import with_options
from bert_tf.reporting.display import Displayed, table
from bert_tf.settings import EXPORT, Settings
from bert_tf.tasks.task import THRESHOLDS, Task

log = logging.getLogger("bert_tf")


class RefusedError(ValueError):
    """An exported file says something else than the model; `measured` has the numbers, as parity.json would."""

    def __init__(self, message: str, measured: Mapping[str, Any]):
        super().__init__(message)
        self.measured = measured


@dataclass(frozen=True, repr=False)
class Exported(Displayed):
    """What `export` wrote.

    Attributes:
        folder: Path of the bundle.
        file, int8_file: Path of the exported model in it; `int8_file` is None unless it was asked for.
        measured: dict, the content of parity.json: of the "model" itself, of "float32" and perhaps "int8" the score where labels are
            known, the latency in milliseconds by batch size, the bytes, the largest difference of a logit (`drift`), and the share of
            equal answers (`agreement`).
    """

    folder: Path
    file: Path
    int8_file: Path | None
    measured: dict[str, Any]

    def _title(self) -> str:
        return f"Exported({self.file}{f', {self.int8_file.name}' if self.int8_file else ''})"

    def _blocks(self) -> list[dict[str, Any]]:
        rows = [
            (name, row.get("bytes"), row.get("drift"), row.get("agreement"), row["milliseconds"]["1"], row["score"])
            for name in ("model", parity.FLOAT32, parity.INT8)
            if (row := self.measured.get(name))
        ]
        kinds = {"size": "bytes", "largest difference": "plain", "same answers": "share", "ms a text": "plain"}
        return [table({"": "text", **kinds, self.measured["score"] or "score": "score"}, rows)]


@with_options(EXPORT)
def export(
    model: Any, folder: str | os.PathLike, texts: Any = None, *, tokenizer: Any = None, settings: Settings
) -> Exported:
    """Writes a fine-tuned model, its tokenizer, labels and a README for another runtime.

    The written file is run in that runtime on real texts, and compared with the model. Beyond the
    limits it is refused, and nothing is left.

    Args:
        model: folder or hub name of a fine-tuned model, or one in memory.
        folder: folder to write; it must be new, empty, or with `overwrite` an earlier export.
        texts: a source of real texts to judge by, as for `bert_tf.read_examples`; where they are
            labelled, the score is compared too. None = the validation texts of the run whose
            folder the model is in.
        tokenizer: of a model in memory; None = the one in the folder that it was loaded from.
        {options}
    Returns: `Exported`.
    Raises: `bert_tf.exporting.export.RefusedError`, a ValueError, if the file says something else than
        the model; ImportError if a package is missing; ValueError for a model or texts that cannot
        be exported or judged by; FileExistsError for a folder that holds something else.
    """
    source = gates.check(model, folder, settings, texts)
    name = (
        locate.short_names([model])[0] if isinstance(model, (str, os.PathLike)) else model.name_or_path or "the model"
    )
    classifier, tokenizer = load_classifier(model, tokenizer)
    network, task = Network(classifier), task_of_model(classifier)
    max_length = resolve_max_length(
        settings.data.max_length, classifier.config, "the model", tokenizer.model_max_length
    )
    examples = _read(source, settings, task, classifier.label_names)
    check_kind(classifier.config, examples.pairs)
    drawn, others = _drawn(examples, settings.export.sample)
    tokens = [_tokens(each, network, tokenizer, max_length) for each in (drawn, others)]
    thresholds = getattr(classifier.config, THRESHOLDS, None)
    judged = parity.Judged(tokens[0], drawn.labels, task, classifier.label_names, thresholds, examples.source)
    folder = Path(folder).expanduser()
    with _moved_when_whole(folder) as scratch, terminal.Bar("Exporting", None):
        bundle.write_config(scratch, network, tokenizer, max_length)
        runners, sizes = _write(scratch, network, settings, tokens[1])
        found = {"format": settings.export.to, **parity.measure(network, runners, sizes, judged)}
        _judge(found, settings, task, bool(settings.output.verbose))
        bundle.write_readme(scratch, str(name), settings.export.to, network, task, found)
    chosen = FORMATS[settings.export.to]
    if settings.output.verbose:
        terminal.say(f"In {folder}/:\n  " + ", ".join(sorted(each.name for each in folder.iterdir())))
    return Exported(folder, folder / chosen.file, folder / chosen.int8_file if settings.export.int8 else None, found)


def _read(source: Any, settings: Settings, task: Task, label_names: tuple[str, ...]) -> Examples:
    """Reads the texts, with labels where they have those of the model; ValueError if there are none."""
    data = replace(settings.data, task=task.name)
    try:
        examples = read(source, data).relabel(label_names, "The model")
    except ValueError as error:
        if data.label_column is not None:
            raise
        examples = read(source, data, labelled=False)
        log.info("The texts are taken as unlabelled: %s", error)
    if not len(examples):
        raise ValueError(f"{examples.source}: has no texts to judge the export by.")
    return examples


def _drawn(examples: Examples, count: int) -> tuple[Examples, Examples]:
    """Returns the texts to judge by and as many others to calibrate by; where there are too few, the same."""
    order = np.random.default_rng(0).permutation(len(examples))
    drawn, others = order[:count], order[count : 2 * count]
    return examples.take(drawn), examples.take(others if len(others) >= min(count, parity.BATCH) else drawn)


def _tokens(examples: Examples, network: Network, tokenizer: Any, max_length: int) -> Tokens:
    tokens = tokenize(examples.texts, tokenizer, max_length, prefix_of(network.model.config))
    return tokens.fitting(network.model.encoder)


def _write(
    scratch: Path, network: Network, settings: Settings, calibration: Tokens
) -> tuple[dict[str, Runner], dict[str, int]]:
    """Writes the files; returns what runs each, read from disk, and its bytes."""
    chosen, convert = FORMATS[settings.export.to], converter(settings.export.to)
    files = {parity.FLOAT32: scratch / chosen.file}
    files[parity.FLOAT32].parent.mkdir(parents=True, exist_ok=True)
    convert.write(network, files[parity.FLOAT32])
    if settings.export.int8:
        files[parity.INT8] = scratch / chosen.int8_file
        convert.quantize(network, files[parity.FLOAT32], files[parity.INT8], parity.batches(network, calibration))
    runners = {name: convert.load(file, network.names) for name, file in files.items()}
    return runners, {name: parity.size_of(file) for name, file in files.items()}


def _judge(found: Mapping[str, Any], settings: Settings, task: Task, verbose: bool) -> None:
    """Raises `RefusedError` for numbers beyond the limits."""
    limits, title = settings.export, FORMATS[settings.export.to].title
    table = parity.summary(found, title, task)
    if verbose:
        terminal.say(table)
    if said := parity.problems(found, parity.Limits(limits.max_drift, limits.min_agreement, limits.max_loss), task):
        options = "max_drift, min_agreement, max_loss (--max-drift, --min-agreement, --max-loss)"
        raise RefusedError(
            f"The export to {title} is refused, and nothing is written. {' '.join(said)} If that is good enough: {options}.",
            found,
        )


@contextmanager
def _moved_when_whole(folder: Path) -> Iterator[Path]:
    """Yields a scratch folder beside `folder` that takes its place when the block succeeds, and is deleted when it fails."""
    made = [parent for parent in folder.absolute().parents if not parent.exists()]
    folder.absolute().parent.mkdir(parents=True, exist_ok=True)
    scratch = folder.absolute().with_name(f".{folder.name}-{uuid.uuid4().hex}")
    scratch.mkdir()
    try:
        yield scratch
        if folder.exists():
            earlier = scratch.with_name(f"{scratch.name}-earlier")
            os.replace(folder, earlier)
            os.replace(scratch, folder)
            shutil.rmtree(earlier)
        else:
            os.replace(scratch, folder)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        for parent in made:
            parent.rmdir()
        raise
