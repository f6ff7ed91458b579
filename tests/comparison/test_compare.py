"""Ladder, race and curve: their numbers are those of separate runs, they resume, and what they say follows from the numbers."""

import csv
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

import bert_tf
from bert_tf import files, hardware
from bert_tf.cli.main import main
from bert_tf.comparison import baselines, candidates, curve, ladder, race
from bert_tf.evaluation import paired, tfidf

# KerasTuner's import
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def options(tiny, tmp_path) -> dict:
    return {
        "checkpoint": tiny,
        "max_length": 24,
        "cache_dir": tmp_path / "cache",
        "precision": "float32",
        "batch_size": 5,
    }


@pytest.fixture
def unseen(reviews) -> dict:
    """Test texts: a part of the reviews, by which the numbers differ from those of all."""
    return {name: values[1:18] for name, values in reviews.items()}


def rows_of(file) -> list[dict]:
    with file.open() as opened:
        return list(csv.DictReader(opened))


@pytest.mark.slow
def test_a_ladder_is_runs_of_finetune(reviews, tmp_path, options, capsys):
    out = tmp_path / "ladder"
    settings = {
        "rungs": ["floor", "layer_means", 1],  # "floor": as the baseline was called
        "seeds": 2,
        "frozen_epochs": 2,
        "learning_rate": 0.002,
        "alone": False,
    }
    found = bert_tf.ladder(reviews, reviews, output_dir=out, **settings, **options)
    names = {path.name for path in out.iterdir()}
    assert names == {"ladder.csv", "epochs.csv", "ladder.png", "report.html", "compare.json", "entrants", "run.json"}
    assert [row["rung"] for row in found.rows] == ["TF-IDF + logistic regression", "frozen, layer means", "top 1 layer"]
    epochs = rows_of(out / "epochs.csv")
    for rung, how in (
        ("frozen, layer means", {"head": "layer_means", "epochs": 2}),
        ("top 1 layer", {"unfreeze": 1, "epochs": 2, "learning_rate": 0.002}),
    ):
        run = bert_tf.finetune(
            reviews, reviews, output_dir=tmp_path / rung, seed=1, verbose=0, recipe="plain", **how, **options
        )
        ours = [row for row in epochs if row["rung"] == rung and row["seed"] == "1"]
        for metric, values in run.history.items():
            np.testing.assert_allclose(
                [float(row[metric]) for row in ours], values, atol=1e-5, err_msg=f"{rung} {metric}"
            )
        probabilities = bert_tf.predict(run.model, reviews["text"], run.tokenizer, max_length=24).probabilities
        kept = np.load(out / "entrants" / rung / "seed-1" / "probabilities.npy")
        np.testing.assert_allclose(kept, probabilities, atol=1e-5)
        other = [row for row in epochs if row["rung"] == rung and row["seed"] == "0"]
        assert [row["loss"] for row in other] != [row["loss"] for row in ours]
    for row, written in zip(found.rows, rows_of(out / "ladder.csv"), strict=True):
        assert float(written["accuracy"]) == row["accuracy"]["value"]
        assert (
            row["accuracy"]["low"]
            <= row["lowest"]
            <= row["accuracy"]["value"]
            <= row["highest"]
            <= row["accuracy"]["high"]
        )
    printed, page = capsys.readouterr().out, (out / "report.html").read_text()
    assert found.verdict in printed
    for sentence in found.verdict.split(": ")[:1]:
        assert sentence in page

    # Resumed, only what is missing is run.
    (out / "compare.json").unlink()
    shutil.rmtree(out / "entrants" / "TF-IDF + logistic regression")
    kept = {file: file.stat().st_mtime_ns for file in (out / "entrants").rglob("*") if file.is_file()}
    again = bert_tf.ladder(reviews, reviews, output_dir=out, resume=True, **settings, **options)
    assert again.rows[1:] == found.rows[1:]
    assert again.rows[0]["accuracy"] == found.rows[0]["accuracy"]
    assert {file: file.stat().st_mtime_ns for file in kept} == kept
    (out / "compare.json").unlink()
    with pytest.raises(ValueError, match="cannot be resumed with other settings: candidates"):
        bert_tf.ladder(reviews, reviews, output_dir=out, resume=True, **{**settings, "seeds": 3}, **options)


