"""The home for orphaned code: scripts and files of transformers 4, against what it gave for them.

The numbers, checkpoints and scripts stand in tests/golden/v4; make_v4.py there made them with transformers 4.57.6.
"""

import json
import re
import shutil
from importlib.util import find_spec

import keras
import numpy as np
import pytest
from conftest import GOLDEN
from keras import ops
from transformers import BatchEncoding

import bert_tf
from bert_tf.cli.main import main
from bert_tf.data.labels import labels_to_y
from bert_tf.migrate import script as migrate
from bert_tf.models.auto import CLASSES

V4 = GOLDEN / "v4"
SCRIPTS = sorted((V4 / "scripts").glob("*.py"))
FORMS = ("h5", "h5_shards", "safetensors", "safetensors_shards")


def load(folder, **options):
    return bert_tf.TFAutoModelForSequenceClassification.from_pretrained(folder, **options)


# Scripts


@pytest.mark.parametrize("script", SCRIPTS, ids=[script.stem for script in SCRIPTS])
def test_a_script_of_transformers_4_gives_the_same_with_its_import_changed(script, monkeypatch):
    monkeypatch.setenv("START", str(V4 / "distilbert_h5"))
    reading = migrate.read(script)
    assert reading.runs
    assert len(reading.changes()) >= 2
    found: dict = {"__name__": script.stem}
    exec(compile(reading.after, script, "exec"), found)
    expected = json.loads(script.with_suffix(".json").read_text())
    del expected["versions"]
    assert found["RESULT"].keys() == expected.keys()
    forward_only = script.stem == "features"
    for name, value in expected.items():
        compare(found["RESULT"][name], value, 1e-5 if forward_only else 1e-4, f"{script.stem}: {name}")


def compare(found, expected, tolerance, where) -> None:
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), where
        for name in expected:
            compare(found[name], expected[name], tolerance, f"{where}.{name}")
    elif isinstance(expected, list) and expected and not isinstance(expected[0], str):
        np.testing.assert_allclose(np.array(found), np.array(expected), atol=tolerance, rtol=0, err_msg=where)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, abs=tolerance), where
    else:
        assert found == expected, where


# Files


@pytest.fixture(scope="module")
def expected() -> dict:
    return json.loads((V4 / "checkpoints.json").read_text())


def given(expected, family) -> dict:
    return {name: np.array(value) for name, value in expected[family]["inputs"].items()}


@pytest.mark.parametrize("family", ["distilbert", "bert"])
@pytest.mark.parametrize("form", FORMS)
def test_files_of_transformers_4_load_with_the_same_logits(family, form, expected):
    model = load(V4 / f"{family}_{form}")
    np.testing.assert_allclose(model(given(expected, family)).logits, expected[family]["logits"], atol=1e-5)


def test_files_of_the_other_families():
    expected = json.loads((V4 / "families.json").read_text())
    del expected["versions"]
    for family, golden in expected.items():
        inputs = np.array(golden["input_ids"]), np.array(golden["attention_mask"])
        np.testing.assert_allclose(load(V4 / f"{family}_h5")(*inputs).logits, golden["logits"], atol=1e-5)


@pytest.mark.parametrize("family", ["distilbert", "bert"])
def test_bases_and_pretrained_files_of_transformers_4(family, expected, caplog):
    base = CLASSES[family, None].from_pretrained(V4 / f"{family}_base_h5")
    hidden = np.array(expected[f"{family}_base"]["last_hidden_state"])
    np.testing.assert_allclose(base(given(expected, family)).last_hidden_state, hidden, atol=1e-5)
    assert "newly initialised, not trained" not in caplog.text

    classifier = load(V4 / f"{family}_base_h5", num_labels=3)
    np.testing.assert_allclose(classifier.encoder(given(expected, family)).last_hidden_state, hidden, atol=1e-5)
    assert "newly initialised, not trained" in caplog.text

    # The masked-word head of a pretrained checkpoint is left alone; BERT's has no pooler, which is then new too.
    masked, info = load(V4 / f"{family}_masked_safetensors", output_loading_info=True)
    hidden = np.array(expected[f"{family}_masked"]["last_hidden_state"])
    np.testing.assert_allclose(masked.encoder(given(expected, family)).last_hidden_state, hidden, atol=1e-5)
    assert all(name.startswith(("cls.", "vocab_")) for name in info["unexpected_keys"])
    assert info["unexpected_keys"]
    assert "classifier.weight" in info["missing_keys"]


