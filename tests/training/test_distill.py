"""Distillation: where the student begins, what it learns, what is left and said, what is refused."""

import json

import keras
import numpy as np
import pytest

import bert_tf
from bert_tf.data.examples import Examples
from bert_tf.evaluation.scores import softmax
from bert_tf.features import cache
from bert_tf.inference import speed
from bert_tf.settings import DISTILL
from bert_tf.tasks.task import task_of
from bert_tf.training.job import prepare
from bert_tf.training.teacher import Teacher, evenly_spread, load_teacher

DISTILL_OPTIONS = {option.name for option in DISTILL.options()}


@pytest.fixture(scope="module")
def teacher(tiny, reviews, tmp_path_factory):
    """A fine-tuned classifier of two layers under a head over the means of every layer."""
    folder = tmp_path_factory.mktemp("reviews-run")
    options = {"checkpoint": tiny, "unfreeze": 0, "max_length": 24, "report": False, "verbose": 0}
    bert_tf.finetune(reviews, reviews, output_dir=folder, **options)
    return folder / "model"


@pytest.fixture(scope="module")
def classic(tiny, reviews, tmp_path_factory):
    """The same under a head over the first token."""
    model = bert_tf.TFDistilBertForSequenceClassification.from_pretrained(
        tiny, id2label={0: "negative", 1: "positive"}, problem_type="single_label_classification"
    )
    model.classifier.kernel.assign(model.classifier.kernel * 50)
    folder = tmp_path_factory.mktemp("classic")
    model.save_pretrained(folder)
    bert_tf.load_tokenizer(tiny).save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def _times_little(monkeypatch):
    for name in ("SINGLY", "ROUNDS"):
        monkeypatch.setattr(speed, name, 1)


def options(folder, **more) -> dict:
    return {
        "layers": 1,
        "output_dir": folder,
        "batch_size": 5,
        "epochs": 2,
        "verbose": 0,
        "precision": "float32",
        **more,
    }


@pytest.mark.parametrize(
    ("layers", "depth", "chosen"),
    [(3, 6, (0, 2, 4)), (6, 12, (0, 2, 4, 6, 8, 10)), (1, 6, (0,)), (4, 6, (0, 1, 3, 4)), (2, 3, (0, 1))],
)
def test_the_layers_are_evenly_spread(layers, depth, chosen):
    assert evenly_spread(layers, depth) == chosen


def test_the_student_begins_with_layers_embeddings_and_head_of_the_teacher(classic):
    model = bert_tf.TFAutoModelForSequenceClassification.from_pretrained(classic)
    ids = np.arange(1, 36).reshape(5, 7)
    np.testing.assert_array_equal(model.with_layers((0, 1))(ids).logits, model(ids).logits)
    student = model.with_layers((1,))
    for ours, theirs in zip(student.encoder.blocks.layer, (1,), strict=True):
        for copied, variable in zip(ours.weights, model.encoder.blocks.layer[theirs].weights, strict=True):
            np.testing.assert_array_equal(copied, variable)
    np.testing.assert_array_equal(student.classifier.kernel, model.classifier.kernel)
    assert student.config.n_layers == 1
    assert np.abs(np.asarray(student(ids).logits) - np.asarray(model(ids).logits)).max() > 1e-4


def test_the_targets_are_what_the_teacher_says_mixed_with_the_labels():
    logits = np.random.default_rng(0).normal(size=(3 + 2 + 4, 3)).astype("float32")  # training, validation, unlabelled
    unlabelled = Examples(["a", "b", "c", "d"], None, (), "more")
    teacher = Teacher("t", None, None, (0,), unlabelled, 0.25, logits=logits)
    targets = teacher.targets(np.array([2, 0, 1]), task_of("classification"))
    soft = softmax(logits.astype("float64"))
    hard = np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]])
    np.testing.assert_allclose(targets[:3], 0.25 * soft[:3] + 0.75 * hard, atol=1e-6)
    np.testing.assert_allclose(targets[3:], soft[5:], atol=1e-6)


