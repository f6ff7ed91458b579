"""What the report of a judged model adds to that of a run: slices of the texts, and another model beside it."""

from collections.abc import Mapping, Sequence
from typing import Any

from bert_tf.evaluation import slices
from bert_tf.evaluation.tfidf import BASELINE
from bert_tf.reporting.sections import Section, calibration, classes, mistakes

Rows = Sequence[Mapping[str, Any]]
SCORES = ("accuracy", "macro_f1", "log_loss")


def of_slices(sliced: Mapping[str, Rows]) -> list[Section]:
    """Puts slices into sections, one each slicing; `sliced`: its name -> rows of `slices.judge`."""
    return [_slices(name, rows) for name, rows in sliced.items()]


def _slices(name: str, rows: Rows) -> Section:
    shown = rows[: slices.MOST_SLICES]
    kinds = {"texts": "count", "accuracy": "score", "macro F1": "score", "p": "p", "": "text"}
    cells = [
        [row["slice"], row["texts"], row["accuracy"], row["macro_f1"], row["p_value"], "uncertain" * row["uncertain"]]
        for row in shown
    ]
    caption = (
        "Each slice by itself; in brackets, 95 % intervals. p: Fisher's exact test of its accuracy against all other texts, "
        f"corrected for {len(rows)} slices. Uncertain: the interval of the accuracy is wider than "
        f"{100 * slices.UNCERTAIN:.0f} points."
    )
    blocks = [{"verdict": slices.verdict(rows, name)}, _table(_cut(caption, rows), ("slice", "text"), kinds, cells)]
    return {"title": f"By {name}", "blocks": blocks}


def of_two(
    names: tuple[str, str],
    both: Sequence[Mapping[str, Any]],
    comparison: Mapping[str, Any],
    baseline: Mapping[str, Any] | None,
) -> Section:
    """Puts the scores of two models, dicts of `scores.evaluate`, beside each other and, if there is one, the baseline's."""
    rows = [
        [name, *(found["scores"][key] for key in SCORES), found["calibration"]["error"]]
        for name, found in zip(names, both, strict=True)
    ]
    verdicts = [comparison["verdict"]]
    if baseline:
        rows.append([BASELINE, *(baseline["scores"][key] for key in SCORES), None])
        verdicts.append(baseline["comparison"]["verdict"])
    caption = "On the same texts. In brackets, 95 % intervals of each alone; what two differ by is in the verdicts."
    kinds = dict.fromkeys(("accuracy", "macro F1", "log loss", "calibration error"), "score")
    words = (
        f"Only {names[0]} has {comparison['only_first']:,} texts right, only {names[1]} {comparison['only_second']:,}."
    )
    said = [{"verdict": verdict} for verdict in verdicts]
    return {"title": "Comparison", "blocks": [*said, _table(caption, ("", "text"), kinds, rows), {"text": words}]}


def of_two_in_slices(names: tuple[str, str], sliced: Mapping[str, Rows]) -> list[Section]:
    """Puts two models in each slice beside each other; `sliced`: name of a slicing -> rows of `slices.compare`."""
    sections = []
    for name, rows in sliced.items():
        kinds = {"texts": "count", **dict.fromkeys(names, "score"), "difference": "points", "p": "p"}
        keys = ("slice", "texts", "first", "second", "difference", "p_value")
        cells = [[row[key] for key in keys] for row in rows[: slices.MOST_SLICES]]
        caption = (
            f"Accuracy. Difference: points that {names[0]} is ahead, by paired bootstrap; p: McNemar's exact test, corrected for "
            f"{len(rows)} slices."
        )
        table = _table(_cut(caption, rows), ("slice", "text"), kinds, cells)
        sections.append({"title": f"By {name}", "blocks": [table]})
    return sections


def of_each(names: tuple[str, str], both: Sequence[Mapping[str, Any]]) -> list[Section]:
    """Returns for each of two models what the report of one has: classes, calibration, mistakes."""
    makers = {"classes": classes, "calibration": calibration, "most confident mistakes": mistakes}
    return [
        {"title": f"{name}: {title}", "blocks": make(found)}
        for name, found in zip(names, both, strict=True)
        for title, make in makers.items()
    ]


def _cut(caption: str, rows: Rows) -> str:
    more = len(rows) - slices.MOST_SLICES
    return f"{caption} {more:,} smaller slices are in evaluation.json." if more > 0 else caption


def _table(caption: str, first: tuple[str, str], kinds: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> dict:
    columns = [{"name": name, "kind": kind} for name, kind in (first, *kinds.items())]
    return {"table": {"caption": caption, "columns": columns, "rows": [*rows]}}
