"""KerasTuner's search methods, made to resume exactly and to survive workers that die.

KerasTuner's oracles propose the values of each trial and keep the record. One mixin adds to all of them: files are written
atomically; a resumed search proposes what an uninterrupted one would; the first trial has the default values; small
spaces are searched to the end; and a chief takes a trial back from a worker that has gone silent.

This module and `distributed` are the only ones that use private parts of KerasTuner; a test names them all.
"""

import math
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
from keras_tuner import oracles
from keras_tuner.src.engine.tuner_utils import SaveBestEpoch, TunerCallback
from keras_tuner.src.tuners.gridsearch import LinkedList

from bert_tf import files

COMPLETED, IDLE, STOPPED = "COMPLETED", "IDLE", "STOPPED"  # of a trial, as KerasTuner writes them
CHECKPOINT = "checkpoint.weights.h5"  # the file in a trial's folder that `tuner.get_best_models` reads


class FaultTolerant:
    """A mixin for `keras_tuner.Oracle`s.

    Attributes:
        lease: float, seconds of silence after which a worker loses its trial.
        on_trial_end: called with each trial that has ended.
    """

    lease = math.inf
    on_trial_end: Callable[[Any], None] | None = None
    max_trials: int | None
    ongoing_trials: dict[str, Any]
    tuner_ids: set[str]

    def __init__(self, **options):
        # A search in which all trials fail is reported by `search`, with the reasons.
        super().__init__(max_consecutive_failed_trials=10**9, **options)
        self.verbose = 0
        self._max_collisions = 1000  # draws of values already tried before the space counts as exhausted
        self._last_heard: dict[str, float] = {}

    def populate_space(self, trial_id):
        proposal = super().populate_space(trial_id)
        if not self.trials and proposal.get("values"):
            space = self.get_space().space
            proposal["values"] |= {hp.name: hp.default for hp in space if hp.name in proposal["values"]}
        return proposal

    @keras_tuner.synchronized
    def create_trial(self, tuner_id):
        self._reclaim_trials()
        self._retry_queue = [trial_id for trial_id in self._retry_queue if trial_id not in self.end_order]
        trial = super().create_trial(tuner_id)
        if trial.status == STOPPED and self.ongoing_trials:  # a worker may die and its trial be free again
            trial.status = IDLE
            self.tuner_ids.add(tuner_id)
        self._last_heard[trial.trial_id] = time.monotonic()
        return trial

    @keras_tuner.synchronized
    def end_trial(self, trial):
        if trial.trial_id in self.end_order:  # by a worker that had lost the trial, after another finished it
            return
        super().end_trial(trial)
        if self.on_trial_end:
            self.on_trial_end(self.trials[trial.trial_id])

    def most_trials(self) -> int:
        """Returns the number of trials that the search runs at most."""
        return int(self.max_trials or 0)

    def continuable(self) -> set[str]:
        """Returns the ended trials that a later trial may continue."""
        return set()

    def heartbeat(self, trial_id: str) -> None:
        """Records that the worker which runs a trial is alive."""
        self._last_heard[trial_id] = time.monotonic()

    @keras_tuner.synchronized
    def _reclaim_trials(self) -> None:
        for tuner_id, trial in list(self.ongoing_trials.items()):
            if time.monotonic() - self._last_heard.get(trial.trial_id, -math.inf) > self.lease:
                self.ongoing_trials.pop(tuner_id)
                self.tuner_ids.discard(tuner_id)
                self._retry_queue.append(trial.trial_id)

    @keras_tuner.synchronized
    def finished(self) -> bool:
        """Returns whether no worker is left."""
        return not self.ongoing_trials and not self.tuner_ids

    def save(self):
        files.write_json(Path(self._get_oracle_fname()), self.get_state())

    def _save_trial(self, trial):
        files.write_json(Path(self._get_trial_dir(trial.trial_id)) / "trial.json", trial.get_state())

    def reload(self):
        super().reload()
        # A kill can fall between writing a trial's file and the oracle's. The oracle's decides.
        self.trials = {trial_id: self.trials[trial_id] for trial_id in self.start_order if trial_id in self.trials}
        self.start_order = list(self.trials)
        self._retry_queue = sorted({*self._retry_queue} - {*self.end_order}, reverse=True)


