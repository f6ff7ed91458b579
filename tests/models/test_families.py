"""What works for one family works for all: one test for each behaviour, over tiny models of every family."""

import json
import shutil

import keras
import numpy as np
import pytest
from conftest import GOLDEN
from keras import ops
from safetensors.numpy import load_file, save_file

import bert_tf
from bert_tf.checkpoints import folder
from bert_tf.checkpoints.families.table import FAMILIES, depths, distinct_layers, encoder_settings, positions
from bert_tf.models.auto import CLASSES
from bert_tf.models.relative_bias import bucket_of

KEYS = ("input_ids", "attention_mask", "token_type_ids")


@pytest.fixture(params=FAMILIES)
def family(request) -> str:
    return request.param


def load(family: str, head: str | None = "first_token", **options):
    return CLASSES[family, head].from_pretrained(GOLDEN / f"{family}_tiny", **options)


def inputs(family: str) -> dict[str, np.ndarray]:
    golden = json.loads((GOLDEN / f"{family}_tiny/expected.json").read_text())
    return {name: np.array(value) for name, value in golden["inputs"].items()}


def array(tensor) -> np.ndarray:
    return ops.convert_to_numpy(ops.cast(tensor, "float32"))


def test_from_the_first_token_alone_and_from_features_the_logits_are_the_same(family):
    model, given = load(family), inputs(family)
    expected = array(model(given, output_hidden_states=True).logits)
    np.testing.assert_allclose(model(given).logits, expected, atol=1e-6)
    for depth in depths(model.config):
        model.freeze(depth)
        assert model.encoder.boundary == 3 - depth
        if depth == 3:
            continue
        features = array(model.encoder.features(*(given.get(key) for key in KEYS)))
        rows = len(given["input_ids"])
        shape = (rows, 12) if depth == 0 else (rows, 7, 12)
        found = model({"features": features.reshape(shape), "attention_mask": given["attention_mask"]}).logits
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_means_of_every_layer(family, tmp_path):
    load(family, None).save_pretrained(tmp_path)
    model = CLASSES[family, "layer_means"].from_pretrained(tmp_path, num_labels=3)
    given = inputs(family)
    model.freeze(0)
    states = [array(state) for state in model.encoder(given, output_hidden_states=True).hidden_states]
    real = given["attention_mask"][:, :, None]
    expected = np.concatenate([(state * real).sum(1) / real.sum(1) for state in states], axis=1)
    np.testing.assert_allclose(model.encoder.features(*(given.get(key) for key in KEYS)), expected, atol=1e-5)
    np.testing.assert_allclose(model({"features": expected}).logits, model(given).logits, atol=1e-5)


def test_what_is_frozen_stays_and_what_is_trained_moves(family):
    given = inputs(family)
    labels = np.arange(len(given["input_ids"])) % 3
    for depth in (0, depths(load(family).config)[1], "all"):
        model = load(family)
        model.freeze(depth)
        before = [np.array(array(weight)) for weight in model.weights]  # PyTorch: else the same memory
        model.compile(keras.optimizers.SGD(0.1), run_eagerly=True)  # nothing to trace
        assert np.isfinite(model.fit(given, labels, verbose=0).history["loss"][0])
        moved = {
            weight.path: np.abs(array(weight) - old).max() for weight, old in zip(model.weights, before, strict=True)
        }
        trained = {weight.path for weight in model.trainable_weights}
        assert {path for path, by in moved.items() if by} - trained == set()
        # A bias of the keys changes no softmax.
        assert {path for path in trained if not moved[path]} <= {path for path in trained if "key/bias" in path}
        rows = model.parameter_table()
        assert sum(row[1] for row in rows) == model.num_parameters()
        assert sum(row[2] for row in rows) == model.num_parameters(only_trainable=True)


def test_half_precision(family):
    half, given = load(family, dtype="mixed_bfloat16"), inputs(family)
    logits = half(given).logits
    assert keras.backend.standardize_dtype(logits.dtype) == "float32"
    assert all(weight.dtype == "float32" for weight in half.weights)
    assert np.abs(logits - load(family)(given).logits).max() < 0.1


def test_a_graph_of_any_batch_and_length(family):
    model, given = load(family), inputs(family)
    given.pop("token_type_ids", None)
    import tensorflow as tf

    spec = {name: tf.TensorSpec((None, None), "int32") for name in given}
    graph = tf.function(lambda batch: model(batch).logits, input_signature=[spec])
    for rows, tokens in ((5, 7), (2, 5)):
        batch = {name: tf.constant(value[:rows, :tokens], "int32") for name, value in given.items()}
        np.testing.assert_allclose(graph(batch), model(batch).logits, atol=1e-5)


