"""What a finished run is told by: report.html in its folder and the model card beside its model."""

import logging
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bert_tf import files, hardware
from bert_tf.checkpoints import locate
from bert_tf.data.readers import DEMO, DEMO_VALIDATION
from bert_tf.evaluation import facts
from bert_tf.evaluation.history import History
from bert_tf.reporting import card, page
from bert_tf.reporting.sections import Section
from bert_tf.training.job import Job

log = logging.getLogger("bert_tf")


REPORT = "report.html"


CARD = "README.md"


ORIGINS = {locate.MINILM: "sentence-transformers/all-MiniLM-L6-v2"}  # where on the hub what has a name here is from


IN_RESULTS = (
    "scores",
    "calibration",
    "baseline",
    "overfitting",
    "hints",
)  # of the facts, what metrics.json and best.json get too


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

    Whatever goes wrong here is logged in one line, and the run stands without its report.

    Args:  (M validation texts, C classes)
        predict: `() -> float (M, C)`, what the kept model says of the validation texts, in their order.
        results: what metrics.json or best.json holds: `best_epoch`, `val_loss` and `val_accuracy` as measured on the kept
            model, `versions`. These are the numbers shown, so that no digit differs.
        history: metric -> value of each epoch.
        settings: name -> value, to show; `unfreeze` and `seed` among them.
        parameters: see `bert_tf.reporting.sections.sections`.
        seconds: what took how long.
        command: str, what gives the same again.
        sections: `() -> sections` that are shown as well, such as a search's trials.
    Returns: the numbers of the report for metrics.json or best.json: `scores`, `calibration`, `baseline`, `overfitting`, and
        `hints` where some could not be worked out.
    """
    try:
        found = facts.run_facts(
            label_names=job.train.label_names,
            train=(job.train.texts, job.train.labels),
            validation=(job.validation.texts, job.validation.labels),
            probabilities=predict(),
            history=history,
            best_epoch=results["best_epoch"],
            lengths=job.uncut_lengths(),
            max_length=job.max_length,
            seed=settings["seed"],
            title=_title(job),
            subtitle=_subtitle(job, settings["unfreeze"]),
            parameters=parameters,
            cost=[
                *((what, value, "seconds") for what, value in seconds.items()),
                *((f"{where}, at most", size, "bytes") for where, size in hardware.peak_memory_by_device().items()),
            ],
            sections=sections(),
            settings=settings,
            versions=results["versions"],
            command=command,
        )
        for name, measured in (("accuracy", "val_accuracy"), ("log_loss", "val_loss")):
            found["scores"][name]["value"] = results[measured]
        page.write_report(output_dir / REPORT, found)
        name = output_dir.resolve().name
        text = card.model_card(found, name, finetuned_from=ORIGINS.get(job.checkpoint, job.checkpoint))
        files.write_text(output_dir / "model" / CARD, text)
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        log.warning("The run is complete, but its report could not be written: %s", reason)
        return {}
    calibration = {name: value for name, value in found["calibration"].items() if name != "bins"}
    return {name: found[name] for name in IN_RESULTS if name in found} | {"calibration": calibration}


def _title(job: Job) -> str:
    texts = "the demo reviews" if job.train.source == DEMO else Path(job.train.source).name
    return f"{Path(job.checkpoint).name}, fine-tuned on {texts}"


def _subtitle(job: Job, unfreeze: int | str) -> str:
    known = {0: "the base frozen", 1: "its top layer trained", "all": "all of it trained"}
    trained = known.get(unfreeze, f"its top {unfreeze} layers trained")
    return f"{len(job.train):,} training texts, {len(job.validation):,} validation texts; {trained}."


def remarks(results: Mapping[str, Any]) -> list[str]:
    """Returns what the terminal should say of the numbers that `write` gave: the verdict against the baseline."""
    return [results["baseline"]["comparison"]["verdict"]] if "baseline" in results else [*results.get("hints", ())]


def command(job: Job, options: Mapping[str, Any]) -> str:
    """Returns the `bert-tf finetune` that trains the same model again; FILE stands for a source that is no file.

    Args:
        options: name of an option, as of `bert_tf.finetune` -> value. What is None or False is left out, True stands alone.
    """
    sources = {"train": job.train.source}
    if job.share is None:
        sources["validation"] = job.validation.source
    parts = ["bert-tf", "finetune"]
    for name, source in sources.items():
        known = source in (DEMO, DEMO_VALIDATION) or source.startswith("tfds:") or Path(source).exists()
        parts += [f"--{name}", source if known else "FILE"]
    given = {"validation_share": job.share, "checkpoint": job.checkpoint, "max_length": job.max_length, **options}
    for name, value in given.items():
        if value is not None and value is not False:
            parts += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    return shlex.join(parts)
