"""What the benchmarks share: options, sides measured in turn, the machine, and the JSON that comes out.

The scripts themselves import nothing heavy: every measurement runs in a process of its own, ours as well (`peers.run`).
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

import peers

BFLOAT16 = ("avx512_bf16", "amx_bf16")  # processor flags; without one of them bfloat16 products are emulated


def parser(description: str | None, example: str) -> argparse.ArgumentParser:
    """Returns a parser with the options that every benchmark has."""
    made = argparse.ArgumentParser(
        description=description, epilog=f"Example: {example}", formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    made.add_argument("--work", type=Path, metavar="DIR", help="folder for models and texts, kept afterwards; if left "
                      "out a temporary one")  # fmt: skip
    return made


def add_venvs(made: argparse.ArgumentParser) -> None:
    made.add_argument("--venvs", type=Path, default=peers.VENVS, metavar="DIR", help="folder of the peers' virtual "
                      "environments, made there at first use")  # fmt: skip


def add_tokens(made: argparse.ArgumentParser, texts: int, slow_texts: int, peers: Iterable[str]) -> None:
    """Adds the options of a benchmark whose sides run over the same tokens."""
    made.add_argument("--data", type=texts_file, required=True, metavar="FILE", help="labelled texts")
    made.add_argument("--texts", type=count, default=texts, metavar="N", help="how many of them")
    made.add_argument("--slow-texts", type=count, default=slow_texts, metavar="N", help="how many for a side that emulates "
                      "bfloat16")  # fmt: skip
    made.add_argument(
        "--size", choices=("base", "minilm"), default="base", help="base = DistilBERT-base, random weights"
    )
    made.add_argument("--batch-size", type=count, default=32, metavar="N", help="texts in a batch")
    made.add_argument("--max-length", type=count, default=256, metavar="N", help="tokens; longer texts are cut")
    made.add_argument("--repeats", type=count, default=3, metavar="N", help="runs of each side")
    made.add_argument("--peers", type=names(peers), default=",".join(peers), metavar="NAMES", help="whom to compare with, "
                      "separated by commas, or none")  # fmt: skip
    made.add_argument("--sides", type=lambda value: value.split(","), metavar="NAMES", help="run only these sides, by the "
                      "names they have in the JSON")  # fmt: skip
    add_venvs(made)


def names(allowed: Iterable[str]) -> Callable[[str], list[str]]:
    """Returns a type for argparse: some of `allowed`, separated by commas; or "none"."""

    def parse(value: str) -> list[str]:
        chosen = [] if value == "none" else value.split(",")
        if unknown := sorted(set(chosen) - set(allowed)):
            raise argparse.ArgumentTypeError(f"no {', '.join(unknown)}; there are: {', '.join(allowed)}")
        return chosen

    return parse


def count(value: str) -> int:
    """A type for argparse: an integer from 1 on."""
    if value.isdigit() and int(value):
        return int(value)
    raise argparse.ArgumentTypeError(f"a whole number from 1 on. Received: {value!r}")


def texts_file(value: str) -> str:
    """A type for argparse: a file that is there."""
    if Path(value).is_file():
        return os.path.abspath(value)
    raise argparse.ArgumentTypeError(
        f"{value}: no such file. Expected a .csv, .tsv, .jsonl or .parquet with texts and labels."
    )


@contextmanager
def work_folder(given: Path | None):
    """Gives a folder to work in: the one asked for, or a temporary one that is removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="bert_tf-benchmark-")) if given is None else given.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield folder
    finally:
        if given is None:
            shutil.rmtree(folder, ignore_errors=True)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Sides:
    """The sides of a benchmark over tokens, in the order in which they are added.

    Where the processor has no bfloat16 products they are emulated and take minutes: such a side runs once, on few texts.
    """

    def __init__(self, options: argparse.Namespace, work: Path):
        say("Making the model and the tokens")
        self.options, self.work, self.sides = options, work, {}
        self.made = peers.ours("model", size=options.size, work=str(work))
        sizes = {name: getattr(options, name) for name in ("texts", "slow_texts", "max_length")}
        self.counts = peers.ours("tokens", data=options.data, model=self.made["model"], work=str(work), **sizes)

    def add(self, name: str, peer: str, job: str, precision: str, **settings) -> None:
        slow = precision.endswith("bfloat16") and not native_bfloat16()
        self.sides[name] = (
            peer,
            {
                "job": job, "precision": precision, "slow": slow, "model": self.made["model"],
                "tokens": str(self.work / ("few.npz" if slow else "all.npz")),
                "batch_size": self.options.batch_size, "max_length": self.options.max_length, **settings,
            },
        )  # fmt: skip

    def run(self, unit: str) -> dict:
        """Runs them in turn; returns by name the median of `unit` (texts or tokens) per second, and how it was had."""
        chosen = self.options.sides or list(self.sides)
        if unknown := sorted(set(chosen) - set(self.sides)):
            raise peers.PeerError(f"--sides: no {', '.join(unknown)}; there are: {', '.join(self.sides)}")
        runs = in_turn({name: self.sides[name] for name in chosen}, self.options.venvs, self.options.repeats)
        theirs = {name: of_side[0].pop("versions", None) for name, of_side in runs.items()}
        self.versions = {
            "ours": self.made["versions"],
            **{n: v for n, v in theirs.items() if v != self.made["versions"]},
        }
        return {
            name: {**rate(of_side, unit), "emulated": self.sides[name][1]["slow"]} for name, of_side in runs.items()
        }

    def sizes(self) -> dict:
        kept = {name: getattr(self.options, name) for name in ("size", "batch_size", "max_length", "repeats")}
        return {**kept, **self.counts["all"]}


