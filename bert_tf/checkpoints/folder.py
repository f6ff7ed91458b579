"""Checkpoint folders as transformers reads and writes them: config.json and the weights of a model.

Every tensor of a file is used exactly once, or an error names it.
"""

import logging
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from bert_tf.checkpoints.config import read_values
from bert_tf.checkpoints.families.family import Family
from bert_tf.checkpoints.families.table import family_of
from bert_tf.checkpoints.heads import gives_logits, head_parts, in_head
from bert_tf.checkpoints.weights import PYTORCH_NAMES, read_tensors, remove_weights, tensor_names, write_tensors

log = logging.getLogger("bert_tf")
CONSTANT = ".embeddings.position_ids"  # 0, 1, 2, ...: in most files that transformers wrote before 4.31
new_head_log = logging.getLogger("bert_tf.new_head")  # of its own, so that it can be silenced


def has_head(folder: Path, **options) -> bool:
    """Returns whether a checkpoint has a trained classification head. Raises what `read_tensors` raises."""
    family = family_of(read_values(folder).get("model_type"), str(folder / "config.json"))
    return any(gives_logits(name, family) for name in tensor_names(folder, **options))


def check_head(folder: Path, name: str | os.PathLike) -> None:
    """Raises ValueError for a checkpoint without a trained classification head, which calls it `name`."""
    if not has_head(folder):
        raise ValueError(f"{name}: has no classification head. Fine-tune it first: bert-tf finetune.")


def standard_names(tensors: dict[str, np.ndarray], family: Family) -> tuple[dict[str, np.ndarray], list[str]]:
    """Brings the names of any file to those of a file with a head.

    Adds the base's prefix where it is missing, and renames what old files call gamma and beta.

    Returns: the tensors by their standard names, and the names of those that belong to other tasks or are constants.
    """
    prefix = family.prefix + "."
    base_only = not any(name.startswith(prefix) for name in tensors)
    standard, of_other_tasks = {}, []
    for name, value in tensors.items():
        if name.startswith(family.other_heads) or f".{name}".endswith(CONSTANT):
            of_other_tasks.append(name)
            continue
        stem, _, last = name.rpartition(".")
        if last in ("gamma", "beta"):
            name = f"{stem}.{PYTORCH_NAMES[last]}"
        if base_only and not in_head(name, family):
            name = prefix + name
        standard[name] = value
    return standard, of_other_tasks


def part_list(names: Iterable[str]) -> str:
    """Lists the parts that tensors belong to, for messages."""
    wholes = {name.partition("[")[0] for name in names}
    return ", ".join(sorted({name.removesuffix(".weight").removesuffix(".bias") for name in wholes}))


def tensors_of(model) -> dict[str, tuple]:
    """Returns every tensor of a model: name in the file -> (variable, whether the file stores it transposed, its initializer).

    Of a tensor whose parts are variables of their own, the name of each ends in "[i/n]".
    """
    family = family_of(model.config.model_type)
    layers = len(model.encoder.blocks.layers_of_groups)
    variables = {}
    for path, part_name in family.part_names(layers, head_parts(model.head, family)).items():
        part = model
        for step in path.split("."):
            part = part[int(step)] if step.isdigit() else getattr(part, step, None)
        whole, bracket, slice_of = part_name.partition("[")
        for attribute, suffix in PYTORCH_NAMES.items():
            if getattr(part, attribute, None) is not None:
                initializer = getattr(part, f"{attribute}_initializer", None)
                name = f"{whole}.{suffix}{bracket}{slice_of}"
                variables[name] = (getattr(part, attribute), attribute == "kernel", initializer)
    return variables | model.own_variables()


def split(tensors: dict[str, np.ndarray], names: Iterable[str]) -> dict[str, np.ndarray]:
    """Cuts the tensors of which `names` has parts, such as "qkv.weight[0/3]", along their first axis; a part that does not come
    out even keeps its tensor whole, for the error message."""
    found = dict(tensors)
    for name in names:
        whole, _, part = name.partition("[")
        if part and whole in tensors:
            i, count = map(int, part.rstrip("]").split("/"))
            rows = len(tensors[whole]) // count
            even = rows * count == len(tensors[whole])
            found[name] = tensors[whole][i * rows : (i + 1) * rows] if even else tensors[whole]
            found.pop(whole, None)
    return found