@pytest.mark.parametrize("family", ["distilbert", "bert"])
@pytest.mark.parametrize("form", FORMS)
def test_convert_rescues_them(family, form, expected, tmp_path, capsys):
    assert main(["convert", str(V4 / f"{family}_{form}"), str(tmp_path / "rescued")]) == 0
    printed = capsys.readouterr().out
    read, written = map(int, re.findall(r"(\d+) tensors read, (\d+) written", printed)[0])
    assert read == written > 20
    assert float(re.findall(r"logits of a probe text before and after differ by at most (\S+)\.", printed)[0]) < 1e-6
    names = {file.name for file in (tmp_path / "rescued").iterdir()}
    assert {"config.json", "model.safetensors"} <= names <= {"config.json", "model.safetensors", "tokenizer.json",
                                                             "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"}  # fmt: skip
    torch = pytest.importorskip("torch")
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "rescued").eval()
    with torch.no_grad():
        tensors = {name: torch.tensor(array) for name, array in given(expected, family).items()}
        np.testing.assert_allclose(model(**tensors).logits.numpy(), expected[family]["logits"], atol=1e-5)


def test_safetensors_come_before_h5_unless_asked(tmp_path, expected):
    folder = shutil.copytree(V4 / "distilbert_h5", tmp_path / "both")
    other = load(V4 / "distilbert_h5")
    other.classifier.bias.assign([5.0, 7.0])
    other.save_pretrained(tmp_path / "other")
    shutil.copyfile(tmp_path / "other/model.safetensors", folder / "model.safetensors")
    np.testing.assert_allclose(load(folder).classifier.bias, [5, 7])
    assert np.abs(load(folder, use_safetensors=False).classifier.bias - np.array([5, 7])).max() > 1
    with pytest.raises(FileNotFoundError, match="Expected one of model.safetensors, model.safetensors.index.json"):
        load(V4 / "distilbert_h5", use_safetensors=True)


def damage_h5(folder, edit) -> None:
    import h5py

    with h5py.File(folder / "tf_model.h5", "r+") as file:
        edit(file, "distilbert/tf_distil_bert_for_sequence_classification/distilbert/transformer/layer_._1/ffn/lin1")


def damage_safetensors(folder, edit) -> None:
    from safetensors.numpy import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    edit(tensors, "distilbert/transformer/layer_._1/ffn/lin1")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "tf"})


def removed(tensors, part):
    del tensors[f"{part}/kernel:0"]


def renamed(tensors, part):
    tensors[f"{part}/colonel:0"] = tensors[f"{part}/kernel:0"][()]
    del tensors[f"{part}/kernel:0"]


def reshaped(tensors, part):
    value = tensors[f"{part}/kernel:0"][()]
    del tensors[f"{part}/kernel:0"]
    tensors[f"{part}/kernel:0"] = value[:, :-1].copy()


@pytest.mark.parametrize("form", ["h5", "safetensors"])
@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (removed, r"Missing: distilbert.transformer.layer.1.ffn.lin1.weight"),
        (renamed, r"Missing: distilbert.transformer.layer.1.ffn.lin1.weight.*Unexpected: .*lin1.colonel"),
        (reshaped, r"lin1.weight is \(19, 12\) in the file, \(20, 12\) in the model"),
    ],
)
def test_changed_files_are_refused_with_the_tensor_named(form, edit, message, tmp_path):
    folder = shutil.copytree(V4 / f"distilbert_{form}", tmp_path / form)
    {"h5": damage_h5, "safetensors": damage_safetensors}[form](folder, edit)
    with pytest.raises(ValueError, match=message):
        load(folder)
    with pytest.raises(ValueError, match=message):
        bert_tf.convert(folder, tmp_path / "converted")
    assert not (tmp_path / "converted").exists()


@pytest.mark.parametrize("form", ["h5", "safetensors"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.97])
def test_truncated_files_are_refused_with_the_file_named(form, share, tmp_path):
    folder = shutil.copytree(V4 / f"distilbert_{form}", tmp_path / form)
    file = folder / {"h5": "tf_model.h5", "safetensors": "model.safetensors"}[form]
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])
    with pytest.raises(ValueError, match=f"{file.name}: damaged"):
        load(folder)


