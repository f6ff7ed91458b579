"""Slices of the texts as sections of a report."""

from collections.abc import Mapping, Sequence
from typing import Any

from bert_tf.evaluation import slices
from bert_tf.reporting.blocks import Section, table_of
from bert_tf.tasks.task import Task, task_of

Rows = Sequence[Mapping[str, Any]]
IN_SLICES = 2  # measures of each slice that are shown, the first of the task's


def of_slices(found: Mapping[str, Any]) -> list[Section]:
    """Puts the slices in the content of evaluation.json into sections, one each slicing."""
    return [_slices(name, rows, task_of(found["task"])) for name, rows in found.get("slices", {}).items()]


def _slices(name: str, rows: Rows, task: Task) -> Section:
    shown, measures = rows[: slices.MOST_SLICES], task.measures[:IN_SLICES]
    kinds = {"texts": "count", **{one.words: one.kind for one in measures}}
    cells = [[row["slice"], row["texts"], *(row[one.key] for one in measures)] for row in shown]
    caption = "Each slice by itself; in brackets, 95 % intervals."
    if "p_value" in rows[0]:
        kinds |= {"p": "p", "": "text"}
        cells = [[*row, one["p_value"], "uncertain" * one["uncertain"]] for row, one in zip(cells, shown, strict=True)]
        caption += (
            f" p: Fisher's exact test of its accuracy against all other texts, corrected for {len(rows)} slices. Uncertain: the "
            f"interval of the accuracy is wider than {100 * slices.UNCERTAIN:.0f} points."
        )
    else:
        caption += " Whether a slice differs from the other texts is not tested."
    verdict = slices.verdict(rows, name, task)
    return {
        "title": f"By {name}",
        "blocks": [{"verdict": verdict}, table_of(cut(caption, rows), "slice", kinds, cells)],
    }


def cut(caption: str, rows: Rows) -> str:
    more = len(rows) - slices.MOST_SLICES
    return f"{caption} {more:,} smaller slices are in the JSON file beside this report." if more > 0 else caption
