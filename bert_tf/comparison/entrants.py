"""One entrant of a comparison: trained, judged and measured, its record written; in a process of its own, so that the memory
it took is its own.

An entrant is a dict of plain values: `name`, `kind` (a key of `KINDS`), and what that kind needs. Its folder holds
seed-S/run.json and seed-S/probabilities.npy for each seed, and record.json when all is done.
"""

import json
import logging
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from bert_tf import files
from bert_tf.comparison.baselines import Classify
from bert_tf.data.examples import Examples
from bert_tf.evaluation.history import best_epoch
from bert_tf.hardware import keep_memory, peak_process_memory

RECORD = "record.json"  # an entrant that has one is finished


RUN = "run.json"  # a seed that has one is finished


TIMED = 96  # validation texts whose prediction is timed


ALONE = 16  # of these, texts that are timed one by one


Entrant = Mapping[str, Any]


Entered = tuple[Classify, dict[str, Any]]  # what classifies texts, and facts for the record


def run_alone(entrant: Entrant, train: Examples, validation: Examples, folder: Path) -> None:
    """Runs an entrant in a new process.

    Args:
        folder: of the comparison's entrants.
    Raises: RuntimeError with the last line of what the process said, if it failed.
    """
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "task.json"
        parts = {
            name: {"texts": [*part.texts], "labels": part.labels.tolist()}
            for name, part in (("train", train), ("validation", validation))
        }
        task = {"entrant": entrant, "folder": str(folder.absolute()), "label_names": train.label_names, **parts}
        file.write_text(json.dumps(task), encoding="utf-8")
        code = "import sys; from bert_tf.comparison.entrants import run_file; run_file(sys.argv[1])"
        done = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=False)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        reason = (
            said[-1]
            if said and done.returncode > 0
            else f"stopped by signal {-done.returncode}, perhaps for its memory"
        )
        raise RuntimeError(reason)


def run_file(file: str) -> None:
    """Runs the entrant that `run_alone` wrote to a file."""
    keep_memory()
    task = json.loads(Path(file).read_text(encoding="utf-8"))
    train, validation = (
        Examples(task[name]["texts"], np.array(task[name]["labels"], "int32"), tuple(task["label_names"]), name)
        for name in ("train", "validation")
    )
    run(task["entrant"], train, validation, Path(task["folder"]), alone=True)


def run(entrant: Entrant, train: Examples, validation: Examples, folder: Path, alone: bool = False) -> None:
    """Trains an entrant from each of its seeds, measures it, and writes its record.

    Args:
        alone: bool, whether nothing else has run in this process: then its peak memory is the entrant's.
    """
    folder = folder / entrant["name"]
    with _of_new_heads_nothing():
        classify, facts = KINDS[entrant["kind"]](entrant, train, validation, folder)
    memory = peak_process_memory() if alone else None
    texts = [*validation.texts][:TIMED]
    classify(texts)  # the first time it is built
    started = time.perf_counter()
    classify(texts)
    facts |= {"memory": memory, "texts_per_second": len(texts) / (time.perf_counter() - started)}
    if entrant.get("latency"):
        single: list[float] = []
        for times in ([], single):
            for text in texts[:ALONE]:
                started = time.perf_counter()
                classify([text])
                times.append(time.perf_counter() - started)
        facts["latency"] = float(np.median(single))
    files.write_json(folder / RECORD, {"name": entrant["name"], **facts})


def runs(entrant: Entrant, folder: Path) -> list[dict[str, Any]]:
    """Returns what an entrant's seeds gave: their `run.json`, with `probabilities` `(M, C)`."""
    found = []
    for seed in entrant["seeds"]:
        where = folder / entrant["name"] / f"seed-{seed}"
        run = json.loads((where / RUN).read_text(encoding="utf-8"))
        found.append({**run, "probabilities": np.load(where / "probabilities.npy")})
    return found


def finished(entrant: Entrant, folder: Path) -> bool:
    """Returns whether an entrant has been run to its end."""
    return (folder / entrant["name"] / RECORD).is_file()


