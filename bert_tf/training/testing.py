"""The test texts of a run: a third set that nothing is chosen by, classified once, at the end, by the model that is kept."""

from typing import Any

from bert_tf.data.examples import Examples, with_leaks
from bert_tf.data.readers import read
from bert_tf.evaluation import scores
from bert_tf.evaluation.blend import Blend
from bert_tf.evaluation.tfidf import BASELINE
from bert_tf.formatting import format_value
from bert_tf.inference.predict import predict
from bert_tf.settings import Data
from bert_tf.training.job import Job


def read_test(test: Any, train: Examples, data: Data) -> Examples | None:
    """Reads test texts, their labels in the order of the training texts'; ValueError if they have others. None if there are none."""
    if test is None:
        return None
    return with_leaks(train, read(test, data)).relabel(train.label_names)


def measure(test: Examples, job: Job, model: Any, blend: Blend | None = None) -> dict[str, Any]:
    """Classifies the test texts by the model that is kept and by the baseline.

    Args:
        job: the run that trained the model.
        model: a classifier for the labels of the job; `blend`, its second part.
    Returns: dict of `source`, `scores`, and, where a baseline can be trained, `baseline` (both of `scores.evaluate`) and
        `comparison` (of `scores.compare`, the model first).
    """
    texts, names = [*test.texts], job.train.label_names
    by_model = predict(model, texts, job.tokenizer, max_length=job.max_length, blend=blend).probabilities
    found = {"source": test.source, "scores": scores.evaluate(test.labels, by_model, names)["scores"]}
    try:
        by_words = job.baseline(texts)
    except ValueError:  # the report says why
        return found
    found["baseline"] = scores.evaluate(test.labels, by_words, names)["scores"]
    found["comparison"] = scores.compare(test.labels, by_model, by_words, ("this model", BASELINE))
    return found


def sentence(found: dict[str, Any]) -> str:
    """Returns what the terminal says about the numbers that `measure` gave."""
    measured = found["scores"]
    accuracy, f1 = (format_value(measured[name], "score") for name in ("accuracy", "macro_f1"))
    said = f"On the {measured['texts']:,} test texts: accuracy {accuracy}, macro F1 {f1}."
    return f"{said} {found['comparison']['verdict']}" if "comparison" in found else said
