"""What is particular to DeBERTa and ModernBERT: their positions, and what their files hold."""

import json
import math
import shutil

import keras
import numpy as np
import pytest
from conftest import GOLDEN
from keras import ops
from safetensors.numpy import load_file, save_file

import bert_tf
from bert_tf.checkpoints.families.table import encoder_settings, positions
from bert_tf.features.extraction import feature_dtype
from bert_tf.models.disentangled import DisentangledAttention, RelativeEmbeddings, relative_rows
from bert_tf.models.encoder import Encoder
from bert_tf.models.rotary import RotaryAttention, Rotations

DEBERTA, MODERNBERT = GOLDEN / "deberta-v2_tiny", GOLDEN / "modernbert_tiny"


def random_weights(*layers) -> None:
    random = np.random.default_rng(0)
    for layer in layers:
        layer.build()
        for weight in layer.weights:
            if "seed" not in weight.path:
                weight.assign(random.normal(size=weight.shape))


# DeBERTa


def test_rows_of_distances():
    """With 6 rows each way: 3 to both sides have their own, then they grow as logarithms up to the longest distance."""
    rows = relative_rows(span=6, buckets=6, longest=20)
    middle = len(rows) // 2
    by_distance = {distance: int(rows[middle - 1 - distance]) for distance in range(-middle, middle)}
    assert [by_distance[distance] for distance in (-3, -2, -1, 0, 1, 2, 3)] == [3, 4, 5, 6, 7, 8, 9]
    # 3 + ceil(ln(7 / 3) / ln(19 / 3) * 2) = 4 rows from the middle, at a distance of 8 it is 5
    assert [by_distance[distance] for distance in (4, 7, 8, 19, 20)] == [10, 10, 11, 11, 11]
    assert [by_distance[distance] for distance in (-7, -8, -19, -20, -24)] == [2, 1, 1, 0, 0]
    assert relative_rows(span=3, buckets=0, longest=3).tolist() == [5, 4, 3, 2, 1, 0]


@pytest.mark.parametrize("tokens", [1, 2, 7, 31])
@pytest.mark.parametrize("kinds", [["c2p"], ["p2c"], ["c2p", "p2c"]])
def test_shifted_products_are_looked_up_ones(tokens, kinds):
    """Against the definition, pair by pair; 31 tokens are further apart than there are rows."""
    size, heads, batch = 6, 3, 2
    once = RelativeEmbeddings(size, span=4, normalised=True)
    attention = DisentangledAttention(size, heads, positional={"kinds": kinds, "share_keys": False})
    random_weights(once, attention)
    states = np.random.default_rng(1).normal(size=(batch * tokens, size)).astype("float32")
    mask = np.ones((batch, tokens), "int32")
    positional = once(mask)
    query, key = (attention.heads(layer(states), tokens) for layer in (attention.query, attention.key))
    found = ops.convert_to_numpy(attention.scores(query, key, positional))

    table, keys, queries = once.norm(once.table.embeddings), None, None
    if "c2p" in kinds:
        keys = ops.convert_to_numpy(attention.position_key(table)).reshape(8, heads, -1)
    if "p2c" in kinds:
        queries = ops.convert_to_numpy(attention.position_query(table)).reshape(8, heads, -1)
    query, key = ops.convert_to_numpy(query), ops.convert_to_numpy(key)
    expected = np.einsum("bhqs,bhks->bhqk", query, key)
    for q in range(tokens):
        for k in range(tokens):
            row = np.clip(q - k + 4, 0, 7)
            if "c2p" in kinds:
                expected[:, :, q, k] += (query[:, :, q] * keys[row]).sum(-1)
            if "p2c" in kinds:
                expected[:, :, q, k] += (key[:, :, k] * queries[row]).sum(-1)
    np.testing.assert_allclose(found, expected / math.sqrt(2 * (1 + len(kinds))), rtol=1e-4, atol=1e-4)
    first = attention.scores(query[:, :, :1], key, positional)
    np.testing.assert_allclose(first, found[:, :, :1], rtol=1e-5, atol=1e-4)


