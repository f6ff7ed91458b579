"""What the report of a judged model adds to that of a run: slices of the texts, and another model beside it."""

from collections.abc import Mapping, Sequence
from typing import Any

from bert_tf.evaluation import slices
from bert_tf.formatting import capital
from bert_tf.reporting.blocks import Block, Section, table_of
from bert_tf.reporting.sections import MAKERS
from bert_tf.reporting.sections_of_slices import cut, of_slices
from bert_tf.tasks.task import task_of

OF_EACH = (
    "Classes",
    "Labels",
    "Predicted against given",
    "Calibration",
    "Most confident mistakes",
    "Wrong labels",
    "Largest errors",
)  # sections of a run that each of two models has


def thresholds(found: Mapping[str, Any]) -> str:
    """Says by whom the thresholds of labels were chosen, of the model and, if there is one, of the baseline."""
    said = "Each label's threshold is the model's own (0.5 if it has none), not chosen on these texts."
    if "baseline" not in found:
        return said
    how = "chosen by cross-validation on its training texts" if "thresholds" in found["baseline"] else "0.5"
    return f"{said} Those of the baseline are {how}."


def of_two(names: tuple[str, str], both: Sequence[Mapping[str, Any]], found: Mapping[str, Any]) -> Section:
    """Puts the scores of two models, dicts of `Task.evaluate`, beside each other and, if there is one, the baseline's."""
    task, comparison = task_of(found["task"]), found["comparison"]
    kinds = {one.words: one.kind for one in task.measures}
    rows = [[name, *(own["scores"][one.key] for one in task.measures)] for name, own in zip(names, both, strict=True)]
    verdicts = [comparison["verdict"]]
    if baseline := found.get("baseline"):
        rows.append([task.baseline_name, *(baseline["scores"][one.key] for one in task.measures)])
        verdicts.append(baseline["comparison"]["verdict"])
    if "calibration" in both[0]:
        kinds["calibration error"] = "score"
        errors = [*(one["calibration"]["error"] for one in both), None]
        rows = [[*row, error] for row, error in zip(rows, errors, strict=False)]
    caption = "On the same texts. In brackets, 95 % intervals of each alone; what two differ by is in the verdicts."
    words = [thresholds(found)] if "labels" in found else []
    if "only_first" in comparison:
        right = "Only {} has {:,} texts right, only {} {:,}."
        words.append(right.format(names[0], comparison["only_first"], names[1], comparison["only_second"]))
    said = [{"verdict": verdict} for verdict in verdicts]
    table = table_of(caption, "", kinds, rows)
    return {"title": "Comparison", "blocks": [*said, table, *({"text": one} for one in words)]}


def of_two_in_slices(names: tuple[str, str], found: Mapping[str, Any]) -> list[Section]:
    """Puts two models in each slice beside each other, one section each slicing in the content of evaluation.json."""
    task, sections = task_of(found["task"]), []
    for name, rows in found.get("slice_comparisons", {}).items():
        kinds = {"texts": "count", **dict.fromkeys(names, task.measure.kind), "difference": task.gain.kind}
        keys = ["slice", "texts", "first", "second", "difference"]
        caption = f"{capital(task.score_words)}. Difference: how far {names[0]} is ahead, by paired bootstrap"
        if "p_value" in rows[0]:
            kinds["p"] = "p"
            keys.append("p_value")
            caption += f"; p: McNemar's exact test, corrected for {len(rows)} slices"
        cells = [[row[key] for key in keys] for row in rows[: slices.MOST_SLICES]]
        table = table_of(cut(f"{caption}.", rows), "slice", kinds, cells)
        sections.append({"title": f"By {name}", "blocks": [table]})
    return sections


def of_each(names: tuple[str, str], both: Sequence[Mapping[str, Any]]) -> list[Section]:
    """Returns for each of two models what the report of one has: classes or labels, calibration, mistakes."""
    return [
        {"title": f"{name}: {title.lower()}", "blocks": MAKERS[title](found)}
        for name, found in zip(names, both, strict=True)
        for title in OF_EACH
    ]


def summary(found: Mapping[str, Any]) -> list[Block]:
    """Puts the content of evaluation.json into a few tables: the scores, and each slicing."""
    second, task = found.get("second"), task_of(found["task"])
    rows = [(found["model"], found["scores"])] + ([(second["name"], second["scores"])] if second else [])
    rows += [(task.baseline_name, found["baseline"]["scores"])] if "baseline" in found else []
    kinds = {one.words: one.kind for one in task.measures}
    cells = [[name, *(scores[one.key] for one in task.measures)] for name, scores in rows]
    blocks = [table_of("Scores", "", kinds, cells)]
    made = of_two_in_slices((found["model"], second["name"]), found) if second else of_slices(found)
    return blocks + [block for section in made for block in section["blocks"] if "table" in block]
