"""Texts that count differently: by class, by a column; in the head, the epochs, the temperature, the baseline, and what is said."""

import json

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

import bert_tf
from bert_tf.cli.main import main
from bert_tf.data.examples import Examples
from bert_tf.evaluation import diagnostics, scores, tfidf
from bert_tf.options import class_weights as read_class_weights
from bert_tf.settings import DISTILL, FINETUNE
from bert_tf.training import solver
from bert_tf.training.job import prepare
from bert_tf.training.teacher import load_teacher
from bert_tf.training.testing import read_test
from bert_tf.training.weights import class_weights, text_weights


def examples(labels, names=("bad", "good"), weights=None) -> Examples:
    labels = np.array(labels, "int32")
    return Examples([f"text {i}" for i in range(len(labels))], labels, names, "some.csv", weights=weights)


def test_balanced_weights_are_scikit_learns_and_have_mean_1():
    three = examples([0, 1, 1, 1, 2, 2], ("a", "b", "c"))
    expected = compute_class_weight("balanced", classes=np.arange(3), y=three.labels)
    np.testing.assert_allclose(class_weights("balanced", three), expected)
    assert text_weights(three, expected).mean() == pytest.approx(1)
    absent = examples([0, 2, 2], ("a", "b", "c"))
    np.testing.assert_allclose(class_weights("balanced", absent), [1.5, 0, 0.75])


@pytest.mark.parametrize(
    ("given", "names", "expected"),
    [
        ({"bad": 3}, ("bad", "good"), [3, 1]),
        ({1: 2, 5: 3}, ("1", "5"), [2, 3]),  # the labels' values come before their indices
        ({"1.0": 2, True: 2} | {"5": 3}, ("1", "5"), None),
        ({"True": 4}, ("0", "1"), [1, 4]),
        ({0: 2, 1: 5}, ("bad", "good"), [2, 5]),
        (np.array([0.5, 2.0]), ("1", "2"), [0.5, 2]),
        ('{"good": 2}', ("bad", "good"), [1, 2]),
    ],
)
def test_weights_are_read_by_name_value_or_index(given, names, expected):
    given = FINETUNE.settings(class_weight=given).training.class_weight
    if expected is None:
        with pytest.raises(ValueError, match="given twice|one value"):
            class_weights(given, examples([0, 1], names))
    else:
        np.testing.assert_allclose(class_weights(given, examples([0, 1], names)), expected)


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ("balance", FileNotFoundError, "balance: no such file. `class_weight` is balanced, or a JSON file"),
        ({"bad": -1}, ValueError, "must be numbers of 0 or more. Received: -1"),
        ({"bad": "much"}, ValueError, "must be numbers of 0 or more. Received: 'much'"),
        ("{bad: 1}", ValueError, "is not valid JSON"),
        (3, ValueError, "must be balanced, or weights by class. Received: class_weight=3"),
        ({}, ValueError, "must be balanced, or weights by class"),
    ],
)
def test_what_is_no_weight_is_refused(given, error, says):
    with pytest.raises(error, match=says):
        FINETUNE.settings(class_weight=given)


def test_classes_that_are_none_are_named():
    with pytest.raises(ValueError, match="'ugly' is no class"):
        class_weights('{"ugly": 1}', examples([0, 1]))
    with pytest.raises(ValueError, match="every class of some.csv has weight 0"):
        class_weights('{"good": 0, "bad": 0}', examples([0, 1]))


def test_the_command_repeats_the_weights(tmp_path):
    (tmp_path / "weights.json").write_text('{"bad": 10}')
    settings = FINETUNE.settings(class_weight=str(tmp_path / "weights.json"))
    flag, value = FINETUNE.arguments(settings)
    assert flag == "--class-weight"
    assert read_class_weights(value) == value == '{"bad": 10.0}'