def join(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The reverse of `split`. Raises ValueError, naming it, for a tensor of which a part is missing."""
    found: dict[str, np.ndarray] = {}
    parts: dict[str, dict[int, np.ndarray]] = {}
    for name, value in tensors.items():
        whole, _, part = name.partition("[")
        if not part:
            found[name] = value
            continue
        i, count = map(int, part.rstrip("]").split("/"))
        parts.setdefault(whole, dict.fromkeys(range(count), np.zeros(0)))[i] = value
    for whole, values in parts.items():
        if missing := [i for i, value in values.items() if not value.size]:
            raise ValueError(f"{whole}: parts {missing} of {len(values)} are missing. It cannot be written.")
        found[whole] = np.concatenate([*values.values()])
    return found


def load_weights(
    model, folder: Path, ignore_mismatched_sizes: bool = False, new_head: bool = False, quiet: bool = False, **options
) -> dict[str, list[str]]:
    """Loads the weights of a checkpoint folder into a model; every tensor is used exactly once.

    A head that the checkpoint lacks entirely has its initial weights. So does an existing one with `new_head`, and with
    `ignore_mismatched_sizes` whatever has other sizes, such as a head with another number of labels. The log says so in one line.

    Args:
        model: one of `bert_tf.models.auto`, built.
        folder: a checkpoint folder of the same family.
        quiet: whether to skip that line, where a new head goes without saying.
        **options: those of `bert_tf.checkpoints.weights.weight_files`.
    Returns: dict with `missing_keys`, `unexpected_keys`, `mismatched_keys`, `error_msgs`: what was not loaded or not read.
    Raises: ValueError that names every missing, unexpected and mis-shaped tensor.
    """
    family = family_of(model.config.model_type)
    tensors, unread = standard_names(read_tensors(folder, **options), family)
    variables = tensors_of(model)
    tensors = split(tensors, variables)
    shapes = {
        name: tuple(reversed(variable.shape)) if transposed else tuple(variable.shape)
        for name, (variable, transposed, _) in variables.items()
    }
    own = set(model.own_variables())
    head_names = {name for name in variables if in_head(name, family)} | own
    if new_head:
        tensors = {name: value for name, value in tensors.items() if not in_head(name, family)}
    missing = sorted(set(variables) - set(tensors) - _may_miss(tensors, variables, family) - own)
    unexpected = sorted(set(tensors) - set(variables))
    # A headed model has no pooler that is the base's alone; the base has none with add_pooling_layer=False.
    no_pooler = family.pooler == "base" if model.head else family.pooler and model.encoder.pooler is None
    spare = (*family.spare, "pooler") if no_pooler else family.spare
    unread += [name for name in unexpected if name.startswith(_prefixes(family, spare))]
    if not model.head:  # a base read from a file with a head
        unread += [name for name in unexpected if in_head(name, family)]
    unexpected = [name for name in unexpected if name not in unread]
    misshapen = sorted(name for name in set(tensors) & set(variables) if tensors[name].shape != shapes[name])
    replaced = misshapen if ignore_mismatched_sizes else []
    if missing or unexpected or set(misshapen) - set(replaced):
        raise ValueError(_misfit(folder, missing, unexpected, misshapen, tensors, shapes, head_names))

    for name, value in tensors.items():
        if name in variables and name not in replaced:
            variable, transposed, _ = variables[name]
            value = value.astype("float32")
            variable.assign(value.T if transposed else value)
    initial = sorted(set(variables) - set(tensors))
    for variable, _, initializer in (
        variables[name] for name in [*initial, *replaced]
    ):  # it may have been built with zeros
        if initializer is not None:
            variable.assign(initializer(variable.shape))
    if (initial or replaced) and not quiet:
        new_head_log.warning("%s: newly initialised, not trained: %s.", folder, part_list([*initial, *replaced]))
    if unread:
        log.info("%s: not read, belongs to other tasks: %s.", folder, part_list(unread))
    return {"missing_keys": initial, "unexpected_keys": sorted(unread), "mismatched_keys": replaced, "error_msgs": []}


def _prefixes(family: Family, parts: Iterable[str]) -> tuple[str, ...]:
    """Returns what the tensors of some parts of the base begin with."""
    return tuple(f"{family.prefix}.{family.base[part]}." for part in parts if part in family.base)


def _may_miss(tensors: dict, variables: dict, family: Family) -> set[str]:
    """Returns the tensors that are newly initialised if a file lacks them.

    The parts of a head that was never trained, of which pretraining may have left some, and the base's pooler: of every model
    without a trained head, or where it is the head of no model at all.
    """
    trained = any(gives_logits(name, family) for name in tensors)
    missable = family.pooler == "base" or not trained
    may_miss = {name for name in variables if missable and name.startswith(_prefixes(family, ["pooler"]))}
    if trained:
        return may_miss
    parts = {name.rpartition(".")[0] for name in tensors}
    return may_miss | {name for name in variables if in_head(name, family) and name.rpartition(".")[0] not in parts}


def _misfit(folder, missing, unexpected, misshapen, tensors, shapes, head_names) -> str:
    named = (f"{name} is {tensors[name].shape} in the file, {shapes[name]} in the model" for name in misshapen)
    missing = [*dict.fromkeys(name.partition("[")[0] for name in missing)]
    wrong = {"Missing": ", ".join(missing), "Unexpected": ", ".join(unexpected), "Wrong shape": "; ".join(named)}
    lines = [f"{folder}: the weights do not fit the model that config.json describes."]
    lines += [f"{kind}: {names}." for kind, names in wrong.items() if names]
    if misshapen and set(misshapen) <= head_names:
        lines.append("For a new head pass ignore_mismatched_sizes=True (bert-tf finetune: --new-head).")
    return " ".join(lines)


@contextmanager
def replacing_files(folder: Path, stale: Iterable[str] = ()) -> Iterator[Path]:
    """Yields a scratch folder; its files move into `folder` only if the block succeeds.

    While they move, `folder` has no config.json: a folder that has one is complete. Weights of an earlier save, and
    files named in `stale`, are deleted last.
    """
    new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".saving-", dir=folder))  # inside: moves never cross file systems
    os.umask(mask := os.umask(0))
    try:
        yield scratch
        files = sorted(scratch.iterdir(), key=lambda file: file.name == "config.json")
        names = {file.name for file in files}
        if "config.json" in names:
            (folder / "config.json").unlink(missing_ok=True)
        for file in files:
            file.chmod(0o666 & ~mask)
            os.replace(file, folder / file.name)
        if "config.json" in names:
            remove_weights(folder, keep=names)
        for name in set(stale) - names:
            (folder / name).unlink(missing_ok=True)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        if new and not any(folder.iterdir()):
            folder.rmdir()


def save(model, folder: str | os.PathLike, max_shard_size: int | str = "5GB") -> None:
    """Writes a model's config.json and weights to a folder that transformers reads. See `save_pretrained`."""
    from keras import ops

    folder = Path(folder)
    if folder.is_file():
        raise FileExistsError(f"{folder}: is a file. A checkpoint is saved to a folder; choose another name.")
    config = type(model.config).from_dict(model.config.to_dict() | {"dtype": "float32"})
    config.architectures = [type(model).__name__.removeprefix("TF")]
    prefix = (
        "" if model.head or model.own_variables() else family_of(model.config.model_type).prefix + "."
    )  # the base alone has none
    tensors = {}
    for name, (variable, transposed, _) in tensors_of(model).items():
        value = ops.convert_to_numpy(variable).astype("float32")
        tensors[name.removeprefix(prefix)] = value.T if transposed else value
    tensors = join(tensors)
    with replacing_files(folder) as scratch:
        write_tensors(scratch, tensors, max_shard_size)
        config.save_pretrained(scratch)
