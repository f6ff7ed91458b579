"""Predictions for many files: a folder of parts, whole or not at all, continued after a kill; in this process or on Ray."""

import functools
import json
import os
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
from bert_tf.data import parts
from bert_tf.data.parts import read_sources
from bert_tf.inference import many_files
from bert_tf.settings import Data

BLOCK = 7


def texts(count: int) -> list[str]:
    return [f"text number {i}: " + "word " * (i * 7 % 23) for i in range(count)]


@pytest.fixture(scope="module")
def folder(tiny, tmp_path_factory):
    """An untrained classifier of two classes on disk."""
    keras.utils.set_random_seed(5)
    folder = tmp_path_factory.mktemp("many") / "model"
    names = {0: "bad", 1: "very good"}
    bert_tf.TFDistilBertForSequenceClassification.from_pretrained(tiny, id2label=names).save_pretrained(folder)
    bert_tf.load_tokenizer(tiny).save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def _loaded_once(request, monkeypatch):
    """Loads and traces each model once for all tests, but for those of the command line."""
    if "capsys" not in request.fixturenames:
        make = many_files.Classifier
        monkeypatch.setattr(many_files, "Classifier", lambda model, **options: make(loaded(model), **options))


@functools.cache
def loaded(model):
    return bert_tf.TFAutoModelForSequenceClassification.from_pretrained(model)


@pytest.fixture
def files(tmp_path):
    """Three files of 20 rows in 9 blocks: Parquet, Parquet with other types, CSV."""
    (tmp_path / "in").mkdir()
    rows = [{"id": i, "text": text} for i, text in enumerate(texts(60))]
    parquet.write_table(pyarrow.Table.from_pylist(rows[:20]), tmp_path / "in" / "a.parquet", row_group_size=9)
    parquet.write_table(
        pyarrow.table({"id": pyarrow.array(range(20, 40), "int32"), "text": texts(40)[20:], "more": [0.5] * 20}),
        tmp_path / "in" / "b.parquet",
    )
    pandas.DataFrame(rows[40:]).to_json(tmp_path / "in" / "c.jsonl", orient="records", lines=True)
    return tmp_path / "in"


def sources(files):
    return read_sources(files, Data(), BLOCK)


def content(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.name[0] != "."}


class Killed(BaseException):
    pass


def interrupted(folder, files, out, after, monkeypatch, **options):
    """Runs until so many parts are written, and one more is half written."""
    write, done = parts.write_whole, []

    def write_and_stop(where, content):
        if "part-" in where and len(done) == after:
            (out / f".{os.path.basename(where)}.1.part").write_bytes(b"half")
            raise Killed
        write(where, content)
        done.extend([1] * ("part-" in where))

    with monkeypatch.context() as patched:
        patched.setattr(parts, "write_whole", write_and_stop)
        with pytest.raises(Killed):
            bert_tf.predict_files(folder, sources(files), out, **options)


def test_a_folder_of_parts_has_every_row_once(folder, files, tmp_path):
    out = tmp_path / "out"
    done = bert_tf.predict_files(folder, sources(files), out)
    assert (done.file, done.rows, done.resumed) == (out, 60, 0)
    assert done.columns == ("label", "score", "probability_bad", "probability_very good")
    found = pandas.read_parquet(out)
    assert [*found.columns] == ["id", "text", "more", *done.columns]
    assert [*found["id"]] == [*range(60)]
    assert [*found["text"]] == texts(60)
    assert found["more"].notna().sum() == 20
    expected = bert_tf.predict(folder, texts(60))
    assert [*found["label"]] == expected.labels
    assert abs(found["probability_bad"] - expected.probabilities[:, 0]).max() < 1e-6
    names = sorted(name for name in content(out) if name.startswith("part-"))
    assert [name[:19] for name in names] == [f"part-{f:05}-{b:08}" for f in range(3) for b in range(3)]
    assert {"_SUCCESS", "_plan.json"} < {*content(out)}
    plan = json.loads((out / "_plan.json").read_text())
    assert [each["rows"] for each in plan["files"]] == [20, 20, 20]