def test_an_h5_that_is_no_model_is_refused(tmp_path):
    import h5py

    folder = shutil.copytree(V4 / "distilbert_h5", tmp_path / "h5")
    with h5py.File(folder / "tf_model.h5", "w") as file:
        file["measurements"] = np.zeros(3)
    with pytest.raises(ValueError, match=r"tf_model.h5: an HDF5 file, but not one that transformers wrote"):
        load(folder)


def test_a_pickle_is_refused_and_read_only_when_asked(tmp_path, expected, capsys):
    folder = tmp_path / "pickled"
    folder.mkdir()
    shutil.copyfile(V4 / "distilbert_h5/config.json", folder / "config.json")
    (folder / "pytorch_model.bin").write_bytes(b"anything")
    assert main(["convert", str(folder), str(tmp_path / "converted")]) == 2
    assert "bert-tf convert --allow-pickle" in capsys.readouterr().err
    torch = pytest.importorskip("torch")

    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "pwned"), "w"))

    torch.save({"weight": Evil()}, folder / "pytorch_model.bin")
    assert main(["convert", str(folder), str(tmp_path / "converted"), "--allow-pickle"]) == 2
    assert "pytorch_model.bin: damaged" in capsys.readouterr().err
    assert not (tmp_path / "pwned").exists()
    assert not (tmp_path / "converted").exists()

    from bert_tf.checkpoints.weights import read_tensors

    tensors = {name: torch.tensor(array.copy()) for name, array in read_tensors(V4 / "distilbert_h5").items()}
    torch.save(tensors, folder / "pytorch_model.bin")
    assert main(["convert", str(folder), str(tmp_path / "converted"), "--allow-pickle"]) == 0
    logits = load(tmp_path / "converted")(given(expected, "distilbert")).logits
    np.testing.assert_allclose(logits, expected["distilbert"]["logits"], atol=1e-5)


# Labels, weights, problem types


@pytest.fixture
def model():
    options = {"dropout": 0.0, "attention_dropout": 0.0, "seq_classif_dropout": 0.0}
    return bert_tf.TFDistilBertForSequenceClassification.from_pretrained(V4 / "distilbert_h5", **options)


@pytest.fixture
def texts():
    ids = np.random.default_rng(0).integers(5, 37, (13, 7)).astype("int32")
    return {"input_ids": ids, "attention_mask": np.ones_like(ids)}, np.arange(13) % 2


def test_labels_inside_and_outside_are_the_same(model, texts):
    import tensorflow as tf

    inputs, labels = texts
    model.compile(keras.optimizers.SGD(0.0), metrics=["accuracy"])
    weights = {"class_weight": {0: 1.0, 1: 3.0}}
    inside = {**inputs, "labels": labels}
    outside = model.fit(inputs, labels, batch_size=5, shuffle=False, verbose=0, **weights).history
    for x in (inside, tf.data.Dataset.from_tensor_slices(inside).batch(5)):
        options = {} if hasattr(x, "batch") else {"batch_size": 5, "shuffle": False}
        history = model.fit(x, validation_data=x, verbose=0, **weights, **options).history
        assert history["loss"] == pytest.approx(outside["loss"], abs=1e-6)
        assert history["accuracy"] == pytest.approx(outside["accuracy"])
        assert model.evaluate(x, verbose=0) == pytest.approx(model.evaluate(inputs, labels, verbose=0), abs=1e-6)
        np.testing.assert_allclose(
            model.predict(x, verbose=0).logits, model.predict(inputs, verbose=0).logits, atol=1e-6
        )
    sample_weight = np.linspace(0.1, 2, 13)
    one = model.fit(inputs, labels, sample_weight=sample_weight, batch_size=13, verbose=0).history["loss"]
    two = model.fit(inside, sample_weight=sample_weight, batch_size=13, verbose=0).history["loss"]
    assert one == pytest.approx(two, abs=1e-6)
    unweighted = model.fit(inside, batch_size=13, verbose=0).history["loss"]
    assert abs(one[0] - unweighted[0]) > 1e-4  # the weights did something


@pytest.mark.parametrize("key", ["labels", "label", "label_ids"])
def test_labels_are_found_under_every_usual_name(texts, key):
    inputs, labels = texts
    for given in ({**inputs, key: labels}, BatchEncoding({**inputs, key: labels})):
        x, y = labels_to_y(given)
        assert x.keys() == inputs.keys()
        assert y is labels
    x, y = labels_to_y({**inputs, key: labels}, labels + 1)
    assert y.tolist() == (labels + 1).tolist()
    assert key not in x


