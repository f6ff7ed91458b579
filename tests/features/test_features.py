"""Features: computed once, kept, found again, and the same to training as if they had been computed each time."""

import csv
import json
import logging
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import GOLDEN, out_of_memory

import bert_tf
from bert_tf import hardware
from bert_tf.data.bucketing import padded, token_batches
from bert_tf.data.pipeline import batches
from bert_tf.data.tokenizer import Tokens, join
from bert_tf.features import extraction
from bert_tf.features.cache import Space
from bert_tf.features.extraction import extract
from bert_tf.inference import engines
from bert_tf.models.auto import CLASSES


def some_tokens(count: int = 40, seed: int = 0) -> Tokens:
    generator = np.random.default_rng(seed)
    lengths = generator.integers(2, 50, count)
    return Tokens(generator.integers(1000, 20000, lengths.sum()).astype("int32"), np.cumsum(lengths))


@pytest.fixture
def model(deeper):
    return bert_tf.TFDistilBertForSequenceClassification.from_pretrained(deeper, num_labels=2)


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(hardware, "token_budget", lambda: 100)


@pytest.mark.parametrize(
    ("family", "head", "names"),
    [
        ("distilbert", "first_token", ["2d3ab9ec6e8c6d7190b45510", "9b895d9bbfd00e22b867393c"]),
        ("bert", "first_token", ["c7f9a5dd1e0baf94d9bedf41", "1a0bc5901d6795de42deca41"]),
        ("distilbert", "layer_means", ["d36ecb57c848c79388a618df", "9b895d9bbfd00e22b867393c"]),
        ("bert", "layer_means", ["a0ec3e6c857ec9913f9268d1", "1a0bc5901d6795de42deca41"]),
    ],
)
def test_the_names_of_spaces_never_change(family, head, names, tmp_path):
    """Otherwise every user's cache would be computed again: increase `FORMAT` if features change, and only then."""
    CLASSES[family, None].from_pretrained(GOLDEN / f"{family}_tiny").save_pretrained(tmp_path)
    model = CLASSES[family, head].from_pretrained(tmp_path, num_labels=3)
    found = []
    for unfreeze in (0, 1):
        model.freeze(unfreeze)
        found.append(Space(extraction.describe(model.encoder, "float32"), Path("any")).folder.name)
    assert found == names


@pytest.mark.parametrize("unfreeze", [0, 1, 2])
@pytest.mark.parametrize("kept", ["disk", "memory"])
def test_features_are_the_hidden_states_at_the_boundary(model, tmp_path, small_batches, unfreeze, kept):
    model.freeze(unfreeze)
    tokens = some_tokens()
    found = extract(model.encoder, tokens, cache=kept, cache_dir=tmp_path)
    assert found.pooled == (unfreeze == 0)
    assert found.computed == len(found) == 40
    assert bool(list(tmp_path.iterdir())) == (kept == "disk")
    for i in (0, 7, 39):
        states = model.encoder(tokens[i][None], output_hidden_states=True).hidden_states[3 - unfreeze][0]
        np.testing.assert_allclose(found[i], states[0] if unfreeze == 0 else states, atol=1e-5)
        logits = model({"features": found[i][None]}).logits
        np.testing.assert_allclose(logits, model({"input_ids": tokens[i][None]}).logits, atol=1e-5)


def test_features_of_a_bert_go_through_its_pooler(minilm_bert):
    model = bert_tf.TFBertForSequenceClassification.from_pretrained(minilm_bert, num_labels=2)
    model.freeze(0)
    tokens = some_tokens(3)
    found = extract(model.encoder, tokens, cache="memory")
    for i in range(3):
        logits = model({"features": found[i][None]}).logits
        np.testing.assert_allclose(logits, model({"input_ids": tokens[i][None]}).logits, atol=1e-5)


