"""The frame of every comparison: data and folder, entrants run one after the other, what they gave written for people to read."""

import hashlib
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from bert_tf import files
from bert_tf.comparison import entrants
from bert_tf.data.examples import Examples, check_classes
from bert_tf.data.readers import read_examples
from bert_tf.evaluation import diagnostics, paired
from bert_tf.evaluation.scores import TINY
from bert_tf.files import read_json
from bert_tf.formatting import format_value
from bert_tf.reporting import figures, page, tables
from bert_tf.training import run_folder

EARLY_STOPPING = 5  # epochs without a lower validation loss, for frozen bases: an epoch costs next to nothing there


INTERVALS = "In brackets, 95 % intervals: what other texts and other seeds might have given (bootstrap of both)."


def training_options(source, batch_size: int, new_head: bool, max_length, precision: str, cache_dir) -> dict[str, Any]:
    """Returns what an entrant that is trained needs, as JSON values."""
    cache = None if cache_dir is None else str(cache_dir)
    return {"checkpoint": str(source), "batch_size": batch_size, "new_head": new_head, "max_length": max_length, "precision": precision,
            "cache_dir": cache, "learning_rate": None}  # fmt: skip


def checked_seeds(count: int) -> list[int]:
    if count < 1:
        raise ValueError(f"`seeds` must be at least 1. Received: seeds={count}")
    return [*range(count)]


@dataclass(frozen=True)
class Compared:
    """What a comparison leaves.

    Attributes:
        rows: dicts, the rows of its .csv, a number and the ends of its interval as an estimate: `value`, `low`, `high`.
        verdict: str, what they mean.
        output_dir: Path of the comparison.
    """

    rows: list[dict[str, Any]]
    verdict: str
    output_dir: Path


