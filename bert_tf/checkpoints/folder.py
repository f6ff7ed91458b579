"""Hugging Face checkpoint folders, read and written: config.json, weights, tokenizer files.

The only module that touches the hub. Every tensor of a file is used exactly once, or an error names it.
"""

import logging
import os
import shutil
import tempfile
from collections.abc import Iterable
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from bert_tf.checkpoints.families.family import Family
from bert_tf.checkpoints.families.table import (
    LAYER_MEANS_HEAD,
    TENSORS,
    encoder_settings,
    family_of,
    head_of,
    part_names,
)
from bert_tf.checkpoints.weights import read_tensors, remove_weights, tensor_names, write_tensors
from bert_tf.files import read_json

log = logging.getLogger("bert_tf")


# Names in files: theirs -> arrays, brought to the form of a file with a head


def has_head(folder: Path, **options) -> bool:
    """Returns whether a checkpoint has a classification head. Raises what `read_tensors` raises."""
    file = folder / "config.json"
    family = family_of(read_json(file).get("model_type"), str(file))
    return any(in_head(name, family) for name in tensor_names(folder, **options))


def in_head(name: str, family: Family) -> bool:
    return name.startswith(tuple(f"{part}." for part in (family.head | LAYER_MEANS_HEAD).values()))


def standard_names(tensors: dict[str, np.ndarray], family: Family) -> tuple[dict[str, np.ndarray], list[str]]:
    """Adds the base's prefix where it is missing, renames what old files call gamma and beta, sets other heads apart."""
    prefix = family.prefix + "."
    base_only = not any(name.startswith(prefix) for name in tensors)
    standard, left = {}, []
    for name, value in tensors.items():
        if name.startswith(family.other_heads):
            left.append(name)
            continue
        if name.endswith((".gamma", ".beta")):
            name = name.removesuffix("gamma").removesuffix("beta") + ("weight" if name.endswith("gamma") else "bias")
        if base_only and not in_head(name, family):
            name = prefix + name
        standard[name] = value
    return standard, left


def _variables(model) -> dict[str, tuple]:
    """Returns every tensor of a model: theirs -> (variable, whether theirs is transposed)."""
    family = family_of(model.config.model_type)
    layers = encoder_settings(model.config)["num_hidden_layers"]
    variables = {}
    for ours, theirs in part_names(family, layers, head_of(model.config) if model.has_head else None).items():
        part = model
        for step in ours.split("."):
            part = part[int(step)] if step.isdigit() else getattr(part, step)
        kind = next(kind.__name__ for kind in type(part).__mro__ if kind.__name__ in TENSORS)
        for attribute, (suffix, transposed) in TENSORS[kind].items():
            variables[f"{theirs}.{suffix}"] = (getattr(part, attribute), transposed)
    return variables


def load_weights(
    model,
    folder: Path,
    ignore_mismatched_sizes: bool = False,
    new_head: bool = False,
    **options,
) -> dict[str, list[str]]:
    """Fills a model from a checkpoint folder; every tensor is used exactly once.

    A head that the file does not have at all stays new, and one that is there too where it has another number of
    labels and `ignore_mismatched_sizes` asks for it, or in any case with `new_head`; all this is said in one line.

    Args:
        model: one of `bert_tf.models.auto`, built.
        folder: a checkpoint folder of the same family.
        **options: those of `bert_tf.checkpoints.weights.weight_files`.
    Returns: dict with `missing_keys`, `unexpected_keys`, `mismatched_keys`, `error_msgs`: what stayed new or unread.
    Raises: ValueError that names every missing, unexpected and mis-shaped tensor.
    """
    family = family_of(model.config.model_type)
    tensors, left = standard_names(read_tensors(folder, **options), family)
    variables = _variables(model)
    shapes = {
        name: tuple(reversed(variable.shape)) if transposed else tuple(variable.shape)
        for name, (variable, transposed) in variables.items()
    }
    of_head = {name for name in variables if in_head(name, family)}
    if new_head:
        tensors = {name: value for name, value in tensors.items() if not in_head(name, family)}
    new_head = not of_head & set(tensors)
    optional = tuple(f"{family.prefix}.{family.base[part]}." for part in family.optional)
    may_miss = of_head | {name for name in variables if name.startswith(optional)} if new_head and optional else of_head
    missing = sorted(set(variables) - set(tensors) - (may_miss if new_head else set()))
    unexpected = sorted(set(tensors) - set(variables))
    if not model.has_head:  # a base read from a file with a head
        left += [name for name in unexpected if in_head(name, family)]
        unexpected = [name for name in unexpected if name not in left]
    misshapen = sorted(name for name in set(tensors) & set(variables) if tensors[name].shape != shapes[name])
    renewed = [name for name in misshapen if name in of_head] if ignore_mismatched_sizes else []
    if missing or unexpected or [name for name in misshapen if name not in renewed]:
        raise ValueError(_misfit(folder, missing, unexpected, misshapen, tensors, shapes, of_head))

    for name, value in tensors.items():
        if name in variables and name not in renewed:
            variable, transposed = variables[name]
            value = value.astype("float32")
            variable.assign(value.T if transposed else value)
    fresh = sorted(set(variables) - set(tensors))
    if fresh or renewed:
        log.warning("%s: new and not trained yet: %s.", folder, part_list([*fresh, *renewed]))
    if left:
        log.info("%s: not read, they belong to other tasks: %s.", folder, part_list(left))
    return {"missing_keys": fresh, "unexpected_keys": sorted(left), "mismatched_keys": renewed, "error_msgs": []}