def test_the_boundary_is_where_training_begins(model):
    layers = model.distilbert.transformer.layer
    for unfreeze, boundary in ((0, 3), (1, 2), (3, 0), ("all", 0)):
        model.freeze(unfreeze)
        assert model.encoder.boundary == boundary
    model.freeze(0)
    layers[0].trainable = True
    assert model.encoder.boundary == 0
    with pytest.raises(ValueError, match="No layer is frozen"):
        extract(model.encoder, some_tokens(2))


def test_only_what_is_new_is_computed(model, tmp_path, small_batches):
    model.freeze(1)
    first, second = some_tokens(20), some_tokens(20, seed=1)
    again = join(first, first)
    assert extract(model.encoder, again, cache_dir=tmp_path).computed == 20
    both = join(second, first)
    found = extract(model.encoder, both, cache_dir=tmp_path)
    assert found.computed == 20
    assert extract(model.encoder, both, cache_dir=tmp_path).computed == 0
    fresh = extract(model.encoder, both, cache="memory")
    for i in range(40):
        np.testing.assert_allclose(found[i], fresh[i], atol=1e-5)
    chosen = found.take(np.array([33, 2]))
    np.testing.assert_array_equal(chosen[0], found[33])


def test_whatever_decides_a_feature_makes_another(model, deeper, minilm, tmp_path):
    text = ["a longer review of a kettle that is quick, quiet and cheap"]
    tokenizer = bert_tf.load_tokenizer(deeper)

    def computed(model=model, unfreeze=1, max_length=9, tokenizer=tokenizer, **options) -> int:
        model.freeze(unfreeze)
        return extract(
            model.encoder, bert_tf.tokenize(text, tokenizer, max_length), cache_dir=tmp_path, **options
        ).computed

    assert [computed(), computed()] == [1, 0]
    assert [computed(unfreeze=2), computed(unfreeze=0), computed(unfreeze=0)] == [1, 1, 0]
    assert [computed(max_length=8), computed(max_length=9)] == [1, 0]
    assert [computed(keep="float16"), computed(keep="float16")] == [1, 0]
    half = bert_tf.TFDistilBertForSequenceClassification.from_pretrained(deeper, num_labels=2, dtype="mixed_bfloat16")
    assert [computed(half), computed(half)] == [1, 0]
    cased = bert_tf.load_tokenizer(minilm)
    cased.backend_tokenizer.normalizer = None
    text[0] = text[0].replace("kettle", "Kettle")
    assert [computed(), computed(tokenizer=cased)] == [0, 1]
    kernel = model.distilbert.transformer.layer[2].feed_forward.dense.kernel
    kernel.assign(kernel + 1e-6)  # above the boundary
    assert computed() == 0
    kernel = model.distilbert.transformer.layer[0].feed_forward.dense.kernel
    kernel.assign(kernel * 1.001)
    assert computed() == 1
    act = bert_tf.TFDistilBertForSequenceClassification.from_pretrained(deeper, num_labels=2, activation="relu")
    assert computed(act) == 1


def test_a_damaged_chunk_is_computed_anew(model, tmp_path, small_batches, caplog):
    model.freeze(0)
    tokens = some_tokens()
    before = extract(model.encoder, tokens, cache_dir=tmp_path)
    expected = np.array([before[i] for i in range(40)])
    file = sorted((tmp_path / "features").rglob("*.safetensors"))[0]
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(content)
    with caplog.at_level(logging.WARNING, "bert_tf"):
        found = extract(model.encoder, tokens, cache_dir=tmp_path)
    assert "checksum" in caplog.text
    assert 0 < found.computed < 40
    np.testing.assert_allclose([found[i] for i in range(40)], expected, atol=1e-6)
    assert extract(model.encoder, tokens, cache_dir=tmp_path).computed == 0


