"""What all comparisons share: data and output folder, candidates run one after the other, and the table, figure and page of
their results."""

import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from bert_tf import files, terminal
from bert_tf.comparison import candidates
from bert_tf.comparison.candidates import Candidate, Splits
from bert_tf.data.examples import Examples, check_classes, check_columns, check_kinds, remarks_of, with_leaks
from bert_tf.data.gates import parts
from bert_tf.data.readers import read
from bert_tf.evaluation import paired, slices
from bert_tf.evaluation.facts import duplicates, split_facts
from bert_tf.formatting import capital, format_value
from bert_tf.reporting import display, figures, page, tables
from bert_tf.reporting.blocks import table_of
from bert_tf.settings import FINETUNE, Settings
from bert_tf.training.run_folder import RUN, RunFolder
from bert_tf.training.sources import check_class_weight
from bert_tf.training.testing import read_test

EARLY_STOPPING = 5  # epochs without a lower validation loss, for frozen bases: their epochs cost next to nothing
QUESTIONS = {
    "ladder": "How many layers to train?",
    "race": "Which model is worth its cost?",
    "curve": "Would more data help?",
}
SPLITS = {"train": "training", "validation": "validation", "test": "test"}
INTERVALS = "In brackets, 95 % intervals that cover other texts and other seeds (bootstrap of both)."

# Options that a candidate shares with `bert_tf.finetune`, if the comparison has them.
SHARED = (
    "checkpoint", "batch_size", "new_head", "max_length", "precision", "cache_dir", "learning_rate", "class_weight", "prefix"
)  # fmt: skip


def training_options(settings: Settings, unfreeze: int | str = 0, **others: Any) -> dict[str, Any]:
    """Returns the options of a candidate that is trained, as JSON values."""
    values = FINETUNE.values(settings)
    shared = {name: str(values[name]) if isinstance(values[name], Path) else values[name] for name in SHARED}
    for name in ("class_weight", "prefix"):
        if shared[name] is None:  # as comparisons were recorded before there was the option
            del shared[name]
    early_stopping = EARLY_STOPPING if unfreeze == 0 else None
    return {**shared, "unfreeze": unfreeze, "early_stopping": early_stopping, **others}


@dataclass(frozen=True, repr=False)
class Compared(display.Displayed):
    """The results of a comparison.

    Attributes:
        rows: dicts, the rows of its .csv; a number with an interval is a dict of `value`, `low` and `high`.
        verdict: str, what they mean.
        output_dir: Path of the comparison.
        columns: name of each column that is shown -> its kind (of `bert_tf.formatting.format_value`, or "text").
        picture: str, the name of its .png in the folder.
    """

    rows: list[dict[str, Any]]
    verdict: str
    output_dir: Path
    columns: Mapping[str, str] = field(default_factory=dict)
    picture: str = ""

    def to_pandas(self) -> Any:
        """Returns the rows as a DataFrame; a number with an interval takes three columns, as in the .csv."""
        import pandas

        return pandas.DataFrame([_flat(row) for row in self.rows])

    def _title(self) -> str:
        return f"Comparison in {self.output_dir}"

    def _picture(self) -> Path | None:
        return self.output_dir / self.picture if self.picture else None

    def _blocks(self) -> list[dict[str, Any]]:
        kinds = {name.replace("_", " "): kind for name, kind in self.columns.items()}
        rows = [[row[name] for name in self.columns] for row in self.rows]
        return [display.table(kinds, rows), {"verdict": self.verdict}]


@dataclass(frozen=True)
class Result:
    """The results of one candidate.  (S = seeds, M = validation texts, T = test texts)

    Attributes:
        record: what was measured: memory, size, speed, parameters.
        runs: for each seed `history`, `best_epoch`, `seconds`, perhaps `thresholds`, and the predictions: `validation`, `test`.
        shares: float `(2, S, M)`, what each text adds to the score of each seed's model, of `Task.shares`.
        loss: float, the mean over the seeds.
        tested: float `(2, S, T)`, the same as `shares` for the test texts; None without such texts.
    """

    record: dict[str, Any]
    runs: list[dict[str, Any]]
    shares: np.ndarray
    loss: float
    tested: np.ndarray | None


