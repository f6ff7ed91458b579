"""Makes what only transformers 4 can: TensorFlow checkpoints in every form, and the results of five scripts.

Run with transformers 4.57.6, tf-keras 2.21 and TensorFlow 2.21 installed: python tests/golden/v4/make_v4.py
"""

import json
import os
import shutil
from pathlib import Path

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import numpy as np
import tensorflow as tf
import tf_keras
import transformers

HERE = Path(__file__).parent
WORDS = """[PAD] [UNK] [CLS] [SEP] [MASK] the a it is was not very good bad great poor love hate works broke cheap fine
          quick slow noisy quiet price value day week never again ! . , this i"""
SIZES = {
    "distilbert": {"dim": 12, "hidden_dim": 20, "n_layers": 2, "n_heads": 4},
    "bert": {"hidden_size": 12, "intermediate_size": 20, "num_hidden_layers": 2, "num_attention_heads": 4},
}
LABELS = {"id2label": {0: "negative", 1: "positive"}, "label2id": {"negative": 0, "positive": 1}}


def make(family: str, kind: str, seed: int):
    """A model of random weights, biases and norms included, so that none can be left out unseen."""
    name = {"distilbert": "DistilBert", "bert": "Bert"}[family]
    config = getattr(transformers, f"{name}Config")(
        vocab_size=len(WORDS.split()), max_position_embeddings=16, **SIZES[family], **LABELS
    )
    model = getattr(transformers, f"TF{name}{kind}")(config)
    model(np.ones((1, 3), "int32"))
    random = np.random.default_rng(seed)
    for weight in model.weights:
        weight.assign(random.normal(scale=0.4, size=weight.shape).astype("float32"))
    return model


def inputs(family: str) -> dict:
    random = np.random.default_rng(5)
    mask = (np.arange(7) < np.array([7, 4, 1, 6, 2])[:, None]).astype("int32")
    given = {"input_ids": (random.integers(5, 37, (5, 7)) * mask).astype("int32"), "attention_mask": mask}
    return given | ({"token_type_ids": random.integers(0, 2, (5, 7)).astype("int32")} if family == "bert" else {})


def save(model, folder: Path, **options) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder, **options)


def checkpoints() -> None:
    expected = {}
    for family in SIZES:
        model = make(family, "ForSequenceClassification", seed=1)
        given = inputs(family)
        expected[family] = {
            "inputs": {name: array.tolist() for name, array in given.items()},
            "logits": model(given).logits.numpy().tolist(),
        }
        save(model, HERE / f"{family}_h5", safe_serialization=False)
        save(model, HERE / f"{family}_safetensors", safe_serialization=True)
        save(model, HERE / f"{family}_h5_shards", safe_serialization=False, max_shard_size="6KB")
        save(model, HERE / f"{family}_safetensors_shards", safe_serialization=True, max_shard_size="6KB")
        base = make(family, "Model", seed=2)
        expected[f"{family}_base"] = {"last_hidden_state": base(given).last_hidden_state.numpy().tolist()}
        save(base, HERE / f"{family}_base_h5", safe_serialization=False)
        masked = make(family, "ForMaskedLM", seed=2)
        encoder = getattr(masked, family)
        expected[f"{family}_masked"] = {"last_hidden_state": encoder(**given).last_hidden_state.numpy().tolist()}
        save(masked, HERE / f"{family}_masked_safetensors", safe_serialization=True)
    write("checkpoints.json", expected)


def tokenizer() -> None:
    """The words as a vocabulary, beside the checkpoint that the scripts start from."""
    (HERE / "vocab.txt").write_text("\n".join(WORDS.split()) + "\n")
    made = transformers.DistilBertTokenizerFast(vocab_file=str(HERE / "vocab.txt"), model_max_length=16)
    made.save_pretrained(HERE / "distilbert_h5")
    (HERE / "vocab.txt").unlink()


def scripts() -> None:
    os.environ["START"] = str(HERE / "distilbert_h5")
    for script in sorted((HERE / "scripts").glob("*.py")):
        tf.keras.utils.set_random_seed(0)
        found: dict = {"__name__": script.stem}
        exec(compile(script.read_text(), script, "exec"), found)
        write(f"scripts/{script.stem}.json", found["RESULT"])


def write(name: str, values: dict) -> None:
    versions = {
        "transformers": transformers.__version__,
        "tensorflow": tf.__version__,
        "tf-keras": tf_keras.__version__,
    }
    (HERE / name).write_text(json.dumps({"versions": versions, **values}) + "\n")


if __name__ == "__main__":
    checkpoints()
    tokenizer()
    scripts()
