"""Inception-v3, whose features and classes the papers' FID and Inception Score are made from."""

from __future__ import annotations

import logging
from pathlib import Path

import torch
from torch import Tensor, nn

from lookahead_bench.data.download import Archive, download, locked, reachable
from lookahead_bench.errors import DataError

log = logging.getLogger("lookahead_bench")
PATIENCE = 1.0  # seconds that a run waits for a server's answer
AT_ONCE = 50  # images, which are enlarged to 299x299
WEIGHTS = Archive(
    (
        "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
        "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
    ),
    "weights-inception-2015-12-05-6726825d.pth",
    95_628_359,
    "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
)


class Inception(nn.Module):
    """images [N, 3, H, W], pixels in [0, 1] -> 2,048 features and 1,008 logits; torch-fidelity's network.

    weights: the file of its parameters.
    """

    def __init__(self, weights: Path) -> None:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        super().__init__()
        self.network = FeatureExtractorInceptionV3(
            "inception-v3", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(weights)
        )

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        pixels = images.clamp(0, 1).mul(255).round().to(torch.uint8)
        parts = [self.network(part) for part in pixels.split(AT_ONCE)]
        features, logits = (torch.cat(each) for each in zip(*parts, strict=True))
        return features, logits


def inception(data_dir: Path | str) -> Inception | None:
    """The network with its published weights, which lie below data_dir or are downloaded once.

    None, with one line that says so, where they can be had from neither. Errors: DataError for a damaged file.
    """
    folder = Path(data_dir) / "inception"
    path = folder / WEIGHTS.filename
    urls = [] if path.exists() else reachable(WEIGHTS.urls, PATIENCE)
    if not urls and not path.exists():
        log.warning(
            "no fid_inception: no weights at %s and no answer from github.com; put the file there (from %s), or set "
            "dataset.inception=false", path, WEIGHTS.urls[0],
        )  # fmt: skip
        return None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / ".lock"):
            download(WEIGHTS, folder, urls)
    except OSError as error:
        raise DataError(f"{path} cannot be prepared: {error.strerror or error}") from None
    return Inception(path)