class Comparison:
    """The data and folder of a comparison, read and checked. Runs the candidates and writes the results.

    Args:
        kind: str, "ladder", "race" or "curve": the name of its files.
        train, validation, test: as for `bert_tf.finetune`.
        models: folders and hub names that take part.
        settings: of the comparison.
    """

    def __init__(
        self, kind: str, train: Any, validation: Any, test: Any, models: Sequence[str | Path], settings: Settings
    ):
        data, output = settings.data, settings.output
        self.kind, self.alone, self.verbose = kind, settings.repeats.alone, bool(output.verbose)
        self.started = time.monotonic()
        names = (f"{kind}.csv", f"{kind}.png", "epochs.csv", "report.html", "entrants", RUN, "compare.json")
        self.output = RunFolder(output.output_dir or "", names, output.overwrite, output.resume)
        self.output.check(sources=(train, validation, test, *map(str, models)))
        self.folder = self.output / "entrants"
        train = read(train, data)
        check_columns(train, data)
        check_classes(train)
        check_class_weight(settings, train)
        if validation is None:
            train, validation = train.split(data.validation_share, seed=0)
        else:
            validation = read(validation, replace(data, task=train.task))
            check_kinds(train, validation, "validation")
            validation = with_leaks(train, validation).relabel(train.label_names)
        self.by = settings.slices.by
        self.splits = Splits(train, validation, read_test(test, train, data, settings.slices.by, validation))
        self.train, self.validation, self.test = self.splits
        self.task = self.splits.task
        for remark in remarks_of(*self.splits):
            self.say(remark)

    def say(self, text: str) -> None:
        if self.verbose:
            terminal.say(text)

    def run(self, every: Sequence[Candidate]) -> None:
        """Runs the candidates that are not finished. One that fails is reported and left out.

        Raises: ValueError if two have the same name or all fail.
        """
        names = [candidate["name"] for candidate in every]
        if len(set(names)) < len(names):
            raise ValueError(f"Each candidate must be a different one. Received: {', '.join(names)}")
        self.recorded: dict[str, Any] = {
            "job": self.kind,
            **{name: part.source for name, part in self.splits.given().items()},
            "data_fingerprint": files.fingerprint(*map(_contents, self.splits.given().values())),
            "candidates": [{**one, "options": {**one.get("options", {}), "cache_dir": None}} for one in every],
        }
        self.output.check_resumable(self.recorded)
        self.output.start(self.recorded)
        unfinished = [candidate for candidate in every if not candidates.finished(candidate, self.folder)]
        if len(unfinished) < len(every):
            self.say(f"Resumed: {len(every) - len(unfinished)} of {len(every)} candidates are finished.")
        work = sum(candidate["work"] for candidate in unfinished)
        title, done = self.kind.capitalize(), len(every) - len(unfinished)
        with terminal.Bar(title, len(every), "candidate", done=done, work=work) as bar:
            for candidate in unfinished:
                bar.note = candidate["name"]
                began = time.monotonic()
                outcome = self._run_one(candidate)
                bar.update(work=candidate["work"])
                self.say(f"{candidate['name']}: {outcome}; {format_value(time.monotonic() - began, 'seconds')}.")
        if not any(candidates.finished(candidate, self.folder) for candidate in every):
            raise ValueError(f"{self.output.path}: every candidate failed; the reasons are printed above.")

    def _run_one(self, candidate: Candidate) -> str:
        """Returns the outcome in words."""
        run = candidates.run_alone if self.alone else candidates.run
        try:
            run(candidate, self.splits, self.folder)
        except (RuntimeError, MemoryError) as error:  # too large for this machine, for example: the others still count
            return f"failed: {error}"
        score = paired.score(self._shares(candidates.runs(candidate, self.folder), "validation", self.validation))
        mean = format_value(score["value"], self.task.measure.kind)  # its interval depends on what else is compared
        return f"{self.task.score_words} {mean}"

    def result(self, candidate: Candidate) -> Result | None:
        """Returns the results of a candidate, None if it failed."""
        if not candidates.finished(candidate, self.folder):
            return None
        runs = candidates.runs(candidate, self.folder)
        losses = [self.task.loss_of(self.validation.labels, run["validation"]) for run in runs]
        shares = self._shares(runs, "validation", self.validation)
        tested = None if self.test is None else self._shares(runs, "test", self.test)
        return Result(candidates.record(candidate, self.folder), runs, shares, float(np.mean(losses)), tested)

    def evaluated(self, run: Mapping[str, Any], split: str = "validation") -> dict[str, Any]:
        """Returns what `Task.evaluate` finds of a run's predictions for the validation texts, or the test texts."""
        part = self.splits.given()[split]
        return self.task.evaluate(part.labels, run[split], part.label_names, run.get("thresholds"))

    def _shares(self, runs: Sequence[Mapping[str, Any]], split: str, part: Examples) -> np.ndarray:
        return np.stack([self.task.shares(part.labels, run[split], run.get("thresholds")) for run in runs], axis=1)

    def decided(self) -> str:
        """Says how labels are decided on, where there are thresholds; else nothing."""
        words = " Thresholds of models that are trained here, the baseline's too, are chosen by the validation texts."
        return words if self.task.decides else ""

    def _which_is_which(self) -> str:
        """Says which numbers are of the test texts, if there are any."""
        if self.test is None:
            return ""
        return (
            f"Test: on {len(self.test):,} texts that nothing was chosen by, which every model classified once: the numbers to "
            "expect on new texts. All other numbers, and the verdict, are of the validation texts."
        )

    def _sliced(self) -> list[dict[str, Any]]:
        """Returns a table for each slicing of the test texts: the score of every candidate in each slice."""
        if self.test is None or not self.by:
            return []
        lengths = [sum(map(len, parts(text))) for text in self.test.texts]
        found = {one["name"]: self.result(one) for one in self.recorded["candidates"]}
        tested = {name: one.tested for name, one in found.items() if one is not None and one.tested is not None}
        kinds = {"texts": "count", **dict.fromkeys(tested, self.task.measure.kind)}
        made = []
        for name, slicing in slices.slicings(self.by, self.test.kept, lengths, "characters").items():
            rows = [
                [which, len(places), *(paired.score(shares[..., places]) for shares in tested.values())]
                for which, places in [*slicing.items()][: slices.MOST_SLICES]
            ]
            caption = f"Test texts by {name}: {self.task.score_words} of each. {INTERVALS}"
            made.append(table_of(caption, "slice", kinds, rows))
        return made

    def finish(
        self,
        rows: list[dict[str, Any]],
        columns: Mapping[str, str],
        sentences: Sequence[str],
        notes: str,
        plots,
        costs: Sequence[str] = (),
    ) -> Compared:
        """Writes table, figure and page, then compare.json, and prints the results.

        Args:
            rows: see `Compared`.
            columns: name of a column -> its kind (of `format_value`, or "text"), to be shown; each that the rows have under
                "test_" and its name too is followed by that.
            sentences: the verdict.
            notes: str, the caption of the table.
            plots: see `bert_tf.reporting.figures`.
            costs: the names of columns that stand in a table of their own on the page.
        """
        out, verdict = self.output, " ".join(sentences)
        flat = [_flat(row) for row in rows]
        files.write_csv(out / f"{self.kind}.csv", [*dict.fromkeys(name for row in flat for name in row)], flat)
        name = self.kind.capitalize()
        texts = (f"{len(part):,} {SPLITS[split]} texts" for split, part in self.splits.given().items())
        title = QUESTIONS[self.kind]
        columns = {  # test_accuracy stands beside accuracy
            shown: kind
            for column, kind in columns.items()
            for shown in (column, f"test_{column}")
            if shown == column or shown in rows[0]
        }
        which = self._which_is_which()
        figures.draw_png(out / f"{self.kind}.png", plots, f"{title} {capital(', '.join(texts))}")
        header = [{"name": name.replace("_", " "), "kind": kind} for name, kind in columns.items()]
        table = {
            "caption": f"{notes} {which}".rstrip(),
            "columns": header,
            "rows": [[row[name] for name in columns] for row in rows],
        }
        sliced = self._sliced()
        blocks = [
            *({"verdict": sentence} for sentence in sentences),
            *_parted(table, [name.replace("_", " ") for name in costs]),
            *sliced,
            *({"plot": one} for one in plots),
        ]
        splits = {"training": self.train, "validation": self.validation}
        labelled, names = {split: (part.texts, part.labels) for split, part in splits.items()}, self.train.label_names
        tested = f", tested on {self.test.source} ({len(self.test):,} texts)" if self.test is not None else ""
        facts = {
            "title": title,
            "subtitle": f"Trained on {self.train.source} ({len(self.train):,} texts), judged on {self.validation.source} "
            f"({len(self.validation):,} texts){tested}",
            "sections": [{"title": name, "blocks": blocks}],
            "data": {
                "splits": [
                    {"name": split, **split_facts(self.task, part.labels, names)} for split, part in splits.items()
                ],
                "duplicates": duplicates(self.task, labelled, names),
            },
            "command": shlex.join(["bert-tf", *sys.argv[1:]]) if Path(sys.argv[0]).name == "bert-tf" else None,
            "versions": {library: version(library) for library in ("bert-tf", "keras", "transformers")},
        }
        page.write_report(out / "report.html", facts)
        seconds = round(time.monotonic() - self.started, 1)
        more = {"slices": [one["table"] for one in sliced]} if sliced else {}
        summary = {"rows": rows, **more, "verdict": verdict, "seconds": seconds, "settings": self.recorded}
        files.write_json(out / "compare.json", summary)
        self.say("\n" + tables.for_terminal(table))
        for one in sliced:
            self.say("\n" + tables.for_terminal(one["table"]))
        self.say("\n" + "\n".join(filter(None, (verdict, which))))
        self.say(f"{format_value(seconds, 'seconds')}. {out.contents()}")
        return Compared(rows, verdict, out.path, columns, f"{self.kind}.png")


