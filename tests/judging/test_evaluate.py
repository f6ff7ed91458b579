"""A finished model on labelled texts: the numbers, the files, what is refused."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from conftest import ROOT
from sklearn.metrics import accuracy_score, f1_score

import bert_tf
from bert_tf import terminal
from bert_tf.cli.main import main
from bert_tf.data import tokenizer
from bert_tf.inference import predict


@pytest.fixture(scope="module")
def models(tiny, tmp_path_factory):
    """Two untrained classifiers of three classes, as folders."""
    folders = []
    for seed in (1, 2):
        keras.utils.set_random_seed(seed)
        names = {0: "bad", 1: "fair", 2: "good"}
        model = bert_tf.TFDistilBertForSequenceClassification.from_pretrained(tiny, id2label=names)
        folder = tmp_path_factory.mktemp(f"model{seed}") / f"m{seed}"
        model.save_pretrained(folder)
        bert_tf.load_tokenizer(tiny).save_pretrained(folder)
        folders.append(folder)
    return folders


@pytest.fixture
def file(tmp_path, reviews):
    rows = ["text,label,lang,note"]
    for i, text in enumerate(reviews["text"]):
        rows.append(f'"{text} {i}",{"good" if i % 3 else "bad"},{"de" if i < 6 else "en"},{i}')
    file = tmp_path / "test.csv"
    file.write_text("\n".join(rows) + "\n")
    return file


@pytest.mark.parametrize(("verbose", "expected"), [(0, set()), (True, {"Tokenizing", "Predicting"})])
def test_bars_are_shown_to_who_wants_them(models, file, monkeypatch, verbose, expected):
    opened = set()
    monkeypatch.setattr(terminal, "_open", lambda bar: opened.add(bar.title))
    monkeypatch.setattr(terminal, "_close", lambda bar: None)
    for module in tokenizer, predict:
        monkeypatch.setattr(module, "SHOW_PROGRESS_FROM", 1)  # however little it is
    bert_tf.evaluate(models[0], file, output_dir=None, verbose=verbose)
    assert opened == expected


def test_the_numbers_are_those_of_predict_and_scikit_learn(models, file, tmp_path):
    found = bert_tf.evaluate(models[0], file, by="lang,length", output_dir=tmp_path / "run", verbose=False)
    examples = bert_tf.read_examples(file)
    predicted = bert_tf.predict(models[0], [*examples.texts])
    assert np.allclose(found.probabilities, predicted.probabilities, atol=1e-6)
    given = [examples.label_names[i] for i in examples.labels]
    assert found.metrics["scores"]["accuracy"]["value"] == pytest.approx(accuracy_score(given, predicted.labels))
    macro = f1_score(given, predicted.labels, average="macro", zero_division=0)
    assert found.metrics["scores"]["macro_f1"]["value"] == pytest.approx(macro)
    assert "no texts of 1 of the model's 3 classes ('fair')" in found.metrics["hints"][0]
    german = next(row for row in found.metrics["slices"]["lang"] if row["slice"] == "de")
    assert german["texts"] == 6
    assert german["accuracy"]["value"] == pytest.approx(accuracy_score(given[:6], predicted.labels[:6]))
    assert sum(row["texts"] for row in found.metrics["slices"]["length"]) == 24

    assert repr(found).startswith("Evaluation(m1, 24 texts of ")
    assert len(repr(found).splitlines()) < 25
    assert [*found.to_pandas()["slice"]][:2] == ["en", "de"]
    assert json.loads((tmp_path / "run" / "evaluation.json").read_text())["scores"] == found.metrics["scores"]
    page = (tmp_path / "run" / "report.html").read_text()
    assert "By lang" in page
    assert "Measured on 24 evaluated texts" in page
    mistakes = (tmp_path / "run" / "mistakes.csv").read_text().splitlines()
    assert mistakes[0] == "index,text,given,predicted,probability,lang"
    assert len(mistakes) - 1 == sum(a != b for a, b in zip(given, predicted.labels, strict=True))
    with pytest.raises(FileExistsError, match="holds another run"):
        bert_tf.evaluate(models[0], file, output_dir=tmp_path / "run", verbose=False)


def test_two_models_and_the_baseline(models, file, tmp_path, capsys):
    found = bert_tf.evaluate(models[0], file, models[1], train=file, by="lang", output_dir=tmp_path / "run")
    first, second = (bert_tf.predict(model, [*bert_tf.read_examples(file).texts]).labels for model in models)
    given = bert_tf.read_examples(file)
    right = [given.label_names[i] for i in given.labels]
    only = sum(a == g != b for a, b, g in zip(first, second, right, strict=True))
    assert found.metrics["comparison"]["only_first"] == only
    assert found.metrics["second"]["scores"]["accuracy"]["value"] == pytest.approx(accuracy_score(right, second))
    assert found.metrics["baseline"]["texts"] == 24
    printed = capsys.readouterr().out
    assert "m1" in printed
    assert "TF-IDF" in printed
    assert found.metrics["comparison"]["verdict"] in printed
    page = (tmp_path / "run" / "report.html").read_text()
    assert "24 evaluated texts also occur in the training data" in page
    assert "m2: calibration" in page
    with pytest.raises(ValueError, match="Two models are compared. Received twice"):
        bert_tf.evaluate(models[0], file, str(models[0]), output_dir=None)


def test_a_model_in_memory_and_texts_in_memory_without_files(models, file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = bert_tf.TFAutoModelForSequenceClassification.from_pretrained(models[0])
    examples = bert_tf.read_examples(file, keep=["lang"])
    found = bert_tf.evaluate(model, examples, by=["lang"], output_dir=None, verbose=False)
    assert found.output_dir is None
    assert not (tmp_path / "runs").exists()
    assert [row["slice"] for row in found.metrics["slices"]["lang"]] == ["en", "de"]
    with pytest.raises(ValueError, match=r"lack the column 'note'.*read_examples\(..., keep=\['note'\]\)"):
        bert_tf.evaluate(model, examples, by="note", output_dir=None)


def test_the_second_part_of_a_model_counts(models, file, tmp_path, reviews):
    import shutil

    from bert_tf.evaluation import blend, tfidf

    examples = bert_tf.read_examples(file)
    texts, labels = [*examples.texts], np.where(examples.labels == 1, 2, 0)
    baseline = tfidf.train_baseline(texts, labels, 3)
    folder = shutil.copytree(models[0], tmp_path / "blended")
    blend.save_blend(blend.Blend((0.0, 1.0), baseline, 1.0, 0.5), folder)
    found = bert_tf.evaluate(folder, file, output_dir=None, verbose=False)
    assert np.allclose(found.probabilities, baseline(texts), atol=1e-4)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--by", "language"], "no column 'language'. Columns: 'text', 'label', 'lang', 'note'. Did you mean 'lang'?"),
        (["--label-column", "lang"], "unknown labels 'de', 'en'. The model "),
        (["--data", "none.csv"], "no such file"),
    ],
)
def test_wrong_input_is_one_line(models, file, tmp_path, capsys, monkeypatch, more, says):
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", str(models[0]), "--data", str(file), *more]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert len(said.strip().splitlines()) == 1
    assert not (tmp_path / "runs").exists()


def test_a_wrong_label_is_said_before_tensorflow_loads(models, file):
    command = ["evaluate", str(models[0]), "--data", str(file), "--label-column", "lang"]
    code = (
        f"import sys; from bert_tf.cli.main import main; code = main({command});"
        "assert code == 2 and 'tensorflow' not in sys.modules and 'keras' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True, text=True)
    assert "unknown labels" in done.stderr


def test_three_models_are_a_race(models, file, capsys):
    assert main(["evaluate", *map(str, [*models, models[0]]), "--data", str(file)]) == 2
    assert "bert-tf compare MODEL" in capsys.readouterr().err