def test_a_convolution_behind_the_only_layer():
    """The first token of it needs all tokens' states of the layer."""
    sizes = {
        "vocab_size": 20,
        "hidden_size": 6,
        "intermediate_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    encoder = Encoder(**sizes, max_position_embeddings=9, convolution={"kernel_size": 3}, mask_embeddings=True)
    random_weights(encoder)
    ids = np.random.default_rng(0).integers(1, 20, (4, 7))
    mask = np.ones((4, 7), "int32")
    mask[1, 3:] = 0
    every = encoder(ids, mask)
    np.testing.assert_allclose(encoder(ids, mask, first_token=True)[0][:, 0], every[0][:, 0], atol=1e-5)
    other = np.where(mask, ids, 5)
    np.testing.assert_allclose(encoder(other, mask)[0][1, :3], every[0][1, :3], atol=1e-5)
    with pytest.raises(ValueError, match="`kernel_size` must be odd. Received: kernel_size=4"):
        Encoder(**sizes, max_position_embeddings=9, convolution={"kernel_size": 4})


def copied(source, folder, **values):
    """A copy of a checkpoint with other values in its config.json."""
    shutil.copytree(source, folder)
    config = json.loads((folder / "config.json").read_text()) | values
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize(
    ("source", "values", "message"),
    [
        (DEBERTA, {"attention_head_size": 5}, r"attention_head_size must be hidden_size / num_attention_heads"),
        (DEBERTA, {"num_attention_heads": 5}, "`hidden_size` must be a multiple of `num_heads`"),
        (DEBERTA, {"relative_attention": False}, r"pos_att_type=\['c2p', 'p2c'\] needs relative_attention: true"),
        (
            MODERNBERT,
            {"rope_parameters": {"full_attention": {"rope_type": "yarn", "rope_theta": 9.0, "factor": 4.0}}},
            "rope_type='yarn'",
        ),
        (MODERNBERT, {"num_attention_heads": 4}, "heads of an even number of units. Received: 3 units"),
    ],
)
def test_what_is_not_supported_is_refused_with_its_reason(source, values, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        bert_tf.TFAutoModelForSequenceClassification.from_pretrained(copied(source, tmp_path / "copy", **values))


def test_positions_that_the_model_does_not_use_are_left_out(tmp_path, caplog):
    """DeBERTa-v3's files hold a table of absolute positions, whatever its config says."""
    caplog.set_level("INFO")
    folder = copied(DEBERTA, tmp_path / "copy", position_biased_input=False)
    model = bert_tf.TFAutoModelForSequenceClassification.from_pretrained(folder)
    assert model.deberta.embeddings.position_embeddings is None
    assert "not read, belongs to other tasks: deberta.embeddings.position_embeddings" in caplog.text
    assert positions(model.config) == 11  # what it was trained on; longer texts are possible
    assert np.isfinite(model(np.ones((1, 30), "int32")).logits).all()


def test_a_pickle_of_half_precision_can_be_converted(tmp_path):
    torch = pytest.importorskip("torch")
    folder = copied(DEBERTA, tmp_path / "copy")
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save({name: torch.tensor(value).half() for name, value in tensors.items()}, folder / "pytorch_model.bin")
    done = bert_tf.convert(folder, tmp_path / "converted", allow_pickle=True)
    assert done.difference < 1e-6
    for name, value in load_file(tmp_path / "converted/model.safetensors").items():
        np.testing.assert_array_equal(value, tensors[name].astype("float16").astype("float32"))


# ModernBERT


def test_products_depend_on_the_distance_alone():
    once, attention = (
        Rotations(12, 3, [[100.0, None]], [0]),
        RotaryAttention(12, 3, positional={"of_layers": [0], "layer": 0}),
    )
    random_weights(attention)
    states = np.tile(np.random.default_rng(0).normal(size=(1, 12)), (9, 1)).astype(
        "float32"
    )  # the same token nine times
    query, key = (attention.heads(layer(states), 9) for layer in (attention.query, attention.key))
    scores = ops.convert_to_numpy(attention.scores(query, key, once(np.ones((1, 9)))))[0]
    for distance in range(-8, 9):
        diagonal = np.diagonal(scores, distance, axis1=1, axis2=2)
        np.testing.assert_allclose(diagonal, np.tile(diagonal[:, :1], (1, 9 - abs(distance))), rtol=1e-4, atol=1e-4)
    assert np.abs(scores[:, 0, 0] - scores[:, 0, 5]).min() > 1e-2


def test_beyond_the_window_a_token_sees_nothing():
    """The second layer of the tiny model sees two tokens each way, the first and the last see all."""
    model = bert_tf.TFAutoModel.from_pretrained(MODERNBERT)
    attentions = model(np.arange(3, 14)[None], output_attentions=True).attentions
    places = np.arange(11)
    inside = np.abs(places[:, None] - places) <= 2
    assert (ops.convert_to_numpy(attentions[1])[0, :, ~inside] == 0).all()
    assert (ops.convert_to_numpy(attentions[1])[0, :, inside] > 0).all()
    assert all((ops.convert_to_numpy(attentions[i]) > 0).all() for i in (0, 2))


def test_old_and_new_keys_of_rotary_positions_say_the_same():
    config = bert_tf.TFAutoModel.from_pretrained(MODERNBERT).config
    new = encoder_settings(config)["positional"]
    assert new == {"kind": "rotary", "kinds": [[100.0, None], [20.0, 2]], "of_layers": [0, 1, 0]}

    class Old:  # as transformers 4.48 to 4.57 read it
        model_type, rope_parameters, layer_types = "modernbert", None, None
        global_rope_theta, local_rope_theta, global_attn_every_n_layers = 100.0, 20.0, 2

        def __getattr__(self, name):
            return getattr(config, name)

    assert encoder_settings(Old())["positional"] == new
    Old.local_rope_theta = None  # then that of the other layers
    assert encoder_settings(Old())["positional"]["kinds"] == [[100.0, None], [100.0, 2]]


def test_half_of_a_head_is_taken_over(tmp_path, caplog):
    """Pretrained files hold all of it but the layer that gives the logits."""
    folder = copied(MODERNBERT, tmp_path / "copy")
    tensors = load_file(folder / "model.safetensors")
    pretrained = {name: value for name, value in tensors.items() if not name.startswith("classifier.")}
    save_file(pretrained | {"decoder.bias": np.zeros(37, "float32")}, folder / "model.safetensors")
    model = bert_tf.TFAutoModelForSequenceClassification.from_pretrained(folder, num_labels=5)
    assert "newly initialised, not trained: classifier." in caplog.text
    np.testing.assert_array_equal(ops.transpose(model.dense.kernel), tensors["head.dense.weight"])
    np.testing.assert_array_equal(model.norm.gamma, tensors["head.norm.weight"])


def test_states_that_no_norm_has_made_small_are_not_halved():
    """Between pre-normalised layers they may be larger than float16 can hold."""
    model = bert_tf.TFAutoModelForSequenceClassification.from_pretrained(MODERNBERT)
    model.freeze(1)
    assert feature_dtype(model.encoder, "auto") == "float32"
    other = bert_tf.TFAutoModelForSequenceClassification.from_pretrained(DEBERTA)
    other.freeze(1)
    assert feature_dtype(other.encoder, "auto") == "float16"


def test_the_last_norm_belongs_to_the_top():
    model = bert_tf.TFAutoModelForSequenceClassification.from_pretrained(MODERNBERT)
    for depth, trained in ((0, False), (1, True), ("all", True)):
        model.freeze(depth)
        assert bool(model.encoder.final_norm.trainable_variables) == trained
    rows = [name for name, _, _ in model.parameter_table()]
    assert rows == ["embeddings", "layer 0", "layer 1", "layer 2", "final norm", "head"]


def test_a_table_of_positions_and_a_convolution_belong_to_the_embeddings():
    model = bert_tf.TFAutoModelForSequenceClassification.from_pretrained(DEBERTA)
    for depth, trained in ((0, False), (3, False), ("all", True)):
        model.freeze(depth)
        for part in model.encoder.lowest:
            assert bool(part.trainable_variables) == trained
    rows = [name for name, _, _ in model.parameter_table()]
    assert rows == ["embeddings", "positions", "convolution", "layer 0", "layer 1", "layer 2", "head"]


def test_layers_keep_their_settings():
    encoder = bert_tf.TFAutoModel.from_pretrained(MODERNBERT).encoder
    for layer in encoder.blocks.layer:
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
        assert again.get_config() == layer.get_config()
        assert (again.attention_norm is None) == (layer.attention_norm is None)
