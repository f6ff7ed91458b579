"""A run's record in an experiment tracker, MLflow or Weights & Biases, beside the files of its folder.

The curves are recorded epoch by epoch, as the trackers' own Keras callbacks would. Where a tracker keeps its runs, under which name
and with which key, is said as its users do elsewhere: by environment variables such as MLFLOW_TRACKING_URI and WANDB_PROJECT.
"""

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from bert_tf.files import error_reason, read_json
from bert_tf.training.optimizer import learning_rate_now
from bert_tf.training.run_folder import RUN, RunFolder

MOST_CHARACTERS = 6000  # of a setting: MLflow's limit


class Tracker:
    """No tracker: records nothing.

    Args:
        name: of the run, to be shown.
        known: id of an interrupted run that is continued, or None.
        settings: the run's, name -> JSON value.
        verbose: bool, whether the tracker may print.
    Attributes:
        id: str, the tracker's name of the run; empty if there is none.
        where: str, a sentence for whoever looks for the record; empty if the tracker prints one itself.
    """

    id = where = ""

    def __init__(self, name: str, known: str | None, settings: Mapping[str, Any], verbose: bool):
        pass

    def callbacks(self) -> list[keras.callbacks.Callback]:
        """Returns the callbacks that record the curves."""
        return []

    def trial(self, name: str, values: Mapping[str, Any], history: Mapping[str, Sequence[float]]) -> None:
        """Records a trial of a search: what was tried, and metric -> values by epoch, empty if it failed."""

    def results(self, numbers: Mapping[str, float], files: Sequence[Path]) -> None:
        """Records the numbers of the model that is kept, and files and folders."""

    def end(self, how: str) -> None:
        """Ends the record.

        Args:
            how: "finished", "failed" or "killed".
        """


class Mlflow(Tracker):
    """A run of MLflow. One that the program has begun by itself is used, and left open."""

    def __init__(self, name: str, known: str | None, settings: Mapping[str, Any], verbose: bool):
        import mlflow

        self.mlflow, run = mlflow, mlflow.active_run()
        self.own = run is None
        if run is None:
            run = mlflow.start_run(run_id=known) if known else mlflow.start_run(run_name=name)
        if known is None:
            mlflow.log_params({key: str(value)[:MOST_CHARACTERS] for key, value in settings.items()})
        self.id = run.info.run_id
        self.where = f"Tracked by MLflow: run {self.id} in {mlflow.get_tracking_uri()}"

    def callbacks(self) -> list[keras.callbacks.Callback]:
        import mlflow.keras

        return [OncePerEpoch(mlflow.keras.MlflowCallback())]

    def trial(self, name: str, values: Mapping[str, Any], history: Mapping[str, Sequence[float]]) -> None:
        with self.mlflow.start_run(run_name=f"trial {name}", nested=True):
            self.mlflow.log_params(dict(values))
            for metric, curve in history.items():
                for epoch, value in enumerate(curve):
                    self.mlflow.log_metric(metric, value, step=epoch)

    def results(self, numbers: Mapping[str, float], files: Sequence[Path]) -> None:
        self.mlflow.log_metrics(dict(numbers))
        for path in files:
            if path.is_dir():
                self.mlflow.log_artifacts(str(path), path.name)
            else:
                self.mlflow.log_artifact(str(path))

    def end(self, how: str) -> None:
        if self.own:
            self.mlflow.end_run(how.upper())


