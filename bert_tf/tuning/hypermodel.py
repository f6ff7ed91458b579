"""A classifier as KerasTuner searches it: which options vary, and how a trial runs.

    tuner = keras_tuner.RandomSearch(ClassifierHyperModel("reviews.csv", epochs=20), "val_loss", max_trials=30)
    tuner.search()
    best = tuner.get_best_models()[0]

Trials share the loaded base, the features of its frozen layers and the compiled steps. Each starts from the same weights,
and keeps its whole curve and the trained weights of its best epoch. With the recipe "auto" a new head is solved first, as
`finetune` does: trials that train layers start as it does, and all have to beat that head.
"""

import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
from keras_tuner import errors

from bert_tf import files, hardware, terminal
from bert_tf.evaluation.history import best_epoch
from bert_tf.options import with_options
from bert_tf.settings import HYPERMODEL, Settings
from bert_tf.training import recipe
from bert_tf.training.backup import Backup
from bert_tf.training.job import Job, Say, prepare
from bert_tf.training.learning_rate import warning
from bert_tf.training.optimizer import compile_with
from bert_tf.training.solver import SolvedHead
from bert_tf.training.stages import Stage, give_head, solve_head, standardised_rows, starting_head
from bert_tf.tuning import oracles
from bert_tf.tuning.runner import TRAINING_VALUES, TrialRunner, keras_history, load_trial_weights, training_of
from bert_tf.tuning.space import SPACE, ask, checked_space, learning_rate_ranges, trial_values

SOLVED = "solved head"  # the stage that is no trial
RECORD = "record.json"  # settings and results of a trial, in its folder; written last: the trial is finished


