"""Pairs of texts: tokens and logits as transformers', read from two columns, kept apart in cache, baseline and report, remembered."""

import json

import numpy as np
import pytest

import bert_tf
from bert_tf.cli.main import main
from bert_tf.data import gates
from bert_tf.data.bucketing import padded_batch
from bert_tf.evaluation import diagnostics, tfidf
from bert_tf.evaluation.blend import Blend, load_blend, save_blend
from bert_tf.features.cache import key
from bert_tf.features.extraction import extract
from bert_tf.formatting import shown_text

PAIRS = [
    ("Is it loud?", "No, not at all."),
    ("", "nothing first"),
    ("Does the lid close well, and does it stay closed when I carry the box around?", "Yes."),
    ("same", "same"),
    ("A first text of some length that goes on", "a second one of some length that goes on and on and on"),
]


@pytest.fixture(scope="module")
def tokenizer(minilm_bert):
    return bert_tf.load_tokenizer(minilm_bert)


@pytest.mark.parametrize("most", [9, 14, 64])
def test_tokens_and_types_of_pairs_are_those_of_the_tokenizer(tokenizer, most):
    tokens = bert_tf.tokenize(PAIRS, tokenizer, most)
    batch = padded_batch(tokens, np.arange(len(PAIRS)))
    for i, (a, b) in enumerate(PAIRS):
        expected = tokenizer(a, b, truncation="longest_first", max_length=most, return_token_type_ids=True)
        assert tokens[i].tolist() == expected["input_ids"]
        assert batch[2][i, : len(tokens[i])].tolist() == expected["token_type_ids"]
        assert tokens.uncut[i] == len(tokenizer(a, b)["input_ids"])
        assert not expected["token_type_ids"][0]
    assert not batch[2][batch[1] == 0].any()
    (inputs,) = bert_tf.batches(tokens, batch_size=8)
    np.testing.assert_array_equal(inputs["token_type_ids"], batch[2])
    np.testing.assert_array_equal(tokens.take(np.array([2, 0])).seconds, tokens.seconds[[2, 0]])


@pytest.fixture(scope="module")
def bert():
    """A BERT of odd sizes, with token types that matter."""
    import keras
    from transformers import BertConfig

    keras.utils.set_random_seed(0)
    config = BertConfig(
        vocab_size=30522, hidden_size=12, intermediate_size=20, num_hidden_layers=2, num_attention_heads=3, max_position_embeddings=64,
        initializer_range=0.5, id2label={0: "apart", 1: "together"}, problem_type="single_label_classification",
    )  # fmt: skip
    return bert_tf.TFBertForSequenceClassification(config)


def test_logits_of_pairs_are_those_of_the_model_fed_by_transformers_tokenizer(bert, tokenizer):
    expected = bert(dict(tokenizer(*map(list, zip(*PAIRS, strict=True)), padding=True, return_tensors="np"))).logits
    found = bert_tf.predict(bert, PAIRS, tokenizer, max_length=64, engine="keras").probabilities
    logits = np.asarray(expected)
    wanted = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    joined = [shown_text(pair) for pair in PAIRS]  # the same ids, other types
    apart = bert_tf.predict(bert, joined, tokenizer, max_length=64, engine="keras").probabilities
    assert np.abs(apart - wanted).max() > 1e-3


def test_the_cache_tells_pairs_from_joined_texts_where_types_matter(bert, tokenizer, tiny, tmp_path):
    pairs = bert_tf.tokenize(PAIRS, tokenizer, 64)
    joined = bert_tf.tokenize([shown_text(pair) for pair in PAIRS], tokenizer, 64)
    np.testing.assert_array_equal(pairs.ids, joined.ids)
    assert key(pairs[0], 7) != key(pairs[0]) != key(pairs[0], 8)
    bert.freeze(0)
    kept = {"cache_dir": tmp_path, "progress": False}
    first, second = extract(bert.encoder, joined, **kept), extract(bert.encoder, pairs, **kept)
    assert (first.computed, second.computed) == (5, 5)
    assert np.abs(first[0] - second[0]).max() > 1e-3
    assert extract(bert.encoder, pairs, **kept).computed == 0
    untyped = bert_tf.TFDistilBertModel.from_pretrained(tiny).encoder
    untyped.trainable = False
    assert extract(untyped, joined, **kept).computed == 5
    assert extract(untyped, pairs, **kept).computed == 0  # DistilBERT sees no difference