def in_turn(sides: dict[str, tuple[str, dict]], venvs: Path, repeats: int) -> dict[str, list[dict]]:
    """Runs every side once, then every side again, so that a machine that slows down slows down all.

    Args:
        sides: name to `(peer, settings)`; a side whose settings say `slow` runs once only.
    Returns: name to the results of its runs; one that fails has a single result, `{"error": ...}`.
    """
    pythons = peers.make_all({peer for peer, _ in sides.values()}, venvs)
    found: dict[str, list[dict]] = {name: [] for name in sides}
    for repeat in range(repeats):
        for name, (peer, settings) in sides.items():
            if repeat and (settings["slow"] or "error" in found[name][0]):
                continue
            say(f"{name}, run {repeat + 1} of {1 if settings['slow'] else repeats}")
            try:
                found[name].append(peers.run(peer, pythons[peer], settings))
            except peers.PeerError as error:
                say(str(error))
                found[name] = [{"error": str(error).splitlines()[0]}]
    return found


def rate(runs: list[dict], unit: str) -> dict:
    """Sums up the runs of a side: the median of `unit` (texts or tokens) per second, and each run's."""
    if "error" in runs[0]:
        return {f"{unit}_per_s": None, "error": runs[0]["error"]}
    each = [run[unit] / run["seconds"] for run in runs if run["seconds"] > 0]
    kept = {name: runs[0][name] for name in ("texts", "tokens", "weights") if name in runs[0]}
    setup = {"setup_s": round(statistics.median(run["setup_s"] for run in runs), 2)} if "setup_s" in runs[0] else {}
    median = round(statistics.median(each), 2) if each else None
    return {f"{unit}_per_s": median, "runs": [round(value, 2) for value in each], **kept, **setup}


def ratio(ours: float | None, theirs: float | None) -> float | None:
    """Returns ours / theirs, None where one is missing."""
    return round(ours / theirs, 3) if ours and theirs else None


def machine() -> dict:
    """Describes the machine by what matters for speed, and nothing that tells which one it is."""
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
    """Returns whether the processor multiplies bfloat16 itself."""
    return any(flag in machine()["flags"] for flag in BFLOAT16)


def report(benchmark: str, results: dict, versions: dict) -> int:
    """Prints the one JSON object of a benchmark; returns the exit code, 1 if a side failed."""
    date = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    found = {"benchmark": benchmark, **results, "versions": versions, "machine": machine(), "date": date}
    print(json.dumps(found, indent=2))
    return int('"error":' in json.dumps(results))


def main(benchmark: Callable[[], int]) -> None:
    """Runs a benchmark; what stops it is said in a line."""
    try:
        sys.exit(benchmark())
    except peers.PeerError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("\nStopped.")
