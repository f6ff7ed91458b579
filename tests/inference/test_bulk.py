"""Predictions for large files: all columns, any format, continued after a kill without a trace."""

import json
import signal
import subprocess
import sys

import keras
import numpy as np
import pandas
import pyarrow
import pytest
from conftest import ROOT
from pyarrow import parquet

import bert_tf
from bert_tf.cli.main import main
from bert_tf.data import writers
from bert_tf.data.blocks import read_blocks
from bert_tf.inference import bulk, predict
from bert_tf.settings import Data


@pytest.fixture(scope="module")
def folder(tiny, tmp_path_factory):
    """An untrained classifier of two classes on disk."""
    keras.utils.set_random_seed(5)
    folder = tmp_path_factory.mktemp("bulk") / "model"
    names = {0: "bad", 1: "very good"}
    bert_tf.TFDistilBertForSequenceClassification.from_pretrained(tiny, id2label=names).save_pretrained(folder)
    bert_tf.load_tokenizer(tiny).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def model(folder):
    """The same, loaded: its program is traced once for all tests."""
    return bert_tf.TFAutoModelForSequenceClassification.from_pretrained(folder)


def texts(count: int) -> list[str]:
    return [f"text number {i}: " + "word " * (i * 7 % 23) for i in range(count)]


@pytest.fixture
def source(tmp_path):
    file = tmp_path / "source.jsonl"
    rows = [{"id": i, "text": text, "label": "gold", "note": {"a": [i]}} for i, text in enumerate(texts(60))]
    rows[3] |= {"id": None, "note": None}
    file.write_text("\n".join(map(json.dumps, rows)) + "\n")
    return file


def test_predictions_as_columns():
    found = predict.Predictions(np.array([[0.25, 0.75], [0.5, 0.5]], "float32"), ("label", "score"))
    columns = found.to_columns()
    assert columns == {
        "label": ["score", "label"], "score": [0.75, 0.5], "probability_label": [0.25, 0.5],
        "probability_score": [0.75, 0.5],
    }  # fmt: skip
    assert pandas.DataFrame(columns).probability_label.sum() == 0.75


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_all_columns_and_the_predictions(model, source, tmp_path, ending, caplog):
    file = tmp_path / f"out{ending}"
    done = bert_tf.predict_file(model, read_blocks(source, Data(), 7), file)
    assert (done.file, done.rows, done.resumed) == (file, 60, 0)
    assert done.columns == ("predicted_label", "score", "probability_bad", "probability_very good")
    assert "has columns of the same names: 'predicted_label' is the predicted label." in caplog.text
    readers = {
        ".csv": lambda file: pandas.read_csv(file, keep_default_na=False),
        ".jsonl": lambda file: pandas.DataFrame(map(json.loads, file.read_text().splitlines())),
        ".parquet": pandas.read_parquet,
    }
    frame = readers[ending](file)
    assert [*frame.columns] == ["id", "text", "label", "note", *done.columns]
    assert [*frame["text"]] == texts(60)
    assert set(frame["label"]) == {"gold"}
    expected = bert_tf.predict(model, texts(60))
    assert [*frame["predicted_label"]] == expected.labels
    assert np.allclose(frame["probability_very good"].astype(float), expected.probabilities[:, 1], atol=2e-6)
    assert {".csv": '{"a": [5]}', ".jsonl": {"a": [5]}, ".parquet": {"a": [5]}}[ending] == frame["note"][5]
    assert not (tmp_path / f"out{ending}.unfinished").exists()


def test_types_of_parquet_stay(model, tmp_path):
    table = pyarrow.table(
        {
            "text": texts(30),
            "at": pyarrow.array(range(30), pyarrow.timestamp("us", "UTC")),
            "kind": pyarrow.array(["x", None, "y"] * 10).dictionary_encode(),
            "small": pyarrow.array(range(30), pyarrow.int8()),
        }
    )
    parquet.write_table(table, tmp_path / "in.parquet", row_group_size=11)
    bert_tf.predict_file(model, read_blocks(tmp_path / "in.parquet", Data(), 8), tmp_path / "out.parquet")
    found = parquet.read_table(tmp_path / "out.parquet")
    assert found.schema.field("at").type == pyarrow.timestamp("us", "UTC")
    assert found.schema.field("small").type == pyarrow.int8()
    assert found.select(table.column_names).to_pydict() == table.to_pydict()