def test_pairs_are_read_from_two_columns_or_tuples(tmp_path):
    rows = [("Is it loud?", "no", "together"), ("Does it fit?", "blue", "apart"), ("Why?", "so", "apart")]
    file = tmp_path / "pairs.csv"
    file.write_text("question,answer,label\n" + "".join(",".join(row) + "\n" for row in rows))
    texts = [row[:2] for row in rows]
    for source, columns in ((file, "question,answer"), (file, ("Question", "answer")), ((texts, [1, 0, 0]), None)):
        found = bert_tf.read_examples(source, text_column=columns)
        assert found.texts == texts
        assert found.pairs
    assert bert_tf.read_examples(file, text_column=("question", "answer")).columns == ("question,answer", "label")
    for columns, says in (
        ("question,reply", "no column 'reply'"),
        ("question,answer,label", "the two of pairs of texts, A,B. Received: 'question,answer,label'"),
        ("question,question", "both texts of a pair are the column 'question'"),
        ("question,label", "text and label are the same column, 'label'"),
    ):
        with pytest.raises(ValueError, match=says):
            bert_tf.read_examples(file, text_column=columns)
    with pytest.raises(ValueError, match="a single text among pairs"):
        bert_tf.read_examples(([("a", "b"), "c"], [0, 1]))
    with pytest.raises(ValueError, match="a tuple of 3 instead of 2"):
        bert_tf.read_examples(([("a", "b"), ("a", "b", "c")], [0, 1]))
    file.write_text("question,answer,label\nIs it loud?,,together\nDoes it fit?,blue,apart\n")
    with pytest.raises(ValueError, match=r"row 1 .*the text \(column 'answer'\) is empty"):
        bert_tf.read_examples(file, text_column="question,answer")


def test_the_gate_says_what_is_no_pair():
    assert [*gates.each_text([("a", "b")])] == [("a", "b")]
    for wrong, says in (
        ([("a", None)], r"a pair with a missing value \(texts\[0\]\)"),
        (["a", ("b", "c")], r"a pair among single texts \(texts\[1\]\)"),
        ([["a", "b"]], r"list \(texts\[0\]\). A pair is a tuple"),
    ):
        with pytest.raises(TypeError, match=says):
            [*gates.each_text(wrong)]


def test_the_baseline_tells_the_texts_apart(tmp_path):
    texts = [("cat", "dog"), ("dog", "cat")] * 10
    labels = np.array([0, 1] * 10)
    baseline = tfidf.train_baseline(texts, labels, 2)
    assert (baseline(texts).argmax(1) == labels).all()
    save_blend(Blend((1.0, 0.5), baseline, 0.5, 0.4), tmp_path)
    np.testing.assert_allclose(load_blend(tmp_path).baseline(texts), baseline(texts), atol=1e-6)


def test_duplicates_and_mistakes_show_both_texts():
    train, held = [("a b", "c"), ("a", "b c")], [("A  b", "C")]
    found = diagnostics.duplicates({"training": (train, [0, 1]), "validation": (held, [1])}, ["no", "yes"])
    assert (found["within"]["training"], found["across"]["validation"]) == (0, 1)
    assert found["conflicts"][0]["text"] == "a b [SEP] c"
    (mistake,) = diagnostics.mistakes(held, np.array([1]), np.array([[0.9, 0.1]]), ["no", "yes"])
    assert mistake["text"] == "A  b [SEP] C"


