"""A run, its predictions and its explanation with each of these families, from a tiny checkpoint."""

import numpy as np
import pytest
from conftest import GOLDEN

import bert_tf
from bert_tf.checkpoints.families.table import depths, positions
from bert_tf.models.auto import CLASSES

SLOW = ("bert", "roberta", "xlm-roberta", "camembert", "mpnet", "electra")
CASES = ["albert", *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]


def checkpoint(family: str, reviews: dict, folder) -> None:
    """The base of the golden model, with the words of the reviews for its vocabulary."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    base = CLASSES[family, None].from_pretrained(GOLDEN / f"{family}_tiny")
    base.save_pretrained(folder)
    special = ["<s>", "</s>", "<unk>"]
    special.insert(base.config.pad_token_id, "<pad>")
    split = pre_tokenizers.BertPreTokenizer()
    words = {word for text in reviews["text"] for word, _ in split.pre_tokenize_str(text)}
    vocabulary = {word: i for i, word in enumerate([*special, *sorted(words)])}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    made.pre_tokenizer = split
    ends = [(token, vocabulary[token]) for token in ("<s>", "</s>")]
    made.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=ends)
    names = {"unk_token": "<unk>", "pad_token": "<pad>", "cls_token": "<s>", "sep_token": "</s>"}
    PreTrainedTokenizerFast(tokenizer_object=made, **names).save_pretrained(folder)


@pytest.mark.parametrize("family", CASES)
def test_a_run_its_predictions_and_an_explanation(family, reviews, tmp_path):
    checkpoint(family, reviews, tmp_path / "base")
    done = bert_tf.finetune(
        reviews, checkpoint=tmp_path / "base", output_dir=tmp_path / "run", epochs=1, batch_size=8, verbose=0,
        precision="float32", report=False, validation_share=0.5, seed=1,
    )  # fmt: skip
    settings = done.metrics["settings"]
    assert settings["unfreeze"] == depths(done.model.config)[-1] == 3
    assert settings["max_length"] == min(positions(done.model.config), 256)
    folder = tmp_path / "run/model"
    expected = bert_tf.predict(done.model, reviews["text"], done.tokenizer).probabilities
    np.testing.assert_allclose(bert_tf.predict(folder, reviews["text"]).probabilities, expected, atol=1e-5)
    explanation = bert_tf.explain(folder, "really good and sturdy", random_orders=2)
    assert explanation.words.real_names == ("really", "good", "and", "sturdy")
    assert explanation.completeness_error < 0.01
    assert explanation.attentions.shape[0] == 3
