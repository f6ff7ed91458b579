"""KerasTuner's search methods, with what a search over hours needs: exact resuming, and workers that may die.

KerasTuner's oracles propose the values of trials and keep the record. What is added here, by one mixin for all of them:
files are written whole, so that a kill leaves none half; a resumed search proposes what an unkilled one would; the first
trial has the default values; small spaces are searched to the end; and a chief takes a trial back from a worker that is not
heard of any more. `chief` serves an oracle, workers reach it by KerasTuner's own client.
"""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras_tuner
import numpy as np
from keras_tuner import oracles
from keras_tuner.src.tuners.gridsearch import LinkedList

from bert_tf import files

COMPLETED, FAILED, IDLE, STOPPED, RUNNING = "COMPLETED", "FAILED", "IDLE", "STOPPED", "RUNNING"


class _Reliable:
    """A mixin for `keras_tuner.Oracle`s. `ended` is called with each trial that has ended."""

    lease = math.inf
    ended: Callable[[Any], None] | None = None
    ongoing_trials: dict[str, Any]
    tuner_ids: set[str]

    def __init__(self, **options):
        super().__init__(max_consecutive_failed_trials=10**9, **options)  # all failed is for `search` to say
        self.verbose = 0
        self._max_collisions = 1000  # draws, before a space is taken for exhausted
        self._heard: dict[str, float] = {}

    # Proposals

    def populate_space(self, trial_id):
        found = super().populate_space(trial_id)
        if not self.trials and found.get("values"):
            space = self.get_space()
            found["values"] |= {hp.name: hp.default for hp in space.space if hp.name in found["values"]}
        return found

    @keras_tuner.synchronized
    def create_trial(self, tuner_id):
        self._take_back()
        self._retry_queue = [trial_id for trial_id in self._retry_queue if trial_id not in self.end_order]
        trial = super().create_trial(tuner_id)
        if trial.status == STOPPED and self.ongoing_trials:  # one of them may yet come back
            trial.status = IDLE
            self.tuner_ids.add(tuner_id)
        self._heard[trial.trial_id] = time.monotonic()
        return trial

    @keras_tuner.synchronized
    def end_trial(self, trial):
        if trial.trial_id in self.end_order:  # by a worker that had been given up, after another did it
            return
        super().end_trial(trial)
        if self.ended:
            self.ended(self.trials[trial.trial_id])

    # Workers

    def heard(self, trial_id: str) -> None:
        """Notes a sign of life of the worker that runs a trial."""
        self._heard[trial_id] = time.monotonic()

    @keras_tuner.synchronized
    def _take_back(self) -> None:
        for tuner_id, trial in list(self.ongoing_trials.items()):
            if time.monotonic() - self._heard.get(trial.trial_id, -math.inf) > self.lease:
                self.ongoing_trials.pop(tuner_id)
                self.tuner_ids.discard(tuner_id)
                self._retry_queue.append(trial.trial_id)

    @keras_tuner.synchronized
    def finished(self) -> bool:
        """Returns whether no worker is left that asks or runs."""
        return not self.ongoing_trials and not self.tuner_ids

    def continuable(self) -> set[str]:
        """Returns the ended trials that may yet be gone on with."""
        return set()

    # Files

    def save(self):
        files.write_json(Path(self._get_oracle_fname()), self.get_state())

    def _save_trial(self, trial):
        files.write_json(Path(self._get_trial_dir(trial.trial_id)) / "trial.json", trial.get_state())

    def reload(self):
        super().reload()
        # A kill may come between the file of a trial and that of the oracle, which decides.
        self.trials = {trial_id: self.trials[trial_id] for trial_id in self.start_order if trial_id in self.trials}
        self.start_order = list(self.trials)
        self._retry_queue = sorted({*self._retry_queue} - {*self.end_order}, reverse=True)


class RandomOracle(_Reliable, oracles.RandomSearchOracle):
    """Values at random (Bergstra & Bengio 2012, https://jmlr.org/papers/v13/bergstra12a.html)."""


class BayesianOracle(_Reliable, oracles.BayesianOptimizationOracle):
    """Values where a Gaussian process on the trials so far promises most (Snoek et al. 2012, https://arxiv.org/abs/1206.2944)."""

    def populate_space(self, trial_id):
        # KerasTuner does not keep the state of this generator: a resumed search would propose other values.
        self._random_state = np.random.RandomState((self.seed + len(self.trials)) % 2**32)
        return super().populate_space(trial_id)


class GridOracle(_Reliable, oracles.GridSearchOracle):
    """Every combination, the defaults first; of a range 10 values. The learning rate changes fastest."""

    def set_state(self, state):
        super().set_state(state)
        # KerasTuner does not keep these. Our space does not grow, so each trial's successor is the next one.
        self._ordered_ids, self._populate_next = LinkedList(), self.start_order[-1:]
        for trial_id in self.start_order:
            self._ordered_ids.insert(trial_id)


class HyperbandOracle(_Reliable, oracles.HyperbandOracle):
    """Many trials for few epochs, the best of them for more (Li et al. 2018, https://jmlr.org/papers/v18/16-558.html)."""

    def continuable(self):
        rounds = [part for bracket in self._brackets for part in bracket["rounds"]]
        taken = {info["past_id"] for part in rounds for info in part}
        last = [info["id"] for bracket in self._brackets for info in bracket["rounds"][-1]]
        return {info["id"] for part in rounds for info in part} - taken - {*last}


# A search method is a row here: its name -> its oracle.
ORACLES: dict[str, Any] = {
    "random": RandomOracle,
    "bayesian": BayesianOracle,
    "grid": GridOracle,
    "hyperband": HyperbandOracle,
}


def make_oracle(method: str, objective: str, max_trials: int | None, epochs: int, seed: int) -> Any:
    """Makes the oracle of a method.

    Raises: ValueError for an unknown method; ImportError if Bayesian optimization's libraries are missing.
    """
    if method not in ORACLES:
        raise ValueError(f"`tuner` must be one of {', '.join(ORACLES)}. Received: tuner={method!r}")
    options: dict[str, Any] = {"objective": objective, "seed": seed + 1}  # KerasTuner takes 0 for "any"
    if method == "hyperband":
        options["max_epochs"] = epochs
    else:
        options["max_trials"] = max_trials
    try:
        made = ORACLES[method](**options)
    except ImportError as error:
        raise ImportError(f"tuner={method!r} needs more libraries: pip install 'bert-tf[bayesian]'") from error
    made.max_trials = max_trials
    return made