def test_problem_types_have_their_losses(texts):
    inputs, labels = texts
    random = np.random.default_rng(0)
    cases = {
        "regression": (1, random.normal(size=13).astype("float32")),
        "single_label_classification": (2, labels),
        "multi_label_classification": (3, random.integers(0, 2, (13, 3)).astype("float32")),
    }
    for problem_type, (num_labels, targets) in cases.items():
        model = bert_tf.TFDistilBertForSequenceClassification.from_pretrained(
            V4 / "distilbert_h5", problem_type=problem_type, num_labels=num_labels, ignore_mismatched_sizes=True,
            dropout=0.0, attention_dropout=0.0, seq_classif_dropout=0.0,
        )  # fmt: skip
        out = model(inputs, labels=targets)
        logits = ops.convert_to_numpy(out.logits).astype("float64")
        if problem_type == "regression":
            expected = (logits[:, 0] - targets) ** 2
        elif problem_type == "single_label_classification":
            expected = np.log(np.exp(logits).sum(1)) - logits[np.arange(13), targets]
        else:
            expected = (np.log1p(np.exp(logits)) - targets * logits).mean(1)
        np.testing.assert_allclose(out.loss, expected, atol=1e-5)
        model.compile(keras.optimizers.SGD(0.0), metrics=["accuracy"] if num_labels > 1 else None)
        history = model.fit(inputs, targets, batch_size=13, verbose=0).history
        assert history["loss"][0] == pytest.approx(expected.mean(), abs=1e-5)
        if problem_type == "multi_label_classification":
            assert history["accuracy"][0] == pytest.approx(((logits > 0) == targets).mean())


def test_compile_defaults(model):
    model.compile("adam", loss=None)
    assert model.loss is None
    model.compile()
    assert isinstance(model.optimizer, keras.optimizers.RMSprop)
    assert isinstance(model.loss, keras.losses.SparseCategoricalCrossentropy)
    for name in ("auto", "auto_with_warning", "passthrough"):
        model.compile("adam", loss=name)
        assert isinstance(model.loss, keras.losses.SparseCategoricalCrossentropy)
    own = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss=own)
    assert model.loss is own


# Attributes


def test_attributes_of_transformers_4(model):
    assert model.base_model_prefix == "distilbert"
    assert model.config_class is bert_tf.DistilBertConfig
    assert model.main_input_name == "input_ids"
    assert model.num_labels == 2
    assert model.name_or_path == str(V4 / "distilbert_h5")
    assert model.dropout.rate == model.config.seq_classif_dropout
    assert model.pre_classifier.units == 12
    assert model.classifier.units == 2
    assert model(model.dummy_inputs).logits.shape == (3, 2)
    with pytest.raises(NotImplementedError, match="head_mask"):
        model(model.dummy_inputs, head_mask=np.ones((2, 4)))


@pytest.mark.parametrize("size", [50, 20])
def test_resize_token_embeddings(model, texts, size, tmp_path):
    inputs, labels = texts
    inputs = {**inputs, "input_ids": inputs["input_ids"] % 20}
    before = model(inputs).logits
    parameters = model.num_parameters()
    assert model.resize_token_embeddings(size) is model.get_input_embeddings()
    assert model.config.vocab_size == size
    assert model.num_parameters() == parameters + 12 * (size - 37)
    np.testing.assert_allclose(model(inputs).logits, before, atol=1e-6)
    model.compile("adam")
    model.train_on_batch({**inputs, "input_ids": inputs["input_ids"] + size - 20}, labels)
    model.save_pretrained(tmp_path / "resized")
    np.testing.assert_allclose(load(tmp_path / "resized")(inputs).logits, model(inputs).logits, atol=1e-6)


def test_a_base_inside_a_keras_model(texts):
    """The usual way to put a head of one's own on top."""
    inputs, labels = texts
    ids, mask = (
        keras.Input((7,), dtype="int32", name="input_ids"),
        keras.Input((7,), dtype="int32", name="attention_mask"),
    )
    base = bert_tf.TFDistilBertModel.from_pretrained(V4 / "distilbert_h5")
    base.trainable = False
    hidden = base(ids, attention_mask=mask)[0]
    outputs = keras.layers.Dense(1, activation="sigmoid")(hidden[:, 0])
    model = keras.Model([ids, mask], outputs)
    model.compile("adam", loss="binary_crossentropy")
    assert len(model.trainable_variables) == 2
    assert np.isfinite(model.fit(inputs, labels, verbose=0).history["loss"][0])
    assert model.predict(inputs, verbose=0).shape == (13, 1)


