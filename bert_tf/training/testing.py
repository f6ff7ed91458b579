"""The test texts of a run: a third set that nothing is chosen by, classified once, at the end, by the model that is kept."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bert_tf.data.examples import LEAK, Examples, check_kinds, remarks_of, with_leaks
from bert_tf.data.readers import read
from bert_tf.evaluation import diagnostics, slices
from bert_tf.evaluation.blend import Blend
from bert_tf.formatting import format_value
from bert_tf.inference.predict import Classifier
from bert_tf.reporting import tables
from bert_tf.reporting.sections_of_slices import of_slices
from bert_tf.settings import Data
from bert_tf.tasks.task import task_of
from bert_tf.training.job import Job


def read_test(
    test: Any, train: Examples, data: Data, by: Sequence[str] | None = None, validation: Examples | None = None
) -> Examples | None:
    """Reads test texts, their labels as those of the training texts; ValueError if they have others, or are pairs and those are not.
    None if there are none. Their weights are never used and not read. `by` are their slices, whose columns are kept. A remark says
    if some are among the training or validation texts."""
    if test is None:
        slices.check(by)
        return None
    examples = read(test, replace(data, task=train.task, weight_column=None), keep=slices.columns(by))
    check_kinds(train, examples, "test")
    return _with_copies(train, validation, with_leaks(train, examples)).relabel(train.label_names)


def _with_copies(train: Examples, validation: Examples | None, test: Examples) -> Examples:
    """Returns the test texts, with a remark if some are training or validation texts too, but for case and whitespace."""
    counts = {"training": diagnostics.copies(test.texts, train.texts)}
    if validation is not None:
        counts["validation"] = diagnostics.copies(test.texts, validation.texts)
    among = " and ".join(f"{count:,} are among the {name} texts" for name, count in counts.items() if count)
    if not among:
        return test
    remark = f"{test.source}: of the {len(test):,} test texts {among}: {LEAK}."
    return replace(test, remarks=(*test.remarks, remark))


def measure(
    test: Examples, job: Job, model: Any, blend: Blend | None = None, by: Sequence[str] | None = None
) -> dict[str, Any]:
    """Classifies the test texts by the model that is kept and by the baseline.

    Args:
        job: the run that trained the model.
        model: a classifier for the labels of the job; `blend`, its second part.
        by: names of slicings, see `slices.slicings`.
    Returns: dict of `task`, its name, `source`, `remarks`, `leaked`, whether the model has learnt from some, `scores`, where there are slicings `slices` (of `slices.judge`) and, where a
        baseline can be trained, `baseline` (as `scores` of `Task.evaluate`) and `comparison` (of `Task.compare`, the model first).
    """
    texts, names, task = [*test.texts], job.train.label_names, job.task
    classifier = Classifier(model, job.tokenizer, max_length=job.max_length, blend=blend)
    tokens = classifier.tokenize(texts)
    answers = classifier.of_tokens(tokens, texts)
    by_model, thresholds = answers.outputs, answers.thresholds
    measured = task.evaluate(test.labels, by_model, names, thresholds)["scores"]
    remarks = remarks_of(test)
    found = {"task": task.name, "source": test.source, "scores": measured, "remarks": remarks}
    found["leaked"] = any(LEAK in remark for remark in remarks)
    if by:
        said = (test.labels, by_model, names, thresholds)
        sliced = slices.slicings(by, test.kept, tokens.uncut)
        found["slices"] = {name: slices.judge(each, task, *said) for name, each in sliced.items()}
    try:
        by_words, chosen = job.baseline(texts), job.baseline_thresholds
    except ValueError:  # the report says why
        return found
    found["baseline"] = task.evaluate(test.labels, by_words, names, chosen)["scores"]
    both = ("this model", task.baseline_name)
    found["comparison"] = task.compare(test.labels, by_model, by_words, both, (thresholds, chosen))
    return found


def sentence(found: dict[str, Any]) -> str:
    """Returns what the terminal says about the numbers that `measure` gave, with a table of each slicing."""
    measured, task = found["scores"], task_of(found["task"])
    keys = [one for one in task.measures if one.key in (task.score, "macro_f1")]
    said = ", ".join(f"{one.words} {format_value(measured[one.key], one.kind)}" for one in keys)
    said = f"On the {measured['texts']:,} test texts: {said}."
    said += f" {found['comparison']['verdict']}" if "comparison" in found else ""
    blocks = [block for section in of_slices(found) for block in section["blocks"]]
    return "\n\n".join([said, *(block.get("verdict") or tables.for_terminal(block["table"]) for block in blocks)])
