"""The facts of a run, put into sections: which numbers are shown, in what order and words, whatever shows them.

A section is a dict of `title` and `blocks`. A block is a dict with one of these keys, which says what it is:
    `text`: a paragraph. `verdict`: a sentence that matters.
    `figures`: dicts of `name`, `value`, `kind` (of `formatting.format_value`), the numbers at the top.
    `table`: `columns`, dicts of `name` and `kind` ("text" = text from the data), `rows`, lists of values; `caption`.
    `plot`: see `bert_tf.reporting.plots.draw`; its `title` is its caption.
    `confusion`: `label_names` and `counts`, a row a given label.
    `image`: `png`, base64, and `alt`, what it shows.
    `code`: text to copy.
All is data: page.py makes HTML of it, card.py Markdown.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bert_tf.evaluation.tfidf import BASELINE
from bert_tf.formatting import format_value

Facts = Mapping[str, Any]


Section = dict[str, Any]


MOST_CLASSES = 15  # of a confusion matrix that a page can hold; of more, the pairs confused most often are listed


def sections(facts: Facts) -> list[Section]:
    """Puts facts into sections.

    Args:
        facts: plain dict, all keys optional:
            `title`, `subtitle`: str.
            `label_names`, `scores`, `confusion`, `classes`, `calibration`: of `bert_tf.evaluation.scores.evaluate`.
            `best_epoch`: int; `history`: metric -> value of each epoch; `overfitting`: of
                `diagnostics.overfitting`.
            `baseline`: dict of `scores` (of `evaluate`, for the baseline), `comparison` (of `scores.compare`, the model first) and
                `texts`, how many it learned from.
            `data`: dict of `splits`, dicts of `name`, `labels` (label -> texts) and `lengths` (of `diagnostics.lengths`);
                `duplicates` (of `diagnostics.duplicates`).
            `parameters`: `(part, parameters, trainable parameters)` of each part.
            `mistakes`: of `diagnostics.mistakes`; `mislabelled`: of `diagnostics.suspect_labels`.
            `cost`: `(what, value, kind)` each: time and memory; `hints`: sentences.
            `sections`: more sections, shown before data, parameters and settings.
            `settings`, `versions`: name -> value; `command`: str, what to run for the same again.
    Returns: the sections that there are facts for.
    """
    found = [make(facts) for make in (results, floor, training, classes, calibration, mistakes, mislabelled)]
    found += [dict(section) for section in facts.get("sections", ())]
    found += [make(facts) for make in (data, parameters, cost, again)]
    return [section for section in found if section and section["blocks"]]


def results(facts: Facts) -> Section | None:
    scores = facts.get("scores")
    if not scores:
        return None
    figures = [
        {"name": "accuracy", "value": scores["accuracy"], "kind": "score"},
        {"name": "macro F1", "value": scores["macro_f1"], "kind": "score"},
        {"name": "log loss (nats)", "value": scores["log_loss"], "kind": "score"},
    ]
    if facts.get("calibration"):
        figures.append({"name": "calibration error", "value": facts["calibration"]["error"], "kind": "score"})
    if facts.get("baseline"):
        difference = facts["baseline"]["comparison"]["difference"]
        figures.append({"name": "accuracy above the floor, points", "value": difference, "kind": "points"})
    words = f"On {format_value(scores['texts'], 'count')} validation texts; in brackets, 95 % intervals."
    if facts.get("best_epoch"):
        words += f" Epoch {facts['best_epoch']} was kept because it did best on these very texts: expect slightly less on others."
    hints = [{"text": hint} for hint in facts.get("hints", ())]
    return {"title": "Results", "blocks": [{"figures": figures}, {"text": words}, *hints]}


def floor(facts: Facts) -> Section | None:
    found = facts.get("baseline")
    if not found:
        return None
    blocks: list[dict[str, Any]] = [{"verdict": found["comparison"]["verdict"]}]
    difference = found["comparison"]["difference"]
    if difference["low"] <= 0:
        frozen = (facts.get("settings") or {}).get("unfreeze", 0) == 0
        words = (
            "A frozen encoder often loses to counting words; unfreezing some layers (--unfreeze 2) often changes that. "
        )
        blocks.append(
            {"text": (words if frozen else "") + "Where counting words does as well, it is the cheaper model."}
        )
    rows = [["this model", facts.get("scores")], [BASELINE, found["scores"]]]
    measured = ("accuracy", "macro_f1", "log_loss")
    blocks.append(
        {
            "table": {
                "caption": f"The floor: what the words of {format_value(found['texts'], 'count')} training texts alone give, "
                "without a neural network",
                "columns": _columns("", accuracy="score", macro_F1="score", log_loss="score"),
                "rows": [[name, *(scores[key] for key in measured)] for name, scores in rows if scores],
            }
        }
    )
    return {"title": "The floor", "blocks": blocks}


def training(facts: Facts) -> Section | None:
    history = facts.get("history") or {}
    found = facts.get("overfitting")
    blocks: list[dict[str, Any]] = [{"verdict": found["verdict"]}] if found else []
    if facts.get("best_epoch"):
        mark = {"x": facts["best_epoch"], "label": f"kept: epoch {facts['best_epoch']}"}
    for metric, label in (("loss", "cross-entropy loss (nats)"), ("accuracy", "accuracy (share of texts)")):
        series = [
            {"name": name, "x": [*range(1, len(history[key]) + 1)], "y": [*history[key]]}
            for name, key in (("training", metric), ("validation", f"val_{metric}"))
            if any(math.isfinite(value) for value in history.get(key) or ())
        ]
        if not series:
            continue
        ends = "; ".join(
            f"{s['name']} from {format_value(s['y'][0], 'score')} to {format_value(s['y'][-1], 'score')}"
            for s in series
        )
        blocks.append(
            {
                "plot": {
                    "title": f"{metric.capitalize()} by epoch",
                    "description": f"{ends[:1].upper()}{ends[1:]}, over {len(series[0]['x'])} epochs.",
                    "x": {"label": "epoch", "whole": True},
                    "y": {"label": label, "kind": "score"},
                    "series": series,
                    "marks": [mark] if facts.get("best_epoch") else [],
                }
            }
        )
    if found:
        rows = [["kept", found["best_epoch"], found["gap_at_best"]], ["last", found["epochs"], found["gap_at_last"]]]
        blocks.append(
            {
                "table": {
                    "caption": "Validation loss less training loss. Training loss is the mean over an epoch, with dropout: "
                    "early on it may be the higher one.",
                    "columns": _columns("", epoch="plain", gap="score"),
                    "rows": rows,
                }
            }
        )
    return {"title": "Training", "blocks": blocks}


def classes(facts: Facts) -> Section | None:
    blocks: list[dict[str, Any]] = []
    names, confusion = facts.get("label_names") or [], facts.get("confusion")
    if confusion and len(names) <= MOST_CLASSES:
        blocks.append({"confusion": {"label_names": [*names], "counts": confusion}})
    elif confusion:
        pairs = [[names[i], names[j], n] for i, row in enumerate(confusion) for j, n in enumerate(row) if i != j and n]
        pairs.sort(key=lambda pair: -pair[2])
        columns = _columns("given", predicted="text", texts="count")
        blocks.append({"table": {"caption": "Classes confused most often", "columns": columns, "rows": pairs[:20]}})
    if facts.get("classes"):
        blocks.append(
            {
                "table": {
                    "caption": "Each class. Precision: the share of texts given this label by the model that have it. Recall: "
                    "the share of texts with this label that the model finds.",
                    "columns": _columns("class", texts="count", precision="score", recall="score", F1="score"),
                    "rows": [
                        [row["label"], row["support"], row["precision"], row["recall"], row["f1"]]
                        for row in facts["classes"]
                    ],
                }
            }
        )
    return {"title": "Classes", "blocks": blocks}


def calibration(facts: Facts) -> Section | None:
    found = facts.get("calibration")
    if not found:
        return None
    error, by_chance, after = (format_value(found[key], "score") for key in ("error", "error_by_chance", "error_after"))
    heat = found["temperature"]
    words = "about as sure as it should be" if 0.9 <= heat <= 1.1 else "too sure" if heat > 1 else "not sure enough"
    verdict = (
        f"The model is {words}: the temperature that suits its logits is {heat:.2f}. Its probabilities are off by {error} on "
        f"average; a perfectly calibrated model would show {by_chance} on as few texts."
    )
    helps = found["log_loss_after"] < found["log_loss"] - 0.0005  # in the digits shown
    note = (
        f"To divide the logits by a temperature {'helps' if helps else 'does not help'} here: log loss goes from "
        f"{format_value(found['log_loss'], 'score')} to {format_value(found['log_loss_after'], 'score')}, the calibration error from {error} "
        f"to {after}. Each half of the texts is judged by the temperature of the other half. No label changes by it."
    )
    bins = found["bins"]
    plot = {
        "title": "Accuracy by confidence",
        "description": "Each point is a bin of equally many texts. On the dotted line the model is right as often as it is "
        "sure; below it, it is too sure. Bars are 95 % intervals.",
        "x": {"label": "confidence (mean probability of the label)", "range": _range(bins), "kind": "score"},
        "y": {"label": "accuracy (share of texts)", "kind": "score"},
        "series": [
            {
                "name": "accuracy",
                "x": [each["confidence"] for each in bins],
                **interval([each["accuracy"] for each in bins]),
                "as_": "points",
            }
        ],
        "diagonal": True,
    }
    return {"title": "Calibration", "blocks": [{"verdict": verdict}, {"plot": plot}, {"text": note}]}


def interval(estimates: Sequence[Mapping[str, Any]]) -> dict[str, list]:
    """Returns estimates, dicts of `value`, `low` and `high`, as the `y`, `low` and `high` of a plot's series."""
    return {
        name: [estimate[key] for estimate in estimates]
        for name, key in (("y", "value"), ("low", "low"), ("high", "high"))
    }


