"""What Ctrl-C leaves of a command, and how to go on: a line to end with."""

import argparse
import sys
from pathlib import Path

from bert_tf.settings import CURVE, DISTILL, FINETUNE, LADDER, RACE, SEARCH

RESULTS = ("metrics.json", "best.json", "compare.json")  # written when all is done but the report
TICK = 0.02  # seconds: files are stamped by a clock that ticks every few milliseconds, behind `time.time()`
AGAIN = "Start it again with the same command."


def what_is_kept(options: argparse.Namespace, began: float) -> str:
    """Says what an interrupted command leaves and how to go on.

    Args:
        options: as they were parsed.
        began: when the command began, as `time.time()`.
    """
    if options.command == "predict":
        return _of_predict(options, began)
    if options.command not in ("finetune", "distill", "search", "compare"):
        return f"Nothing is kept. {AGAIN}"
    folder = Path(getattr(options, "output_dir", None) or _usual_folder(options))
    resumes = getattr(options, "resume", False)
    if any(_written_since(folder / name, began) for name in RESULTS):
        return f"{folder} is complete, except for its report."
    run_folder = sys.modules.get("bert_tf.training.run_folder")  # where it is not, nothing has begun
    if run_folder and (resumes or _written_since(folder / run_folder.RUN, began)):
        return f"{folder} keeps what was finished. {_go_on(options)}"
    cached = "; features computed so far are in the cache" if getattr(options, "cache", True) else ""
    return f"Nothing new is in {folder} yet{cached}. {AGAIN}"


def _go_on(options: argparse.Namespace) -> str:
    instead = " in place of --overwrite" if getattr(options, "overwrite", False) else ""
    return f"Continue with the same command and --resume{instead}."


def _usual_folder(options: argparse.Namespace) -> str:
    commands = {"finetune": FINETUNE, "distill": DISTILL, "search": SEARCH}
    comparison = (
        LADDER if getattr(options, "ladder", False) else CURVE if getattr(options, "data_sizes", None) else RACE
    )
    command = commands.get(options.command, comparison)
    return next(option.default for option in command.options() if option.name == "output_dir")


def _of_predict(options: argparse.Namespace, began: float) -> str:
    from bert_tf.cli.predict import is_folder, written_in_blocks

    if not written_in_blocks(options.output):
        return f"Nothing is kept. {AGAIN}"
    if "://" in options.output:  # to look there may take long
        return f"What was predicted, if anything, is in {options.output}. {_go_on(options)}"
    folder, module, first, parts = Path(f"{options.output}.unfinished"), "inference.bulk", "RUN", "[0-9]*-*.parquet"
    if is_folder(options.output):
        folder, module, first, parts = Path(options.output), "data.parts", "PLAN", "part-*.parquet"
    loaded = sys.modules.get(f"bert_tf.{module}")  # where it is not, nothing has begun
    mark = folder / getattr(loaded, first, "")
    # What is there without having been continued is of an earlier run.
    if not (_written_since(mark, began) or (mark.is_file() and getattr(options, "resume", False))):
        return f"Nothing was predicted yet. {AGAIN}"
    kept = "keeps what was predicted" if any(folder.glob(parts)) else "holds no predictions yet"
    return f"{folder} {kept}. {_go_on(options)}"


def _written_since(file: Path, time: float) -> bool:
    return file.is_file() and file.stat().st_mtime >= time - TICK