def test_a_keras_file(family, tmp_path):
    model, given = load(family), inputs(family)
    model.freeze(depths(model.config)[1])
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again) is type(model)
    assert again.parameter_table() == model.parameter_table()
    np.testing.assert_allclose(again(given).logits, model(given).logits, atol=1e-6)


def test_saved_and_converted_the_tensors_are_the_same(family, tmp_path):
    """Read from a copy as old files are: in half precision elsewhere, here with a constant and with the base's pooler."""
    model = load(family)
    model.save_pretrained(tmp_path / "saved")
    bert_tf.convert(GOLDEN / f"{family}_tiny", tmp_path / "converted")
    before = load_file(GOLDEN / f"{family}_tiny/model.safetensors")
    for name in ("saved", "converted"):
        after = load_file(tmp_path / name / "model.safetensors")
        assert before.keys() == after.keys()
        for tensor, value in before.items():
            np.testing.assert_array_equal(after[tensor], value)


def test_a_base_alone(family, tmp_path, caplog):
    """It is what the classifier holds, without a prefix in its file; a pooler that only the base has is new, and said so."""
    model, given = load(family), inputs(family)
    base = load(family, None)
    np.testing.assert_array_equal(base(given).last_hidden_state, model.encoder(given).last_hidden_state)
    row = FAMILIES[family]
    assert ("pooler_output" in base(given)) == (row.pooler is not None)
    new = [line for line in caplog.text.splitlines() if "newly initialised" in line]
    assert any("pooler" in line for line in new) == (row.pooler == "base")
    base.save_pretrained(tmp_path)
    names = load_file(tmp_path / "model.safetensors").keys()
    assert not any(name.startswith(f"{row.prefix}.") for name in names)
    headed = CLASSES[family, "first_token"].from_pretrained(tmp_path, num_labels=4)
    np.testing.assert_array_equal(headed.encoder(given).last_hidden_state, base(given).last_hidden_state)
    again = CLASSES[family, None].from_pretrained(tmp_path)
    np.testing.assert_array_equal(again(given)[1], base(given)[1]) if row.pooler else None


def test_a_fork_is_trained_without_the_original(family):
    model, given = load(family), inputs(family)
    before = array(model(given).logits)
    for depth in (0, depths(model.config)[1], "all"):
        fork = model.fork(depth)
        np.testing.assert_array_equal(fork(given).logits, before)
        for weight in fork.trainable_weights:
            weight.assign_add(ops.full(weight.shape, 0.1))
        assert np.abs(array(fork(given).logits) - before).max() > 1e-3
        np.testing.assert_array_equal(model(given).logits, before)


def test_fewer_layers(family):
    model, given = load(family), inputs(family)
    small = model.with_layers([0, 1])
    states = model(given, output_hidden_states=True).hidden_states[2]
    if (norm := model.encoder.final_norm) is not None:
        states = norm(states)
        with pytest.raises(ValueError, match=r"must be the first of the chosen ones. Received: layers \[1, 2\]"):
            model.with_layers([1, 2])
    np.testing.assert_allclose(small.encoder(given).last_hidden_state, states, atol=1e-5)


def test_shared_layers_are_frozen_and_copied_together():
    """The tiny ALBERT's three layers are of two groups: the lower two share their weights."""
    model = load("albert")
    assert depths(model.config) == [0, 1, 3]
    with pytest.raises(
        ValueError, match=r"must be 0, 1, 3 \(layers\) or 'all': the other layers .* share their weights"
    ):
        model.freeze(2)
    assert [row[0] for row in model.parameter_table()] == ["embeddings", "layer 0", "layer 1", "pooler", "head"]
    with pytest.raises(ValueError, match="share their weights in groups"):
        model.with_layers([1, 2, 0])
    with pytest.raises(ValueError, match="inner_group_num=2"):
        load("albert", inner_group_num=2)


def test_layers_are_in_the_groups_that_transformers_puts_them_in():
    """Also where a quotient is rounded: 9 / (18 / 14) is 7, and in floats a little less."""
    assert distinct_layers(6, 2) == [0, 0, 0, 1, 1, 1]
    assert distinct_layers(18, 14)[8:11] == [6, 6, 7]


def test_tokens_of_padding_have_no_position():
    model = load("roberta")
    assert positions(model.config) == 11  # of 13: the first two are for padding and before
    ids = np.array([[5, 9, 30, 8]])
    left = np.concatenate([[[1, 1]], ids], axis=1)
    mask = np.array([[0, 0, 1, 1, 1, 1]])
    alone = model.encoder(ids).last_hidden_state
    np.testing.assert_allclose(model.encoder(left, mask).last_hidden_state[:, 2:], alone, atol=1e-5)
    words = model.roberta.embeddings.word_embeddings(ids)
    np.testing.assert_allclose(model({"inputs_embeds": words}).logits, model(ids).logits, atol=1e-6)
    with pytest.raises(ValueError, match=r"positions for 11 tokens. Received a batch of 12"):
        model(np.full((1, 12), 5))
    import tensorflow as tf

    graph = tf.function(lambda ids: model(ids).logits, input_signature=[tf.TensorSpec((None, None), "int32")])
    with pytest.raises(tf.errors.InvalidArgumentError):
        graph(tf.fill((1, 12), 5))