def _range(bins: Sequence[Mapping[str, Any]]) -> list[float]:
    """The part of 0 to 1 that confidences lie in: of two classes, from 0.5."""
    return [max(0.0, int(min(each["confidence"] for each in bins) * 10) / 10), 1.0]


def mistakes(facts: Facts) -> Section | None:
    found = facts.get("mistakes")
    if not found:
        return None
    rows = [[m["text"], m["given"], m["predicted"], m["probability"]] for m in found]
    columns = _columns("text", given="text", predicted="text", probability="score")
    table = {"caption": "Validation texts the model is wrong about, the surest first", "columns": columns, "rows": rows}
    return {"title": "Most confident mistakes", "blocks": [{"table": table}]}


def mislabelled(facts: Facts) -> Section | None:
    found = facts.get("mislabelled")
    if not found:
        return None
    suspects, texts = found["suspects"], found["texts"]
    if not suspects:
        return {"title": "Likely wrong labels", "blocks": [{"verdict": f"None of the {texts:,} training texts."}]}
    words = (
        f"{suspects:,} of {texts:,} training texts ({format_value(suspects / texts, 'share')}) seem to belong to another class, by "
        "models that have not seen them (confident learning). Look at these first; not all are wrong."
    )
    rows = [[m["text"], m["given"], m["suggested"], m["probability"]] for m in found["listed"]]
    columns = _columns("text", given="text", rather="text", probability_of_the_given="score")
    table = {"caption": "Training texts, the least likely label first", "columns": columns, "rows": rows}
    return {"title": "Likely wrong labels", "blocks": [{"text": words}, {"table": table}]}


