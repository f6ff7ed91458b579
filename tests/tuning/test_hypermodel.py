"""The classifier as KerasTuner's own tuners search it, and the space of its hyperparameters."""

import gc
import json

import keras
import keras_tuner
import numpy as np
import pytest

import bert_tf
from bert_tf.tuning.hypermodel import ClassifierHyperModel

EPOCHS = 3


def record(folder) -> dict:
    return json.loads((folder / "record.json").read_text())


@pytest.fixture(scope="module")
def options(tiny, tmp_path_factory) -> dict:
    cache_dir = tmp_path_factory.mktemp("features")
    return {"checkpoint": tiny, "max_length": 24, "cache_dir": cache_dir, "precision": "float32", "verbose": False}


@pytest.fixture(scope="module")
def hypermodel(reviews, options):
    """One for all tuners, so that its steps are compiled once."""
    gc.freeze()  # KerasTuner collects garbage twice for each model, half a second each time with all that is loaded
    yield ClassifierHyperModel(
        reviews, reviews, learning_rate=(1e-3, 1e-1), batch_size=[6, 12], epochs=EPOCHS, schedule="linear",
        early_stopping=None, **options,
    )  # fmt: skip
    gc.unfreeze()


TUNERS = {
    "random": (keras_tuner.RandomSearch, {"max_trials": 2}),
    "grid": (keras_tuner.GridSearch, {"max_trials": 2}),
    "bayesian": (keras_tuner.BayesianOptimization, {"max_trials": 3, "num_initial_points": 2}),
    "hyperband": (keras_tuner.Hyperband, {"max_epochs": EPOCHS, "factor": 3}),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # KerasTuner's, of the fit to three trials
@pytest.mark.parametrize("name", TUNERS)
def test_the_tuners_of_keras_tuner_take_it_as_it_is(hypermodel, tmp_path, name):
    tuner_class, more = TUNERS[name]
    tuner = tuner_class(hypermodel, "val_loss", seed=2, directory=tmp_path, project_name=name, **more)
    tuner.search(verbose=0)
    trials = list(tuner.oracle.trials.values())
    assert {trial.status for trial in trials} == {"COMPLETED"}
    best, second = tuner.oracle.get_best_trials(2)
    models = tuner.get_best_models(2)
    job = hypermodel.job
    data = job.validation_batches(job.inputs(models[0], say=lambda _: None), 12)
    for trial, model in zip((best, second), models, strict=True):  # two models, though they share their base
        assert model.evaluate(data, verbose=0)[0] == pytest.approx(trial.score, abs=1e-6)
        assert record(tmp_path / name / f"trial_{trial.trial_id}")["best_epoch"] == trial.best_step + 1
    assert models[0].distilbert.embeddings is models[1].distilbert.embeddings
    sizes = [file.stat().st_size for file in (tmp_path / name).glob("trial_*/best.safetensors")]
    assert len(sizes) == len(trials)
    assert max(sizes) < 5 * 4 * models[0].num_parameters(only_trainable=True)
    assert not list((tmp_path / name).glob("trial_*/checkpoint*"))  # KerasTuner's own

    if name == "hyperband":
        check_that_continued_trials_are_exact(hypermodel, trials, tmp_path / name)


def check_that_continued_trials_are_exact(hypermodel, trials, folder) -> None:
    """A trial continued from an earlier round has the history of one that runs straight through."""
    trial = [trial for trial in trials if trial.hyperparameters.values["tuner/initial_epoch"]][-1]
    values = {k: v for k, v in trial.hyperparameters.values.items() if not k.startswith("tuner/")}
    straight = keras_tuner.HyperParameters()
    hypermodel.values(straight)
    straight.values = values
    rates = LearningRates()
    history = hypermodel.fit(straight, hypermodel.build(straight), callbacks=[rates]).history
    until = trial.hyperparameters.values["tuner/epochs"]
    kept = record(folder / f"trial_{trial.trial_id}")["history"]
    assert len(kept["loss"]) == until
    assert history.keys() == kept.keys()
    for metric, curve in history.items():
        np.testing.assert_allclose(kept[metric], curve[:until], atol=1e-6, err_msg=metric)
    rate, steps = values["learning_rate"], EPOCHS * (24 // values["batch_size"])
    warm = round(values["warmup"] * steps)
    done = np.arange(1, EPOCHS + 1) * steps // EPOCHS
    np.testing.assert_allclose(rates.seen, rate * (steps - done) / (steps - warm), rtol=1e-5, atol=1e-9)


class LearningRates(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seen = []

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(float(self.model.optimizer.learning_rate))


def test_the_best_model_of_several_labels_has_thresholds(options, tmp_path):
    data = {
        "text": ["good", "bad and slow", "fine", "slow"] * 4,
        "label": [["good"], ["bad", "slow"], [], ["slow"]] * 4,
    }
    hypermodel = ClassifierHyperModel(data, data, learning_rate=[1e-2], batch_size=8, epochs=1, **options)
    tuner = keras_tuner.RandomSearch(hypermodel, "val_loss", max_trials=1, directory=tmp_path)
    tuner.search(verbose=0)
    (model,) = tuner.get_best_models()
    probabilities = bert_tf.predict(model, data["text"], hypermodel.job.tokenizer).probabilities
    chosen = hypermodel.job.task.thresholds(hypermodel.job.validation.labels, probabilities)
    np.testing.assert_allclose(model.config.label_thresholds, chosen, atol=1e-4)


def test_a_failed_trial_that_is_tried_again_starts_again(hypermodel, tmp_path):
    tuner = keras_tuner.RandomSearch(
        hypermodel, "val_loss", max_trials=1, max_consecutive_failed_trials=9, directory=tmp_path, project_name="t"
    )
    values = tuner.oracle.get_space().values
    tuner.oracle.populate_space = lambda trial_id: {"status": "RUNNING", "values": {**values, "learning_rate": 1e38}}
    tuner.search(verbose=0)
    (trial,) = tuner.oracle.trials.values()
    assert trial.status == "FAILED"
    assert "diverged" in record(tmp_path / "t/trial_0")["failed"]
    trial.hyperparameters.values["learning_rate"] = 1e-3
    assert len(tuner.run_trial(trial)[0].history["loss"]) == EPOCHS
    assert "failed" not in record(tmp_path / "t/trial_0")


def test_wrong_use_by_a_tuner_is_named(hypermodel, tmp_path):
    tuner = keras_tuner.RandomSearch(hypermodel, "val_loss", max_trials=1, directory=tmp_path, project_name="a")
    with pytest.raises(ValueError, match="without any"):
        tuner.search(x=[1], verbose=0)
    tuner = keras_tuner.Hyperband(hypermodel, "val_loss", max_epochs=9, directory=tmp_path, project_name="b")
    tuner.oracle.populate_space = lambda trial_id: {
        "status": "RUNNING", "values": {"tuner/epochs": 9, "tuner/initial_epoch": 3},
    }  # fmt: skip
    with pytest.raises(ValueError, match=f"max_epochs={EPOCHS}"):
        tuner.search(verbose=0)


# The space


def test_learning_rates_fit_their_depth(reviews, options):
    hypermodel = ClassifierHyperModel(reviews, unfreeze=[0, 1, "all"], **options)
    hp = keras_tuner.HyperParameters()
    assert hypermodel.values(hp)["learning_rate"] == 3e-4  # under a head over layer_means
    hp.values["unfreeze"] = "all"
    hp.ensure_active_values()
    assert 1e-5 <= hypermodel.values(hp)["learning_rate"] <= 3e-4
    assert hypermodel.values(hp)["unfreeze"] == "all"
    space = hypermodel.recorded()["space"]
    assert space["learning_rate_frozen"] == {"lowest": 1e-4, "highest": 1e-2}
    assert space["learning_rate_unfrozen"] == {"lowest": 1e-5, "highest": 3e-4}
    assert hypermodel.warnings() == []


def test_a_learning_rate_far_off_is_remarked(reviews, tiny, options, tmp_path, capsys):
    hypermodel = ClassifierHyperModel(reviews, unfreeze=[0, 1], learning_rate=(1e-5, 1e-2), **options)
    remarks = " ".join(hypermodel.warnings())
    assert "1e-05 is very small" in remarks
    assert "0.01 is very large" in remarks
    bert_tf.finetune(
        reviews, checkpoint=tiny, output_dir=tmp_path / "f", learning_rate=1e-6, epochs=1, report=False, recipe="plain"
    )
    assert "about 1e-3 is usual for a frozen base" in capsys.readouterr().out
