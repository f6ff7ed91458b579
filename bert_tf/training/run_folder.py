"""The folder of a run: what may be written where, and what a finished run leaves."""

import platform
import shutil
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras

from bert_tf import files
from bert_tf.checkpoints import folder
from bert_tf.evaluation.history import best_epoch, write_history
from bert_tf.files import read_json
from bert_tf.reporting import figures, sections

RUN = "run.json"  # a folder that holds one is a run; written first


OUTPUTS = ("report.html", "model", "history.csv", "metrics.json", "curves.png", "tensorboard", "state", RUN)


RESULTS = ("metrics.json", "best.json", "compare.json")  # written last: the run is finished


SEARCH_OUTPUTS = ("report.html", "model", "trials.csv", "best.json", "search.png", "tensorboard", "trials", RUN)


COMPARE_OUTPUTS = (
    *(f"{kind}.{ending}" for kind in ("ladder", "race", "curve") for ending in ("csv", "png")),
    "epochs.csv",
    "report.html",
    "compare.json",
    "entrants",
    RUN,
)


def check_folder(output_dir: Path, overwrite: bool, resume: bool, sources: Sequence[Any]) -> None:
    """Raises ValueError or FileExistsError if a run may not be written to a folder, or not in the way asked for.

    Args:
        sources: what the run reads; nothing of it may lie in a folder that is to be emptied.
    """
    if overwrite and resume:
        raise ValueError("`overwrite` and `resume` exclude each other.")
    if output_dir.exists() and not output_dir.is_dir():
        raise FileExistsError(f"{output_dir}: a file of that name is in the way. Choose another output_dir.")
    named = [source if isinstance(source, (str, Path)) else getattr(source, "source", "") for source in sources]
    for source in filter(None, named) if overwrite else ():
        if output_dir.resolve() in Path(source).resolve().parents:
            raise ValueError(f"{source}: lies in the run that overwrite would remove. Choose another output_dir.")
    is_run = (output_dir / RUN).is_file()
    if is_run and not (overwrite or resume):
        raise FileExistsError(
            f"{output_dir}: holds another run. Start anew with overwrite=True (--overwrite), go on with it with "
            "resume=True (--resume), or choose another output_dir."
        )
    if not is_run and output_dir.is_dir() and any(output_dir.iterdir()):
        raise FileExistsError(f"{output_dir}: holds files that are no run of bert_tf. Choose another output_dir.")
    if resume and any((output_dir / name).is_file() for name in RESULTS):
        raise FileExistsError(
            f"{output_dir}: this run is finished. Choose another output_dir, or overwrite=True (--overwrite)."
        )


def check_resumable(output_dir: Path, settings: dict, resume: bool) -> None:
    """Raises ValueError if the folder holds a run with other settings than those it is to go on with."""
    if resume and (output_dir / RUN).is_file():
        before = read_json(output_dir / RUN)
        same_by_content = ("train", "validation", "checkpoint")  # the fingerprints say what they hold
        if changed := [
            f"{name} ({before.get(name)!r} then, {value!r} now)"
            for name, value in settings.items()
            if before.get(name) != value and name not in same_by_content
        ]:
            raise ValueError(
                f"{output_dir}: cannot be resumed with other settings: {', '.join(changed)}. Give the same ones, or "
                "overwrite=True (--overwrite)."
            )


def start(output_dir: Path, settings: dict, overwrite: bool, resume: bool) -> None:
    """Makes the folder a run, empty but for what is to be resumed."""
    if resume and (output_dir / RUN).is_file():
        return
    if overwrite:
        for name in {*OUTPUTS, *SEARCH_OUTPUTS, *COMPARE_OUTPUTS}:
            path = output_dir / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    output_dir.mkdir(parents=True, exist_ok=True)
    files.write_json(output_dir / RUN, settings)


def finish(output_dir: Path, model, tokenizer, history, metrics) -> None:
    """Writes the results of a run; metrics.json, which says that it is finished, comes last."""
    save_model(output_dir, model, tokenizer)
    write_history(output_dir / "history.csv", history)
    title = f"{Path(metrics['settings']['checkpoint']).name}, {metrics['trainable_parameters']:,} of {metrics['parameters']:,} parameters trained"
    figures.draw_png(output_dir / "curves.png", sections.curves(history, best_epoch(history)), title)
    files.write_json(output_dir / "metrics.json", metrics)


def versions(*packages: str) -> dict[str, str]:
    """Returns the versions of packages, of Python and of what Keras computes with."""
    backend = keras.backend.backend()
    found = {"python": platform.python_version(), **{name: version(name) for name in packages}}
    return found | {backend: getattr(sys.modules.get(backend), "__version__", "?")}


def save_model(output_dir: Path, model, tokenizer) -> None:
    """Writes the model of a run and its tokenizer, in place of what was there when all is written."""
    with folder.replacing_files(output_dir / "model") as scratch:
        model.save_pretrained(scratch)
        tokenizer.save_pretrained(scratch)
