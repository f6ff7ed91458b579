"""One candidate of a comparison: trained, judged, measured and recorded; in a process of its own, so that the memory measured
is its own.

A candidate is a dict of plain values: `name`, `kind` (a key of `KINDS`), `seeds`, and the options of its kind. Its folder holds
seed-S/run.json and seed-S/probabilities.npy, its predictions (with test texts test_probabilities.npy too), for each seed, and
record.json when all is done.
"""

import json
import logging
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bert_tf.checkpoints.folder import new_head_log
from bert_tf.comparison.baselines import train_lstm
from bert_tf.data.classes import key_of, places
from bert_tf.data.examples import Examples, Stream
from bert_tf.evaluation.blend import load_blend
from bert_tf.evaluation.history import best_epoch
from bert_tf.evaluation.multi_label import HALF
from bert_tf.files import folder_size, read_json, write_json
from bert_tf.formatting import Text
from bert_tf.hardware import keep_memory, peak_process_memory
from bert_tf.inference import speed
from bert_tf.settings import Settings
from bert_tf.tasks.task import THRESHOLDS, Task, task_of
from bert_tf.training.weights import class_weights, text_weights

RECORD = "record.json"  # a candidate that has one is finished
RUN = "run.json"  # a seed that has one is finished
PREDICTIONS = {"validation": "probabilities.npy", "test": "test_probabilities.npy"}  # of a seed's model
BESIDE = ("weights", "groups")  # arrays of `Examples` beside the labels
DAMAGED = "Delete it, then resume the comparison."

Candidate = Mapping[str, Any]
Classify = Callable[[Sequence[Text]], np.ndarray]  # texts -> predictions, as the task has them
Measured = tuple[Classify, dict[str, Any]]  # a classifier, and facts for the record


class Splits(NamedTuple):
    """The texts of a comparison. Nothing is chosen by those of `test`: each model classifies them once."""

    train: Examples
    validation: Examples
    test: Examples | None = None

    @property
    def task(self) -> Task:
        """For the labels of the training texts."""
        return task_of(self.train.task).of(self.train.labels)

    def given(self) -> dict[str, Examples]:
        return {name: part for name, part in self._asdict().items() if part is not None}


def run_alone(candidate: Candidate, splits: Splits, folder: Path) -> None:
    """Runs a candidate in a new process.

    Args:
        folder: of the comparison's candidates.
    Raises: RuntimeError with the last line of the process's error output, if it failed.
    """
    with tempfile.TemporaryDirectory() as scratch:
        task = {"candidate": candidate, "folder": str(folder.absolute()), "label_names": splits.train.label_names}
        task["task"] = splits.train.task
        write_json(Path(scratch) / "task.json", task)
        for name, part in splits.given().items():
            np.save(Path(scratch) / f"{name}.npy", part.labels)
            for beside in BESIDE:
                if (array := getattr(part, beside)) is not None:
                    np.save(Path(scratch) / f"{name}.{beside}.npy", array)
            with (Path(scratch) / f"{name}.jsonl").open("w", encoding="utf-8") as file:
                file.writelines(json.dumps(text) + "\n" for text in part.texts)
        code = "import sys; from bert_tf.comparison.candidates import run_task; run_task(sys.argv[1])"
        done = subprocess.run([sys.executable, "-c", code, scratch], capture_output=True, text=True, check=False)
    if done.returncode < 0:
        raise RuntimeError(f"stopped by signal {-done.returncode}, possibly out of memory")
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise RuntimeError(lines[-1] if lines else f"exit status {done.returncode}")


def run_task(scratch: str) -> None:
    """Runs the candidate that `run_alone` wrote to a folder; the texts are streamed from there."""
    keep_memory()
    task = read_json(Path(scratch) / "task.json")

    def examples(name: str) -> Examples | None:
        if not (file := Path(scratch) / f"{name}.npy").is_file():
            return None
        labels = np.load(file)

        def texts() -> Iterator[Text]:
            with (Path(scratch) / f"{name}.jsonl").open(encoding="utf-8") as file:
                for text in map(json.loads, file):
                    yield tuple(text) if isinstance(text, list) else text  # JSON has no tuples

        files = {beside: Path(scratch) / f"{name}.{beside}.npy" for beside in BESIDE}
        more = {beside: np.load(file) for beside, file in files.items() if file.is_file()}
        return Examples(Stream(texts, len(labels)), labels, tuple(task["label_names"]), name, task=task["task"], **more)

    splits = Splits(*map(examples, Splits._fields))  # type: ignore[arg-type]
    run(task["candidate"], splits, Path(task["folder"]), alone=True)


