"""A fine-tuned model, or two, on labelled texts: how good, how certain, where it fails.

The texts are read, their labels put into the order of the model's, and classified once; all numbers are of these predictions.
What a text is given, and how that is measured, is the model's task.
"""

import os
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bert_tf import files, terminal
from bert_tf.checkpoints import locate
from bert_tf.data.examples import Examples, remarks_of
from bert_tf.data.readers import DEMO, DEMO_VALIDATION, read
from bert_tf.data.tokenizer import Tokens
from bert_tf.evaluation import diagnostics, facts, slices
from bert_tf.formatting import counted
from bert_tf.inference.predict import Classifier, Predictions, task_of_model
from bert_tf.judging import sections
from bert_tf.options import with_options
from bert_tf.reporting import page, tables
from bert_tf.reporting.display import Displayed
from bert_tf.settings import EVALUATE, Settings
from bert_tf.tasks.task import Task, common_task
from bert_tf.training.run_folder import RUN, RunFolder, versions

RESULTS = "evaluation.json"
MISTAKES = "mistakes.csv"
THIS = "evaluated"  # what the texts are called beside training texts


@dataclass(frozen=True, repr=False)
class Evaluation(Displayed):
    """What `evaluate` found.

    Attributes:
        metrics: dict, the content of evaluation.json: `task`, `scores` and what else the task
            measures (`classes`, `confusion` and `calibration`, or `labels`), perhaps `baseline`,
            `slices` and, for two models, `comparison`, `second` and `slice_comparisons`. A number
            with an interval is a dict of `value`, `low`, `high`.
        verdict: str, what the numbers mean.
        predictions: `bert_tf.inference.predict.Predictions`, of the model, in the order of the texts.
        output_dir: Path of the report; None if no files are written.
    """

    metrics: dict[str, Any]
    verdict: str
    predictions: Predictions
    output_dir: Path | None

    @property
    def probabilities(self) -> np.ndarray:
        """float32 `(N, C)`, columns in the order of `metrics["label_names"]`; AttributeError for a regression."""
        return self.predictions.probabilities

    def to_pandas(self) -> Any:
        """Returns the slices as a DataFrame, a row each; no rows if none were asked for."""
        import pandas

        rows = [{"by": name, **row} for name, rows in self.metrics.get("slices", {}).items() for row in rows]
        return pandas.json_normalize(rows, sep="_")

    def _title(self) -> str:
        model = " and ".join(
            [self.metrics["model"], *([self.metrics["second"]["name"]] if "second" in self.metrics else [])]
        )
        return f"Evaluation({model}, {counted(self.metrics['scores']['texts'], 'text')} of {self.metrics['source']})"

    def _blocks(self) -> list[dict[str, Any]]:
        return [*sections.summary(self.metrics), *([{"verdict": self.verdict}] if self.verdict else [])]


@dataclass(frozen=True)
class Judged:
    """A model and what it says of N texts: `predictions`, with classes in the order of the first model's, and their tokens."""

    name: str
    classifier: Classifier
    tokens: Tokens
    predictions: Predictions


@with_options(EVALUATE)
def evaluate(
    model: Any, data: Any, other: Any = None, *, tokenizer: Any = None, train: Any = None, settings: Settings
) -> Evaluation:
    """Measures a fine-tuned model on labelled texts, by its task: scores with intervals, slices.

    Leaves report.html, evaluation.json and mistakes.csv (all mistakes, the worst first; of a
    regression all texts) in the output folder.

    Args:
        model: folder or hub name of a fine-tuned model, or one in memory. A second part (TF-IDF)
            in its folder counts.
        data: a source of labelled texts, as for `bert_tf.read_examples`, read for the model's
            task. Labels agree with the model's by value; classes without texts are no error.
        other: a second model, which is compared with the first on the same texts by paired
            bootstrap; the accuracy of classifiers also by McNemar's test.
        tokenizer: of a model in memory; None = the one in the folder that it was loaded from.
        train: a source of labelled texts that the TF-IDF baseline is trained on, to stand beside
            the model.
        {options}
    Returns: `Evaluation`.
    Raises: as `bert_tf.read_examples` and `bert_tf.predict`; ValueError for labels that the model
        does not have, or two models of different tasks or classes; FileExistsError if the folder
        holds another run.
    """
    began = time.monotonic()
    folder = _folder(settings, (data, train))
    by = settings.slices.by or ()
    names, models = _names(model, other), [each for each in (model, other) if each is not None]
    classifiers = [
        Classifier(each, tokenizer if each is model else None, max_length=settings.data.max_length) for each in models
    ]
    every = [classifier.model for classifier in classifiers]
    task = common_task(names, [*map(task_of_model, every)], [one.label_names for one in every])
    classes = every[0].label_names
    reading = replace(settings.data, task=task.name)
    texts = read(data, reading, keep=slices.columns(by)).relabel(classes, f"The model {names[0]}")
    training = None if train is None else read(train, reading).relabel(classes, "The model")
    judged = [_judged(*each, texts, task) for each in zip(names, classifiers, strict=True)]
    found = _measured(task, judged, texts, slices.slicings(by, texts.kept, judged[0].tokens.uncut), training)
    command = _command(settings, models, texts, training)
    verdicts = _verdicts(found, task)
    verdict = " ".join(verdicts)
    if folder:
        folder.start(
            {"model": names[0], "other": names[1] if other is not None else None, "by": by, "command": command}
        )
        listed = _examples(task, judged[0], texts, most=len(texts))
        page.write_report(folder / "report.html", _facts(task, judged, texts, training, found, command, listed))
        _write_mistakes(folder / MISTAKES, task, listed[task.listed], texts)
        seconds = round(time.monotonic() - began, 2)
        files.write_json(folder / RESULTS, {**found, "verdict": verdict, "command": command, "seconds": seconds})
    if settings.output.verbose:
        for remark in [*remarks_of(texts, training), *found["hints"]]:
            terminal.say(remark)
        shown = (tables.for_terminal(block["table"]) for block in sections.summary(found))
        terminal.say("\n\n".join([f"{len(texts):,} texts, {texts.source}", *shown]))
        terminal.say("\n".join(["", *verdicts, *([folder.contents()] if folder else [])]))
    return Evaluation(found, verdict, judged[0].predictions, folder.path if folder else None)