def test_an_interrupted_run_continues_to_the_same_folder(folder, files, tmp_path, monkeypatch):
    bert_tf.predict_files(folder, sources(files), tmp_path / "whole")
    out = tmp_path / "broken"
    interrupted(folder, files, out, 4, monkeypatch)
    assert not (out / "_SUCCESS").exists()
    with pytest.raises(
        FileExistsError, match=r"an earlier run was interrupted. Continue it with resume=True \(--resume\)"
    ):
        bert_tf.predict_files(folder, sources(files), out)
    with pytest.raises(ValueError, match=r"cannot be resumed with other settings: max_length \(None then, 8 now\)"):
        bert_tf.predict_files(folder, sources(files), out, resume=True, max_length=8)
    with pytest.raises(ValueError, match=r"the files are others: .*c.jsonl is missing. Start anew"):
        bert_tf.predict_files(folder, read_sources(f"{files}/*.parquet", Data(), BLOCK), out, resume=True)
    damaged = sorted(out.glob("part-*"))[1]
    damaged.write_bytes(damaged.read_bytes()[:-5])
    interrupted(folder, files, out, 3, monkeypatch, resume=True)
    done = bert_tf.predict_files(folder, sources(files), out, resume=True)
    assert done.resumed == 7 + 7 + 6 + 7 + 7 + 6
    assert content(out) == content(tmp_path / "whole")
    assert not [*out.glob(".part-*")]
    with pytest.raises(FileExistsError, match="is complete, there is nothing to resume"):
        bert_tf.predict_files(folder, sources(files), out, resume=True)


def test_another_model_or_changed_files_do_not_continue(folder, files, tiny, tmp_path, monkeypatch):
    interrupted(folder, files, tmp_path / "out", 1, monkeypatch)
    other = tmp_path / "other"
    bert_tf.TFDistilBertForSequenceClassification.from_pretrained(
        tiny, id2label={0: "bad", 1: "very good"}
    ).save_pretrained(other)
    bert_tf.load_tokenizer(tiny).save_pretrained(other)
    with pytest.raises(ValueError, match=r"other settings: model_fingerprint \('"):
        bert_tf.predict_files(other, sources(files), tmp_path / "out", resume=True)
    os.utime(files / "c.jsonl", (0, 0))
    with pytest.raises(ValueError, match=r"the files are others: .*c.jsonl has changed"):
        bert_tf.predict_files(folder, sources(files), tmp_path / "out", resume=True)
    done = bert_tf.predict_files(folder, sources(files), tmp_path / "out", overwrite=True)
    assert done.resumed == 0
    assert len([*(tmp_path / "out").glob("part-*")]) == 9


def test_a_file_that_changes_meanwhile_is_an_error(folder, files, tmp_path):
    found = sources(files)
    (files / "c.jsonl").write_text((files / "c.jsonl").read_text().splitlines()[0] + "\n")
    with pytest.raises(ValueError, match=r"c.jsonl: has fewer rows than before. Was it changed\?"):
        bert_tf.predict_files(folder, found, tmp_path / "out")
    assert not (tmp_path / "out" / "_SUCCESS").exists()


