"""Training on several machines, as a script for each of them. On one machine alone it trains on whole batches.

Arguments: which machine this is, how many there are, the address of the first, the folder of a checkpoint, a folder to write into.
"""

import os
import sys
from pathlib import Path

os.environ |= {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
sys.modules["tensorflow"] = None  # type: ignore[assignment]

import keras  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402

import bert_tf  # noqa: E402
from bert_tf.data.tokenizer import Tokens  # noqa: E402

TEXTS, LENGTH = 27, 6


def main(machine: int, machines: int, address: str, checkpoint: str, out: Path) -> None:
    if machines > 1:
        keras.distribution.initialize(address, machines, machine)
        keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))
        with pytest.raises(ValueError, match="Keras computes on 2 machines here .* and this runs on one"):
            bert_tf.finetune({"text": ["good", "bad"], "label": [1, 0]}, checkpoint=checkpoint, output_dir=out / "run")
    keras.utils.set_random_seed(0)
    model = bert_tf.TFDistilBertForSequenceClassification.from_pretrained(
        checkpoint, dropout=0.0, attention_dropout=0.0, seq_classif_dropout=0.0
    )
    random = np.random.default_rng(0)
    lengths = random.integers(2, LENGTH, TEXTS)
    tokens = Tokens(random.integers(5, 30, lengths.sum()).astype("int32"), np.cumsum(lengths))
    labels, even = np.arange(TEXTS) % 2, np.arange(24)
    model.compile(
        keras.optimizers.AdamW(1e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True), ["accuracy"]
    )
    batches = bert_tf.batches(tokens.take(even), labels[even], batch_size=8, shuffle=True)
    assert len(batches[0][1]) == 8 // machines
    history = model.fit(batches, epochs=3, verbose=0)
    if machine == 0:
        model.save_pretrained(out / str(machines))
    (loss, _) = model.evaluate(bert_tf.batches(tokens, labels, batch_size=8), verbose=0)  # the last batch has 3 texts
    assert np.isfinite(loss)
    print(*history.history["loss"])


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4], Path(sys.argv[5]))