@with_options(HYPERMODEL)
class ClassifierHyperModel(keras_tuner.HyperModel):
    """A classifier and its data, for any tuner of KerasTuner.

    `learning_rate`, `batch_size`, `dropout`, `weight_decay`, `warmup` and `unfreeze` are each one value (fixed), a list (one
    of these) or a pair `(lowest, highest)` (a range; logarithmic for the learning rate). The values that `bert_tf.finetune`
    would take are the defaults, with which some tuners start.

    Epochs are not searched: each trial runs to the last one, with schedules that span them all, and the best epoch is read
    off its curve, the earlier of equals. A tuner that runs trials in rounds (Hyperband) continues them exactly: its
    `max_epochs` must be `epochs`.

    `tuner.search()` takes no data. A trial's folder holds record.json (settings, curve, seconds, why it failed) and
    best.safetensors (the trained weights of the best epoch), which `tuner.get_best_models` reads. Models of one search share
    their frozen layers. A killed trial resumes after its last finished epoch.

    Args:
        train, validation: sources, as for `bert_tf.finetune`.
        {options}
    Raises: as `bert_tf.finetune`; for data and checkpoint with the first model.

    >>> hypermodel = ClassifierHyperModel("reviews.csv", learning_rate=(3e-4, 3e-3), batch_size=[16, 32])
    """

    def __init__(self, train: Any, validation: Any = None, *, settings: Any = None, **options: Any):
        super().__init__()
        space = settings.space
        chosen = {name: getattr(space, name) for name in SPACE}
        self.space = {name: checked_space(name, SPACE[name] if v is None else v) for name, v in chosen.items()}
        rate = space.learning_rate
        self.learning_rate = None if rate is None else checked_space("learning_rate", rate)
        self.epochs: int = settings.training.epochs or 0
        self.objective = settings.trials.objective
        self.verbose = bool(settings.output.verbose)
        self.say: Say = terminal.say if self.verbose else (lambda _: None)
        self._sources, self._settings = (train, validation), settings
        self._job: Job | None = None
        self._runners: dict[int | str, TrialRunner] = {}

    @property
    def job(self) -> Job:
        """Data and model, read at the first use."""
        if self._job is None:
            least = min(self.depths, key=lambda depth: np.inf if depth == "all" else depth)
            # Without epochs: whether a head is solved is asked of the search, not of its trials.
            settings = self._settings.replace(unfreeze=least, epochs=None)
            self._job = prepare(*self._sources, settings=settings, say=self.say)
            score = self._job.task.score
            if self.objective not in ("val_loss", f"val_{score}"):
                raise ValueError(
                    f"objective={self.objective!r} is for one class a text. For {self._job.task.name}: objective='val_loss' "
                    "(--objective val_loss)"
                )
            for depth in [*self.depths, least]:
                self._job.model.freeze(depth)  # raises for more layers than there are
        return self._job

    @property
    def depths(self) -> list[int | str]:
        """Every number of unfrozen layers in the space."""
        return trial_values(self.space["unfreeze"])

    def of_depth(self, unfreeze: int | str) -> Settings:
        """Returns the settings that all trials of one freeze depth share, those that `bert_tf.finetune` would take."""
        solves = self.job.solves
        of_trials = dict.fromkeys(TRAINING_VALUES)
        settings = self._settings.replace(unfreeze=unfreeze, max_length=self.job.max_length, **of_trials)
        return recipe.filled_in(settings, self.job.model, new_head=solves, solved=solves and unfreeze != 0)

    @cached_property
    def solved(self) -> tuple[SolvedHead, Stage] | None:
        """The head solved on the frozen base and what it reaches on the validation texts; None if the recipe solves none."""
        if not self.job.solves:
            return None
        solved, logits, seconds, _ = self._heads
        labels, weights = self.job.validation.labels, self.job.validation_weights
        return solved, Stage(SOLVED, self.job.task, logits, labels, seconds, weights=weights)

    @cached_property
    def _heads(self) -> tuple[SolvedHead, np.ndarray, float, SolvedHead | None]:
        """The solved head, its logits of the validation texts and the seconds it took; and if some trials train layers the head
        that they start from. Both are of the same features, which are read once."""
        job, started = self.job, time.monotonic()
        rows = standardised_rows(job, self.verbose, self.say)
        solved, logits = solve_head(job, rows)
        seconds = time.monotonic() - started
        return solved, logits, seconds, starting_head(job, rows) if any(depth != 0 for depth in self.depths) else None

    def solved_model(self) -> Any:
        """Returns the classifier with the solved head on the frozen base, as it is saved."""
        assert self.solved is not None
        model = self.job.model.fork(0)
        give_head(model, self.solved[0])
        self.job.task.fold(model)
        return model

    def start(self, model: Any, unfreeze: int | str, dropout: float | None = None) -> Any:
        """Returns a fork of a classifier as trials of a freeze depth start: those that train layers from a solved head, if the
        recipe solves one."""
        model = model.fork(unfreeze, dropout)
        if unfreeze != 0 and self.job.solves:
            head = self._heads[-1]
            assert head is not None  # `unfreeze` is one of the depths
            give_head(model, head)
        return model

    def recorded(self) -> dict[str, Any]:
        """Returns what decides the trials, as JSON values."""
        rates = learning_rate_ranges(self.learning_rate, self.depths)
        space = self.space | {name: values for name, values, _ in rates}
        for name, values in space.items():
            if isinstance(values, tuple):
                space[name] = dict(zip(("lowest", "highest"), values, strict=True))
        options = HYPERMODEL.recorded(self._settings)
        for name in (*SPACE, "learning_rate"):
            options.pop(name, None)
        return {**options, **self.job.recorded(), "space": space}

    def settings_of(self, values: Mapping[str, Any]) -> Settings:
        """Returns the settings of `bert_tf.finetune` that train what a trial with these values trains."""
        settings = self.of_depth(values["unfreeze"])
        model = replace(settings.model, dropout=values["dropout"])
        return replace(settings, training=training_of(settings.training, values), model=model)

    def solved_settings(self) -> Settings:
        """Returns the settings of `bert_tf.finetune` that give the solved head."""
        of_trials = (*TRAINING_VALUES, "epochs", "early_stopping", "optimizer", "schedule", "clip")
        model = replace(self._settings.model, unfreeze=0, dropout=None)
        return replace(
            self._settings, model=model, training=replace(self._settings.training, **dict.fromkeys(of_trials))
        )

    def warnings(self) -> list[str]:
        """Returns why learning rates at the ends of the space may not work."""
        found = [
            warning(rate, self.of_depth(depth).training.optimizer or "", depth)
            for _, values, depths in learning_rate_ranges(self.learning_rate, self.depths)
            for rate in trial_values(values)
            for depth in depths
        ]
        return [text for text in dict.fromkeys(found) if text]

    def values(self, hp: keras_tuner.HyperParameters) -> dict[str, Any]:
        """Asks a tuner for the values of a trial, fixed ones included; this declares the space to the tuner."""
        first = self.of_depth(self.depths[0])
        defaults: dict[str, Any] = {"unfreeze": self.depths[0], "batch_size": first.training.texts_per_step}
        defaults |= {"warmup": first.training.warmup or 0.0, "weight_decay": first.training.weight_decay or 0.0}
        defaults["dropout"] = float(self.job.model.dropout.rate) if first.model.dropout is None else first.model.dropout
        found = {name: ask(hp, name, values, defaults[name]) for name, values in self.space.items()}
        for name, values, depths in learning_rate_ranges(self.learning_rate, self.depths):
            default = self.of_depth(depths[0]).training.learning_rate
            if depths == self.depths:
                found["learning_rate"] = ask(hp, name, values, default)
                continue
            with hp.conditional_scope("unfreeze", [str(depth) for depth in depths]):
                rate = ask(hp, name, values, default)
            if found["unfreeze"] in depths:
                found["learning_rate"] = rate
        return found

    def build(self, hp: keras_tuner.HyperParameters) -> Any:
        """Returns the classifier that a trial starts from, compiled."""
        values = self.values(hp)
        self.job.adapt(
            self.verbose, self.say
        )  # first: all models are copies of one, with what its head standardises by
        training = self.of_depth(values["unfreeze"]).training
        model = self.start(self.job.model, values["unfreeze"], values["dropout"])
        compile_with(
            model,
            training.optimizer or "adam",
            values["learning_rate"],
            values["weight_decay"] or None,
            clip=training.clip or None,
            metrics=self.job.metrics,
        )
        oracles.read_weights_with(model, lambda folder: self._load_weights(model, folder, values["unfreeze"]))
        return model

    def _load_weights(self, model: Any, folder: Path, unfreeze: int | str) -> bool:
        """Loads what a trial trained, as a saved model has it, with its thresholds; returns whether its folder holds that."""
        if found := load_trial_weights(model, folder):
            if self.job.task.decides:
                logits = self.job.logits(model, self._runner(unfreeze).inputs, 64)
                Stage("", self.job.task, logits, self.job.validation.labels, 0.0).give_thresholds(model)
            self.job.task.fold(model)
        return found

    def fit(self, hp: keras_tuner.HyperParameters, model: Any, *args, **kwargs) -> keras.callbacks.History:
        """Runs or resumes a trial; called by a tuner.

        Args:
            **kwargs: `callbacks` and `verbose` of `keras.Model.fit`; `epochs`, to stop before the last one.
        Returns: `History` of the whole trial, including earlier rounds and what was trained before a kill.
        Raises: keras_tuner.errors.FailedTrialError if it diverged or ran out of memory.
        """
        if args or any(kwargs.get(name) is not None for name in ("x", "y", "validation_data")):
            raise errors.FatalValueError("ClassifierHyperModel has its own data: call search() without any.")
        until = min(kwargs.get("epochs") or self.epochs, hp.values.get("tuner/epochs", np.inf))
        if hp.values.get("tuner/epochs", 0) > self.epochs or until > self.epochs:
            raise errors.FatalValueError(
                f"The tuner asks for {hp.values.get('tuner/epochs', until)} epochs, ClassifierHyperModel trains "
                f"{self.epochs}. Give both the same: epochs={self.epochs}, max_epochs={self.epochs}."
            )
        callbacks = oracles.without_checkpoints(kwargs.get("callbacks") or ())
        with tempfile.TemporaryDirectory() as scratch:
            folders = oracles.trial_folders(callbacks, hp.values.get("tuner/trial_id")) or (Path(scratch), None)
            return self._run(self.values(hp), *folders, until, callbacks, kwargs.get("verbose", 0), model)

    def _run(self, values, folder: Path, before: Path | None, until: int, callbacks, verbose, model):
        record = {"values": values, "continues": before.name if before else None}
        if (folder / RECORD).is_file():
            done = files.read_json(folder / RECORD)
            if not done.get("failed"):  # killed after this was written: nothing is left to do
                return keras_history(done["history"])
            for name in (RECORD, "last.safetensors", "best.safetensors"):  # the tuner retries it
                (folder / name).unlink(missing_ok=True)
        runner = self._runner(values["unfreeze"])
        if before and not (folder / "last.safetensors").is_file():
            for name in ("best.safetensors", "last.safetensors"):  # last.safetensors last: it says that both are there
                files.copy_file(before / name, folder / name)
        backup = Backup(folder, self.objective, self._settings.training.early_stopping)
        started = time.monotonic()
        try:
            at_once = runner.run(values, backup, until, callbacks, verbose)
            if not backup.history:
                raise errors.FailedTrialError("No epoch was run.")
        except Exception as error:
            if isinstance(error, errors.FailedTrialError):
                reason = str(error)
            elif hardware.is_out_of_memory(error):
                reason = "out of memory, even with one text at a time"
            else:
                reason = f"{type(error).__name__}: {error}".split("\n")[0]
            self._write(folder, record | {"failed": reason, "history": backup.history}, started)
            if hardware.is_out_of_memory(error):
                raise errors.FailedTrialError(reason) from error
            raise
        record["best_epoch"] = best_epoch(backup.history, self.objective)
        self._write(folder, record | {"at_once": at_once, "history": backup.history}, started)
        if until == self.epochs:  # else the tuner may continue it
            (folder / "last.safetensors").unlink(missing_ok=True)
        for mine, its in zip(model.trainable_variables, runner.model.trainable_variables, strict=True):
            mine.assign(its)
        self.job.task.fold(model)
        return keras_history(backup.history)

    def _write(self, folder: Path, record: dict[str, Any], started: float) -> None:
        files.write_json(folder / RECORD, record | {"seconds": round(time.monotonic() - started, 3)})

    def train(self, values: Mapping[str, Any], folder: Path, seed: int) -> tuple[Any, dict[str, list[float]]]:
        """Trains as `bert_tf.finetune` with that seed does, reusing the compiled steps.

        Args:
            values: of `learning_rate`, `batch_size`, `dropout`, `weight_decay`, `warmup` and `unfreeze`.
            folder: for the state of the run; a killed run resumes from it.
            seed: int, of the new head, the order of the texts and dropout. The split of the data stays.
        Returns: the classifier with the weights of its best epoch, valid until the next call; and the history.
        """
        runner = self._runner(values["unfreeze"])
        if seed != runner.seed:
            settings = self._settings.replace(seed=seed, unfreeze=values["unfreeze"])
            other = prepare(self.job.train, self.job.validation, settings=settings, say=lambda _: None)
            runner.restart(self.start(other.model, values["unfreeze"]), seed)
        backup = Backup(folder, self.objective, self._settings.training.early_stopping)
        runner.run(values, backup, self.epochs, [], 0)
        backup.restore_best(runner.model)
        return runner.model, backup.history

    def validation_logits(self, unfreeze: int | str) -> np.ndarray:
        """Returns the current logits of the classifier of a depth for the validation texts, float32 `(M, C)`."""
        runner = self._runner(unfreeze)
        return self.job.logits(runner.model, runner.inputs, 64)

    def load_features(self) -> None:
        """Computes the features of each freeze depth, or reads them from the cache. Without it the first trial does."""
        for depth in self.depths:
            self.load_depth(depth)

    def load_depth(self, unfreeze: int | str) -> None:
        """Does the same for one freeze depth."""
        self._runner(unfreeze)

    def _runner(self, unfreeze: int | str) -> TrialRunner:
        if unfreeze not in self._runners:
            self.job.adapt(self.verbose, self.say)
            model, training = self.start(self.job.model, unfreeze), self.of_depth(unfreeze).training
            self._runners[unfreeze] = TrialRunner(self.job, model, training, progress=self.verbose, say=self.say)
        return self._runners[unfreeze]