# Tokenizers and collator


PROBES = [
    "plain words", "Caf\u00e9 na\u00efve \u00c5ngstr\u00f6m", "\ufb01ne \ufb02our \u0132", "\U0001f600 \U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f44d\U0001f3fd",
    "zero\u200bwidth\u200djoin\ufeff", "\u4e2d\u6587\u5b57\u7b26 mixed \u65e5\u672c\u8a9e", "\ud55c\uad6d\uc5b4", "\u0645\u0631\u062d\u0628\u0627", "\u05e9\u05dc\u05d5\u05dd",
    "bell\x07 tab\t nul\x00 del\x7f", "line\nbreak\r\nreturn", "", "   ", "e\u0301 combining vs \u00e9", "\u0130stanbul \u0131",
    "UPPER lower MiXeD", "don't won't o'clock", "1,234.56 $5 50% #1", "a_b-c/d\\e", "[CLS] [SEP] [MASK] [PAD] [UNK]",
    "word " * 10_000, "x" * 500,
]  # fmt: skip


def test_probe_strings_give_the_same_ids_as_transformers(minilm):
    from transformers import AutoTokenizer

    assert len(PROBES) == 22
    reference = AutoTokenizer.from_pretrained(minilm)
    ours = bert_tf.load_tokenizer(minilm)
    expected = [reference(text, truncation=True, max_length=256)["input_ids"] for text in PROBES]
    together = bert_tf.tokenize(PROBES, ours, max_length=256)
    drop_in = bert_tf.AutoTokenizer.from_pretrained(minilm)
    for i, text in enumerate(PROBES):
        assert together[i].tolist() == expected[i]
        assert bert_tf.tokenize([text], ours, max_length=256)[0].tolist() == expected[i]
        alone = drop_in(text, truncation=True, max_length=256, return_tensors="tf")["input_ids"]
        assert alone.numpy().tolist() == [expected[i]]


@pytest.mark.parametrize("name", ["AutoTokenizer", "DistilBertTokenizerFast", "BertTokenizer"])
def test_tokenizers_give_tensors(name, tmp_path):
    import tensorflow as tf

    tokenizer = getattr(bert_tf, name).from_pretrained(V4 / "distilbert_h5")
    found = tokenizer(["great value", "bad"], padding=True, return_tensors="tf")
    assert isinstance(found["input_ids"], tf.Tensor)
    assert found["input_ids"].dtype == tf.int32
    assert found.input_ids.shape == (2, 4)
    assert tokenizer.encode("great value", return_tensors="tf").shape == (1, 4)
    assert isinstance(tokenizer("great")["input_ids"], list)
    padded = tokenizer.pad({"input_ids": [[2, 5, 3], [2, 3]]}, return_tensors="tf")
    assert padded["input_ids"].numpy().tolist() == [[2, 5, 3], [2, 3, 0]]
    tokenizer.save_pretrained(tmp_path)
    from transformers import AutoTokenizer

    assert AutoTokenizer.from_pretrained(tmp_path)("great value")["input_ids"] == tokenizer("great value")["input_ids"]


def test_prepare_tf_dataset(model):
    tokenizer = bert_tf.AutoTokenizer.from_pretrained(V4 / "distilbert_h5")
    words = ["great value", "bad", "never again !", "fine", "slow and noisy"]
    rows = [{**tokenizer(text), "label": i % 2, "text": text} for i, text in enumerate(words)]
    keras.utils.set_random_seed(0)
    shuffled = model.prepare_tf_dataset(rows, batch_size=2, tokenizer=tokenizer)
    assert shuffled.cardinality() == 2  # the smaller last batch is left out
    one, two = ([x["input_ids"].numpy().tolist() for x, _ in shuffled] for _ in range(2))
    assert one != two
    inputs, labels = next(iter(model.prepare_tf_dataset(rows, batch_size=5, shuffle=False, tokenizer=tokenizer)))
    assert set(inputs) == {"input_ids", "attention_mask"}
    assert labels.numpy().tolist() == [0, 1, 0, 1, 0]
    with pytest.raises(ValueError, match="Pass tokenizer="):
        model.prepare_tf_dataset(rows, batch_size=5)
    with pytest.raises(ValueError, match="no rows"):
        model.prepare_tf_dataset([])


