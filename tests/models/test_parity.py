"""Our numbers against Hugging Face's PyTorch classes: committed ones always, live ones where PyTorch is installed."""

import json

import numpy as np
import pytest
from conftest import GOLDEN
from keras import ops
from numpy_reference import distilbert_logits
from safetensors.numpy import load_file

import bert_tf
from bert_tf.checkpoints.families.table import FAMILIES


def expected(name: str) -> dict:
    return json.loads((GOLDEN / name).read_text())


def inputs(golden: dict) -> dict[str, np.ndarray]:
    return {name: np.array(value) for name, value in golden["inputs"].items()}


@pytest.mark.parametrize("family", FAMILIES)
class TestTiny:
    def test_padded(self, family):
        golden = expected(f"{family}_tiny/expected.json")
        model = bert_tf.TFAutoModelForSequenceClassification.from_pretrained(GOLDEN / f"{family}_tiny")
        given = inputs(golden)
        out = model(given, output_hidden_states=True, output_attentions=True)
        real = given["attention_mask"][:, :, None] == 1
        np.testing.assert_allclose(out.logits, golden["logits"], atol=1e-5)
        np.testing.assert_allclose(out.hidden_states[-1] * real, golden["last_hidden_state"] * real, atol=1e-5)
        np.testing.assert_allclose(
            out.attentions[0] * real[:, None], golden["first_attention"] * real[:, None], atol=1e-6
        )
        assert model.config.id2label == {0: "bad", 1: "so-so", 2: "good"}

    def test_unpadded(self, family):
        golden = expected(f"{family}_tiny/expected.json")
        model = bert_tf.TFAutoModelForSequenceClassification.from_pretrained(GOLDEN / f"{family}_tiny")
        given = inputs(golden)
        for i, length in enumerate(given["attention_mask"].sum(1)):
            if given["attention_mask"][i, :length].all():
                alone = {name: array[i : i + 1, :length] for name, array in given.items()}
                np.testing.assert_allclose(model(alone).logits[0], golden["logits"][i], atol=1e-5)


def test_float64_numpy_agrees_too():
    golden = expected("distilbert_tiny/expected.json")
    weights = load_file(GOLDEN / "distilbert_tiny/model.safetensors")
    given = inputs(golden)
    logits = distilbert_logits(weights, given["input_ids"], given["attention_mask"], layers=3, heads=4)
    np.testing.assert_allclose(logits, golden["logits"], atol=1e-5)
    model = bert_tf.TFDistilBertForSequenceClassification.from_pretrained(GOLDEN / "distilbert_tiny")
    np.testing.assert_allclose(model(given).logits, logits, atol=1e-5)


HEAD = np.random.default_rng(0).normal(size=(384, 3)).astype("float32")


def test_minilm_bert(minilm_bert):
    golden = expected("minilm.json")
    model = bert_tf.TFBertForSequenceClassification.from_pretrained(minilm_bert, num_labels=3)
    model.classifier.kernel.assign(HEAD)
    tokens = padded(golden["input_ids"])
    np.testing.assert_allclose(model(tokens).logits, np.array(golden["pooler_output"]) @ HEAD, atol=1e-4)


def test_minilm_folded(minilm):
    golden = expected("minilm.json")
    model = bert_tf.TFDistilBertForSequenceClassification.from_pretrained(minilm, num_labels=3)
    kernel = np.random.default_rng(1).normal(size=(384, 384)).astype("float32") / 20
    model.pre_classifier.kernel.assign(kernel)
    model.classifier.kernel.assign(HEAD / 20)

    def head(first_token):
        return np.maximum(np.array(first_token) @ kernel, 0) @ (HEAD / 20)

    np.testing.assert_allclose(model(padded(golden["input_ids"])).logits, head(golden["first_token"]), atol=1e-4)
    for ids, first_token in zip(golden["input_ids"], golden["first_token_alone"], strict=True):
        np.testing.assert_allclose(model(np.array([ids])).logits[0], head(first_token), atol=1e-4)


def padded(rows: list[list[int]]) -> dict[str, np.ndarray]:
    ids = np.zeros((len(rows), max(map(len, rows))), "int32")
    for i, row in enumerate(rows):
        ids[i, : len(row)] = row
    return {"input_ids": ids, "attention_mask": (ids > 0).astype("int32")}


# Live, where PyTorch is installed


def torch_logits(folder, given: dict) -> np.ndarray:
    torch = pytest.importorskip("torch")
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        return model(**{name: torch.tensor(array) for name, array in given.items()}).logits.numpy()


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_what_we_save_pytorch_reads(family, tmp_path):
    pytest.importorskip("torch")
    golden = expected(f"{family}_tiny/expected.json")
    model = bert_tf.TFAutoModelForSequenceClassification.from_pretrained(GOLDEN / f"{family}_tiny")
    model.compile("adam")
    given = inputs(golden)
    model.fit(given, np.arange(len(given["input_ids"])) % 3, epochs=2, verbose=0)
    model.save_pretrained(tmp_path / "saved")
    ours = ops.convert_to_numpy(model(given).logits)
    assert np.abs(ours - golden["logits"]).max() > 1e-4  # it has learned something
    np.testing.assert_allclose(torch_logits(tmp_path / "saved", given), ours, atol=1e-5)


def test_minilm_folded_pytorch(minilm, tmp_path):
    pytest.importorskip("torch")
    model = bert_tf.TFDistilBertForSequenceClassification.from_pretrained(minilm, num_labels=3)
    model.save_pretrained(tmp_path / "saved")
    given = padded(expected("minilm.json")["input_ids"])
    np.testing.assert_allclose(torch_logits(tmp_path / "saved", given), model(given).logits, atol=1e-4)