class Contest:
    """Data and folder of a comparison, read and found good; runs its entrants and writes what comes of it.

    Args:
        kind: str, "ladder", "race" or "curve": what its files are called.
        train, validation, text_column, label_column, validation_share, output_dir, overwrite, resume: as for `bert_tf.finetune`.
        models: folders and hub names that take part.
        verbose: bool, whether to say how it goes.
    """

    def __init__(
        self,
        kind: str,
        train: Any,
        validation: Any,
        *,
        text_column: str | None,
        label_column: str | None,
        validation_share: float,
        output_dir: str | Path,
        models: Sequence[str | Path],
        overwrite: bool,
        resume: bool,
        verbose: bool,
    ):
        self.kind, self.output_dir = kind, Path(output_dir).expanduser()
        self.overwrite, self.resume, self.verbose = overwrite, resume, verbose
        self.started = time.monotonic()
        run_folder.check_folder(self.output_dir, overwrite, resume, sources=(train, validation, *map(str, models)))
        self.train = read_examples(train, text_column, label_column)
        check_classes(self.train)
        if validation is None:
            self.train, self.validation = self.train.split(validation_share, seed=0)
        else:
            self.validation = read_examples(validation, text_column, label_column).relabel(self.train.label_names)
        self.settings: dict[str, Any] = {}

    @property
    def folder(self) -> Path:
        return self.output_dir / "entrants"

    def say(self, text: str) -> None:
        if self.verbose:
            tqdm.write(text, file=sys.stdout)  # past the bar
            sys.stdout.flush()

    def run(self, made: Sequence[dict[str, Any]], alone: bool) -> None:
        """Runs what is not finished; what fails is said and left out."""
        names = [entrant["name"] for entrant in made]
        if len(set(names)) < len(names):
            raise ValueError(f"Each entrant must be another. Received: {', '.join(names)}")
        self.settings = {
            "job": self.kind, "train": self.train.source, "validation": self.validation.source,
            "data_fingerprint": _fingerprint(self.train, self.validation),
            "entrants": [{key: value for key, value in entrant.items() if key != "cache_dir"} for entrant in made],
        }  # fmt: skip
        run_folder.check_resumable(self.output_dir, self.settings, self.resume)
        run_folder.start(self.output_dir, self.settings, self.overwrite, self.resume)
        left = [entrant for entrant in made if not entrants.finished(entrant, self.folder)]
        if len(left) < len(made):
            self.say(f"Resumed: {len(made) - len(left)} of {len(made)} are there.")
        work, done, started = sum(entrant["work"] for entrant in left), 0.0, time.monotonic()
        hidden = not (self.verbose and sys.stderr.isatty())
        with tqdm(total=len(left), desc=self.kind.capitalize(), disable=hidden) as bar:
            for entrant in left:
                self.say(f"{entrant['name']} ...")
                began = time.monotonic()
                try:
                    (entrants.run_alone if alone else entrants.run)(entrant, self.train, self.validation, self.folder)
                    gave = f"accuracy {format_value(paired.accuracy(self._hits(entrant)), 'score')}"
                except (RuntimeError, MemoryError) as error:  # too large for the machine, say: the others still count
                    gave = f"failed: {error}"
                done += entrant["work"]
                passed = time.monotonic()
                rest = format_value((passed - started) / done * (work - done), "seconds")
                left_over = f", about {rest} left" if entrant is not left[-1] else ""
                self.say(f"  {gave}; {format_value(passed - began, 'seconds')}{left_over}.")
                bar.update(1)
        if not any(entrants.finished(entrant, self.folder) for entrant in made):
            raise ValueError(f"{self.output_dir}: none of the entrants finished; the reasons stand above.")

    def _hits(self, entrant: Mapping[str, Any]) -> np.ndarray:
        found = [run["probabilities"].argmax(axis=1) for run in entrants.runs(entrant, self.folder)]
        return np.stack(found) == self.validation.labels

    def log_loss(self, runs: Sequence[Mapping[str, Any]]) -> float:
        """Returns the mean log loss of an entrant's runs on the validation texts, in nats."""
        rows = np.arange(len(self.validation))
        given = [run["probabilities"][rows, self.validation.labels] for run in runs]
        return float(np.mean([-np.log(np.maximum(each, TINY)).mean() for each in given]))

    def found(self, entrant: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]], np.ndarray] | None:
        """Returns an entrant's record, its runs, and what of the validation texts each has right, bool `(S, M)`; None if it failed."""
        if not entrants.finished(entrant, self.folder):
            return None
        record = read_json(self.folder / entrant["name"] / entrants.RECORD)
        return record, entrants.runs(entrant, self.folder), self._hits(entrant)

    def finish(
        self, rows: list[dict[str, Any]], columns: Mapping[str, str], said: Sequence[str], notes: str, plots
    ) -> Compared:
        """Writes table, picture and page, compare.json last, and says them."""
        out, verdict = self.output_dir, " ".join(said)
        flat = [_flat(row) for row in rows]
        files.write_csv(out / f"{self.kind}.csv", [*dict.fromkeys(name for row in flat for name in row)], flat)
        title = (
            f"{self.kind.capitalize()}: {len(self.train):,} texts to learn from, {len(self.validation):,} to judge by"
        )
        figures.draw_png(out / f"{self.kind}.png", plots, title)
        head = [{"name": name.replace("_", " "), "kind": kind} for name, kind in columns.items()]
        table = {"caption": notes, "columns": head, "rows": [[row[name] for name in columns] for row in rows]}
        blocks = [*({"verdict": each} for each in said), {"table": table}, *({"plot": plot} for plot in plots)]
        splits = {"training": self.train, "validation": self.validation}
        given = {name: (part.texts, part.labels) for name, part in splits.items()}
        facts = {
            "title": title,
            "subtitle": f"{self.train.source}; judged by {self.validation.source}",
            "sections": [{"title": self.kind.capitalize(), "blocks": blocks}],
            "data": {
                "splits": [{"name": name, "labels": part.counts()} for name, part in splits.items()],
                "duplicates": diagnostics.duplicates(given, self.train.label_names),
            },
            "command": shlex.join(["bert-tf", *sys.argv[1:]]) if Path(sys.argv[0]).name == "bert-tf" else None,
            "versions": {name: version(name) for name in ("bert-tf", "keras", "transformers")},
        }
        page.write_report(out / "report.html", facts)
        seconds = round(time.monotonic() - self.started, 1)
        files.write_json(
            out / "compare.json", {"rows": rows, "verdict": verdict, "seconds": seconds, "settings": self.settings}
        )
        cells = [
            [format_value(row[name], kind if kind != "text" else "plain") for name, kind in columns.items()]
            for row in rows
        ]
        self.say("\n" + tables.table([name.replace("_", " ") for name in columns], cells))
        self.say(f"\n{verdict}\n{format_value(seconds, 'seconds')}. In {out}/:")
        self.say("  " + ", ".join(name for name in run_folder.COMPARE_OUTPUTS if (out / name).exists()))
        if not (out / f"{self.kind}.png").exists():
            self.say(f"  (for {self.kind}.png: pip install 'bert-tf[plots]')")
        return Compared(rows, verdict, out)


def _fingerprint(*parts: Examples) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update("\0".join(part.texts).encode())
        digest.update(np.ascontiguousarray(part.labels).tobytes())
    return digest.hexdigest()[:16]


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a row of a .csv: an estimate takes three columns."""
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, Mapping):
            flat |= {name: value["value"], f"{name}_low": value["low"], f"{name}_high": value["high"]}
        else:
            flat[name] = value
    return flat
