"""Hyperparameter search in one call: labelled texts in, the model of the best trial and a record of all trials out."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np

from bert_tf import files, terminal
from bert_tf.backends.devices import how_many, own_device, spread
from bert_tf.data.examples import Examples, remarks_of
from bert_tf.data.pipeline import batches
from bert_tf.evaluation.history import History
from bert_tf.features.extraction import extract
from bert_tf.formatting import format_value
from bert_tf.models.auto import TFAutoModelForSequenceClassification
from bert_tf.options import with_options
from bert_tf.reporting import display
from bert_tf.settings import HYPERMODEL, SEARCH, Settings
from bert_tf.tasks.task import task_of
from bert_tf.training import run_report, testing
from bert_tf.training.backup import load
from bert_tf.training.job import Job
from bert_tf.training.run_folder import RUN, RunFolder, versions
from bert_tf.training.stages import Stage, calibrate
from bert_tf.training.tracking import Tracker, numbers_of, tracked
from bert_tf.tuning import distributed, oracles, results, sections
from bert_tf.tuning.hypermodel import RECORD, SOLVED, ClassifierHyperModel
from bert_tf.tuning.space import SPACE

KEPT = 5  # the best trials, whose weights are kept
TRIALS = "trials"  # KerasTuner's folder inside that of the search
OUTPUTS = ("report.html", "model", "trials.csv", "search.png", "tensorboard", TRIALS, RUN, "best.json")
TRACKED = ("report.html", "search.png", "trials.csv", "best.json", "model")
VALUES = [*SPACE, "learning_rate"]


class SearchFailedError(ValueError):
    """No trial of a search finished."""


@dataclass(frozen=True, repr=False)
class Searched(display.Displayed):
    """The outcome of a search.

    Attributes:
        model, tokenizer: the classifier of the best trial, with the weights of its best epoch, or with the solved head, if that
            is better; and its tokenizer.
        trials: dicts, the rows of trials.csv, in the order of the trials.
        best: dict, the content of best.json.
        output_dir: Path, the folder of the search.
    """

    model: Any
    tokenizer: Any
    trials: list[dict[str, Any]]
    best: dict[str, Any]
    output_dir: Path

    def to_pandas(self) -> Any:
        """Returns the trials as a DataFrame, a row each, in their order."""
        import pandas

        return pandas.DataFrame(self.trials)

    def _title(self) -> str:
        best, failed = self.best, f", {self.best['failed']} failed" * bool(self.best["failed"])
        kept = f"trial {best['trial']}, epoch {best['best_epoch']}" if best["kept"] != SOLVED else "the solved head"
        return f"Search in {self.output_dir}: {best['trials']} trials{failed}. Best: {kept}"

    def _picture(self) -> Path:
        return self.output_dir / "search.png"

    def _blocks(self) -> list[dict[str, Any]]:
        finished = results.ranked(self.trials, self.best["settings"]["objective"])
        header, cells = results.trial_table(finished[: display.MOST_ROWS], VALUES)
        task = task_of(self.best["settings"].get("task", "classification"))
        scores = [f"validation {task.score_words} {format_value(self.best[f'val_{task.score}'], task.measure.kind)}"]
        if "test" in self.best:
            measured = self.best["test"]["scores"][task.score]
            scores.append(f"test {task.score_words} {format_value(measured, task.measure.kind)}")
        return [
            display.table(dict.fromkeys(header, "plain"), cells),
            {"text": f"The saved model: {', '.join(scores)}. All trials: .to_pandas()"},
        ]


@with_options(SEARCH)
def search(train: Any, validation: Any = None, *, test: Any = None, settings: Settings) -> Searched | None:
    """Searches for the settings that train best, and keeps the model of the best trial.

    By default (`recipe="auto"`) a new head is solved on the frozen base first, in seconds, as
    `bert_tf.finetune` does. Trials that train layers start from one solved on the last layer, those
    of a frozen base from a random head; if none is better after calibration, the solved head is kept.
    `recipe="plain"` leaves it out.

    The first trial uses the defaults of `bert_tf.finetune`. Each runs to the last epoch or stops
    after 5 epochs without improvement (`early_stopping`); the best epoch is read off its curve.
    The model that is kept is that of the best trial at its best epoch; it is not trained again.
    The options of the space are each one value, a list or a range `(lowest, highest)`, see
    `bert_tf.ClassifierHyperModel`.

    Several processes can share a search: one `chief`, which trains nothing, and any number of
    workers, all called with the same arguments and the same `output_dir`. A worker that dies
    loses only its trial, which another worker continues.

    A killed search that is resumed does not repeat finished trials, and continues the
    interrupted one after its last finished epoch. A finished search is extended by
    `resume=True` with a larger `max_trials`.

    Leaves in `output_dir`: report.html, model/, trials.csv, best.json, search.png,
    tensorboard/, trials/.

    Args:
        train, validation: sources, as for `bert_tf.finetune`.
        test: a source of texts that nothing is chosen by: they are classified once, by the
            model that is kept.
        {options}
    Returns: `Searched`; None for a worker.
    Raises: SearchFailedError, a ValueError, with the reasons if every trial failed; else as
        `bert_tf.finetune`.

    >>> from bert_tf.data.readers import demo_reviews
    >>> search(*demo_reviews(), max_trials=5, epochs=5, output_dir="runs/search").best["values"]  # doctest: +SKIP
    """
    started, worker, devices = time.monotonic(), settings.processes.worker, settings.compute.devices
    distributed.check_role(settings.processes, devices)
    if keras.backend.backend() == "tensorflow" and how_many(devices) > 1:
        raise ValueError(
            "A search on several devices needs JAX (KERAS_BACKEND=jax), or a chief and a worker for each device. "
            f"Received: devices={devices!r} on TensorFlow"
        )
    if worker is None:
        with spread(devices):
            return _search(train, validation, test, settings, started)
    with own_device(Path(settings.output.output_dir or "")) as device:
        if device and settings.output.verbose:
            terminal.say(f"Worker {worker} computes on {device}.")
        return _search(train, validation, test, settings, started)


def _search(train: Any, validation: Any, test: Any, settings: Settings, started: float) -> Searched | None:
    """See `search`."""
    output, worker, tuner = settings.output, settings.processes.worker, settings.search.tuner
    max_trials = settings.search.max_trials or (None if tuner == "hyperband" else 30)
    folder = RunFolder(output.output_dir or "", OUTPUTS, output.overwrite, output.resume)
    say: Any = terminal.say if output.verbose else (lambda _: None)
    hypermodel = ClassifierHyperModel(train, validation, **HYPERMODEL.values(settings))
    oracle = oracles.make_oracle(tuner, hypermodel.objective, max_trials, hypermodel.epochs, settings.training.seed)
    extends = output.resume and not output.overwrite and _trials_done(folder) < (max_trials or 0)
    if worker is None and not extends:
        folder.check(sources=(str(settings.model.checkpoint), train, validation, test))
    tested = testing.read_test(test, hypermodel.job.train, settings.data, validation=hypermodel.job.validation)
    for warning in [*hypermodel.warnings(), *remarks_of(tested)]:
        say(warning)
    hypermodel.build(keras_tuner.HyperParameters())  # fails on an unknown optimizer before the long work
    recorded = {"job": "search", "tuner": tuner, **hypermodel.recorded()}
    if worker is None:
        folder.check_resumable(recorded)
    track = None if worker is not None else settings.tracking.track
    with tracked(track, folder, recorded, bool(output.verbose)) as tracker:
        if not _run(hypermodel, oracle, folder, settings, recorded, tracker, say):
            return None
        searched = _finish(hypermodel, oracle, recorded, folder, tested, started, say, output.report)
        tracker.results(numbers_of(searched.best), folder.existing(TRACKED))
    if tracker.where:
        say(tracker.where)
    return searched


def _run(
    hypermodel: ClassifierHyperModel,
    oracle,
    folder: RunFolder,
    settings: Settings,
    recorded: dict,
    tracker: Tracker,
    say,
) -> bool:
    """Runs the trials, as the role of this process is; returns whether their results are to be finished here."""
    processes = settings.processes
    chief, worker, address = processes.chief, processes.worker, processes.address
    if worker is None:
        folder.start(recorded)
        (folder / "best.json").unlink(missing_ok=True)  # of a finished search that is extended
    else:
        _join(folder, recorded)
    if not chief:
        hypermodel.load_features()
        if worker is None and hypermodel.solved:  # a worker needs it only where it trains layers
            say(f"The head solved on the frozen base, which the trials have to beat: {_reached(hypermodel.solved[1])}.")
    with distributed.tuner_role(address, "chief" if chief else worker):
        loop = distributed.SearchTuner(oracle, hypermodel, directory=folder.path, project_name=TRIALS)
        if settings.output.resume and worker is None and (folder / TRIALS / "oracle.json").is_file():
            oracle.reload()
        if worker is not None:
            say(f"Worker {worker}: running trials for the chief at {address}.")
            loop.search()
            say(f"Worker {worker}: no trials are left.")
            return False
        progress = _Progress(oracle, folder.path, hypermodel, tracker)
        with progress.bar:
            oracle.on_trial_end = progress.update
            if chief:
                oracle.lease = processes.lease
                say(f"Waiting for workers at {address}.")
                loop.save()
                distributed.serve(oracle, address)
            else:
                loop.search()
    return True


class _Progress:
    """Prints a line for each trial and a bar with the time left; deletes weights that are no longer needed."""

    def __init__(self, oracle, output_dir: Path, hypermodel: ClassifierHyperModel, tracker: Tracker):
        self.oracle, self.output_dir, self.tracker, self.say = oracle, output_dir, tracker, hypermodel.say
        self.objective = hypermodel.objective
        lists = [name for name, values in hypermodel.space.items() if isinstance(values, (list, tuple))]
        self.searched = [*lists, "learning_rate"]
        self.total, self.before = oracle.most_trials(), len(oracle.end_order)
        self.bar = terminal.Bar("Search", self.total, "trial", done=self.before)
        if self.before:
            self.say(f"Resuming after {self.before} finished trials.")

    def update(self, trial) -> None:
        """Reports a trial that has ended."""
        file = _trial_dir(self.output_dir, trial.trial_id) / RECORD
        if not file.is_file():
            reason = (trial.message or "the worker could not run it").strip().splitlines()[-1]
            files.write_json(file, {"values": {}, "history": {}, "seconds": 0.0, "failed": reason})
        record = files.read_json(file)
        results.write_hparams(self.output_dir / "tensorboard", trial.trial_id, record)
        self.tracker.trial(trial.trial_id, record["values"], record["history"])
        ended = len(self.oracle.end_order)
        values = ", ".join(f"{n} {results.short(v)}" for n, v in record["values"].items() if n in self.searched)
        if record.get("failed"):
            outcome = f"failed: {record['failed']}"
        else:
            curve, epoch = record["history"][self.objective], record["best_epoch"]
            outcome = f"{self.objective} {format_value(curve[epoch - 1], 'score')}, epoch {epoch} of {len(curve)}"
        best = self.oracle.get_best_trials(1)[0]
        if best.status == oracles.COMPLETED:
            outcome += f". Best: {format_value(best.score, 'score')}, trial {best.trial_id}"
        self.say(f"Trial {trial.trial_id} ({ended} of {self.total}): {outcome}.\n  {values}".rstrip())
        self.bar.update()
        _delete_weights(self.oracle, self.output_dir)


def _trial_dir(output_dir: Path, trial_id: str) -> Path:
    return output_dir / TRIALS / f"trial_{trial_id}"


def _delete_weights(oracle, output_dir: Path) -> None:
    """Deletes the weights of ended trials that are neither among the best nor to be continued."""
    best = [trial.trial_id for trial in oracle.get_best_trials(KEPT) if trial.status == oracles.COMPLETED]
    for trial_id in {*oracle.end_order} - oracle.continuable():
        folder = _trial_dir(output_dir, trial_id)
        (folder / "last.safetensors").unlink(missing_ok=True)
        if trial_id not in best:
            (folder / "best.safetensors").unlink(missing_ok=True)


def _trials_done(folder: RunFolder) -> float:
    """Returns the number of trials of a finished search; infinity if the folder holds none."""
    file = folder / "best.json"
    return files.read_json(file, files.START_ANEW)["trials"] if file.is_file() else math.inf


def _join(folder: RunFolder, recorded: dict) -> None:
    """Waits for the folder of the chief; FileNotFoundError if it does not appear, ValueError if its settings are others."""
    deadline = time.monotonic() + distributed.CHIEF_TIMEOUT
    while not folder.is_run:
        if time.monotonic() > deadline:
            raise FileNotFoundError(
                f"{folder.path}: no chief has started a search here. Start one with the same options and chief=True "
                "(--chief); chief and workers need the same folder."
            )
        time.sleep(0.5)
    RunFolder(folder.path, OUTPUTS, overwrite=False, resume=True).check_resumable(recorded)


def _finish(
    hypermodel: ClassifierHyperModel,
    oracle,
    settings,
    folder: RunFolder,
    test: Examples | None,
    started: float,
    say,
    with_report: bool,
) -> Searched:
    """Writes the results of a search whose trials have ended; best.json, which marks it as finished, comes last."""
    objective, job, output_dir = hypermodel.objective, hypermodel.job, folder.path
    rows, histories = _collect(oracle, output_dir, objective, job.task.score)
    ranked = results.ranked(rows, objective)
    best, failed = ranked[0], len(rows) - len(ranked)
    values = {name: best[name] for name in VALUES}
    sections.plot_search(output_dir / "search.png", rows, histories, objective)
    model, saved, reached = _keep_best(hypermodel, oracle, best, folder)
    score = job.task.score
    kept = min(reached, key=lambda stage: stage.loss)  # the first is the solved head: of equals the simpler one
    is_solved = kept.name == SOLVED
    repeated = hypermodel.solved_settings() if is_solved else hypermodel.settings_of(values)
    result = {
        "trial": best["trial"],
        "values": values,
        "best_epoch": best["best_epoch"],
        "in_search": {name: best[name] for name in _metrics(score)},
        "kept": kept.name,
        **kept.numbers(),
        **({"stages": [stage.row() for stage in reached]} if hypermodel.solved else {}),
        "trials": len(rows),
        "failed": failed,
        "finetune": run_report.command(job, repeated),
        "seconds": round(time.monotonic() - started, 2),
        "settings": settings,
        "versions": versions("bert-tf", "keras", "keras-tuner", "transformers"),
    }
    say("\n" + terminal.table(*results.trial_table(ranked[:10], VALUES)))
    if failed:
        say(f"{failed} trials failed; trials.csv gives the reasons.")
    said = f"trial {best['trial']}, epoch {best['best_epoch']} of {best['epochs']}: {objective} {format_value(best[objective], 'score')}"
    if is_solved:
        said = f"the solved head; no trial is better, not even {said}"
    say(
        f"\nBest: {said}. The saved model, computed in float32: {_reached(kept)}. {format_value(result['seconds'], 'seconds')}."
    )
    if test is not None:
        result["test"] = testing.measure(test, job, saved)
        say(testing.sentence(result["test"]))
    files.write_json(output_dir / "best.json", result)
    if with_report:
        with terminal.Bar("Writing the report", None):
            result |= run_report.write(
                output_dir, job, lambda: kept.predictions,
                results=result | ({"best_epoch": None} if is_solved else {}),
                history={} if is_solved else histories[best["trial"]],
                settings=_shown_settings(settings, values), parameters=model.parameter_table(), command=result["finetune"],
                seconds={"the whole search, without this report": result["seconds"], "the best trial": best["seconds"]},
                sections=lambda: sections.search_sections(rows, histories, objective, VALUES),
            )  # fmt: skip
        files.write_json(output_dir / "best.json", result)
    for verdict in run_report.verdicts(result):
        say(verdict)
    say(folder.contents())
    say(f"The same training with finetune: {result['finetune']}")
    return Searched(model, job.tokenizer, rows, result, output_dir)


def _metrics(score: str) -> list[str]:
    return ["val_loss", f"val_{score}", "loss", score]


def _collect(oracle, output_dir: Path, objective: str, score: str) -> tuple[list[dict], dict[str, History]]:
    """Reads the records of all trials and writes trials.csv; returns its rows, and the history of each trial."""
    records = {name: files.read_json(_trial_dir(output_dir, name) / RECORD) for name in sorted(oracle.end_order)}
    rows = results.trial_rows(records, objective)
    header = ["trial", "status", *VALUES, "best_epoch", "epochs", *_metrics(score), "seconds", "continues", "failed"]
    files.write_csv(output_dir / "trials.csv", header, rows)
    if all(row["failed"] for row in rows):
        reasons = "; ".join(f"trial {row['trial']}: {row['failed']}" for row in rows)
        raise SearchFailedError(
            f"{output_dir}: none of {len(rows)} trials finished, so there is no best model. {reasons or 'No trial was run'}."
        )
    return rows, {name: record["history"] for name, record in records.items()}


def _keep_best(
    hypermodel: ClassifierHyperModel, oracle, best: Mapping, folder: RunFolder
) -> tuple[Any, Any, list[Stage]]:
    """Saves the model of the best trial at its best epoch or, if that is better after calibration, the one with the solved head.

    Returns: the saved model; the same as it is loaded, in float32, as it will be used elsewhere; what that and, if there is a
        solved head, that before it reach on the validation texts.
    """
    job, task, solved, unfreeze = hypermodel.job, hypermodel.job.task, hypermodel.solved, best["unfreeze"]
    job.tokenizer.model_max_length = job.max_length
    model = hypermodel.build(oracle.trials[best["trial"]].hyperparameters)
    load(_trial_dir(folder.path, best["trial"]) / "best.safetensors", model.trainable_variables)
    task.fold(model)
    folder.save_model(model, job.tokenizer)
    saved = TFAutoModelForSequenceClassification.from_pretrained(folder / "model")
    logits, labels, weights = _logits(saved, job, unfreeze), job.validation.labels, job.validation_weights
    trial = Stage(f"trial {best['trial']}", task, logits, labels, best["seconds"], weights=weights)
    if not solved:
        _save_decided(model, saved, trial, job, folder)
        return model, saved, [trial]
    for each in (model, saved):
        temperature = calibrate(each, task, labels, logits, weights)
    trial, head = replace(trial, logits=logits / temperature), solved[1]
    if head.loss > trial.loss:
        _save_decided(model, saved, trial, job, folder)
        return model, saved, [head, trial]
    model = hypermodel.solved_model()
    _save_decided(model, model, head, job, folder)
    saved = TFAutoModelForSequenceClassification.from_pretrained(folder / "model")
    return model, saved, [replace(head, logits=_logits(saved, job, 0)), trial]


def _save_decided(model: Any, saved: Any, stage: Stage, job: Job, folder: RunFolder) -> None:
    """Saves a model with the thresholds of the stage that it has reached, if its task has some."""
    stage.give_thresholds(model, saved, job.model)
    folder.save_model(model, job.tokenizer)


def _logits(model: Any, job: Job, unfreeze: int | str) -> np.ndarray:
    """Returns the logits that a model as it was loaded gives the validation texts, float32 `(M, C)`."""
    model.freeze(0)
    # Not `job.inputs`: that computes the training texts too, which a base that was trained has no use for.
    validation = job.tokens.take(np.arange(len(job.train), len(job.tokens)))
    cache = "disk" if unfreeze == 0 else "memory"  # features of a trained base are never needed again
    kept: dict[str, Any] = {"cache": cache, "cache_dir": job.settings.compute.cache_dir, "checkpoint": job.checkpoint}
    features = extract(model.encoder, validation, **kept, progress=False)
    return model.predict(batches(features, batch_size=4096), verbose=0).logits


def _reached(stage: Stage) -> str:
    loss, score = format_value(stage.loss, "score"), format_value(stage.score, stage.task.measure.kind)
    return f"validation loss {loss}, validation {stage.task.score_words} {score}"


def _shown_settings(settings: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """Returns the settings and the values of the best trial, with one line for each part of the space."""

    def described(space: Any) -> Any:
        if isinstance(space, dict):
            return f"{space['lowest']} to {space['highest']}"
        return ", ".join(map(str, space)) if isinstance(space, (list, tuple)) else space

    shown = {**settings, **values}
    space = shown.pop("space")
    return shown | {f"searched: {name}": described(part) for name, part in space.items()}
