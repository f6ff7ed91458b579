"""The Hugging Face model card, README.md beside a model: the numbers of the report as Markdown, under a YAML header.

Texts from the data stay out of it, and where files lay on this machine: a card is published.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from bert_tf.formatting import format_value
from bert_tf.reporting.sections import Facts, Section, calibration, classes, data, floor, parameters, results, training


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
        output_dir: the folder; made if it is not there.
        model_name: None = the folder's name.
        history: metric -> value of each epoch; empty = not trained.
        optimizer: the optimizer's settings.
        finetuned_from, tasks, dataset, language, license, tags: the card's header.
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


# Key of the scores, the hub's name for it, and its words.
METRICS = (("accuracy", "accuracy", "accuracy"), ("macro_f1", "f1", "macro F1"), ("log_loss", "log_loss", "log loss"))


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
        name: of the model.
        finetuned_from: hub name of the checkpoint it was made from, or a folder, which the header leaves out.
        task, datasets, language, license, tags: of the header; what is not known is left out.
    """
    from huggingface_hub import EvalResult, ModelCardData

    scores = facts.get("scores")
    dataset = datasets[0] if datasets else "validation texts"
    measured = [
        EvalResult(task, dataset, dataset, type_, scores[key]["value"], metric_name=words)
        for key, type_, words in (METRICS if scores else ())
        if scores and scores[key]["value"] is not None
    ]
    header = ModelCardData(
        model_name=name,
        eval_results=measured or None,
        metrics=[result.metric_type for result in measured] or None,
        language=language if not language or isinstance(language, str) else [*language],
        license=license,
        library_name="keras",
        pipeline_tag=task,
        tags=[*tags, "bert_tf"],
        datasets=[*datasets] or None,
        base_model=finetuned_from if finetuned_from and not Path(finetuned_from).exists() else None,
    )
    origin = (
        f"Fine-tuned from {_safe(_local(finetuned_from))} with bert_tf." if finetuned_from else "Trained with bert_tf."
    )
    lines = ["---", header.to_yaml(), "---", "", f"# {_safe(name)}", "", origin]
    facts = _without_texts(facts)
    for section in (
        make(facts) for make in (results, floor, classes, calibration, _training, data, parameters, _settings)
    ):
        if section and section["blocks"]:
            lines += ["", f"## {_safe(section['title'])}"]
            lines += [line for block in section["blocks"] for line in _block(block)]
    return "\n".join(lines) + "\n"


def _without_texts(facts: Facts) -> dict[str, Any]:
    found = facts.get("data") or {}
    if not found.get("duplicates"):
        return dict(facts)
    return {**facts, "data": {**found, "duplicates": {**found["duplicates"], "conflicts": []}}}


def _training(facts: Facts) -> Section:
    """The verdict on the curves, and these as a table."""
    section = training(facts) or {"title": "Training", "blocks": []}
    history = facts.get("history") or {}
    if not history:
        return section
    kinds = ["score" if name.endswith(("loss", "accuracy")) else "plain" for name in history]
    columns = [{"name": name, "kind": kind} for name, kind in zip(["epoch", *history], ["plain", *kinds], strict=True)]
    rows = [[epoch, *values] for epoch, values in enumerate(zip(*history.values(), strict=True), 1)]
    return {**section, "blocks": [*section["blocks"], {"table": {"columns": columns, "rows": rows}}]}


def _settings(facts: Facts) -> Section:
    settings = {
        **(facts.get("settings") or {}),
        **{f"version of {k}": v for k, v in (facts.get("versions") or {}).items()},
    }
    return {
        "title": "Settings",
        "blocks": [{"list": [(key, _local(value)) for key, value in settings.items()]}] if settings else [],
    }


def _local(value: Any) -> Any:
    """Leaves of a path on this machine its last part."""
    return PurePath(value).name if isinstance(value, str) and PurePath(value).is_absolute() else value


def _block(block: Mapping[str, Any]) -> list[str]:
    """Returns a block's lines, none for one that Markdown cannot hold."""
    ((kind, held),) = block.items()
    if kind in ("text", "verdict"):
        return ["", _safe(held)]
    if kind == "list":
        return ["", *(f"- {_safe(key)}: {_safe(format_value(value))}" for key, value in held)]
    if kind == "figures":
        return ["", *(f"- {_safe(each['name'])}: {_safe(format_value(each['value'], each['kind']))}" for each in held)]
    if kind == "table":
        columns = held["columns"]
        rows = [[format_value(v, _kind(c["kind"])) for v, c in zip(row, columns, strict=True)] for row in held["rows"]]
        return [
            *(["", _safe(held["caption"])] if held.get("caption") else []),
            *_table([c["name"] for c in columns], rows),
        ]
    if kind == "confusion":
        names = held["label_names"]
        rows = [
            [name, *(format_value(n, "count") for n in row)] for name, row in zip(names, held["counts"], strict=True)
        ]
        return ["", "Given labels down, predicted labels across; texts", *_table(["", *names], rows)]
    return []


def _kind(kind: str) -> str:
    return "plain" if kind == "text" else kind


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(map(_safe, row))} |" for row in [header, *rows]]
    return ["", lines[0], "|---" * len(header) + "|", *lines[1:]]


def _safe(value: Any) -> str:
    """Text that cannot leave its place in Markdown or HTML."""
    escaped = str(value).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for characters, name in (
        ("|", "&#124;"),
        ("`", "&#96;"),
        ("*", "&#42;"),
        ("](", "]&#40;"),
        ("][", "]&#91;"),
        ("]:", "]&#58;"),
    ):
        escaped = escaped.replace(characters, name)
    return " ".join(escaped.split())