class Wandb(Tracker):
    """A run of Weights & Biases. One that the program has begun by itself is used, and left open."""

    def __init__(self, name: str, known: str | None, settings: Mapping[str, Any], verbose: bool):
        import wandb

        self.wandb: Any = wandb
        self.own = wandb.run is None
        if self.own:
            how = wandb.Settings(silent=not verbose)
            wandb.init(name=name, id=known, resume="allow" if known else None, settings=how)
        self.run = self.wandb.run
        self.run.config.update(dict(settings), allow_val_change=True)
        self.id = self.run.id

    def callbacks(self) -> list[keras.callbacks.Callback]:
        return [WandbCurves(self.run)]

    def trial(self, name: str, values: Mapping[str, Any], history: Mapping[str, Sequence[float]]) -> None:
        last = {metric: curve[-1] for metric, curve in history.items() if curve}
        self.run.log({f"trial/{key}": value for key, value in {"name": name, **values, **last}.items()})

    def results(self, numbers: Mapping[str, float], files: Sequence[Path]) -> None:
        self.run.summary.update(dict(numbers))
        for path in files:
            artifact = self.wandb.Artifact(f"{self.run.id}-{path.stem}", "model" if path.is_dir() else "report")
            (artifact.add_dir if path.is_dir() else artifact.add_file)(str(path))
            self.run.log_artifact(artifact)

    def end(self, how: str) -> None:
        if self.own:
            self.run.finish(exit_code=0 if how == "finished" else 1)


class WandbCurves(keras.callbacks.Callback):
    """Records what `wandb.integration.keras.WandbMetricsLogger` does of epochs, under the same names; that one needs TensorFlow on
    every backend.

    Args:
        run: of Weights & Biases.
    """

    def __init__(self, run: Any):
        super().__init__()
        self.run = run

    def on_train_begin(self, logs=None):
        self.run.define_metric("epoch/epoch")
        self.run.define_metric("epoch/*", step_metric="epoch/epoch")

    def on_epoch_end(self, epoch, logs=None):
        curves = {"epoch": epoch, "learning_rate": learning_rate_now(self.model), **(logs or {})}
        self.run.log({f"epoch/{name}": value for name, value in curves.items()})


class OncePerEpoch(keras.callbacks.Callback):
    """Passes on to another callback what happens once an epoch, and no steps: over a frozen base epochs stay one call."""

    def __init__(self, inner: keras.callbacks.Callback):
        super().__init__()
        self.inner = inner

    def set_model(self, model):
        super().set_model(model)
        self.inner.set_model(model)

    def on_train_begin(self, logs=None):
        self.inner.on_train_begin(logs)

    def on_epoch_end(self, epoch, logs=None):
        self.inner.on_epoch_end(epoch, logs)

    def on_train_end(self, logs=None):
        self.inner.on_train_end(logs)


TRACKERS = {None: Tracker, "mlflow": Mlflow, "wandb": Wandb}


@contextlib.contextmanager
def tracked(name: str | None, folder: RunFolder, settings: Mapping[str, Any], verbose: bool) -> Iterator[Tracker]:
    """Records what happens in the block as a run of a tracker.

    A run that was interrupted is continued, in the tracker as on disk: run.json holds its id.

    Args:
        name: "mlflow", "wandb" or None.
        folder: the run's, before it is begun.
        settings: the run's, name -> JSON value.
    Raises: ValueError if the tracker refuses, as without a key.
    """
    known = None
    if name and folder.resume and folder.is_run:
        known = read_json(folder / RUN).get("tracked", {}).get(name)
    try:
        tracker = TRACKERS[name](folder.path.name, known, settings, verbose)
    except Exception as error:  # a library's own: each has its kinds
        raise ValueError(f"`track`: {name} does not record this run. {error_reason(error)}") from error
    if tracker.id:
        folder.notes["tracked"] = {name: tracker.id}
    how = "failed"
    try:
        yield tracker
        how = "finished"
    except KeyboardInterrupt:
        how = "killed"
        raise
    finally:
        tracker.end(how)


def numbers_of(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Returns the numbers of metrics.json or best.json that a tracker compares runs by, under names that no curve has."""
    scores = metrics.get("test", {}).get("scores", {})
    found = {f"best_{key}": value for key, value in metrics.items() if key.startswith("val_")}
    found |= {f"test_{key}": value["value"] if isinstance(value, Mapping) else value for key, value in scores.items()}
    found |= {key: metrics.get(key) for key in ("best_epoch", "parameters", "trainable_parameters", "seconds")}
    return {
        key: float(value)
        for key, value in found.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    }