@pytest.mark.slow
def test_a_race_is_separate_runs(tiny, reviews, unseen, tmp_path, options, capsys):
    tuned = bert_tf.finetune(
        reviews,
        reviews,
        output_dir=tmp_path / "mine",
        epochs=2,
        learning_rate=0.01,
        recipe="plain",
        verbose=0,
        **options,
    )
    del options["checkpoint"]
    out = tmp_path / "race"
    models = [tmp_path / "mine/model", tiny]
    found = bert_tf.race(
        models,
        reviews,
        reviews,
        test={**unseen, "lang": [*"ab"] * 8 + ["a"]},
        by="lang",
        epochs=2,
        output_dir=out,
        seed=3,
        alone=False,
        **options,
    )
    accuracy = {row["name"]: row["accuracy"]["value"] for row in found.rows}
    assert [*accuracy.values()] == sorted(accuracy.values(), reverse=True)
    labels = np.array([label == "positive" for label in reviews["label"]], int)
    assert accuracy["mine"] == pytest.approx(tuned.metrics["val_accuracy"])
    predicted = bert_tf.predict(tmp_path / "mine/model", unseen["text"]).labels
    (mine,) = (row for row in found.rows if row["name"] == "mine")
    table = json.loads((out / "compare.json").read_text())["slices"][0]
    column = [one["name"] for one in table["columns"]].index(mine["name"])
    (a, b), right = table["rows"], np.array(predicted) == np.array(unseen["label"])
    assert (a[:2], b[:2]) == (["a", 9], ["b", 8])
    assert (a[column]["value"], b[column]["value"]) == pytest.approx((right[::2].mean(), right[1::2].mean()))
    assert mine["test_accuracy"]["value"] == np.mean(np.array(predicted) == np.array(unseen["label"]))
    alone = bert_tf.finetune(reviews, reviews, checkpoint=tiny, head="layer_means", epochs=2, seed=3, output_dir=tmp_path / "alone",
                             recipe="plain", verbose=0, **options)  # fmt: skip
    assert accuracy["base"] == pytest.approx(alone.metrics["val_accuracy"])
    examples = bert_tf.read_examples(reviews)
    words = tfidf.train_baseline(reviews["text"], labels, 2, seed=3)(reviews["text"])
    assert accuracy["TF-IDF + logistic regression"] == (words.argmax(1) == labels).mean()
    recurrent = baselines.train_lstm(examples, examples, seed=3)(reviews["text"])
    assert accuracy["bidirectional LSTM"] == (recurrent.argmax(1) == labels).mean()
    np.testing.assert_allclose(
        np.load(out / "entrants/bidirectional LSTM/seed-3/probabilities.npy"), recurrent, atol=1e-4
    )
    for row in found.rows:
        assert row["latency"] > 0
        assert row["texts_per_second"] > 0
    sizes = {row["name"]: row["size"] for row in found.rows}
    assert sizes["mine"] > 4 * tuned.metrics["parameters"]
    said = capsys.readouterr().out
    assert "Best on these texts" in said
    assert "\na " in said
    assert (out / "race.png").read_bytes().startswith(b"\x89PNG")

    other = {"text": reviews["text"], "label": ["good"] * 12 + ["bad"] * 12}
    with pytest.raises(ValueError, match="classifies into negative, positive; the data has bad, good"):
        bert_tf.race(models, other, other, output_dir=tmp_path / "other")


@pytest.mark.slow
def test_a_curve_learns_from_so_many_texts(reviews, unseen, tmp_path, options, capsys):
    found = bert_tf.curve(
        reviews,
        reviews,
        test=unseen,
        sizes=[8, "all", 100],
        seeds=2,
        epochs=2,
        learning_rate=0.01,
        output_dir=tmp_path / "curve",
        alone=False,
        **options,
    )
    assert [row["texts"] for row in found.rows] == [8, 24]
    assert "There are only 24 training texts: 100 is beyond them and counts as all." in capsys.readouterr().out
    examples = bert_tf.read_examples(reviews)
    part = examples.split(8 / 24, seed=1)[1]
    assert part.counts() == {"negative": 4, "positive": 4}
    expected = tfidf.train_baseline([*part.texts], part.labels, 2, seed=1)(reviews["text"])
    kept = np.load(tmp_path / "curve/entrants/8 texts, baseline/seed-1/probabilities.npy")
    np.testing.assert_allclose(kept, expected, atol=1e-6)
    run = bert_tf.finetune(part, examples, seed=1, head="layer_means", epochs=2, learning_rate=0.01, output_dir=tmp_path / "run",
                           recipe="plain", verbose=0, **options)  # fmt: skip
    history = json.loads((tmp_path / "curve/entrants/8 texts/seed-1/run.json").read_text())["history"]
    np.testing.assert_allclose(history["val_loss"], run.history["val_loss"], atol=1e-5)
    assert "from 8 to 24 texts" in found.verdict
    simple = [np.load(tmp_path / f"curve/entrants/24 texts, baseline/seed-{i}/test_probabilities.npy") for i in (0, 1)]
    truth = np.array([label == "positive" for label in unseen["label"]], int)
    assert found.rows[1]["test_baseline"]["value"] == np.mean([p.argmax(axis=1) == truth for p in simple])
    assert 0 <= found.rows[1]["test_accuracy"]["value"] <= 1