FILL = """
import os, signal, sys
sys.path.append("..")  # where conftest is
import numpy as np
import bert_tf
from bert_tf import hardware
from bert_tf.features import extraction
from bert_tf.inference import engines
from test_features import some_tokens

tiny, folder, kill_after = sys.argv[1], sys.argv[2], int(sys.argv[3])
hardware.token_budget = lambda: 100
extraction.CHUNK_BATCHES = 3
ran = [0]
make = engines.keras_engine
def counting(*arguments):
    engine = make(*arguments)
    def run(*inputs):
        ran[0] += 1
        if ran[0] == kill_after:
            os.kill(os.getpid(), signal.SIGKILL)
        return engine(*inputs)
    return run
engines.keras_engine = counting
model = bert_tf.TFDistilBertForSequenceClassification.from_pretrained(tiny, num_labels=2)
model.freeze(1)
print(extraction.extract(model.encoder, some_tokens(300), cache_dir=folder, engine="keras").computed, ran[0])
"""


def fill(tiny, folder, kill_after=0) -> subprocess.Popen:
    command = [sys.executable, "-c", FILL, str(tiny), str(folder), str(kill_after)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent)


@pytest.mark.slow
def test_killed_and_called_again_it_goes_on(model, deeper, tmp_path, small_batches, monkeypatch):
    monkeypatch.setattr(extraction, "CHUNK_BATCHES", 3)
    process = fill(deeper, tmp_path, kill_after=20)
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL
    model.freeze(1)
    tokens = some_tokens(300)
    total = len(token_batches(tokens.lengths, 100))
    ran = []
    make = engines.keras_engine

    def counting(*arguments):
        engine = make(*arguments)
        return lambda *inputs: ran.append(1) or engine(*inputs)

    monkeypatch.setattr(engines, "keras_engine", counting)
    found = extract(model.encoder, tokens, cache_dir=tmp_path, engine="keras")
    # 19 batches were run before the kill, 18 of them kept: one chunk of 3 at most is lost.
    assert total - 19 <= len(ran) <= total - 19 + 3 + 1
    fresh = extract(model.encoder, tokens, cache="memory", engine="keras")
    for i in range(0, 300, 17):
        np.testing.assert_allclose(found[i], fresh[i], atol=1e-5)


@pytest.mark.slow
def test_two_processes_fill_one_cache(model, deeper, tmp_path):
    processes = [fill(deeper, tmp_path) for _ in range(2)]
    for process in processes:
        process.communicate(timeout=180)
    assert [process.returncode for process in processes] == [0, 0]
    model.freeze(1)
    tokens = some_tokens(300)
    found = extract(model.encoder, tokens, cache_dir=tmp_path)
    assert found.computed == 0
    fresh = extract(model.encoder, tokens, cache="memory")
    for i in range(0, 300, 17):
        np.testing.assert_allclose(found[i], fresh[i], atol=1e-5)


def test_token_batches_hold_each_text_once_and_little_padding():
    lengths = np.random.default_rng(0).integers(2, 256, 1000)
    found = token_batches(lengths, 2048)
    assert sorted(np.concatenate(found)) == list(range(1000))
    widths = [lengths[batch].max() for batch in found]
    assert widths == sorted(widths, reverse=True)
    sizes = [padded(int(width), 256) * len(batch) for width, batch in zip(widths, found, strict=True)]
    assert max(sizes) <= 2048
    assert sum(sizes) < (1.2 if keras.backend.backend() == "jax" else 1.08) * lengths.sum()  # it compiles fewer lengths
    assert [len(batch) for batch in token_batches(np.array([9, 300, 5]), 20)] == [1, 1, 1]


@pytest.mark.parametrize("pooled", [True, False])
def test_batches_of_features_are_those_of_their_texts(model, pooled):
    model.freeze(0 if pooled else 1)
    tokens, labels = some_tokens(23), np.arange(23)
    found = extract(model.encoder, tokens, cache="memory")
    options = {"batch_size": 5, "shuffle": True, "seed": 3}
    for ours, theirs in zip(batches(found, labels, **options), batches(tokens, labels, **options), strict=True):
        np.testing.assert_array_equal(ours[1], theirs[1])
        if pooled:
            assert set(ours[0]) == {"features"}
            assert ours[0]["features"].shape == (len(ours[1]), 12)
        else:
            np.testing.assert_array_equal(ours[0]["attention_mask"], theirs[0]["attention_mask"])
            assert ours[0]["features"].shape == (*theirs[0]["input_ids"].shape, 12)