def _folder(settings: Settings, sources: Sequence[Any]) -> RunFolder | None:
    """Returns the output folder, which may be written to; None if none is wanted."""
    output = settings.output
    if output.output_dir is None:
        return None
    folder = RunFolder(output.output_dir, (RUN, "report.html", MISTAKES, RESULTS), output.overwrite, resume=False)
    folder.check([source for source in sources if source is not None])
    return folder


def _names(model: Any, other: Any) -> list[str]:
    """Returns what the models are called; ValueError if both are one."""
    both = [each for each in (model, other) if each is not None]
    paths = [each if isinstance(each, (str, os.PathLike)) else each.name_or_path or "the model" for each in both]
    if len(both) == 2 and (both[0] is both[1] or os.fspath(paths[0]) == os.fspath(paths[1])):
        raise ValueError(f"Two models are compared. Received twice: {paths[0]}")
    return locate.short_names(paths)


def _judged(name: str, classifier: Classifier, texts: Examples, task: Task) -> Judged:
    """Classifies the texts."""
    tokens = classifier.tokenize(texts.texts)
    said = classifier.of_tokens(tokens, [*texts.texts])
    places = task.places(said.label_names, texts.label_names)
    thresholds = None if said.thresholds is None else said.thresholds[places]
    outputs = said.outputs[..., places]
    return Judged(name, classifier, tokens, Predictions(outputs, tuple(texts.label_names), task.name, thresholds))


def _measured(
    task: Task,
    judged: Sequence[Judged],
    texts: Examples,
    slicings: Mapping[str, slices.Slicing],
    training: Examples | None,
) -> dict[str, Any]:
    """Returns the numbers for evaluation.json."""
    labels, names, every = texts.labels, texts.label_names, [one.predictions for one in judged]
    measured = [task.evaluate(labels, one.outputs, names, one.thresholds) for one in every]
    first = (every[0].outputs, names, every[0].thresholds)
    found = {"model": judged[0].name, "source": texts.source, "task": task.name, **measured[0]}
    found["hints"] = [*_absent(task, texts), *task.hints(labels, *first)]
    if training is not None:
        found["baseline"] = _baseline(task, judged, texts, training)
    if slicings:
        found["slices"] = {name: slices.judge(each, task, labels, *first) for name, each in slicings.items()}
    if len(judged) == 2:
        both, thresholds = (every[0].outputs, every[1].outputs), (every[0].thresholds, every[1].thresholds)
        found["second"] = {"name": judged[1].name, **measured[1]}
        found["comparison"] = task.compare(labels, *both, (judged[0].name, judged[1].name), thresholds)
        compared = {
            name: slices.compare(each, task, labels, both, names, thresholds) for name, each in slicings.items()
        }
        found |= {"slice_comparisons": compared} if compared else {}
    return found


def _absent(task: Task, texts: Examples) -> list[str]:
    """Says which classes of the model have no texts."""
    missing = [repr(name) for name, count in texts.counts().items() if not count]
    if not missing:
        return []
    shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
    return [
        f"{texts.source}: has no texts of {len(missing)} of the model's {len(texts.label_names)} {task.nouns} ({shown}): whether they "
        "are found is not measured, and predicting one is a mistake."
    ]


