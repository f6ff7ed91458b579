"""PyTorch: gradients, attention as one kernel."""

from collections.abc import Callable

import keras
from keras import ops


def value_and_gradient(function: Callable) -> Callable:
    import torch

    def run(*arguments):
        first, *others = map(ops.convert_to_tensor, arguments)
        first = first.detach().clone().requires_grad_()
        values = function(first, *others)
        return values, torch.autograd.grad(values.sum(), first)[0]

    return run


def fused_attention(dropout: keras.layers.Dropout | None) -> Callable | None:
    """See `backend.fused_attention`. Dropout within the kernel is PyTorch's own, whose generator no backup of a run holds: on a
    GPU only, where it matters."""
    import torch

    if dropout is not None and not torch.cuda.is_available():
        return None
    rate = 0.0 if dropout is None else dropout.rate

    def attend(query, key, bias, scale, value):
        options = {"attn_mask": bias.to(query.dtype), "dropout_p": rate, "scale": scale}
        return torch.nn.functional.scaled_dot_product_attention(query, key, value, **options)

    return attend


def devices() -> list[str]:
    """Returns the names of the GPUs, or the processor."""
    import torch

    return [f"cuda:{i}" for i in range(torch.cuda.device_count())] or ["cpu"]
