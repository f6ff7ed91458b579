"""The Hugging Face model card, README.md beside a model: the numbers of the report as Markdown, under a YAML header.

A card is published, so it holds no texts from the data and no folders of this machine.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from markupsafe import Markup

from bert_tf.formatting import format_value
from bert_tf.reporting import sections, tables
from bert_tf.reporting.in_words import opening
from bert_tf.reporting.page import PAGES
from bert_tf.reporting.sections import Block, Facts
from bert_tf.reporting.templates import render
from bert_tf.tasks.task import task_of


def write_model_card(
    output_dir: str | os.PathLike,
    model_name: str | None,
    history: Mapping[str, Sequence[float]],
    optimizer: Mapping,
    *,
    finetuned_from: str | None = None,
    tasks: str | Sequence[str] | None = None,
    dataset: str | Sequence[str] | None = None,
    language: str | Sequence[str] | None = None,
    license: str | None = None,
    tags: str | Sequence[str] | None = None,
) -> None:
    """Writes README.md into a model's folder.

    Args:
        output_dir: the folder; created if missing.
        model_name: None = the name of the folder.
        history: metric -> value of each epoch; empty = not trained.
        optimizer: settings of the optimizer.
        finetuned_from, tasks, dataset, language, license, tags: for the header of the card.
    """
    folder = Path(output_dir)
    settings = {key: value for key, value in optimizer.items() if isinstance(value, (str, int, float))}
    card = model_card(
        {"history": history, "settings": settings},
        model_name or folder.resolve().name,
        finetuned_from=finetuned_from,
        task=tasks if isinstance(tasks, str) else "text-classification",
        datasets=_several(dataset),
        language=language,
        license=license,
        tags=[*_several(tags), "generated_from_keras_callback"],
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README.md").write_text(card, encoding="utf-8")


def _several(value: str | Sequence[str] | None) -> list[str]:
    return [value] if isinstance(value, str) else list(value or ())


def model_card(
    facts: Facts,
    name: str,
    *,
    finetuned_from: str | None = None,
    task: str = "text-classification",
    datasets: Sequence[str] = (),
    language: str | Sequence[str] | None = None,
    license: str | None = None,
    tags: Sequence[str] = (),
) -> str:
    """Returns a model card.

    Args:
        facts: see `bert_tf.reporting.sections.sections`.
        name: name of the model.
        finetuned_from: hub name of the original checkpoint, or a folder, which the header leaves out.
        task, datasets, language, license, tags: for the header; whatever is unknown is left out.
    """
    from huggingface_hub import EvalResult, ModelCardData

    scores = facts.get("scores") or {}
    dataset = datasets[0] if datasets else "validation texts"
    measured = [
        EvalResult(task, dataset, dataset, one.hub, scores[one.key]["value"], metric_name=one.words)
        for one in task_of(facts.get("task", "classification")).measures
        if one.hub and scores and scores[one.key]["value"] is not None
    ]
    header = ModelCardData(
        model_name=name,
        eval_results=measured or None,
        metrics=[*dict.fromkeys(result.metric_type for result in measured)] or None,
        language=language if not language or isinstance(language, str) else [*language],
        license=license,
        library_name="keras",
        pipeline_tag=task,
        tags=[*tags, "bert_tf"],
        datasets=[*datasets] or None,
        base_model=finetuned_from if finetuned_from and not Path(finetuned_from).exists() else None,
    )
    if data := facts.get("data"):  # without texts and paths
        repeats = {**data["duplicates"], "conflicts": []} if data.get("duplicates") else None
        facts = {**facts, "data": {**data, "duplicates": repeats, "remarks": (), "skipped": ()}}
    if test := facts.get("test"):  # slices are named by values of the data
        facts = {**facts, "test": {key: value for key, value in test.items() if key != "slices"}}
    shown = (
        "Results",
        "Test",
        "Baseline",
        "Teacher and student",
        "Classes",
        "Labels",
        "Calibration",
        "Training",
        "Data",
        "Parameters",
        "Settings",
    )
    makers = {**sections.MAKERS, "Results": _results, "Training": _training, "Settings": _settings}
    return render(
        PAGES / "card.md",
        header=Markup(header.to_yaml()),
        name=name,
        origin=_local(finetuned_from),
        teacher=_local((facts.get("distilled") or {}).get("teacher")),
        sections=[{"title": title, "blocks": blocks} for title in shown if (blocks := makers[title](facts))],
        cells=tables.cells,
        counts=_counts,
    )


def _results(facts: Facts) -> list[Block]:
    return [*opening(facts), *sections.results(facts)]


def _training(facts: Facts) -> list[Block]:
    """The verdict on the training curves, and their numbers as a table."""
    history = facts.get("history") or {}
    first = task_of(facts.get("task", "classification")).measure
    kinds = {
        name: "score" if name.endswith("loss") else first.kind if name.endswith(first.key) else "plain"
        for name in history
    }
    columns = [{"name": name, "kind": kind} for name, kind in {"epoch": "plain", **kinds}.items()]
    rows = [[epoch, *values] for epoch, values in enumerate(zip(*history.values(), strict=True), 1)]
    return [*sections.training(facts), *([{"table": {"columns": columns, "rows": rows}}] if history else [])]


def _settings(facts: Facts) -> list[Block]:
    versions = {f"version of {name}": value for name, value in (facts.get("versions") or {}).items()}
    settings = {**(facts.get("settings") or {}), **versions}
    return [{"list": [(name, _local(value)) for name, value in settings.items()]}] if settings else []


def _local(value: Any) -> Any:
    """Shortens a path on this machine to its last part."""
    return PurePath(value).name if isinstance(value, str) and PurePath(value).is_absolute() else value


def _counts(confusion: Mapping[str, Any]) -> list[list[str]]:
    rows = zip(confusion["label_names"], confusion["counts"], strict=True)
    return [[name, *(format_value(count, "count") for count in counts)] for name, counts in rows]