@pytest.mark.slow
def test_alone_a_candidate_has_its_memory_to_itself(reviews, tmp_path):
    examples = bert_tf.read_examples(reviews)
    ballast = np.ones(2**26, "uint8")  # the parent's memory is not the child's
    splits = candidates.Splits(examples, examples, examples.take(np.arange(4)))
    candidates.run_alone({"name": "words", "kind": "tfidf", "seeds": [0]}, splits, tmp_path)
    record = json.loads((tmp_path / "words/record.json").read_text())
    kept = {name: np.load(tmp_path / "words/seed-0" / file) for name, file in candidates.PREDICTIONS.items()}
    np.testing.assert_allclose(kept["test"], kept["validation"][:4], atol=1e-6)
    assert 20e6 < record["memory"] < hardware.peak_process_memory() - ballast.nbytes
    gone = {
        "name": "gone",
        "kind": "existing_classifier",
        "seeds": [0],
        "options": {"checkpoint": "/nowhere/at/all", "max_length": None},
    }
    with pytest.raises(RuntimeError, match="no such checkpoint folder"):
        candidates.run_alone(gone, splits, tmp_path)
    assert not candidates.finished(gone, tmp_path)


def test_what_fails_is_said_and_the_others_count(reviews, tmp_path, options, monkeypatch, capsys):
    def without_memory(*_):
        raise MemoryError("too much")

    monkeypatch.setitem(candidates.KINDS, "trained_per_seed", without_memory)
    out = tmp_path / "ladder"
    found = bert_tf.ladder(reviews, reviews, rungs=["baseline", "all"], output_dir=out, alone=False, **options)
    assert [row["kind"] for row in found.rows] == ["baseline"]
    assert "failed: too much" in capsys.readouterr().out


def test_peak_memory_is_that_of_the_process():
    code = (
        "from bert_tf.hardware import peak_process_memory as peak; a = peak(); b = bytearray(10**8); print(peak() - a)"
    )
    grown = int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert 0.9e8 < grown < 1.3e8


# What the numbers mean


def test_the_interval_of_a_gain_holds_the_truth():
    """Of 40 simulated comparisons nearly all intervals hold the true gain of 0.1, and those of no gain hold 0."""
    rng = np.random.default_rng(0)
    held = []
    for _ in range(40):
        texts = rng.random(300)  # a text is hard or easy for both
        first, second = (texts + rng.normal(0, 0.1, (3, 300)) < share for share in (0.8, 0.7))
        found = paired.gain(first, second)
        held.append(found["low"] <= 0.1 <= found["high"])
        assert found["value"] == pytest.approx(first.mean() - second.mean())
    assert np.mean(held) > 0.85
    same = paired.gain(first, first)
    assert same["low"] <= 0 <= same["high"]


def test_seeds_that_differ_widen_the_interval():
    rng = np.random.default_rng(0)
    steady = rng.random((4, 400)) < 0.8
    shaky = rng.random((4, 400)) < np.array([0.6, 0.7, 0.9, 1.0])[:, None]

    def width(right):
        found = paired.score(right)
        return found["high"] - found["low"]

    assert width(shaky) > 2 * width(steady)


@pytest.mark.parametrize("seed", range(3))
def test_the_frontier_is_what_nothing_beats(seed):
    rng = np.random.default_rng(seed)
    costs, scores = rng.integers(1, 9, 12).tolist(), rng.integers(1, 9, 12).tolist()
    front = paired.frontier(costs, scores)
    for i in range(12):
        beaten = any((costs[j] <= costs[i] and scores[j] > scores[i]) or (costs[j] < costs[i] and scores[j] == scores[i])
                     for j in range(12))  # fmt: skip
        equal = any(costs[j] == costs[i] and scores[j] == scores[i] for j in front)
        assert beaten != equal


