"""The table of names, the errors and modules that follow from it, `bert-tf migrate`, and docs/migrating.md."""

import json
import subprocess
import sys
import traceback

import pytest
from conftest import GOLDEN, ROOT

import bert_tf
from bert_tf.cli.main import main
from bert_tf.migrate import modules, page, script, table
from bert_tf.migrate.forms import DIFFERS, INSTEAD, STAYS, VERDICTS, WORKS

SYMBOLS = json.loads((GOLDEN / "v4/symbols.json").read_text())
SCRIPTS = sorted((ROOT / "tests/migrate/scripts").glob("*.py"))


def test_every_symbol_of_transformers_4_is_exported_or_answered():
    names = sorted({name for names in SYMBOLS.values() for name in names})
    assert len(names) > 1000
    for name in names:
        verdict, note = script.judge(name)
        assert verdict in VERDICTS
        assert note != "neither bert_tf nor transformers 5 has it", name
        if verdict in (WORKS, DIFFERS):
            assert name in bert_tf.__all__
        else:
            with pytest.raises(ImportError, match=rf"bert_tf has no {name}\. Write instead: .+"):
                getattr(bert_tf, name)


def test_the_error_reaches_who_imports():
    code = "from bert_tf import AutoTokenizer, TFT5ForConditionalGeneration"
    with pytest.raises(ImportError, match="Write instead: a class of one of these families: .*Bert"):
        exec(code, {})
    with pytest.raises(ImportError, match="cannot import name 'AutoTokenizr'"):
        exec("from bert_tf import AutoTokenizr", {})


def test_no_row_is_hidden_by_an_earlier_one():
    for row in table.ROWS:
        if " " not in row.names and not row.names.isidentifier():
            continue
        assert all(table.row_of(name) is row for name in row.names.split()), row


@pytest.mark.parametrize("module", [name for name in SYMBOLS if modules.is_old(name)])
def test_modules_of_transformers_4_are_there(module):
    code = f"from bert_tf.{module} import AutoTokenizer as found"
    scope: dict = {}
    exec(code, scope)
    assert scope["found"] is bert_tf.AutoTokenizer


def test_old_modules_cover_what_scripts_import_from():
    for module in ("modeling_tf_utils", "modeling_tf_outputs", "optimization_tf", "keras_callbacks", "models.bert.modeling_tf_bert",
                   "tokenization_distilbert", "modeling_tf_bert", "data.data_collator", "utils.logging", "pipelines"):  # fmt: skip
        assert modules.is_old(module), module
    assert not any(
        modules.is_old(name) for name in ("models", "models.encoder", "data", "cli", "trainer", "modeling_bert")
    )
    from bert_tf.utils.logging import get_verbosity, set_verbosity_warning

    set_verbosity_warning()
    assert get_verbosity() == bert_tf.logging.WARNING
    with pytest.raises(ImportError, match="bert_tf has no TFBertForTokenClassification"):
        exec("from bert_tf.models.bert import TFBertForTokenClassification", {})


# The trainer's takes as long as two others: what it does is also tested, more quickly, in transformers4/test_drop_in.py.
CASES = [pytest.param(file, id=file.stem, marks=[pytest.mark.slow] * (file.stem == "trainer")) for file in SCRIPTS]


@pytest.mark.parametrize("file", CASES)
def test_the_verdict_is_what_happens(file, tmp_path, monkeypatch):
    monkeypatch.setenv("START", str(GOLDEN / "v4/distilbert_h5"))
    monkeypatch.setenv("BERT", str(GOLDEN / "v4/bert_h5"))
    monkeypatch.chdir(tmp_path)
    reading = script.read(file)
    assert reading.runs == (not file.read_text().startswith("# Stops"))
    scope: dict = {"__name__": file.stem}
    try:
        exec(compile(reading.after, file.name, "exec"), scope)
        stopped = set()
    except Exception as error:
        stopped = {frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file.name}
        if reading.runs or isinstance(error, ModuleNotFoundError):
            raise
    assert stopped == {finding.line for finding in reading.findings if finding.verdict == INSTEAD}
    check = {"own_head": own_head, "old_calls": old_calls, "trainer": trainer}.get(file.stem)
    if check:
        check(scope["RESULT"])


def own_head(found):
    assert found["difference"] < 1e-6  # LSTM included


def old_calls(found):
    assert found["length"] == 6
    assert found["features"] == [0, 6]
    assert [set(row) for row in found["found"]] == [{"label", "score"}] * 4
    assert found["one"][0]["label"] == found["found"][1]["label"]
    assert sum(row["score"] for row in found["every"]) == pytest.approx(1)
    assert found["every"][0]["score"] >= found["every"][1]["score"]
    assert found["every"][0] == pytest.approx(found["found"][1])


