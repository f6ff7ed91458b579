"""A tokenizer that keeps only the word pieces of some texts, and splits these texts as before.

A multilingual vocabulary is most of its model: of multilingual-e5-small's 118 million parameters 96 million are the vectors of
250,000 pieces, of which texts in one language use a few thousand.

Why the same texts are split in the same way: WordPiece takes the longest piece that fits, and sentencepiece's unigram the split with
the highest sum of scores; with fewer pieces, those that were taken are still the longest or the best. Byte-pair encoding (Sennrich et
al. 2016, https://arxiv.org/abs/1508.07909) makes the first possible merge of its list, again and again; without the merges that these
texts never need, it is still the first. Other texts are split into smaller pieces; all single characters stay.
"""

import json
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from bert_tf.data.tokenizer import load_tokenizer

MAP = "vocabulary.json"  # in the folder of a model: the id that each piece had before
BYTE = re.compile(r"<0x[0-9A-F]{2}>")
KINDS = ("Unigram", "WordPiece", "BPE")
OTHER_FORMS: tuple[str, ...] = ("vocab.txt", "vocab.json", "merges.txt", "added_tokens.json")
OTHER_FORMS += ("sentencepiece.bpe.model", "spiece.model", "spm.model")


def trimmed_tokenizer(tokenizer: Any, used: Iterable[int], source: str = "The tokenizer") -> tuple[Any, np.ndarray]:
    """Returns a tokenizer without the pieces that are not used, and the ids that its own had before.

    Special tokens, pieces of one character or byte, and the pieces that others are merged from stay too.

    Args:
        tokenizer: a fast tokenizer of transformers, of unigram, WordPiece or byte-pair encoding; it is not changed.
        used: int, the ids to keep.
        source: str, where it is from, for messages.
    Returns: `(tokenizer, kept)`, the latter int64 `(V,)`: the new id `i` was `kept[i]`, and they are in the same order.
    Raises: ValueError for a tokenizer of another kind.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tokenizer.save_pretrained(folder)
        content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
        kind = content["model"].get("type")
        if kind not in KINDS:
            raise ValueError(
                f"{source}: its vocabulary cannot be trimmed: it is of the kind {kind}, not one of {', '.join(KINDS)}. Leave out "
                "vocabulary='trimmed' (--vocabulary trimmed)."
            )
        special = {token["id"]: token["content"] for token in content["added_tokens"]}
        kept = _kept(content["model"], {*map(int, used), *special, *tokenizer.all_special_ids})
        new_id = {old: new for new, old in enumerate(kept)}
        _trim(content, new_id)
        (folder / "tokenizer.json").write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
        for other in OTHER_FORMS:
            (folder / other).unlink(missing_ok=True)
        settings_file = folder / "tokenizer_config.json"
        settings = json.loads(settings_file.read_text(encoding="utf-8"))
        if decoder := settings.get("added_tokens_decoder"):
            settings["added_tokens_decoder"] = {str(new_id[int(old)]): token for old, token in decoder.items()}
        settings_file.write_text(json.dumps(settings, ensure_ascii=False), encoding="utf-8")
        return load_tokenizer(folder), np.array(kept, "int64")


def _pieces(model: dict[str, Any]) -> dict[int, str]:
    """Returns id -> piece."""
    if model["type"] == "Unigram":
        return dict(enumerate(piece for piece, _ in model["vocab"]))
    return {i: piece for piece, i in model["vocab"].items()}


def _kept(model: dict[str, Any], used: set[int]) -> list[int]:
    """Returns the ids to keep, in their order."""
    pieces = _pieces(model)
    inside = model.get("continuing_subword_prefix") or ""
    small = {i for i, piece in pieces.items() if len(piece.removeprefix(inside)) == 1 or BYTE.fullmatch(piece)}
    if model["type"] == "Unigram":
        # What an unknown character costs follows from the lowest score.
        small |= {model["unk_id"], min(pieces, key=lambda i: model["vocab"][i][1])} - {None}
    elif (unknown := model["vocab"].get(model["unk_token"])) is not None:
        small.add(unknown)
    if model["type"] == "BPE":
        small |= _merged_from(model, [pieces[i] for i in used if i in pieces])
    return sorted(used | small)


def _merges(model: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Returns what is merged, `(left, right, merged)`, in the order of the tokenizer."""
    inside = model.get("continuing_subword_prefix") or ""
    pairs = [merge.split(" ") if isinstance(merge, str) else merge for merge in model["merges"]]
    return [(left, right, left + right.removeprefix(inside)) for left, right in pairs]


def _merged_from(model: dict[str, Any], pieces: list[str]) -> set[int]:
    """Returns the ids of the pieces that some others are merged from, in any number of steps."""
    parts: dict[str, list[str]] = {}
    for left, right, merged in _merges(model):
        parts.setdefault(merged, []).extend((left, right))
    found: set[str] = set()
    while pieces:
        new = {part for piece in pieces for part in parts.get(piece, ())} - found
        found |= new
        pieces = [*new]
    return {model["vocab"][piece] for piece in found}


def _trim(content: dict[str, Any], new_id: dict[int, int]) -> None:
    """Takes the pieces out of a tokenizer.json, and gives all others their new ids wherever these stand."""
    model = content["model"]
    if model["type"] == "Unigram":
        model["vocab"] = [model["vocab"][old] for old in new_id if old < len(model["vocab"])]
        if model["unk_id"] is not None:
            model["unk_id"] = new_id[model["unk_id"]]
    else:
        model["vocab"] = {piece: new_id[old] for piece, old in model["vocab"].items() if old in new_id}
    if model["type"] == "BPE":
        model["merges"] = [[left, right] for left, right, merged in _merges(model) if merged in model["vocab"]]
    for token in content["added_tokens"]:
        token["id"] = new_id[token["id"]]
    processors = [content.get("post_processor") or {}]
    while processors:
        each = processors.pop()
        processors += each.get("processors", [])
        for token in each.get("special_tokens", {}).values():
            token["ids"] = [new_id[old] for old in token["ids"]]
        for end in ("sep", "cls"):
            if end in each:
                each[end] = [each[end][0], new_id[each[end][1]]]
