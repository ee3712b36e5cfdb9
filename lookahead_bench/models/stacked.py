"""Several networks of one shape as one network whose parameters have a leading dimension."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap


def stack(networks: Sequence[nn.Module]) -> nn.Module:
    """A network of the same class, every parameter [...] of which holds those of all R networks as [R, ...].

    It is called through `forward`. Buffers (BatchNorm's statistics) are not stacked: networks that have any are
    refused with ValueError.
    """
    if next(networks[0].buffers(), None) is not None:
        raise ValueError("replicas > 1 need a network without buffers, so without BatchNorm")
    stacked = copy.deepcopy(networks[0])
    parts = [dict(network.named_parameters()) for network in networks]
    for name, parameter in stacked.named_parameters():
        parameter.data = stack_rows([part[name].detach() for part in parts])
    return stacked


def stack_rows(rows: Sequence[Tensor]) -> Tensor:
    """torch.stack, but every row keeps its own strides (channels_last): other layouts round otherwise."""
    first = rows[0]
    stacked = first.new_empty_strided((len(rows), *first.shape), (first.numel(), *first.stride()))
    for row, source in zip(stacked, rows, strict=True):
        row.copy_(source)
    return stacked


def forward(stacked: nn.Module, images: Tensor) -> Tensor:
    """What replica r makes of images[r], for all r: [R, B, ...] -> [R, B, classes]."""
    parameters = dict(stacked.named_parameters())
    if images.is_cuda or not any(isinstance(module, nn.Conv2d) for module in stacked.modules()):
        logits: Tensor = vmap(lambda own, seen: functional_call(stacked, own, (seen,)))(parameters, images)
        return logits
    # vmap makes grouped convolutions, which on a processor take longer than one convolution after the other
    # (measured: 1.6 times as long for four networks on 32x32 images).
    rows = {name: parameter.unbind() for name, parameter in parameters.items()}
    own = [{name: row[r] for name, row in rows.items()} for r in range(len(images))]
    return torch.stack([functional_call(stacked, own[r], (images[r],)) for r in range(len(images))])