def without_dropout(folder, target):
    """A copy of a checkpoint whose config drops nothing."""
    target.mkdir()
    for file in folder.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    config = json.loads((folder / "config.json").read_text())
    config |= dict.fromkeys(("dropout", "attention_dropout", "seq_classif_dropout"), 0.0)
    (target / "config.json").write_text(json.dumps(config))
    return target


@pytest.mark.parametrize(("unfreeze", "tolerance"), [(0, 1e-5), pytest.param(2, 1e-4, marks=pytest.mark.slow)])
def test_training_on_features_is_training_without(minilm, reviews, tmp_path, unfreeze, tolerance):
    """Three epochs of the real MiniLM, with nothing dropped: the same history."""
    plain = without_dropout(minilm, tmp_path / "plain")
    histories = [
        bert_tf.finetune(
            reviews, checkpoint=plain, output_dir=tmp_path / str(kept), cache=kept, cache_dir=tmp_path / "cache",
            unfreeze=unfreeze, epochs=3, batch_size=8, learning_rate=1e-3 if unfreeze == 0 else 1e-4, verbose=0,
            precision="float32", report=False, recipe="plain",
        ).history
        for kept in (True, False)
    ]  # fmt: skip
    assert (tmp_path / "cache/features").is_dir()
    for name, values in histories[0].items():
        np.testing.assert_allclose(values, histories[1][name], atol=tolerance, err_msg=name)
    assert histories[0]["loss"][-1] < histories[0]["loss"][0]


@pytest.mark.slow
def test_micro_batches_make_the_same_steps(tiny, reviews, tmp_path):
    plain = without_dropout(tiny, tmp_path / "plain")
    histories = [
        bert_tf.finetune(
            reviews, checkpoint=plain, output_dir=tmp_path / f"{size}", unfreeze="all", epochs=2, batch_size=8,
            learning_rate=0.01, micro_batch_size=size, precision="float32", verbose=0, report=False, recipe="plain",
        ).history
        for size in (8, 2)
    ]  # fmt: skip
    for name, values in histories[0].items():
        np.testing.assert_allclose(values, histories[1][name], atol=1e-4, err_msg=name)


class TooMuch(keras.callbacks.Callback):
    """Fails as TensorFlow does without memory, in some epoch, until few texts are trained at once."""

    def __init__(self, epoch: int, most: int):
        super().__init__()
        self.fails_in, self.most, self.epoch, self.seen = epoch, most, 0, []

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        at_once = 8 // (self.model.optimizer.gradient_accumulation_steps or 1)
        self.seen.append(at_once)
        if self.epoch == self.fails_in and batch == 1 and at_once > self.most:
            raise out_of_memory()


@pytest.mark.parametrize("epoch", [1])
def test_without_memory_it_goes_on_with_less_at_once(tiny, reviews, tmp_path, capsys, epoch):
    plain = without_dropout(tiny, tmp_path / "plain")
    options = {
        "checkpoint": plain, "unfreeze": 1, "epochs": 3, "batch_size": 8, "learning_rate": 0.01, "verbose": 2,
        "report": False, "recipe": "plain",
    }  # fmt: skip
    watched = TooMuch(epoch, most=2)
    done = bert_tf.finetune(reviews, output_dir=tmp_path / "less", callbacks=[watched], **options)
    assert set(watched.seen) == {8, 4, 2}
    printed = capsys.readouterr().out
    assert "continuing with micro-batches of 4" in printed
    assert "continuing with micro-batches of 2. The batch size stays 8" in printed
    expected = bert_tf.finetune(reviews, output_dir=tmp_path / "enough", **options)
    for name, values in expected.history.items():
        np.testing.assert_allclose(done.history[name], values, atol=1e-4, err_msg=name)


