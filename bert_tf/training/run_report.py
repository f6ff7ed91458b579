"""The report of a finished run: report.html in its folder, the model card beside its model, a verdict for the terminal."""

import logging
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bert_tf import files, hardware
from bert_tf.checkpoints import locate
from bert_tf.data.examples import remarks_of
from bert_tf.data.readers import DEMO, DEMO_VALIDATION
from bert_tf.evaluation import facts
from bert_tf.evaluation.history import History
from bert_tf.formatting import format_value
from bert_tf.options import Command
from bert_tf.reporting import card, page
from bert_tf.reporting.sections import Section
from bert_tf.settings import FINETUNE, Settings
from bert_tf.tasks.task import THRESHOLDS
from bert_tf.training.job import Job, what_is_trained
from bert_tf.training.stages import Stage

log = logging.getLogger("bert_tf")

REPORT = "report.html"
CARD = "README.md"
ORIGINS = {locate.MINILM: "sentence-transformers/all-MiniLM-L6-v2"}  # of our own names, the origin on the hub
IN_RESULTS = (
    "scores",
    "labels",
    "calibration",
    "baseline",
    "overfitting",
    "imbalance",
    "hints",
)  # the facts that metrics.json and best.json hold


def write(
    output_dir: Path,
    job: Job,
    predict: Callable[[], np.ndarray],
    *,
    results: Mapping[str, Any],
    history: History,
    settings: Mapping[str, Any],
    parameters: Sequence[tuple[str, int, int]],
    seconds: Mapping[str, float],
    command: str,
    sections: Callable[[], Sequence[Section]] = tuple,
) -> dict[str, Any]:
    """Writes report.html and model/README.md of a run that is finished and saved.

    An error in here is logged as a warning, its traceback at level DEBUG: the run stands without its report.

    Args:  (M validation texts, C classes)
        predict: `() -> predictions`, the kept model's for the validation texts, in their order, as the task has them.
        results: the content of metrics.json or best.json: `best_epoch`, `val_loss` and the task's score, such as `val_accuracy`, as
            measured on the kept model, `versions`. The report shows these numbers, so that no digit differs.
        history: metric -> value of each epoch.
        settings: name -> value, to show; with `unfreeze` and `seed`.
        parameters: see `bert_tf.reporting.sections.sections`.
        seconds: name of a step -> the time it took.
        command: str, the command that repeats the run.
        sections: `() -> sections` to show as well, such as a search's trials.
    Returns: the numbers of the report for metrics.json or best.json, those named in `IN_RESULTS`.
    """
    try:
        unfreeze, source = settings["unfreeze"], job.train.source
        texts = "the demo reviews" if source == DEMO else Path(source).name
        trained = what_is_trained(job.model, unfreeze)
        found = facts.run_facts(
            task=job.task,
            thresholds=getattr(job.model.config, THRESHOLDS, None),
            label_names=job.train.label_names,
            train=(job.train.texts, job.train.labels),
            validation=(job.validation.texts, job.validation.labels),
            probabilities=predict(),
            history=history,
            best_epoch=results["best_epoch"],
            last_kept=results.get("last_kept", False),
            lengths=job.uncut_lengths(),
            max_length=job.max_length,
            seed=settings["seed"],
            baseline=lambda: job.baseline,
            weights=job.validation_weights,
            weighted=job.weights is not None,
            groups=job.groups,
            title=f"{job.teacher.title}, distilled on {texts}"
            if job.teacher
            else f"{Path(job.checkpoint).name}, fine-tuned on {texts}",
            subtitle=f"{len(job.train):,} training texts, {len(job.validation):,} validation texts; {trained}.",
            parameters=parameters,
            cost=[(what, value, "seconds") for what, value in seconds.items()]
            + [(f"{where}, at most", size, "bytes") for where, size in hardware.peak_memory_by_device().items()],
            sections=sections(),
            settings=settings,
            versions=results["versions"],
            command=command,
            **{
                name: results[name]
                for name in ("stages", "test", "temperature", "distilled", "resumed")
                if name in results
            },
        )
        for name, measured in ((job.task.score, f"val_{job.task.score}"), ("log_loss", "val_loss")):
            weighted = name == "log_loss" and job.validation_weights is not None  # another loss than that of the report
            if name in found["scores"] and not weighted:
                found["scores"][name]["value"] = results[measured]
        found["weighted"] = job.weights is not None
        found["data"]["remarks"] = remarks_of(job.train, job.validation)
        found["data"]["skipped"] = [*dict.fromkeys((*job.train.skipped, *job.validation.skipped))]
        page.write_report(output_dir / REPORT, found)
        name = output_dir.resolve().name
        text = card.model_card(found, name, finetuned_from=ORIGINS.get(job.checkpoint, job.checkpoint))
        files.write_text(output_dir / "model" / CARD, text)
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        log.warning("The run is complete, but its report could not be written: %s", reason)
        log.debug("Traceback of the report:", exc_info=error)
        return {}
    found.get("calibration", {}).pop("bins", None)
    return {name: found[name] for name in IN_RESULTS if name in found}


