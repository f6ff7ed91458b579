"""Exported models: each format says what the model says, and one that does not is refused."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import GOLDEN

import bert_tf
from bert_tf import extras
from bert_tf.checkpoints.families.table import FAMILIES
from bert_tf.cli import main
from bert_tf.exporting import formats, parity
from bert_tf.exporting.export import RefusedError
from bert_tf.exporting.network import Network
from bert_tf.files import SECOND_PART
from bert_tf.inference import engines
from bert_tf.models.auto import TFAutoModelForSequenceClassification

QUICK = {"onnx": ("bert", "mpnet"), "openvino": ("distilbert",), "saved-model": ("bert",), "keras": ("roberta",)}
QUICK |= {"litert": ("bert",)}
EVERY = [
    pytest.param(form, family, marks=[] if family in QUICK[form] else pytest.mark.slow)
    for form in formats.FORMATS
    for family in FAMILIES
]


def written(form: str, network: Network, folder) -> formats.Runner:
    chosen = formats.FORMATS[form]
    for module in chosen.modules:
        pytest.importorskip(module)
    file = folder / chosen.file
    file.parent.mkdir(parents=True)
    formats.converter(form).write(network, file)
    return formats.converter(form).load(file, network.names)


def batch(network: Network, texts: int, tokens: int) -> dict[str, np.ndarray]:
    ids = np.random.default_rng(tokens).integers(5, network.model.config.vocab_size, (texts, tokens))
    lengths = np.maximum(tokens - np.arange(texts), 1)
    mask = np.arange(tokens) < lengths[:, None]
    arrays = {"input_ids": np.where(mask, ids, network.model.config.pad_token_id or 0), "attention_mask": mask}
    arrays["token_type_ids"] = mask & (np.arange(tokens) >= tokens // 2)
    return {name: arrays[name].astype("int32") for name in network.names}


@pytest.mark.parametrize(("form", "family"), EVERY)
def test_every_family_in_every_format(form, family, tmp_path):
    network = Network(TFAutoModelForSequenceClassification.from_pretrained(GOLDEN / f"{family}_tiny"))
    run, in_keras = written(form, network, tmp_path), network.in_keras()
    for texts, tokens in ((1, 3), (4, 11)):  # any number of both
        given = batch(network, texts, tokens)
        np.testing.assert_allclose(run(given), in_keras(given), atol=1e-5)


@pytest.fixture(scope="module")
def tuned(tiny, tmp_path_factory):
    """A model whose two classes are named, with its tokenizer."""
    keras.utils.set_random_seed(1)
    folder = tmp_path_factory.mktemp("tuned") / "run" / "model"
    names = {"id2label": {0: "bad", 1: "good"}, "label2id": {"bad": 0, "good": 1}}
    model = TFAutoModelForSequenceClassification.from_pretrained(tiny, **names)
    model.classifier.kernel.assign(model.classifier.kernel * 50)
    model.save_pretrained(folder)
    bert_tf.load_tokenizer(tiny).save_pretrained(folder)
    return folder


@pytest.fixture
def labelled(reviews):
    names = {"positive": "good", "negative": "bad"}
    return {"text": reviews["text"], "label": [names[label] for label in reviews["label"]]}


def test_a_bundle_has_all_that_another_runtime_needs(tuned, labelled, tmp_path):
    pytest.importorskip("onnxruntime")
    limits = {"min_agreement": 0.5, "max_loss": 0.5}  # random weights: 8 bits may change an answer
    exported = bert_tf.export(tuned, tmp_path / "bundle", labelled, int8=True, max_length=16, verbose=0, **limits)
    names = {str(file.relative_to(exported.folder)) for file in exported.folder.rglob("*") if file.is_file()}
    assert names == {
        "README.md", "classify.py", "config.json", "onnx/model.onnx", "onnx/model_quantized.onnx", "parity.json",
        "tokenizer.json", "tokenizer_config.json",
    }  # fmt: skip
    measured = json.loads((exported.folder / "parity.json").read_text())
    assert measured == exported.measured
    assert measured["float32"]["drift"] < 1e-4
    assert measured["float32"]["agreement"] == 1
    assert measured["texts"] == 24
    assert measured["score"] == "accuracy"
    assert measured["int8"]["bytes"] < 0.5 * measured["float32"]["bytes"]
    assert measured["int8"]["drift"] > measured["float32"]["drift"]
    assert json.loads((exported.folder / "config.json").read_text())["id2label"] == {"0": "bad", "1": "good"}
    assert "&" not in (exported.folder / "README.md").read_text()

    texts = ["really good and sturdy", "poor, went straight back " * 9]  # the second is cut
    program = [sys.executable, exported.folder / "classify.py", *texts]
    said = subprocess.run(program, capture_output=True, text=True, check=True).stdout
    assert [line.split("\t")[0] for line in said.splitlines()] == bert_tf.predict(tuned, texts, max_length=16).labels

    with pytest.raises(FileExistsError, match="holds another export"):
        bert_tf.export(tuned, exported.folder, labelled)


@pytest.fixture
def zeroed(monkeypatch):
    """A converter that is broken: after the conversion some weights are 0."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    write = formats.converter("onnx").write
    monkeypatch.setattr(formats.converter("onnx"), "write", lambda network, file: broken(onnx, write, network, file))