def ladder_rows(**accuracies) -> tuple[list[dict], dict]:
    rng = np.random.default_rng(0)
    texts = rng.random(1000)
    names = {"baseline": "words", "frozen": "frozen, layer means", "unfrozen": "top 2 layers"}
    right = {names[kind]: np.stack([texts < share] * 3) for kind, share in accuracies.items()}
    rows = [
        {
            "rung": names[kind],
            "kind": kind,
            "accuracy": paired.score(right[names[kind]]),
            "seconds": 40.0 if kind == "unfrozen" else 10.0,
            "best_epoch": 1.0,
            "epochs": 2.0,
        }
        for kind in accuracies
    ]
    return rows, right


def test_the_verdict_on_unfreezing_follows_the_numbers():
    verdict = " ".join(ladder.verdict(*ladder_rows(baseline=0.7, frozen=0.8, unfrozen=0.9)))
    assert 'Unfreezing pays: "top 2 layers" is significantly better than "frozen, layer means", by ' in verdict
    assert "for 4.0 times the training time" in verdict
    assert "not significantly worse" not in verdict
    assert 'The best rung, "top 2 layers", is significantly better than TF-IDF: +' in verdict
    verdict = " ".join(ladder.verdict(*ladder_rows(frozen=0.9, unfrozen=0.8)))
    assert "Unfreezing does not pay" in verdict
    assert 'is significantly worse than "frozen, layer means": -' in verdict
    rows, right = ladder_rows(baseline=0.8, frozen=0.8, unfrozen=0.802)
    rows[2]["best_epoch"] = 2.0
    verdict = " ".join(ladder.verdict(rows, right))
    assert "Unfreezing makes no significant difference" in verdict
    assert '"words" trains 4.0 times faster and is not significantly worse than "top 2 layers".' in verdict
    assert "more epochs or a larger learning rate" in verdict
    assert "is not significantly better than TF-IDF" in verdict


