"""The pages of comparisons in a real browser: long names, few and many rows; their pictures."""

import accessibility
import pytest

from bert_tf.comparison import curve, ladder, race
from bert_tf.comparison.comparison import QUESTIONS, Comparison
from bert_tf.settings import CURVE, LADDER, RACE
from bert_tf.tasks.task import task_of

# KerasTuner's import
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
TASK = task_of("classification")
NAMES = [
    "sentence-transformers/all-mpnet-base-v2",
    "TF-IDF + logistic regression",
    "bidirectional LSTM",
    "minilm",
    "e5",
    "mpnet-tuned-on-apps",
]


def estimate(value: float, width: float = 0.04) -> dict[str, float]:
    return {"value": value, "low": value - width, "high": value + width}


def race_of(count: int) -> tuple:
    rows = []
    for i, name in enumerate(NAMES[:count]):
        row = {
            "name": name,
            "accuracy": estimate(0.91 - 0.02 * i),
            "test_accuracy": estimate(0.9 - 0.02 * i),
            "macro_f1": estimate(0.9 - 0.02 * i),
        }
        row |= {
            "log_loss": estimate(0.3 + 0.05 * i),
            "calibration_error": 0.031,
            "difference": estimate(0.02 * i) if i else None,
        }
        row |= {
            "p_value": 0.04 if i else None,
            "latency": 0.004 * 3**i % 0.07,
            "texts_per_second": 120.0,
            "size": 1e6 * 3**i,
        }
        rows.append(row | {"memory": 1.2e9, "parameters": 22713218})
    columns = {
        "name": "text",
        **dict.fromkeys(("accuracy", "macro_f1", "log_loss"), "score"),
        "calibration_error": "score",
    }
    columns |= {"difference": "points", "p_value": "p", **race.MEASURED}
    return rows, columns, race.verdict(rows, TASK, 200), "On 12 texts.", race.plots(rows, TASK), [*race.MEASURED]


def ladder_of(count: int) -> tuple:
    kinds = ["baseline", "frozen", "frozen", "unfrozen", "unfrozen", "unfrozen"][:count]
    names = [
        "TF-IDF + logistic regression",
        "frozen, first token",
        "frozen, layer means",
        "top 1 layer",
        "top 2 layers",
        "all layers",
    ]
    rows, histories = [], {}
    for i, (name, kind) in enumerate(zip(names, kinds, strict=False)):
        row = {
            "rung": name,
            "kind": kind,
            "accuracy": estimate(0.6 + 0.05 * i),
            "lowest": 0.5,
            "highest": 0.8,
            "macro_f1": 0.7,
            "loss": 0.5,
        }
        row |= {
            "gap": None if kind == "baseline" else 0.1 * i - 0.2,
            "best_epoch": 2.0,
            "epochs": 3.0,
            "trainable_parameters": 22e6,
        }
        rows.append(row | {"memory": 1.9e9, "seconds": 1.5 * 3**i, "texts_per_second": 150.0})
        histories[name] = [] if kind == "baseline" else [{"val_loss": [0.6, 0.5 + 0.02 * i, 0.55]}]
    columns = {
        "rung": "text",
        **dict.fromkeys(("accuracy", "lowest", "highest", "macro_f1"), "score"),
        **ladder.COLUMNS,
    }
    return rows, columns, ["Unfreezing pays."], "Notes.", ladder.plots(rows, histories, TASK), ladder.COSTS


def curve_of(count: int) -> tuple:
    sizes = [100, 200, 400, 920, 1000, 5000][:count]
    rows = [
        {
            "texts": size,
            "accuracy": estimate(0.7 + 0.02 * i),
            "loss": 0.5,
            "baseline": estimate(0.69 + 0.02 * i),
            "above_baseline": estimate(0.01),
        }
        for i, size in enumerate(sizes)
    ]
    columns = {"texts": "count", "accuracy": "score", "loss": "score", "baseline": "score", "above_baseline": "points"}
    return rows, columns, ["More data would help."], "Notes.", curve.plots(rows, TASK)


def slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


KINDS = {"race": (race_of, RACE), "ladder": (ladder_of, LADDER), "curve": (curve_of, CURVE)}


def write(kind: str, count: int, texts: dict, folder) -> None:
    """Writes the files of a comparison of so many rows, without training anything."""
    made, of = KINDS[kind]
    comparison = Comparison(kind, texts, None, None, [], of.settings(output_dir=folder, verbose=False))
    comparison.recorded = {"candidates": []}
    folder.mkdir()
    comparison.finish(*made(count))


@pytest.mark.parametrize(("kind", "count"), [("race", 6), slow("ladder", 6), slow("curve", 6)])
def test_the_page_suits_every_reader(browser, reviews, tmp_path, kind, count):
    write(kind, count, reviews, tmp_path / "out")
    words = (tmp_path / "out/report.html").read_text()
    assert f"<h1>{QUESTIONS[kind]}</h1>" in words
    assert ("What each costs" in words) == (kind != "curve")
    accessibility.check(browser, tmp_path / "out/report.html")


@pytest.mark.parametrize(("kind", "count"), [("race", 2), ("curve", 1), ("ladder", 1)])
def test_few_rows_have_pictures_too(reviews, tmp_path, kind, count):
    write(kind, count, reviews, tmp_path / "out")
    assert (tmp_path / "out" / f"{kind}.png").read_bytes().startswith(b"\x89PNG")


def test_the_picture_of_a_race_calls_the_baselines_by_short_names():
    for plot in race_of(6)[4]:
        assert {"TF-IDF", "LSTM", "minilm"} < {name for series in plot["series"] for name in series["labels"]}