def broken(onnx, write, network, file):
    write(network, file)
    graph = onnx.load(file)
    for value in graph.graph.initializer:
        if list(value.dims) in ([12, 20], [20, 12], [12, 2]):  # the feed-forward parts and the head
            value.CopyFrom(onnx.numpy_helper.from_array(np.zeros(list(value.dims), "float32"), value.name))
    onnx.save(graph, file)


@pytest.mark.parametrize("within", ["new/bundle", "bundle"])
def test_a_broken_export_is_refused_and_nothing_is_left(within, tuned, labelled, tmp_path, zeroed):
    with pytest.raises(RefusedError, match="nothing is written. float32: the logits differ by up to") as error:
        bert_tf.export(tuned, tmp_path / within, labelled, verbose=0)
    assert error.value.measured["float32"]["drift"] > 1e-4
    assert [*tmp_path.iterdir()] == []


def test_an_earlier_export_stays_if_the_new_one_is_refused(tuned, labelled, tmp_path, zeroed):
    pytest.importorskip("onnxruntime")
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle/parity.json").write_text("{}")
    with pytest.raises(RefusedError):
        bert_tf.export(tuned, tmp_path / "bundle", labelled, overwrite=True, verbose=0)
    assert [file.name for file in tmp_path.rglob("*")] == ["bundle", "parity.json"]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"drift": 2e-4}, "float32: the logits differ by up to 2.0e-04"),
        ({"drift": float("inf"), "agreement": 0.0}, "float32: the logits differ by up to inf"),
        ({"agreement": 0.995}, "float32: 99.5% of the texts get the same answer"),
        ({"score": 0.88}, "float32: the accuracy goes from 0.9 to 0.88"),
        ({"score": 0.891}, None),
    ],
)
def test_what_is_refused(row, says):
    from bert_tf.tasks.task import task_of

    good = {"drift": 1e-6, "agreement": 1.0, "score": 0.9}
    found = {"model": {"score": 0.9}, "float32": {**good, **row}}
    said = parity.problems(found, parity.Limits(1e-4, None, 0.01), task_of("classification"))
    assert (says in " ".join(said)) if says else not said


def test_wrong_input_is_said_in_a_line(tuned, labelled, tmp_path, capsys, monkeypatch):
    def refused(*arguments) -> str:
        assert main(["export", str(tuned), str(tmp_path / "bundle"), *arguments]) == 2
        return capsys.readouterr().err

    pytest.importorskip("tensorflow")
    assert "is not the model of a run" in refused()
    assert "SavedModel has no 8-bit form" in refused("--to", "saved-model", "--int8")
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    assert "pip install 'bert-tf[onnx]'" in refused()
    monkeypatch.setattr(formats, "find_spec", lambda name: None)
    assert "ONNX needs TensorFlow, which is not installed. Copy the model to where it is" in refused()
    monkeypatch.undo()
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    assert "SavedModel needs TensorFlow as the backend: set KERAS_BACKEND=tensorflow" in refused("--to", "saved-model")
    monkeypatch.undo()
    for name in SECOND_PART:
        (tuned / name).write_text("{}")
    try:
        assert "--without-tfidf" in refused()
    finally:
        for name in SECOND_PART:
            (tuned / name).unlink()
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle/mine.txt").write_text("x")
    assert "holds files that are not an export" in refused()


def test_unlabelled_texts_are_enough(tuned, reviews, tmp_path):
    texts = {"text": reviews["text"]}
    exported = bert_tf.export(tuned, tmp_path / "bundle", texts, to="keras", verbose=0)
    assert exported.measured["score"] is None
    assert exported.measured["float32"]["agreement"] == 1


@pytest.mark.parametrize("of", ["classifier", "features"])
def test_openvino_reads_a_model_that_computes_in_bfloat16(of):
    pytest.importorskip("openvino")
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = TFAutoModelForSequenceClassification.from_pretrained(GOLDEN / "distilbert_tiny")
    finally:
        keras.config.set_dtype_policy(before)
    network = Network(model)
    model.encoder.trainable = False
    owner, method = (model, network.logits) if of == "classifier" else (model.encoder, model.encoder.features)
    given = [*batch(network, 3, 7).values()]
    expected = engines.keras_engine(owner, method)(*given).astype("float32")
    np.testing.assert_allclose(engines.openvino_engine(owner, method)(*given), expected, atol=0.1)
    assert model.compute_dtype == "bfloat16"


