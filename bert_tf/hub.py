"""What goes up to the Hugging Face hub: a model's folder and its card."""

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path


def push(
    save: Callable[[Path], None],
    repo_id: str,
    commit_message: str,
    private: bool | None = None,
    token: str | bool | None = None,
) -> str:
    """Uploads whatever `save` writes into a folder; returns the address of the commit."""
    with tempfile.TemporaryDirectory() as scratch:
        save(Path(scratch))
        return upload(scratch, repo_id, commit_message, private, token)


def upload(
    folder: str | os.PathLike,
    repo_id: str,
    commit_message: str = "Upload model",
    private: bool | None = None,
    token: str | bool | None = None,
) -> str:
    """Uploads a folder as it is; makes the repository if it is not there. Returns the address of the commit."""
    from huggingface_hub import HfApi

    api = HfApi(token=token)
    repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
    return str(api.upload_folder(repo_id=repo_id, folder_path=folder, commit_message=commit_message))


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
    from huggingface_hub import ModelCardData

    folder = Path(output_dir)
    name = model_name or folder.resolve().name
    header = ModelCardData(
        model_name=name,
        language=language,
        license=license,
        library_name="keras",
        pipeline_tag=tasks if isinstance(tasks, str) else "text-classification",
        tags=[*_several(tags), "bert_tf", "generated_from_keras_callback"],
        datasets=_several(dataset) or None,
        base_model=finetuned_from if finetuned_from and not Path(finetuned_from).exists() else None,
    )
    lines = ["---", header.to_yaml(), "---", "", f"# {_cell(name)}", ""]
    lines.append(
        f"Fine-tuned from {_cell(finetuned_from)} with bert_tf." if finetuned_from else "Trained with bert_tf."
    )
    lines += ["", "## Training", ""]
    settings = {key: value for key, value in optimizer.items() if isinstance(value, (str, int, float))}
    lines += [f"- {_cell(key)}: {_cell(value)}" for key, value in settings.items()]
    if history:
        lines += ["", "| epoch | " + " | ".join(map(_cell, history)) + " |", "|---" * (len(history) + 1) + "|"]
        for epoch, values in enumerate(zip(*history.values(), strict=True), 1):
            lines.append(f"| {epoch} | " + " | ".join(f"{value:.4f}" for value in values) + " |")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _several(value: str | Sequence[str] | None) -> list[str]:
    return [value] if isinstance(value, str) else list(value or ())


def _cell(value) -> str:
    """Text that cannot leave its place in Markdown or HTML."""
    escaped = str(value).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return " ".join(escaped.split()).replace("|", "&#124;")
