"""Makes a tf_model.h5 of each family beyond BERT and DistilBERT that transformers 4 had for TensorFlow, with its logits.

Run with transformers 4.57.6, tf-keras 2.21 and TensorFlow 2.21 installed: python tests/golden/v4/make_families.py
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
SIZES = {"vocab_size": 23, "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2}
FAMILIES = {
    "roberta": ("Roberta", {"max_position_embeddings": 12, "type_vocab_size": 1}),
    "xlm-roberta": ("XLMRoberta", {"max_position_embeddings": 12, "type_vocab_size": 1}),
    "camembert": ("Camembert", {"max_position_embeddings": 12, "type_vocab_size": 1}),
    "mpnet": ("MPNet", {"max_position_embeddings": 12}),
    "electra": ("Electra", {"max_position_embeddings": 10, "embedding_size": 6}),
    "albert": ("Albert", {"max_position_embeddings": 10, "embedding_size": 6}),
}


def main() -> None:
    expected = {
        "versions": {
            "transformers": transformers.__version__,
            "tensorflow": tf.__version__,
            "tf-keras": tf_keras.__version__,
        }
    }
    random = np.random.default_rng(1)
    mask = (np.arange(7) < np.array([7, 4, 1])[:, None]).astype("int32")
    for family, (name, more) in FAMILIES.items():
        config = getattr(transformers, f"{name}Config")(**SIZES, **more)
        model = getattr(transformers, f"TF{name}ForSequenceClassification")(config)
        model(np.ones((1, 3), "int32"))
        for weight in model.weights:  # biases and norms too, so that none can be left out unseen
            center = 1.0 if "gamma" in weight.name else 0.0
            weight.assign(random.normal(center, 0.4, size=weight.shape).astype("float32"))
        ids = np.where(mask, random.integers(5, 23, mask.shape), config.pad_token_id).astype("int32")
        logits = model({"input_ids": ids, "attention_mask": mask}).logits.numpy()
        folder = HERE / f"{family}_h5"
        shutil.rmtree(folder, ignore_errors=True)
        model.save_pretrained(folder, safe_serialization=False)
        expected[family] = {"input_ids": ids.tolist(), "attention_mask": mask.tolist(), "logits": logits.tolist()}
    (HERE / "families.json").write_text(json.dumps(expected) + "\n")


if __name__ == "__main__":
    main()
