"""The section on calibration: whether a model is right as often as its probabilities say."""

from collections.abc import Mapping
from typing import Any

from bert_tf.formatting import format_value
from bert_tf.reporting.blocks import Block, Facts
from bert_tf.reporting.figures import ACCURACY, describe, interval


def calibration(facts: Facts) -> list[Block]:
    measured = facts.get("calibration")
    if not measured:
        return []
    several = "decisions" in measured  # of several labels a text, which have no predicted one
    keys = ("error", "error_by_chance", "error_after", "log_loss", "log_loss_after")
    error, by_chance, after, before_loss, after_loss = (format_value(measured[key], "score") for key in keys)
    temperature = measured["temperature"]
    words = "well calibrated" if 0.9 <= temperature <= 1.1 else "overconfident" if temperature > 1 else "underconfident"
    over = f" over {measured['decisions']:,} decisions, of which text has which label" if several else ""
    verdict = (
        f"The model is {words} (best temperature {temperature:.2f}; 1 is ideal). Its probabilities are off by {error} on average{over}. "
        f"A perfectly calibrated model would show {by_chance} on this few texts."
    )
    helps = measured["log_loss_after"] < measured["log_loss"] - 0.0005  # in the digits shown
    stays = (
        "The order of labels stays the same, the thresholds would move."
        if several
        else "Predicted labels stay the same."
    )
    note = (
        f"Temperature scaling, which divides the logits by one number, {'helps' if helps else 'does not help'} here: log loss "
        f"changes from {before_loss} to {after_loss}, calibration error from {error} to {after}. The temperature for each half of "
        f"the texts is fitted on the other half. {stays}"
    )
    drawn = _of_decisions(measured) if several else _of_texts(measured)
    blocks: list[Block] = [{"verdict": verdict}, {"plot": drawn}, {"text": note}]
    if (divided := facts.get("temperature", 1.0)) != 1:
        words = f"The model was calibrated on these same texts: its logits were divided by {divided:.2f}, inside its last layer. "
        blocks.insert(1, {"text": words + "On new texts expect a slightly larger error."})
    return blocks


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
    y = {"label": "share of texts that have it", "kind": "score"}
    description = (
        "All labels together: each point stands for decisions of similar probability, the more of them the surer they are. On the "
        "dotted line labels are there as often as their probability says. Bars are 95 % intervals, as if labels were independent."
    )
    return describe("Labels that are there, by probability", description, x, y, [series], diagonal=True)
