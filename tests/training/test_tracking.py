"""`track`: what MLflow (its file store) and Weights & Biases (offline, and a stand-in) have of a run."""

import json
import subprocess
import sys
import types
from importlib.util import find_spec

import keras
import numpy as np
import pytest

import bert_tf
from bert_tf.cli.main import main

# Of the trackers themselves and of KerasTuner, when they are imported.
pytestmark = [
    pytest.mark.filterwarnings(f"ignore::{kind}") for kind in ("DeprecationWarning", "FutureWarning", "UserWarning")
]
needs_mlflow = pytest.mark.skipif(find_spec("mlflow") is None, reason="MLflow is not installed")
needs_wandb = pytest.mark.skipif(find_spec("wandb") is None, reason="Weights & Biases is not installed")


def options(tiny, folder, **more) -> dict:
    return {"checkpoint": tiny, "output_dir": folder, "batch_size": 5, "max_length": 24, "verbose": 0, "precision": "float32",
            "head": "first_token", "unfreeze": 0, "epochs": 2, "recipe": "plain", **more}  # fmt: skip


@pytest.fixture
def store(tmp_path, monkeypatch):
    """MLflow's client of a file store."""
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    import mlflow

    mlflow.set_tracking_uri((tmp_path / "mlruns").as_uri())
    yield mlflow.MlflowClient()
    mlflow.set_tracking_uri(None)


def runs_of(store) -> list:
    return store.search_runs(["0"], order_by=["attribute.start_time ASC"])


def curve(store, run, name) -> list[float]:
    return [
        metric.value for metric in sorted(store.get_metric_history(run.info.run_id, name), key=lambda one: one.step)
    ]


@needs_mlflow
def test_mlflow_has_settings_curves_numbers_report_and_model(tiny, reviews, tmp_path, store):
    done = bert_tf.finetune(reviews, reviews, test=reviews, track="mlflow", **options(tiny, tmp_path / "run"))
    [run] = runs_of(store)
    assert run.info.run_name == "run"
    assert run.info.status == "FINISHED"
    assert (run.data.params["epochs"], run.data.params["head"]) == ("2", "first_token")
    for name in ("loss", "val_loss", "val_accuracy"):
        np.testing.assert_allclose(curve(store, run, name), done.history[name], rtol=1e-6)
    measured, metrics = run.data.metrics, done.metrics
    assert measured["best_val_accuracy"] == metrics["val_accuracy"]
    assert measured["best_epoch"] == metrics["best_epoch"]
    assert measured["test_accuracy"] == metrics["test"]["scores"]["accuracy"]["value"]
    artifacts = {file.path for file in store.list_artifacts(run.info.run_id)}
    assert {"report.html", "curves.png", "history.csv", "metrics.json", "model"} <= artifacts
    model = store.download_artifacts(run.info.run_id, "model", str(tmp_path))
    np.testing.assert_array_equal(
        bert_tf.predict(model, ["good"]).probabilities, bert_tf.predict(tmp_path / "run/model", ["good"]).probabilities
    )
    untracked = bert_tf.finetune(reviews, reviews, **options(tiny, tmp_path / "plain"))
    assert untracked.history == done.history


