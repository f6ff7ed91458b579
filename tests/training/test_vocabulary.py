"""Vocabularies trimmed to some texts: these are split and answered as before, others still are split."""

import json

import numpy as np
import pytest
import transformers

import bert_tf
from bert_tf.checkpoints import weights
from bert_tf.data.tokenizer import tokenize
from bert_tf.data.vocabulary import trimmed_tokenizer
from bert_tf.training.vocabulary import with_vocabulary

TEXTS = ["this broke!", "このホテルは最高でした。", "it 영화는"]


def test_unigram_splits_the_same_texts_in_the_same_way(unigram, tmp_path):
    used = np.unique(tokenize(TEXTS, unigram, 64).ids)
    tokenizer, kept = trimmed_tokenizer(unigram, used)
    assert len(tokenizer) == len(kept) < len(unigram)
    assert [*kept] == sorted(kept)
    for text in TEXTS:
        assert kept[tokenizer(text)["input_ids"]].tolist() == unigram(text)["input_ids"]
    assert unigram.tokenize("ホテル")  # unchanged
    tokenizer.save_pretrained(tmp_path)
    again = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert again(TEXTS)["input_ids"] == tokenizer(TEXTS)["input_ids"]
    assert again.pad_token_id == unigram.pad_token_id
    assert tokenizer.tokenize("は,は") == ["▁", "は", ",", "は"]  # other texts, of single characters
    assert tokenizer.unk_token_id in tokenizer("ZZ")["input_ids"]


def test_word_pieces_split_the_same_texts_in_the_same_way(tiny, reviews):
    whole = bert_tf.load_tokenizer(tiny)
    used = np.unique(tokenize(reviews["text"], whole, 64).ids)
    tokenizer, kept = trimmed_tokenizer(whole, used)
    assert len(kept) < len(whole) / 5
    for text in (*reviews["text"], "\U0001f40e [MASK] good"):
        assert kept[tokenizer(text)["input_ids"]].tolist() == whole(text)["input_ids"]
    assert kept[tokenizer("good", "bad")["input_ids"]].tolist() == whole("good", "bad")["input_ids"]
    assert tokenizer.tokenize("zebra") == ["z", "##e", "##b", "##r", "##a"]


def test_merges_split_the_same_texts_in_the_same_way(tmp_path):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    learnt = Tokenizer(models.BPE())
    learnt.pre_tokenizer, learnt.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    words = ["sturdiness", "unsturdy", "studied", "rustic", "dusty trust", "このホテルは最高でした。"]
    learnt.train_from_iterator([" ".join(np.random.default_rng(i).permutation(words)) for i in range(50)], trainer)
    learnt.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    names = {
        "bos_token": "<s>",
        "pad_token": "<pad>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "mask_token": "<mask>",
    }
    whole = transformers.PreTrainedTokenizerFast(tokenizer_object=learnt, **names)
    texts = ["unsturdy rustic", "dusty! 最高 🐎", "a sturdy trustiness<mask>"]
    used = np.unique(tokenize(texts, whole, 64).ids)
    tokenizer, kept = trimmed_tokenizer(whole, used)
    assert 256 < len(kept) < len(whole)
    for text in texts:
        assert kept[tokenizer(text)["input_ids"]].tolist() == whole(text)["input_ids"]
    assert whole.tokenize("studied") == ["studied"]
    assert (
        "".join(tokenizer.tokenize("studied")) == "studied"
    )  # other texts, in smaller pieces, of which none is unknown
    assert tokenizer.unk_token_id not in tokenizer("ZZ 例えば")["input_ids"]
    tokenizer.save_pretrained(tmp_path)
    assert transformers.AutoTokenizer.from_pretrained(tmp_path)(texts)["input_ids"] == tokenizer(texts)["input_ids"]


def test_a_list_of_words_is_refused():
    from tokenizers import Tokenizer, models

    words = Tokenizer(models.WordLevel({"<unk>": 0, "ok": 1}, unk_token="<unk>"))
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>")
    with pytest.raises(
        ValueError, match="list: its vocabulary cannot be trimmed: it is of the kind WordLevel, not one of"
    ):
        trimmed_tokenizer(fast, [1], "list")


def test_a_run_with_a_trimmed_vocabulary_answers_as_one_with_the_whole(tiny, reviews, tmp_path, capsys):
    test = {"text": ["sturdy zebra", "flimsy zebra"], "label": ["positive", "negative"]}
    models, tables = {}, {}
    for vocabulary in ("whole", "trimmed"):
        out = tmp_path / vocabulary
        done = bert_tf.finetune(reviews, reviews, test=test, checkpoint=tiny, unfreeze=0, vocabulary=vocabulary, output_dir=out,
                                verbose=2, report=False, max_length=24, precision="float32")  # fmt: skip
        models[vocabulary] = done
        tables[vocabulary] = weights.read_tensors(out / "model")["distilbert.embeddings.word_embeddings.weight"]
    texts = [*reviews["text"], *test["text"]]
    whole, trimmed = (bert_tf.predict(tmp_path / name / "model", texts).probabilities for name in ("whole", "trimmed"))
    np.testing.assert_array_equal(trimmed, whole)
    assert models["trimmed"].metrics["val_loss"] == models["whole"].metrics["val_loss"]
    said = capsys.readouterr().out
    assert "Vocabulary trimmed to " in said
    assert " of 30,522 word pieces" in said
    folder = tmp_path / "trimmed/model"
    kept = json.loads((folder / "vocabulary.json").read_text())["kept"]
    np.testing.assert_array_equal(tables["whole"][kept], tables["trimmed"])  # the way back
    assert json.loads((folder / "config.json").read_text())["vocab_size"] == len(kept)
    assert len(bert_tf.predict(folder, ["entirely other words, 例えば"]).labels) == 1
    again = bert_tf.finetune(
        reviews, checkpoint=folder, unfreeze=0, epochs=1, output_dir=tmp_path / "again", verbose=0, report=False
    )
    assert again.model.config.vocab_size == len(kept)


def test_special_ids_follow_and_ids_of_another_model_are_refused():
    config = transformers.BertConfig(vocab_size=9, hidden_size=12, intermediate_size=8, num_hidden_layers=1, num_attention_heads=3,
                                     pad_token_id=4)  # fmt: skip
    model = bert_tf.TFBertForSequenceClassification(config)
    kept = np.array([2, 4, 7])
    smaller = with_vocabulary(model, kept)
    assert (smaller.config.vocab_size, smaller.config.pad_token_id) == (3, 1)
    expected = model(np.array([[7, 2, 4]]), return_dict=True).logits
    np.testing.assert_array_equal(smaller(np.array([[2, 0, 1]]), return_dict=True).logits, expected)
    with pytest.raises(ValueError, match="ids up to 9, the model has 9"):
        with_vocabulary(model, np.array([9]))
