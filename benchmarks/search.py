"""The cost of a search: many trials against one fine-tuning run of as many epochs, both with an empty cache of features.

Whole commands run in turn, from the start of Python to the saved model. Then the best validation loss of the search is
compared with that of finetune at several learning rates. Prints one JSON object.
"""

import csv
import json
import random
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import common
import peers

from bert_tf import read_examples


def main() -> int:
    options = _parser().parse_args()
    with common.work_folder(options.work) as work:
        data = []
        for name in ("train", "validation"):
            texts = _sample(getattr(options, name), getattr(options, f"{name}_texts"), work / f"{name}.csv")
            data += [f"--{name}", texts]
        job = [*data, "--checkpoint", options.checkpoint, "--epochs", str(options.epochs), "--no-report"]
        sides = {"finetune": ["finetune", *job], "search": ["search", *job, "--max-trials", str(options.max_trials)]}
        seconds: dict[str, list[float]] = {name: [] for name in sides}
        for repeat in range(options.repeats):
            for name, command in sides.items():
                common.say(f"{name}, run {repeat + 1} of {options.repeats}")
                shutil.rmtree(work / "cache", ignore_errors=True)
                seconds[name].append(_run(command, work, name))
        best = json.loads((work / "search/best.json").read_text())
        losses = {}
        for rate in options.learning_rates:
            common.say(f"finetune with learning rate {rate}")
            _run(["finetune", *job, "--learning-rate", rate], work, "rate")
            losses[rate] = json.loads((work / "rate/metrics.json").read_text())["val_loss"]
        medians = {name: round(statistics.median(times), 1) for name, times in seconds.items()}
        results = {
            "seconds": medians,
            "runs": {name: [round(value, 1) for value in times] for name, times in seconds.items()},
            "ratio": round(medians["search"] / medians["finetune"], 2),
            "folder_mb": {"model": _megabytes(work / "search/model"),
                          "all_else": round(_megabytes(work / "search") - _megabytes(work / "search/model"), 1)},
            "val_loss": {"search": best["in_search"]["val_loss"], "finetune": losses},
            "val_accuracy": best["val_accuracy"],
            "sizes": {name: getattr(options, name) for name in ("train_texts", "validation_texts", "epochs", "max_trials")},
        }  # fmt: skip
    return common.report("search", results, {"ours": best["versions"]})


def _sample(file: str, count: int, into: Path) -> str:
    """Writes the first `count` texts after a seeded shuffle; returns the name of the file."""
    examples = read_examples(file)
    rows = [(text, examples.label_names[label]) for text, label in zip(examples.texts, examples.labels, strict=True)]
    random.Random(0).shuffle(rows)
    with into.open("w", newline="", encoding="utf-8") as opened:
        csv.writer(opened).writerows([("text", "label"), *rows[:count]])
    return str(into)


def _run(command: list[str], work: Path, name: str) -> float:
    """Runs a command of bert-tf; returns the seconds it took."""
    folders = ["--output-dir", str(work / name), "--overwrite", "--cache-dir", str(work / "cache")]
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "bert_tf.cli", *command, *folders], capture_output=True, text=True)
    if done.returncode:
        raise peers.PeerError(f"bert-tf {command[0]} failed: {done.stderr.strip().splitlines()[-1]}")
    return time.monotonic() - started


def _megabytes(folder: Path) -> float:
    return round(sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 10**6, 1)


def _parser():
    example = "python benchmarks/search.py --train train.csv --validation test.csv"
    shared = ["train", "validation", "train_texts", "validation_texts", "epochs", "repeats"]
    parser = common.parser(__doc__, example, shared)
    parser.add_argument("--checkpoint", default="minilm", metavar="NAME", help="checkpoint to start from")
    parser.add_argument("--max-trials", type=common.count, default=30, metavar="N", help="trials of the search")
    parser.add_argument("--learning-rates", type=lambda value: value.split(","), default="1e-4,3e-4,1e-3,3e-3",
                        metavar="R,R,...", help="of finetune, to compare the loss with")  # fmt: skip
    return parser


if __name__ == "__main__":
    common.main(main)
