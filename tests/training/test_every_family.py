"""A run, its predictions and its explanation, a search, a comparison and a student, by family, from a tiny checkpoint."""

import json

import numpy as np
import pytest
from conftest import GOLDEN

import bert_tf
from bert_tf import files
from bert_tf.checkpoints.families.table import depths, positions
from bert_tf.cli.main import main
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


@pytest.mark.slow
@pytest.mark.parametrize("command", ["search", "compare", "distill"])
@pytest.mark.parametrize("family", ["deberta-v2", "modernbert", "nomic_bert"])
def test_the_other_commands(family, command, reviews, tmp_path, capsys):
    base, out, train = tmp_path / "base", tmp_path / "out", tmp_path / "train.csv"
    checkpoint(family, reviews, base)
    files.write_csv(train, ["text", "label"], [{"text": t, "label": y} for t, y in zip(*reviews.values(), strict=True)])
    common = ["--train", str(train), "--validation", str(train), "--output-dir", str(out), "--epochs", "1"]
    common += ["--cache-dir", str(tmp_path / "cache"), "--precision", "float32"]
    arguments = {
        "search": ["search", "--checkpoint", str(base), "--max-trials", "2", "--tuner", "grid", "--unfreeze", "0,2"],
        "compare": ["compare", str(base), "--baselines", "tfidf"],
        "distill": ["distill", str(tmp_path / "teacher/model"), "--layers", "1"],
    }[command]
    if command == "distill":
        bert_tf.finetune(
            reviews, reviews, checkpoint=base, output_dir=tmp_path / "teacher", unfreeze=0, verbose=0, report=False
        )
    assert main([*arguments, *common]) == 0, capsys.readouterr().err
    assert (out / "report.html").is_file()
    if command == "search":
        trials = (out / "trials.csv").read_text()
        assert trials.count("finished") == 2, trials
    if command == "compare":
        assert base.name in capsys.readouterr().out
        return
    model = bert_tf.TFAutoModelForSequenceClassification.from_pretrained(out / "model")
    assert model.config.model_type == family
    assert len(bert_tf.predict(out / "model", reviews["text"]).labels) == len(reviews["text"])
    if command == "distill":
        assert model.config.num_hidden_layers == 1
        assert len(json.loads((out / "metrics.json").read_text())["distilled"]["rows"]) == 2
