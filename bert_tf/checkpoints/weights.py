"""Weight files: tensors by the names and in the orientation of Hugging Face's PyTorch models, whatever file holds them.

Read: safetensors, whole or in shards, and what transformers 4 wrote for TensorFlow: tf_model.h5 and safetensors with
TensorFlow's names. Written: safetensors. A pickle can run code when it is opened and is refused.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from bert_tf.files import read_json

SAFETENSORS, SAFETENSORS_INDEX = "model.safetensors", "model.safetensors.index.json"


H5, H5_INDEX = "tf_model.h5", "tf_model.h5.index.json"


PICKLE, PICKLE_INDEX = "pytorch_model.bin", "pytorch_model.bin.index.json"


# TensorFlow's name of a tensor -> PyTorch's, and whether PyTorch holds it transposed.
TENSORFLOW_NAMES = {
    "kernel": ("weight", True),
    "bias": ("bias", False),
    "gamma": ("weight", False),
    "beta": ("bias", False),
    "embeddings": ("weight", False),
    "weight": ("weight", False),
}


def weight_files(folder: Path, use_safetensors: bool | None = None, allow_pickle: bool = False) -> list[Path]:
    """Returns the weight files of a checkpoint folder: safetensors before h5, whole before sharded.

    Args:
        folder: a checkpoint folder.
        use_safetensors: True = nothing else, False = h5 alone, None = whichever is there.
        allow_pickle: whether pytorch_model.bin may be the last resort.
    Raises: FileNotFoundError if there are none or a shard is missing, with the way out for a pickle.
    """
    kinds = [(SAFETENSORS, SAFETENSORS_INDEX)] if use_safetensors is not False else []
    kinds += [(H5, H5_INDEX)] if use_safetensors is not True else []
    kinds += [(PICKLE, PICKLE_INDEX)] if allow_pickle else []
    for whole, index in kinds:
        if (folder / whole).is_file():
            return [folder / whole]
        if (folder / index).is_file():
            files = [folder / name for name in sorted(set(read_json(folder / index).get("weight_map", {}).values()))]
            if missing := [str(file) for file in files if not file.is_file()]:
                raise FileNotFoundError(f"{folder / index} names shards that are not there: {', '.join(missing)}.")
            return files
    if not allow_pickle and ((folder / PICKLE).exists() or (folder / PICKLE_INDEX).exists()):
        raise FileNotFoundError(
            f"{folder}: the weights are a pickle ({PICKLE}), which can run code when opened and is not loaded. Where "
            "PyTorch is installed, rewrite them once, reading tensors only: bert-tf convert --allow-pickle SRC DST."
        )
    raise FileNotFoundError(
        f"{folder}: no weights here. Expected one of {', '.join(name for kind in kinds for name in kind)}."
    )


def read_tensors(folder: Path, **options) -> dict[str, np.ndarray]:
    """Reads every tensor of a checkpoint folder.

    Args:
        **options: those of `weight_files`.
    Returns: dict, PyTorch's name -> array in PyTorch's orientation.
    Raises: ValueError, with the file's name, for one that is cut short or not what its name says.
    """
    tensors: dict[str, np.ndarray] = {}
    for file in weight_files(folder, **options):
        with _opened(file) as readers:
            tensors |= {name: read() for name, read in readers.items()}
    return tensors


def tensor_names(folder: Path, **options) -> set[str]:
    """Returns the names that `read_tensors` would, without reading the tensors."""
    names: set[str] = set()
    for file in weight_files(folder, **options):
        with _opened(file) as readers:
            names |= set(readers)
    return names


@contextmanager
def _opened(file: Path) -> Iterator[dict[str, Callable[[], np.ndarray]]]:
    """Yields a reader for each tensor of a file, by its standard name."""
    opener = {".safetensors": _safetensors, ".h5": _h5, ".bin": _pickle}[file.suffix]
    with opener(file) as raw:
        yield dict(_standard(name, read) for name, read in raw.items())


def _standard(name: str, read: Callable) -> tuple[str, Callable]:
    """Brings a tensor that TensorFlow named (`.../layer_._0/.../kernel:0`) to PyTorch's name and orientation."""
    if not name.endswith(":0"):
        return name, read
    *parts, last = name.removesuffix(":0").split("/")
    if parts and parts[0].startswith("tf_"):  # the model's own name
        parts = parts[1:]
    parts = [re.sub(r"^.*___", "", part).replace("_._", ".") for part in parts]
    suffix, transposed = TENSORFLOW_NAMES.get(last, (last, False))
    standard = ".".join([*parts, suffix])
    return standard, (lambda: np.ascontiguousarray(read().T)) if transposed else read


