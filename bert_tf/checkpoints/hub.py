"""Uploads to the Hugging Face hub. Downloads are in `locate.py`."""

import os


def upload(
    folder: str | os.PathLike,
    repo_id: str,
    commit_message: str = "Upload model",
    private: bool | None = None,
    token: str | bool | None = None,
) -> str:
    """Uploads a folder, creating the repository if necessary; returns the URL of the commit."""
    from huggingface_hub import HfApi

    api = HfApi(token=token)
    repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
    return str(api.upload_folder(repo_id=repo_id, folder_path=folder, commit_message=commit_message))
