"""The search for learning rate, batch size and epochs in one call: labelled texts in, the best trial's model and a record out."""

import math
import operator
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras_tuner
import numpy as np
from keras import ops
from keras_tuner.src import config
from tqdm import tqdm

from bert_tf import files
from bert_tf.checkpoints import locate
from bert_tf.evaluation.scores import softmax
from bert_tf.features.extraction import extract
from bert_tf.files import read_json
from bert_tf.formatting import format_value
from bert_tf.models.auto import TFAutoModelForSequenceClassification
from bert_tf.training import run_folder, run_report
from bert_tf.training.backup import load
from bert_tf.tuning import distributed, oracles, results
from bert_tf.tuning.hypermodel import RECORD, ClassifierHyperModel
from bert_tf.tuning.sections import search_sections
from bert_tf.tuning.space import SPACE

KEPT = 5  # trials whose weights are kept, the best ones


TRIALS = "trials"  # KerasTuner's folder in that of the search


ADDRESS = "127.0.0.1:7077"


class SearchFailedError(ValueError):
    """No trial of a search finished."""


@dataclass(frozen=True)
class Searched:
    """What `search` leaves.

    Attributes:
        model: the classifier of the best trial, with the weights of its best epoch.
        tokenizer: the checkpoint's.
        trials: dicts, the rows of trials.csv, in the trials' order.
        best: dict, what best.json holds.
        output_dir: Path of the search.
    """

    model: Any
    tokenizer: Any
    trials: list[dict[str, Any]]
    best: dict[str, Any]
    output_dir: Path


def search(
    train: Any,
    validation: Any = None,
    *,
    checkpoint: str | Path = locate.MINILM,
    output_dir: str | Path = "runs/search",
    tuner: str = "random",
    max_trials: int | None = None,
    epochs: int = 10,
    chief: bool = False,
    worker: str | None = None,
    address: str = ADDRESS,
    lease: float = distributed.LEASE,
    overwrite: bool = False,
    resume: bool = False,
    report: bool = True,
    verbose: bool = True,
    **hypermodel: Any,
) -> Searched | None:
    """Searches what trains best, and keeps the best trial's model.

    The first trial has the values that `bert_tf.finetune` takes by itself. Each trains to the last epoch, or until it has not
    become better for 5 (`early_stopping`); the best epoch is read off its curve. The model that is left is that of the best
    trial at its best epoch, not one trained anew.

    Several processes share a search: one `chief`, which trains nothing, and any number of workers, each called with the same
    arguments and on the same `output_dir`. A worker that dies loses only its trial, which another goes on with.

    Args:
        train, validation, checkpoint: as for `bert_tf.finetune`.
        output_dir: folder for report.html, model/, trials.csv, best.json, search.png, tensorboard/, trials/.
        tuner: "random", "bayesian", "grid" or "hyperband".
        max_trials: int; None = 30, for "hyperband" as many as it takes by itself.
        epochs: int, the largest number.
        chief: bool, whether to hand out trials to workers.
        worker: str, a name: whether to run the trials of a chief.
        address: "HOST:PORT" of the chief. What goes over it is neither encrypted nor authenticated, therefore it is bound to
            this machine unless you say otherwise; say so on a network that you trust.
        lease: float, seconds without a sign of life after which a chief takes a worker for dead.
        overwrite, resume: bool, what to do where `output_dir` already holds a search: start anew, or go on with it: finished
            trials are not run again, the one that was running goes on after its last finished epoch. With a larger
            `max_trials` a finished search goes on, too.
        report: bool, whether to write report.html and the model card, see `bert_tf.finetune`.
        verbose: bool, whether to say how it goes.
        **hypermodel: more arguments of `bert_tf.ClassifierHyperModel`: the space (`learning_rate`, `batch_size`, `dropout`,
            `weight_decay`, `warmup`, `unfreeze`), `objective`, `early_stopping`, `seed`, and those of `bert_tf.finetune`.
    Returns: `Searched`; None for a worker.
    Raises: SearchFailedError, a ValueError, if no trial finished, with the reasons; else as `bert_tf.finetune`.

    >>> from bert_tf.data.readers import demo_reviews
    >>> found = search(*demo_reviews(), max_trials=5, epochs=5, output_dir="runs/search")  # doctest: +SKIP
    """
    started = time.monotonic()
    output_dir = Path(output_dir).expanduser()
    if chief and worker is not None:
        raise ValueError("A process is a chief or a worker. Received: chief=True and worker=" + repr(worker))
    if worker is not None and ("chief" in worker or not worker):
        raise ValueError(f"`worker` is a name of its own for each worker, without 'chief' in it. Received: {worker!r}")
    if (chief or worker) and not (address.rpartition(":")[0] and address.rpartition(":")[2].isdigit()):
        raise ValueError(f"`address` must be HOST:PORT, such as {ADDRESS}. Received: address={address!r}")
    if max_trials is None:
        max_trials = None if tuner == "hyperband" else 30
    elif operator.index(max_trials) < 1:
        raise ValueError(f"`max_trials` must be at least 1. Received: max_trials={max_trials}")
    say: Any = (lambda text: print(text, flush=True)) if verbose else (lambda *_: None)
    made = ClassifierHyperModel(
        train, validation, checkpoint=checkpoint, epochs=epochs, verbose=verbose, **hypermodel
    )  # what is wrong is said before anything is read
    oracle = oracles.make_oracle(tuner, made.objective, max_trials, epochs, made.seed)
    if worker is None:
        goes_on = resume and not overwrite and _trials_done(output_dir) < (max_trials or 0)
        if not goes_on:
            run_folder.check_folder(output_dir, overwrite, resume, sources=(str(checkpoint), train, validation))
    for remark in made.remarks():
        say(remark)
    made.build(keras_tuner.HyperParameters())  # a wrong optimizer is to be known before the long work
    settings = {"job": "search", "tuner": tuner, **made.settings()}
    if worker is None:
        run_folder.check_resumable(output_dir, settings, resume)
        run_folder.start(output_dir, settings, overwrite, resume)
        (output_dir / "best.json").unlink(missing_ok=True)  # a finished search that goes on
    else:
        _join(output_dir, settings)
    if not chief:
        made.load_features()
    with distributed.role(address, "chief" if chief else worker):
        loop = _Tuner(oracle, made, directory=output_dir, project_name=TRIALS)
        if resume and worker is None and (output_dir / TRIALS / "oracle.json").is_file():
            oracle.reload()
        if worker is not None:
            say(f"Worker {worker}: running the trials of {address}.")
            loop.search()
            say(f"Worker {worker}: no trials are left.")
            return None
        with _Progress(oracle, output_dir, made, verbose) as progress:
            oracle.ended = progress.ended
            if chief:
                oracle.lease = lease
                say(f"Waiting for workers at {address}.")
                loop.save()
                distributed.serve(oracle, address, progress.refresh)
            else:
                loop.search()
    return _finish(made, oracle, settings, output_dir, started, say, report)


