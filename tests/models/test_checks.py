"""Mistakes in what `fit`, `evaluate` and `predict` are given are said before they do harm."""

import keras
import numpy as np
import pytest
from keras import ops

import bert_tf
from bert_tf.models import checks

IDS = np.arange(1, 61, dtype="int32").reshape(12, 5)
X = {"input_ids": IDS, "attention_mask": np.ones_like(IDS)}
Y = np.arange(12) % 2


@pytest.fixture(scope="module")
def shared(tiny):
    names = {0: "negative", 1: "positive"}
    model = bert_tf.TFDistilBertForSequenceClassification.from_pretrained(tiny, id2label=names)
    model.freeze(0)
    return model


@pytest.fixture
def model(shared):
    """Gives both classes the same probability, and does not learn; run eagerly, since nothing is compiled here for long."""
    shared.classifier.kernel.assign(shared.classifier.kernel * 0)
    shared.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    return shared


@pytest.mark.parametrize(
    "weights",
    [
        {0: 1.0, 1: 9.0}, {"negative": 1, "positive": 9}, {"0": 1, "1": 9}, {np.int64(0): 1, 1.0: 9}, np.array([1.0, 9.0]),
        [1, 9],
    ],
)  # fmt: skip
def test_class_weights_in_every_form(weights):
    assert checks.class_weight_by_index(weights, ("negative", "positive")) == {0: 1.0, 1: 9.0}


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"negativ": 1.0}, "'negativ' is no class. The classes are 0 to 1: 'negative', 'positive'"),
        ({2: 1.0}, "2 is no class"),
        ({0: 1.0, "negative": 2.0}, "'negative' is given twice"),
        ([1.0, 2.0, 3.0], "a weight for each of the 2 classes. Received: list of shape .3,."),
    ],
)
def test_weights_of_no_class_are_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        checks.class_weight_by_index(weights, ("negative", "positive"))


def test_numbers_as_text_are_names_where_classes_are_numbers():
    stars = ("1", "2", "3")
    assert checks.class_weight_by_index({"3": 2.0, 0: 5.0}, stars) == {2: 2.0, 0: 5.0}
    with pytest.raises(ValueError, match="'0' is no class. The classes are '1', '2', '3'"):
        checks.class_weight_by_index({"0": 3.0}, stars)
    with pytest.raises(ValueError, match="'0' is no class"):
        checks.class_weight_by_index({"0": 3.0}, ("-1", "0.5"))


def test_weights_by_name_weigh(model):
    weights = {"negative": 1, "positive": 9}
    loss = model.fit(X, Y, batch_size=12, verbose=0, class_weight=weights).history["loss"]
    assert loss == pytest.approx([5 * np.log(2)], rel=1e-5)
    with pytest.raises(ValueError, match="'other' is no class"):
        model.fit(X, Y, class_weight={"other": 2})


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        (
            np.arange(12) % 3,
            ValueError,
            "between 0 and 1: the model has 2 classes .num_labels.. Received: label 2 at position 2",
        ),
        (Y + 1, ValueError, "Are they counted from 1"),
        (np.where(Y, "pos", "neg"), TypeError, "must be integers from 0 to 1. Received: 'neg'"),
    ],
)
def test_labels_out_of_range_never_train(model, labels, error, message):
    for call in (model.fit, model.evaluate):
        with pytest.raises(error, match=message):
            call(X, labels, verbose=0)
    with pytest.raises(error, match=message):
        model.fit({**X, "labels": labels}, verbose=0)
    with pytest.raises(error, match=message):
        model.fit(X, Y, validation_data=(X, labels), verbose=0)


def test_labels_in_a_column_are_labels(model):
    assert model.fit(X, Y[:, None], verbose=0).history["loss"] == pytest.approx([np.log(2)], rel=1e-5)


def slices(*arrays):
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(arrays)


