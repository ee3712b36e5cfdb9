"""Residual networks for 32x32 images: ResNet-20 of He et al. and the wide CIFAR ResNet-18."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Block(nn.Module):
    """relu(x' + BN(conv3(relu(BN(conv3(x)))))), where x' is x, halved in size and with more channels where needed."""

    def __init__(self, inputs: int, outputs: int, stride: int, shortcut: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride = stride
        self.extra = outputs - inputs
        self.projection: nn.Module | None = None
        if shortcut == "projection" and (stride > 1 or self.extra):
            conv = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.projection = nn.Sequential(conv, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        out = torch.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.projection is not None:
            x = self.projection(x)
        elif self.stride > 1 or self.extra:
            # Option A of He et al.: every other pixel, and zeros for the new channels, half of them on each side.
            low = self.extra // 2
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, low, self.extra - low))
        return torch.relu(out + x)


class ResNet(nn.Module):
    """conv3, BN, ReLU; one stage of blocks for each width, halving the image from the second on; mean; linear.

    in_shape: (C, H, W); classes: outputs; widths: channels of the stages; blocks: residual blocks of the stages;
    shortcut: where the shape changes, `pad` (option A of He et al., no parameters) or `projection` (1x1 convolution
    and BN); initialisation: `he` (normal with variance 2 / fan in for convolutions and the linear layer) or `torch`
    (torch's own, uniform in +-1/sqrt(fan in)).
    Sources: He et al., Deep Residual Learning for Image Recognition, 2016, section 4.2 (ResNet-20: widths 16, 32, 64,
    three blocks each, pad, he; 0.27 M parameters); github:uoguelph-mlrg/Cutout (ResNet-18: widths 64 to 512, two blocks
    each, projection, torch; 11.17 M parameters), the network of Lookahead 2019.
    """

    def __init__(
        self,
        *,
        in_shape: Sequence[int],
        classes: int,
        widths: Sequence[int],
        blocks: Sequence[int],
        shortcut: Literal["pad", "projection"],
        initialisation: Literal["he", "torch"],
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_shape[0], widths[0], 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(widths[0])
        stages: list[nn.Module] = []
        channels = widths[0]
        for stage, (width, count) in enumerate(zip(widths, blocks, strict=True)):
            for block in range(count):
                stages.append(Block(channels, width, 2 if stage > 0 and block == 0 else 1, shortcut))
                channels = width
        self.stages = nn.Sequential(*stages)
        self.head = nn.Linear(channels, classes)
        if initialisation == "he":
            for module in self.modules():
                if isinstance(module, nn.Conv2d | nn.Linear):
                    nn.init.kaiming_normal_(module.weight)

    def forward(self, images: Tensor) -> Tensor:
        """Logits [B, classes] of images [B, C, H, W]."""
        out = torch.relu(self.bn(self.conv(images)))
        logits: Tensor = self.head(self.stages(out).mean((2, 3)))
        return logits