def run(candidate: Candidate, splits: Splits, folder: Path, alone: bool = False) -> None:
    """Trains a candidate from each of its seeds, measures it, and writes its record.

    Args:
        alone: bool, whether nothing else has run in this process, so that its peak memory is the candidate's.
    """
    folder = folder / candidate["name"]
    level = new_head_log.level
    new_head_log.setLevel(logging.ERROR)  # here a head is newly initialised for every seed
    try:
        classify, facts = KINDS[candidate["kind"]](candidate, splits, folder)
    finally:
        new_head_log.setLevel(level)
    memory = peak_process_memory() if alone else None
    texts = [*splits.validation.texts]
    (texts_per_second,) = speed.texts_per_second([classify], texts, rounds=1)
    facts |= {"memory": memory, "texts_per_second": texts_per_second}
    if candidate.get("latency"):
        (facts["latency"],) = speed.latency([classify], texts, rounds=1)
    write_json(folder / RECORD, {"name": candidate["name"], **facts})


def baseline_candidate(name: str, seeds: Sequence[int], settings: Settings) -> Candidate:
    """Returns TF-IDF as a candidate, its classes weighted as those of the others."""
    weighted = {"class_weight": settings.training.class_weight} if settings.training.class_weight else {}
    # It takes a moment, whatever the others take: the time left is not judged by it.
    return {"name": name, "kind": "tfidf", "seeds": [*seeds], "work": 0.0, **weighted}


def finished(candidate: Candidate, folder: Path) -> bool:
    """Returns whether a candidate has been run to its end."""
    return (folder / candidate["name"] / RECORD).is_file()


def record(candidate: Candidate, folder: Path) -> dict[str, Any]:
    """Returns what was measured of a finished candidate."""
    return read_json(folder / candidate["name"] / RECORD, DAMAGED)


def runs(candidate: Candidate, folder: Path) -> list[dict[str, Any]]:
    """Returns the results of a candidate's seeds: their `run.json`, with `validation` and, if there are test texts, `test`: the
    predictions."""
    folders = [folder / candidate["name"] / f"seed-{seed}" for seed in candidate["seeds"]]
    return [
        read_json(seed / RUN, DAMAGED)
        | {split: np.load(seed / file) for split, file in PREDICTIONS.items() if (seed / file).is_file()}
        for seed in folders
    ]


def _unfinished(candidate: Candidate, folder: Path) -> Iterator[tuple[int, Path]]:
    """Yields the seeds that have not been run, and their folders; the last seed if a run was killed before the record."""
    folders = [(seed, folder / f"seed-{seed}") for seed in candidate["seeds"]]
    unfinished = [each for each in folders if not (each[1] / RUN).is_file()]
    for seed, seed_folder in unfinished or folders[-1:]:
        seed_folder.mkdir(parents=True, exist_ok=True)
        yield seed, seed_folder


def _write(
    folder: Path,
    splits: Splits,
    classify: Classify,
    history: Mapping,
    best: int | None,
    started: float,
    predictions: np.ndarray | None = None,
    thresholds: np.ndarray | None = None,
) -> None:
    """Classifies the validation texts, unless their predictions are given, then the test texts, and writes what came out.

    `best` is the epoch that was kept; None = nothing was trained by epochs, or none of them was kept. Thresholds that are not given
    are chosen by the validation texts, as `bert_tf.finetune` does.
    """
    if predictions is None:
        predictions = classify([*splits.validation.texts])
    if thresholds is None:
        thresholds = splits.task.thresholds(splits.validation.labels, predictions)
    seconds = time.monotonic() - started  # without the test texts: they are no part of a run
    found = {"validation": predictions} | ({"test": classify([*splits.test.texts])} if splits.test is not None else {})
    for split, values in found.items():
        np.save(folder / PREDICTIONS[split], np.asarray(values, "float32"))
    decided = {} if thresholds is None else {"thresholds": thresholds.tolist()}
    write_json(folder / RUN, {"history": dict(history), "best_epoch": best, "seconds": seconds, **decided})