class _Tuner(keras_tuner.Tuner):
    """KerasTuner's loop over trials, with shared models, files written by the oracle alone, and signs of life."""

    _asked = False
    _beats: distributed.Beats | None = None

    def _try_run_and_update_trial(self, trial, *args, **kwargs):
        config.DEBUG = False  # else it prints the stack of whatever makes a trial fail
        super()._try_run_and_update_trial(trial, *args, **kwargs)

    def _try_build(self, hp):
        return self.hypermodel.build(hp)  # KerasTuner clears Keras' session first, and with it what trials share

    def save(self):
        if not self._is_worker():
            self.oracle.save()

    def pre_create_trial(self):
        if self._asked:  # and there was none yet: others are running
            time.sleep(0.5)
        self._asked = True

    def on_trial_begin(self, trial):
        self._asked = False
        if self._is_worker():
            self._beats = distributed.Beats(self.oracle, trial.trial_id)

    def on_trial_end(self, trial):
        if self._beats:
            self._beats.stop()
            self._beats = None
        super().on_trial_end(trial)


class _Progress:
    """Says how a search goes: a line a trial, a bar with the time left; keeps the folder small."""

    def __init__(self, oracle, output_dir: Path, made: ClassifierHyperModel, verbose: bool):
        self.oracle, self.output_dir, self.objective, self.verbose = oracle, output_dir, made.objective, verbose
        self.fixed = [name for name, values in made.space.items() if not isinstance(values, (list, tuple))]
        self.total = _total(oracle)
        self.before = len(oracle.end_order)
        self.started = time.monotonic()
        hidden = not (verbose and sys.stderr.isatty())
        self.bar = tqdm(total=self.total, initial=self.before, desc="Search", unit=" trials", disable=hidden)

    def __enter__(self):
        if self.before:
            self._say(f"Resumed after {self.before} trials.")
        return self

    def _say(self, text: str) -> None:
        if self.verbose:
            tqdm.write(text, file=sys.stdout)  # past the bar
            sys.stdout.flush()

    def __exit__(self, *_):
        self.bar.close()

    def refresh(self) -> None:
        self.bar.refresh()

    def ended(self, trial) -> None:
        file = self.output_dir / TRIALS / f"trial_{trial.trial_id}" / RECORD
        if not file.is_file():
            reason = (trial.message or "its worker could not run it").strip().splitlines()[-1]
            files.write_json(file, {"values": {}, "history": {}, "seconds": 0.0, "failed": reason})
        record = read_json(file)
        results.write_hparams(self.output_dir / "tensorboard", trial.trial_id, record)
        ended = len(self.oracle.end_order)
        left = (time.monotonic() - self.started) / max(ended - self.before, 1) * (self.total - ended)
        values = ", ".join(f"{n} {_short(v)}" for n, v in record["values"].items() if n not in self.fixed)
        gave = f"failed: {record['failed']}" if record.get("failed") else self._gave(record)
        best = self.oracle.get_best_trials(1)[0]
        if best.status == oracles.COMPLETED:
            gave += f"; best so far {format_value(best.score, 'score')} (trial {best.trial_id})"
        self._say(f"Trial {trial.trial_id} ({ended} of {self.total}): {values}: {gave}. About {left:.0f} s left.")
        self.bar.update(1)
        _prune(self.oracle, self.output_dir / TRIALS)

    def _gave(self, record) -> str:
        history, best = record["history"], record["best_epoch"]
        reached = format_value(history[self.objective][best - 1], "score")
        return f"{self.objective} {reached} at epoch {best} of {len(history['loss'])}"


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _total(oracle) -> int:
    """Returns the number of trials that a search will have at most."""
    most = oracle.max_trials or math.inf
    if isinstance(oracle, oracles.HyperbandOracle):
        brackets = range(oracle._get_num_brackets())
        sizes = [oracle._get_size(b, r) for b in brackets for r in range(oracle._get_num_rounds(b))]
        most = min(most, sum(sizes))
    return int(most)


