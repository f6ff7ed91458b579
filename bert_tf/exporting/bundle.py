"""What lies beside an exported model: its config, its tokenizer, and a README on how to use it."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bert_tf.data.tokenizer import prefix_of
from bert_tf.exporting import parity
from bert_tf.exporting.formats import FORMATS, PARITY
from bert_tf.exporting.network import Network
from bert_tf.files import read_json, write_json, write_text
from bert_tf.reporting.templates import render
from bert_tf.tasks.task import Task

TEMPLATES = Path(__file__).parent / "bundle"
SCRIPT = "classify.py"  # for ONNX


def write_config(folder: Path, network: Network, tokenizer: Any, max_length: int) -> None:
    """Writes config.json and the tokenizer, which cuts texts at `max_length` tokens and pads them in any library that reads it."""
    config = type(network.model.config).from_dict(network.model.config.to_dict() | {"dtype": "float32"})
    config.architectures = [type(network.model).__name__.removeprefix("TF")]
    config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    file = folder / "tokenizer_config.json"
    values = {**read_json(file), "model_max_length": max_length, "model_input_names": list(network.names)}
    write_json(file, values)
    from tokenizers import Tokenizer

    fast = Tokenizer.from_file(str(folder / "tokenizer.json"))
    fast.enable_truncation(max_length)
    fast.enable_padding(
        pad_id=tokenizer.pad_token_id, pad_token=tokenizer.pad_token, pad_type_id=tokenizer.pad_token_type_id
    )
    fast.save(str(folder / "tokenizer.json"))


def write_readme(folder: Path, name: str, form: str, network: Network, task: Task, found: Mapping[str, Any]) -> None:
    """Writes README.md, for ONNX a script too, and parity.json."""
    chosen = FORMATS[form]
    if form == "onnx":
        shutil.copyfile(TEMPLATES / SCRIPT, folder / SCRIPT)
    header, rows = parity.rows(found, chosen.title, task)
    values = {
        "name": name,
        "form": form,
        "chosen": chosen,
        "int8": parity.INT8 in found,
        "task": task,
        "pairs": bool(getattr(network.model.config, "text_pairs", False)),
        "prefix": prefix_of(network.model.config),
        "inputs": network.names,
        "header": header,
        "rows": rows,
        "found": found,
    }
    write_text(folder / "README.md", render(TEMPLATES / "README.md", **values))
    write_json(folder / PARITY, found)
