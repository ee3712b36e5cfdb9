"""GANs on images, scored on the features of a classifier of the same images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lookahead_bench.data.fetch import load
from lookahead_bench.data.images import Images, Stream, split
from lookahead_bench.scores import classifier
from lookahead_bench.scores.generated import Outputs, Real
from lookahead_bench.scores.inception import inception
from lookahead_bench.tasks.base import Picture, Rows, Scores
from lookahead_bench.tasks.gan import GAN

SIDE = 8  # a picture is SIDE x SIDE samples
LEAST = 28  # pixels of a sample's side in a picture, at least


class ImageGAN(GAN):
    """Generate the images of a data set.

    data, data_dir     a data set of `lookahead_bench.data.fetch` that has a classifier, and where it lies or is put
    low                the value of black; white is 1, and generators end in tanh
    scored             how many images, real and generated, a score is made from, at most
    inception_v3       score with Inception-v3 too (fid_inception, inception_score_inception), if its weights can be had
    model              makes the networks, see `GAN`, where the rest stands too

    Scores against as many training images ("val"; fid, inception_score, entropy, total_variation, modes), at a run's
    ends also against test images ("test"; kid, precision and recall too, and fid_floor: of the training images
    themselves). Errors: DataError where there is no data or the classifier is damaged.
    """

    def __init__(
        self, *, data: str, data_dir: Path | str, model: Callable[..., nn.Module], low: float, scored: int,
        batch_size: int, seeds: Sequence[int], inception_v3: bool = False, **game: Any,
    ) -> None:  # fmt: skip
        arrays = load(data, data_dir)
        recipe = classifier.RECIPES[data]
        height, width, *channels = arrays["train_images"].shape[1:]
        shape = (*(channels or [1]), height, width)
        super().__init__(pair=model, shape=shape, batch_size=batch_size, seeds=seeds, **game)
        self.low, self.scored = low, scored
        judges = {
            "": classifier.classifier(data, data_dir),
            "_inception": inception(data_dir) if inception_v3 else None,
        }
        self._judges = {name: judge.to(self.settings.device) for name, judge in judges.items() if judge is not None}
        self._real = {}
        for name, part in (("val", "train"), ("test", "test")):
            labels = arrays[f"{part}_labels"]
            chosen = some(len(labels), scored)
            pixels = classifier.pixels(arrays[f"{part}_images"][chosen], labels[chosen], recipe)
            self._real[name] = self._outputs(pixels.at(torch.arange(len(chosen)))[0].to(self.settings.device))
        self._against = {
            name: {judge: Real(seen) for judge, seen in outputs.items()} for name, outputs in self._real.items()
        }
        mean, half = recipe.largest * low / (low - 1), recipe.largest / (1 - low)  # low is black, 1 is recipe.largest
        images = arrays["train_images"].reshape(*arrays["train_images"].shape[:3], -1)
        self._images = Images(
            images, arrays["train_labels"], mean=np.full(shape[0], mean), std=np.full(shape[0], half),
            device=self.settings.device, dtype=self.dtype, channels_last=self.settings.channels_last,
        )  # fmt: skip
        self._stream = Stream(self._images, seeds, batch_size, augment=False)
        self.batches_per_epoch = self._stream.batches_per_epoch

    def real(self, draw: int) -> Tensor:
        return self._stream.batch(draw)[0]

    def evaluate(self, draws: int) -> Iterator[tuple[str, Scores]]:
        for stream, (split_name, against) in enumerate(self._against.items()):
            lines = [self._scores(outputs, against, split_name == "test") for outputs in self._of_replicas(stream)]
            scores = {m: torch.tensor([line[m] for line in lines], dtype=torch.float64) for m in lines[0]}
            yield split_name, scores if self.replicas > 1 else {metric: values[0] for metric, values in scores.items()}

    def _scores(self, generated: dict[str, Outputs], against: dict[str, Real], thorough: bool) -> dict[str, float]:
        found = against[""].scores(generated[""])
        if thorough:
            found |= against[""].thorough(generated[""]) | {
                "fid_floor": against[""].fid(self._real["val"][""].features)
            }
        for judge in generated.keys() - {""}:
            others = against[judge].scores(generated[judge])
            found |= {f"{metric}{judge}": others[metric] for metric in ("fid", "inception_score")}
        return found

    def _of_replicas(self, stream: int) -> list[dict[str, Outputs]]:
        """What every judge makes of every replica's generated images."""
        parts: list[list[dict[str, Outputs]]] = [[] for _ in range(self.replicas)]
        for samples in self.generated(self.scored, stream):
            for mine, images in zip(parts, samples.unsqueeze(0) if self.replicas == 1 else samples, strict=True):
                mine.append(self._outputs(self._brightness(images)))
        return [
            {judge: Outputs(*map(torch.cat, zip(*(part[judge] for part in mine), strict=True))) for judge in mine[0]}
            for mine in parts
        ]

    def _brightness(self, images: Tensor) -> Tensor:
        """From [low, 1] to the classifier's [0, 1]."""
        return (images.float() - self.low) / (1 - self.low)

    def _outputs(self, images: Tensor) -> dict[str, Outputs]:
        with torch.autocast(images.device.type, enabled=False):
            return {name: Outputs(*classifier.outputs(judge, images)) for name, judge in self._judges.items()}

    def pictures(self, position: Mapping[str, Any], final: bool, rows: Rows) -> Iterable[tuple[str, Picture]]:
        """The same noise at every evaluation; beside the first, real images."""
        with torch.no_grad():
            yield f"{position['weights']}-{position['step']:08d}", grid(self._brightness(next(self.generated(SIDE**2))))
        if position["step"] == 0 and position["weights"] == "fast":
            yield "real", grid(self._brightness(self._images.at(torch.arange(SIDE**2))[0]))


def some(count: int, most: int) -> np.ndarray[Any, Any]:
    """The same ones for every run, at most `most` of `count`."""
    return np.arange(count) if count <= most else split(count, most)[1]


def grid(images: Tensor) -> Picture:
    """[N, C, H, W] with black at 0 and white at 1 -> SIDE rows of SIDE, a line between them, small ones enlarged."""
    cells = images.float().clamp(0, 1).mul(255).round().to(torch.uint8).cpu().numpy().transpose(0, 2, 3, 1)
    factor = -(-LEAST // cells.shape[1])
    cells = cells.repeat(factor, axis=1).repeat(factor, axis=2)
    if cells.shape[3] == 1:
        cells = cells.repeat(3, axis=3)
    cells = np.pad(cells, ((0, 0), (1, 0), (1, 0), (0, 0)), constant_values=128)
    rows = [np.concatenate(list(cells[i : i + SIDE]), axis=1) for i in range(0, len(cells), SIDE)]
    return np.ascontiguousarray(np.concatenate(rows, axis=0))