def verdicts(results: Mapping[str, Any]) -> list[str]:
    """Returns what the terminal says about the numbers that `write` gave: classes that are never predicted, how the model
    compares with the baseline."""
    of = "On the validation texts: " if "test" in results else ""
    compared = [of + results["baseline"]["comparison"]["verdict"]] if "baseline" in results else []
    if compared and results.get("imbalance"):
        both = (format_value(found["scores"]["macro_f1"], "score") for found in (results, results["baseline"]))
        compared.append("Macro F1: this model {}, TF-IDF + logistic regression {}.".format(*both))
    return [*results.get("hints", ()), *compared]


def never_predicted(job: Job, kept: Stage) -> list[str]:
    """Says which classes are never predicted, by the stage that is kept; for a run without a report."""
    advised = job.weights is not None or job.imbalance is not None
    return job.task.hints(kept.labels, kept.predictions, job.train.label_names, kept.thresholds, advised)


def measured(job: Job, numbers: Mapping[str, Any]) -> str:
    """Returns what the terminal says of a model's `numbers` on the validation texts; for rare classes also what always answering
    the most frequent one reaches."""
    always = job.imbalance
    beside = f" (always {always['label']!r}: {format_value(always['rate'], 'score')})" if always else ""
    first = job.task.measure
    said = [f"{first.words} {format_value(numbers[f'val_{first.key}'], first.kind)}{beside}"]
    more = (one for one in job.task.measures if one is not first and f"val_{one.key}" in numbers)
    said += [f"{one.words} {format_value(numbers[f'val_{one.key}'], one.kind)}" for one in more]
    kind = "loss" if job.validation_weights is None else "weighted loss"
    return f"validation {', '.join(said)}, {kind} {format_value(numbers['val_loss'], 'score')}"


def command(job: Job, settings: Settings, of: Command = FINETUNE, test: str | None = None) -> str:
    """Returns the command that trains the same model again; FILE stands for a source that is no file.

    Args:
        of: whose options `settings` are.
        test: the source of the test texts.
    """
    read = {} if job.train.task == "classification" else {"task": job.train.task}
    settings = settings.replace(
        **job.train.read_with, **read
    )  # what was said where `Examples` were read counts as well
    sources = {"train": job.train.source} | ({} if job.held_out else {"validation": job.validation.source})
    if test:
        sources["test"] = test
    if job.teacher and len(job.teacher.unlabelled):
        sources["unlabelled"] = job.teacher.unlabelled.source
    parts = ["bert-tf", of.name, *([job.teacher.name] if job.teacher else [])]
    for name, source in sources.items():
        readable = source in (DEMO, DEMO_VALIDATION) or source.startswith(("tfds:", "hf:")) or Path(source).exists()
        parts += [f"--{name}", source if readable else "FILE"]
    return shlex.join([*parts, *of.arguments(settings)])