# Optimizer and callbacks


def test_create_optimizer_spares_biases_and_norms(model, texts):
    inputs, labels = texts
    optimizer, schedule = bert_tf.create_optimizer(0.1, 10, 2, weight_decay_rate=0.5, min_lr_ratio=0.1)
    plain, _ = bert_tf.create_optimizer(0.1, 10, 2, min_lr_ratio=0.1)
    start = [np.array(v) for v in model.weights]
    moved = []
    for each in (optimizer, plain):  # two steps: the first has a learning rate of 0
        model.set_weights(start)
        model.compile(each)
        model.fit(inputs, labels, batch_size=7, shuffle=False, verbose=0)
        moved.append({v.path: np.array(v) for v in model.weights})
    for path, before in zip(moved[0], start, strict=True):
        decayed = np.abs(moved[0][path] - moved[1][path]).max() > 0.01 * np.abs(before).max()
        assert decayed == path.endswith(("kernel", "embeddings")), path
    assert float(schedule(1)) == pytest.approx(0.05)
    assert float(schedule(2)) == pytest.approx(0.1)
    assert float(schedule(10)) == pytest.approx(0.01)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
    assert float(again(6)) == pytest.approx(float(schedule(6)))
    assert isinstance(bert_tf.create_optimizer(0.1, 10, 0)[0], keras.optimizers.Adam)


@pytest.mark.slow
def test_keras_callbacks_work(model, texts, tmp_path):
    inputs, labels = texts
    model.compile("adam", metrics=["accuracy"])
    best = tmp_path / "best.weights.h5"
    options = {"validation_data": (inputs, labels), "verbose": 0}
    callbacks = [
        keras.callbacks.EarlyStopping("val_loss", patience=1, restore_best_weights=True),
        keras.callbacks.ModelCheckpoint(best, "val_loss", save_best_only=True, save_weights_only=True),
        keras.callbacks.CSVLogger(tmp_path / "log.csv"),
    ]
    if with_board := find_spec("tensorflow") is not None:  # Keras' TensorBoard needs it on every backend
        callbacks.append(keras.callbacks.TensorBoard(tmp_path / "logs"))
    model.fit(inputs, labels, epochs=3, callbacks=callbacks, **options)
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 4
    assert with_board == any((tmp_path / "logs").rglob("events*"))
    logits = model(inputs).logits
    other = bert_tf.TFDistilBertForSequenceClassification(model.config)
    other.load_weights(best)
    np.testing.assert_allclose(other(inputs).logits, logits, atol=1e-6)

    whole = keras.callbacks.ModelCheckpoint(tmp_path / "whole.keras")
    model.fit(inputs, labels, callbacks=[whole], **options)
    loaded = keras.saving.load_model(tmp_path / "whole.keras")
    np.testing.assert_allclose(loaded(inputs).logits, model(inputs).logits, atol=1e-6)
    assert loaded.evaluate(inputs, labels, verbose=0) == pytest.approx(model.evaluate(inputs, labels, verbose=0))

    for epochs in (2, 3):  # transformers 4 died in the second fit
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup", delete_checkpoint=False)
        history = model.fit(inputs, labels, epochs=epochs, callbacks=[backup], **options).history
    assert len(history["loss"]) == 1  # the first two epochs were done


def test_keras_metric_callback(model, texts):
    import tensorflow as tf

    inputs, labels = texts
    model.compile("adam")
    seen = []

    def metric(predictions_and_labels):
        predictions, targets = predictions_and_labels
        seen.append((predictions.shape, targets.tolist()))
        return {"agreement": (predictions.argmax(1) == targets).mean()}

    for data in (
        tf.data.Dataset.from_tensor_slices((inputs, labels)).batch(5),
        tf.data.Dataset.from_tensor_slices({**inputs, "labels": labels}).batch(5),
    ):
        callback = bert_tf.KerasMetricCallback(metric, data)
        history = model.fit(inputs, labels, callbacks=[callback], verbose=0).history
        assert 0 <= history["agreement"][0] <= 1
    assert seen == [((13, 2), labels.tolist())] * 2
    with pytest.raises(TypeError, match="must return a dict"):
        model.fit(inputs, labels, callbacks=[bert_tf.KerasMetricCallback(lambda both: 3, data)], verbose=0)