def data(facts: Facts) -> Section | None:
    found = facts.get("data")
    if not found:
        return None
    splits = found["splits"]
    names = [*dict.fromkeys(name for split in splits for name in split["labels"])]
    blocks: list[dict[str, Any]] = []
    rows = [
        [split["name"], sum(split["labels"].values()), *(split["labels"].get(n, 0) for n in names)] for split in splits
    ]
    if len(names) <= 6:
        columns = [*_columns("texts of", all="count"), *({"name": name, "kind": "count"} for name in names)]
    else:  # many classes go down the page, not across
        rows = [[name, *(split["labels"].get(name, 0) for split in splits)] for name in names]
        columns = [*_columns("class"), *({"name": split["name"], "kind": "count"} for split in splits)]
    blocks.append({"table": {"caption": "Texts by label", "columns": columns, "rows": rows}})
    measured = [(split["name"], split["lengths"]) for split in splits if split.get("lengths")]
    if measured:
        rows = [[n, s["median"], s["longest"], s["cut"], s["cut"] / max(s["texts"], 1)] for n, s in measured]
        columns = _columns("tokens of", median="count", longest="count", texts_cut="count", share_cut="share")
        caption = f"Lengths. Texts are cut at {measured[0][1]['max_length']} tokens (--max-length)"
        blocks += [{"table": {"caption": caption, "columns": columns, "rows": rows}}, {"plot": _histogram(measured)}]
    if found.get("duplicates"):
        blocks += _duplicates(found["duplicates"])
    return {"title": "Data", "blocks": blocks}


