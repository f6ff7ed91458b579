"""Shared by the benchmarks: options, the measuring of several sides in turn, the machine, and the JSON that is printed.

The benchmarks import nothing heavy: every measurement runs in its own process, ours too (`peers.run`).
"""

import argparse
import datetime
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import peers

from bert_tf.files import write_json

BFLOAT16 = ("avx512_bf16", "amx_bf16")  # processor flags; without one of them bfloat16 is emulated


def names(allowed: Iterable[str]) -> Callable[[str], list[str]]:
    """Returns a type for argparse: some of `allowed`, separated by commas, or "none"."""

    def parse(value: str) -> list[str]:
        chosen = [] if value == "none" else value.split(",")
        if unknown := sorted(set(chosen) - set(allowed)):
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}. Choose from: {', '.join(allowed)}")
        return chosen

    return parse


def count(value: str) -> int:
    """A type for argparse: an integer of at least 1."""
    if value.isdigit() and int(value):
        return int(value)
    raise argparse.ArgumentTypeError(f"must be an integer of at least 1. Received: {value!r}")


def counts(value: str) -> list[int]:
    """A type for argparse: integers of at least 1, separated by commas."""
    return [count(part) for part in value.split(",")]


def texts_file(value: str) -> str:
    """A type for argparse: an existing file."""
    if Path(value).is_file():
        return os.path.abspath(value)
    raise argparse.ArgumentTypeError(
        f"{value}: no such file. Expected a .csv, .tsv, .jsonl or .parquet of labelled texts."
    )


# What `add_argument` takes for each option that several benchmarks have.
OPTIONS: dict[str, dict[str, Any]] = {
    "work": {"type": Path, "metavar": "DIR", "help": "folder for models and texts, which is kept; default: a temporary one"},
    "data": {"type": texts_file, "required": True, "metavar": "FILE", "help": "labelled texts"},
    "train": {"type": texts_file, "required": True, "metavar": "FILE", "help": "labelled texts for training"},
    "validation": {"type": texts_file, "required": True, "metavar": "FILE", "help": "labelled texts for validation"},
    "texts": {"type": count, "metavar": "N", "help": "number of texts"},
    "train_texts": {"type": count, "default": 2000, "metavar": "N", "help": "number of training texts"},
    "validation_texts": {"type": count, "default": 500, "metavar": "N", "help": "number of validation texts"},
    "slow_texts": {"type": count, "metavar": "N", "help": "number of texts for a side that emulates bfloat16"},
    "size": {"choices": ("base", "minilm"), "default": "base", "help": "base = DistilBERT-base with random weights"},
    "epochs": {"type": count, "default": 20, "metavar": "N", "help": "number of epochs"},
    "batch_size": {"type": count, "default": 32, "metavar": "N", "help": "texts per batch"},
    "max_length": {"type": count, "default": 256, "metavar": "N", "help": "tokens per text; longer texts are truncated"},
    "repeats": {"type": count, "default": 3, "metavar": "N", "help": "runs of each side"},
    "peers": {"metavar": "NAMES", "help": "libraries to compare with, separated by commas, or none"},
    "sides": {"type": lambda value: value.split(","), "metavar": "NAMES", "help": "run only these sides, named as in the JSON"},
    "venvs": {"type": Path, "default": peers.VENVS, "metavar": "DIR", "help": "folder for the peers' virtual environments, "
              "which are created at first use"},
}  # fmt: skip
# Those of a benchmark whose sides all run over the same tokens.
OF_SIDES = ("data", "size", "batch_size", "max_length", "repeats", "sides", "venvs")