def test_weights_of_texts_come_from_a_column(tmp_path):
    file = tmp_path / "reviews.csv"
    file.write_text("text,label,trust\nfine stuff,good,3\npoor stuff,bad,1\nawful stuff,bad,0\n")
    found = bert_tf.read_examples(file, weight_column="trust")
    np.testing.assert_allclose(found.weights, [2.25, 0.75, 0])
    np.testing.assert_allclose(found.take(np.array([0, 2])).weights, [2, 0])  # mean 1 again
    assert "trust" not in found.other_columns
    with pytest.raises(ValueError, match="no column 'trusst'.*Did you mean 'trust'.*--weight-column"):
        bert_tf.read_examples(file, weight_column="trusst")
    with pytest.raises(ValueError, match=r"row 3.*the weight \(column 'trust'\) is no number of 0 or more: '-1'"):
        bert_tf.read_examples(
            {"text": ["a", "b", "c"], "label": [0, 1, 1], "trust": ["1", "2", "-1"]}, weight_column="trust"
        )
    with pytest.raises(ValueError, match="every text has weight 0"):
        bert_tf.read_examples({"text": ["a", "b"], "label": [0, 1], "trust": [0, 0]}, weight_column="trust")


@pytest.mark.parametrize("seed", [0, 1])
def test_weights_of_every_part_have_mean_1(seed):
    whole = examples([0, 1] * 20, weights=np.linspace(0, 2, 40).astype("float32"))
    for part in (*whole.split(0.2, seed), whole.sample(10, seed)):
        assert part.weights.mean() == pytest.approx(1)
        assert part.weights.dtype == np.float32
    by_hand = examples([0, 1], weights=np.array([4.0, 8.0]))
    np.testing.assert_allclose(text_weights(by_hand, None), [2 / 3, 4 / 3])


def test_columns_of_weights_and_groups_that_come_too_late_are_refused(tmp_path):
    table = {"text": ["a", "b"], "label": [0, 1], "trust": [1, 3], "care": [1, 1], "author": ["x", "y"]}
    plain = bert_tf.read_examples(table)
    for late in ({"weight_column": "trust"}, {"group_column": "author"}):
        says = rf"was read without {next(iter(late))[:-7]}s. Received: .*read_examples\(\.\.\., {next(iter(late))}="
        with pytest.raises(ValueError, match=says):
            bert_tf.read_examples(plain, **late)
        with pytest.raises(ValueError, match=says):
            bert_tf.finetune(plain, output_dir=tmp_path / "run", **late)
        again = bert_tf.read_examples(table, **late)
        assert bert_tf.read_examples(again, **late) is again
    weighted = bert_tf.read_examples(table, weight_column="trust")
    with pytest.raises(ValueError, match="has weights already, of the column 'trust'. Received: weight_column='care'"):
        bert_tf.read_examples(weighted, weight_column="care")
    with pytest.raises(ValueError, match="no column 'car'.*Did you mean 'care'"):
        bert_tf.read_examples(plain, weight_column="car")


def test_test_texts_need_no_weights():
    train = bert_tf.read_examples({"text": ["a", "b"], "label": [0, 1], "trust": [1, 3]}, weight_column="trust")
    data = FINETUNE.settings(weight_column="trust").data
    test = read_test({"text": ["c", "d"], "label": [0, 1], "trust": [0, None]}, train, data)
    assert (len(test), test.weights) == (2, None)


def test_texts_that_all_have_weight_0_are_refused_before_the_work(tiny, reviews):
    settings = FINETUNE.settings(checkpoint=tiny, weight_column="trust", max_length=16)
    held = prepare(reviews | {"trust": [1.0] * 24}, settings=settings, say=lambda _: None).validation
    trust = [float(text not in [*held.texts]) for text in reviews["text"]]
    with pytest.raises(ValueError, match="every validation text has weight 0.*--weight-column"):
        prepare(reviews | {"trust": trust}, settings=settings, say=lambda _: None)
    one = {"text": reviews["text"][:2], "label": [reviews["label"][0]] * 2}
    by_class = FINETUNE.settings(checkpoint=tiny, class_weight={reviews["label"][0]: 0}, max_length=16)
    with pytest.raises(ValueError, match="every validation text has weight 0"):
        prepare(reviews, one, settings=by_class, say=lambda _: None)


def test_resuming_notices_other_validation_weights(tiny, reviews):
    settings = FINETUNE.settings(checkpoint=tiny, weight_column="trust", max_length=16)
    train = reviews | {"trust": [1.0] * 24}
    others = [reviews, reviews | {"trust": [2.0] * 12 + [1.0] * 12}, reviews | {"trust": [1.0] * 12 + [2.0] * 12}]
    found = [prepare(train, other, settings=settings, say=lambda _: None).recorded() for other in others]
    assert len({one["validation_weights_fingerprint"] for one in found}) == 3
    assert len({one["data_fingerprint"] for one in found}) == 1