def test_mixed_values_become_text_in_parquet(model, tmp_path):
    source = [{"text": "a", "x": 1}, {"text": "b", "x": "one"}, {"text": "c", "x": None}, {"text": "d", "x": {"y": 2}}]
    bert_tf.predict_file(model, read_blocks(source, Data(), 1), tmp_path / "out.parquet")
    assert parquet.read_table(tmp_path / "out.parquet")["x"].to_pylist() == ["1", "one", None, '{"y": 2}']


def test_csv_is_read_again_as_it_was(model, tmp_path):
    rows = ["plain", 'q"uote', "line\nbreak", "carriage\rreturn", "comma, semicolon;", "", " space ", "\ttab", "=1+1"]
    bert_tf.predict_file(model, {"text": rows, "empty": [None] * 9}, tmp_path / "out.csv")
    assert [*bert_tf.read_examples(tmp_path / "out.csv", labelled=False).texts] == rows


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_an_interrupted_run_continues_to_the_same_bytes(model, source, tmp_path, ending, monkeypatch):
    blocks = read_blocks(source, Data(), 7)
    whole, file = tmp_path / f"whole{ending}", tmp_path / f"broken{ending}"
    bert_tf.predict_file(model, blocks, whole)

    put, finished = bulk.Unfinished.put, []

    def put_and_stop(self, number, block, predictions):
        put(self, number, block, predictions)
        finished.append(number)
        if len(finished) == 4:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(bulk.Unfinished, "put", put_and_stop)
        with pytest.raises(KeyboardInterrupt):
            bert_tf.predict_file(model, blocks, file)
    assert not file.exists()
    with pytest.raises(
        FileExistsError, match=r"an earlier run was interrupted. Continue it with resume=True \(--resume\)"
    ):
        bert_tf.predict_file(model, blocks, file)
    with pytest.raises(ValueError, match=r"cannot be resumed with other settings: max_length \(256 then, 8 now\)"):
        bert_tf.predict_file(model, blocks, file, resume=True, max_length=8)
    done = bert_tf.predict_file(model, blocks, file, resume=True)
    assert done.resumed == 28
    assert file.read_bytes() == whole.read_bytes()
    with pytest.raises(FileExistsError, match="is complete"):
        bert_tf.predict_file(model, blocks, file, resume=True)


def test_texts_that_changed_meanwhile_are_classified_again(model, tmp_path, monkeypatch):
    unfinished = bulk.Unfinished(tmp_path / "out.csv", False, False)
    unfinished.start({})
    first, second = read_blocks({"text": ["a", "b"]}, Data(), 1)
    unfinished.put(0, first, {"label": ["x"]})
    assert unfinished.get(0, first) == {"label": ["x"]}
    assert unfinished.get(0, second) is None
    assert unfinished.get(1, first) is None
    unfinished.release()


def test_two_processes_do_not_write_one_output(model, source, tmp_path):
    first, second = (bulk.Unfinished(tmp_path / "out.csv", resume=True, overwrite=False) for _ in range(2))
    first.start({"a": 1})
    with pytest.raises(FileExistsError, match="another process is writing there"):
        second.start({"a": 1})
    first.release()
    second.start({"a": 1})
    second.release()


def test_damaged_predictions_are_computed_again(model, tmp_path):
    unfinished = bulk.Unfinished(tmp_path / "out.csv", False, False)
    unfinished.start({})
    (block,) = read_blocks({"text": ["a"]}, Data())
    unfinished.put(0, block, {"label": ["x"]})
    (part,) = unfinished.folder.glob("*.parquet")
    part.write_bytes(part.read_bytes()[:-9])
    assert unfinished.get(0, block) is None
    unfinished.release()


def test_overwrite_starts_anew_and_foreign_folders_stay(model, source, tmp_path):
    folder = tmp_path / "out.csv.unfinished"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="is not of an interrupted run"):
        bert_tf.predict_file(model, source, tmp_path / "out.csv", overwrite=True)
    (folder / "mine.txt").rename(folder / "run.json")
    done = bert_tf.predict_file(model, source, tmp_path / "out.csv", overwrite=True)
    assert done.resumed == 0
    assert not folder.exists()


