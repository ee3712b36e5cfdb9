"""A small convolutional network without BatchNorm."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


class CNN(nn.Module):
    """(3x3 convolution, ReLU, 2x2 max-pooling) for each width, the mean over what is left of the image, a linear layer.

    in_shape: (C, H, W), H and W at least 2 ** len(widths); classes: outputs; widths: channels, first layer first.
    Initialisation: convolutions as in He et al. 2015, normal with variance 2 / fan in; biases and the linear layer 0,
    so that the first steps at a rate of 0.1 do not switch every ReLU off for good.
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
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d) and layer.bias is not None:
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Logits [B, classes] of images [B, C, H, W]."""
        logits: Tensor = self.head(self.features(images).mean((2, 3)))
        return logits
