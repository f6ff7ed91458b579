"""What sections say of a run's facts."""

from bert_tf.reporting.card import model_card
from bert_tf.reporting.sections import baseline, sections


def facts(skipped):
    splits = [{"name": "training", "labels": {"bad": 3, "good": 4}}]
    return {"data": {"splits": splits, "remarks": ["data.csv: columns separated by tabs."], "skipped": skipped}}


def test_what_was_guessed_and_left_out_is_listed():
    [section] = sections(facts([f"row {i}: the text is <empty>" for i in range(150)]))
    texts = [block["text"] for block in section["blocks"] if "text" in block]
    assert texts == ["data.csv: columns separated by tabs."]
    left_out = section["blocks"][-1]["table"]
    assert left_out["caption"] == "Rows that were left out. The first 100 of 150."
    assert len(left_out["rows"]) == 100
    assert sections(facts([]))[0]["blocks"][-1] == {"text": texts[0]}


def test_the_model_card_has_neither_texts_nor_paths_of_the_data():
    card = model_card(facts(["row 1: the label is 'secret'"]), "reviews")
    assert "Texts per label" in card
    assert "secret" not in card
    assert "data.csv" not in card


def test_the_baseline_says_what_it_counts():
    scores = {name: {"value": 0.5, "low": 0.4, "high": 0.6} for name in ("accuracy", "macro_f1", "log_loss")}
    compared = {"verdict": "Better.", "difference": {"value": 0.1, "low": 0.05, "high": 0.2}}
    simple = {"texts": 9, "scores": scores, "comparison": compared}
    for characters, said in (
        (False, "counts words (TF-IDF)"),
        (True, "counts runs of 1 to 4 characters, which its cross-"),
    ):
        blocks = baseline({"scores": scores, "baseline": {**simple, "characters": characters}})
        assert said in blocks[-1]["table"]["caption"]