@contextmanager
def _of_new_heads_nothing() -> Iterator[None]:
    """Keeps the log from saying for each seed that its head is new: here it always is."""
    log = logging.getLogger("bert_tf.new_head")

    def heard(record: logging.LogRecord) -> bool:
        return False

    log.addFilter(heard)
    try:
        yield
    finally:
        log.removeFilter(heard)


def _left(entrant: Entrant, folder: Path) -> Iterator[tuple[int, Path]]:
    """Gives the seeds that have not been run, and their folders."""
    for seed in entrant["seeds"]:
        where = folder / f"seed-{seed}"
        if not (where / RUN).is_file():
            where.mkdir(parents=True, exist_ok=True)
            yield seed, where


def _write(where: Path, probabilities: np.ndarray, history: Mapping, started: float, best: int | None = None) -> None:
    np.save(where / "probabilities.npy", np.asarray(probabilities, "float32"))
    values = {"history": dict(history), "best_epoch": best, "seconds": time.monotonic() - started}
    files.write_json(where / RUN, values)


def _part(entrant: Entrant, train: Examples, seed: int) -> Examples:
    """Returns the training texts that an entrant learns from: all, or `texts` of them, each class by the same share."""
    wanted = entrant.get("texts")
    if wanted is None or wanted >= len(train):
        return train
    return train.split(wanted / len(train), seed)[1]


# Kinds


def _floor(entrant: Entrant, train: Examples, validation: Examples, folder: Path) -> Entered:
    from bert_tf.comparison.baselines import tfidf

    found = None
    for seed, where in _left(entrant, folder):
        started = time.monotonic()
        found = tfidf(_part(entrant, train, seed), seed)
        _write(where, found.classify([*validation.texts]), {}, started)
    found = found or tfidf(_part(entrant, train, entrant["seeds"][-1]), entrant["seeds"][-1])
    return found.classify, {
        "parameters": found.parameters,
        "trainable_parameters": found.parameters,
        "size": found.size,
    }


def _lstm(entrant: Entrant, train: Examples, validation: Examples, folder: Path) -> Entered:
    from bert_tf.comparison.baselines import lstm

    found = None
    for seed, where in _left(entrant, folder):
        started = time.monotonic()
        found = lstm(train, validation, seed, entrant["epochs"])
        best = best_epoch(found.history)
        _write(where, found.classify([*validation.texts]), found.history, started, best)
    found = found or lstm(train, validation, entrant["seeds"][-1], entrant["epochs"])
    return found.classify, {
        "parameters": found.parameters,
        "trainable_parameters": found.parameters,
        "size": found.size,
    }


def _trained(entrant: Entrant, train: Examples, validation: Examples, folder: Path) -> Entered:
    """Trains a checkpoint, as `bert_tf.finetune` with these seeds would, by the same compiled steps for all of them."""
    from keras import ops

    from bert_tf.inference.predict import predict
    from bert_tf.training.recipe import usual_learning_rate
    from bert_tf.tuning.hypermodel import ClassifierHyperModel

    names = (
        "checkpoint",
        "epochs",
        "early_stopping",
        "head",
        "max_length",
        "precision",
        "cache_dir",
        "new_head",
        "unfreeze",
    )
    options = {name: entrant[name] for name in names}
    model: Any = None
    for seed, where in _left(entrant, folder):
        if model is None or "texts" in entrant:  # else the same texts, and the same compiled steps
            part = _part(entrant, train, seed)
            hypermodel = ClassifierHyperModel(part, validation, seed=seed, verbose=False, **options)
            job, unfreeze = hypermodel.job, entrant["unfreeze"]
            rate = entrant["learning_rate"] or usual_learning_rate(unfreeze, job.model.head)
            values = {
                "learning_rate": rate, "batch_size": entrant["batch_size"], "dropout": float(job.model.dropout.rate),
                "weight_decay": 0.0, "warmup": 0.0, "unfreeze": unfreeze,
            }  # fmt: skip
            hypermodel.load_depth(unfreeze)
        started = time.monotonic()
        model, history = hypermodel.train(values, where, seed)
        probabilities = ops.convert_to_numpy(ops.softmax(hypermodel.validation_logits(unfreeze)))
        _write(where, probabilities, history, started, best_epoch(history))
        for name in ("last.safetensors", "best.safetensors"):
            (where / name).unlink(missing_ok=True)
    if model is None:  # killed between the last seed and the record
        (folder / f"seed-{entrant['seeds'][-1]}" / RUN).unlink()
        return _trained(entrant, train, validation, folder)

    def classify(texts: Sequence[str]) -> np.ndarray:
        return predict(model, texts, job.tokenizer, max_length=job.max_length, engine="keras").probabilities

    trained = model.num_parameters(only_trainable=True)
    return classify, {"parameters": model.num_parameters(), "trainable_parameters": trained}