def _parted(table: Mapping[str, Any], costs: Sequence[str]) -> list[dict[str, Any]]:
    """Returns a table as blocks: without the columns `costs`, and its first column with only these."""

    def part(caption: str, kept: Sequence[int]) -> dict[str, Any]:
        columns, rows = table["columns"], table["rows"]
        return {
            "table": {
                "caption": caption,
                "columns": [columns[i] for i in kept],
                "rows": [[row[i] for i in kept] for row in rows],
            }
        }

    dear = [i for i, column in enumerate(table["columns"]) if column["name"] in costs]
    others = [i for i in range(len(table["columns"])) if i not in dear]
    return [part(table["caption"], others), *([part("What each costs", [0, *dear])] if dear else [])]


def score_on_test(result: Result, name: str) -> dict[str, Any]:
    """Returns the score on the test texts as a column of a row, "test_" before its name; nothing without such texts."""
    return {} if result.tested is None else {f"test_{name}": paired.score(result.tested)}


def _contents(examples: Examples) -> Iterator[bytes]:
    """Yields the texts, separated, and the labels, so that the texts need not be in memory at once."""
    for i, text in enumerate(examples.texts):
        yield (b"\0" if i else b"") + "\0\0".join(parts(text)).encode("utf-8", "surrogatepass")
    yield examples.labels.tobytes()
    for beside in (examples.weights, examples.groups):
        if beside is not None:
            yield beside.tobytes()


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a row of a .csv: an estimate takes three columns."""
    flat: dict[str, Any] = {}
    for name, value in row.items():
        ends = value if isinstance(value, Mapping) else {"value": value}
        flat |= {name if end == "value" else f"{name}_{end}": number for end, number in ends.items()}
    return flat
