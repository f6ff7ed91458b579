"""Gradients on PyTorch."""

from collections.abc import Callable

from keras import ops


def value_and_gradient(function: Callable) -> Callable:
    import torch

    def run(*arguments):
        first, *others = map(ops.convert_to_tensor, arguments)
        first = first.detach().clone().requires_grad_()
        values = function(first, *others)
        return values, torch.autograd.grad(values.sum(), first)[0]

    return run
