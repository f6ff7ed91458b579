"""A fine-tuned model, or two, on labelled texts: how good, how certain, where it fails.

The texts are read, their labels put into the order of the model's, and classified once; all numbers are of these probabilities.
"""

import os
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bert_tf import files
from bert_tf.checkpoints import locate
from bert_tf.data.examples import Examples, remarks_of
from bert_tf.data.readers import DEMO, DEMO_VALIDATION, read
from bert_tf.data.tokenizer import Tokens, tokenize
from bert_tf.evaluation import diagnostics, facts, scores, slices, tfidf
from bert_tf.evaluation.tfidf import BASELINE
from bert_tf.formatting import counted, format_value
from bert_tf.inference.predict import Classifier
from bert_tf.judging import sections
from bert_tf.options import with_options
from bert_tf.reporting import page, tables
from bert_tf.settings import EVALUATE, Settings
from bert_tf.training.run_folder import RUN, RunFolder, versions

RESULTS = "evaluation.json"
MISTAKES = "mistakes.csv"
LENGTH = "length"  # the name of the slices by the number of tokens
THIS = "evaluated"  # what the texts are called beside training texts


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found.

    Attributes:
        metrics: dict, the content of evaluation.json: `scores`, `classes`, `confusion`, `calibration`, perhaps `baseline`, `slices`
            and, for two models, `comparison`, `second` and `slice_comparisons`. A number with an interval is a dict of `value`,
            `low` and `high`.
        verdict: str, what the numbers mean.
        probabilities: float32 `(N, C)`, of the model, in the order of the texts; columns in that of `metrics["label_names"]`.
        output_dir: Path of the report; None if no files are written.
    """

    metrics: dict[str, Any]
    verdict: str
    probabilities: np.ndarray
    output_dir: Path | None


@dataclass(frozen=True)
class Judged:
    """A model and what it says of the texts: `(N, C)` probabilities, and N texts as its tokens."""

    name: str
    classifier: Classifier
    tokens: Tokens
    probabilities: np.ndarray


@with_options(EVALUATE)
def evaluate(
    model: Any, data: Any, other: Any = None, *, tokenizer: Any = None, train: Any = None, settings: Settings
) -> Evaluation:
    """Measures a fine-tuned model on labelled texts: scores with intervals, calibration, mistakes, slices.

    Leaves report.html, evaluation.json and mistakes.csv (all mistakes, the most confident first) in the output folder.

    Args:
        model: folder or hub name of a classifier, or one in memory. A second part (TF-IDF) in its folder counts.
        data: a source of labelled texts, as for `bert_tf.read_examples`. Labels agree with the model's by value; classes without
            texts are no error.
        other: a second model, which is compared with the first on the same texts: McNemar's test, paired bootstrap.
        tokenizer: of a model in memory; None = the one in the folder that it was loaded from.
        train: a source of labelled texts that the TF-IDF baseline is trained on, to stand beside the model.
        {options}
    Returns: `Evaluation`.
    Raises: as `bert_tf.read_examples` and `bert_tf.predict`; ValueError for labels that the model does not have; FileExistsError if the
        folder holds another run.
    """
    began = time.monotonic()
    folder = _folder(settings, (data, train))
    by = settings.slices.by or ()
    columns = [name for name in by if name != LENGTH]
    texts = read(data, settings.data, keep=columns)
    training = None if train is None else read(train, settings.data)
    names = _names(model, other)
    judged = [
        _judged(name, each, tokenizer if each is model else None, texts, settings)
        for name, each in zip(names, (model, other), strict=False)
    ]
    labelled = _relabelled(judged, texts)
    training = None if training is None else training.relabel(judged[0].classifier.model.label_names, "The model")
    found = _measured(judged, labelled, _slicings(by, labelled, judged[0]), training)
    command = _command(settings, (model, other), labelled, training)
    verdicts = _verdicts(found)
    verdict = " ".join(verdicts)
    if folder:
        folder.start(
            {"model": names[0], "other": names[1] if other is not None else None, "by": by, "command": command}
        )
        page.write_report(folder / "report.html", _facts(judged, labelled, training, found, command))
        _write_mistakes(folder / MISTAKES, judged[0], labelled)
        seconds = round(time.monotonic() - began, 2)
        files.write_json(folder / RESULTS, {**found, "verdict": verdict, "command": command, "seconds": seconds})
    if settings.output.verbose:
        for remark in [*remarks_of(labelled, training), *found["hints"]]:
            print(remark)
        print(_terminal(judged, found))
        print("\n".join(["", *verdicts, *([folder.contents()] if folder else [])]))
    return Evaluation(found, verdict, judged[0].probabilities, folder.path if folder else None)


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


def _judged(name: str, model: Any, tokenizer: Any, texts: Examples, settings: Settings) -> Judged:
    """Classifies the texts."""
    classifier = Classifier(model, tokenizer, max_length=settings.data.max_length)
    if classifier.model.problem_type == "multi_label_classification":
        raise ValueError(f"{name}: gives each text several labels; a model with one label a text is needed.")
    texts.relabel(classifier.model.label_names, f"The model {name}")  # raises ValueError before the work
    tokens = tokenize(texts.texts, classifier.tokenizer, classifier.max_length)
    return Judged(name, classifier, tokens, classifier.of_tokens(tokens, [*texts.texts]).probabilities)


def _relabelled(judged: Sequence[Judged], texts: Examples) -> Examples:
    """Returns the texts with the labels of the first model; ValueError if the second has others."""
    names = [one.classifier.model.label_names for one in judged]
    if len(names) == 2 and set(names[0]) != set(names[1]):
        shown = " and ".join(", ".join(map(repr, each)) for each in names)
        raise ValueError(f"The two models have different classes, {shown}: they cannot be compared.")
    return texts.relabel(names[0], f"The model {judged[0].name}")


def _slicings(by: Sequence[str], texts: Examples, judged: Judged) -> dict[str, slices.Slicing]:
    """Returns the slices of the texts: by columns that were read, by the number of tokens."""
    return {
        name: slices.by_quartile(judged.tokens.uncut, "tokens")
        if name == LENGTH
        else slices.by_column(texts.kept[name])
        for name in by
    }


def _measured(
    judged: Sequence[Judged], texts: Examples, slicings: Mapping[str, slices.Slicing], training: Examples | None
) -> dict[str, Any]:
    """Returns the numbers for evaluation.json."""
    labels, names, first = texts.labels, texts.label_names, judged[0].probabilities
    found = {"source": texts.source, **scores.evaluate(labels, first, names)}
    found["hints"] = [*_absent(texts), *diagnostics.unpredicted(found["confusion"], names)]
    if training is not None:
        found["baseline"] = _baseline(judged, texts, training)
    if slicings:
        found["slices"] = {name: slices.judge(each, labels, first, names) for name, each in slicings.items()}
    if len(judged) == 2:
        columns = [judged[1].classifier.model.label_names.index(name) for name in names]
        second = judged[1].probabilities[:, columns]
        found["second"] = {"name": judged[1].name, **scores.evaluate(labels, second, names)}
        found["comparison"] = scores.compare(labels, first, second, (judged[0].name, judged[1].name))
        compared = {name: slices.compare(each, labels, first, second) for name, each in slicings.items()}
        found |= {"slice_comparisons": compared} if compared else {}
    return found


def _absent(texts: Examples) -> list[str]:
    """Says which classes of the model have no texts."""
    missing = [repr(name) for name, count in texts.counts().items() if not count]
    if not missing:
        return []
    shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
    return [
        f"{texts.source}: has no texts of {len(missing)} of the model's {len(texts.label_names)} classes ({shown}); nothing is said of "
        "them."
    ]


def _baseline(judged: Sequence[Judged], texts: Examples, training: Examples) -> dict[str, Any]:
    """Returns the scores of TF-IDF on the same texts, and how the (first) model compares, as `facts.run_facts` does."""
    names, model = texts.label_names, judged[0].name if len(judged) == 2 else "this model"
    _, drawn, labels = facts.drawn(training.texts, training.labels, seed=0)
    by_words = tfidf.train_baseline(drawn, labels, len(names))([*texts.texts])
    return {
        "texts": len(drawn),
        "scores": scores.evaluate(texts.labels, by_words, names)["scores"],
        "comparison": scores.compare(texts.labels, judged[0].probabilities, by_words, (model, BASELINE)),
    }


def _verdicts(found: Mapping[str, Any]) -> list[str]:
    said = [found["comparison"]["verdict"]] if "comparison" in found else []
    said += [found["baseline"]["comparison"]["verdict"]] if "baseline" in found else []
    return said + [slices.verdict(rows, name) for name, rows in found.get("slices", {}).items()]


def _facts(
    judged: Sequence[Judged], texts: Examples, training: Examples | None, found: Mapping[str, Any], command: str
) -> dict[str, Any]:
    """Returns the facts of the report; see `bert_tf.reporting.sections.sections`."""
    every, labels, names = [*texts.texts], texts.labels, tuple(one.name for one in judged)
    splits = {"training": training} if training is not None else {}
    splits[THIS] = texts
    lengths = diagnostics.lengths(judged[0].tokens.uncut, judged[0].classifier.max_length)
    common = {
        "split": THIS,
        "title": f"{' and '.join(names)}, evaluated on {Path(texts.source).name}",
        "subtitle": f"{counted(len(texts), 'text')}, {counted(len(texts.label_names), 'class').replace('classs', 'classes')}",
        "hints": found["hints"],
        "data": {
            "splits": [
                {"name": name, "labels": part.counts(), "lengths": lengths if part is texts else None}
                for name, part in splits.items()
            ],
            "duplicates": diagnostics.duplicates(
                {name: (part.texts, part.labels) for name, part in splits.items()}, texts.label_names
            ),
            "remarks": remarks_of(*splits.values()),
            "skipped": [*dict.fromkeys(skipped for part in splits.values() for skipped in part.skipped)],
        },
        "command": command,
        "versions": versions("bert-tf", "keras", "transformers"),
    }
    sliced = sections.of_slices(found.get("slices", {}))
    own = {key: found[key] for key in ("label_names", "scores", "confusion", "classes", "calibration")}
    own["mistakes"] = diagnostics.mistakes(every, labels, judged[0].probabilities, texts.label_names)
    shown = {"baseline": found["baseline"]} if "baseline" in found else {}
    if len(judged) == 1:
        return {**common, **own, **shown, "sections": sliced}
    columns = [judged[1].classifier.model.label_names.index(name) for name in texts.label_names]
    second = {**found["second"], "split": THIS}
    second["mistakes"] = diagnostics.mistakes(every, labels, judged[1].probabilities[:, columns], texts.label_names)
    own["split"], both = THIS, (names[0], names[1])
    more = [sections.of_two(both, (own, second), found["comparison"], found.get("baseline"))]
    more += sections.of_two_in_slices(both, found.get("slice_comparisons", {}))
    return {**common, "sections": [*more, *sections.of_each(both, (own, second))]}


def _write_mistakes(file: Path, judged: Judged, texts: Examples) -> None:
    """Writes all mistakes, with the columns that the texts are sliced by."""
    wrong = diagnostics.mistakes([*texts.texts], texts.labels, judged.probabilities, texts.label_names, most=len(texts))
    rows = [{**row, **{name: values[row["index"]] for name, values in texts.kept.items()}} for row in wrong]
    header = ["index", "text", "given", "predicted", "probability"]
    files.write_csv(file, [*header, *(name for name in texts.kept if name not in header)], rows)


def _terminal(judged: Sequence[Judged], found: Mapping[str, Any]) -> str:
    """Lays out scores and slices for the terminal."""
    rows = [(judged[0].name, found)] + ([(judged[1].name, found["second"])] if "second" in found else [])
    columns = {"accuracy": "accuracy", "macro F1": "macro_f1", "log loss": "log_loss"}
    cells = [[name, *(format_value(one["scores"][key], "score") for key in columns.values())] for name, one in rows]
    if "baseline" in found:
        simple = found["baseline"]["scores"]
        cells.append([BASELINE, *(format_value(simple[key], "score") for key in columns.values())])
    parts = [f"{found['scores']['texts']:,} texts, {found['source']}", tables.table(("", *columns), cells)]
    names = tuple(one.name for one in judged)
    made = sections.of_slices(found.get("slices", {}))
    if len(judged) == 2:
        made = sections.of_two_in_slices(names, found.get("slice_comparisons", {}))  # type: ignore[arg-type]
    parts += [tables.terminal(block["table"]) for section in made for block in section["blocks"] if "table" in block]
    return "\n\n".join(parts)


def _command(settings: Settings, models: Sequence[Any], texts: Examples, training: Examples | None) -> str:
    """Returns the command that evaluates again; MODEL and FILE stand for what is no file."""

    def source(examples: Examples) -> str:
        name = examples.source
        known = name in (DEMO, DEMO_VALIDATION) or name.startswith(("tfds:", "hf:")) or Path(name).exists()
        return name if known else "FILE"

    given = [str(each) if isinstance(each, (str, os.PathLike)) else "MODEL" for each in models if each is not None]
    parts = ["bert-tf", "evaluate", *given, "--data", source(texts)]
    parts += ["--train", source(training)] if training is not None else []
    return shlex.join([*parts, *EVALUATE.arguments(settings)])
