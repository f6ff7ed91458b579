"""A frozen DistilBERT-base trained for many epochs on some thousand reviews, from start to metrics.

Ours is the command `bert-tf finetune`, run twice: with an empty cache (cold), then with another learning rate (warm). A
peer runs its base in every epoch, so one epoch is timed and extrapolated: total = set-up + epochs x epoch. Time spent once
on tracing or compiling counts as set-up. Prints one JSON object; `ratios` are the peer's time over ours.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import common
import peers

PEERS = ("kerashub", "transformers4", "pytorch")


def main() -> int:
    options = _parser().parse_args()
    pythons = peers.make_all(options.peers, options.venvs)
    with common.work_folder(options.work) as work:
        common.say("Preparing the model and the texts")
        model = peers.ours("model", size=options.size, work=str(work))
        counts = peers.ours(
            "texts", train=options.train, validation=options.validation, train_texts=options.train_texts,
            validation_texts=options.validation_texts, share=options.peer_share, work=str(work),
        )  # fmt: skip
        ours = _ours(options, model["model"], work)
        peer_results = {}
        for name in options.peers:
            common.say(f"{name}: one epoch over {counts['train_share']} texts")
            try:
                peer_results[name] = _peer(name, pythons[name], options, model["model"], counts, work)
            except peers.PeerError as error:
                common.say(str(error))
                peer_results[name] = {"error": str(error).splitlines()[0]}
    versions = {
        "ours": model["versions"],
        **{name: result.pop("versions", None) for name, result in peer_results.items()},
    }
    sizes = {
        "size": options.size, "train_texts": counts["train"], "validation_texts": counts["validation"],
        "max_length": options.max_length, "batch_size": options.batch_size, "epochs": options.epochs,
    }  # fmt: skip
    totals = {name: result.get("total_s") for name, result in peer_results.items()}
    results = {
        "ratios": {name: common.ratio(total, ours["cold_s"]) for name, total in totals.items()},
        "ratios_warm": {name: common.ratio(total, ours["warm_s"]) for name, total in totals.items()},
        "ours": ours,
        "peers": peer_results,
        "sizes": sizes,
    }
    return common.report("frozen_finetune", results, versions)


def _ours(options, model: str, work: Path) -> dict:
    """Runs the command cold and warm; the time is that of the whole process."""
    with tempfile.TemporaryDirectory(dir=work) as folder:
        measured = {}
        for name, learning_rate in (("cold", options.learning_rate), ("warm", 2 * options.learning_rate)):
            common.say(f"bert-tf finetune, {name}: {options.epochs} epochs over {options.train_texts} texts")
            output = Path(folder) / name
            command = [
                sys.executable, "-m", "bert_tf.cli", "finetune", "--train", work / "train.csv", "--validation",
                work / "validation.csv", "--checkpoint", model, "--epochs", options.epochs, "--batch-size",
                options.batch_size, "--max-length", options.max_length, "--learning-rate", learning_rate,
                "--output-dir", output, "--cache-dir", Path(folder) / "cache", "--no-report",
                *options.ours,
            ]  # fmt: skip
            environment = {**os.environ, **peers.QUIET, "PYTHONPATH": str(peers.ROOT)}
            started = time.perf_counter()
            done = subprocess.run([*map(str, command)], capture_output=True, text=True, env=environment)
            measured[f"{name}_s"] = round(time.perf_counter() - started, 2)
            if done.returncode:
                raise peers.PeerError(f"bert-tf finetune failed.\n{done.stderr.strip()[-2000:]}")
            metrics = json.loads((output / "metrics.json").read_text())
            measured["val_accuracy" if name == "cold" else "val_accuracy_warm"] = round(metrics["val_accuracy"], 4)
        return {**measured, "options": options.ours, "precision": metrics["settings"].get("precision")}


def _peer(name: str, python: str, options, model: str, counts: dict, work: Path) -> dict:
    """Times one epoch of a peer and extrapolates to all of them."""
    settings = {
        "job": "finetune", "model": model, "train": str(work / "train_share.csv"),
        "validation": str(work / "validation_share.csv"), "batch_size": options.batch_size,
        "max_length": options.max_length, "learning_rate": options.learning_rate,
    }  # fmt: skip
    run = peers.run(name, python, settings)
    parts = (("train", run["train_s"]), ("validation", run["validation_s"]))
    epoch = sum(seconds * counts[part] / counts[f"{part}_share"] for part, seconds in parts)
    setup = run["wall_s"] - sum(seconds for _, seconds in parts)
    timed = {
        "total_s": setup + options.epochs * epoch, "setup_s": setup, "epoch_s": epoch, "traced_s": run["once_s"],
        "val_accuracy_first_epoch": run["val_accuracy"],
    }  # fmt: skip
    return {
        **{key: round(value, 3) for key, value in timed.items()},
        "peer_epochs_timed": 1,
        "extrapolated": True,
        "share": options.peer_share,
        "weights": run.get("weights", "the same"),
        "versions": run["versions"],
    }


def _share(value: str) -> float:
    if not 0 < float(value) <= 1:
        raise ValueError
    return float(value)


def _parser():
    example = "python benchmarks/frozen_finetune.py --train train.csv --validation test.csv"
    shared = [
        "train",
        "validation",
        "train_texts",
        "validation_texts",
        "size",
        "epochs",
        "batch_size",
        "max_length",
        "venvs",
    ]
    parser = common.parser(__doc__, example, shared, peers=PEERS)
    parser.add_argument("--learning-rate", type=float, default=1e-3, metavar="R", help="of Adam")
    parser.add_argument("--peer-share", type=_share, default=1.0, metavar="S", help="share of the texts that a peer's epoch is "
                        "timed on, with the same mix of lengths; its time is scaled up")  # fmt: skip
    parser.add_argument("--ours", type=str.split, default=[], metavar="OPTIONS", help="more options for bert-tf finetune, "
                        "for example --ours='--precision float32'")  # fmt: skip
    return parser


if __name__ == "__main__":
    common.main(main)