def _prune(oracle, folder: Path) -> None:
    """Removes the weights of ended trials that are neither among the best nor to be gone on with."""
    best = [trial.trial_id for trial in oracle.get_best_trials(KEPT) if trial.status == oracles.COMPLETED]
    continuable = oracle.continuable()
    for trial_id in oracle.end_order:
        if trial_id not in continuable:
            (folder / f"trial_{trial_id}" / "last.safetensors").unlink(missing_ok=True)
        if trial_id not in continuable and trial_id not in best:
            (folder / f"trial_{trial_id}" / "best.safetensors").unlink(missing_ok=True)


def _trials_done(output_dir: Path) -> float:
    """Returns how many trials a finished search had; a folder that holds none is done with any number."""
    file = output_dir / "best.json"
    return read_json(file)["trials"] if file.is_file() else math.inf


def _join(output_dir: Path, settings: dict) -> None:
    """Waits for the chief's folder; raises FileNotFoundError if there is none, ValueError if it is of another search."""
    until = time.monotonic() + distributed.CHIEF_TIMEOUT
    while not (output_dir / run_folder.RUN).is_file():
        if time.monotonic() > until:
            raise FileNotFoundError(
                f"{output_dir}: no chief has begun a search here. Start one with the same options and chief=True "
                "(--chief); chief and workers need the same folder."
            )
        time.sleep(0.5)
    run_folder.check_resumable(output_dir, settings, resume=True)


# Results


