"""What goes up to the Hugging Face hub: a model's folder and its card."""

import os
import tempfile
from collections.abc import Callable
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
