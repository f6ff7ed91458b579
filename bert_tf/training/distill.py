"""A smaller and faster student of a fine-tuned model, which keeps most of what its teacher knows."""

import functools
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from bert_tf.backends.devices import spread
from bert_tf.checkpoints import locate
from bert_tf.data import readers
from bert_tf.data.examples import Examples
from bert_tf.evaluation.blend import Blend
from bert_tf.files import folder_size
from bert_tf.formatting import Text
from bert_tf.inference import speed
from bert_tf.inference.predict import Predictions, predict
from bert_tf.options import with_options
from bert_tf.reporting import sections
from bert_tf.reporting.tables import for_terminal
from bert_tf.settings import DISTILL, Settings
from bert_tf.tasks.task import THRESHOLDS
from bert_tf.training.finetune import carry_out, read
from bert_tf.training.finetuned import Finetuned
from bert_tf.training.run import Run
from bert_tf.training.teacher import load_teacher


@with_options(DISTILL)
def distill(
    teacher: str | Path,
    train: Any,
    validation: Any = None,
    *,
    unlabelled: Any = None,
    test: Any = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    started: float | None = None,
    settings: Settings,
) -> Finetuned:
    """Trains a student with some of a teacher's layers to answer as the teacher does, and keeps the best model.

    Sanh et al. 2019 (https://arxiv.org/abs/1910.01108) for a classifier: the student begins
    with layers, embeddings, tokenizer and labels of the teacher, and learns the teacher's
    probabilities (of each label by itself, or the number of a regression), mixed with the
    label where a text has one. Texts without labels help: on
    those that it was trained on the teacher hardly errs, and tells little more than the labels
    do.

    Otherwise it is `finetune`: a head over the means of every layer is solved anew before the
    layers are trained, the better of both is kept after calibration, and the same files are
    left in `output_dir`. The report, metrics.json ("distilled") and the model card compare
    student and teacher in score, size and speed. What the teacher says is computed once,
    from features in the cache, so that a resumed run does not compute it again.

    Args:
        teacher: folder or hub name of a fine-tuned model. Texts are read for its task.
        train, validation, test, callbacks, started: as for `bert_tf.finetune`; labels are those
            of the teacher.
        unlabelled: a source of texts as `train`, whose labels, if there are any, are not read.
        {options}
    Returns: `Finetuned`, of the student.
    Raises: as `bert_tf.finetune`.

    >>> student = distill("runs/reviews/model", "train.csv", unlabelled="more.csv")  # doctest: +SKIP
    """
    started = time.monotonic() if started is None else started
    settings = settings.replace(checkpoint=str(teacher), recipe="auto")
    texts = Examples([], None, (), "")
    if unlabelled is not None:
        texts = readers.read(unlabelled, settings.data, labelled=False)
    with spread(settings.compute.devices):
        loaded = load_teacher(teacher, texts, settings)
        settings = settings.replace(task=loaded.task.name)
        run = read(train, validation, test, settings=settings, started=started, command=DISTILL, teacher=loaded)
        for remark in texts.remarks:
            run.say(remark)
        return carry_out(run, callbacks, _beside_teacher)


def _beside_teacher(run: Run, metrics: dict[str, Any]) -> dict[str, Any]:
    """Compares student and teacher; returns the numbers for metrics.json."""
    job, size = run.job, len(run.job.train)
    teacher, student = job.teacher, job.model
    assert teacher is not None
    assert teacher.logits is not None
    models = {"teacher": teacher.model, "student": student}
    folders = {"teacher": locate.resolve(teacher.name), "student": run.folder / "model"}

    def classify(model: Any, blend: Blend | None, texts: Sequence[Text]) -> Predictions:
        return predict(model, texts, job.tokenizer, max_length=job.max_length, engine="keras", blend=blend)

    classifiers = [
        functools.partial(classify, teacher.model, teacher.blend),
        functools.partial(classify, student, None),
    ]
    texts = [*(run.test or job.validation).texts]
    task, score = job.task, job.task.score
    known = task.squash(teacher.logits[size : size + len(job.validation)].astype("float64"))
    thresholds = getattr(teacher.model.config, THRESHOLDS, None)
    scores = {"teacher": task.score_of(job.validation.labels, known, thresholds), "student": metrics[f"val_{score}"]}
    rows = [
        {
            "model": name,
            "layers": len(model.encoder.blocks.layer),
            f"val_{score}": scores[name],
            "parameters": model.num_parameters(),
            "size": folder_size(folders[name]),
            "latency": latency,
            "texts_per_second": texts_per_second,
        }
        for (name, model), latency, texts_per_second in zip(
            models.items(), speed.latency(classifiers, texts), speed.texts_per_second(classifiers, texts), strict=True
        )
    ]
    if run.test is not None:
        answers = classifiers[0](texts)
        rows[0][f"test_{score}"] = task.score_of(run.test.labels, answers.outputs, answers.thresholds)
        rows[1][f"test_{score}"] = metrics["test"]["scores"][score]["value"]
    found = {
        "distilled": {
            "teacher": teacher.title,
            "layers": [*teacher.chosen],
            "unlabelled": len(teacher.unlabelled),
            "rows": rows,
        }
    }
    verdict, table = sections.distillation({**found, "task": task.name})
    run.say("\n" + for_terminal(table["table"]) + "\n\n" + verdict["verdict"])
    return found
