"""What goes up to the Hugging Face hub: a model's folder and its card."""

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bert_tf.card import model_card


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