def test_other_files_in_the_folder_stay(folder, files, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    for options in ({}, {"resume": True}, {"overwrite": True}):
        with pytest.raises(FileExistsError, match="has other files, such as mine.txt"):
            bert_tf.predict_files(folder, sources(files), tmp_path / "out", **options)
    assert [*content(tmp_path / "out")] == ["mine.txt"]


def test_two_processes_do_not_write_one_folder(tmp_path):
    first = parts.Started(tmp_path / "out", {"a": 1}, False, False)
    with pytest.raises(FileExistsError, match="another process is writing there"):
        parts.Started(tmp_path / "out", {"a": 1}, True, False)
    first.end()
    parts.Started(tmp_path / "out", {"a": 1}, True, False).end()


def test_rows_that_are_left_out_leave_empty_parts(folder, tmp_path):
    table = pyarrow.table({"text": ["a", None, None, None, "b"]})
    parquet.write_table(table, tmp_path / "in.parquet")
    found = read_sources(tmp_path / "in.parquet", Data(on_bad_rows="skip"), 2)
    done = bert_tf.predict_files(folder, found, f"file://{tmp_path}/out", on_bad_rows="skip")
    assert (done.file, done.rows) == (f"file://{tmp_path}/out", 2)
    assert [*pandas.read_parquet(tmp_path / "out")["text"]] == ["a", "b"]
    assert len([*(tmp_path / "out").glob("part-*")]) == 3


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--output", "out.csv"], "for which --output must be a folder, such as predicted/"),
        (["--output", "out.csv", "--engine", "ray"], "--engine needs --output FOLDER/"),
        (["--output", "out/", "--workers", "2"], "--workers are those of Ray"),
        (["--output", "out", "--resume", "--overwrite"], "exclude each other"),
        (["--output", "nowhere://x/y"], "cannot be reached"),
    ],
)
def test_wrong_options_are_one_line(folder, files, tmp_path, capsys, monkeypatch, more, says):
    monkeypatch.chdir(tmp_path)
    assert main(["predict", str(folder), "--file", str(files / "*"), *more]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert len(said.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_the_command_line_writes_a_folder(folder, files, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["predict", str(folder), "--file", f"{files}/*.parquet", "--output", f"{out}/"]) == 0
    assert "60 rows" not in (said := capsys.readouterr().out)
    assert "40 rows of 2 files; predictions: label, score" in said
    assert len(pandas.read_parquet(out)) == 40


def test_without_ray_it_says_how_to_install_it(folder, files, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("bert_tf.extras.find_spec", lambda name: None)
    assert (
        main(["predict", str(folder), "--file", str(files), "--output", str(tmp_path / "out"), "--engine", "ray"]) == 2
    )
    assert "pip install 'bert-tf[ray]'" in capsys.readouterr().err


def test_an_actor_says_what_a_user_can_put_right(folder, files, tmp_path):
    from bert_tf.inference import on_ray

    found = sources(files)
    names = {"label": "label", "score": "score", "probability_bad": "bad", "probability_very good": "good"}
    types = {**found.types, **dict.fromkeys(names.values(), pyarrow.float64()), "label": pyarrow.string()}
    place = parts.Folder(str(tmp_path / "out"), "plan", types)
    (tmp_path / "out").mkdir()
    actor = on_ray.Actor(many_files.Work(str(folder), found, place, names, None, None, "float32"))
    batch = {"file": np.array([0]), "block": np.array([2])}
    assert actor(batch) == {"rows": [6], "problem": [""]}
    assert place.found(found) == {(0, 2): 6}
    (files / "a.parquet").unlink()
    actor = on_ray.Actor(many_files.Work(str(folder), found, place, names, None, None, "float32"))
    answer = actor(batch)
    assert answer["rows"] == [0]
    assert "a.parquet: no such file." in answer["problem"][0]


# An actor that kills itself when it has written its first part of the second file, and at the third file the command it works for.
LOST = """
import os, signal, sys
from bert_tf.data.parts import read_sources
from bert_tf.inference import many_files, on_ray
from bert_tf.settings import Data

model, files, out, marks = sys.argv[1:]

class Mortal(on_ray.Actor):
    def __call__(self, batch):
        rows = super().__call__(batch)
        file = int(batch["file"][0])
        mark = os.path.join(marks, f"killed-{file}")
        if file and not os.path.exists(mark):
            open(mark, "w").close()
            os.kill(int(os.environ["DRIVER"]) if file == 2 else os.getpid(), signal.SIGKILL)
        return rows

os.environ["DRIVER"] = str(os.getpid())
on_ray.Actor = Mortal
done = many_files.predict_files(model, read_sources(files, Data(), 7), out, engine="ray", workers=2, resume=os.path.isdir(out))
print(done.rows, done.resumed)
"""


@pytest.mark.slow
def test_ray_gives_the_same_rows_whoever_is_killed(folder, files, tmp_path):
    pytest.importorskip("ray")
    bert_tf.predict_files(folder, sources(files), tmp_path / "whole")
    command = [sys.executable, "-c", LOST, str(folder), str(files), str(tmp_path / "out"), str(tmp_path)]
    run = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == -signal.SIGKILL, run.stderr
    assert not (tmp_path / "out" / "_SUCCESS").exists()
    run = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "killed-1").exists()  # an actor, which Ray has started again
    rows, resumed = map(int, run.stdout.split()[-2:])
    assert rows == 60
    assert resumed > 0
    found, whole = (pandas.read_parquet(tmp_path / name) for name in ("out", "whole"))
    given = ["id", "text", "more", "label"]
    assert found[given].equals(whole[given])
    assert abs(found["score"] - whole["score"]).max() < 1e-6
