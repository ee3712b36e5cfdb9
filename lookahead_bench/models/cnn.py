"""A small convolutional network without BatchNorm."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


class CNN(nn.Module):
    """(3x3 convolution, ReLU, 2x2 max-pooling) for each width, the mean over what is left of the image, a linear layer.

    in_shape: (C, H, W), H and W at least 2 ** len(widths); classes: outputs; widths: channels, first layer first.
    Initialisation: He et al. 2015, normal with variance 2 / fan in, biases 0; without BatchNorm torch's own is so small
    that training starts late.
    """

    def __init__(self, *, in_shape: Sequence[int], classes: int, widths: Sequence[int]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = in_shape[0]
        for width in widths:
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
            channels = width
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(channels, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Logits [B, classes] of images [B, C, H, W]."""
        logits: Tensor = self.head(self.features(images).mean((2, 3)))
        return logits
