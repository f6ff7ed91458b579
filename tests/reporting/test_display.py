"""What results show of themselves: short at the prompt, safe and self-contained in a notebook, rows as a DataFrame."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas
import pytest

import bert_tf
from bert_tf.comparison.comparison import Compared
from bert_tf.data.examples import Examples, Stream
from bert_tf.data.tokenizer import Tokens
from bert_tf.explanation.explain import Deletion, Explanation, Faithfulness
from bert_tf.explanation.words import Words
from bert_tf.exporting.export import Exported
from bert_tf.features.cache import Chunk
from bert_tf.features.extraction import Features
from bert_tf.inference.bulk import Written
from bert_tf.inference.predict import Predictions
from bert_tf.judging.evaluate import Evaluation
from bert_tf.training.finetuned import Finetuned
from bert_tf.training.plan import Plan
from bert_tf.tuning.search import Searched

ATTACK = '"><script>hit()</script><img src=x onerror=hit()>\x1b[31m\u202e'
MANY = 20_000
SCORES = {"accuracy": {"value": 0.7, "low": 0.6, "high": 0.8}, "texts": 60}


def examples(names=(ATTACK, "good"), count=MANY):
    labels = np.arange(count, dtype="int32") % len(names)
    return Examples([f"text {i} {ATTACK} " + "long " * 300 for i in range(count)], labels, tuple(names), ATTACK)


def predictions(names=(ATTACK, "good"), count=MANY):
    return Predictions(np.random.default_rng(0).dirichlet(np.ones(len(names)), count).astype("float32"), tuple(names))


def explanation():
    text = f"bad {ATTACK} word " * 400
    spans = np.array([(0, 0), *((m.start(), m.end()) for m in re.finditer(r"\S+", text))])
    names = tuple("[CLS]" if end == 0 else text[start:end] for start, end in spans)
    words = Words(text, names, spans, np.arange(len(spans)), spans[:, 1] > 0)
    odds = np.zeros(11)
    deletion = Deletion(np.linspace(0, 1, 11), odds, np.zeros((10, 11)))
    scores = np.linspace(-1, 1, len(spans) - 1)
    return Explanation(words, (ATTACK, "good"), np.array([0.9, 0.1]), 0, scores, 1, 0, 0.0, 8, deletion, None, "x")


def searched():
    row = {
        "trial": "0",
        "status": "finished",
        "learning_rate": 1e-3,
        "batch_size": 16,
        "dropout": 0.1,
        "weight_decay": 0,
    }
    row |= {
        "warmup": 0,
        "unfreeze": 0,
        "best_epoch": 2,
        "epochs": 3,
        "val_loss": 0.5,
        "val_accuracy": 0.7,
        "seconds": 1.0,
    }
    trials = [{**row, "trial": str(i), "val_loss": 1 - i / 100, "dropout": i / 100} for i in range(30)]
    best = {
        "trial": "29",
        "kept": "trial 29",
        "trials": 31,
        "failed": 1,
        "best_epoch": 2,
        "val_accuracy": 0.7,
        "test": {"scores": SCORES},
    }
    trials.append({**row, "trial": "30", "status": "failed", "failed": ATTACK, "val_loss": None})
    return Searched(None, None, trials, {**best, "settings": {"objective": "val_loss"}}, Path(f"runs/{ATTACK}"))


def finetuned():
    stages = [{"stage": f"stage {i}", "val_accuracy": 0.7, "val_loss": 0.5, "seconds": 75.0} for i in range(2)]
    metrics = {"val_loss": 0.5, "val_accuracy": 0.7, "seconds": 80.0, "stages": stages, "test": {"scores": SCORES}}
    tokenizer = SimpleNamespace(vocabulary="x" * 10_000)
    return Finetuned(None, tokenizer, {"loss": [0.7, 0.6], "val_loss": [0.6, 0.5]}, metrics, Path(f"runs/{ATTACK}"))


def compared():
    row = {"name": ATTACK, "accuracy": {"value": 0.7, "low": 0.6, "high": 0.8}, "latency": 0.01, "hidden": "x" * 10_000}
    return Compared([row] * 3, f"Best: {ATTACK}", Path("runs/race"), {"name": "text", "accuracy": "score", "latency": "milliseconds"})  # fmt: skip


def tokens():
    return Tokens(np.zeros(3 * MANY, "int32"), np.arange(1, MANY + 1) * 3, np.full(MANY, 5))


def features():
    chunk = Chunk(np.zeros(MANY), np.arange(MANY), np.zeros((MANY, 4), "float16"))
    return Features(np.full(MANY, 3), True, [chunk], np.zeros(MANY, int), np.arange(MANY), 7)


def exported():
    row = {"score": 0.9, "milliseconds": {"1": 2.0, "32": 40.0}}
    file = {**row, "bytes": 10**8, "drift": 1e-6, "agreement": 1.0}
    measured = {"texts": 200, "source": ATTACK, "score": "accuracy", "model": row, "float32": file}
    return Exported(Path(f"runs/{ATTACK}"), Path(f"runs/{ATTACK}/model.onnx"), None, measured)


def evaluation():
    scores = {**SCORES, "macro_f1": 0.7, "log_loss": 0.5}
    metrics = {"model": ATTACK, "source": ATTACK, "task": "classification", "scores": scores}
    return Evaluation(metrics, f"Good. {ATTACK}", predictions(count=60), None)


MAKERS = {
    "Exported(runs/": exported,
    "Evaluation(": evaluation,
    "Written: predicted.csv, 20,000 rows; predictions: label, ": lambda: Written(
        Path("predicted.csv"), MANY, ("label", ATTACK), 0
    ),
    "Examples(20,000 texts: 10,000 ": examples,
    "Predictions(20,000 texts, 2 classes: ": predictions,
    "Explanation of ": explanation,
    "Words(": lambda: explanation().words,
    "Deletion(score +0.00": lambda: explanation().deletion,
    "Faithfulness(20,000 texts: +1.00 [0.50, 2.00])": lambda: Faithfulness(np.ones(MANY), 1.0, (0.5, 2.0)),
    "Search in runs/": searched,
    "Fine-tuned model in runs/": finetuned,
    "Comparison in runs/race": compared,
    "Tokens(20,000 texts: 60,000 tokens, the longest 3, 20,000 cut)": tokens,
    "Features(20,000 texts: one row per text, width 4, float16; 7 computed)": features,
    "What a run will need": lambda: Plan(1, 2, 3, 4, 5, "float32", 6, 7, 0, 0.1, 0.2, 0.3),
}


class Page(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.tags, self.depth = set(), 0
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.depth += 1
        assert {name for name, _ in attributes} <= {"style", "scope", "dir"}

    def handle_endtag(self, tag):
        self.depth -= 1


@pytest.mark.parametrize("begins", MAKERS)
def test_it_is_short_and_safe(begins):
    result = MAKERS[begins]()
    shown = repr(result)
    assert shown.startswith(begins)
    assert len(shown) < 1500
    assert max(map(len, shown.splitlines())) < 150
    assert "\x1b" not in shown
    html = result._repr_html_()
    assert len(html) < 60_000
    page = Page(html)
    assert page.tags <= {"div", "p", "strong", "table", "thead", "tbody", "tr", "th", "td", "span"}
    assert page.depth == 0
    assert not {"\x1b", "\u202e"} & {*html}
    assert "color:" not in html.replace("color: inherit", "")


def test_pictures_are_shown_where_they_are(tmp_path):
    run = replace(finetuned(), output_dir=tmp_path)
    assert "<img" not in run._repr_html_()
    (tmp_path / "curves.png").write_bytes(b"\x89PNG")
    assert 'src="data:image/png;base64,iVBORw=="' in run._repr_html_()
    (tmp_path / "race.png").write_bytes(b"\x89PNG")
    assert "iVBORw" in replace(compared(), output_dir=tmp_path, picture="race.png")._repr_html_()


def test_many_classes_are_not_all_listed():
    many = [f"class {i}" for i in range(1000)]
    assert repr(examples(many)).startswith("Examples(20,000 texts: 20 class 0, 20 class 1, ")
    assert "and 994 more; " in repr(examples(many))
    shown = repr(predictions(many))
    assert len(shown) < 600
    assert shown.splitlines()[1].split() == ["label", "score"]
    assert shown.endswith("... and 19,990 more: .to_pandas()")


def test_rows_become_a_dataframe():
    few = examples(count=3)
    frame = few.to_pandas()
    assert [*frame.columns] == ["text", "label"]
    assert bert_tf.read_examples(frame).label_names == few.label_names
    stream = Examples(Stream(lambda: iter(["a", "b"]), 2), None, (), "x")
    assert stream.to_pandas().to_dict("list") == {"text": ["a", "b"]}
    assert repr(stream) == "Examples(2 texts; x)"

    answers = Predictions(np.array([[0.25, 0.75], [1.0, 0.0]], "float32"), ("bad", "good"))
    columns = {
        "label": ["good", "bad"],
        "score": [0.75, 1.0],
        "probability_bad": [0.25, 1.0],
        "probability_good": [0.75, 0.0],
    }
    assert answers.to_columns() == columns
    pandas.testing.assert_frame_equal(answers.to_pandas(), pandas.DataFrame(columns))
    assert len(answers) == 2
    assert answers[1] == {"label": "bad", "score": 1.0, "scores": {"bad": 1.0, "good": 0.0}}
    assert [row["label"] for row in answers] == answers.labels
    assert answers[1:].labels == ["bad"]
    with pytest.raises(IndexError):
        answers[2]

    assert [*searched().to_pandas().status] == ["finished"] * 30 + ["failed"]
    assert [*compared().to_pandas().columns] == [
        "name",
        "accuracy",
        "accuracy_low",
        "accuracy_high",
        "latency",
        "hidden",
    ]
    assert finetuned().to_pandas().loc[2, "val_loss"] == 0.5
    words = explanation().to_pandas()
    assert [*words.columns] == ["word", "start", "end", "attribution"]
    assert words.attribution.iloc[-1] == 1.0


def test_the_numbers_are_there():
    shown = repr(finetuned())
    assert re.search(r"test accuracy +0.700 \[0.600, 0.800\]", shown)
    assert re.search(r"stage 1 +0.700 +0.500 +1 min 15 s", shown)
    best = repr(searched()).splitlines()
    assert "31 trials, 1 failed. Best: trial 29" in best[0]
    assert best[3].split()[:2] == ["29", "0.29"]  # the best first, and only what differs
    assert "test accuracy 0.700 [0.600, 0.800]" in best[-1]
    marked = explanation()._repr_html_()
    assert 'background: rgba(230, 130, 0, 0.50)">bad</span>' in marked
    assert "0.700 [0.600, 0.800]" in compared()._repr_html_()


def test_ipython_takes_it():
    formatters = pytest.importorskip("IPython.core.formatters")
    data, _ = formatters.DisplayFormatter().format(predictions(count=3))
    assert data["text/html"].startswith("<div>")
    assert "text/plain" in data