# Kinds: each trains what is unfinished, and returns the classifier and facts for the record.


def _baseline(candidate: Candidate, splits: Splits, folder: Path) -> Measured:
    """Trains a baseline."""
    for seed, seed_folder in _unfinished(candidate, folder):
        started, part = time.monotonic(), _part(candidate, splits.train, seed)
        weights = text_weights(part, class_weights(candidate.get("class_weight"), part))
        if candidate["kind"] == "lstm":
            model: Any = train_lstm(part, splits.validation, seed, candidate["epochs"], weights)
        else:
            known = ([*part.texts], part.labels, part.label_names, seed)
            model = splits.task.train_baseline(*known, weights, part.groups)
        history = getattr(model, "history", {})
        _write(seed_folder, splits, model, history, best_epoch(history) if history else None, started)
    return model, {"parameters": model.parameters, "trainable_parameters": model.parameters, "size": model.size}


def _trained_per_seed(candidate: Candidate, splits: Splits, folder: Path) -> Measured:
    """Trains a checkpoint as `bert_tf.finetune` with these seeds would, with the same compiled steps for all of them."""
    from bert_tf.inference.predict import predict
    from bert_tf.training.learning_rate import usual_learning_rate
    from bert_tf.tuning.hypermodel import ClassifierHyperModel

    options = dict(candidate["options"])
    learning_rate, batch_size, unfreeze = options.pop("learning_rate"), options.pop("batch_size"), options["unfreeze"]
    model: Any = None

    def classify(texts: Sequence[Text]) -> np.ndarray:
        return predict(model, texts, job.tokenizer, max_length=job.max_length, engine="keras").outputs

    for seed, seed_folder in _unfinished(candidate, folder):
        if model is None or "texts" in candidate:  # else the same texts, and the same compiled steps
            part = _part(candidate, splits.train, seed)
            hypermodel = ClassifierHyperModel(
                part, splits.validation, seed=seed, recipe="plain", verbose=False, **options
            )
            job = hypermodel.job
            values = {
                "learning_rate": learning_rate or usual_learning_rate(unfreeze, job.model.head),
                "batch_size": batch_size,
                "dropout": float(job.model.dropout.rate),
                "weight_decay": 0.0,
                "warmup": 0.0,
                "unfreeze": unfreeze,
            }
            hypermodel.load_depth(unfreeze)
        started = time.monotonic()
        model, history = hypermodel.train(values, seed_folder, seed)
        predictions = job.task.squash(hypermodel.validation_logits(unfreeze))
        job.task.fold(model)  # the next run starts from weights of its own
        _write(seed_folder, splits, classify, history, best_epoch(history), started, predictions)
        for name in ("last.safetensors", "best.safetensors"):
            (seed_folder / name).unlink(missing_ok=True)
    trainable = model.num_parameters(only_trainable=True)
    return classify, {"parameters": model.num_parameters(), "trainable_parameters": trainable}


def _existing_classifier(candidate: Candidate, splits: Splits, folder: Path) -> Measured:
    """Measures a model that has already been fine-tuned for these labels, with its own thresholds."""
    from bert_tf.checkpoints import locate
    from bert_tf.data.tokenizer import load_tokenizer
    from bert_tf.inference.predict import predict
    from bert_tf.models.auto import TFAutoModelForSequenceClassification

    options = candidate["options"]
    source = locate.resolve(options["checkpoint"])
    model = TFAutoModelForSequenceClassification.from_pretrained(source)
    tokenizer = load_tokenizer(source)
    blend = load_blend(source)
    columns: Any = slice(None)
    if splits.task.has_classes:
        columns = label_columns(model.label_names, splits.validation.label_names, options["checkpoint"])
    max_length = options["max_length"]
    thresholds = None
    if splits.task.decides:
        own = getattr(model.config, THRESHOLDS, None) or [HALF] * model.num_labels
        thresholds = np.asarray(own, "float64")[columns]

    def classify(texts: Sequence[Text]) -> np.ndarray:
        found = predict(model, texts, tokenizer, max_length=max_length, engine="keras", blend=blend)
        return found.outputs[..., columns]

    for _, seed_folder in _unfinished(candidate, folder):
        _write(seed_folder, splits, classify, {}, None, time.monotonic(), thresholds=thresholds)
    return classify, {"parameters": model.num_parameters(), "trainable_parameters": 0, "size": folder_size(source)}


