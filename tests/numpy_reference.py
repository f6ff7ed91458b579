"""The encoder in float64 NumPy, written from the papers: the second witness beside Hugging Face's numbers.

Devlin et al. 2019; Vaswani et al. 2017, sec. 3; Hendrycks & Gimpel 2016 (GELU). Weights by Hugging Face's names.
"""

import math

import numpy as np

erf = np.vectorize(math.erf)


def layer_norm(x, weights, name, epsilon=1e-12):
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + epsilon) * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def linear(x, weights, name):
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def distilbert_hidden_states(weights, input_ids, attention_mask, layers, heads):
    """States of the embeddings and of each layer, `(T, D)` each, one text at a time, real tokens only."""
    weights = {name: value.astype("float64") for name, value in weights.items()}
    texts = []
    for ids, mask in zip(input_ids, attention_mask, strict=True):
        ids = ids[mask == 1]
        e = "distilbert.embeddings"
        x = weights[f"{e}.word_embeddings.weight"][ids] + weights[f"{e}.position_embeddings.weight"][: len(ids)]
        x = layer_norm(x, weights, f"{e}.LayerNorm")
        states = [x]
        for i in range(layers):
            p = f"distilbert.transformer.layer.{i}"
            size = x.shape[-1] // heads
            contexts = []
            for h in range(heads):
                part = slice(h * size, (h + 1) * size)
                q, k, v = (linear(x, weights, f"{p}.attention.{n}_lin")[:, part] for n in "qkv")
                contexts.append(softmax(q @ k.T / np.sqrt(size)) @ v)
            attended = linear(np.concatenate(contexts, -1), weights, f"{p}.attention.out_lin")
            x = layer_norm(attended + x, weights, f"{p}.sa_layer_norm")
            inner = linear(x, weights, f"{p}.ffn.lin1")
            inner = 0.5 * inner * (1 + erf(inner / np.sqrt(2)))
            x = layer_norm(linear(inner, weights, f"{p}.ffn.lin2") + x, weights, f"{p}.output_layer_norm")
            states.append(x)
        texts.append(states)
    return texts


def distilbert_logits(weights, input_ids, attention_mask, layers, heads):
    """Logits of DistilBertForSequenceClassification, one text at a time, real tokens only: padding plays no part."""
    weights = {name: value.astype("float64") for name, value in weights.items()}
    first = [states[-1][0] for states in distilbert_hidden_states(weights, input_ids, attention_mask, layers, heads)]
    return np.array([linear(np.maximum(linear(x, weights, "pre_classifier"), 0), weights, "classifier") for x in first])