def test_class_weights_are_refused_before_the_checkpoint_is_read(tmp_path):
    several = {"text": ["a", "b", "c"], "label": [["x"], ["y"], ["x", "y"]]}
    with pytest.raises(ValueError, match="`class_weight` .--class-weight. is for one class a text.*multi-label"):
        bert_tf.finetune(several, several, checkpoint=tmp_path / "none", class_weight="balanced", output_dir=tmp_path / "x")  # fmt: skip


def drawn(texts: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = (rng.random(texts) < 0.8).astype(int)
    rows = labels[:, None] * np.ones(6) + 2 * rng.normal(size=(texts, 6))
    return rows.astype("float32"), labels, rng.integers(0, 4, texts).astype("float32")


def test_a_text_of_weight_3_counts_like_three_in_the_solved_head_and_the_baseline():
    rows, labels, weights = drawn(200)
    times = weights.astype(int)
    for kernel, bias in solver._fit(rows, labels, 2, [1e-2], weights):
        again, its = solver._fit(np.repeat(rows, times, 0), np.repeat(labels, times), 2, [1e-2])[0]
        np.testing.assert_allclose(kernel, again, atol=2e-3)
        np.testing.assert_allclose(bias, its, atol=2e-3)
    words = ["broke", "lovely", "works", "poor", "box", "arrived"]
    texts = [" ".join(words[j] for j in np.argsort(row)[:3]) for row in rows]
    baseline = tfidf.train_baseline(texts, labels, 2, weights=weights)
    plain = tfidf.train_baseline(texts, labels, 2)
    log_losses = [scores.log_loss(labels, model(texts), weights) for model in (baseline, plain)]
    assert log_losses[0] < log_losses[1]


def test_weighted_loss_and_temperature_are_those_of_repeated_texts():
    rng = np.random.default_rng(1)
    labels, logits, times = rng.integers(0, 3, 50), 3 * rng.normal(size=(50, 3)), rng.integers(0, 4, 50)
    probabilities = scores.softmax(logits)
    for measure in (scores.log_loss, scores.temperature):
        again = measure(np.repeat(labels, times), np.repeat(probabilities, times, 0))
        assert measure(labels, probabilities, times) == pytest.approx(again)


def imbalanced() -> dict:
    """Forty texts of which four are bad."""
    good = [f"good and sturdy, works well {i}" for i in range(36)]
    return {"text": [*good, *(f"bad and flimsy {i}" for i in range(4))], "label": ["good"] * 36 + ["bad"] * 4}


def options(tiny, folder, **more) -> dict:
    return {"checkpoint": tiny, "output_dir": folder, "batch_size": 6, "max_length": 16, "verbose": 0, "precision": "float32",
            "epochs": 2, "report": False, "recipe": "plain", "dropout": 0.0, **more}  # fmt: skip


@pytest.mark.parametrize("way", [{}, {"micro_batch_size": 3}])
def test_epochs_learn_and_are_judged_by_the_weights(tiny, tmp_path, way):
    """With a weight of 0 the frequent class might as well not be there."""
    data, weight = imbalanced(), {"bad": 1, "good": 0}
    chosen = options(tiny, tmp_path, class_weight=weight, unfreeze=0, head="first_token", learning_rate=0.05, **way)
    run = bert_tf.finetune(data, data, **chosen)
    found = bert_tf.predict(run.model, data["text"], run.tokenizer)
    assert set(found.labels) == {"bad"}
    rare = found.probabilities[36:, run.model.config.label2id["bad"]].astype("float64")
    assert run.metrics["val_loss"] == pytest.approx(-np.log(rare).mean(), rel=1e-3)


def test_stages_are_compared_by_the_weighted_loss_and_resume_notices_other_weights(tiny, tmp_path):
    data = imbalanced()
    chosen = options(tiny, tmp_path / "run", recipe="auto", class_weight="balanced", unfreeze=1, report=True)
    run = bert_tf.finetune(data, data, **chosen)
    assert run.metrics["settings"]["class_weight"] == "balanced"
    kept = bert_tf.predict(tmp_path / "run/model", data["text"]).probabilities.astype("float64")
    labels = np.array([run.model.config.label2id[label] for label in data["label"]])
    weights = text_weights(examples(labels), class_weights("balanced", examples(labels)))
    assert run.metrics["val_loss"] == pytest.approx(scores.log_loss(labels, kept, weights), rel=1e-3)
    assert run.metrics["val_macro_f1"] == pytest.approx(scores.macro_f1(labels, kept))
    page = (tmp_path / "run/report.html").read_text()
    assert "probabilities are those of texts so weighted" in page
    assert run.metrics["scores"]["log_loss"]["value"] == pytest.approx(scores.log_loss(labels, kept), rel=1e-3)
    (tmp_path / "run/metrics.json").unlink()
    with pytest.raises(ValueError, match="class_weight .*'balanced' then.*weights_fingerprint"):
        bert_tf.finetune(data, data, **(chosen | {"resume": True, "class_weight": None}))


def test_a_student_learns_by_the_weights(tiny, reviews, tmp_path):
    model = bert_tf.TFDistilBertForSequenceClassification.from_pretrained(
        tiny, id2label={0: "negative", 1: "positive"}, problem_type="single_label_classification"
    )
    model.save_pretrained(tmp_path)
    bert_tf.load_tokenizer(tiny).save_pretrained(tmp_path)
    settings = DISTILL.settings(layers=1, max_length=16, weight_column="w", precision="float32")
    settings = settings.replace(checkpoint=str(tmp_path), recipe="auto")
    teacher = load_teacher(tmp_path, Examples(["so so", "well"], None, (), "more"), settings)
    weighted = {**reviews, "w": [3.0] * 12 + [1.0] * 12}
    job = prepare(weighted, reviews, settings=settings, say=lambda _: None, teacher=teacher)
    teacher.logits = np.zeros((50, 2), "float32")
    (tokens, targets, weights), validation = job.splits(job.tokens)
    assert len(tokens) == len(targets) == 26
    np.testing.assert_allclose(weights, [1.5] * 12 + [0.5] * 12 + [1.0] * 2)
    assert len(validation) == 2  # without weights of their own


def test_rare_classes_are_said_first(tiny, tmp_path, capsys):
    data = imbalanced()
    run = bert_tf.finetune(data, data, **options(tiny, tmp_path / "run", verbose=2, report=True, learning_rate=1e-6))
    assert diagnostics.imbalance({"a": 9, "b": 91}, {"a": 1, "b": 9}, False)["rate"] == 0.9
    assert diagnostics.imbalance({"a": 10, "b": 90}, {"a": 1, "b": 9}, False) is None
    assert diagnostics.imbalance(dict.fromkeys("abcdefghijklmnop", 5), {"a": 1}, False) is None
    said = capsys.readouterr().out
    assert run.metrics["imbalance"] is None  # exactly 10 %
    assert "(always" not in said
    rarer = {name: values[:-1] for name, values in data.items()}
    bert_tf.finetune(rarer, rarer, **options(tiny, tmp_path / "rarer", verbose=2, report=True, learning_rate=1e-6))
    said, page = capsys.readouterr().out, (tmp_path / "rarer/report.html").read_text()
    assert said.index("Imbalanced: 7.7% of the 39 training texts are 'bad' (3).") < said.index("Kept")
    assert "--class-weight balanced" in said
    assert "(always 'good': 0.923), macro F1 0." in said
    assert (
        page.index("judge by macro F1")
        < page.index("<dt>accuracy")
        < page.index("always answering")
        < page.index("<dt>macro F1")
    )


def test_the_command_line_says_what_is_wrong_in_a_line(tmp_path, capsys):
    file = tmp_path / "reviews.csv"
    file.write_text("text,label\n" + "fine stuff,good\npoor stuff,bad\n" * 3)
    assert main(["finetune", "--train", str(file), "--class-weight", "much.json"]) == 2
    assert "much.json: no such file" in capsys.readouterr().err
    assert (
        main(["finetune", "--train", str(file), "--weight-column", "trust", "--output-dir", str(tmp_path / "x")]) == 2
    )
    assert "no column 'trust'. Columns: 'text', 'label'" in capsys.readouterr().err
    (tmp_path / "weights.json").write_text(json.dumps({"ugly": 2}))
    arguments = ["--class-weight", str(tmp_path / "weights.json"), "--output-dir", str(tmp_path / "x")]
    assert main(["finetune", "--train", str(file), *arguments]) == 2
    assert "'ugly' is no class" in capsys.readouterr().err
