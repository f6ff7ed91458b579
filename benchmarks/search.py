"""What a search costs: many trials against one fine-tuning run of the same epochs, both with an empty cache of features.

Whole commands, from the start of Python to the saved model, in turn. Then the search's best validation loss beside what
finetune reaches with each of some learning rates. Prints one JSON object.
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
            data += [
                f"--{name}",
                _some(getattr(options, name), getattr(options, f"{name}_texts"), work / f"{name}.csv"),
            ]
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
            common.say(f"finetune at a learning rate of {rate}")
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


def _some(file: str, count: int, into: Path) -> str:
    """Writes the first `count` texts after a seeded shuffle; returns the file's name."""
    examples = read_examples(file)
    rows = [(text, examples.label_names[label]) for text, label in zip(examples.texts, examples.labels, strict=True)]
    random.Random(0).shuffle(rows)
    with into.open("w", newline="", encoding="utf-8") as opened:
        csv.writer(opened).writerows([("text", "label"), *rows[:count]])
    return str(into)


def _run(command: list[str], work: Path, name: str) -> float:
    """Runs a command of bert-tf; returns its seconds."""
    folders = ["--output-dir", str(work / name), "--overwrite", "--cache-dir", str(work / "cache")]
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "bert_tf.cli", *command, *folders], capture_output=True, text=True)
    if done.returncode:
        raise peers.PeerError(f"bert-tf {command[0]} failed: {done.stderr.strip().splitlines()[-1]}")
    return time.monotonic() - started


def _megabytes(folder: Path) -> float:
    return round(sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 10**6, 1)


def _parser():
    parser = common.parser(__doc__, "python benchmarks/search.py --train train.csv --validation test.csv")
    for name, count in (("train", 2000), ("validation", 500)):
        parser.add_argument(f"--{name}", type=common.texts_file, required=True, metavar="FILE", help="labelled texts")
        parser.add_argument(f"--{name}-texts", type=common.count, default=count, metavar="N", help="how many of them")
    parser.add_argument("--checkpoint", default="minilm", metavar="NAME", help="what to start from")
    parser.add_argument("--epochs", type=common.count, default=20, metavar="N", help="the most epochs")
    parser.add_argument("--max-trials", type=common.count, default=30, metavar="N", help="trials of the search")
    parser.add_argument("--learning-rates", type=lambda value: value.split(","), default="1e-4,3e-4,1e-3,3e-3",
                        metavar="R,R,...", help="of finetune, to compare the loss with")  # fmt: skip
    parser.add_argument("--repeats", type=common.count, default=3, metavar="N", help="runs of each side")
    return parser


if __name__ == "__main__":
    common.main(main)