def test_a_saved_model_answers_as_tensorflow_serving_asks_by_rest(tuned, labelled, tmp_path):
    """The row form: an object for each text; the server puts equal names together and gives the one output as rows."""
    import tensorflow as tf

    exported = bert_tf.export(tuned, tmp_path / "bundle", labelled, to="saved-model", max_length=16, verbose=0)
    weights = sum(weight.numpy().nbytes for weight in loaded_weights(tuned))
    assert exported.measured["float32"]["bytes"] < 1.2 * weights  # Keras' archive has them twice
    texts = ["good", "really bad and flimsy"]
    rows = bert_tf.load_tokenizer(tuned)(texts, padding=True, return_token_type_ids=False)
    body = json.dumps({"instances": [dict(zip(rows, row, strict=True)) for row in zip(*rows.values(), strict=True)]})

    kept = tf.saved_model.load(exported.file)
    signature = kept.signatures["serving_default"]
    specs = signature.structured_input_signature[1]
    assert {name: (spec.dtype, spec.shape.as_list()) for name, spec in specs.items()} == dict.fromkeys(
        ("input_ids", "attention_mask"), (tf.int32, [None, None])
    )
    instances = json.loads(body)["instances"]
    given = {name: tf.constant([row[name] for row in instances], spec.dtype) for name, spec in specs.items()}
    (logits,) = signature(**given).values()
    expected = bert_tf.predict(tuned, texts).probabilities
    np.testing.assert_allclose(tf.nn.softmax(logits), expected, atol=1e-5)


def loaded_weights(folder):
    return TFAutoModelForSequenceClassification.from_pretrained(folder).weights


def test_what_litert_lacks_is_a_sentence(tuned, labelled, tmp_path, capfd, monkeypatch):
    pytest.importorskip("ai_edge_litert")
    import tensorflow as tf

    def logits(self, input_ids, attention_mask, token_type_ids=None):
        share = tf.cast(attention_mask, "float32")[:, :2]
        return tf.math.betainc(share + 1.0, share + 2.0, share / 2)

    network = Network(TFAutoModelForSequenceClassification.from_pretrained(tuned))
    monkeypatch.setattr(Network, "logits", logits)
    with pytest.raises(ValueError, match=r"^LiteRT lacks Betainc, which this model needs\. Choose another format"):
        formats.converter("litert").write(network, tmp_path / "model.tflite")
    assert capfd.readouterr().err == ""


def test_the_conversion_to_onnx_needs_a_few_times_the_memory_of_the_weights(minilm, tmp_path):
    """Its optimizers once worked on copies: 40 times."""
    pytest.importorskip("tf2onnx")
    status, high_water = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not os.access(high_water, os.W_OK):
        pytest.skip("this system does not say how much memory was in use at most")

    def memory(kind):
        return 1024 * int(re.search(rf"{kind}:\s+(\d+)", status.read_text())[1])

    network = Network(TFAutoModelForSequenceClassification.from_pretrained(minilm))
    weights = sum(weight.numpy().nbytes for weight in network.model.weights)
    high_water.write_text("5")
    before = memory("VmRSS")
    formats.converter("onnx").write(network, tmp_path / "model.onnx")
    assert memory("VmHWM") - before < 15 * weights


@pytest.mark.parametrize("family", ["bert", "albert"])  # of ALBERT one matrix multiplies the states of several layers
def test_eight_bits_are_near_whatever_else_is_in_the_batch(family, tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    network = Network(TFAutoModelForSequenceClassification.from_pretrained(GOLDEN / f"{family}_tiny"))
    in_float32 = written("onnx", network, tmp_path)
    chosen, converter = formats.FORMATS["onnx"], formats.converter("onnx")
    texts = [batch(network, 4, tokens) for tokens in (3, 5, 8, 11)]
    converter.quantize(network, tmp_path / chosen.file, tmp_path / "int8.onnx", texts)
    run = converter.load(tmp_path / "int8.onnx", network.names)
    together, expected = run(texts[-1]), in_float32(texts[-1])
    error = np.abs(together - expected).mean()
    assert 0 < error < 0.03
    lengths = texts[-1]["attention_mask"].sum(axis=1)
    alone = [run({name: rows[i : i + 1, :n] for name, rows in texts[-1].items()}) for i, n in enumerate(lengths)]
    assert np.abs(np.concatenate(alone) - together).mean() < 0.3 * error
    nodes = [node.op_type for node in onnx.load(tmp_path / "int8.onnx").graph.node]
    assert (
        nodes.count("Gemm") == 6 * network.model.config.num_hidden_layers
    )  # each ready for one product of 8-bit numbers


@pytest.mark.slow
def test_openvino_in_eight_bits(tuned, labelled, tmp_path):
    pytest.importorskip("nncf")
    limits = {"min_agreement": 0.5, "max_loss": 0.5}
    exported = bert_tf.export(tuned, tmp_path / "bundle", labelled, to="openvino", int8=True, verbose=0, **limits)
    assert exported.measured["int8"]["bytes"] < 0.5 * exported.measured["float32"]["bytes"]
    assert exported.measured["int8"]["drift"] > 0