def parser(description: str | None, example: str, options: Iterable[str], **defaults: Any) -> argparse.ArgumentParser:
    """Returns a parser with --work and some of `OPTIONS`.

    Args:
        options: names of those with their usual defaults.
        defaults: name -> default of further ones, or of these; none of them is required. `peers` are the names to choose from,
            all of them by default.
    """
    parser = argparse.ArgumentParser(
        description=description, epilog=f"Example: {example}", formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    for name in dict.fromkeys(("work", *options, *defaults)):
        settings = {**OPTIONS[name]}
        if name == "peers":
            settings |= {"type": names(defaults[name]), "default": ",".join(defaults[name])}
        elif name in defaults:
            settings |= {"default": defaults[name], "required": False}
        parser.add_argument(f"--{name.replace('_', '-')}", **settings)
    return parser


@contextmanager
def work_folder(asked: Path | None):
    """Gives a folder to work in: the one that was asked for, or a temporary one that is removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="bert_tf-benchmark-")) if asked is None else asked.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield folder
    finally:
        if asked is None:
            shutil.rmtree(folder, ignore_errors=True)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Results:
    """The rows of a benchmark of many runs: written to a file after each, and resumed from it.

    Args:
        output: of the JSON; None = the rows are only printed at the end.
    """

    def __init__(self, output: Path | None):
        self.output, self.found = output, {"machine": machine(), "runs": []}
        if output and output.is_file():
            self.found = json.loads(output.read_text(encoding="utf-8"))

    def has(self, key: dict[str, Any]) -> bool:
        """Returns whether there is a row with these values."""
        return any(all(row[name] == value for name, value in key.items()) for row in self.found["runs"])

    def add(self, row: dict[str, Any]) -> None:
        self.found["runs"].append(row)
        if self.output:
            write_json(self.output, self.found)


class Sides:
    """The sides of a benchmark over tokens, in the order in which they are added.

    On a processor without bfloat16 it is emulated, which takes minutes: such a side runs once, on few texts.
    """

    def __init__(self, options: argparse.Namespace, work: Path):
        say("Preparing the model and the tokens")
        self.options, self.work, self.sides = options, work, {}
        self.model = peers.ours("model", size=options.size, work=str(work))
        sizes = {name: getattr(options, name) for name in ("texts", "slow_texts", "max_length")}
        self.counts = peers.ours("tokens", data=options.data, model=self.model["model"], work=str(work), **sizes)

    def add(self, name: str, peer: str, job: str, precision: str, **settings) -> None:
        slow = precision.endswith("bfloat16") and not native_bfloat16()
        self.sides[name] = (
            peer,
            {
                "job": job, "precision": precision, "slow": slow, "model": self.model["model"],
                "tokens": str(self.work / ("few.npz" if slow else "all.npz")),
                "batch_size": self.options.batch_size, "max_length": self.options.max_length, **settings,
            },
        )  # fmt: skip

    def run(self, unit: str) -> dict:
        """Runs the sides in turn; returns for each the median of `unit` (texts or tokens) per second and the single runs."""
        chosen = self.options.sides or list(self.sides)
        if unknown := sorted(set(chosen) - set(self.sides)):
            raise peers.PeerError(f"--sides: unknown: {', '.join(unknown)}. Choose from: {', '.join(self.sides)}")
        runs = in_turn({name: self.sides[name] for name in chosen}, self.options.venvs, self.options.repeats)
        versions = {name: side_runs[0].pop("versions", None) for name, side_runs in runs.items()}
        self.versions = {
            "ours": self.model["versions"],
            **{name: of_side for name, of_side in versions.items() if of_side != self.model["versions"]},
        }
        return {
            name: {**rate(side_runs, unit), "emulated": self.sides[name][1]["slow"]} for name, side_runs in runs.items()
        }

    def sizes(self) -> dict:
        sizes = {name: getattr(self.options, name) for name in ("size", "batch_size", "max_length", "repeats")}
        return {**sizes, **self.counts["all"]}


def in_turn(sides: dict[str, tuple[str, dict]], venvs: Path, repeats: int) -> dict[str, list[dict]]:
    """Runs every side once, then every side again, so that a machine that slows down slows down all sides.

    Args:
        sides: name -> `(peer, settings)`; a side whose settings say `slow` runs once only.
    Returns: name -> the results of its runs; a side that fails has a single result, `{"error": ...}`.
    """
    pythons = peers.make_all({peer for peer, _ in sides.values()}, venvs)
    results: dict[str, list[dict]] = {name: [] for name in sides}
    for repeat in range(repeats):
        for name, (peer, settings) in sides.items():
            if repeat and (settings["slow"] or "error" in results[name][0]):
                continue
            say(f"{name}, run {repeat + 1} of {1 if settings['slow'] else repeats}")
            try:
                results[name].append(peers.run(peer, pythons[peer], settings))
            except peers.PeerError as error:
                say(str(error))
                results[name] = [{"error": str(error).splitlines()[0]}]
    return results


def rate(runs: list[dict], unit: str) -> dict:
    """Summarises the runs of a side: `unit` (texts or tokens) per second of each run, and their median."""
    if "error" in runs[0]:
        return {f"{unit}_per_s": None, "error": runs[0]["error"]}
    rates = [run[unit] / run["seconds"] for run in runs if run["seconds"] > 0]
    shared = {name: runs[0][name] for name in ("texts", "tokens", "weights") if name in runs[0]}
    setup = {"setup_s": round(statistics.median(run["setup_s"] for run in runs), 2)} if "setup_s" in runs[0] else {}
    median = round(statistics.median(rates), 2) if rates else None
    return {f"{unit}_per_s": median, "runs": [round(value, 2) for value in rates], **shared, **setup}


def ratio(ours: float | None, theirs: float | None) -> float | None:
    """Returns ours / theirs, None if one of them is missing."""
    return round(ours / theirs, 3) if ours and theirs else None


def machine() -> dict:
    """Describes what matters for speed on this machine, and nothing that identifies it."""
    flags, model = set(), platform.processor() or platform.machine()
    if (cpuinfo := Path("/proc/cpuinfo")).is_file():
        lines = dict(line.split(":", 1) for line in cpuinfo.read_text().splitlines() if ":" in line)
        fields = {name.strip(): value.strip() for name, value in lines.items()}
        model, flags = fields.get("model name", model), set(fields.get("flags", "").split())
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
    return {
        "cpu": model,
        "cores": cores,
        "memory_gib": round(memory / 2**30, 1),
        "flags": [flag for flag in ("avx2", *BFLOAT16) if flag in flags],
    }


def native_bfloat16() -> bool:
    """Returns whether the processor computes in bfloat16 natively."""
    return any(flag in machine()["flags"] for flag in BFLOAT16)


def report(benchmark: str, results: dict, versions: dict) -> int:
    """Prints the results of a benchmark as one JSON object; returns the exit code, 1 if a side failed."""
    date = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    printed = {"benchmark": benchmark, **results, "versions": versions, "machine": machine(), "date": date}
    print(json.dumps(printed, indent=2))
    return int('"error":' in json.dumps(results))


def main(benchmark: Callable[[], int]) -> None:
    """Runs a benchmark; an error that stops it is printed as one line."""
    try:
        sys.exit(benchmark())
    except peers.PeerError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("\nStopped.")
