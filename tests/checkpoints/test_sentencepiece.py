"""Tokenizers that come as a SentencePiece file alone, as the checkpoints of these families did for years, against transformers."""

import json

import pytest
import transformers

import bert_tf

sentencepiece = pytest.importorskip("sentencepiece")
# The name of the file, and the special pieces that each family's files hold.
FILES = {
    "xlm-roberta": ("sentencepiece.bpe.model", {}),
    "camembert": ("sentencepiece.bpe.model", {}),
    "albert": ("spiece.model", {"pad_id": 0, "unk_id": 1, "bos_id": -1, "eos_id": -1, "control_symbols": "[CLS],[SEP],[MASK]"}),
    "deberta-v2": ("spm.model", {"pad_id": 0, "bos_id": 1, "eos_id": 2, "unk_id": 3, "bos_piece": "[CLS]", "eos_piece": "[SEP]",
                                 "pad_piece": "[PAD]", "unk_piece": "[UNK]"}),
}  # fmt: skip


@pytest.mark.parametrize("family", FILES)
def test_a_sentencepiece_file_alone_reads_as_in_transformers(family, reviews, tmp_path):
    name, special = FILES[family]
    with (tmp_path / name).open("wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(reviews["text"] * 4), model_writer=file, vocab_size=60, hard_vocab_limit=False,
            minloglevel=2, **special,
        )  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps({"model_type": family}))
    tokenizer = bert_tf.load_tokenizer(tmp_path)
    names = {"deberta-v2": "DebertaV2", "xlm-roberta": "XLMRoberta"}
    theirs = getattr(transformers, f"{names.get(family, family.title())}Tokenizer").from_pretrained(tmp_path)
    processor = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / name))
    for text in [*reviews["text"][:6], "Überaus good, 最高!"]:
        ids = bert_tf.tokenize([text], tokenizer, 64)[0].tolist()
        assert ids == theirs(text)["input_ids"]
        assert [ids[0], ids[-1]] == [tokenizer.cls_token_id, tokenizer.sep_token_id]
    # The pieces are those that the library itself finds.
    assert tokenizer.tokenize("really good and sturdy") == processor.encode("really good and sturdy", out_type=str)
    tokenizer.save_pretrained(tmp_path / "again")
    again = bert_tf.load_tokenizer(tmp_path / "again")
    assert again(reviews["text"])["input_ids"] == tokenizer(reviews["text"])["input_ids"]
