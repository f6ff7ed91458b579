"""The section on calibration: whether a model is right as often as its probabilities say."""

from collections.abc import Mapping
from typing import Any

from bert_tf.formatting import format_value
from bert_tf.reporting.blocks import Block, Facts
from bert_tf.reporting.figures import ACCURACY, describe, interval

SLIGHT = 0.1  # a temperature that differs from 1 by less means nothing


def calibration(facts: Facts) -> list[Block]:
    measured = facts.get("calibration")
    if not measured:
        return []
    several = "decisions" in measured  # of several labels a text, which have no predicted one
    drawn = _of_decisions(measured) if several else _of_texts(measured)
    blocks: list[Block] = [{"verdict": verdict(measured)}, {"plot": drawn}, {"text": scaling(measured)}]
    if (divided := facts.get("temperature", 1.0)) != 1:
        words = f"The model was calibrated on these same texts: its logits were divided by {divided:.2f}, inside its last layer. "
        blocks.insert(1, {"text": words + "On new texts expect a slightly larger error."})
    return blocks


def verdict(measured: Mapping[str, Any]) -> str:
    """Says whether probabilities are off by more than chance explains on so few texts, and in which direction."""
    error, by_chance, limit = (
        format_value(measured[key], "score") for key in ("error", "error_by_chance", "error_limit")
    )
    over = (
        f" over {measured['decisions']:,} decisions, of which text has which label" if "decisions" in measured else ""
    )
    off = f"its probabilities are off by {error} on average{over}"
    chance = f"A perfectly calibrated model would show about {by_chance} on this few texts, and stay below {limit} in 95 of 100 cases."
    if not is_beyond_chance(measured):
        return f"The model is as well calibrated as these texts can show: {off}, no more than chance explains. {chance}"
    best = f"best temperature {measured['temperature']:.2f}; 1 is ideal"
    return f"The model is {_direction(measured)} ({best}): {off}, more than chance explains. {chance}"


def is_beyond_chance(measured: Mapping[str, Any]) -> bool:
    """Returns whether the calibration error is more than chance, in the digits that are shown."""
    return _shown(measured["error"]) > _shown(measured["error_limit"])


def _direction(measured: Mapping[str, Any]) -> str:
    """Returns how the model errs: by the temperature, and where a text has one class by how often it is right, too."""
    hotter, colder = measured["temperature"] > 1 + SLIGHT, measured["temperature"] < 1 - SLIGHT
    if "decisions" not in measured:
        surplus = sum(one["texts"] * (one["confidence"] - one["accuracy"]["value"]) for one in measured["bins"])
        hotter, colder = hotter and surplus > 0, colder and surplus < 0
    if hotter:
        return "overconfident"
    return "underconfident" if colder else "too sure of some texts, not sure enough of others"


def scaling(measured: Mapping[str, Any]) -> str:
    """Says whether a temperature helps: where the model is off by more than chance, and both loss and error become smaller."""
    keys = ("error", "error_after", "log_loss", "log_loss_after")
    error, after, loss, loss_after = (format_value(measured[key], "score") for key in keys)
    smaller = [_shown(measured[f"{key}_after"]) < _shown(measured[key]) for key in ("log_loss", "error")]
    helps = "helps" if all(smaller) and is_beyond_chance(measured) else "is of no clear use"
    stays = "The order of labels stays the same, the thresholds would move."
    return (
        f"Temperature scaling, which divides the logits by one number, {helps} here: log loss changes from {loss} to {loss_after}, "
        f"calibration error from {error} to {after}. The temperature for each half of the texts is fitted on the other half. "
        f"{stays if 'decisions' in measured else 'Predicted labels stay the same.'}"
    )


def _shown(value: float) -> float:
    return round(value, 3)


def _of_texts(measured: Mapping[str, Any]) -> dict[str, Any]:
    """Describes accuracy by the confidence of the predicted class."""
    bins = measured["bins"]
    x = [one["confidence"] for one in bins]
    series = {"name": "accuracy", "x": x, "as_": "points", **interval([one["accuracy"] for one in bins])}
    axis = {
        "label": "confidence (mean probability of the predicted label)",
        "range": [min(int(min(x) * 10) / 10, 0.9), 1.0],  # of two classes, no confidence is below 0.5
        "kind": "score",
    }
    description = (
        "Each point stands for the same number of texts. On the dotted line the model is right as often as its confidence says; "
        "below the line it is overconfident. Bars are 95 % intervals."
    )
    return describe("Accuracy by confidence", description, axis, ACCURACY, [series], diagonal=True)


def _of_decisions(measured: Mapping[str, Any]) -> dict[str, Any]:
    """Describes how often labels are there by their probability, of all labels together."""
    bins = measured["bins"]
    shares = interval([one["share"] for one in bins])
    series = {"name": "labels", "x": [one["probability"] for one in bins], "as_": "points", **shares}
    x = {"label": "mean probability of a label", "range": [0.0, 1.0], "kind": "score"}
    y = {"label": "share of texts that have it", "kind": "score", "most": 1.0}
    description = (
        "All labels together: each point stands for decisions of similar probability, the more of them the surer they are. On the "
        "dotted line labels are there as often as their probability says. Bars are 95 % intervals, as if labels were independent."
    )
    return describe("Labels that are there, by probability", description, x, y, [series], diagonal=True)