class RandomOracle(FaultTolerant, oracles.RandomSearchOracle):
    """Random values (Bergstra & Bengio 2012, https://jmlr.org/papers/v13/bergstra12a.html)."""


class BayesianOracle(FaultTolerant, oracles.BayesianOptimizationOracle):
    """The most promising values by a Gaussian process over the trials so far (Snoek et al. 2012, https://arxiv.org/abs/1206.2944)."""

    def populate_space(self, trial_id):
        # KerasTuner does not save the state of this generator: a resumed search would propose other values.
        self._random_state = np.random.RandomState((self.seed + len(self.trials)) % 2**32)
        return super().populate_space(trial_id)


class GridOracle(FaultTolerant, oracles.GridSearchOracle):
    """Every combination, the defaults first, 10 values of each range. The learning rate changes fastest."""

    def set_state(self, state):
        super().set_state(state)
        # KerasTuner does not save these. Our space does not grow, so each trial's successor is the next one.
        self._ordered_ids, self._populate_next = LinkedList(), self.start_order[-1:]
        for trial_id in self.start_order:
            self._ordered_ids.insert(trial_id)


class HyperbandOracle(FaultTolerant, oracles.HyperbandOracle):
    """Many trials for few epochs, the best of them for more (Li et al. 2018, https://jmlr.org/papers/v18/16-558.html)."""

    def most_trials(self):
        brackets = range(self._get_num_brackets())
        size = sum(self._get_size(b, r) for b in brackets for r in range(self._get_num_rounds(b)))
        return min(self.max_trials or size, size)

    def continuable(self):
        rounds = [part for bracket in self._brackets for part in bracket["rounds"]]
        continued = {info["past_id"] for part in rounds for info in part}
        last = [info["id"] for bracket in self._brackets for info in bracket["rounds"][-1]]
        return {info["id"] for part in rounds for info in part} - continued - {*last}


# A search method is a row here: its name -> its oracle.
ORACLES: dict[str, Any] = {
    "random": RandomOracle,
    "bayesian": BayesianOracle,
    "grid": GridOracle,
    "hyperband": HyperbandOracle,
}


def make_oracle(method: str, objective: str, max_trials: int | None, epochs: int, seed: int) -> Any:
    """Makes the oracle of a method; ValueError if it is unknown, ImportError if Bayesian optimization's libraries are missing."""
    if method not in ORACLES:
        raise ValueError(f"`tuner` must be one of {', '.join(ORACLES)}. Received: tuner={method!r}")
    limit: dict[str, Any] = {"max_epochs": epochs} if method == "hyperband" else {"max_trials": max_trials}
    try:
        oracle = ORACLES[method](objective=objective, seed=seed + 1, **limit)  # KerasTuner takes the seed 0 for "any"
    except ImportError as error:
        raise ImportError(f"tuner={method!r} needs more libraries: pip install 'bert-tf[bayesian]'") from error
    oracle.max_trials = max_trials
    return oracle


def without_checkpoints(callbacks: Iterable[keras.callbacks.Callback]) -> list[keras.callbacks.Callback]:
    """Returns a tuner's callbacks but the one that saves the whole model after each best epoch: trials save what they train."""
    return [callback for callback in callbacks if not isinstance(callback, SaveBestEpoch)]


def trial_folders(
    callbacks: Iterable[keras.callbacks.Callback], continues: str | None
) -> tuple[Path, Path | None] | None:
    """Returns the folders of the trial that a tuner runs and of the one that it `continues`; None if no tuner called.

    One of the callbacks that a tuner gives to `HyperModel.fit` knows tuner and trial.
    """
    handle = next((callback for callback in callbacks if isinstance(callback, TunerCallback)), None)
    if handle is None:
        return None
    folder = handle.tuner.get_trial_dir
    return Path(folder(handle.trial.trial_id)), Path(folder(continues)) if continues else None


def read_weights_with(model: keras.Model, read: Callable[[Path], bool]) -> None:
    """Makes a model read what a trial saved where a tuner tells it to read the checkpoint that KerasTuner would have saved.

    `read` takes the folder of a trial and loads its weights into the model; it returns False if the trial saved none.
    """
    load_weights = model.load_weights

    def load(filepath, *args, **kwargs):
        path = Path(filepath)
        if path.name != CHECKPOINT or not read(path.parent):
            load_weights(filepath, *args, **kwargs)

    model.load_weights = load
