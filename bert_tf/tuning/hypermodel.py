"""A classifier as KerasTuner searches it: which numbers may differ, and how a trial is run.

    tuner = keras_tuner.RandomSearch(ClassifierHyperModel("reviews.csv", epochs=20), "val_loss", max_trials=30)
    tuner.search()
    best = tuner.get_best_models()[0]

Trials share the loaded base, the features of its frozen layers and compiled steps. Each trains from the same start to the
last epoch and keeps its whole curve and the weights of its best epoch, nothing that is frozen.
"""

import operator
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np

from bert_tf import files, hardware
from bert_tf.checkpoints import locate
from bert_tf.evaluation.history import best_epoch
from bert_tf.files import read_json
from bert_tf.training.backup import Backup
from bert_tf.training.job import Job, Say, prepare
from bert_tf.training.optimizer import compile_with
from bert_tf.training.recipe import Recipe, usual_learning_rate
from bert_tf.tuning.runner import Worker, history_of, reads_trials
from bert_tf.tuning.space import SPACE, ask, checked_space, learning_rate_range, trial_values

RECORD = "record.json"  # what a trial was and gave, in its folder; it is finished when this is there


class ClassifierHyperModel(keras_tuner.HyperModel):
    """A classifier and its data, for any tuner of KerasTuner.

    Each of `learning_rate`, `batch_size`, `dropout`, `weight_decay`, `warmup` and `unfreeze` is one value (fixed), a list
    (one of these), or a pair `(lowest, highest)` (a range; of the learning rate by its logarithm); None = the usual ones.
    Values that `bert_tf.finetune` would take come first where a tuner starts with the defaults.

    Epochs are no hyperparameter: each trial runs to the largest number, with schedules that span it, and the best epoch is
    read off its curve, the earlier of equals. A tuner that runs trials in rounds (Hyperband) continues them exactly: its
    `max_epochs` must be `epochs`.

    `tuner.search()` takes no data. A trial folder holds record.json (settings, curve, seconds, why it failed) and
    best.safetensors (what was trained, at the best epoch), which is what `tuner.get_best_models` reads. Models of one search
    share their frozen layers. A trial that was killed goes on after its last finished epoch.

    Args:
        train, validation: sources, as for `bert_tf.finetune`.
        learning_rate, batch_size, dropout, weight_decay, warmup, unfreeze: the space, see above.
        epochs: int, the largest number.
        objective: "val_loss" or "val_accuracy", what decides the best epoch; the tuner's should be the same.
        early_stopping: int, epochs without a better one after which a trial stops; None = never.
        schedule: "constant" or "linear", see `bert_tf.training.recipe.Recipe`.
        checkpoint, optimizer, max_length, text_column, label_column, validation_share, new_head, head, cache_dir, precision,
            micro_batch_size, seed: as for `bert_tf.finetune`.
        verbose: bool, whether to say what is read and computed.
    Raises: ValueError, FileNotFoundError, with the first model: as `bert_tf.finetune`.

    >>> hypermodel = ClassifierHyperModel("reviews.csv", learning_rate=(3e-4, 3e-3), batch_size=[16, 32])
    """

    def __init__(
        self,
        train: Any,
        validation: Any = None,
        *,
        checkpoint: str | Path = locate.MINILM,
        learning_rate: Any = None,
        batch_size: Any = None,
        dropout: Any = None,
        weight_decay: Any = None,
        warmup: Any = None,
        unfreeze: Any = None,
        epochs: int = 10,
        objective: str = "val_loss",
        early_stopping: int | None = 5,
        schedule: str = "constant",
        optimizer: str = "adam",
        max_length: int | None = None,
        text_column: str | None = None,
        label_column: str | None = None,
        validation_share: float = 0.2,
        new_head: bool = False,
        head: str | None = None,
        cache_dir: str | Path | None = None,
        precision: str = "auto",
        micro_batch_size: int | None = None,
        seed: int = 0,
        verbose: bool = True,
    ):
        super().__init__()
        if objective not in ("val_loss", "val_accuracy"):
            raise ValueError(f"`objective` must be 'val_loss' or 'val_accuracy'. Received: objective={objective!r}")
        given = {
            "unfreeze": unfreeze, "warmup": warmup, "weight_decay": weight_decay, "dropout": dropout,
            "batch_size": batch_size,
        }  # fmt: skip
        self.space = {
            name: checked_space(name, SPACE[name] if value is None else value) for name, value in given.items()
        }
        self.learning_rate = None if learning_rate is None else checked_space("learning_rate", learning_rate)
        self.recipe = Recipe(
            epochs=operator.index(epochs),
            learning_rate=1.0,  # and the batch size: a trial's
            optimizer=optimizer,
            schedule=schedule,
            early_stopping=early_stopping,
            micro_batch_size=None if micro_batch_size is None else operator.index(micro_batch_size),
        )
        self.objective, self.seed, self.cache_dir = objective, seed, cache_dir
        self.verbose = verbose
        self.say: Say = print if verbose else (lambda *_: None)
        self._sources = (train, validation)
        self._options: dict[str, Any] = {
            "checkpoint": checkpoint, "max_length": max_length, "text_column": text_column,
            "label_column": label_column, "validation_share": validation_share, "new_head": new_head,
            "head": head, "precision": precision, "seed": seed,
        }  # fmt: skip
        self._job: Job | None = None
        self._workers: dict[int | str, Worker] = {}

    @property
    def job(self) -> Job:
        """Data and model, read when first asked for."""
        if self._job is None:
            least = min(self.depths, key=lambda depth: np.inf if depth == "all" else depth)
            self._job = prepare(*self._sources, unfreeze=least, say=self.say, **self._options)
            for depth in [*self.depths, least]:
                self._job.model.freeze(depth)  # raises for more layers than there are
        return self._job

    @property
    def depths(self) -> list[int | str]:
        """Every number of unfrozen layers that is searched."""
        return trial_values(self.space["unfreeze"])

    def settings(self) -> dict[str, Any]:
        """Returns what decides a search's trials, as JSON values."""
        rates = learning_rate_range(self.learning_rate, self.depths)
        return {
            **self.job.settings(),
            "space": {
                name: dict(zip(("lowest", "highest"), values, strict=True)) if isinstance(values, tuple) else values
                for name, values in [*self.space.items(), *((name, values) for name, values, _ in rates)]
            },
            "epochs": self.recipe.epochs, "objective": self.objective, "schedule": self.recipe.schedule,
            "early_stopping": self.recipe.early_stopping, "optimizer": self.recipe.optimizer, "seed": self.seed,
        }  # fmt: skip

    def options(self) -> dict[str, Any]:
        """Returns the options of `bert_tf.finetune` that all trials have in common; `job` knows those of the data."""
        given = {
            name: self._options[name]
            for name in ("precision", "text_column", "label_column", "new_head", "head", "seed")
        }
        return {
            "epochs": self.recipe.epochs, "schedule": self.recipe.schedule, "optimizer": self.recipe.optimizer,
            "micro_batch_size": self.recipe.micro_batch_size, **given,
        }  # fmt: skip

    def remarks(self) -> list[str]:
        """Returns why learning rates at the ends of the space may not learn."""
        found: dict[str | None, None] = {}
        for _, values, depths in learning_rate_range(self.learning_rate, self.depths):
            for rate in trial_values(values):
                for depth in depths:
                    remark = replace(self.recipe, learning_rate=rate).remark(depth)
                    found.setdefault(remark, None)
        return [remark for remark in found if remark]

    # A trial

    def values(self, hp: keras_tuner.HyperParameters) -> dict[str, Any]:
        """Asks a tuner for the values of a trial, which declares the space; fixed ones are among them."""
        defaults = {"unfreeze": self.depths[0], "warmup": 0.0, "weight_decay": 0.0, "batch_size": 32}
        defaults["dropout"] = float(self.job.model.dropout.rate)
        found = {name: ask(hp, name, values, defaults[name]) for name, values in self.space.items()}
        for name, values, depths in learning_rate_range(self.learning_rate, self.depths):
            default = usual_learning_rate(depths[0], self.job.model.head)
            if depths == self.depths:
                found["learning_rate"] = ask(hp, name, values, default)
                continue
            with hp.conditional_scope("unfreeze", [str(depth) for depth in depths]):
                rate = ask(hp, name, values, default)
            if found["unfreeze"] in depths:
                found["learning_rate"] = rate
        return found

    def build(self, hp: keras_tuner.HyperParameters) -> Any:
        """Returns a classifier as a trial starts from, compiled."""
        values = self.values(hp)
        self._adapt()
        model = self.job.model.fork(values["unfreeze"], values["dropout"])
        decay = values["weight_decay"] or None
        compile_with(model, self.recipe.optimizer, values["learning_rate"], decay)
        reads_trials(model)
        return model

    def fit(self, hp: keras_tuner.HyperParameters, model: Any, *args, **kwargs) -> keras.callbacks.History:
        """Runs a trial, or goes on with it; called by a tuner.

        Args:
            **kwargs: `callbacks` and `verbose` of `keras.Model.fit`; `epochs`, to stop before the last one.
        Returns: `History` of the whole trial, earlier rounds and what went before a kill included.
        Raises: keras_tuner.errors.FailedTrialError if it diverged or memory did not suffice.
        """
        if args or any(kwargs.get(name) is not None for name in ("x", "y", "validation_data")):
            raise keras_tuner.errors.FatalValueError(
                "ClassifierHyperModel has its data already: call search() without any."
            )
        until = min(kwargs.get("epochs") or self.recipe.epochs, hp.values.get("tuner/epochs", np.inf))
        if hp.values.get("tuner/epochs", 0) > self.recipe.epochs or until > self.recipe.epochs:
            raise keras_tuner.errors.FatalValueError(
                f"The tuner asks for {hp.values.get('tuner/epochs', until)} epochs, ClassifierHyperModel trains "
                f"{self.recipe.epochs}. Give both the same: epochs={self.recipe.epochs}, max_epochs={self.recipe.epochs}."
            )
        callbacks = [c for c in kwargs.get("callbacks") or () if type(c).__name__ != "SaveBestEpoch"]
        told = next((c for c in callbacks if hasattr(c, "tuner") and hasattr(c, "trial")), None)
        if told:
            folder = Path(told.tuner.get_trial_dir(told.trial.trial_id))
            earlier = hp.values.get("tuner/trial_id")
            before = Path(told.tuner.get_trial_dir(earlier)) if earlier else None
            return self._run(self.values(hp), folder, before, until, callbacks, kwargs.get("verbose", 0), model)
        with tempfile.TemporaryDirectory() as scratch:
            return self._run(self.values(hp), Path(scratch), None, until, callbacks, kwargs.get("verbose", 0), model)

    def _run(self, values, folder: Path, before: Path | None, until: int, callbacks, verbose, model):
        record = {"values": values, "continues": before.name if before else None}
        if (folder / RECORD).is_file():
            done = read_json(folder / RECORD)
            if not done.get("failed"):  # killed after this was written: there is nothing left to do
                return history_of(done["history"])
            for name in (RECORD, "last.safetensors", "best.safetensors"):  # a tuner tries again
                (folder / name).unlink(missing_ok=True)
        worker = self._worker(values["unfreeze"])
        if before and not (folder / "last.safetensors").is_file():
            for name in ("best.safetensors", "last.safetensors"):  # the last one at the end: it says that all is there
                files.copy_file(before / name, folder / name)
        backup = Backup(folder, self.objective, self.recipe.early_stopping)
        started = time.monotonic()
        try:
            at_once = worker.run(values, backup, until, callbacks, verbose)
            if not backup.history:
                raise keras_tuner.errors.FailedTrialError("No epoch was run.")
        except Exception as error:
            if isinstance(error, keras_tuner.errors.FailedTrialError):
                reason = str(error)
            elif hardware.is_out_of_memory(error):
                reason = "memory did not suffice, not even for one text at once"
            else:
                reason = f"{type(error).__name__}: {error}".split("\n")[0]
            self._write(folder, record | {"failed": reason, "history": backup.history}, started)
            if hardware.is_out_of_memory(error):
                raise keras_tuner.errors.FailedTrialError(reason) from error
            raise
        record["best_epoch"] = best_epoch(backup.history, self.objective)
        self._write(folder, record | {"at_once": at_once, "history": backup.history}, started)
        if until == self.recipe.epochs:  # else a tuner may yet go on from here
            (folder / "last.safetensors").unlink(missing_ok=True)
        for mine, its in zip(model.trainable_variables, worker.model.trainable_variables, strict=True):
            mine.assign(its)
        return history_of(backup.history)

    def _write(self, folder: Path, record: dict[str, Any], started: float) -> None:
        files.write_json(folder / RECORD, record | {"seconds": round(time.monotonic() - started, 3)})

    def train(self, values: Mapping[str, Any], folder: Path, seed: int) -> tuple[Any, dict[str, list[float]]]:
        """Trains once from another seed, with the steps that are compiled already: what `bert_tf.finetune` with that seed does.

        Args:
            values: of `learning_rate`, `batch_size`, `dropout`, `weight_decay`, `warmup` and `unfreeze`.
            folder: for the state of the run; killed and called again, it goes on where it was.
            seed: int, of the new head, the order of the texts and dropout. The split of the data stays.
        Returns: the classifier with the weights of its best epoch, to be used before the next call; and the history.
        """
        worker = self._worker(values["unfreeze"])
        if seed != worker.seed:
            options = {**self._options, "seed": seed, "unfreeze": values["unfreeze"]}
            worker.restart(prepare(self.job.train, self.job.validation, say=lambda _: None, **options).model, seed)
        backup = Backup(folder, self.objective, self.recipe.early_stopping)
        worker.run(values, backup, self.recipe.epochs, [], 0)
        backup.restore_best(worker.model)
        return worker.model, backup.history

    def validation_logits(self, unfreeze: int | str) -> np.ndarray:
        """Returns what the classifier of a depth says of the validation texts as it is now, float32 `(M, C)`."""
        worker = self._worker(unfreeze)
        return self.job.logits(worker.model, worker.inputs, 64)

    def load_features(self) -> None:
        """Computes what all trials share, or reads it: the features of each freeze depth. Without it the first trial does."""
        for depth in self.depths:
            self.load_depth(depth)

    def load_depth(self, unfreeze: int | str) -> None:
        """Computes the features of one freeze depth, or reads them."""
        self._worker(unfreeze)

    def _adapt(self) -> None:
        """Before the first model: all are copies of one, what its head standardises by included."""
        self.job.adapt(cache_dir=self.cache_dir, say=self.say)

    def _worker(self, unfreeze: int | str) -> Worker:
        if unfreeze not in self._workers:
            self._adapt()
            self._workers[unfreeze] = Worker(
                self.job,
                self.recipe,
                self.seed,
                unfreeze,
                cache_dir=self.cache_dir,
                progress=self.verbose,
                say=self.say,
            )
        return self._workers[unfreeze]
