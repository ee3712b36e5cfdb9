"""A multilayer perceptron on flattened images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn


class MLP(nn.Module):
    """x -> W_n relu(... relu(W_1 x + b_1) ...) + b_n.

    in_shape: (C, H, W); classes: outputs; hidden: widths of the hidden layers, innermost first (may be empty).
    Initialisation: torch's own of nn.Linear, uniform in +-1/sqrt(fan in).
    """

    def __init__(self, *, in_shape: Sequence[int], classes: int, hidden: Sequence[int]) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Flatten()]
        widths = [math.prod(in_shape), *hidden]
        for inputs, outputs in pairwise(widths):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], classes))

    def forward(self, images: Tensor) -> Tensor:
        """Logits [B, classes] of images [B, C, H, W]."""
        logits: Tensor = self.layers(images)
        return logits