def _finetuned(entrant: Entrant, train: Examples, validation: Examples, folder: Path) -> Entered:
    """Measures a classifier that has been fine-tuned for these labels."""
    from bert_tf.checkpoints import locate
    from bert_tf.data.tokenizer import load_tokenizer
    from bert_tf.inference.predict import predict
    from bert_tf.models.auto import TFAutoModelForSequenceClassification

    source = locate.resolve(entrant["checkpoint"])
    model = TFAutoModelForSequenceClassification.from_pretrained(source)
    tokenizer = load_tokenizer(source)
    columns = label_columns(model.label_names, validation.label_names, entrant["checkpoint"])

    def classify(texts: Sequence[str]) -> np.ndarray:
        return predict(model, texts, tokenizer, max_length=entrant["max_length"], engine="keras").probabilities[
            :, columns
        ]

    for _, where in _left(entrant, folder):
        _write(where, classify([*validation.texts]), {}, time.monotonic())
    size = sum(file.stat().st_size for file in source.iterdir() if file.is_file())
    return classify, {"parameters": model.num_parameters(), "trainable_parameters": 0, "size": size}


def _tuned(entrant: Entrant, train: Examples, validation: Examples, folder: Path) -> Entered:
    """Fine-tunes a checkpoint by `bert_tf.finetune`, keeps its folder, and measures it like any other that is there."""
    from bert_tf.training.finetune import finetune

    (seed,) = entrant["seeds"]
    run, where = folder / "finetune", folder / f"seed-{seed}"
    if not (run / "metrics.json").is_file():
        names = ("checkpoint", "unfreeze", "head", "epochs", "early_stopping", "learning_rate", "batch_size", "max_length", "precision",
                 "cache_dir", "new_head")  # fmt: skip
        options = {name: entrant[name] for name in names}
        finetune(train, validation, output_dir=run, seed=seed, resume=run.exists(), verbose=0, **options)
    classify, facts = _finetuned({**entrant, "checkpoint": str(run / "model")}, train, validation, folder)
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    done = json.loads((where / RUN).read_text(encoding="utf-8"))
    files.write_json(where / RUN, done | {"best_epoch": metrics["best_epoch"], "seconds": metrics["seconds"]})
    return classify, facts | {"trainable_parameters": metrics["trainable_parameters"]}


def label_columns(theirs: Sequence[str], label_names: Sequence[str], source: str) -> list[int]:
    """Returns which of a model's columns stands for each label of the data.

    Raises: ValueError if the model is for other labels.
    """
    if set(theirs) == set(label_names):
        return [theirs.index(name) for name in label_names]
    if [*theirs] == [f"LABEL_{i}" for i in range(len(label_names))]:
        return [*range(len(label_names))]
    raise ValueError(
        f"{source} tells apart {', '.join(theirs)}; the data has {', '.join(label_names)}. Give a model for these labels, or a "
        "checkpoint without a head."
    )


KINDS = {"floor": _floor, "lstm": _lstm, "trained": _trained, "finetuned": _finetuned, "tuned": _tuned}
