"""Classifies texts with onnxruntime and tokenizers alone: python classify.py "Broke after a day." "Lovely." """

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

folder = Path(__file__).parent
config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))  # cuts and pads
session = onnxruntime.InferenceSession(folder / "onnx" / "model.onnx")  # or model_quantized.onnx


def prefixed(text):
    prefix = config.get("bert_tf_prefix") or ""  # what some models want before each text
    return text if text.startswith(prefix) else prefix + text


def logits(texts):  # str, or of a model of pairs tuples of two
    rows = tokenizer.encode_batch([prefixed(t) if isinstance(t, str) else tuple(map(prefixed, t)) for t in texts])
    arrays = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
    inputs = {i.name: np.array([getattr(row, arrays[i.name]) for row in rows], "int64") for i in session.get_inputs()}
    return session.run(["logits"], inputs)[0]


def answers(texts):  # a label, several labels, or a number for each text
    rows, names, kind = logits(texts), [*config["id2label"].values()], config.get("problem_type")
    if kind == "regression":
        return [float(row[0]) for row in rows]
    if kind == "multi_label_classification":
        least = config.get("label_thresholds") or [0.5] * len(names)
        return [
            [name for name, x, t in zip(names, row, least, strict=True) if 1 / (1 + np.exp(-x)) >= t] for row in rows
        ]
    return [names[i] for i in rows.argmax(axis=1)]


if __name__ == "__main__":
    for text, answer in zip(sys.argv[1:], answers(sys.argv[1:]), strict=True):
        print(answer, text, sep="\t")
