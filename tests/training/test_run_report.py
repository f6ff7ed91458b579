"""What a finished run is told by: the same numbers everywhere, data that stays text, and a run that no report can lose."""

import contextlib
import csv
import html
import io
import json
import re
import shlex
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

import bert_tf
from bert_tf.cli.main import main
from bert_tf.data.examples import Examples
from bert_tf.formatting import format_value
from bert_tf.reporting import page, tables
from bert_tf.settings import FINETUNE
from bert_tf.training import run_report
from bert_tf.tuning.sections import search_sections

ATTACK = "\"'><script>window.hit=1</script><img src=x onerror=window.hit=1>&lt;|`*[a](javascript:x)"
LABELS = {"positive": f"good {ATTACK}", "negative": "bad"}
FILE = "\"'><img src=x onerror=window.hit=1>&.csv"


@pytest.fixture(scope="module")
def run(minilm, tmp_path_factory):
    """A run by the command line on hostile texts, labels and file names; its folder and what it printed."""
    folder = tmp_path_factory.mktemp("run")
    good = ["good", "really good and sturdy", "lovely thing, works well every day", "great, would buy it again"]
    bad = ["bad", "really bad and flimsy", "awful thing, broke down the first day", "poor, went straight back"]
    rows = [(text, label) for label, texts in (("positive", good), ("negative", bad)) for text in texts]
    for name, times in ((FILE, 5), (f"validation {FILE}", 2)):
        with (folder / name).open("w", newline="") as file:
            lines = [
                (f"{text} {i} {ATTACK if i % 2 else 'indeed ' * (9 - 6 * (label == 'negative'))}", LABELS[label])
                for i in range(times)
                for text, label in rows
            ]
            csv.writer(file).writerows([("words", "verdict"), *lines])
    out = folder / "out"
    given = ["--train", folder / FILE, "--validation", folder / f"validation {FILE}", "--text-column", "words", "--label-column",
             "verdict", "--checkpoint", minilm, "--epochs", 2, "--batch-size", 7, "--max-length", 24, "--learning-rate", 0.001,
             "--precision", "float32", "--seed", 5, "--recipe", "plain", "--output-dir", out]  # fmt: skip
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert main(["finetune", *map(str, given)]) == 0
    return out, printed.getvalue()


def test_page_metrics_card_and_terminal_say_the_same_numbers(run):
    out, printed = run
    metrics = json.loads((out / "metrics.json").read_text())
    scores = metrics["scores"]
    text = (out / "report.html").read_text()
    figures = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", text))
    figures = {name: html.unescape(re.sub("<.*?>", "", value)) for name, value in figures.items()}
    card = (out / "model/README.md").read_text()
    listed = dict(re.findall(r"^- (.*?): (.*)$", card, re.MULTILINE))
    in_header = {
        each["type"]: each["value"]
        for each in yaml.safe_load(card.split("---\n")[1])["model-index"][0]["results"][0]["metrics"]
    }
    accuracy, loss = re.search(
        r"Kept .*validation accuracy ([\d.]+), macro F1 [\d.]+, loss ([\d.]+)\. ", printed
    ).groups()

    assert scores["accuracy"]["value"] == metrics["val_accuracy"] == in_header["accuracy"]
    assert scores["log_loss"]["value"] == metrics["val_loss"] == in_header["log_loss"]
    assert accuracy == format_value(metrics["val_accuracy"], "score")
    assert loss == format_value(metrics["val_loss"], "score")
    assert figures["accuracy"].startswith(f"{accuracy} [")
    assert figures["log loss (nats)"].startswith(f"{loss} [")
    for name, key in (("accuracy", "accuracy"), ("macro F1", "macro_f1"), ("log loss (nats)", "log_loss")):
        assert figures[name] == listed[name] == format_value(scores[key], "score")
    assert figures["calibration error"] == format_value(metrics["calibration"]["error"], "score")
    above = metrics["baseline"]["comparison"]["difference"]
    assert figures["accuracy above baseline (points)"] == format_value(above, "points")
    for sentence in (metrics["baseline"]["comparison"]["verdict"], metrics["overfitting"]["verdict"]):
        assert sentence in html.unescape(text)
        assert sentence.replace("<", "&lt;") in card
    assert metrics["baseline"]["comparison"]["verdict"] in printed


def test_the_numbers_are_those_of_the_saved_model(run):
    out, _ = run
    held = bert_tf.read_examples(out.parent / f"validation {FILE}", "words", "verdict")
    found = bert_tf.predict(out / "model", list(held.texts))
    truth = held.relabel(found.label_names).labels
    scores = json.loads((out / "metrics.json").read_text())["scores"]
    assert (found.probabilities.argmax(1) == truth).mean() == pytest.approx(scores["accuracy"]["value"])
    loss = -np.log(found.probabilities[np.arange(len(truth)), truth]).mean()
    assert loss == pytest.approx(scores["log_loss"]["value"], abs=1e-5)
    counts = re.findall(r"heat-\d (?:right|wrong)\">(\d+)<", (out / "report.html").read_text())
    expected = [((truth == i) & (found.probabilities.argmax(1) == j)).sum() for i in (0, 1) for j in (0, 1)]
    assert (
        min(expected[0] + expected[2], expected[1] + expected[3], expected[1] + expected[2]) > 0
    )  # both labels, and mistakes
    assert [*map(int, counts)] == expected