def test_bad_rows_are_named_before_anything_is_computed(folder, tmp_path, capsys):
    file = tmp_path / "in.jsonl"
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in ["a", None, "c"]))
    command = ["predict", str(folder), "--file", str(file), "--output", str(tmp_path / "out.csv")]
    assert main(command) == 2
    said = capsys.readouterr().err
    assert "line 2: the text (column 'text') is empty" in said
    assert "--on-bad-rows skip" in said
    assert [*tmp_path.iterdir()] == [file]
    assert main([*command, "--on-bad-rows", "skip"]) == 0
    assert [*pandas.read_csv(tmp_path / "out.csv")["text"]] == ["a", "c"]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--output", "out.xml"], "expected a file that ends in .csv or .jsonl"),
        (["--output", "none/out.csv"], "there is no folder none"),
        (["--resume"], "--resume needs --output"),
        (["--output", "out.csv", "--text-pair", "x"], "--text-pair goes with --text"),
        (["--output", "out.csv", "--resume", "--overwrite"], "exclude each other"),
    ],
)
def test_wrong_options_are_one_line(folder, source, tmp_path, capsys, monkeypatch, more, says):
    monkeypatch.chdir(tmp_path)
    assert main(["predict", str(folder), "--file", str(source), *more]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert len(said.strip().splitlines()) == 1


@pytest.mark.parametrize(("output", "resumes"), [("out.csv", True), ("out.json", False), (None, False)])
def test_stopped_it_says_whether_it_can_be_resumed(folder, tmp_path, capsys, monkeypatch, output, resumes):
    def stop(options):
        (tmp_path / "out.csv.unfinished").mkdir(exist_ok=True)
        (tmp_path / "out.csv.unfinished" / "run.json").touch()  # the run has begun
        raise KeyboardInterrupt

    monkeypatch.setattr("bert_tf.cli.predict._predict", stop)
    monkeypatch.chdir(tmp_path)
    before = signal.getsignal(signal.SIGINT)
    asked = ["predict", str(folder), "--text", "a", *(["--output", output] if output else [])]
    assert main(asked) == 130
    assert signal.getsignal(signal.SIGINT) is before  # a program that called it can be stopped again
    assert ("--resume" in capsys.readouterr().err) == resumes
    if resumes:
        assert main([*asked, "--overwrite"]) == 130
        assert "with the same command and --resume in place of --overwrite." in " ".join(
            capsys.readouterr().err.split()
        )


def test_small_numbers_keep_their_digits(tmp_path):
    found = predict.Predictions(np.array([1e-8, 0.1, 1234567.0], "float32"), ("price",), "regression")
    kept = [1e-8, 0.1, 1234567.0]
    assert [row["value"] for row in found.rows("abc")] == kept
    assert writers.rounded(found.to_columns()) == {"value": kept}
    assert writers.rounded({"score": [0.12345678]}) == {"score": [0.123457]}
    assert "1e-08" in repr(found)
    assert "1,234,567" in repr(found)


def test_texts_of_the_command_line_are_written_too(folder, tmp_path, capsys):
    file = tmp_path / "out.csv"
    assert main(["predict", str(folder), "--text", "good", "--text", "bad", "--output", str(file)]) == 0
    assert "Written" in capsys.readouterr().out
    assert file.read_text().splitlines()[0] == "text,label,score,probability_bad,probability_very good"


@pytest.mark.parametrize("kind", [*writers.WRITERS])
def test_numbers_that_are_none(kind, tmp_path):
    types = {"text": pyarrow.string(), "x": pyarrow.float64()}
    writer = writers.WRITERS[kind](tmp_path / f"a{kind}", types)
    writer.write({"text": ["a", None], "x": [float("nan"), 0.1]})
    writer.close()
    content = (tmp_path / f"a{kind}").read_bytes()
    if kind != ".parquet":
        assert content == {".csv": b"text,x\na,\n,0.1\n"}.get(
            kind, b'{"text": "a", "x": null}\n{"text": null, "x": 0.1}\n'
        )


KILLED = """
import os, signal, sys
from bert_tf.data.blocks import read_blocks
from bert_tf.inference import bulk
from bert_tf.settings import Data
put, done = bulk.Unfinished.put, []
def put_and_die(self, *parts):
    put(self, *parts)
    done.append(1)
    if len(done) == 5:
        os.kill(os.getpid(), signal.SIGKILL)
bulk.Unfinished.put = put_and_die
model, source, *outputs = sys.argv[1:]
bulk.predict_file(model, read_blocks(source, Data(), 7), outputs[0])
"""


@pytest.mark.slow
def test_kill_9_and_resume_give_the_same_bytes(folder, source, tmp_path):
    blocks = read_blocks(source, Data(), 7)
    bert_tf.predict_file(folder, blocks, tmp_path / "whole.parquet")
    command = [sys.executable, "-c", KILLED, str(folder), str(source), str(tmp_path / "killed.parquet")]
    killed = subprocess.run(command, check=False, cwd=ROOT, capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed.parquet").exists()
    done = bert_tf.predict_file(folder, blocks, tmp_path / "killed.parquet", resume=True)
    assert done.resumed == 35
    assert (tmp_path / "killed.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()