def _finetuned_and_kept(candidate: Candidate, splits: Splits, folder: Path) -> Measured:
    """Fine-tunes a checkpoint by `bert_tf.finetune`, keeps its folder, and measures it like an existing classifier."""
    from bert_tf.training.finetune import finetune

    (seed,) = candidate["seeds"]
    output_dir = folder / "finetune"
    if not (output_dir / "metrics.json").is_file():
        how = {"seed": seed, "resume": output_dir.exists(), "verbose": 0, **candidate["options"]}
        finetune(splits.train, splits.validation, output_dir=output_dir, **how)
    classifier = {**candidate, "options": {**candidate["options"], "checkpoint": str(output_dir / "model")}}
    classify, facts = _existing_classifier(classifier, splits, folder)
    metrics = read_json(output_dir / "metrics.json", DAMAGED)
    run_file = folder / f"seed-{seed}" / RUN
    write_json(run_file, read_json(run_file, DAMAGED) | {name: metrics[name] for name in ("best_epoch", "seconds")})
    return classify, facts | {"trainable_parameters": metrics["trainable_parameters"]}


def _part(candidate: Candidate, train: Examples, seed: int) -> Examples:
    """Returns a candidate's training texts: all, or `texts` of them, the same share of each class."""
    return train.sample(candidate.get("texts", len(train)), seed)


def label_columns(model_labels: Sequence[str], label_names: Sequence[str], source: str) -> list[int]:
    """Returns the index of a model's column for each label of the data; they agree by value: "0" is "False".

    Raises: ValueError if the model is for other labels.
    """
    place = places(model_labels)
    if set(place) == set(keys := [key_of(name) for name in label_names]):
        return [place[key] for key in keys]
    if [*model_labels] == [f"LABEL_{i}" for i in range(len(label_names))]:
        return [*range(len(label_names))]
    raise ValueError(
        f"{source} classifies into {', '.join(model_labels)}; the data has {', '.join(label_names)}. Give a model for these "
        "labels, or a checkpoint without a head."
    )


def _finetuned_per_seed(candidate: Candidate, splits: Splits, folder: Path) -> Measured:
    """Runs `bert_tf.finetune` for each seed; nothing of its folders is kept but what is measured."""
    from bert_tf.inference.predict import predict
    from bert_tf.training.finetune import finetune

    for seed, seed_folder in _unfinished(candidate, folder):
        started, output_dir = time.monotonic(), seed_folder / "finetune"
        how = {
            "seed": seed,
            "resume": (output_dir / RUN).is_file(),
            "verbose": 0,
            "report": False,
            **candidate["options"],
        }
        run = finetune(_part(candidate, splits.train, seed), splits.validation, output_dir=output_dir, **how)
        max_length = run.metrics["settings"]["max_length"]

        def classify(texts: Sequence[Text], run=run, max_length=max_length) -> np.ndarray:
            return predict(run.model, texts, run.tokenizer, max_length=max_length, engine="keras").outputs

        _write(seed_folder, splits, classify, run.history, run.metrics["best_epoch"], started)
        shutil.rmtree(output_dir)
    return classify, {name: run.metrics[name] for name in ("parameters", "trainable_parameters")}


KINDS: dict[str, Callable[..., Measured]] = {
    "tfidf": _baseline,
    "lstm": _baseline,
    "trained_per_seed": _trained_per_seed,
    "finetuned_per_seed": _finetuned_per_seed,
    "existing_classifier": _existing_classifier,
    "finetuned_and_kept": _finetuned_and_kept,
}
