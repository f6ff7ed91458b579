"""No sentence of a report contradicts its numbers: thousands of random results, and mutants that must be found out.

The sentences of comparisons are in tests/comparison/test_verdicts_of_comparisons.py.
"""

import re
from types import SimpleNamespace

import numpy as np
import pytest
from mutants import hold, mutated
from sklearn.metrics import f1_score

from bert_tf.evaluation import diagnostics, scores, slices
from bert_tf.explanation import in_words as explained
from bert_tf.reporting import calibration, in_words
from bert_tf.tasks.task import task_of

TASK = task_of("classification")


def estimate(value: float, width: float = 0.05) -> dict[str, float]:
    return {"value": value, "low": value - width, "high": value + width}


def shown(value: float) -> float:
    """A number in the digits of a report."""
    return float(f"{value:.3f}")


def check_overfitting(module, rng) -> None:
    epochs = rng.integers(1, 8)
    falling = np.exp(-rng.uniform(0, 0.6) * np.arange(epochs))
    rising = rng.choice([0.0, 0.01, 0.2]) * np.arange(epochs)
    train = rng.uniform(0.2, 1.0) * falling + rng.normal(0, rng.choice([0.0, 0.02]), epochs) ** 2
    validation = rng.uniform(0.3, 1.0) * np.maximum(falling, 0.5) + rising + rng.normal(0, 0.02, epochs) ** 2
    history = {"loss": train, "val_loss": validation}
    if with_score := rng.random() < 0.7:
        accuracy = rng.uniform(0.5, 0.9)
        accuracies = [*(accuracy - rng.uniform(-0.1, 0.2, epochs))]
        history |= {"accuracy": [accuracy] * epochs, "val_accuracy": accuracies}
    chance, kept = rng.uniform(0.2, 1.2), rng.choice([None, int(rng.integers(1, epochs + 1))])
    said = module.overfitting(history, chance, kept)["verdict"]
    best, last, lowest = int(np.argmin(validation)), epochs - 1, validation.min()
    rise, fall = validation[last] / lowest - 1, 1 - train[last] / train[best]
    if with_score:
        wide = history["accuracy"][last] - history["val_accuracy"][last] >= 0.05
    else:
        wide = train[last] <= 0.75 * validation[last]
    learned = lowest <= 0.98 * chance
    assert said.startswith("Nothing was learned") == (not learned)
    assert not said.startswith("No overfitting") or (not wide and rise <= 0.02)
    assert not said.startswith(("Some overfitting", "Not overfitting yet")) or wide
    if learned and epochs > 1:
        assert said.startswith("Overfitting") == (rise > 0.02 and fall > 0.02)
        assert not said.startswith(f"Overfitting after epoch {best + 1}:") or kept in (None, best + 1)
        assert said.startswith("Unsteady") == (rise > 0.02 and fall <= 0.02)
        assert ("still falling" in said) == (best == last and lowest < 0.98 * min(validation[:-1]))
        epoch, loss = re.search(r"lowest at epoch (\d+) \(([\d.]+)\)", said).groups()
        assert (int(epoch), float(loss)) == (best + 1, shown(lowest))
    assert ("was kept" in said) == (kept not in (None, best + 1))
    highest = with_score and kept and accuracies[kept - 1] == max(accuracies)
    assert "accuracy was the highest" not in said or highest
    assert "More epochs may give" not in said or best == last
    assert "The best epoch is kept" not in said or kept in (None, best + 1)
    for points, first, second in re.findall(r"is ([\d.]+) points above .*? \(([\d.]+), ([\d.]+)\)", said):
        assert float(points) == pytest.approx(100 * (float(first) - float(second)), abs=0.16)


def check_calibration(module, rng) -> None:
    error, by_chance, after, loss, loss_after = rng.uniform(0, 0.2, 5)
    limit = by_chance * rng.uniform(1, 2)
    confidence, accuracy = rng.uniform(0.5, 1, 2)
    found = {
        "error": error, "error_by_chance": by_chance, "error_limit": limit, "error_after": after, "log_loss": loss,
        "log_loss_after": loss_after, "temperature": rng.uniform(0.5, 2),
        "bins": [{"texts": 90, "confidence": confidence, "accuracy": estimate(accuracy)}],
    }  # fmt: skip
    said, scaled = module.verdict(found), module.scaling(found)
    beyond = shown(error) > shown(limit)
    assert ("no more than chance explains" in said) == (not beyond)
    assert (", more than chance explains" in said) == beyond
    assert "overconfident" not in said or (confidence > accuracy and found["temperature"] > 1 and beyond)
    assert "underconfident" not in said or (confidence < accuracy and found["temperature"] < 1 and beyond)
    better = shown(after) < shown(error) and shown(loss_after) < shown(loss)
    assert ("helps here" in scaled) == (beyond and better)
    numbers = [float(number) for number in re.findall(r"\d\.\d{3}", scaled)]
    assert numbers == [shown(value) for value in (loss, loss_after, error, after)]


