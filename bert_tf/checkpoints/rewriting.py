"""Checkpoints rewritten in the standard form, and BERTs folded into DistilBERTs."""

import shutil
from pathlib import Path

import numpy as np

from bert_tf.checkpoints.config import PREFIX, read_config
from bert_tf.checkpoints.families.table import FAMILIES, encoder_settings, family_of
from bert_tf.checkpoints.folder import log, part_list, replacing_files, standard_names
from bert_tf.checkpoints.heads import class_name, gives_logits
from bert_tf.checkpoints.weights import read_tensors, write_tensors
from bert_tf.files import SECOND_PART, read_json, write_json

TOKENIZER: tuple[str, ...] = (
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "special_tokens_map.json",
    "added_tokens.json",
)
TOKENIZER += ("vocab.json", "merges.txt", "sentencepiece.bpe.model", "spiece.model", "spm.model", "vocabulary.json")


def rewrite(
    folder: Path, destination: Path, to: str | None = None, allow_pickle: bool = False, quiet: bool = False
) -> tuple[int, int]:
    """Writes a checkpoint folder in the standard form; `bert_tf.inference.convert.convert` checks the result.

    Args:
        quiet: whether to skip the line on what is left out, where that goes without saying.
    Returns: numbers of tensors read and written.
    """
    config = read_config(folder)
    family = family_of(config.model_type)
    read = read_tensors(folder, allow_pickle=allow_pickle)
    tensors, left_out = standard_names(read, family)
    headed = any(gives_logits(name, family) for name in tensors)
    fold = to == "distilbert" and config.model_type != "distilbert"
    if fold:
        config, tensors, dropped = _fold(folder, config, tensors)
        family, left_out, headed = FAMILIES["distilbert"], [*left_out, *dropped], False
    config.dtype = "float32"
    config.architectures = [class_name(config, headed).removeprefix("TF")]
    if not headed:  # the base alone has no prefix
        tensors = {name.removeprefix(f"{family.prefix}."): value for name, value in tensors.items()}
    if left_out and not quiet:
        log.info("%s: left out: %s.", folder, part_list(left_out))
    with replacing_files(destination, stale=TOKENIZER) as scratch:
        write_tensors(scratch, {name: value.astype("float32") for name, value in tensors.items()})
        config.save_pretrained(scratch)
        for name in (*TOKENIZER, *(SECOND_PART if headed else ())):
            if (folder / name).is_file():
                shutil.copyfile(folder / name, scratch / name)
        if fold and (tokenizer_config := scratch / "tokenizer_config.json").is_file():
            # No token_type_ids, which DistilBERT's PyTorch class refuses.
            no_types = {"tokenizer_class": "DistilBertTokenizer", "model_input_names": ["input_ids", "attention_mask"]}
            write_json(tokenizer_config, read_json(tokenizer_config) | no_types)
    return len(read), len(tensors)


def _fold(folder: Path, config, tensors: dict[str, np.ndarray]) -> tuple:
    """Folds a BERT into a DistilBERT; returns its config, its tensors and the names of those left out."""
    from transformers import DistilBertConfig

    if config.layer_norm_eps != FAMILIES["distilbert"].fixed["layer_norm_eps"]:
        raise ValueError(
            f"{folder}: cannot be folded: its layer_norm_eps is {config.layer_norm_eps}, DistilBERT's is 1e-12."
        )
    if getattr(config, "text_pairs", False):
        raise ValueError(
            f"{folder}: cannot be folded: it was trained on pairs of texts, and DistilBERT cannot tell the two texts of a pair "
            "apart. Convert it without --to (to=None); it stays a BERT."
        )
    bert, distilbert = FAMILIES["bert"], FAMILIES["distilbert"]
    layers = config.num_hidden_layers
    old_names = bert.part_names(layers)
    new_names = {
        f"{old_names[path.replace('distilbert', 'bert', 1)]}.{suffix}": f"{name}.{suffix}"
        for path, name in distilbert.part_names(layers).items()
        for suffix in ("weight", "bias")
    }
    folded = {new: tensors[old] for old, new in new_names.items() if old in tensors}
    positions = "distilbert.embeddings.position_embeddings.weight"
    token_types = "bert.embeddings.token_type_embeddings.weight"
    folded[positions] = folded[positions].astype("float32") + tensors[token_types][0].astype("float32")
    settings = encoder_settings(config)
    values = {distilbert.key(argument): settings[argument] for argument in distilbert.config}
    new_config = DistilBertConfig(**values, pad_token_id=config.pad_token_id)
    if prefix := getattr(config, PREFIX, None):
        setattr(new_config, PREFIX, prefix)
    return new_config, folded, sorted(set(tensors) - {*new_names, token_types})