def trainer(found):
    assert found == {"metrics": ["eval_loss", "eval_right"], "predictions": [4, 2]}


def test_imports_are_changed_and_nothing_else():
    before = (
        '"""A script."""\n'
        "import os, transformers  # both\n"
        "import transformers as tr\n"
        "if True:\n"
        "    from transformers import (\n"
        "        Trainer,  # PyTorch\n"
        "        TFBertModel as Model,\n"
        "    ); x = 1\n"
        "from transformers.models.bert import TFBertModel\n"
        "from transformers_of_mine import y\n"
        "tr.TFBertModel, transformers.pipeline, tr.Trainer\n"
    )
    reading = script.read_text(before)
    assert reading.after == (
        '"""A script."""\n'
        "import os, bert_tf as transformers  # both\n"
        "import bert_tf as tr\n"
        "if True:\n"
        "    from bert_tf import TFBertModel as Model; from transformers import Trainer; x = 1\n"
        "from bert_tf import TFBertModel\n"
        "from transformers_of_mine import y\n"
        "tr.TFBertModel, transformers.pipeline, tr.Trainer\n"
    )
    found = {(line, name): verdict for line, name, verdict, _ in reading.findings}
    assert found[5, "Trainer"] == STAYS
    assert found[11, "tr.Trainer"] == INSTEAD
    assert found[11, "pipeline"] == DIFFERS


def test_imports_on_one_line_and_behind_odd_line_ends():
    for before, after in (
        (
            "import transformers; from transformers import TFBertModel; x = 1\n",
            "import bert_tf as transformers; from bert_tf import TFBertModel; x = 1\n",
        ),
        ("x = 1\n\f\nfrom transformers import TFBertModel", "x = 1\n\f\nfrom bert_tf import TFBertModel"),
        ("x = '\u2028'\nfrom transformers import pipeline\n", "x = '\u2028'\nfrom bert_tf import pipeline\n"),
    ):
        assert script.read_text(before).after == after


def test_forms_are_found_where_they_stand():
    reading = script.read_text(
        "import os, tf_keras\n"
        "from tensorflow.keras.optimizers import Adam\n"
        "from transformers import TFBertModel\n"
        'os.environ["TF_USE_LEGACY_KERAS"] = "1"\n'
        "model = TFBertModel.from_pretrained('x')\n"
        "model.save_weights('x.h5'); model.save('folder')\n"
        "Adam(lr=1e-3); Adam(learning_rate=1e-3)\n"
        "model.bert.encoder.layer[0].attention.self_attention.query\n"
        "model.optimizer.lr = 1\n"
        "tokenizer.prepare_for_model([1])\n"
        "ModelCheckpoint('w.hdf5', save_weights_only=True); model.load_weights('other.hdf5')\n"
        "model.load_weights('w.hdf5')\n"
    )
    lines = [finding.line for finding in reading.findings if finding.verdict == INSTEAD]
    assert lines == [1, 4, 7, 8, 9, 10, 11, 12]  # line 5: models of bert_tf take any name
    assert reading.findings[-1].note == "load_weights('w.weights.h5')"


def test_the_command(tmp_path, capsys):
    file = tmp_path / "train.py"
    file.write_text("from transformers import TFBertModel, Trainer\n")
    assert main(["migrate", str(file)]) == 0
    printed = capsys.readouterr().out
    assert "+ from bert_tf import TFBertModel" in printed
    assert "+ from transformers import Trainer" in printed
    assert "Runs with these imports." in printed
    assert file.read_text() == "from transformers import TFBertModel, Trainer\n"
    assert main(["migrate", "--write", str(file)]) == 0
    assert file.read_text() == "from bert_tf import TFBertModel\nfrom transformers import Trainer\n"
    file.write_text("from transformers import TFBertForTokenClassification\n")
    assert main(["migrate", str(file)]) == 1
    assert "Stops until changed by hand: line 1." in capsys.readouterr().out
    for text, says in (("print 1", "is not Python 3"), (None, "no such script")):
        file.write_text(text) if text else file.unlink()
        assert main(["migrate", str(file)]) == 2
        assert says in capsys.readouterr().err


def test_the_module_is_the_command(tmp_path):
    file = tmp_path / "train.py"
    file.write_text("from transformers import TFBertModel\n")
    done = subprocess.run([sys.executable, "-m", "bert_tf.migrate", str(file)], capture_output=True, text=True)
    assert (done.returncode, "TFBertModel  works" in done.stdout) == (0, True), done.stderr


def test_the_documentation_is_up_to_date():
    text = (ROOT / "docs/migrating.md").read_text()
    assert page.page(text) == text, "make docs"