def _histogram(measured: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    most = measured[0][1]["max_length"]
    series = []
    for name, split in measured:
        middles = [(a + b - 1) / 2 for a, b in zip(split["edges"], split["edges"][1:], strict=False)]
        shares = [count / max(split["texts"], 1) for count in split["counts"]]
        series.append({"name": name, "x": middles, "y": shares})
    longest = max(split["longest"] for _, split in measured)
    return {
        "title": "Lengths of the texts",
        "description": f"Share of texts by their number of tokens; the longest has {longest:,}.",
        "x": {"label": "tokens", "range": [0, max(longest, 1)]},
        "y": {"label": "share of texts", "kind": "share"},
        "series": series,
        "marks": [{"x": most, "label": f"cut at {most}"}] if most < longest else [],
    }


def _duplicates(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    if not any([*found["within"].values(), *found["across"].values()]):
        return [{"text": "No text occurs twice, case and spaces aside."}]
    first = next(iter(found["within"]))
    rows = [[name, repeated, found["across"].get(name)] for name, repeated in found["within"].items()]
    columns = [*_columns("texts of", repeated="count"), {"name": f"also in {first}", "kind": "count"}]
    blocks: list[dict[str, Any]] = [
        {
            "table": {
                "caption": "Texts that occur more than once, case and spaces aside",
                "columns": columns,
                "rows": rows,
            }
        }
    ]
    leaked = sum(found["across"].values())
    if leaked:
        blocks.append(
            {"verdict": f"{leaked:,} texts to judge by are among those learned from: the scores are too good."}
        )
    if found["conflicting"]:
        words = f"{found['conflicting']:,} texts occur with different labels. One of these must be wrong."
        rows = [[each["text"], ", ".join(each["labels"])] for each in found["conflicts"]]
        table = {"caption": "Same text, different labels", "columns": _columns("text", labels="text"), "rows": rows}
        blocks += [{"verdict": words}, {"table": table}]
    return blocks


def parameters(facts: Facts) -> Section | None:
    rows = [[*row] for row in facts.get("parameters") or ()]
    if not rows:
        return None
    rows.append(["total", sum(row[1] for row in rows), sum(row[2] for row in rows)])
    table = {
        "caption": "What was trained and what stayed as it was",
        "columns": _columns("part", parameters="count", trainable="count", share="share"),
        "rows": [[name, count, trained, trained / count if count else None] for name, count, trained in rows],
    }
    return {"title": "Parameters", "blocks": [{"table": table}]}


def cost(facts: Facts) -> Section | None:
    rows = [[what, format_value(value, kind)] for what, value, kind in facts.get("cost") or ()]
    if not rows:
        return None
    table = {"caption": "What the run took", "columns": _columns("what", how_much="plain"), "rows": rows}
    return {"title": "Time and memory", "blocks": [{"table": table}]}


def again(facts: Facts) -> Section | None:
    blocks: list[dict[str, Any]] = [{"code": facts["command"]}] if facts.get("command") else []
    for key, caption in (("settings", "Settings"), ("versions", "Versions")):
        if facts.get(key):
            rows = [[name.replace("_", " "), value] for name, value in facts[key].items()]
            table = {"caption": caption, "columns": _columns("what", value="plain"), "rows": rows}
            blocks.append({"table": table})
    return {"title": "The same again", "blocks": blocks}


def _columns(first: str, **others: str) -> list[dict[str, str]]:
    columns = [{"name": first, "kind": "text"}]
    return columns + [{"name": name.replace("_", " "), "kind": kind} for name, kind in others.items()]
