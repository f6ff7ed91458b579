"""Finished models for several labels a text, numbers and ordinal classes, measured by their task."""

import csv
import json

import numpy as np
import pytest
from sklearn.metrics import f1_score, mean_absolute_error

import bert_tf
from bert_tf.cli.main import main
from bert_tf.evaluation import tfidf_multi_label

LABELS = ("bad", "good", "slow")
TEXTS = ["good kettle", "broke at once, bad", "lovely and good", "bad and slow", "good but slow", "it is a thing"] * 5
SETS = [["good"], ["bad"], ["good"], ["bad", "slow"], ["good", "slow"], []] * 5
STARS = [4.0, 1.0, 5.0, 1.0, 3.0, 2.0] * 5
LANG = ["de", "en", "en"] * 10


@pytest.fixture(scope="module")
def multi(saved):
    """Two models for several labels, the second with its labels in another order."""
    kind = {"problem_type": "multi_label_classification"}
    first = saved("first", 1, id2label=dict(enumerate(LABELS)), label_thresholds=[0.4, 0.5, 0.6], **kind)
    return first, saved("second", 2, id2label=dict(enumerate(LABELS[::-1])), label_thresholds=[0.3, 0.4, 0.7], **kind)


@pytest.fixture(scope="module")
def numbers(saved):
    return [
        saved(f"n{seed}", seed, id2label={0: name}, problem_type="regression")
        for seed, name in ((1, "stars"), (2, "x"))
    ]