def test_a_real_browser_shows_a_run_and_runs_nothing_of_its_data(run, browser):
    out, _ = run
    assert (out / "report.html").stat().st_size < 3_000_000
    browser.get("about:blank")
    browser.get_log("browser"), browser.get_log("performance")
    browser.get((out / "report.html").as_uri())
    browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert browser.execute_script("return window.hit") is None
    assert browser.get_log("browser") == []
    sent = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [m["params"]["request"]["url"] for m in sent if m["method"] == "Network.requestWillBeSent"]
    assert [url[:5] for url in asked if not url.startswith("data:image/svg+xml;")] == ["file:"]
    words = browser.execute_script("return document.body.innerText")
    assert FILE in words
    assert LABELS["positive"] in words
    assert ATTACK in browser.execute_script(
        "return document.querySelector('td.text, th.text.long').closest('table').innerText"
    )
    assert (
        browser.execute_script(
            "return document.querySelectorAll('script, img:not([src^=\"data:image/svg\"]), [onerror]').length"
        )
        == 0
    )


def test_its_command_gives_the_same_run_again(run, tmp_path):
    out, _ = run
    command = html.unescape((out / "report.html").read_text().split("<pre><code>")[1].split("</code>")[0])
    program, *arguments = shlex.split(command)
    assert program == "bert-tf"
    with contextlib.redirect_stdout(io.StringIO()):
        assert main([*arguments, "--output-dir", str(tmp_path / "again"), "--no-report"]) == 0
    assert (tmp_path / "again/history.csv").read_text() == (out / "history.csv").read_text()
    assert not (tmp_path / "again/report.html").exists()
    assert not (tmp_path / "again/model/README.md").exists()
    assert "scores" not in json.loads((tmp_path / "again/metrics.json").read_text())


def test_hosted_data_sets_are_named_in_the_command():
    def part(source):
        return Examples([], None, (), source)

    job = SimpleNamespace(train=part("hf:imdb@train"), validation=part("tfds:imdb@test"), held_out=False, teacher=None)
    assert run_report.command(job, FINETUNE.settings(header=True)) == (
        "bert-tf finetune --train hf:imdb@train --validation tfds:imdb@test --header"
    )
    job.train = replace(part("hf:imdb@train"), task="ordinal", read_with={"label_column": "stars"})
    assert " --label-column stars --task ordinal" in run_report.command(job, FINETUNE.settings())
    job.train = part("the DataFrame")
    assert "--train FILE " in run_report.command(job, FINETUNE.settings())


def test_texts_are_counted_before_they_are_cut(run, minilm):
    out, _ = run
    tokenizer = bert_tf.load_tokenizer(minilm)
    texts = [*bert_tf.read_examples(out.parent / FILE, "words", "verdict").texts]
    tokens = bert_tf.tokenize(texts, tokenizer, 24)
    full = [len(ids) for ids in tokenizer(texts)["input_ids"]]
    assert tokens.uncut.tolist() == full
    assert max(full) > 24 > min(full)
    assert tokens.lengths.tolist() == [min(length, 24) for length in full]
    assert tokens.take(np.array([3, 1])).uncut.tolist() == [full[3], full[1]]
    text = (out / "report.html").read_text()
    cut = text[text.index("Longer texts are cut at 24 tokens") :]
    assert f">{sum(length > 24 for length in full)}<" in cut[: cut.index("</tr><tr>") + 400]


@pytest.mark.report_may_fail
def test_a_report_that_fails_loses_nothing(tiny, reviews, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(page, "write_report", lambda *_: 1 / 0)
    done = bert_tf.finetune(
        reviews, checkpoint=tiny, max_length=24, epochs=1, output_dir=tmp_path / "run", recipe="plain", verbose=0
    )
    assert [record.message for record in caplog.records if "report" in record.message] == [
        "The run is complete, but its report could not be written: ZeroDivisionError: division by zero"
    ]
    assert json.loads((tmp_path / "run/metrics.json").read_text()) == json.loads(json.dumps(done.metrics))
    assert bert_tf.predict(tmp_path / "run/model", ["good"]).labels
    assert (tmp_path / "run/history.csv").exists()


def test_a_search_of_many_trials_shows_each_of_them():
    rows = [
        {"trial": f"{i:02}", "status": "finished", "unfreeze": i % 2, "learning_rate": 1e-3 * (i + 1), "best_epoch": 1 + i % 3,
         "epochs": 3, "val_loss": 0.5 + i / 100, "val_accuracy": 0.8, "seconds": 1.0, "failed": None}
        for i in range(80)
    ]  # fmt: skip
    failed = {"trial": "80", "status": "failed", "learning_rate": 1e30, "unfreeze": 0, "failed": f"diverged: {ATTACK}"}
    histories = {row["trial"]: {"val_loss": [0.9, 0.8, row["val_loss"]]} for row in rows}
    sections = search_sections([*rows, failed], histories, "val_loss", ["unfreeze", "learning_rate"])
    assert [section["title"] for section in sections] == ["Trials", "Failed trials"]
    by_rate, by_epoch, curves = (block["plot"] for block in sections[0]["blocks"] if "plot" in block)
    assert [len(series["x"]) for series in by_rate["series"]] == [40, 40]
    assert len(tables.numbers(by_epoch)["rows"]) == 80
    assert [series["name"] for series in curves["series"]] == [f"trial 0{i}" for i in range(5)]
    (table,) = (block["table"] for block in sections[0]["blocks"] if "table" in block)
    assert [row[0] for row in table["rows"]] == [f"{i:02}" for i in range(50)]
    text = page.render({"sections": sections})
    assert "<script" not in text
    assert html.escape(failed["failed"], quote=False).split("'")[0].split('"')[0] in text