def test_a_run_on_pairs_from_the_command_line_to_the_prediction(tiny, tmp_path, capsys):
    file, out = tmp_path / "pairs.csv", tmp_path / "run"
    good, bad = ("loud <b>it</b>", "yes it is loud"), ("loud it", "blue as the sky")
    rows = [(*pair, label) for pair, label in ((good, "together"), (bad, "apart")) for _ in range(8)]
    file.write_text("question,answer,label\n" + "".join(f"{a} {i},{b},{c}\n" for i, (a, b, c) in enumerate(rows)))
    arguments = ["--text-column", "question,answer", "--checkpoint", str(tiny), "--max-length", "24", "--unfreeze", "0"]
    assert (
        main(["finetune", "--train", str(file), "--validation", str(file), *arguments, "--output-dir", str(out)]) == 0
    )
    assert json.loads((out / "model/config.json").read_text())["text_pairs"] is True
    page = (out / "report.html").read_text()
    assert "--text-column question,answer" in page
    assert "<b>it</b>" not in page
    capsys.readouterr()
    model = str(out / "model")
    assert main(["predict", model, "--text", "loud it", "--text-pair", "yes", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said[0]["text"] == "loud it [SEP] yes"
    assert main(["predict", model, "--file", str(file), "--text-column", "question,answer", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 16
    for wrong, says in (
        (["--text", "loud"], "was trained on pairs of texts. Received: single texts"),
        (
            ["--text", "a", "--text", "b", "--text-pair", "c"],
            "each --text needs one. Received: 2 --text, 1 --text-pair",
        ),
    ):
        assert main(["predict", model, *wrong]) == 2
        assert says in capsys.readouterr().err
    singles = {"text": ["loud it", "blue"] * 8, "label": ["together", "apart"] * 8}
    written = tmp_path / "o.csv"
    assert main(["predict", model, "--file", str(file), "--text-column", "answer", "--output", str(written)]) == 2
    assert "was trained on pairs of texts" in capsys.readouterr().err
    assert not [*tmp_path.glob("o.csv*")]  # nothing that the corrected command would have to resume
    both = ["--text-column", "question,answer", "--output", str(written)]
    assert main(["predict", model, "--file", str(file), *both]) == 0
    with pytest.raises(ValueError, match=r"model: The model was trained on pairs of texts"):
        bert_tf.race([model], singles, singles, baselines=["tfidf"], output_dir=tmp_path / "race", verbose=0)
    with pytest.raises(ValueError, match=r"a head for pairs of texts; .*: single texts. For a new head pass new_head"):
        bert_tf.finetune(singles, singles, checkpoint=model, output_dir=tmp_path / "more", verbose=0)
    assert main(["explain", model, "--text", "loud"]) == 2
    assert "pairs of texts, which cannot be explained yet" in capsys.readouterr().err


def test_a_model_of_single_texts_refuses_pairs(tiny, reviews, tmp_path):
    options = {"checkpoint": tiny, "max_length": 16, "unfreeze": 0, "report": False, "verbose": 0}
    run = bert_tf.finetune(reviews, reviews, output_dir=tmp_path, **options)
    with pytest.raises(ValueError, match="was trained on single texts. Received: pairs"):
        bert_tf.predict(run.model, [("a", "b")], run.tokenizer)
    pairs = ([(text, text) for text in reviews["text"]], reviews["label"])
    kept = options | {"checkpoint": tmp_path / "model"}
    with pytest.raises(ValueError, match="has a head for single texts; .*: pairs of texts. For a new head"):
        bert_tf.finetune(pairs, pairs, output_dir=tmp_path / "x", **kept)
    with pytest.raises(ValueError, match="must be of one kind. Received: .*single texts; .*pairs of texts"):
        bert_tf.finetune(reviews, pairs, output_dir=tmp_path / "x", **options)
    says = "Training and test texts must be of one kind. Received: .*single texts; .*pairs of texts"
    with pytest.raises(ValueError, match=says):
        bert_tf.finetune(reviews, reviews, test=pairs, output_dir=tmp_path / "x", **options)
    for kind, others in (("validation", {"validation": pairs}), ("test", {"validation": reviews, "test": pairs})):
        with pytest.raises(ValueError, match=f"Training and {kind} texts must be of one kind"):
            bert_tf.ladder(reviews, **others, checkpoint=tiny, output_dir=tmp_path / "y", verbose=0)
