"""How good the default is: `bert-tf finetune` as it comes, its first stage alone, and TF-IDF, on texts that nothing was chosen by.

    python benchmarks/accuracy.py --set app=train.csv,test.csv,2000 --set demo=demo,demo:validation --data-sizes 100,300

A set is NAME=TRAIN,TEST[,TEXTS]: that many training texts are drawn, the same for all seeds and in the same shares of the classes,
and --validation-texts others; without TEXTS all but those. At most --test-texts of the test file count, the same in every run.

Each run is a process of its own. The test texts are classified once, by the model that the validation texts chose. Prints JSON
and, with --output, writes it after every run; a run that is in that file already is not repeated.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import Results, counts

from bert_tf.data.readers import read_examples
from bert_tf.files import write_csv

SPLIT_SEED = 1234  # of the texts that are drawn; not one of the seeds of the runs
ARGUMENTS = {"default": [], "stage 1": ["--unfreeze", "0"], "blended": ["--unfreeze", "0", "--blend"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--set", action="append", required=True, metavar="NAME=TRAIN,TEST[,TEXTS]", dest="sets")
    parser.add_argument("--validation-texts", type=int, default=500, metavar="N")
    parser.add_argument("--test-texts", type=int, default=1000, metavar="N")
    parser.add_argument("--seeds", default="0,1,2", metavar="SEEDS")
    parser.add_argument("--runs", default="stage 1,default", help="some of: " + ", ".join(ARGUMENTS))
    parser.add_argument(
        "--data-sizes", type=counts, default=[], metavar="SIZES", help="also with so few texts, drawn per seed"
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="JSON that is written after every run and resumed from"
    )
    options = parser.parse_args()
    results = Results(options.output)
    with tempfile.TemporaryDirectory() as scratch:
        for seed in map(int, options.seeds.split(",")):
            for text in options.sets:
                for texts in [None, *options.data_sizes]:
                    for run in options.runs.split(","):
                        _add(results, text, texts, seed, run, options, Path(scratch))
    print(json.dumps(results.found, indent=2))


def _add(results: Results, text: str, texts: int | None, seed: int, run: str, options, scratch: Path) -> None:
    """Runs one and adds its row, unless it is there."""
    name = text.partition("=")[0]
    row: dict[str, Any] = {"set": name, "texts": texts, "seed": seed, "run": run}
    if results.has(row):
        return
    sources = _sources(text, texts, seed, options, scratch)
    folder, started = scratch / "run", time.monotonic()
    command = [sys.executable, "-m", "bert_tf.cli", "finetune", *sources, "--no-report"]
    command += ["--seed", str(seed), "--output-dir", str(folder), *ARGUMENTS[run]]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    shutil.rmtree(folder)
    test = metrics["test"]
    row |= {
        key: metrics[key]
        for key in ("val_accuracy", "val_loss", "best_epoch", "temperature", "stages")
        if key in metrics
    }
    row["train_texts"] = sum(metrics["train_examples"].values())
    row["wall_seconds"] = round(time.monotonic() - started, 1)
    row |= {
        key: test[part]["accuracy"]["value"] for key, part in (("test_accuracy", "scores"), ("baseline", "baseline"))
    }
    row |= {"test_log_loss": test["scores"]["log_loss"]["value"], "difference": test["comparison"]["difference"]}
    results.add(row)
    print(name, texts or "", seed, run, f"{row['test_accuracy']:.4f} (baseline {row['baseline']:.4f})", file=sys.stderr)


def _sources(text: str, texts: int | None, seed: int, options, scratch: Path) -> list[str]:
    """Returns the arguments that name the data of a run; the texts that are drawn are written to files."""
    name, _, files = text.partition("=")
    train, test, *counts = files.split(",")
    examples, test_texts = read_examples(train), read_examples(test)
    held = min(options.validation_texts, len(examples) // 5)
    drawn = examples.sample(int(counts[0]) + held if counts else len(examples), SPLIT_SEED)
    chosen, validation = drawn.split(held / len(drawn), SPLIT_SEED)
    if texts:
        chosen = chosen.sample(texts, seed)
    arguments = []
    parts = {"--train": chosen, "--validation": validation, "--test": test_texts.sample(options.test_texts, SPLIT_SEED)}
    for flag, part in parts.items():
        file = scratch / f"{name}{flag}.csv"
        rows = [{"text": t, "label": part.label_names[i]} for t, i in zip(part.texts, part.labels, strict=True)]
        write_csv(file, ["text", "label"], rows)
        arguments += [flag, str(file)]
    return arguments


if __name__ == "__main__":
    main()
