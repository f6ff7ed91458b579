"""Checkpoints converted to the standard form, and a check that the model still gives the same numbers."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from keras import ops

from bert_tf.checkpoints import locate, rewriting
from bert_tf.checkpoints.config import read_config
from bert_tf.checkpoints.families.table import positions
from bert_tf.checkpoints.folder import has_head, load_weights
from bert_tf.models.auto import model_class
from bert_tf.models.parts import weights_from_a_file

PROBE = [101, 2023, 2003, 1037, 3231, 102]  # six token ids, modulo the vocabulary's size


class Converted(NamedTuple):
    """What `convert` did.

    Attributes:
        folder: the new checkpoint.
        tensors_read, tensors_written: int.
        compared: "logits", or "hidden states" without a head.
        difference: float, their largest absolute difference on a probe text, before and after.
    """

    folder: Path
    tensors_read: int
    tensors_written: int
    compared: str
    difference: float


def convert(
    source: str | os.PathLike, destination: str | os.PathLike, to: str | None = None, allow_pickle: bool = False
) -> Converted:
    """Rewrites a checkpoint and its tokenizer in the standard form.

    Also reads what transformers 4 wrote for TensorFlow (tf_model.h5, safetensors with TensorFlow's names). With
    `to="distilbert"` a BERT is folded into a DistilBERT: same block, same epsilon; the embedding of token type 0, which
    every token of a single text gets, is added to each position's. Exact to rounding. The pooler and a head over it are
    left out; the log says so.

    Args:
        source: folder or hub name.
        destination: folder; created, or its checkpoint files replaced.
        to: None or "distilbert".
        allow_pickle: whether pytorch_model.bin may be read if there is nothing else: only its tensors, with
            `torch.load(weights_only=True)`, which needs PyTorch.
    Returns: `Converted`.
    Raises: FileNotFoundError for an unknown checkpoint; ValueError, before anything is written, if it is damaged or
        cannot be folded.
    """
    if to not in (None, "distilbert"):
        raise ValueError(f"`to` must be None or 'distilbert'. Received: to={to!r}")
    folder, destination = locate.resolve(source), Path(destination)
    if to and folder.resolve() == destination.resolve():
        raise ValueError(f"{destination}: folding would replace the original checkpoint. Choose another destination.")
    before = _probe(folder, allow_pickle=allow_pickle)
    read, written = rewriting.rewrite(folder, destination, to, allow_pickle)
    after = _probe(destination)
    compared = "logits" if "logits" in after else "hidden states"
    difference = float(np.abs(before[compared] - after[compared]).max())
    return Converted(destination, read, written, compared, difference)


def _probe(folder: Path, **options) -> dict[str, np.ndarray]:
    """Loads a checkpoint, with all checks, and returns its outputs for the probe text."""
    config = read_config(folder)
    headed = has_head(folder, **options)
    with weights_from_a_file():
        model = model_class(config, headed)(config)
    load_weights(model, folder, **options)
    ids = np.array([PROBE[: positions(config)]]) % config.vocab_size
    outputs = model(ids, output_hidden_states=True)
    arrays = {"hidden states": outputs.hidden_states[-1]} | ({"logits": outputs.logits} if headed else {})
    return {name: ops.convert_to_numpy(array) for name, array in arrays.items()}