class Interrupt(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt


@pytest.mark.slow
@needs_mlflow
def test_an_interrupted_run_is_continued_in_mlflow_too(tiny, reviews, tmp_path, store):
    chosen = options(tiny, tmp_path / "run", epochs=3, report=False, track="mlflow")
    with pytest.raises(KeyboardInterrupt):
        bert_tf.finetune(reviews, reviews, callbacks=[Interrupt()], **chosen)
    assert [run.info.status for run in runs_of(store)] == ["KILLED"]
    done = bert_tf.finetune(reviews, reviews, resume=True, **chosen)
    [run] = runs_of(store)
    assert run.info.status == "FINISHED"
    # the epoch that was interrupted is repeated: of each step the last value counts
    steps = {metric.step: metric.value for metric in store.get_metric_history(run.info.run_id, "val_loss")}
    np.testing.assert_allclose([steps[i] for i in range(3)], done.history["val_loss"], rtol=1e-6)


@pytest.mark.slow
@needs_mlflow
def test_a_run_that_the_program_began_is_used_and_left_open(tiny, reviews, tmp_path, store):
    import mlflow

    with mlflow.start_run(run_name="mine") as run:
        bert_tf.finetune(reviews, reviews, track="mlflow", report=False, **options(tiny, tmp_path / "run", epochs=1))
        assert mlflow.active_run().info.run_id == run.info.run_id
    assert [one.info.run_name for one in runs_of(store)] == ["mine"]
    with pytest.raises(ValueError, match="epochs"):
        bert_tf.finetune(reviews, reviews, track="mlflow", **options(tiny, tmp_path / "wrong", epochs=-1))
    assert len(runs_of(store)) == 1


@pytest.mark.slow
@needs_mlflow
def test_the_trials_of_a_search_are_runs_inside_its_run(tiny, reviews, tmp_path, store):
    where = {
        name: value
        for name, value in options(tiny, tmp_path / "search").items()
        if name not in ("batch_size", "unfreeze")
    }
    found = bert_tf.search(reviews, reviews, max_trials=2, track="mlflow", report=False, **where)
    inner = [run for run in runs_of(store) if "mlflow.parentRunId" in run.data.tags]
    [outer] = [run for run in runs_of(store) if "mlflow.parentRunId" not in run.data.tags]
    assert {run.data.tags["mlflow.parentRunId"] for run in inner} == {outer.info.run_id}
    assert outer.data.metrics["best_val_loss"] == found.best["val_loss"]
    for row in found.trials:
        [run] = [run for run in inner if run.info.run_name == f"trial {row['trial']}"]
        assert run.data.params["batch_size"] == str(row["batch_size"])
        assert min(curve(store, run, "val_loss")) == pytest.approx(row["val_loss"], rel=1e-6)


def test_a_missing_tracker_is_said_before_anything_is_read(monkeypatch, capsys):
    monkeypatch.setattr("bert_tf.extras.find_spec", lambda name: None)
    assert main(["finetune", "--train", "none.csv", "--track", "wandb"]) == 2
    assert capsys.readouterr().err == (
        "bert-tf finetune: error: Weights & Biases is not installed: pip install 'bert-tf[wandb]'\n"
    )
    with pytest.raises(ImportError, match=r"MLflow is not installed: pip install 'bert-tf\[mlflow\]'"):
        bert_tf.search({}, track="mlflow")


class StandIn(types.ModuleType):
    """Not Weights & Biases: a module that notes what is asked of it, to test what we ask."""

    def __init__(self, refuses=False):
        super().__init__("wandb")
        self.run, self.refuses, self.asked = None, refuses, []
        self.Settings = lambda **given: given
        self.config = types.SimpleNamespace(update=lambda given, **how: self.note("config", given))
        self.summary = types.SimpleNamespace(update=lambda given: self.note("summary", given))

    def note(self, what, *given):
        self.asked.append((what, *given))

    def init(self, **given):
        if self.refuses:
            raise RuntimeError("no key")
        self.note("init", given)
        self.run = types.SimpleNamespace(
            id="abc", config=self.config, summary=self.summary, log=lambda given: self.note("log", given),
            log_artifact=lambda artifact: self.note("artifact", artifact.name),
            finish=lambda exit_code: self.note("finish", exit_code), define_metric=lambda name, step_metric=None: None,
        )  # fmt: skip

    class Artifact:
        def __init__(self, name, kind):
            self.name = name

        add_dir = add_file = lambda self, path: None


@pytest.fixture
def stand_in(monkeypatch):
    module = StandIn()
    monkeypatch.setattr("bert_tf.extras.find_spec", lambda name: name)
    monkeypatch.setitem(sys.modules, "wandb", module)
    return module


def test_what_weights_and_biases_is_asked_by_a_stand_in(tiny, reviews, tmp_path, stand_in):
    done = bert_tf.finetune(reviews, reviews, track="wandb", **options(tiny, tmp_path / "run"))
    kinds = [what for what, *_ in stand_in.asked]
    assert kinds[:4] == ["init", "config", "log", "log"]
    curves = [given for what, given in stand_in.asked if what == "log"]
    assert [each["epoch/epoch"] for each in curves] == [0, 1]
    assert [each["epoch/val_loss"] for each in curves] == done.history["val_loss"]
    assert curves[-1]["epoch/learning_rate"] == pytest.approx(done.metrics["settings"]["learning_rate"])
    assert kinds[-1] == "finish"
    given = dict(stand_in.asked)
    assert given["init"]["name"] == "run"
    assert given["config"]["epochs"] == 2
    assert given["summary"]["best_val_loss"] == done.metrics["val_loss"]
    assert {value for what, value in stand_in.asked if what == "artifact"} >= {"abc-report", "abc-model", "abc-curves"}
    assert given["finish"] == 0
    assert json.loads((tmp_path / "run/run.json").read_text())["tracked"] == {"wandb": "abc"}


def test_a_tracker_that_refuses_is_one_sentence(tiny, reviews, tmp_path, stand_in):
    stand_in.refuses = True
    with pytest.raises(ValueError, match=r"^`track`: wandb does not record this run. no key$"):
        bert_tf.finetune(reviews, reviews, track="wandb", **options(tiny, tmp_path / "run"))
    assert not (tmp_path / "run").exists()


OFFLINE = """
import sys, json, bert_tf
reviews, tiny = json.load(open(sys.argv[1])), sys.argv[2]
bert_tf.finetune(reviews, reviews, checkpoint=tiny, output_dir="run", head="first_token", unfreeze=0, epochs=2, recipe="plain",
                 max_length=24, verbose=0, track="wandb")
"""


@pytest.mark.slow
@needs_wandb
def test_weights_and_biases_offline(tiny, reviews, tmp_path, monkeypatch):
    for name, value in {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_DIR": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "reviews.json").write_text(json.dumps(reviews))
    subprocess.run([sys.executable, "-c", OFFLINE, "reviews.json", str(tiny)], cwd=tmp_path, check=True)
    [record] = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    content = record.read_bytes()
    assert all(name in content for name in (b"best_val_accuracy", b"epoch/val_loss", b"first_token"))
