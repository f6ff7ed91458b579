"""Checkpoints rewritten in the standard form; a BERT folded into a DistilBERT."""

import json
import shutil
from pathlib import Path

import numpy as np

from bert_tf.checkpoints.config import read_config
from bert_tf.checkpoints.families.table import FAMILIES, class_name, encoder_settings, family_of, part_names
from bert_tf.checkpoints.folder import in_head, log, part_list, replacing_files, standard_names
from bert_tf.checkpoints.weights import read_tensors, write_tensors
from bert_tf.files import read_json

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "special_tokens_map.json",
    "added_tokens.json",
)


# Converting


def rewrite(folder: Path, destination: Path, to: str | None = None, allow_pickle: bool = False) -> tuple[int, int]:
    """Writes a checkpoint folder in the standard form; see `bert_tf.convert.convert`, which checks it first.

    Returns: numbers of tensors read and written.
    """
    config = read_config(folder)
    family = family_of(config.model_type)
    found = read_tensors(folder, allow_pickle=allow_pickle)
    tensors, left = standard_names(found, family)
    head = any(in_head(name, family) for name in tensors)
    folded = to == "distilbert" and config.model_type != "distilbert"
    if folded:
        config, tensors, dropped = _fold(folder, config, tensors)
        family, left, head = FAMILIES["distilbert"], [*left, *dropped], False
    config.dtype = "float32"
    config.architectures = [class_name(config, head).removeprefix("TF")]
    if not head:  # a base alone goes without the prefix
        tensors = {name.removeprefix(f"{family.prefix}."): value for name, value in tensors.items()}
    if left:
        log.info("%s: left out: %s.", folder, part_list(left))
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