def check_comparison(module, rng) -> None:
    texts = int(rng.integers(3, 120))
    labels = (rng.random(texts) < rng.uniform(0.03, 0.5)).astype(int)
    found_of = rng.choice([0, 0.5, 1], 2), rng.uniform(0.5, 1, 2)  # of the rare class, of the other: by each of the two
    first, second = (
        np.where(rng.random(texts) < np.where(labels, *shares), labels, 1 - labels)
        for shares in zip(*found_of, strict=True)
    )
    found = module.compare(labels, first, second, ("A", "B"), seed=int(rng.integers(1000)))
    gain, difference, said = (
        ((first == labels).sum() - (second == labels).sum()) / texts,
        found["difference"],
        found["verdict"],
    )
    assert found["difference"]["value"] == pytest.approx(gain)
    sure = found["p_value"] < 0.05 and not difference["low"] <= 0 <= difference["high"]
    assert said.startswith("No significant difference between A and B") == (not sure)
    assert said.startswith("A is significantly better than B") == (sure and gain > 0) == module.is_better(found)
    assert said.startswith("B is significantly better than A") == (sure and gain < 0)
    assert ("have the same" in said) == ((first == labels) == (second == labels)).all()
    by_class = found["macro_f1"]
    assert by_class["value"] == pytest.approx(
        f1_score(labels, first, average="macro", zero_division=0)
        - f1_score(labels, second, average="macro", zero_division=0)
    )
    other_way = (by_class["low"] > 0 and gain <= 0) or (by_class["high"] < 0 and gain >= 0)
    assert ("In macro F1" in said) == other_way
    if other_way:
        assert f"{'A' if by_class['value'] > 0 else 'B'} is significantly better, by" in said.split("In macro F1")[1]
    assert module.is_better_at_rare_classes(found) == (other_way and by_class["low"] > 0)


def check_opening(module, rng) -> None:
    counts = rng.integers(0, 60, (2, 2)) + np.eye(2, dtype=int)
    right, total = int(np.trace(counts)), int(counts.sum())
    difference = estimate(rng.uniform(-0.2, 0.2), rng.uniform(0, 0.2))
    comparison = {"difference": difference, "p_value": rng.choice([0.001, 0.2])}
    by_class = estimate(rng.uniform(0, 1), rng.uniform(0, 0.3))
    facts = {
        "scores": {"texts": total, "accuracy": scores.wilson(right, total), "macro_f1": by_class},
        "baseline": {"scores": {"accuracy": estimate(rng.random())}, "comparison": comparison},
        "confusion": counts.tolist(), "label_names": ["bad", "good"], "settings": {"unfreeze": int(rng.integers(2))},
    }  # fmt: skip
    said = module.in_words(facts)[0]["text"]
    always = counts.sum(axis=1).max() / total
    better = difference["low"] > 0 and comparison["p_value"] < 0.05
    given = counts.sum(axis=1)
    constant = f1_score(np.repeat([0, 1], given), np.full(total, given.argmax()), average="macro", zero_division=0)
    assert ("no better than giving every text" in said) == (always >= right / total and by_class["low"] <= constant)
    if "the model finds" in said:
        others, found = map(int, re.search(r"none of the (\d+) texts.* finds (\d+)", said).groups())
        assert (others, found) == (given.min(), counts[1 - given.argmax(), 1 - given.argmax()])
    if always < right / total:
        assert ("not clearly better than the baseline" in said) == (not better)
    right_of, most = map(int, re.search(r"gives (\d+) the right .* for every text gets (\d+)", said).groups())
    assert abs(right_of - 100 * right / total) <= 0.5
    assert abs(most - 100 * always) <= 0.5


def check_never_predicted(module, rng) -> None:
    classes = int(rng.integers(2, 5))
    counts = rng.integers(1, 9, (classes, classes)) * (rng.random(classes) < 0.6) * (rng.random((classes, 1)) < 0.8)
    if not counts.any():
        return
    names = list("abcd"[:classes])
    missing = [names[i] for i in range(classes) if counts[i].any() and not counts[:, i].any()]
    said = module.unpredicted(counts, names)
    assert bool(said) == bool(missing)
    if said:
        assert re.findall(r"'(\w)'", said[0].split(" never predicted")[0]) == missing
        always, model = map(float, re.search(r"has ([\d.]+) right, the model ([\d.]+)\.$", said[0]).groups())
        assert (always, model) == (
            shown(counts.sum(axis=1).max() / counts.sum()),
            shown(np.trace(counts) / counts.sum()),
        )


