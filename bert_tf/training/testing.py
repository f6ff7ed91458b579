"""The test texts of a run: a third set that nothing is chosen by, classified once, at the end, by the model that is kept."""

from dataclasses import replace
from typing import Any

from bert_tf.data.examples import Examples, check_kinds, with_leaks
from bert_tf.data.readers import read
from bert_tf.evaluation.blend import Blend
from bert_tf.formatting import format_value
from bert_tf.inference.predict import predict
from bert_tf.settings import Data
from bert_tf.tasks.task import task_of
from bert_tf.training.job import Job


def read_test(test: Any, train: Examples, data: Data) -> Examples | None:
    """Reads test texts, their labels as those of the training texts; ValueError if they have others, or are pairs and those are not.
    None if there are none. Their weights are never used and not read."""
    if test is None:
        return None
    examples = read(test, replace(data, task=train.task, weight_column=None))
    check_kinds(train, examples, "test")
    return with_leaks(train, examples).relabel(train.label_names)


def measure(test: Examples, job: Job, model: Any, blend: Blend | None = None) -> dict[str, Any]:
    """Classifies the test texts by the model that is kept and by the baseline.

    Args:
        job: the run that trained the model.
        model: a classifier for the labels of the job; `blend`, its second part.
    Returns: dict of `task`, its name, `source`, `scores`, and, where a baseline can be trained, `baseline` (both of
        `Task.evaluate`) and `comparison` (of `Task.compare`, the model first).
    """
    texts, names, task = [*test.texts], job.train.label_names, job.task
    answers = predict(model, texts, job.tokenizer, max_length=job.max_length, blend=blend)
    by_model, thresholds = answers.outputs, answers.thresholds
    measured = task.evaluate(test.labels, by_model, names, thresholds)["scores"]
    found = {"task": task.name, "source": test.source, "scores": measured}
    try:
        by_words, chosen = job.baseline(texts), job.baseline_thresholds
    except ValueError:  # the report says why
        return found
    found["baseline"] = task.evaluate(test.labels, by_words, names, chosen)["scores"]
    both = ("this model", task.baseline_name)
    found["comparison"] = task.compare(test.labels, by_model, by_words, both, (thresholds, chosen))
    return found


def sentence(found: dict[str, Any]) -> str:
    """Returns what the terminal says about the numbers that `measure` gave."""
    measured, task = found["scores"], task_of(found["task"])
    keys = [one for one in task.measures if one.key in (task.score, "macro_f1")]
    said = ", ".join(f"{one.words} {format_value(measured[one.key], one.kind)}" for one in keys)
    said = f"On the {measured['texts']:,} test texts: {said}."
    return f"{said} {found['comparison']['verdict']}" if "comparison" in found else said
