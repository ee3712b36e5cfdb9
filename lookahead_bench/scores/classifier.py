"""The classifiers whose features and probabilities judge generated images: trained here, once, and kept with the data.

Trained on the training set alone, on the CPU, on one thread and from one seed, so that a machine always makes the same
one. It lies in <data_dir>/classifiers/ beside its sha256; a run waits while another one trains it.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from lookahead_bench.data.download import locked
from lookahead_bench.data.fetch import load
from lookahead_bench.data.images import Images, Stream
from lookahead_bench.errors import DataError
from lookahead_bench.models.resnet import ResNet
from lookahead_bench.notices import no_bar
from lookahead_bench.runs import checkpoint

log = logging.getLogger("lookahead_bench")
SEED = 0
AT_ONCE = 1000  # images of a forward pass


class Classifier(nn.Module):
    """images [N, C, H, W], pixels in [0, 1] -> features [N, F] and logits [N, classes].

    body: images -> features; head: features -> logits.
    """

    def __init__(self, body: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.body, self.head = body, head

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features: Tensor = self.body(images)
        return features, self.head(features)


def perceptron(pixels: int, width: int, dropout: float) -> Classifier:
    """pixels-width-width-10, ReLU and dropout; its features are the second hidden layer (Lookahead-Minmax 2021)."""
    layers: list[nn.Module] = [nn.Flatten()]
    for inputs in (pixels, width):
        layers += [nn.Linear(inputs, width), nn.ReLU(), nn.Dropout(dropout)]
    return Classifier(nn.Sequential(*layers), nn.Linear(width, 10))


def residual(widths: list[int]) -> Classifier:
    """ResNet of three blocks a stage; its features are the means over the last stage's maps."""
    network = ResNet(in_shape=(3, 32, 32), classes=10, widths=widths, blocks=[3, 3, 3], shortcut="pad",
                     initialisation="he")  # fmt: skip
    head, network.head = network.head, nn.Identity()  # type: ignore[assignment]  # declared a Linear
    return Classifier(network, head)


MAKERS: Mapping[str, Callable[..., Classifier]] = {"perceptron": perceptron, "residual": residual}


@dataclass(frozen=True)
class Recipe:
    """How a data set's classifier is made: Adam, its rate rising for a tenth of the steps, then falling to 0.

    maker, arguments: of the network; largest: the pixel value that becomes 1; augment: crops and flips; autocast:
    forward passes in bfloat16.
    """

    maker: str
    arguments: Mapping[str, Any]
    largest: int
    epochs: int
    batch_size: int = 100
    lr: float = 2e-3
    augment: bool = False
    autocast: bool = False
    threads: int = 1

    def network(self) -> Classifier:
        """A new one."""
        return MAKERS[self.maker](**self.arguments)

    @property
    def digest(self) -> str:
        """Another recipe makes another file."""
        return hashlib.sha256(repr(sorted(asdict(self).items())).encode()).hexdigest()[:12]


RECIPES = {
    "digits": Recipe("perceptron", {"pixels": 64, "width": 128, "dropout": 0.2}, largest=16, epochs=40, batch_size=50),
    "mnist": Recipe("perceptron", {"pixels": 784, "width": 256, "dropout": 0.2}, largest=255, epochs=10),
    "cifar10": Recipe(
        "residual", {"widths": [16, 32, 64]}, largest=255, epochs=4, lr=5e-3, augment=True, threads=2, autocast=True
    ),
}


def classifier(data: str, data_dir: Path | str) -> Classifier:
    """The trained classifier of a data set, in evaluation mode, and without gradients.

    Errors: DataError where there are no data to train it on, or where the stored one is damaged.
    """
    recipe = RECIPES[data]
    network = recipe.network()
    path = stored(data, data_dir)
    trained: dict[str, Tensor] | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path.with_suffix(".lock")):
            if not (path.exists() and checkpoint.digest_file(path).exists()):  # its digest is written last
                trained = train(data, data_dir, recipe)
                checkpoint.save({path: trained})
    except OSError as error:
        log.warning("the classifier of %s is trained for this run alone: it cannot be kept (%s)", data, error)
        network.load_state_dict(train(data, data_dir, recipe) if trained is None else trained)
    else:
        state = checkpoint.load(path)
        if state is None:
            raise DataError(f"{path} is damaged: delete it, and the next run trains the classifier of {data} anew")
        network.load_state_dict(state)
    return network.eval().requires_grad_(False)


def stored(data: str, data_dir: Path | str) -> Path:
    """Where it is kept."""
    return Path(data_dir) / "classifiers" / f"{data}-{RECIPES[data].digest}.pt"


def train(data: str, data_dir: Path | str, recipe: Recipe) -> dict[str, Tensor]:
    """Train it; gives its state."""
    arrays = load(data, data_dir)
    images = pixels(arrays["train_images"], arrays["train_labels"], recipe, pad=4 if recipe.augment else 0)
    stream = Stream(images, [SEED], recipe.batch_size, recipe.augment)
    steps = recipe.epochs * stream.batches_per_epoch
    with deterministic(recipe.threads):
        network = recipe.network()
        optimizer = torch.optim.Adam(network.parameters(), lr=recipe.lr)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.lr, total_steps=steps, pct_start=0.1)
        for step in tqdm(range(steps), desc=f"classifier of {data}", unit="step", disable=no_bar(), leave=False):
            values, labels = stream.batch(step)
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=recipe.autocast):
                loss = F.cross_entropy(network(values)[1], labels)
            loss.backward()
            optimizer.step()
            schedule.step()
    return network.state_dict()


def pixels(images: np.ndarray, labels: np.ndarray, recipe: Recipe, pad: int = 0) -> Images:
    """Images that come as pixels in [0, 1]."""
    images = images.reshape(*images.shape[:3], -1)
    nothing, largest = np.zeros(images.shape[3]), np.full(images.shape[3], float(recipe.largest))
    return Images(images, labels, mean=nothing, std=largest, pad=pad)


@contextlib.contextmanager
def deterministic(threads: int) -> Iterator[None]:
    """So many threads, and the CPU's generator at SEED; both are put back."""
    before = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(SEED)
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)


@torch.no_grad()
def outputs(network: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """Features and logits of any number of images, on the images' device and in float32, given on the CPU."""
    parts = [network(part.to(torch.float32)) for part in images.split(AT_ONCE)]
    features, logits = (torch.cat(each).cpu() for each in zip(*parts, strict=True))
    return features, logits