def test_labels_out_of_range_in_a_dataset_stop_the_training(model):
    import tensorflow as tf

    batches = slices(X, np.arange(12) % 3).batch(4)
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="Labels must lie between 0 and 1: the model has 2 classes"
    ):
        model.fit(batches, verbose=0)
    assert np.isfinite(ops.convert_to_numpy(model.classifier.kernel)).all()


class Batches(keras.utils.PyDataset):
    def __init__(self, labels, inside=False):
        super().__init__()
        self.labels, self.inside, self.ended = labels, inside, 0

    @property
    def num_batches(self):
        return 3

    def __getitem__(self, i):
        rows = slice(4 * i, 4 * i + 4)
        inputs = {name: array[rows] for name, array in X.items()}
        return {**inputs, "labels": self.labels[rows]} if self.inside else (inputs, self.labels[rows], np.ones(4))

    def on_epoch_end(self):
        self.ended += 1


@pytest.mark.parametrize("inside", [False, True])
def test_labels_out_of_range_in_python_batches_stop_the_training(model, inside):
    stops: tuple = (ValueError,)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        stops = (ValueError, tf.errors.InvalidArgumentError)  # which wraps what a batch after the first raises
    wrong, right = Batches(np.arange(12) // 4, inside), Batches(Y, inside)
    generators = [] if inside else [(wrong[i] for i in range(3))]  # Keras takes no dicts of these
    for given in (wrong, *generators):
        with pytest.raises(stops, match="the model has 2 classes .num_labels.. Received: label 2 at position 0"):
            model.fit(given, verbose=0)
    with pytest.raises(stops, match="the model has 2 classes"):
        model.fit(X, Y, validation_data=wrong, verbose=0)
    assert np.isfinite(ops.convert_to_numpy(model.classifier.kernel)).all()
    assert model.fit(right, epochs=2, verbose=0).history["loss"] == pytest.approx([np.log(2)] * 2, rel=1e-5)
    assert right.ended >= 2
    if not inside:
        assert model.fit((right[i] for i in range(3)), steps_per_epoch=3, verbose=0).history["loss"] == pytest.approx(
            [np.log(2)], rel=1e-5
        )


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: slices(X, Y), ValueError, r"Received: shape \(5,\). Batch it first: dataset.batch"),
        (lambda: slices(X, Y).batch(64, drop_remainder=True), ValueError, "not a single batch"),
        (lambda: np.array(["a text", "another"]), TypeError, "takes token ids, not texts. Tokenize first"),
        (lambda: ["a text", "another"], TypeError, "Tokenize first"),
        (lambda: pytest.importorskip("pandas").Series(["a text", "another"]), TypeError, "Tokenize first"),
        (lambda: slices(["a"] * 4, [0] * 4).batch(2), TypeError, "Tokenize first"),
    ],
)
def test_what_is_no_batch_of_tokens_is_refused(model, make, error, message):
    for call in (model.fit, model.evaluate, model.predict):
        with pytest.raises(error, match=message):
            call(make(), verbose=0)


def test_a_stream_without_batches_has_no_empty_history(model):
    empty = slices(X, Y).filter(lambda *_: False).batch(4)
    with pytest.raises(ValueError, match="not a single batch"), pytest.warns(UserWarning, match="data"):
        model.fit(empty, verbose=0)


def test_the_output_as_an_array_is_its_logits(model):
    output = model.predict(X, verbose=0)
    assert np.argmax(output, axis=1).tolist() == output.logits.argmax(axis=1).tolist()
    assert np.asarray(output, "float64").shape == (12, 2)
    assert np.array(model(X, labels=Y)).shape == (12, 2)


def test_losses_of_transformers_and_of_probabilities(model):
    model.compile(keras.optimizers.SGD(0.0), loss=model.compute_loss, run_eagerly=True)
    assert model.fit(X, Y, verbose=0).history["loss"] == pytest.approx([np.log(2)], rel=1e-5)
    for loss in ("sparse_categorical_crossentropy", keras.losses.SparseCategoricalCrossentropy()):
        with pytest.warns(UserWarning, match="takes probabilities, but the model gives logits"):
            model.compile("sgd", loss=loss)