def check_slices(module, rng) -> None:
    rows = [
        {"slice": f"s{i}", "texts": int(rng.integers(5, 90)), "accuracy": estimate(rng.random()),
         "p_value": rng.choice([0.01, 0.5]), "uncertain": False}
        for i in range(int(rng.integers(2, 5)))
    ]  # fmt: skip
    said = module.verdict(rows, "lang", TASK)
    total = sum(row["texts"] for row in rows)
    overall = sum(row["texts"] * row["accuracy"]["value"] for row in rows) / total
    for row in rows:
        sentence = next((part for part in said.split("Significantly") if f"'{row['slice']}'" in part), "")
        assert bool(sentence) == (row["p_value"] < 0.05)
        assert not sentence or (" worse" in sentence) == (row["accuracy"]["value"] < overall)


def check_explanation(module, rng) -> None:
    leaning, words = rng.normal(0, 2, 2)
    error, score = rng.uniform(0, 0.1), rng.normal()
    given = SimpleNamespace(
        baseline_log_odds=leaning, log_odds=leaning + words, label="good", completeness_error=error,
        deletion=SimpleNamespace(score=score),
    )  # fmt: skip
    said, trusted = module.decided(given), module.reliable(given)
    assert ("leaning" in said) == (abs(leaning) > abs(words))
    assert not said.startswith("The words decide") or (leaning + words) * words >= 0
    without, with_them = (float(share) for share in re.findall(r"([\d.]+)%", said))
    expected = [100 / (1 + np.exp(-value)) for value in (leaning, leaning + words)]
    assert (without, with_them) == pytest.approx(expected, abs=0.06)
    assert trusted.startswith("Yes") == (error <= 0.05 and score > 0)
    assert trusted.startswith("Not quite") == (error > 0.05)


CHECKS = {
    "overfitting": (4000, check_overfitting, diagnostics),
    "calibration": (2000, check_calibration, calibration),
    "comparison": (800, check_comparison, scores),
    "opening": (800, check_opening, in_words),
    "never predicted": (800, check_never_predicted, diagnostics),
    "slices": (400, check_slices, slices),
    "explanation": (600, check_explanation, explained),
}


@pytest.mark.parametrize("name", CHECKS)
def test_no_sentence_contradicts_its_numbers(name):
    hold(CHECKS, name)


MUTANTS = [
    ("overfitting", "train - validation >= GAP:", "train - validation <= GAP:"),
    ("overfitting", "if rise <= NOTABLE:", "if rise >= NOTABLE:"),
    ("overfitting", "lowest > chance * (1 - NOTABLE)", "lowest < chance * (1 - NOTABLE)"),
    ("overfitting", "train[-1]) < -NOTABLE", "train[-1]) > -NOTABLE"),
    ("calibration", '> _shown(measured["error_limit"])', '< _shown(measured["error_limit"])'),
    (
        "calibration",
        '< _shown(measured[key]) for key in ("log_loss", "error")',
        '< _shown(measured[key]) for key in ("log_loss",)',
    ),
    ("calibration", "hotter and surplus > 0", "hotter and surplus < 0"),
    ("comparison", 'if difference["high"] < 0:', 'if difference["high"] > 0:'),
    ("comparison", '["difference"]["low"] > 0 and', '["difference"]["low"] < 0 and'),
    ("comparison", 'by_class["low"] > 0 and accuracy["value"] <= 0', 'by_class["low"] > 0 and accuracy["value"] >= 0'),
    ("comparison", 'names[0], by_class) if by_class["low"] > 0', 'names[0], by_class) if by_class["low"] < 0'),
    ("opening", "not is_better(comparison)", "is_better(comparison)"),
    ("opening", 'macro_f1["low"] <= 2', 'macro_f1["low"] >= 2'),
    ("opening", 'share >= right["value"]', 'share <= right["value"]'),
    ("never predicted", "actual[i] and not confusion", "actual[i] and confusion"),
    ("slices", '["value"] < overall', '["value"] > overall'),
    ("explanation", "abs(leaning) > abs(words)", "abs(leaning) < abs(words)"),
    ("explanation", "score <= 0", "score >= 0"),
]


@pytest.mark.parametrize(("name", "old", "new"), MUTANTS)
def test_a_swapped_comparison_is_found_out(name, old, new):
    with pytest.raises((AssertionError, AttributeError)):  # a sentence that is wrong, or that is missing
        hold(CHECKS, name, mutated(CHECKS[name][2], old, new))