def table(file, **columns):
    names = ["text", *columns, "lang"]
    with file.open("w", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerows([names, *zip(TEXTS, *columns.values(), LANG, strict=True)])
    return file


def test_several_labels(multi, tmp_path, capsys):
    file = table(tmp_path / "test.csv", labels=["|".join(each) for each in SETS])
    folder = tmp_path / "run"
    arguments = ["--data", str(file), "--label-column", "labels", "--by", "lang,length", "--output-dir", str(folder)]
    assert main(["evaluate", str(multi[0]), "--train", str(file), *arguments]) == 0
    printed = capsys.readouterr().out
    assert "micro F1" in printed
    assert "accuracy" not in printed
    given = np.array([[name in each for name in LABELS] for each in SETS])
    answers = bert_tf.predict(multi[0], TEXTS)
    said = answers.probabilities >= [0.4, 0.5, 0.6]  # the model's own
    found = json.loads((folder / "evaluation.json").read_text())
    assert found["task"] == "multi-label"
    micro = found["scores"]["micro_f1"]
    assert micro["value"] == pytest.approx(f1_score(given, said, average="micro"))
    assert micro["low"] < micro["value"] < micro["high"]
    assert [row["threshold"] for row in found["labels"]] == [0.4, 0.5, 0.6]
    baseline = tfidf_multi_label.train_baseline(TEXTS, given, 3)
    assert found["baseline"]["thresholds"] == baseline.thresholds.tolist()
    by_words = f1_score(given, baseline(TEXTS) >= baseline.thresholds, average="micro")
    assert found["baseline"]["scores"]["micro_f1"]["value"] == pytest.approx(by_words)
    assert found["baseline"]["comparison"]["difference"]["value"] == pytest.approx(micro["value"] - by_words)
    german = next(row for row in found["slices"]["lang"] if row["slice"] == "de")
    assert german["micro_f1"]["value"] == pytest.approx(f1_score(given[::3], said[::3], average="micro"))
    page = (folder / "report.html").read_text()
    assert found["calibration"]["decisions"] == 30 * 3
    for words in ("Wrong labels", "over 90 decisions", "Labels that are there, by probability", "threshold is the model", "baseline are chosen by cross-validation", "By length",
                  "differs from the other texts is not tested", "30 evaluated texts also occur in the training data"):  # fmt: skip
        assert words in page
    assert "validation texts" not in page
    with (folder / "mistakes.csv").open(newline="") as opened:
        rows = [*csv.DictReader(opened)]
    assert [*rows[0]] == ["index", "text", "given", "predicted", "loss", "lang"]
    assert len(rows) == (given != said).any(axis=1).sum()
    for row in rows:
        at = int(row["index"])
        predicted = {name for name in row["predicted"].split("|") if name}
        assert (row["text"], row["given"], row["lang"]) == (TEXTS[at], "|".join(SETS[at]), LANG[at])
        assert predicted == {name for name, yes in zip(LABELS, said[at], strict=True) if yes}


def test_two_models_for_several_labels(multi, tmp_path):
    data = {"text": TEXTS, "lang": LANG} | {name: [int(name in each) for each in SETS] for name in LABELS}
    texts = bert_tf.read_examples(data, label_column=[*LABELS], keep=["lang"])
    found = bert_tf.evaluate(multi[0], texts, multi[1], by="lang", output_dir=tmp_path / "run", verbose=False)
    given = texts.labels
    first, second = (
        np.array([[name in each for name in LABELS] for each in bert_tf.predict(model, TEXTS).labels])
        for model in multi
    )
    scores = [f1_score(given, said, average="micro") for said in (first, second)]
    assert found.metrics["second"]["scores"]["micro_f1"]["value"] == pytest.approx(scores[1])
    assert found.metrics["comparison"]["difference"]["value"] == pytest.approx(scores[0] - scores[1])
    assert [row["threshold"] for row in found.metrics["second"]["labels"]] == [0.7, 0.4, 0.3]
    german = next(row for row in found.metrics["slice_comparisons"]["lang"] if row["slice"] == "de")
    assert german["second"]["value"] == pytest.approx(f1_score(given[::3], second[::3], average="micro"))
    assert found.predictions.labels == bert_tf.predict(multi[0], TEXTS).labels
    page = (tmp_path / "run" / "report.html").read_text()
    for words in ("second: labels", "first: wrong labels", "Micro F1. Difference: how far first is ahead"):
        assert words in page


def test_numbers(numbers, tmp_path, capsys):
    file = table(tmp_path / "test.csv", stars=STARS)
    folder = tmp_path / "run"
    arguments = ["--data", str(file), "--label-column", "stars", "--train", str(file), "--by", "lang"]
    assert main(["evaluate", str(numbers[0]), *arguments, "--output-dir", str(folder)]) == 0
    printed = capsys.readouterr().out
    values = bert_tf.predict(numbers[0], TEXTS).values
    found = json.loads((folder / "evaluation.json").read_text())
    mae = found["scores"]["mae"]
    assert mae["value"] == pytest.approx(mean_absolute_error(STARS, values), rel=1e-4)
    assert mae["low"] < mae["value"] < mae["high"]
    assert found["baseline"]["scores"]["mae"]["value"] < mae["value"]
    assert "is significantly better than this model" in found["verdict"]
    assert "By lang, mean absolute error is from" in printed
    page = (folder / "report.html").read_text()
    for words in ("Predicted against given", "Evaluated texts whose number is missed most", "ridge regression"):
        assert words in page
    assert "threshold" not in page
    with (folder / "mistakes.csv").open(newline="") as opened:
        rows = [*csv.DictReader(opened)]
    errors = [abs(float(row["given"]) - float(row["predicted"])) for row in rows]
    assert len(rows) == 30
    assert errors == sorted(errors, reverse=True)
    assert float(rows[0]["predicted"]) == pytest.approx(values[int(rows[0]["index"])], rel=1e-4)

    both = bert_tf.evaluate(*(numbers[0], file, numbers[1]), label_column="stars", output_dir=tmp_path / "2", verbose=0)
    other = mean_absolute_error(STARS, bert_tf.predict(numbers[1], TEXTS).values)
    assert both.metrics["comparison"]["difference"]["value"] == pytest.approx(other - mae["value"], rel=1e-3)
    assert "n2: largest errors" in (tmp_path / "2" / "report.html").read_text()
    assert np.allclose(both.predictions.values, values, atol=1e-4)
    with pytest.raises(AttributeError, match="no probabilities"):
        both.probabilities  # noqa: B018


def test_ordinal_classes_have_their_further_measures(saved, tmp_path):
    names = {i: str(i + 1) for i in range(5)}
    model = saved("ordinal", 1, id2label=names, problem_type="single_label_classification", bert_tf_task="ordinal")
    data = {"text": TEXTS, "label": [int(stars) for stars in STARS]}
    found = bert_tf.evaluate(model, data, train=data, by="length", output_dir=tmp_path / "run", verbose=False)
    given, values = STARS, bert_tf.predict(model, TEXTS).values
    assert found.metrics["scores"]["mae"]["value"] == pytest.approx(mean_absolute_error(given, values), rel=1e-4)
    assert {"kappa", "accuracy"} <= {*found.metrics["baseline"]["scores"]}
    assert {"mae_value", "p_value"} <= {*found.to_pandas()}
    page = (tmp_path / "run" / "report.html").read_text()
    for words in (
        "quadratic weighted kappa",
        "mean absolute error",
        "Most confident mistakes",
        "correlation (Pearson)",
    ):
        assert words in page
    assert "quadratic weighted kappa" in repr(found)
    classes = bert_tf.read_examples(data)  # classes are read alike
    again = bert_tf.evaluate(model, classes, output_dir=None, verbose=False)
    assert again.metrics["scores"] == found.metrics["scores"]


@pytest.mark.parametrize(
    ("which", "more", "says"),
    [
        (0, ["--label-column", "lang"], "unknown labels 'de', 'en'. The model "),
        (0, ["--label-column", "stars,lang"], "the label 'stars' is '4.0'; 0 or 1 is needed"),
        (1, ["--label-column", "lang"], "the number (column 'lang') is 'de', no number"),
        (1, ["--label-column", "stars,lang"], "For --task regression name one column."),
    ],
)
def test_labels_that_do_not_fit_are_one_line(multi, numbers, tmp_path, capsys, which, more, says):
    file = table(tmp_path / "test.csv", stars=STARS)
    model = (multi[0], numbers[0])[which]
    assert main(["evaluate", str(model), "--data", str(file), "--output-dir", str(tmp_path / "run"), *more]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert len(said.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_models_of_different_tasks_are_not_compared(multi, numbers, saved, tmp_path, capsys):
    file = table(tmp_path / "test.csv", labels=["|".join(each) for each in SETS])
    other = saved("other", 3, id2label=["bad", "good", "big"], problem_type="multi_label_classification")
    for second, says in ((numbers[0], "for regression"), (other, "have different labels, 'bad', 'good', 'slow' and")):
        assert main(["evaluate", str(multi[0]), str(second), "--data", str(file)]) == 2
        said = capsys.readouterr().err
        assert says in said
        assert "they cannot be compared" in said
    with pytest.raises(
        ValueError, match="first is a model for multi-label, n1 for regression: they cannot be compared"
    ):
        bert_tf.evaluate(multi[0], {"text": TEXTS, "label": SETS}, numbers[0], output_dir=None)
    examples = bert_tf.read_examples({"text": TEXTS, "label": SETS})
    with pytest.raises(ValueError, match="was read for task='multi-label'. Received: task='regression'"):
        bert_tf.evaluate(numbers[0], examples, output_dir=None)
