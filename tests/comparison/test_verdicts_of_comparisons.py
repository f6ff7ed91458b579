"""No verdict of a comparison contradicts its numbers: random results, and mutants that must be found out."""

import re

import numpy as np
import pytest
from mutants import hold, mutated

from bert_tf.comparison import curve, ladder, race
from bert_tf.evaluation.paired import gain
from bert_tf.tuning import sections

TEXTS = 40


def drawn(rng, share: float) -> np.ndarray:
    """Whether the texts are right, of two seeds."""
    return rng.random((2, TEXTS)) < share


def check_curve(module, rng) -> None:
    sizes = [100 * 2**i for i in range(int(rng.integers(1, 5)))]
    start, step = rng.uniform(0.3, 0.6), rng.uniform(-0.1, 0.25)
    shares = {size: drawn(rng, start + i * step) for i, size in enumerate(sizes)}
    baseline = {size: drawn(rng, 0.6) for size in sizes}
    said = module.verdict(shares, baseline)
    better = [size for size in sizes if gain(shares[size], baseline[size])["low"] > 0]
    if better:
        assert said[-1].startswith(
            "With " + ", ".join(map(str, better)) + " training texts the model is significantly better"
        )
    else:
        assert said[-1].startswith("At none of these sizes")
    if len(sizes) == 1:
        assert said[0].startswith("One size cannot show")
        return
    first, last = map(int, re.search(r"from (\d+) to (\d+) texts", said[0]).groups())
    difference, steps = gain(shares[last], shares[first]), np.diff([shares[size].mean() for size in sizes])
    assert said[0].startswith("More data would help") == (difference["low"] > 0)
    assert not said[0].startswith("More data probably helps") or (steps > 0).all()
    assert not said[0].startswith("More data may not help") or steps[-1] <= 0 or difference["value"] <= 0
    assert not said[0].startswith("These texts are too few") or difference["low"] <= 0 < difference["value"]


def check_ladder(module, rng) -> None:
    kinds = {"words": "baseline", "frozen, layer means": "frozen", "top 2 layers": "unfrozen"}
    shares = {name: drawn(rng, rng.uniform(0.3, 1)) for name in kinds}
    rows = [
        {"rung": name, "kind": kind, "accuracy": {"value": shares[name].mean()}, "seconds": rng.uniform(1, 9),
         "best_epoch": 1.0, "epochs": 2.0}
        for name, kind in kinds.items()
    ]  # fmt: skip
    said, (words, frozen, unfrozen) = module.verdict(rows, shares), rows
    difference = gain(shares["top 2 layers"], shares["frozen, layer means"])
    assert said[0].startswith("Unfreezing pays") == (difference["low"] > 0)
    assert said[0].startswith("Unfreezing does not pay") == (difference["high"] < 0)
    for name, ratio in re.findall(r'"([^"]+)" trains ([\d.]+) times faster', " ".join(said)):
        row = next(row for row in rows if row["rung"] == name)
        assert float(ratio) == pytest.approx(unfrozen["seconds"] / row["seconds"], abs=0.051)
        assert gain(shares["top 2 layers"], shares[name])["low"] <= 0
    top = max((frozen, unfrozen), key=lambda row: row["accuracy"]["value"])["rung"]
    difference = gain(shares[top], shares[words["rung"]])
    how = (
        "significantly better"
        if difference["low"] > 0
        else "significantly worse"
        if difference["high"] < 0
        else "not sig"
    )
    assert said[-1].startswith(f'The best rung, "{top}", is {how}')


def check_race(module, rng) -> None:
    values = sorted(rng.uniform(0.5, 1, int(rng.integers(2, 6))), reverse=True)
    rows = []
    for i, value in enumerate(values):
        width = rng.uniform(0, 0.3)
        ahead = {"value": values[0] - value, "low": values[0] - value - width, "high": values[0] - value + width}
        accuracy = {"value": value, "low": value - 0.1, "high": value + 0.1}
        row = {"name": f"m{i}", "accuracy": accuracy, "latency": rng.uniform(0.001, 0.1)}
        rows.append(row | {"difference": ahead, "p_value": rng.choice([0.001, 0.3])} if i else row)
    said = " ".join(module.verdict(rows, texts=200))
    as_good = [row for row in rows[1:] if row["p_value"] >= 0.05 or row["difference"]["low"] <= 0]
    assert said.startswith(f'Best on these texts: "m0", accuracy {values[0]:.3f}')
    assert ("significantly better than every other" in said) == (not as_good)
    named = re.search(r"Not significantly worse: (.*?)\.", said)
    assert re.findall(r'"(\w+)"', named[1] if named else "") == [row["name"] for row in as_good]
    for name, ratio in re.findall(r'"(\w+)" is the fastest with a single text: ([\d.]+) times', said):
        fastest = min([rows[0], *as_good], key=lambda row: row["latency"])
        assert name == fastest["name"]
        assert float(ratio) == pytest.approx(rows[0]["latency"] / fastest["latency"], rel=0.05)
        assert float(ratio) > 1
    for needed in re.findall(r"takes about ([\d,]+) texts; there are 200", said):
        assert float(needed.replace(",", "")) >= 200


def check_search(module, rng) -> None:
    rows = [
        {
            "trial": str(i),
            "learning_rate": float(rng.choice([0.1, 0.2, 0.3])),
            "val_loss": loss,
            "val_accuracy": rng.random(),
        }
        for i, loss in enumerate(sorted(rng.random(5)))
    ]
    for row in rows:
        row["status"] = "finished"
    edge, other = module._at_the_edge(rows), module._by_score(rows, "val_loss")
    tried, best = {row["learning_rate"] for row in rows}, rows[0]["learning_rate"]
    lowest, highest = best == min(tried), best == max(tried)
    assert bool(edge) == (len(tried) == 3 and (lowest or highest))
    assert not edge or ("lowest" in edge[0]) == lowest
    top = max(rows, key=lambda row: row["val_accuracy"])
    assert bool(other) == (f"{top['val_accuracy']:.3f}" != f"{rows[0]['val_accuracy']:.3f}")
    assert not other or f"trial {top['trial']} is best: {top['val_accuracy']:.3f}" in other[0]


CHECKS = {
    "curve": (100, check_curve, curve),
    "ladder": (100, check_ladder, ladder),
    "race": (600, check_race, race),
    "search": (400, check_search, sections),
}


@pytest.mark.parametrize("name", CHECKS)
def test_no_verdict_contradicts_its_numbers(name):
    hold(CHECKS, name)


MUTANTS = [
    ("curve", "if is_gain(difference):", "if not is_gain(difference):"),
    ("curve", "steps[-1] > 0 and", "steps[-1] < 0 and"),
    ("ladder", 'if difference["high"] < 0 else how', 'if difference["high"] > 0 else how'),
    ("ladder", "if not is_gain(gain(shares[name]", "if is_gain(gain(shares[name]"),
    ("race", ">= 0.05 or not is_significant", "< 0.05 or not is_significant"),
    ("race", "if needed <= texts:", "if needed >= texts:"),
    ("search", "best == tried[0] else", "best != tried[0] else"),
]


@pytest.mark.parametrize(("name", "old", "new"), MUTANTS)
def test_a_swapped_comparison_is_found_out(name, old, new):
    with pytest.raises(AssertionError):
        hold(CHECKS, name, mutated(CHECKS[name][2], old, new))