def part_list(names: Iterable[str]) -> str:
    return ", ".join(sorted({name.removesuffix(".weight").removesuffix(".bias") for name in names}))


def _misfit(folder, missing, unexpected, misshapen, tensors, shapes, of_head) -> str:
    lines = [f"{folder}: the weights do not fit the model of its config.json."]
    if missing:
        lines.append(f"Missing: {', '.join(missing)}.")
    if unexpected:
        lines.append(f"Unexpected: {', '.join(unexpected)}.")
    if misshapen:
        named = (f"{name} is {tensors[name].shape} in the file, {shapes[name]} in the model" for name in misshapen)
        lines.append(f"Mis-shaped: {'; '.join(named)}.")
    if misshapen and set(misshapen) <= of_head:
        lines.append("For a new head pass ignore_mismatched_sizes=True (bert-tf finetune: --new-head).")
    return " ".join(lines)


# Writing


@contextmanager
def replacing_files(folder: Path, stale: Iterable[str] = ()):
    """Yields a scratch folder; its files move into `folder` when the block ends well, and only then.

    While they move, `folder` has no config.json: one that has is complete. Weights of an earlier save, and files of
    the names in `stale`, go last.
    """
    new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".saving-", dir=folder))  # inside: moves never cross file systems
    mode = 0o666 & ~_umask()
    try:
        yield scratch
        files = sorted(scratch.iterdir(), key=lambda file: file.name == "config.json")
        names = {file.name for file in files}
        if "config.json" in names:
            (folder / "config.json").unlink(missing_ok=True)
        for file in files:
            file.chmod(mode)
            os.replace(file, folder / file.name)
        if "config.json" in names:
            remove_weights(folder, keep=names)
        for name in set(stale) - names:
            (folder / name).unlink(missing_ok=True)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        if new and not any(folder.iterdir()):
            folder.rmdir()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def model_tensors(model) -> dict[str, np.ndarray]:
    """Returns a model's weights by their names in a Hugging Face file; a base alone goes without the prefix."""
    from keras import ops

    prefix = "" if model.has_head else family_of(model.config.model_type).prefix + "."
    arrays = {}
    for name, (variable, transposed) in _variables(model).items():
        value = ops.convert_to_numpy(variable).astype("float32")
        arrays[name.removeprefix(prefix)] = value.T if transposed else value
    return arrays


def save(model, folder: str | os.PathLike, max_shard_size: int | str = "5GB") -> None:
    """Writes config.json and the weights of a model as a folder that transformers reads. See `save_pretrained`."""
    folder = Path(folder)
    if folder.is_file():
        raise FileExistsError(f"{folder}: a file of that name is in the way; a checkpoint is saved as a folder.")
    config = type(model.config).from_dict(model.config.to_dict() | {"dtype": "float32"})
    config.architectures = [type(model).__name__.removeprefix("TF")]
    with replacing_files(folder) as scratch:
        write_tensors(scratch, model_tensors(model), max_shard_size)
        config.save_pretrained(scratch)
