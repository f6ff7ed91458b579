"""Weight files. Tensors have the names and orientation of Hugging Face's PyTorch models, whatever the file format.

Reads safetensors, single or sharded, and what transformers 4 wrote for TensorFlow: tf_model.h5, and safetensors with
TensorFlow's names. Writes safetensors. A pickle can run code when it is opened and is refused.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import starmap
from pathlib import Path
from typing import Any

import numpy as np

from bert_tf.checkpoints.config import REMEDY
from bert_tf.files import SECOND_PART, error_reason, read_json, write_json

SAFETENSORS, SAFETENSORS_INDEX = "model.safetensors", "model.safetensors.index.json"
H5, H5_INDEX = "tf_model.h5", "tf_model.h5.index.json"
PICKLE, PICKLE_INDEX = "pytorch_model.bin", "pytorch_model.bin.index.json"

# Keras' name of a tensor -> PyTorch's, which also stores a kernel transposed. Mean and variance as in BatchNorm1d.
PYTORCH_NAMES = dict.fromkeys(("kernel", "gamma", "embeddings"), "weight") | dict.fromkeys(("bias", "beta"), "bias")
PYTORCH_NAMES |= {"mean": "running_mean", "variance": "running_var"}


def weight_files(
    folder: Path, use_safetensors: bool | None = None, allow_pickle: bool = False, file: str | None = None
) -> list[Path]:
    """Returns the weight files of a checkpoint folder: safetensors before h5, a single file before shards.

    Args:
        folder: a checkpoint folder.
        file: the name of the one to read, whatever it is; None = as described.
        use_safetensors: True = only safetensors, False = only h5, None = whichever is there.
        allow_pickle: whether pytorch_model.bin may be used if there is nothing else.
    Raises: FileNotFoundError if there are none or a shard is missing; for a pickle it says how to convert it.
    """
    if file is not None:
        return [folder / file]
    kinds = [(SAFETENSORS, SAFETENSORS_INDEX)] if use_safetensors is not False else []
    kinds += [(H5, H5_INDEX)] if use_safetensors is not True else []
    kinds += [(PICKLE, PICKLE_INDEX)] if allow_pickle else []
    for single, index in kinds:
        if (folder / single).is_file():
            return [folder / single]
        if (folder / index).is_file():
            shards = read_json(folder / index, hint=REMEDY).get("weight_map", {}).values()
            files = [folder / name for name in sorted(set(shards))]
            if missing := [str(file) for file in files if not file.is_file()]:
                raise FileNotFoundError(f"{folder / index} lists missing shards: {', '.join(missing)}. {REMEDY}")
            return files
    if not allow_pickle and ((folder / PICKLE).exists() or (folder / PICKLE_INDEX).exists()):
        raise FileNotFoundError(
            f"{folder}: the weights are a pickle ({PICKLE}), which can run code when opened and is not loaded. With "
            "PyTorch installed, convert them once, reading tensors only: bert-tf convert --allow-pickle SRC DST."
        )
    raise FileNotFoundError(
        f"{folder}: no weights found. Expected one of {', '.join(name for kind in kinds for name in kind)}."
    )


def read_tensors(folder: Path, **options) -> dict[str, np.ndarray]:
    """Reads every tensor of a checkpoint folder.

    Args:
        **options: those of `weight_files`.
    Returns: dict, PyTorch's name -> array in PyTorch's orientation.
    Raises: ValueError, naming the file, if one is truncated or not of the format its name says.
    """
    return dict(_each_tensor(folder, True, **options))


def tensor_names(folder: Path, **options) -> set[str]:
    """Returns the names of the tensors that `read_tensors` returns, without reading them."""
    return {name for name, _ in _each_tensor(folder, False, **options)}


def _each_tensor(folder: Path, values: bool, **options) -> Iterator[tuple[str, Any]]:
    """Yields the standard name of each tensor with its value, or with None unless `values`."""
    for file in weight_files(folder, **options):
        with {".safetensors": _safetensors, ".bin": _pickle}.get(file.suffix, _h5)(file) as raw:
            for name, read in starmap(_standard, raw.items()):
                yield name, read() if values else None  # inside `with`, which explains a failure


def is_legacy(file: Path) -> bool:
    """Returns whether a file is HDF5 with weights as Keras 2 wrote them."""
    import h5py

    if not h5py.is_hdf5(file):
        return False
    with h5py.File(file, "r") as opened:
        return "layer_names" in opened.attrs


def written_by_transformers(file: Path, prefix: str) -> bool:
    """Returns whether a file holds weights that `save_weights` of transformers 4 wrote for a model of its own.

    Args:
        prefix: the attribute that holds the base, "bert".
    """
    if not is_legacy(file):
        return False
    return any(name.startswith(f"{prefix}.") for name in tensor_names(file.parent, file=file.name))


def _standard(name: str, read: Callable) -> tuple[str, Callable]:
    """Converts TensorFlow's name (`.../layer_._0/.../kernel:0`) and orientation of a tensor to PyTorch's."""
    if not name.endswith(":0"):
        return name, read
    *parts, last = name.removesuffix(":0").split("/")
    if parts and parts[0].startswith("tf_"):  # the model's own name
        del parts[0]
    parts = [re.sub(r"^.*___", "", part).replace("_._", ".") for part in parts]
    standard = ".".join([*parts, PYTORCH_NAMES.get(last, last)])
    return standard, (lambda: np.ascontiguousarray(read().T)) if last == "kernel" else read


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
        # A single file has Keras' structure, layer / model name / tensor; shards hold plain tensor names.
        skipped = 2 if "keras_version" in opened.attrs else 0
        readers: dict[str, Callable] = {}

        def visit(path: str, item) -> None:
            if isinstance(item, h5py.Dataset):
                readers["/".join(path.split("/")[skipped:])] = lambda: item[()]

        try:
            opened.visititems(visit)
            yield readers
        except (OSError, RuntimeError, KeyError) as error:  # what HDF5 raises for a damaged structure
            raise _damaged(file, error) from error


@contextmanager
def _pickle(file: Path):
    try:
        import torch
    except ImportError as error:
        raise ValueError(f"{file}: reading a pickle needs PyTorch: pip install torch.") from error
    try:
        tensors = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling errors have no common class
        raise _damaged(file, error) from error
    yield {name: (lambda tensor=tensor: tensor.float().numpy()) for name, tensor in tensors.items()}


def _damaged(file: Path, error: Exception) -> ValueError:
    return ValueError(f"{file}: damaged, or not a {file.suffix} file ({error_reason(error)}). {REMEDY}")


def write_tensors(folder: Path, tensors: dict[str, np.ndarray], max_shard_size: int | str = "5GB") -> None:
    """Writes model.safetensors, or shards and their index if it would exceed `max_shard_size`."""
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
        index = {"metadata": plan.metadata, "weight_map": dict(sorted(plan.tensor_to_filename.items()))}
        write_json(folder / SAFETENSORS_INDEX, index)


def remove_weights(folder: Path, keep: Iterable[str]) -> None:
    """Removes the weights of an earlier save, so that parts of two models are never mixed."""
    pattern = re.compile(r"(model(-\d{5}-of-\d{5})?\.safetensors|tf_model(-\d{5}-of-\d{5})?\.h5)(\.index\.json)?")
    for file in folder.iterdir():
        if (pattern.fullmatch(file.name) or file.name in SECOND_PART) and file.name not in keep:
            file.unlink()