def test_the_verdict_on_more_data_follows_the_numbers():
    rng = np.random.default_rng(0)
    texts = rng.random(2000)
    right = {size: np.stack([texts < share] * 2) for size, share in ((100, 0.6), (200, 0.7), (400, 0.8))}
    baseline = {size: np.stack([texts < 0.65] * 2) for size in right}
    verdict = " ".join(curve.verdict(right, baseline))
    assert "More data would help" in verdict
    assert "from 100 to 400 texts" in verdict
    assert "With 200, 400 training texts the model is significantly better than TF-IDF." in verdict
    verdict = " ".join(curve.verdict({100: right[400], 200: right[400]}, baseline))
    assert "More data may not help" in verdict
    few = {
        size: np.stack([np.roll(np.arange(100) < right, 20 * (size // 100))] * 2)
        for size, right in ((100, 60), (200, 62), (400, 65))
    }
    rising = curve.verdict(few, few)[0]
    assert "More data probably helps" in rising
    assert "accuracy got better with every size" in rising
    falling = curve.verdict({100: few[100], 200: few[400], 400: few[200]}, few)[0]
    assert "More data may not help" in falling
    assert "At none" in " ".join(curve.verdict({100: right[100]}, baseline))


def test_the_verdict_on_models_follows_the_numbers():
    def row(name, latency, low):
        difference = {"value": 0.02, "low": low, "high": 0.04}
        accuracy = {"value": 0.9, "low": 0.8, "high": 1.0}
        return {"name": name, "accuracy": accuracy, "latency": latency, "difference": difference, "p_value": 0.01}

    best, close, behind = row("a", 0.04, 0.0), row("b", 0.01, -0.01), row("c", 0.001, 0.01)
    verdict = " ".join(race.verdict([best, close, behind]))
    assert 'Best on these texts: "a", accuracy 0.900' in verdict
    assert 'Not significantly worse: "b".' in verdict
    assert '"b" is the fastest with a single text: 4.0 times as fast as "a".' in verdict
    assert "significantly better than every other candidate" in race.verdict([best, behind])[1]


# The command line


@pytest.mark.slow
def test_the_command_runs_a_ladder_and_names_what_has_no_part(reviews, tmp_path, capsys):
    files.write_csv(
        tmp_path / "r.csv",
        ["text", "label"],
        [dict(zip(reviews, row, strict=True)) for row in zip(*reviews.values(), strict=True)],
    )
    common = ["compare", "--train", str(tmp_path / "r.csv"), "--output-dir", str(tmp_path / "out")]
    assert main([*common, "--ladder", "--rungs", "floor"]) == 0
    assert "TF-IDF + logistic regression" in capsys.readouterr().out
    assert main([*common, "--ladder", "--rungs", "floor"]) == 2
    assert "holds another run" in capsys.readouterr().err
    assert main([*common, "--overwrite", "--ladder", "--baselines", "tfidf"]) == 2
    assert "--baselines cannot be used with a ladder" in capsys.readouterr().err
    assert main([*common, "--overwrite", "--ladder", "--rungs", "baseline,7"]) == 2
    assert (
        "A rung is baseline, first_token, layer_means, solved, auto, 1 to 6, or all. Received: 7"
        in capsys.readouterr().err
    )
    with pytest.raises(SystemExit):
        main([*common, "--ladder", "--data-sizes", "10"])
    assert "not allowed with" in capsys.readouterr().err


def test_a_stage_is_a_rung_and_a_run_of_finetune(tiny, reviews, unseen, tmp_path, options, capsys):
    out = tmp_path / "ladder"
    settings = {"rungs": ["baseline", "solved"], "seeds": 2, "output_dir": out, "alone": False, **options}
    found = bert_tf.ladder(reviews, reviews, test=unseen, **settings)
    assert [row["rung"] for row in found.rows] == ["TF-IDF + logistic regression", "frozen, solved head"]
    run = bert_tf.finetune(
        reviews, reviews, unfreeze=0, seed=1, report=False, output_dir=tmp_path / "run", verbose=0, **options
    )
    expected = bert_tf.predict(run.model, reviews["text"], run.tokenizer).probabilities
    seeds = [out / f"entrants/frozen, solved head/seed-{seed}" for seed in (0, 1)]
    np.testing.assert_allclose(np.load(seeds[1] / "probabilities.npy"), expected, atol=1e-5)
    assert not (seeds[1] / "finetune").exists()

    # Test texts are classified by every seed; the verdict does not know them.
    on_test = [np.load(seed / "test_probabilities.npy") for seed in seeds]
    np.testing.assert_allclose(on_test[1], expected[1:18], atol=1e-5)
    truth = np.array([label == "positive" for label in unseen["label"]], int)
    row, written = found.rows[1], rows_of(out / "ladder.csv")[1]
    assert row["test_accuracy"]["value"] == pytest.approx(np.mean([p.argmax(axis=1) == truth for p in on_test]))
    assert float(written["test_accuracy_low"]) == row["test_accuracy"]["low"]
    page, printed = (out / "report.html").read_text(), capsys.readouterr().out
    for said in (
        "test accuracy",
        "on 17 texts that nothing was chosen by",
        "and the verdict, are of the validation texts",
    ):
        assert said in page
        assert said in printed
    (out / "compare.json").unlink()
    with pytest.raises(ValueError, match="cannot be resumed with other settings: data_fingerprint"):
        bert_tf.ladder(reviews, reviews, test=reviews, resume=True, **settings)
    with pytest.raises(ValueError, match="cannot be resumed with other settings: data_fingerprint"):
        bert_tf.ladder(reviews, reviews, resume=True, **settings)
    (seeds[1] / "run.json").unlink()  # as if killed in the last seed
    (seeds[1].parent / "record.json").unlink()
    kept = (seeds[0] / "test_probabilities.npy").stat().st_mtime_ns
    again = bert_tf.ladder(reviews, reviews, test=unseen, resume=True, **settings)
    assert [row["test_accuracy"] for row in again.rows] == [row["test_accuracy"] for row in found.rows]
    assert (seeds[0] / "test_probabilities.npy").stat().st_mtime_ns == kept
    without = bert_tf.ladder(reviews, reviews, **settings | {"output_dir": tmp_path / "without", "rungs": ["baseline"]})
    assert "test_accuracy" not in without.rows[0]
    assert without.rows[0]["accuracy"] == found.rows[0]["accuracy"]


def test_labels_of_a_model_agree_by_value():
    assert candidates.label_columns(["True", "False"], ["0", "1"], "model") == [1, 0]
    assert candidates.label_columns(["LABEL_0", "LABEL_1"], ["bad", "good"], "model") == [0, 1]
    with pytest.raises(ValueError, match="model classifies into 1, 2; the data has 01, 2"):
        candidates.label_columns(["1", "2"], ["01", "2"], "model")