def test_the_student_learns_all_texts_but_those_for_validation(teacher, reviews):
    settings = DISTILL.settings(layers=1, verbose=0).replace(checkpoint=str(teacher), recipe="auto", cache="memory")
    more = Examples(["an unlabelled text", "another"], None, (), "more")
    job = prepare(reviews, settings=settings, teacher=load_teacher(teacher, more, settings), say=lambda _: None)
    with pytest.raises(ValueError, match="has not been asked"):
        job.splits(job.tokens)
    job.ask_teacher(progress=False, say=lambda _: None)
    (learnt, targets), (validation, labels) = job.splits(job.tokens)
    decode = job.tokenizer.decode
    texts = [decode(learnt[i], skip_special_tokens=True) for i in range(len(learnt))]
    assert texts[-2:] == ["an unlabelled text", "another"]
    assert len(texts) == job.texts_to_learn == len(job.train) + 2
    assert targets.shape == (len(texts), 2)
    assert len(validation) == len(labels) == len(job.validation) == 4
    probabilities = bert_tf.predict(teacher, texts).probabilities
    np.testing.assert_allclose(targets[-2:], probabilities[-2:], atol=2e-2)  # bfloat16 on some machines
    seen = []
    job.teacher.blend = lambda logits, texts: seen.extend(texts) or 0 * logits  # a second part that is never sure
    job.ask_teacher(progress=False, say=lambda _: None)
    assert seen == [*job.train.texts, *job.validation.texts, *more.texts]
    np.testing.assert_array_equal(job.splits(job.tokens)[0][1][-2:], 0.5)


def test_it_leaves_a_smaller_model_and_says_how_it_compares(teacher, reviews, tmp_path, capsys):
    more = {"text": [f"{text} indeed" for text in reviews["text"]]}
    out = tmp_path / "small"
    done = bert_tf.distill(teacher, reviews, unlabelled=more, test=reviews, **options(out, verbose=2))
    names = {path.name for path in out.iterdir()}
    assert names == {"report.html", "model", "history.csv", "metrics.json", "curves.png", "tensorboard", "run.json"}
    metrics = json.loads((out / "metrics.json").read_text())
    found = metrics["distilled"]
    assert (found["layers"], found["unlabelled"]) == ([0], 24)
    large, small = found["rows"]
    assert (large["layers"], small["layers"]) == (2, 1)
    assert small["parameters"] < large["parameters"]
    assert small["size"] < large["size"]
    assert small["val_accuracy"] == metrics["val_accuracy"]
    assert (
        large["test_accuracy"]
        == (np.array(bert_tf.predict(teacher, reviews["text"]).labels) == reviews["label"]).mean()
    )
    assert done.model.label_names == ("negative", "positive")
    assert bert_tf.predict(out / "model", reviews["text"]).label_names == ("negative", "positive")
    assert bert_tf.load_tokenizer(out / "model").model_max_length == 24
    assert metrics["settings"]["max_length"] == 24
    name = teacher.parent.name
    assert f"Distilled from {name} with bert_tf." in (out / "model/README.md").read_text()
    page = (out / "report.html").read_text()
    assert "Teacher and student" in page
    assert f"bert-tf distill {teacher} --train" in page
    said = capsys.readouterr().out
    assert "From layer 0 of" in said
    assert "of the teacher's test accuracy at" in said


@pytest.mark.slow
def test_under_a_classic_head_the_student_begins_with_the_teachers(classic, reviews, tmp_path):
    done = bert_tf.distill(classic, reviews, reviews, **options(tmp_path / "run", layers=1, epochs=1, report=False))
    first, trained = done.metrics["stages"]
    assert (first["stage"], trained["stage"]) == ("teacher's head", "1 epoch of training")
    assert done.model.head == "first_token"
    assert done.model.dropout.rate == pytest.approx(0.2)  # the teacher's