def _baseline(task: Task, judged: Sequence[Judged], texts: Examples, training: Examples) -> dict[str, Any]:
    """Returns the scores of TF-IDF on the same texts, and how the (first) model compares, as `facts.run_facts` does."""
    said, model = judged[0].predictions, judged[0].name if len(judged) == 2 else "this model"
    _, drawn, labels = facts.drawn(training.texts, training.labels, seed=0)
    trained = task.train_baseline(drawn, labels, texts.label_names)
    by_words, thresholds = trained([*texts.texts]), (said.thresholds, trained.thresholds)
    return {
        "texts": len(drawn),
        "characters": trained.characters,
        **({} if trained.thresholds is None else {"thresholds": trained.thresholds.tolist()}),
        "scores": task.evaluate(texts.labels, by_words, texts.label_names, trained.thresholds)["scores"],
        "comparison": task.compare(texts.labels, said.outputs, by_words, (model, task.baseline_name), thresholds),
    }


def _verdicts(found: Mapping[str, Any], task: Task) -> list[str]:
    said = [found["comparison"]["verdict"]] if "comparison" in found else []
    said += [found["baseline"]["comparison"]["verdict"]] if "baseline" in found else []
    return said + [slices.verdict(rows, name, task) for name, rows in found.get("slices", {}).items()]


def _facts(
    task: Task,
    judged: Sequence[Judged],
    texts: Examples,
    training: Examples | None,
    found: Mapping[str, Any],
    command: str,
    examples: Mapping[str, Any],
) -> dict[str, Any]:
    """Returns the facts of the report, see `bert_tf.reporting.sections.sections`; `examples`: all those of the first model."""
    label_names = texts.label_names
    shown = [{**examples, task.listed: examples[task.listed][: diagnostics.SHOWN]}]
    shown += [_examples(task, one, texts, diagnostics.SHOWN) for one in judged[1:]]
    splits = {"training": training} if training is not None else {}
    splits[THIS] = texts
    lengths = diagnostics.lengths(judged[0].tokens.uncut, judged[0].classifier.max_length)
    common = {
        "split": THIS,
        "title": f"{' and '.join(one.name for one in judged)}, evaluated on {Path(texts.source).name}",
        "subtitle": f"{counted(len(texts), 'text')}, {len(label_names):,} {task.nouns}",
        "task": task.name,
        "hints": found["hints"],
        "data": {
            "splits": [
                {
                    "name": name,
                    **facts.split_facts(task, part.labels, label_names),
                    "lengths": lengths if part is texts else None,
                }
                for name, part in splits.items()
            ],
            "duplicates": facts.duplicates(
                task, {name: (part.texts, part.labels) for name, part in splits.items()}, label_names
            ),
            "remarks": remarks_of(*splits.values()),
            "skipped": [*dict.fromkeys(skipped for part in splits.values() for skipped in part.skipped)],
        },
        "command": command,
        "versions": versions("bert-tf", "keras", "transformers"),
    }
    own = [
        {**measured, **own_examples, "split": THIS, "thresholds": sections.thresholds(found)}
        for own_examples, measured in zip(shown, (found, found.get("second", {})), strict=False)
    ]
    if len(judged) == 1:
        return {**own[0], **common, "sections": sections.of_slices(found)}
    both = (judged[0].name, judged[1].name)
    more = [sections.of_two(both, own, found), *sections.of_two_in_slices(both, found)]
    return {**common, "sections": [*more, *sections.of_each(both, own)]}


def _examples(task: Task, judged: Judged, texts: Examples, most: int) -> dict[str, Any]:
    """Returns the facts that show texts, the mistakes of a model among them, at most so many."""
    said = judged.predictions
    return task.examples([*texts.texts], texts.labels, said.outputs, texts.label_names, said.thresholds, most)


def _write_mistakes(file: Path, task: Task, mistakes: Sequence[Mapping[str, Any]], texts: Examples) -> None:
    """Writes mistakes, with the columns that the texts are sliced by."""
    rows = [{**row, **{name: values[row["index"]] for name, values in texts.kept.items()}} for row in mistakes]
    header = task.listed_columns
    files.write_csv(file, [*header, *(name for name in texts.kept if name not in header)], rows)


def _command(settings: Settings, models: Sequence[Any], texts: Examples, training: Examples | None) -> str:
    """Returns the command that evaluates again; MODEL and FILE stand for what is no file."""

    def source(examples: Examples) -> str:
        name = examples.source
        known = name in (DEMO, DEMO_VALIDATION) or name.startswith(("tfds:", "hf:")) or Path(name).exists()
        return name if known else "FILE"

    given = [str(each) if isinstance(each, (str, os.PathLike)) else "MODEL" for each in models]
    parts = ["bert-tf", "evaluate", *given, "--data", source(texts)]
    parts += ["--train", source(training)] if training is not None else []
    return shlex.join([*parts, *EVALUATE.arguments(settings)])
