"""Makes the parity files of the families beyond BERT and DistilBERT: tiny random models by Hugging Face's PyTorch classes, with what
they give.

Run with PyTorch installed: python tests/golden/make_families.py [MODEL_TYPE ...]
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
import transformers

HERE = Path(__file__).parent
LABELS = {"id2label": {0: "bad", 1: "so-so", 2: "good"}, "label2id": {"bad": 0, "so-so": 1, "good": 2}}
SIZES = {"vocab_size": 37, "hidden_size": 12, "intermediate_size": 20, "num_hidden_layers": 3, "num_attention_heads": 4}
COUNTED = {"max_position_embeddings": 13, "type_vocab_size": 1, "pad_token_id": 1, "layer_norm_eps": 1e-5}
# model_type -> its class in transformers, and what its config has beside the sizes.
FAMILIES = {
    "roberta": ("Roberta", COUNTED),
    "xlm-roberta": (
        "XLMRoberta",
        COUNTED | {"hidden_act": "gelu_new", "pad_token_id": 2, "max_position_embeddings": 14},
    ),
    "camembert": ("Camembert", COUNTED | {"type_vocab_size": 2}),
    "mpnet": ("MPNet", {"max_position_embeddings": 13}),
    "electra": ("Electra", {"max_position_embeddings": 11, "embedding_size": 9}),
    "albert": (
        "Albert",
        {"max_position_embeddings": 11, "embedding_size": 9, "num_hidden_groups": 2, "hidden_dropout_prob": 0.1},
    ),
    "deberta-v2": (
        "DebertaV2",
        {
            "max_position_embeddings": 11,
            "embedding_size": 9,
            "type_vocab_size": 2,
            "relative_attention": True,
            "pos_att_type": "c2p|p2c",
            "position_buckets": 4,
            "norm_rel_ebd": "layer_norm",
            "conv_kernel_size": 3,
        },
    ),
    "nomic_bert": (
        "NomicBert",
        {"num_attention_heads": 3, "rope_parameters": {"rope_type": "default", "rope_theta": 30.0}},
    ),
    "modernbert": (
        "ModernBert",
        {
            "num_attention_heads": 3,
            "local_attention": 4,
            "global_attn_every_n_layers": 2,
            "global_rope_theta": 100.0,
            "local_rope_theta": 20.0,
            "pad_token_id": 0,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "cls_token_id": 1,
            "sep_token_id": 2,
        },
    ),
}


def inputs(pad: int, types: bool) -> dict:
    """Batch 6, length 7: a whole text, one padded right, one left, one in the middle, one of a token, and one with the id of padding
    for a token."""
    random = np.random.default_rng(3)
    mask = np.array(
        [[1] * 7, [1] * 4 + [0] * 3, [0] * 2 + [1] * 5, [1] * 3 + [0] * 2 + [1] * 2, [1] + [0] * 6, [1] * 7]
    )
    ids = np.where(mask == 1, random.integers(5, 37, mask.shape), pad)
    ids[5, 3] = pad
    given = {"input_ids": ids, "attention_mask": mask}
    return given | ({"token_type_ids": random.integers(0, 2, mask.shape)} if types else {})


def run(model, given: dict) -> dict:
    model.eval()
    with torch.no_grad():
        out = model(**{k: torch.tensor(v) for k, v in given.items()}, output_hidden_states=True, output_attentions=True)

    def rounded(tensor) -> list:
        return np.round(tensor.numpy().astype("float64"), 6).tolist()

    return {
        "inputs": {k: np.asarray(v).tolist() for k, v in given.items()},
        "logits": rounded(out.logits),
        "last_hidden_state": rounded(out.hidden_states[-1]),
        "embeddings": rounded(out.hidden_states[0]),
        "first_attention": rounded(out.attentions[0]),
    }


def tiny(model_type: str) -> None:
    name, more = FAMILIES[model_type]
    config = getattr(transformers, f"{name}Config")(**SIZES | more, **LABELS, attn_implementation="eager")
    torch.manual_seed(1)
    model = getattr(transformers, f"{name}ForSequenceClassification")(config)
    for name_of, parameter in model.named_parameters():  # biases and norms too, so that none can be left out unseen
        torch.nn.init.normal_(parameter, mean=float("norm" in name_of.lower() and "weight" in name_of), std=0.3)
    folder = HERE / f"{model_type}_tiny"
    model.save_pretrained(folder)
    types = getattr(config, "type_vocab_size", 0) == 2
    versions = {"transformers": transformers.__version__, "torch": torch.__version__}
    expected = {"versions": versions, **run(model, inputs(config.pad_token_id, types))}
    (folder / "expected.json").write_text(json.dumps(expected) + "\n")


if __name__ == "__main__":
    for chosen in sys.argv[1:] or FAMILIES:
        tiny(chosen)
