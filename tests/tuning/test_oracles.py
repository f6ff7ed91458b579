"""Search methods that resume exactly, chief and workers, and the private parts of KerasTuner that they need."""

import ast
import importlib
import socket
import threading
import time

import keras
import keras_tuner
import numpy as np
import pytest
from conftest import ROOT

from bert_tf.tuning import distributed, oracles

# Private parts of KerasTuner that bert_tf uses, by owner. An upgrade that lacks one must fail here, with its name.
MODULES = {
    "keras_tuner.src.config": {"DEBUG"},
    "keras_tuner.src.distribute.oracle_chief": {"OracleServicer"},
    "keras_tuner.src.distribute.oracle_client": {"TIMEOUT"},
    "keras_tuner.src.engine.tuner_utils": {"SaveBestEpoch", "TunerCallback"},
    "keras_tuner.src.protos": {"get_service_grpc"},
    "keras_tuner.src.tuners.gridsearch": {"LinkedList"},
}
EVERY_ORACLE = {"_get_oracle_fname", "_get_trial_dir", "_max_collisions", "_retry_queue", "_save_trial"}
ORACLES = {
    "RandomSearchOracle": set(),
    "BayesianOptimizationOracle": {"_random_state"},
    "GridSearchOracle": {"_ordered_ids", "_populate_next"},
    "HyperbandOracle": {"_brackets", "_get_num_brackets", "_get_num_rounds", "_get_size"},
}
TUNER = {"_is_worker", "_try_build", "_try_run_and_update_trial"}
OURS = {"_heartbeat", "_last_heard", "_reclaim_trials", "_run", "_stopped", "_thread", "_waiting"}


def test_the_installed_keras_tuner_has_the_private_parts_that_are_used():
    plain = {name: getattr(keras_tuner.oracles, name)(objective="val_loss") for name in ORACLES}
    missing = [f"{module}.{name}" for module, names in MODULES.items()
               for name in names if not hasattr(importlib.import_module(module), name)]  # fmt: skip
    missing += [f"{name}.{part}" for name, parts in ORACLES.items() for part in EVERY_ORACLE | parts
                if not hasattr(plain[name], part)]  # fmt: skip
    missing += [f"Tuner.{name}" for name in TUNER if not hasattr(keras_tuner.Tuner, name)]
    assert not missing, f"keras-tuner {keras_tuner.__version__} has no {', '.join(missing)}: adapt bert_tf/tuning"


def test_all_private_parts_that_are_used_are_named_above():
    used, modules = set(), set()
    for name in ("oracles", "distributed"):
        for node in ast.walk(ast.parse((ROOT / f"bert_tf/tuning/{name}.py").read_text())):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("keras_tuner.src"):
                modules |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
            part = node.attr if isinstance(node, ast.Attribute) else getattr(node, "name", None)
            if part and part.startswith("_") and not part.startswith("__"):
                used.add(part)
    assert used - OURS - {"_Servicer"} == EVERY_ORACLE.union(TUNER, *ORACLES.values())
    assert modules.issuperset(MODULES)
    known = {*MODULES, "keras_tuner.src", *(f"{module}.{name}" for module, names in MODULES.items() for name in names)}
    assert modules - known == {"keras_tuner.src.distribute"}


def make_oracle(tmp_path, method="random", max_trials=2, epochs=3):
    oracle = oracles.make_oracle(method, "val_loss", max_trials, epochs, seed=0)
    oracle._set_project_dir(str(tmp_path), "s")
    return oracle


def end(oracle, trial, val_loss: float) -> None:
    oracle.update_trial(trial.trial_id, {"val_loss": val_loss})
    trial.status = "COMPLETED"
    oracle.end_trial(trial)


@pytest.mark.parametrize("method", oracles.ORACLES)
def test_a_resumed_oracle_proposes_what_an_uninterrupted_one_does(tmp_path, method):
    """Nothing is trained: the score of a trial is a function of its values."""
    trials = 8 if method == "bayesian" else 12  # a Gaussian process proposes the last two; it takes a second each time

    def proposals(folder, restarts: bool) -> list[dict]:
        values = []
        oracle = None
        for _ in range(trials + 2):
            if oracle is None or restarts:
                oracle = make_oracle(tmp_path / folder, method, trials, epochs=9)
                oracle.hyperparameters.Choice("batch_size", [16, 32])
                oracle.hyperparameters.Float("learning_rate", 1e-4, 1e-2, sampling="log", default=1e-3)
                if values:
                    oracle.reload()
            trial = oracle.create_trial("tuner0")
            if trial.status == "STOPPED":
                break
            values.append(dict(trial.hyperparameters.values))
            end(oracle, trial, (np.log10(trial.hyperparameters.values["learning_rate"]) + 3.3) ** 2)
            oracle.save()
        return values

    straight = proposals("straight", restarts=False)
    assert len(straight) == trials
    assert {straight[0]["batch_size"], straight[0]["learning_rate"]} == {16, 1e-3}  # the defaults
    assert proposals("restarted", restarts=True) == straight


def test_an_oracle_takes_back_the_trial_of_a_silent_worker(tmp_path):
    oracle = make_oracle(tmp_path)
    oracle.hyperparameters.Float("learning_rate", 1e-4, 1e-2)
    oracle.lease = 0.2
    first, second = oracle.create_trial("a"), oracle.create_trial("b")
    assert oracle.create_trial("c").status == "IDLE"  # nothing is left, but a and b may die
    until = time.monotonic() + 0.4
    while time.monotonic() < until:
        oracle.heartbeat(second.trial_id)
        time.sleep(0.05)
    again = oracle.create_trial("c")
    assert again.trial_id == first.trial_id
    for trial in (again, first, second):  # the worker that lost its trial ends it too: it counts once
        end(oracle, trial, 1.0)
    assert sorted(oracle.end_order) == sorted([first.trial_id, second.trial_id])
    assert oracle.create_trial("c").status == "STOPPED"


class Untrained(keras_tuner.HyperModel):
    """Takes a moment, and fails with the second trial."""

    def build(self, hp):
        self.rate = hp.Float("learning_rate", 1e-4, 1e-2, sampling="log", default=1e-3)
        return keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])

    def fit(self, hp, model, *args, **kwargs):
        time.sleep(0.3)
        if self.rate != 1e-3:
            raise keras_tuner.errors.FailedTrialError("diverged")
        return 0.5


def free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return opened.getsockname()[1]


def test_a_worker_runs_the_trials_of_a_chief_and_sends_heartbeats(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(distributed, "HEARTBEAT", 0.05)
    address, oracle = f"127.0.0.1:{free_port()}", make_oracle(tmp_path)
    heartbeats, ended = [], []
    monkeypatch.setattr(oracle, "heartbeat", heartbeats.append)
    oracle.on_trial_end = lambda trial: ended.append((trial.trial_id, trial.status))
    chief = threading.Thread(target=distributed.serve, args=(oracle, address))
    chief.start()
    with distributed.tuner_role(address, "one"):
        worker = distributed.SearchTuner(
            oracles.make_oracle("random", "val_loss", 2, 3, seed=0), Untrained(), directory=tmp_path, project_name="s"
        )
        worker.search()
    chief.join(10)
    assert not chief.is_alive()
    assert ended == [("0", "COMPLETED"), ("1", "FAILED")]
    assert {"0", "1"} == {*heartbeats}
    assert len(heartbeats) > 6  # two trials of 0.3 s; KerasTuner asks for each trial once itself
    assert "Traceback" not in capsys.readouterr().err
    assert keras_tuner.src.config.DEBUG  # as before
