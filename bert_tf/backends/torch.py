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
    """See `backend.fused_attention`. Dropout within the kernel on a GPU only, where it matters."""
    import torch

    if dropout is not None and not torch.cuda.is_available():
        return None
    rate = 0.0 if dropout is None else dropout.rate

    def attend(query, key, bias, scale, value):
        options = {"attn_mask": bias.to(query.dtype), "dropout_p": rate, "scale": scale}
        return torch.nn.functional.scaled_dot_product_attention(query, key, value, **options)

    return attend


def random_state() -> str:
    """Returns the state of PyTorch's own generators, from which most dropout is drawn: of the processor, then of each GPU."""
    import torch

    states = [torch.get_rng_state(), *torch.cuda.get_rng_state_all()]
    return " ".join(state.numpy().tobytes().hex() for state in states)


def set_random_state(state: str) -> None:
    """Sets what `random_state` returned; generators of GPUs that are not here are left out."""
    import torch

    processor, *gpus = (torch.frombuffer(bytearray.fromhex(one), dtype=torch.uint8) for one in state.split())
    torch.set_rng_state(processor)
    for i, gpu in enumerate(gpus[: torch.cuda.device_count()]):
        torch.cuda.set_rng_state(gpu, i)


def devices() -> list[str]:
    """Returns the names of the GPUs, or the processor."""
    import torch

    return [f"cuda:{i}" for i in range(torch.cuda.device_count())] or ["cpu"]
