"""Tokens and batches: what goes in comes out once, and little of it is padding."""

import keras
import numpy as np
import pytest

import bert_tf
from bert_tf.data.bucketing import COMPILED_LENGTHS, LENGTHS, shuffled_batches
from bert_tf.data.tokenizer import Tokens

COMPILES_EACH = keras.backend.backend() == "jax"  # hence fewer lengths and more padding


@pytest.fixture(scope="module")
def tokenizer(minilm):
    return bert_tf.load_tokenizer(minilm)


def made(lengths) -> Tokens:
    """Texts of given lengths; the ids of text i are all i + 1."""
    return Tokens(np.repeat(np.arange(1, len(lengths) + 1), lengths).astype("int32"), np.cumsum(lengths))


def test_tokens_are_those_of_the_tokenizer(tokenizer):
    texts = [
        "Broke.",
        "",
        "a much longer text than the others, about nothing in particular",
        "na\u00efve caf\u00e9 \U0001f600",
    ]
    tokens = bert_tf.tokenize(texts, tokenizer, max_length=9)
    assert len(tokens) == 4
    for i, text in enumerate(texts):
        assert tokens[i].tolist() == tokenizer(text, truncation=True, max_length=9)["input_ids"]
    assert tokens.lengths.max() == 9
    streamed = bert_tf.tokenize((text for text in texts), tokenizer, max_length=9)
    np.testing.assert_array_equal(streamed.ids, tokens.ids)


@pytest.mark.parametrize("batch_size", [1, 4, 13, 50])
@pytest.mark.parametrize("shuffle", [False, True])
def test_every_text_comes_once_with_its_label(batch_size, shuffle):
    lengths = np.random.default_rng(0).integers(2, 60, 45)
    labels = np.arange(45) * 10
    dataset = bert_tf.batches(made(lengths), labels, batch_size=batch_size, shuffle=shuffle)
    seen = []
    for inputs, targets in dataset:
        ids, mask = np.asarray(inputs["input_ids"]), np.asarray(inputs["attention_mask"])
        assert ids.shape == mask.shape
        assert ids.shape[1] in {*LENGTHS, lengths.max()}
        for row, real, target in zip(ids, mask, np.asarray(targets), strict=True):
            i = target // 10
            assert row[: lengths[i]].tolist() == [i + 1] * lengths[i]
            assert real.sum() == lengths[i]
            assert not row[lengths[i] :].any()
            seen.append(int(i))
    assert sorted(seen) == list(range(45))
    assert len(dataset) == -(-45 // batch_size)
    if not shuffle:
        assert seen == list(range(45))


def test_order_is_decided_by_seed_and_epoch_alone():
    lengths = np.random.default_rng(0).integers(2, 60, 300)

    def order(**options):
        dataset = bert_tf.batches(made(lengths), batch_size=4, shuffle=True, **options)
        return lambda: [np.asarray(batch["input_ids"])[:, 0].tolist() for batch in dataset]

    first, second = order(seed=1), order(seed=1, first_epoch=1)
    epochs = [first(), first(), first()]
    assert epochs[0] != epochs[1] != epochs[2]
    assert [second(), second()] == epochs[1:]
    assert order(seed=2)() != epochs[0]


@pytest.mark.parametrize("batch_size", [16, 32])
def test_little_padding_and_few_shapes(batch_size):
    """Lengths as reviews have them: log-normal, cut at 256."""
    random = np.random.default_rng(0)
    lengths = np.clip(random.lognormal(4.4, 0.7, 5000).astype(int), 3, 256)
    real = total = 0
    shapes = set()
    for batch in bert_tf.batches(made(lengths), batch_size=batch_size, shuffle=True):
        real += int(np.sum(batch["attention_mask"]))
        total += np.size(batch["attention_mask"])
        shapes.add(batch["input_ids"].shape[1])
    assert 1 - real / total <= (0.20 if COMPILES_EACH else 0.10)
    assert shapes <= set(COMPILED_LENGTHS if COMPILES_EACH else LENGTHS)
    # The mutant: in the given order, padding is far more.
    given = sum(np.size(b["attention_mask"]) for b in bert_tf.batches(made(lengths), batch_size=batch_size))
    assert 1 - real / given > 0.3


def test_shuffled_batches_mix_texts():
    lengths = np.random.default_rng(0).integers(2, 60, 1000)
    first, second = (shuffled_batches(lengths, 10, 0, epoch) for epoch in (0, 1))
    together = {frozenset(batch.tolist()) for batch in first} & {frozenset(batch.tolist()) for batch in second}
    assert not together


def test_no_batch_is_wider_than_the_longest_text():
    """A model with 60 positions takes texts of 60 tokens; the next of the usual lengths is 64."""
    widths = [batch["input_ids"].shape[1] for batch in bert_tf.batches(made([60, 57, 3, 9]), batch_size=1)]
    assert widths == [60, 60, *((16, 16) if COMPILES_EACH else (8, 16))]


def test_take_keeps_the_order_asked_for():
    tokens = made([3, 1, 2]).take(np.array([2, 0]))
    assert [tokens[i].tolist() for i in range(2)] == [[3, 3], [1, 1, 1]]


def test_wrong_sizes_are_refused():
    with pytest.raises(ValueError, match="2 texts, 3 labels"):
        bert_tf.batches(made([2, 2]), np.zeros(3))
    with pytest.raises(ValueError, match="batch_size=0"):
        bert_tf.batches(made([2, 2]), batch_size=0)