def test_features_without_memory_are_computed_in_smaller_batches(model, monkeypatch, caplog):
    make = engines.keras_engine

    def limited(*arguments):
        engine = make(*arguments)

        def run(input_ids, attention_mask):
            if input_ids.size > 300:
                raise out_of_memory()
            return engine(input_ids, attention_mask)

        return run

    model.freeze(1)
    tokens = some_tokens()
    expected = extract(model.encoder, tokens, cache="memory", engine="keras")
    monkeypatch.setattr(engines, "keras_engine", limited)
    found = extract(model.encoder, tokens, cache="memory", engine="keras")
    assert "Out of memory" in caplog.text
    for i in range(40):
        np.testing.assert_allclose(found[i], expected[i], atol=1e-5)


@pytest.mark.parametrize("unfreeze", [0, 1])
def test_openvino_gives_the_same_features(model, unfreeze):
    pytest.importorskip("openvino")
    model.freeze(unfreeze)
    tokens = some_tokens()
    ours, theirs = (extract(model.encoder, tokens, cache="memory", engine=name) for name in ("keras", "openvino"))
    for i in range(40):
        np.testing.assert_allclose(ours[i], theirs[i], atol=1e-5)


def test_an_engine_that_gives_other_numbers_is_not_used(model, monkeypatch, caplog):
    model.freeze(0)
    make = engines.keras_engine

    def wrong(*arguments):
        engine = make(*arguments)
        return lambda *inputs: engine(*inputs) + 0.01

    monkeypatch.setattr(engines, "openvino_engine", wrong)
    monkeypatch.setattr(engines, "available", lambda: True)
    monkeypatch.setattr(engines, "WORTHWHILE", 0.0)
    tokens = some_tokens(5)
    with pytest.raises(ValueError, match="other numbers than Keras: a difference of 1.0e-02"):
        extract(model.encoder, tokens, cache="memory", engine="openvino")
    ours = extract(model.encoder, tokens, cache="memory", engine="keras")
    found = extract(model.encoder, tokens, cache="memory", engine="auto")
    np.testing.assert_array_equal(found[3], ours[3])
    assert "OpenVINO is not used" in caplog.text


def test_precision_is_that_of_the_hardware_unless_asked_for(monkeypatch):
    monkeypatch.setattr(hardware, "accelerators", lambda: ())
    for flags, expected in (({"avx2", "fma"}, "float32"), ({"avx512_bf16"}, "bfloat16"), ({"amx_bf16"}, "bfloat16")):
        monkeypatch.setattr(hardware, "processor_flags", lambda flags=flags: flags)
        hardware.native_precision.cache_clear()
        assert hardware.resolve_precision("auto") == ("float32" if keras.backend.backend() == "jax" else expected)
    hardware.native_precision.cache_clear()
    assert hardware.resolve_precision("float32") == "float32"
    with pytest.raises(ValueError, match="precision='float8'"):
        hardware.resolve_precision("float8")


@pytest.mark.slow
def test_half_precision_never_touches_what_is_trained(tiny, reviews, tmp_path, capsys):
    train = tmp_path / "train.csv"
    with train.open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *zip(reviews["text"], reviews["label"], strict=True)])
    done = bert_tf.finetune(
        str(train),
        recipe="plain",
        checkpoint=tiny,
        output_dir=tmp_path / "run",
        unfreeze=1,
        epochs=1,
        precision="bfloat16",
        verbose=2,
        report=False,
    )
    assert "Precision: bfloat16, as requested" in capsys.readouterr().out
    assert {str(weight.dtype) for weight in done.model.weights} == {"float32"}
    assert done.model.encoder.compute_dtype == "bfloat16"
    assert done.metrics["settings"]["precision"] == "bfloat16"