@contextmanager
def _safetensors(file: Path):
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="numpy") as opened:
            yield {name: (lambda name=name: opened.get_tensor(name)) for name in opened.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise _damaged(file, error) from error


@contextmanager
def _h5(file: Path):
    import h5py

    try:
        opened = h5py.File(file, "r")
    except OSError as error:
        raise _damaged(file, error) from error
    with opened:
        if "layer_names" not in opened.attrs:
            raise ValueError(f"{file}: an HDF5 file, but not one that transformers wrote for a TensorFlow model.")
        # Whole files are Keras' own: layer / model name / tensor. Shards hold the tensors' names as they are.
        skipped = 2 if "keras_version" in opened.attrs else 0
        found: dict[str, Callable] = {}

        def visit(path: str, item) -> None:
            if isinstance(item, h5py.Dataset):
                found["/".join(path.split("/")[skipped:])] = lambda: item[()]

        try:
            opened.visititems(visit)
            yield found
        except (OSError, RuntimeError, KeyError) as error:  # what HDF5 raises where its structure is damaged
            raise _damaged(file, error) from error


@contextmanager
def _pickle(file: Path):
    try:
        import torch
    except ImportError as error:
        raise ValueError(f"{file}: reading tensors out of a pickle needs PyTorch: pip install torch.") from error
    try:
        tensors = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling errors have no common class
        raise _damaged(file, error) from error
    yield {name: (lambda tensor=tensor: tensor.float().numpy()) for name, tensor in tensors.items()}


def _damaged(file: Path, error: Exception) -> ValueError:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return ValueError(f"{file}: damaged, or not a {file.suffix} file ({reason}). Fetch or write the checkpoint again.")


# Writing


def write_tensors(folder: Path, tensors: dict[str, np.ndarray], max_shard_size: int | str = "5GB") -> None:
    """Writes model.safetensors, or shards and their index where it would be larger than `max_shard_size`."""
    from huggingface_hub import split_state_dict_into_shards_factory
    from safetensors.numpy import save_file

    plan = split_state_dict_into_shards_factory(
        tensors,
        get_storage_size=lambda tensor: tensor.nbytes,
        filename_pattern="model{suffix}.safetensors",
        max_shard_size=max_shard_size,
    )
    for file, names in plan.filename_to_tensors.items():
        shard = {name: np.ascontiguousarray(tensors[name]) for name in names}
        save_file(shard, folder / file, metadata={"format": "pt"})
    if plan.is_sharded:
        index = {"metadata": plan.metadata, "weight_map": plan.tensor_to_filename}
        text = json.dumps(index, indent=2, sort_keys=True) + "\n"
        (folder / SAFETENSORS_INDEX).write_text(text, encoding="utf-8")


def remove_weights(folder: Path, keep: Iterable[str]) -> None:
    """Removes the weights an earlier save left, so that shards of one model are never read with those of another."""
    ours = re.compile(r"(model(-\d{5}-of-\d{5})?\.safetensors|tf_model(-\d{5}-of-\d{5})?\.h5)(\.index\.json)?")
    for file in folder.iterdir():
        if ours.fullmatch(file.name) and file.name not in keep:
            file.unlink()