def test_the_pooler_of_an_old_classifier_is_left_out(tmp_path, caplog):
    """RoBERTa's base has one, its classifier has none; files of old versions hold it."""
    caplog.set_level("INFO")
    copy = shutil.copytree(GOLDEN / "roberta_tiny", tmp_path / "old")
    tensors = load_file(copy / "model.safetensors")
    tensors |= {
        "roberta.pooler.dense.weight": np.ones((12, 12), "float32"),
        "roberta.pooler.dense.bias": np.ones(12, "float32"),
    }
    save_file(tensors, copy / "model.safetensors")
    given = inputs("roberta")
    np.testing.assert_array_equal(
        load("roberta")(given).logits, bert_tf.TFRobertaForSequenceClassification.from_pretrained(copy)(given).logits
    )
    assert "not read, belongs to other tasks: roberta.pooler.dense" in caplog.text
    np.testing.assert_array_equal(bert_tf.TFRobertaModel.from_pretrained(copy).roberta.pooler.kernel, np.ones((12, 12)))


def test_buckets_of_distances():
    """As in the paper's code: a bucket each for up to 7 tokens apart, then logarithmic to 128, and half of them before the token."""
    distances = np.array([-500, -128, -64, -16, -8, -7, -1, 0, 1, 7, 8, 16, 64, 128, 500])
    assert bucket_of(distances, 32).tolist() == [15, 15, 14, 10, 8, 7, 1, 0, 17, 23, 24, 26, 30, 31, 31]


# Live, where PyTorch is installed


V3 = {
    "relative_attention": True, "pos_att_type": "p2c|c2p", "position_buckets": 6, "norm_rel_ebd": "layer_norm",
    "share_att_key": True, "position_biased_input": False, "type_vocab_size": 0, "embedding_size": 15,
}  # fmt: skip
C2P = {"relative_attention": True, "pos_att_type": ["c2p"], "max_relative_positions": 9, "pooler_hidden_act": "tanh"}
CONVOLVED = V3 | {"share_att_key": False, "conv_kernel_size": 3, "conv_act": "gelu", "position_biased_input": True}
OLD_KEYS = {"global_rope_theta": 5000.0, "local_rope_theta": 100.0, "global_attn_every_n_layers": 2}
NEW_KEYS = {
    "layer_types": ["sliding_attention", "full_attention", "full_attention", "sliding_attention"],
    "rope_parameters": {
        "full_attention": {"rope_type": "default", "rope_theta": 700.0},
        "sliding_attention": {"rope_type": "default", "rope_theta": 30.0},
    },
}
BIASES = dict.fromkeys(("norm_bias", "mlp_bias", "attention_bias", "classifier_bias"), True)
MORE = {
    "deberta-v2": (V3, C2P | {"embedding_size": 11}, CONVOLVED | {"embedding_size": 10, "max_relative_positions": 12}),
    "nomic_bert": (
        {"hidden_size": 18},
        {"hidden_size": 10, "rope_parameters": {"rope_type": "default", "rope_theta": 300.0}, "type_vocab_size": 2},
        {"hidden_size": 20, "hidden_act": "silu"},
    ),
    "modernbert": (
        OLD_KEYS | {"hidden_size": 18, "num_hidden_layers": 5, "local_attention": 8},
        {"hidden_size": 10, "local_attention": 6, "classifier_pooling": "mean", "num_hidden_layers": 1},
        NEW_KEYS | BIASES | {"hidden_size": 20, "num_hidden_layers": 4, "classifier_pooling": "mean", "classifier_activation": "relu",
                             "hidden_activation": "silu", "local_attention": 10},
    ),
}  # fmt: skip


def random_config(family: str, seed: int):
    """A config of odd sizes, unlike the golden ones."""
    import transformers

    random = np.random.default_rng(seed)
    heads, size = [(3, 15), (1, 7), (5, 10)][seed]
    values = {
        "hidden_size": size, "num_attention_heads": heads, "intermediate_size": int(random.integers(9, 30)),
        "num_hidden_layers": int(random.integers(1, 5)), "vocab_size": int(random.integers(30, 60)), "pad_token_id": [1, 2, 3][seed],
        "type_vocab_size": int(random.integers(1, 3)), "max_position_embeddings": 40, "num_labels": int(random.integers(2, 6)),
        "embedding_size": [6, size, size + 4][seed], "hidden_act": ["gelu", "relu", "gelu_new"][seed], "num_hidden_groups": 1,
        "attn_implementation": "eager", "problem_type": "single_label_classification",
    }  # fmt: skip
    values |= MORE.get(family, ({}, {}, {}))[seed]
    kind = getattr(transformers, FAMILIES[family].config_class)
    if family == "distilbert":
        old = {"hidden_size": "dim", "num_attention_heads": "n_heads", "intermediate_size": "hidden_dim"}
        old |= {"num_hidden_layers": "n_layers", "hidden_act": "activation"}
        values = {old.get(name, name): value for name, value in values.items()} | {"activation": "gelu"}
    return kind(
        **{
            name: value
            for name, value in values.items()
            if name not in ("embedding_size", "num_hidden_groups") or hasattr(kind(), name)
        }
    )


