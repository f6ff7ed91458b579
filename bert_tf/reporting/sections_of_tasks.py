"""Sections that only some tasks have the facts for: several labels a text, numbers."""

from bert_tf.reporting.blocks import Block, Facts, columns, split, table
from bert_tf.reporting.figures import describe


def labels(facts: Facts) -> list[Block]:
    rows = facts.get("labels")
    if not rows:
        return []
    chosen = "the one with the highest F1 on the validation texts; labels with few texts share one"
    if "thresholds" in facts:
        chosen = "the model's own"
    caption = (
        f"A label is predicted where its probability reaches its threshold, {chosen}. Precision: of the texts predicted to have the label, the share that has it. Recall: of "
        "the texts that have it, the share predicted to."
    )
    header = columns("label", texts="count", precision="score", recall="score", F1="score", threshold="score")
    keys = ("label", "support", "precision", "recall", "f1", "threshold")
    return [table(caption, header, [[row[key] for key in keys] for row in rows])]


def scatter(facts: Facts) -> list[Block]:
    points = facts.get("scatter")
    if not points:
        return []
    name = (facts.get("label_names") or ["number"])[0]
    words = (
        f"{len(points['given']):,} {split(facts)} texts. On the dotted line the prediction is right; a cloud flatter than the line means "
        "that the model keeps to the middle."
    )
    series = {"name": "texts", "x": points["given"], "y": points["predicted"], "as_": "points"}
    x, y = {"label": f"{name}, given"}, {"label": f"{name}, predicted"}
    return [{"plot": describe("Predicted against given", words, x, y, [series], diagonal=True)}]


def largest_errors(facts: Facts) -> list[Block]:
    if not facts.get("largest_errors"):
        return []
    rows = [[m["text"], m["given"], m["predicted"], m["predicted"] - m["given"]] for m in facts["largest_errors"]]
    header = columns("text", given="plain", predicted="plain", error="plain")
    return [table(f"{split(facts).capitalize()} texts whose number is missed most", header, rows)]


def label_mistakes(facts: Facts) -> list[Block]:
    if not facts.get("label_mistakes"):
        return []
    rows = [[m["text"], m["given"], m["predicted"], m["loss"]] for m in facts["label_mistakes"]]
    header = columns("text", given="text", predicted="text", log_loss="score")
    return [
        table(
            f"{split(facts).capitalize()} texts with wrong labels, those with the highest log loss first", header, rows
        )
    ]