class Stop(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt


@pytest.mark.slow
def test_a_resumed_run_ends_as_if_never_stopped_and_asks_the_teacher_once(teacher, reviews, tmp_path):
    chosen = {"report": False, "cache_dir": tmp_path / "cache"}
    straight = bert_tf.distill(teacher, reviews, reviews, **options(tmp_path / "straight", **chosen))
    with pytest.raises(KeyboardInterrupt):
        bert_tf.distill(teacher, reviews, reviews, callbacks=[Stop()], **options(tmp_path / "run", **chosen))
    files = {file for space in cache.spaces(tmp_path / "cache") for file in space.folder.iterdir()}
    resumed = bert_tf.distill(teacher, reviews, reviews, resume=True, **options(tmp_path / "run", **chosen))
    assert {file for space in cache.spaces(tmp_path / "cache") for file in space.folder.iterdir()} == files
    for name, values in straight.history.items():
        np.testing.assert_allclose(resumed.history[name], values, atol=1e-5, err_msg=name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layers": 2}, r"has 2\. Received: layers=2"),
        ({"unfreeze": 0}, "must be trained, or it learns nothing"),
        ({"layers": 0}, "`layers` must be at least 1"),
        ({"teacher_weight": 1.5}, "`teacher_weight` must be at most 1"),
        ({"train": {"text": ["a", "b"] * 4, "label": ["lukewarm", "positive"] * 4}}, "does not know: 'lukewarm'"),
        ({"validation": {"text": ["a"], "label": ["lukewarm"]}}, "does not know: 'lukewarm'"),
        ({"unlabelled": {"words": ["a"]}}, "no column with a usual name for the text"),
        ({"teacher": "./nowhere"}, "no such checkpoint folder"),
    ],
)
def test_what_cannot_be_is_said_and_leaves_nothing(teacher, reviews, tmp_path, change, message):
    sources = {"teacher": teacher, "train": reviews} | {k: v for k, v in change.items() if k not in DISTILL_OPTIONS}
    chosen = {k: v for k, v in change.items() if k in DISTILL_OPTIONS}
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        bert_tf.distill(**sources, **options(tmp_path / "run", **chosen))
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_teach_is_refused(tiny, classic, reviews, tmp_path):
    with pytest.raises(ValueError, match="has no classification head, so it cannot teach"):
        bert_tf.distill(tiny, reviews, **options(tmp_path / "run"))
    several = bert_tf.TFAutoModelForSequenceClassification.from_pretrained(classic, problem_type="regression")
    several.save_pretrained(tmp_path / "several")
    with pytest.raises(ValueError, match="must give one number. Received: 2"):
        bert_tf.distill(tmp_path / "several", reviews, **options(tmp_path / "run"))


TEXTS = ["good kettle", "broke at once", "lovely and quick", "bad and slow", "good but slow", "it is a thing"] * 5
LABELS = {
    "multi-label": [["good"], ["bad"], ["good", "quick"], ["bad", "slow"], ["good", "slow"], []] * 5,
    "regression": [4000.0, 1000.0, 5000.0, 1000.0, 3000.0, 2500.0] * 5,
    "ordinal": [4, 1, 5, 1, 3, 2] * 5,
}


@pytest.mark.parametrize(
    ("task", "score"),
    [("multi-label", "micro_f1"), ("regression", "mae"), pytest.param("ordinal", "accuracy", marks=pytest.mark.slow)],
)
def test_a_teacher_of_any_task_is_learnt_from(tiny, tmp_path, task, score, capsys):
    data = {"text": TEXTS, "label": LABELS[task]}
    how = {"checkpoint": tiny, "unfreeze": 0, "max_length": 12, "report": False, "verbose": 0, "task": task}
    bert_tf.finetune(data, data, output_dir=tmp_path / "teacher", **how)
    teacher = tmp_path / "teacher/model"
    settings = DISTILL.settings(layers=1, verbose=0).replace(
        checkpoint=str(teacher), recipe="auto", cache="memory", task=task
    )
    more = Examples(["an unlabelled text", "another"], None, (), "more")
    job = prepare(data, data, settings=settings, teacher=load_teacher(teacher, more, settings), say=lambda _: None)
    job.ask_teacher(progress=False, say=lambda _: None)
    (_, targets), _ = job.splits(job.tokens)
    said = bert_tf.predict(teacher, [*TEXTS, *more.texts]).outputs.reshape(32, -1)
    given = job.task.hard_targets(job.train.labels, targets.shape[1])
    expected = job.task.targets(said[:, 0]) if task == "regression" else said
    np.testing.assert_allclose(targets[30:], expected[30:], atol=3e-2)  # bfloat16 on some machines
    np.testing.assert_allclose(targets[:30], 0.5 * expected[:30] + 0.5 * given, atol=3e-2)

    out = tmp_path / "student"
    done = bert_tf.distill(teacher, data, data, unlabelled={"text": more.texts}, test=data, **options(out, epochs=1))
    large, small = done.metrics["distilled"]["rows"]
    model = bert_tf.predict(teacher, TEXTS)
    assert large[f"test_{score}"] == pytest.approx(large[f"val_{score}"], rel=2e-2)
    assert large[f"test_{score}"] == pytest.approx(
        job.task.score_of(job.train.labels, model.outputs, model.thresholds), rel=1e-2
    )
    assert small[f"val_{score}"] == done.metrics[f"val_{score}"]
    answers = bert_tf.predict(out / "model", TEXTS)
    assert (answers.task, answers.label_names) == (task, model.label_names)
    assert job.task.score_of(job.train.labels, answers.outputs, answers.thresholds) == pytest.approx(
        small[f"test_{score}"], rel=1e-2
    )
    page = (out / "report.html").read_text()
    assert "Teacher and student" in page
    assert ("instead of the teacher" if task == "regression" else "of the teacher&#39;s test") in page