def _finish(
    made: ClassifierHyperModel, oracle, settings, output_dir: Path, started: float, say, with_report: bool
) -> Searched:
    objective, job = made.objective, made.job
    records = {
        trial_id: read_json(output_dir / TRIALS / f"trial_{trial_id}" / RECORD) for trial_id in sorted(oracle.end_order)
    }
    rows = results.trial_rows(records, objective)
    names = [*SPACE, "learning_rate"]
    metrics = ["val_loss", "val_accuracy", "loss", "accuracy"]
    header = ["trial", "status", *names, "best_epoch", "epochs", *metrics, "seconds", "continues", "failed"]
    files.write_csv(output_dir / "trials.csv", header, rows)
    finished = results.ranked(rows, objective)
    if not finished:
        reasons = "; ".join(f"trial {row['trial']}: {row['failed']}" for row in rows)
        raise SearchFailedError(
            f"{output_dir}: none of {len(rows)} trials finished, so there is no best model. {reasons or 'No trial was run'}."
        )
    best = finished[0]
    trial_dir = output_dir / TRIALS / f"trial_{best['trial']}"
    model = made.build(oracle.trials[best["trial"]].hyperparameters)
    load(trial_dir / "best.safetensors", model.trainable_variables)
    job.tokenizer.model_max_length = job.max_length
    run_folder.save_model(output_dir, model, job.tokenizer)
    results.plot_search(output_dir / "search.png", rows, {n: r["history"] for n, r in records.items()}, objective)
    values = {name: best[name] for name in names}
    again = run_report.command(job, {**made.options(), **values})
    measured, probabilities = _measured(output_dir / "model", job, values["unfreeze"], made.cache_dir)
    result = {
        "trial": best["trial"],
        "values": values,
        "best_epoch": best["best_epoch"],
        "in_search": {name: best[name] for name in metrics},
        **measured,
        "trials": len(rows),
        "failed": len(rows) - len(finished),
        "finetune": again,
        "seconds": round(time.monotonic() - started, 2),
        "settings": settings,
        "versions": run_folder.versions("bert-tf", "keras", "keras-tuner", "transformers"),
    }
    files.write_json(output_dir / "best.json", result)
    say("\n" + results.trial_table(finished[:10], names))
    if failed := len(rows) - len(finished):
        say(f"{failed} trials failed; why stands in trials.csv.")
    say(
        f"\nBest: trial {best['trial']}, epoch {best['best_epoch']} of {best['epochs']}: {objective} "
        f"{format_value(best[objective], 'score')}. The saved model, computed in float32: validation loss "
        f"{format_value(result['val_loss'], 'score')}, validation accuracy {format_value(result['val_accuracy'], 'score')}. "
        f"{format_value(result['seconds'], 'seconds')}."
    )
    if with_report:
        histories = {name: record["history"] for name, record in records.items()}
        result |= run_report.write(
            output_dir, job, lambda: probabilities, results=result, history=histories[best["trial"]],
            settings=_shown_settings(settings, values), parameters=model.parameter_table(), command=again,
            seconds={"the whole search, this report aside": result["seconds"], "the best trial": best["seconds"]},
            sections=lambda: search_sections(rows, histories, objective, names),
        )  # fmt: skip
        files.write_json(output_dir / "best.json", result)
    for remark in run_report.remarks(result):
        say(remark)
    say(f"In {output_dir}/:")
    say("  " + ", ".join(name for name in run_folder.SEARCH_OUTPUTS if (output_dir / name).exists()))
    say(f"The same by finetune: {result['finetune']}")
    return Searched(model, job.tokenizer, rows, result, output_dir)


def _shown_settings(settings: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """Returns the settings and the best trial's values, the space a line a name."""
    space = {
        f"searched: {name}": f"{found['lowest']} to {found['highest']}" if isinstance(found, dict)
        else ", ".join(map(str, found)) if isinstance(found, (list, tuple)) else found
        for name, found in settings["space"].items()
    }  # fmt: skip
    return {**{name: value for name, value in settings.items() if name != "space"}, **values, **space}


def _measured(folder: Path, job, unfreeze: int | str, cache_dir) -> tuple[dict[str, float], np.ndarray]:
    """Loads the saved model again, in float32, and measures it on the validation texts: what it gives wherever it is used.

    Returns: `val_loss` and `val_accuracy`; probabilities, `(texts, classes)`.
    """
    model = TFAutoModelForSequenceClassification.from_pretrained(folder)
    model.freeze(0)
    size = len(job.train)
    tokens = job.tokens.take(np.arange(size, len(job.tokens)))
    kind = "disk" if unfreeze == 0 else "memory"  # of a base that was trained nobody will ask again
    features = extract(
        model.encoder, tokens, cache=kind, cache_dir=cache_dir, checkpoint=job.checkpoint, progress=False
    )
    rows = np.stack([features[i] for i in range(len(features))])
    logits = model.predict({"features": rows}, batch_size=4096, verbose=0).logits
    losses = ops.convert_to_numpy(model.hf_compute_loss(job.validation.labels, logits))
    right = logits.argmax(axis=1) == job.validation.labels
    return {"val_loss": float(losses.mean()), "val_accuracy": float(right.mean())}, softmax(logits.astype("float64"))