@pytest.mark.parametrize("seed", range(3))
def test_live_numbers_gradients_and_files(family, seed, tmp_path):
    torch = pytest.importorskip("torch")
    import transformers

    config = random_config(family, seed)
    torch.manual_seed(seed)
    kind = getattr(transformers, f"{FAMILIES[family].name}ForSequenceClassification")
    theirs = kind(config).eval()
    for name, parameter in theirs.named_parameters():
        torch.nn.init.normal_(parameter, mean=float("norm" in name.lower() and "weight" in name), std=0.3)
    theirs.save_pretrained(tmp_path / "theirs")
    ours = bert_tf.TFAutoModelForSequenceClassification.from_pretrained(tmp_path / "theirs")

    random = np.random.default_rng(seed)
    ids, mask = random.integers(4, config.vocab_size, (5, 23)), np.ones((5, 23), "int64")
    mask[1, 9:], mask[2, :6], mask[3, 4:8] = 0, 0, 0
    given = {"input_ids": np.where(mask, ids, config.pad_token_id), "attention_mask": mask}
    if encoder_settings(config)["type_vocab_size"] > 1:
        given["token_type_ids"] = random.integers(0, 2, ids.shape)
    labels = random.integers(0, config.num_labels, 5)
    expected = theirs(**{name: torch.tensor(value) for name, value in given.items()}, labels=torch.tensor(labels),
                      output_hidden_states=True, output_attentions=True)  # fmt: skip
    expected.loss.backward()
    import tensorflow as tf

    with tf.GradientTape() as tape:
        found = ours(given, output_hidden_states=True, output_attentions=True, training=False)
        loss = ops.mean(ours.hf_compute_loss(labels, found.logits))
    np.testing.assert_allclose(found.logits, expected.logits.detach().numpy(), atol=1e-5)
    for ours_of, theirs_of in zip(found.hidden_states, expected.hidden_states, strict=True):
        expected_of = theirs_of.detach().numpy() * mask[:, :, None]
        np.testing.assert_allclose(ours_of * mask[:, :, None], expected_of, atol=1e-5, rtol=1e-5)
    for ours_of, theirs_of in zip(found.attentions, expected.attentions, strict=True):
        np.testing.assert_allclose(
            ours_of * mask[:, None, :, None], theirs_of.detach().numpy() * mask[:, None, :, None], atol=1e-5
        )

    with torch.no_grad():  # the gradients by the names of the file, which are not always those of the parameters
        for parameter in theirs.parameters():
            parameter.copy_(parameter.grad)
    theirs.save_pretrained(tmp_path / "gradients")
    expected_of = load_file(tmp_path / "gradients/model.safetensors")
    counted = encoder_settings(config).get("positions_after")
    tensors = folder.tensors_of(ours)
    gradients = tape.gradient(loss, [variable.value for variable, *_ in tensors.values()])
    named = zip(tensors.items(), gradients, strict=True)
    joined = folder.join({name: array(of).T if transposed else array(of) for (name, (_, transposed, _)), of in named})
    assert joined.keys() == expected_of.keys()
    for name, gradient in joined.items():
        gradient = np.array(gradient)
        if "word_embeddings" in name or "tok_embeddings" in name or (counted and "position_embeddings" in name):
            gradient[counted or config.pad_token_id] = 0  # PyTorch never trains the row of padding
        np.testing.assert_allclose(gradient, expected_of[name], atol=1e-5, err_msg=name)

    ours.save_pretrained(tmp_path / "ours")
    again, info = kind.from_pretrained(tmp_path / "ours", output_loading_info=True, attn_implementation="eager")
    assert not any(info.values())
    first = kind.from_pretrained(tmp_path / "theirs", attn_implementation="eager").state_dict()
    for name, value in again.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), first[name].numpy(), err_msg=name)
    with torch.no_grad():
        logits = again.eval()(**{name: torch.tensor(value) for name, value in given.items()}).logits.numpy()
    # Not bit for bit: PyTorch's sums depend on where in memory a tensor begins.
    np.testing.assert_allclose(logits, expected.logits.detach().numpy(), atol=1e-6, rtol=1e-6)
